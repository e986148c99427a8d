"""Networks and their histories in files that hold tensors and text, and run no code.

The format is safetensors. What shapes a network stands in the file beside its weights,
so that loading needs no configuration.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from pipeline import CLASSES, PIXELS, files
from pipeline.model.network import Network

MAX_FILE_BYTES = 40_000_000  # bytes of a network; 10,000 hidden neurons have 32 million
Snapshot = dict[str, Float[np.ndarray, "..."]]


def snapshot(network: Network) -> Snapshot:
    """Copy the four tensors of a network, by name, as PyTorch shapes them."""
    return {name: t.numpy().copy() for name, t in network.state_dict().items()}


def save_model(path: Path, network: Network, about: dict[str, Any]) -> str:
    """Write the four tensors and what shaped them; the same input, the same bytes.

    Args:
        path: The file, which is whole or absent.
        network: The network; its number of hidden neurons is written with it.
        about: What else belongs to it, as JSON can hold it: seed, data set, ...

    Returns:
        The sha256 of the file.
    """
    described = {**about, "hidden": network.layer_1.out_features}
    return write_tensors(path, snapshot(network), described)


def save_history(
    path: Path, snapshots: Sequence[Snapshot], about: dict[str, Any]
) -> None:
    """Write the tensors of all epochs, each stacked along a new first axis.

    Args:
        path: The file, which is whole or absent.
        snapshots: The initial tensors, then those after every epoch.
        about: What belongs to them, as JSON can hold it.
    """
    stacked = {
        name: np.stack([taken[name] for taken in snapshots]) for name in snapshots[0]
    }
    write_tensors(path, stacked, about)


@dataclass(frozen=True)
class TrainedModel:
    """A network as a training left it."""

    network: Network
    about: dict[str, Any]  # what shaped it: hidden, seed, dataset, data_sha256, ...
    sha256: str  # of its file
    run_id: str | None  # of the MLflow run that trained it, where that is known
    familiar: Path  # the file that knows its training pictures, if there is one

    @property
    def dataset(self) -> str:
        """The data set that it was trained with; MNIST where that is not said."""
        return str(self.about.get("dataset", "mnist"))

    @property
    def of_digits(self) -> bool:
        """Whether it learned digits: pictures for others aren't prepared as such."""
        return self.dataset != "fashion_mnist"

    @property
    def split(self) -> str:
        """How the data set was divided."""
        return str(self.about.get("split", "exercise"))

    @property
    def epochs(self) -> int:
        """How long it was trained; 0 where that is not said."""
        return int(self.about.get("epochs", 0))

    def history(self) -> Snapshot | None:
        """Read its tensors before training and after every epoch, from beside its file.

        Returns:
            Each stacked along a new first axis; None where there is no such file.

        Raises:
            ValueError: If it can't be read, or ends with another network.
        """
        path = self.familiar.with_name("history.safetensors")
        if not path.exists():
            return None
        try:
            tensors, _ = read_tensors(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise ValueError(f"{path} is no safetensors file: {error}") from None
        if not _ends_with(snapshot(self.network), tensors):
            raise ValueError(f"{path} is not the history of the network beside it")
        return tensors


def _ends_with(last: Snapshot, stacked: Snapshot) -> bool:
    """Say whether tensors, stacked along a new first axis, end with a network's."""
    lengths = {tensor.shape[:1] for tensor in stacked.values()}
    return (
        stacked.keys() == last.keys()
        and len(lengths) == 1
        and not {(), (0,)} & lengths
        and all(
            tensor.dtype == np.float32
            and tensor.shape[1:] == last[name].shape
            and tensor[-1].tobytes() == last[name].tobytes()
            and bool(np.isfinite(tensor).all())
            for name, tensor in stacked.items()
        )
    )


def load_trained_model(path: Path) -> TrainedModel:
    """Read a network, and the run that trained it from the file beside it."""
    network, about = load_model_with_metadata(path)
    known = path.with_name("run.json")
    try:
        run_id = json.loads(known.read_text())["run_id"] if known.is_file() else None
        if not re.fullmatch("[0-9a-f]{32}", run_id or "0" * 32):
            raise ValueError
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"{known} is damaged: it says not which run it is of"
        ) from None
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    familiar = path.with_name("familiar.safetensors")
    return TrainedModel(network, about, sha256, run_id, familiar)


def load_model(path: Path | str) -> Network:
    """Read a network that `save` wrote; see `load_with` for what is refused."""
    return load_model_with_metadata(Path(path))[0]


def load_model_with_metadata(path: Path) -> tuple[Network, dict[str, Any]]:
    """Read a network and what shaped it, believing nothing of the file.

    The format can hold no code, and names, shapes and values are checked here.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no network of two layers; it says why.
    """
    if not os.path.lexists(path):
        raise FileNotFoundError(
            f"{path} is missing: python -m pipeline.train makes a network"
        )
    if not path.is_file():
        raise ValueError(f"{path} is no file: a network is a .safetensors file")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} can't be read: permission denied")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(
            f"{path} is larger than {MAX_FILE_BYTES:,} bytes, as no network is"
        )
    try:
        tensors, about = read_tensors(path)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from None
    hidden = tensors["layer_1.bias"].size if "layer_1.bias" in tensors else 0
    expected = {
        "layer_1.weight": (hidden, PIXELS),
        "layer_1.bias": (hidden,),
        "layer_2.weight": (CLASSES, hidden),
        "layer_2.bias": (CLASSES,),
    }
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if not hidden or found != expected:
        raise ValueError(
            f"{path} holds {found!s:.300}; a network holds layer_1.weight (hidden, "
            f"{PIXELS}), layer_1.bias (hidden), layer_2.weight ({CLASSES}, hidden) and "
            f"layer_2.bias ({CLASSES})"
        )
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} must hold finite numbers of float32")
    if not _stays_finite(tensors):
        raise ValueError(
            f"{path} holds numbers so large that no answer can be computed"
        )
    for key, kind in {"dataset": str, "split": str, "epochs": int, "seed": int}.items():
        if not isinstance(about.get(key, kind()), kind):
            raise ValueError(f"{path} says that its {key} is {about[key]!r:.40}")
    network = Network(hidden=hidden, generator=torch.Generator())
    network.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    return network, about


def _stays_finite(tensors: Mapping[str, np.ndarray]) -> bool:
    """Say whether no picture can make a network's sums overflow."""
    w_1, b_1, w_2, b_2 = (
        np.abs(tensors[f"layer_{layer}.{part}"])
        for layer in (1, 2)
        for part in ("weight", "bias")
    )
    with np.errstate(over="ignore"):
        return bool(np.isfinite((w_1.sum(axis=1) + b_1) @ w_2.T + b_2).all())


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of a file, and what belongs to them, if that is said."""
    if not path.is_file():
        raise ValueError("it is no file that can be read")
    with safe_open(path, framework="np") as stored:
        try:
            tensors = {name: stored.get_tensor(name) for name in [*stored.keys()]}
            about = json.loads((stored.metadata() or {}).get("about", "{}"))
        except AttributeError as error:  # a type of numbers that NumPy lacks
            raise ValueError(f"its numbers are of an unknown type: {error}") from None
        except RecursionError:
            raise ValueError("what it says of itself is too deep") from None
    if not isinstance(about, dict):
        raise ValueError("what it says of itself is no JSON object")
    return tensors, about


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], about: dict[str, Any]
) -> str:
    """Write tensors and what belongs to them; the same input, the same bytes.

    Returns:
        The sha256 of the file.
    """
    # One key only: safetensors writes several in random order, and the bytes with them.
    metadata = {"about": json.dumps(about, sort_keys=True)}
    content = safetensors.save(dict(tensors), metadata)
    with files.atomic_file(path) as written:
        written.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
