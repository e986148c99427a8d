"""Networks and their histories in files that hold tensors and text, and can't run code.

The format is safetensors. What shapes a network stands in the file beside its weights,
so that loading needs no configuration.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import numpy as safetensors
from safetensors import safe_open

from pipeline import atomic
from pipeline.network import Network

Snapshot = dict[str, Float[np.ndarray, "..."]]


def snapshot(network: Network) -> Snapshot:
    """Copy the four tensors of a network, by name, as PyTorch shapes them."""
    return {name: t.numpy().copy() for name, t in network.state_dict().items()}


def save(path: Path, network: Network, about: dict[str, Any]) -> str:
    """Write the four tensors and what shaped them; the same input, the same bytes.

    Args:
        path: The file, which is whole or absent.
        network: The network; its number of hidden neurons is written with it.
        about: What else belongs to it, as JSON can hold it: seed, data set, ...

    Returns:
        The sha256 of the file.
    """
    described = {**about, "hidden": network.layer_1.out_features}
    return _write(path, snapshot(network), described)


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
    _write(path, stacked, about)


def load(path: Path | str) -> Network:
    """Read a network that `save` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} is missing: run python -m pipeline.train")
    with safe_open(path, framework="pt") as stored:
        about = json.loads(stored.metadata()["about"])
        network = Network(hidden=about["hidden"], generator=torch.Generator())
        names = network.state_dict()
        network.load_state_dict({name: stored.get_tensor(name) for name in names})
    return network


def _write(path: Path, tensors: Snapshot, about: dict[str, Any]) -> str:
    # One key only: safetensors writes several in random order, and the bytes with them.
    content = safetensors.save(tensors, {"about": json.dumps(about, sort_keys=True)})
    with atomic.file(path) as written:
        written.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
