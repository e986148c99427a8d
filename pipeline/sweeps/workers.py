"""The executor that the keys `executor` and `workers` select.

The number of workers depends on the cores and the memory of this machine.
"""

from collections.abc import Sequence

from pipeline import CLASSES, PIXELS, ConfigError
from pipeline.sweeps.executor import Executor
from pipeline.sweeps.jobs import Job

# PyTorch and MNIST, with a shuffled copy of the images; measured: 0.55 GB.
WORKER_BYTES = 600_000_000
COPIES = 4  # of the history of a training: in both processes, each also serialised


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
        tasks: The number of tasks; if it is 0, no cluster or process is started.
        task_bytes: The memory of a task, in addition to PyTorch and the data.
        modules: The modules that local workers import first.

    Raises:
        ConfigError: If the memory is too small, or `workers` is given for a cluster.
    """
    from pipeline.sweeps.local import LocalExecutor

    if not tasks:
        return LocalExecutor(1)  # it starts no process
    if kind == "ray":
        if workers:
            rule = "has no effect with executor=ray, which uses all cores of the nodes"
            raise ConfigError(f"workers {rule}: leave it out")
        from pipeline.sweeps.cluster import RayExecutor

        return RayExecutor()
    return LocalExecutor(choose_workers(workers, tasks, task_bytes), modules=modules)


def choose_workers(requested: int | None, tasks: int, task_bytes: int) -> int:
    """Return the number of workers: one per core, but not more than memory allows.

    Cores are counted by the processor affinity and the quota of the container.
    """
    import psutil
    from joblib import cpu_count

    needed = WORKER_BYTES + task_bytes
    free = psutil.virtual_memory().available
    possible = free // needed
    workers = requested or min(cpu_count(), tasks, max(possible, 1))
    if workers > possible:
        sizes = f"each needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise ConfigError(f"workers must be <= {possible}, got {workers}: {sizes}")
    return workers


def training_bytes(jobs: Sequence[Job]) -> int:
    """Return the memory of the largest training run: copies of its history."""
    states = (job.values["hidden"] * (job.values["epochs"] + 1) for job in jobs)
    return COPIES * 4 * (PIXELS + CLASSES) * max(states, default=0)
