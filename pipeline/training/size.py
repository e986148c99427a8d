"""The memory and the disk space that training runs need."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.base.resources import (
    check_memory,
    check_space,
    free_memory,
    on_same_disk,
)
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.shapes import parameter_count

# Copies of the weight history in memory; measured.
COPIES = 4  # copies of a single training run, while it writes its files
SWEEP_COPIES = 5  # three in the worker and two in the main process
# Files and database rows of a child run without its weights. Measured with 20 epochs:
# 144,000 bytes.
RUN_BYTES = 150_000
BEST_BYTES = 5_000_000  # images and program of the best network, table and plot


def training_bytes(hyperparameters: Iterable[Hyperparameters]) -> int:
    """Return the memory of the largest training run of a sweep, in bytes."""
    return SWEEP_COPIES * max(map(weight_history_bytes, hyperparameters), default=0)


def check_machine(
    hyperparameters: Hyperparameters,
    store: Path,
    folder: Path,
    *,
    saved: int,
    is_recorded: bool,
) -> None:
    """Check that there are enough memory and disk space for a single training run.

    `folder` gets the results; it can be on a different disk from the store. The
    checkpoint has `saved` bytes of a killed training run.

    Raises:
        UserError: If the memory or the disk space is too small.
    """
    what = "the training run"
    whole = weight_history_bytes(hyperparameters)
    check_memory(COPIES * whole, free=free_memory(), what=what)
    # The weight history is in the checkpoint, in the results and in the artifacts.
    copies = [(store, max(0, whole - saved)), (folder, whole)]
    copies += [(store, whole)] if is_recorded else []
    for place in (store, folder):
        size = sum(size for each, size in copies if on_same_disk(each, place))
        check_space(size, place, what=what)


def sweep_bytes(hyperparameters: Iterable[Hyperparameters], *, patch_bytes: int) -> int:
    """Return the disk space of the training runs of a sweep, including all files.

    `patch_bytes` is the size of the uncommitted changes, which each run records.
    """
    others = RUN_BYTES + patch_bytes
    sizes = [
        weight_history_bytes(each) + 4 * parameter_count(each.hidden) + others
        for each in hyperparameters
    ]
    return sum(sizes) + (BEST_BYTES if sizes else 0)


def weight_history_bytes(hyperparameters: Hyperparameters) -> int:
    """Return the size of the tensors before training and after each epoch.

    The other files of a single run are small.
    """
    return 4 * parameter_count(hyperparameters.hidden) * (hyperparameters.epochs + 1)
