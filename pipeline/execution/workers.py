"""The executor that the keys `executor` and `workers` select."""

from collections.abc import Sequence

from pipeline import UserError
from pipeline.execution.executor import Executor
from pipeline.execution.local import LocalExecutor
from pipeline.execution.memory import choose_workers, free_memory
from pipeline.execution.ray_connection import set_defaults

# What this process will still need: PyTorch, MLflow and the data; measured: 0.38 GB.
DRIVER_BYTES = 400_000_000


def new_executor(
    kind: str,
    *,
    workers: int | None,
    tasks: int,
    task_bytes: int,
    modules: Sequence[str],
) -> Executor:
    """Return an executor, which starts its workers in a `with` block.

    Args:
        kind: "local", or "ray" for the cluster at RAY_ADDRESS.
        workers: The number of local workers; None for as many as fit.
        tasks: The expected number of tasks; if it is 0, no cluster is needed, and a
            process is started only if there is a task after all.
        task_bytes: The memory of a task, in addition to PyTorch and the data.
        modules: The modules that local workers import first.

    Raises:
        UserError: If the memory is too small for that many, or Ray is not installed.
    """
    if not tasks:
        return LocalExecutor(1)  # it starts no process
    if kind == "ray":
        return _ray_executor()
    free = max(0, free_memory() - DRIVER_BYTES)
    workers = choose_workers(workers, tasks, task_bytes, free=free)
    return LocalExecutor(workers, modules=modules)


def _ray_executor() -> Executor:
    set_defaults()
    try:
        from pipeline.execution.cluster import RayExecutor
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UserError(
            "executor=ray needs Ray: pip install -e '.[ray]', or use executor=local"
        ) from None
    return RayExecutor()
