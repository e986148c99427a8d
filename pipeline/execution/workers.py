"""The type of executor that the key `executor` selects."""

from pipeline import UserError
from pipeline.execution.executor import Executor
from pipeline.execution.local import LocalExecutor
from pipeline.execution.ray_connection import set_defaults


def executor_type(kind: str) -> type[Executor]:
    """Return the class of an executor, by the value of the key `executor`.

    The value is "local" for this machine, or "ray" for the cluster at RAY_ADDRESS.

    Raises:
        UserError: If Ray is not installed.
    """
    match kind:
        case "local":
            return LocalExecutor
        case "ray":
            set_defaults()
            try:
                from pipeline.execution.cluster import RayExecutor
            except ModuleNotFoundError as error:
                if error.name != "ray":
                    raise
                raise UserError(
                    "executor=ray needs Ray: pip install -e '.[ray]', "
                    "or use executor=local"
                ) from None
            return RayExecutor
        case _:
            raise ValueError(f"there is no executor {kind!r}")
