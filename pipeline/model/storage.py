"""The files of trained networks: the weights, and their history.

They are safetensors files, which cannot contain code. The hyperparameters are stored
with the weights, so loading needs no configuration. `records` reads the text files.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from pipeline import CLASSES, PIXELS, UserError, files
from pipeline.datasets import SPLITS
from pipeline.model.network import Network, Snapshot, network_from, snapshot
from pipeline.paths import outputs_dir

VERSION = 1  # of the format of these files
MAX_FILE_BYTES = 40_000_000  # 10,000 hidden neurons, the maximum, take 32 million
# A dtype that NumPy lacks raises AttributeError, deeply nested JSON RecursionError.
UNREADABLE = (SafetensorError, ValueError, TypeError, AttributeError, RecursionError)


def save_model(path: Path, network: Network, metadata: Mapping[str, Any]) -> str:
    """Write a network, and its metadata with `hidden`; return its `tensors_sha256`."""
    tensors, hidden = snapshot(network), network.hidden
    write_tensors(path, tensors, {**metadata, "hidden": hidden})
    return tensors_sha256(tensors)


def save_history(
    path: Path, snapshots: Sequence[Snapshot], metadata: Mapping[str, Any]
) -> None:
    """Write the tensors of all epochs, from 0, stacked along a new first axis."""
    names = snapshots[0]
    stacked = {name: np.stack([s[name] for s in snapshots]) for name in names}
    write_tensors(path, stacked, metadata)


def load_network(path: Path) -> tuple[Network, dict[str, Any]]:
    """Read a network and its metadata; the file is not trusted.

    Raises:
        FileNotFoundError: If the file is missing.
        UserError: If names, shapes, types or values are not those of a network.
    """
    if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(
            f"{path} is too large: a network has at most {MAX_FILE_BYTES:,} bytes"
        )
    tensors, metadata = read_tensors(path)
    _check_tensors(tensors, path)
    network = network_from(tensors)
    _check_metadata(metadata, network.hidden, path)
    return network, metadata


def _check_tensors(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """Raise a UserError if these are not the tensors of a network."""
    hidden = tensors["layer_1.bias"].size if "layer_1.bias" in tensors else 0
    expected = {
        "layer_1.weight": (hidden, PIXELS),
        "layer_1.bias": (hidden,),
        "layer_2.weight": (CLASSES, hidden),
        "layer_2.bias": (CLASSES,),
    }
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if not hidden or shapes != expected:
        raise UserError(
            f"{path} contains {shapes!s:.300}; a network contains layer_1.weight "
            f"(hidden, {PIXELS}), layer_1.bias (hidden), layer_2.weight ({CLASSES}, "
            f"hidden) and layer_2.bias ({CLASSES})"
        )
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            raise UserError(f"{path}: {name} must contain finite float32 values")
    # Pixels are at most 1, so no logit of any image is larger than these.
    w_1, b_1, w_2, b_2 = (np.abs(tensors[name]) for name in expected)
    with np.errstate(over="ignore"):
        largest = (w_1.sum(axis=1) + b_1) @ w_2.T + b_2
    if not np.isfinite(largest).all():
        raise UserError(f"{path} contains values that make the logits overflow")


def _check_metadata(metadata: Mapping[str, Any], hidden: int, path: Path) -> None:
    """Raise a UserError if a value is invalid; any of them may be missing."""
    get = metadata.get
    for key, rule, is_valid in (
        ("dataset", "be str", isinstance(get("dataset", ""), str)),
        ("split", f"be {' or '.join(SPLITS)}", get("split", SPLITS[0]) in SPLITS),
        ("epochs", "be int", isinstance(get("epochs", 0), int)),
        ("seed", "be int", isinstance(get("seed", 0), int)),
        ("min_margin", "be finite and >= 0", is_threshold(get("min_margin", 0.0))),
        ("hidden", f"match its shapes, {hidden}", get("hidden", hidden) == hidden),
    ):
        if not is_valid:
            raise UserError(f"{path}: {key} must {rule}, got {metadata[key]!r:.40}")


def load_history(path: Path, *, network: Network) -> Snapshot:
    """Read the history whose last epoch is `network`; the inverse of `save_history`.

    Raises:
        FileNotFoundError: If the file is missing.
        UserError: If the file is damaged or its last epoch is another network.
    """
    history, _ = read_tensors(path)
    last = snapshot(network)
    if history.keys() != last.keys() or not all(
        tensor.dtype == np.float32
        and tensor.shape == (*history["layer_1.bias"].shape[:1], *last[name].shape)
        and tensor[-1:].tobytes() == last[name].tobytes()
        and np.isfinite(tensor).all()
        for name, tensor in history.items()
    ):
        raise UserError(f"{path} does not belong to the network in the same folder")
    return history


def is_threshold(value: object) -> TypeGuard[float]:
    """Return whether this is a finite number that is not negative."""
    return isinstance(value, float) and 0 <= value < np.inf


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors and the metadata of a file; {} if it has no metadata.

    Raises:
        FileNotFoundError: If the file is missing.
        UserError: If it cannot be read, the metadata are not a JSON object, or another
            version of this project wrote it.
    """
    if not os.path.lexists(path):
        is_last = path.absolute().parent == outputs_dir() / "train"
        remedy = ": python -m pipeline.train creates it" if is_last else ""
        raise FileNotFoundError(f"{path} is missing{remedy}")
    try:
        if not path.is_file():
            raise UserError("it is a folder or a special file")
        # Opened twice: safetensors reports an unreadable file as missing.
        with path.open("rb"), safe_open(path, framework="np") as stored:
            tensors = {name: stored.get_tensor(name) for name in [*stored.keys()]}
            metadata = json.loads((stored.metadata() or {}).get("about", "{}"))
        if not isinstance(metadata, dict):
            raise UserError("its metadata are not a JSON object")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise UserError(f"{path} is not a safetensors file: {error}") from None
    version = metadata.pop("version", None) if metadata else VERSION
    if version != VERSION:
        raise UserError(
            f"{path} was written by another version of this project: its format must "
            f"be {VERSION}, got {version!r:.40}; python -m pipeline.train writes it "
            "again"
        )
    return tensors, metadata


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write tensors and JSON metadata atomically; equal input gives equal bytes."""
    # One key, because safetensors writes several keys in random order.
    about = json.dumps({**metadata, "version": VERSION}, sort_keys=True)
    content = safetensors.save(dict(tensors), {"about": about})
    with files.atomic_file(path) as temporary:
        temporary.write_bytes(content)


def tensors_sha256(tensors: Mapping[str, np.ndarray]) -> str:
    """Return a hash of the names, types, shapes and values of tensors.

    It identifies a network and does not depend on the metadata of the file.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        header = [name, str(tensor.dtype), tensor.shape]
        digest.update(json.dumps(header).encode())
        digest.update(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
