"""The memory and the disk space that a single training run needs."""

from pathlib import Path

from pipeline.base.resources import (
    check_memory,
    check_space,
    free_memory,
    on_same_disk,
)
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.shapes import parameter_count

# Copies of the weight history in memory, measured: while a single training run writes
# its files; and in a sweep for each worker, with two copies in the main process.
HISTORIES_OF_RUN = 4
HISTORIES_OF_WORKER = 5


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
    check_memory(HISTORIES_OF_RUN * whole, free=free_memory(), what=what)
    # The weight history is in the checkpoint, in the results and in the artifacts.
    copies = [(store, max(0, whole - saved)), (folder, whole)]
    copies += [(store, whole)] if is_recorded else []
    for place in (store, folder):
        size = sum(size for each, size in copies if on_same_disk(each, place))
        check_space(size, place, what=what)


def weight_history_bytes(hyperparameters: Hyperparameters) -> int:
    """Return the size of the tensors before training and after each epoch.

    The other files of a single run are small.
    """
    return 4 * parameter_count(hyperparameters.hidden) * (hyperparameters.epochs + 1)
