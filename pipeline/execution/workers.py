"""The executor that the keys `executor` and `workers` select."""

from collections.abc import Sequence

from joblib import cpu_count

from pipeline import UserError
from pipeline.base.resources import check_memory, free_memory
from pipeline.base.text import format_bytes
from pipeline.execution.executor import Executor
from pipeline.execution.local import LocalExecutor, local_processors
from pipeline.execution.ray_connection import ray_address, set_defaults

# Memory for PyTorch and MNIST, with a shuffled copy of the images; measured: 0.55 GB.
WORKER_BYTES = 600_000_000
# Memory that this process will still need for PyTorch, MLflow and the data; measured:
# 0.38 GB.
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
        kind: "ray" for the cluster at RAY_ADDRESS; otherwise, this machine.
        workers: The number of local workers; None for as many as the machine can run.
        tasks: The expected number of tasks. With 0, no cluster is needed, and a local
            process is started only if there is a task after all.
        task_bytes: The memory of a task, in addition to PyTorch and the data.
        modules: The modules that local workers import first.

    Raises:
        UserError: If the memory is too small for the workers, or Ray is not installed.
    """
    if not tasks:
        return LocalExecutor(1)  # starts no process yet
    if kind == "ray":
        return _ray_executor()
    free = max(0, free_memory() - DRIVER_BYTES)
    workers = choose_workers(
        requested=workers, tasks=tasks, task_bytes=task_bytes, free=free
    )
    return LocalExecutor(workers, modules=modules)


def check_executor(kind: str) -> None:
    """Check what an executor needs on this machine, before work that takes long.

    Raises:
        UserError: If Ray is not installed, or RAY_ADDRESS is not an address.
    """
    if kind == "ray":
        _ray_executor()
        ray_address()


def known_processors(kind: str) -> frozenset[str]:
    """Return the `processors` of an executor before it is started.

    The result is empty for a cluster, whose nodes are not known before the connection.
    """
    return frozenset() if kind == "ray" else local_processors()


def choose_workers(
    *, requested: int | None, tasks: int, task_bytes: int, free: int
) -> int:
    """Return the number of workers: one per core, but not more than memory allows.

    The number of cores respects the processor affinity and the quota of the container.

    Args:
        requested: The value of `workers`; None for as many as the machine can run.
        tasks: The number of tasks.
        task_bytes: The memory of a task, in addition to PyTorch and the data.
        free: The memory in bytes that workers can use.

    Raises:
        UserError: If the memory is too small for `requested` workers, or for a single
            worker.
    """
    needed = WORKER_BYTES + task_bytes
    check_memory(needed, free=free, what="a worker")
    possible = free // needed
    workers = min(tasks, requested or min(cpu_count(), possible))
    if workers > possible:
        sizes = f"each needs {format_bytes(needed)}, and {format_bytes(free)} is free"
        raise UserError(f"workers must be at most {possible}, got {requested}: {sizes}")
    return workers


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
