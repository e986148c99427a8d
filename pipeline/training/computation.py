"""Trains a network without recording it, and measures a trained network."""

from collections.abc import Callable, Iterable, Sequence

from pipeline.base.metric_names import FINAL_TRAIN
from pipeline.base.software import check_code
from pipeline.core.dataset import Dataset, LabeledImages
from pipeline.core.epoch import Epoch
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import measure, train_network
from pipeline.core.network import network_from
from pipeline.core.threads import one_thread
from pipeline.model import Metadata
from pipeline.training.training_run import TrainingRun

# PyTorch, and with it most modules of core, is imported late, perhaps long after core
# was hashed. Later edits do not affect this process.
check_code()

Track = Callable[[Iterable[Epoch], int], Iterable[Epoch]]  # shows the progress


def finished_training_run(
    dataset: Dataset,
    train: LabeledImages,
    hyperparameters: Hyperparameters,
    epochs: Sequence[Epoch],
) -> TrainingRun:
    """Measure the trained network on its training images, a part of the data set."""
    assert epochs[-1].number == hyperparameters.epochs, "all epochs are trained"
    score, min_margin = measure(network_from(epochs[-1].tensors), train)
    return TrainingRun(
        Metadata(
            dataset=dataset.name,
            data_sha256=dataset.file.sha256,
            hyperparameters=hyperparameters,
            min_margin=min_margin,
        ),
        epochs,
        final_metrics={f"{FINAL_TRAIN}{name}": x for name, x in score.items()},
    )


def compute_training_run(
    dataset: Dataset, *, hyperparameters: Hyperparameters, track: Track | None = None
) -> TrainingRun:
    """Train on one thread, with the same weights as `train`, byte for byte.

    This function uses neither the configuration nor MLflow, and writes no file.
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
        trained = [initial, *tracked]
        train = dataset.split(hyperparameters.split).train
        return finished_training_run(dataset, train, hyperparameters, trained)
