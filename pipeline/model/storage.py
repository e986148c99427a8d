"""Networks and weight histories as safetensors files, which cannot contain code.

The hyperparameters are stored with the weights, so loading needs no configuration.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from pipeline import CLASSES, PIXELS, files
from pipeline.model.network import Network

MAX_FILE_BYTES = 40_000_000  # 10,000 hidden neurons, the maximum, take 32 million
Snapshot = dict[str, Float[np.ndarray, "..."]]
# A type of numbers that NumPy lacks is an AttributeError, deep JSON a RecursionError.
UNREADABLE = (
    SafetensorError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)


def snapshot(network: Network) -> Snapshot:
    """Copy the four tensors of a network, by name, with PyTorch's shapes."""
    return {name: t.numpy().copy() for name, t in network.state_dict().items()}


def network_from(tensors: Snapshot) -> Network:
    """Make a network from its four tensors; the inverse of `snapshot`."""
    hidden = tensors["layer_1.bias"].size
    network = Network(hidden=hidden, generator=torch.Generator())
    network.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    return network


def save_model(path: Path, network: Network, metadata: Mapping[str, Any]) -> str:
    """Write a network as `write_tensors` does, and add `hidden` to its metadata."""
    hidden = network.layer_1.out_features
    return write_tensors(path, snapshot(network), {**metadata, "hidden": hidden})


def save_history(
    path: Path, snapshots: Sequence[Snapshot], metadata: Mapping[str, Any]
) -> None:
    """Write the tensors before training and after every epoch as `write_tensors` does.

    The epoch is an additional first axis.
    """
    names = snapshots[0]
    stacked = {name: np.stack([each[name] for each in snapshots]) for name in names}
    write_tensors(path, stacked, metadata)


def load_model(path: Path | str) -> Network:
    """Read a network; `load_model_with_metadata` describes what is checked."""
    return load_model_with_metadata(Path(path))[0]


def load_model_with_metadata(path: Path) -> tuple[Network, dict[str, Any]]:
    """Read a network and its metadata; the file may have any content.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If names, shapes, types or values are not those of a network.
    """
    if not os.path.lexists(path):
        raise FileNotFoundError(
            f"{path} is missing: python -m pipeline.train makes a network"
        )
    if not path.is_file():
        raise ValueError(f"{path} is not a file: a network is a .safetensors file")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} cannot be read: permission denied")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(
            f"{path} is too large: a network has at most {MAX_FILE_BYTES:,} bytes"
        )
    tensors, metadata = read_tensors(path)
    hidden = tensors["layer_1.bias"].size if "layer_1.bias" in tensors else 0
    expected = {
        "layer_1.weight": (hidden, PIXELS),
        "layer_1.bias": (hidden,),
        "layer_2.weight": (CLASSES, hidden),
        "layer_2.bias": (CLASSES,),
    }
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if not hidden or shapes != expected:
        raise ValueError(
            f"{path} contains {shapes!s:.300}; a network contains layer_1.weight "
            f"(hidden, {PIXELS}), layer_1.bias (hidden), layer_2.weight ({CLASSES}, "
            f"hidden) and layer_2.bias ({CLASSES})"
        )
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} must contain finite float32 values")
    if not _logits_are_finite(*(tensors[name] for name in expected)):
        raise ValueError(f"{path} contains values so large that logits overflow")
    for key, kind in {"dataset": str, "split": str, "epochs": int, "seed": int}.items():
        if not isinstance(metadata.get(key, kind()), kind):
            value = f"{metadata[key]!r:.40}"
            raise ValueError(f"{path}: {key} must be {kind.__name__}, got {value}")
    return network_from(tensors), metadata


def _logits_are_finite(*arrays: np.ndarray) -> bool:
    """Return whether the logits of every image are finite; pixels are at most 1."""
    w_1, b_1, w_2, b_2 = map(np.abs, arrays)
    with np.errstate(over="ignore"):
        return bool(np.isfinite((w_1.sum(axis=1) + b_1) @ w_2.T + b_2).all())


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of a file and its metadata, {} if it has none.

    Raises:
        ValueError: If NumPy cannot read it, or the metadata are not a JSON object.
    """
    try:
        if not path.is_file():
            raise ValueError("it is not a regular file")
        with safe_open(path, framework="np") as stored:
            tensors = {name: stored.get_tensor(name) for name in [*stored.keys()]}
            metadata = json.loads((stored.metadata() or {}).get("about", "{}"))
        if not isinstance(metadata, dict):
            raise ValueError("its metadata are not a JSON object")
    except UNREADABLE as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from None
    return tensors, metadata


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> str:
    """Write tensors and metadata atomically; equal input gives equal bytes.

    Args:
        path: The file.
        tensors: The tensors, by name.
        metadata: Values that JSON can represent, such as the hyperparameters.

    Returns:
        The sha256 of the file.
    """
    # A single key, because safetensors writes several keys in random order.
    about = {"about": json.dumps(dict(metadata), sort_keys=True)}
    content = safetensors.save(dict(tensors), about)
    with files.atomic_file(path) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
