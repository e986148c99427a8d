"""The glass-box page: one file in which every number of a network can be pointed at.

It holds the network, what it was in earlier epochs, and test pictures, as a safetensors
file in gzip and base64; and it computes in the browser, without any request. So it
opens from disk, and in the sandboxed frame in which MLflow shows artifacts.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import numpy as safetensors

from pipeline.datasets.dataset import Dataset, LabelledImages
from pipeline.interpret.frozen import nonzero_counts
from pipeline.interpret.neurons import hidden_pre_activations
from pipeline.model import storage
from pipeline.model.metrics import accuracy
from pipeline.model.network import Network
from pipeline.model.ood import OodDetector

CHOICE = 100  # test pictures to choose among
MISTAKES = 25  # of these, at least, where the network makes so many
STORED = 1000  # test pictures whose hidden activations are stored
EARLIER = 20  # epochs before the last, with the initial weights: of 20, all
LARGEST = 3_600_000  # bytes of weights and activations, for a page of 5 MB at most
TOO_LARGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Inside the network</title>
<body style="font: 1.1rem/1.5 system-ui; margin: 2rem">
<h1>Inside the network</h1>
<p>A network of {size:,} numbers is too large for a page. The pictures and tables beside
it, and <code>python -m pipeline.inspect</code>, tell of it.</p>
"""
SCRIPTS = ("digits.js", "network.js", "page.js")


@dataclass(frozen=True)
class Subject:
    """A network to look into, and all that belongs to it."""

    name: str  # what people call it
    network: Network
    sha256: str  # of its file
    history: Mapping[str, Float[np.ndarray, "epochs ..."]]  # or empty: not known
    familiar: OodDetector | None  # None: not known
    dataset: Dataset
    split: str  # how the data set was divided
    epochs: int  # that it was trained; 0: not known


def page(subject: Subject) -> str:
    """Fill the page with a network; the same network makes the same bytes.

    Of a network too large for 5 MB it says that, and nothing else; see `fits`.
    """
    if not fits(subject):
        return TOO_LARGE.format(size=subject.network.size)
    tensors, about = contents(subject)
    stored = safetensors.save(tensors, {"about": json.dumps(about, sort_keys=True)})
    numbers = base64.b64encode(gzip.compress(stored, mtime=0)).decode()
    parts = files(__name__)
    script = "\n".join(parts.joinpath(name).read_text("utf-8") for name in SCRIPTS)
    whole = parts.joinpath("page.html").read_text("utf-8")
    for name, text in (
        ("style", parts.joinpath("page.css").read_text("utf-8")),
        ("script", f'"use strict";\n{script}'),
        ("numbers", numbers),
    ):
        whole = whole.replace(f"{{{{ {name} }}}}", text)
    return whole


def contents(subject: Subject) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Gather what the page shows: tensors by name, and what is said beside them.

    Text that people chose stands in the second alone, which the page shows as text.
    """
    network, dataset = subject.network, subject.dataset
    split, test = dataset.split(subject.split), dataset.test
    final = storage.snapshot(network)
    hidden = np.maximum(
        hidden_pre_activations(network, test.images[:STORED]), 0
    )  # ReLU
    known = len(next(iter(subject.history.values()), ()))
    epochs = kept(known, room=room(network))
    earlier = {
        name: stacked[epochs].astype(np.float16)
        for name, stacked in subject.history.items()
    }
    rows = choice(network, test)
    images = split.train.images
    lit = nonzero_counts(images)
    tensors = {
        **final,
        **{f"epochs.{name}": stacked for name, stacked in earlier.items()},
        "images": test.images[rows],
        "image_labels": test.labels[rows],
        "hidden": hidden,
        "labels": test.labels[: len(hidden)],
        "lit": np.float32(lit / len(images)),
        "level": np.float32(images.mean(axis=0).ravel() / 255),
    }
    about = {
        "name": subject.name,
        "dataset": dataset.name,
        "sha256": subject.sha256,
        "hidden": network.layer_1.out_features,
        "size": network.size,
        "learned": len(split.train),
        "watched": len(split.val),
        "epochs": [*epochs, subject.epochs],
        "accuracies": [
            *(_accuracy(_network(subject.history, at), split.val) for at in epochs),
            _accuracy(network, split.val),
        ],
        "rows": rows.tolist(),
        "never_lit": np.flatnonzero(lit == 0).tolist(),
        "familiar": None,
    }
    if subject.familiar:
        tensors["familiar.means"] = subject.familiar.means
        tensors["familiar.components"] = subject.familiar.components
        about["familiar"] = {
            "most_unexplained": subject.familiar.max_error,
            "least_margin": subject.familiar.min_margin,
        }
    return {name: np.ascontiguousarray(t) for name, t in tensors.items()}, about


def fits(subject: Subject) -> bool:
    """Say whether there is room for a network, and for its initial weights if known."""
    return room(subject.network) >= (1 if subject.history else 0)


def room(network: Network) -> int:
    """Return for how many earlier epochs a page has room beside the last.

    The last takes 4 bytes a number, an earlier one 2, and each stored picture 4 a
    neuron; 400 neurons leave room for one epoch.
    """
    stored = 4 * (network.size + STORED * network.layer_1.out_features)
    return (LARGEST - stored) // (2 * network.size)


def kept(known: int, *, room: int) -> list[int]:
    """Choose the epochs before the last that are kept: evenly, the initial one first.

    Args:
        known: The epochs whose weights are known, the initial weights included.
        room: How many there is room for.
    """
    count = min(EARLIER, known - 1, room)
    return [round(step * (known - 1) / count) for step in range(count)]


def choice(network: Network, test: LabelledImages) -> Int[np.ndarray, " rows"]:
    """Choose test pictures: the first ones, and the first that are misread."""
    answers = network.logits(test.images).argmax(dim=1).numpy()
    misread = np.flatnonzero(answers != test.labels)[:MISTAKES]
    first = np.setdiff1d(np.arange(len(test)), misread)[: CHOICE - len(misread)]
    return np.sort(np.concatenate([first, misread]))


def _network(history: Mapping[str, np.ndarray], epoch: int) -> Network:
    tensors = {n: torch.from_numpy(stacked[epoch]) for n, stacked in history.items()}
    hidden = len(tensors["layer_1.bias"])
    network = Network(hidden=hidden, generator=torch.Generator())
    network.load_state_dict(tensors)
    return network


def _accuracy(network: Network, pictures: LabelledImages) -> float:
    labels = torch.from_numpy(pictures.labels).long()
    return accuracy(network.logits(pictures.images), labels).item()
