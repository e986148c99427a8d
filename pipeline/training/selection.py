"""The network that a command looks at: the last one, that of a run, or a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import files, tracking
from pipeline.model import ood, storage
from pipeline.model.ood import OodDetector
from pipeline.model.storage import TrainedModel


def load_selected(
    run: str | None, model: str | None, *, last: Path, store: Path
) -> TrainedModel:
    """Read the network that was asked for.

    Args:
        run: The MLflow run that trained it, or None.
        model: Its file, or None.
        last: The folder of the last training, which is meant if both are None.
        store: The folder of MLflow's embedded store.

    Raises:
        FileNotFoundError: If there is no such file; it says which command makes one.
        ValueError: If the store has no such run, or the file holds no network.
    """
    with _file(run, model, last=last, store=store) as path:
        return storage.load_trained_model(path)


def load_selected_with_detector(
    run: str | None, model: str | None, *, last: Path, store: Path
) -> tuple[TrainedModel, OodDetector]:
    """Read that network, and from beside it what judges its answers.

    Raises:
        FileNotFoundError: If one of both is missing; it says which command makes it.
        ValueError: If the store has no such run, or a file holds something else.
    """
    with _file(run, model, last=last, store=store) as path:
        trained = storage.load_trained_model(path)
        return trained, ood.load_detector(trained.familiar, network=trained.sha256)


@contextmanager
def _file(
    run: str | None, model: str | None, *, last: Path, store: Path
) -> Iterator[Path]:
    """Find the file of a network; that of the last training is kept in its place."""
    if run is not None:
        known = tracking.find_training_run(run, store=store)
        yield known.folder / "train" / "model.safetensors"
    elif model is not None:
        yield Path(model).expanduser()
    else:
        with files.read_lock(last):
            yield last / "model.safetensors"
