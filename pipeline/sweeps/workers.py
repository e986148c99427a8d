"""How many workers fit on this machine."""

from collections.abc import Sequence

from pipeline import CLASSES, PIXELS, ConfigError
from pipeline.sweeps.jobs import Job

# PyTorch and MNIST, with a shuffled copy of the images; measured: 0.55 GB.
WORKER_BYTES = 600_000_000
COPIES = 4  # of the history of a training: in both processes, each also serialised


def choose_workers(requested: int | None, jobs: Sequence[Job]) -> int:
    """Return the number of workers: one per core, but not more than memory allows.

    Cores are counted by the processor affinity and the quota of the container.

    Args:
        requested: The value of the key `workers`, if any.
        jobs: The jobs; the largest history determines the memory of a worker.

    Raises:
        ConfigError: If the memory is too small for the requested workers, or for one.
    """
    import psutil
    from joblib import cpu_count

    configs = [job.config for job in jobs if job.config]
    parameters = max((PIXELS + CLASSES) * c.hidden * (c.epochs + 1) for c in configs)
    needed = WORKER_BYTES + COPIES * 4 * parameters
    free = psutil.virtual_memory().available
    possible = free // needed
    workers = requested or min(cpu_count(), len(configs), max(possible, 1))
    if workers > possible:
        sizes = f"each needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise ConfigError(f"workers must be <= {possible}, got {workers}: {sizes}")
    return workers
