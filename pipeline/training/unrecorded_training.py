"""Trains a network without recording it."""

from collections.abc import Callable, Iterable

from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Epoch
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.core.threads import one_thread
from pipeline.training.training_run import TrainingRun

Track = Callable[[Iterable[Epoch], int], Iterable[Epoch]]  # shows the progress


def train_unrecorded(
    dataset: Dataset, *, hyperparameters: Hyperparameters, track: Track | None = None
) -> TrainingRun:
    """Train on one thread, with weights that are byte-identical to those of `train`.

    This function uses neither settings of the stage nor MLflow, and writes no file.
    Everything that trains without recording calls it: the workers of a sweep, the
    homework and the grader.

    Args:
        dataset: The data set.
        hyperparameters: The hyperparameters, with the name of the split.
        track: A function that shows the progress. It receives an iterator over the
            epochs, from epoch 1, and their number.

    Raises:
        UserError: If the data set is too small for the split or the batch size.
        FloatingPointError: If a loss or a weight becomes non-finite.
    """
    with one_thread():
        epochs = train_network(dataset, hyperparameters)
        initial = next(epochs)
        tracked = track(epochs, hyperparameters.epochs) if track else epochs
        return TrainingRun.of(dataset, hyperparameters, [initial, *tracked])
