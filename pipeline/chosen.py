"""The network that a command looks at: the last one, that of a run, or a file."""

from pathlib import Path

from pipeline import checkpoint, tracking
from pipeline.checkpoint import Trained


def network(run: str | None, model: str | None, *, last: Path, store: Path) -> Trained:
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
    if run is not None:
        known = tracking.recorded(run, store=store)
        return checkpoint.load_trained(known.folder / "train" / "model.safetensors")
    if model is not None:
        return checkpoint.load_trained(Path(model).expanduser())
    return checkpoint.load_last(last)
