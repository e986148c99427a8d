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


def snapshot(network: Network) -> Snapshot:
    """Copy the four tensors of a network, by name, with PyTorch's shapes."""
    return {name: t.numpy().copy() for name, t in network.state_dict().items()}


def save_model(path: Path, network: Network, metadata: Mapping[str, Any]) -> str:
    """Write a network and its metadata atomically; equal input gives equal bytes.

    Args:
        path: The file.
        network: The network.
        metadata: Values that JSON can represent: seed, data set, ... The number of
            hidden neurons is added as `hidden`.

    Returns:
        The sha256 of the file.
    """
    hidden = network.layer_1.out_features
    return write_tensors(path, snapshot(network), {**metadata, "hidden": hidden})


def save_history(
    path: Path, snapshots: Sequence[Snapshot], metadata: Mapping[str, Any]
) -> None:
    """Write the tensors of all epochs atomically, with the epoch as the first axis.

    Args:
        path: The file.
        snapshots: The tensors before training, then after every epoch.
        metadata: Values that JSON can represent.
    """
    names = snapshots[0]
    stacked = {name: np.stack([each[name] for each in snapshots]) for name in names}
    write_tensors(path, stacked, metadata)


def load_model(path: Path | str) -> Network:
    """Read a network; `load_model_with_metadata` describes what is checked."""
    return load_model_with_metadata(Path(path))[0]


def load_model_with_metadata(path: Path) -> tuple[Network, dict[str, Any]]:
    """Read a network and its metadata from a file that may have any content.

    Names, shapes, types and values are checked.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is not a network with two layers; the message says why.
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
    try:
        tensors, metadata = read_tensors(path)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from None
    _check_tensors(path, tensors)
    for key, kind in {"dataset": str, "split": str, "epochs": int, "seed": int}.items():
        if not isinstance(metadata.get(key, kind()), kind):
            value = f"{metadata[key]!r:.40}"
            raise ValueError(f"{path}: {key} must be {kind.__name__}, got {value}")
    hidden = len(tensors["layer_1.bias"])
    network = Network(hidden=hidden, generator=torch.Generator())
    network.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    return network, metadata


def _check_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Raise a ValueError if these are not the four tensors of a network."""
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
    if not _logits_are_finite(tensors):
        raise ValueError(f"{path} contains values so large that logits overflow")


def _logits_are_finite(tensors: Mapping[str, np.ndarray]) -> bool:
    """Return whether the logits of every possible image are finite."""
    w_1, b_1, w_2, b_2 = (
        np.abs(tensors[f"layer_{layer}.{part}"])
        for layer in (1, 2)
        for part in ("weight", "bias")
    )
    with np.errstate(over="ignore"):  # pixels are at most 1: this bounds every logit
        return bool(np.isfinite((w_1.sum(axis=1) + b_1) @ w_2.T + b_2).all())


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of a file and its metadata, {} if it has none.

    Raises:
        ValueError: If the file is not readable, has tensors of a type that NumPy lacks
            or metadata that are not a JSON object; or an error of safetensors.
    """
    if not path.is_file():
        raise ValueError("it is not a regular file")
    with safe_open(path, framework="np") as stored:
        try:
            tensors = {name: stored.get_tensor(name) for name in [*stored.keys()]}
            metadata = json.loads((stored.metadata() or {}).get("about", "{}"))
        except AttributeError as error:  # safetensors looks up a type in NumPy
            raise ValueError(f"its numbers have an unknown type: {error}") from None
        except RecursionError:
            raise ValueError("its metadata are nested too deeply") from None
    if not isinstance(metadata, dict):
        raise ValueError("its metadata are not a JSON object")
    return tensors, metadata


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> str:
    """Write tensors and metadata atomically; equal input gives equal bytes.

    Returns:
        The sha256 of the file.
    """
    # A single key, because safetensors writes several keys in random order.
    about = {"about": json.dumps(dict(metadata), sort_keys=True)}
    content = safetensors.save(dict(tensors), about)
    with files.atomic_file(path) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
