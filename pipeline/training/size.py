"""The memory and the disk space that a training run needs."""

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
# Files and database rows of a recorded run, besides those of the following functions.
# Measured with 20 epochs: 144,000 bytes.
RECORD_BYTES = 150_000
IMAGES_BYTES = 5_000_000  # images of the weights; for a sweep, also table and plot


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
    in_store, in_folder = max(0, whole - saved), file_bytes(hyperparameters)
    if is_recorded:
        in_store += run_bytes(hyperparameters) + model_bytes(hyperparameters)
    if on_same_disk(store, folder):
        in_store, in_folder = in_store + in_folder, 0
    check_space(in_store, store, what=what)
    check_space(in_folder, folder, what=what)


def weight_history_bytes(hyperparameters: Hyperparameters) -> int:
    """Return the size of the tensors before training and after each epoch."""
    return network_bytes(hyperparameters) * (hyperparameters.epochs + 1)


def network_bytes(hyperparameters: Hyperparameters) -> int:
    """Return the size of the tensors of a network."""
    return 4 * parameter_count(hyperparameters.hidden)


def file_bytes(hyperparameters: Hyperparameters) -> int:
    """Return the size of the files that `write_training_run` writes."""
    return weight_history_bytes(hyperparameters) + network_bytes(hyperparameters)


def run_bytes(hyperparameters: Hyperparameters) -> int:
    """Return the size of a recorded run, without `model_bytes` and code.diff."""
    return file_bytes(hyperparameters) + RECORD_BYTES


def model_bytes(hyperparameters: Hyperparameters) -> int:
    """Return the size of the images and the model in the run of a network.

    In a sweep, only the best network has these. The model contains the network twice.
    """
    return IMAGES_BYTES + 2 * network_bytes(hyperparameters)
