"""The report page: selects the data that fits in 5 MB and fills the HTML template.

The HTML, CSS and JavaScript files beside this module define what the page displays.
"""

import base64
import gzip
import json
import re
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Int
from safetensors import numpy as safetensors

from pipeline.datasets import LabelledImages
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.model import Network, TrainedModel, network_from, snapshot

GALLERY_IMAGES = 100  # test images that the user can choose from
MAX_MISCLASSIFIED = 25  # misclassified images among them
ACTIVATION_IMAGES = 1000  # test images whose hidden activations are stored
MAX_EARLIER_EPOCHS = 20  # before the last epoch, the initial weights included
MAX_DATA_BYTES = 3_600_000  # of weights and activations: 5 MB as base64


def render(analysis: ModelAnalysis, *, name: str) -> str:
    """Return the page of a network with this name; equal arguments give equal bytes.

    If the network does not fit (see `fits`), the page is short and says so.
    """
    folder, spec, trained = files(__package__), analysis.spec, analysis.trained
    texts = {"noun": escape(spec.noun), "plural": escape(spec.plural)}
    texts["size"] = f"{trained.network.parameter_count:,}"
    if fits(trained):
        tensors, metadata = page_data(analysis)
        page = json.dumps({**metadata, "name": name}, sort_keys=True)
        packed = safetensors.save(tensors, {"page": page})
        texts["data"] = base64.b64encode(gzip.compress(packed, mtime=0)).decode()

    def part(name: str) -> str:
        return texts.get(name) or folder.joinpath(name).read_text("utf-8")

    template = part("page.html" if fits(trained) else "too_large.html")
    return re.sub(r"\{\{ (\S+) \}\}", lambda match: part(match[1]), template)


def fits(trained: TrainedModel) -> bool:
    """Return whether the page has room for the network and its initial weights."""
    needed = 1 if trained.history_path.exists() else 0
    return epoch_capacity(trained.network) >= needed


def page_data(
    analysis: ModelAnalysis,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of the page by name, and its metadata.

    Only the metadata contains text from users; the page displays it as plain text.
    """
    trained, history = analysis.trained, analysis.history or {}
    network, test = trained.network, analysis.dataset.test
    train, val = analysis.split.train, analysis.split.val
    frozen = analysis.frozen  # without a history, the weights of always-zero pixels
    if frozen is None:
        frozen = np.repeat(analysis.always_zero[:, None], analysis.hidden, axis=1)
    recorded = len(next(iter(history.values()), ()))
    epochs = select_epochs(recorded, capacity=epoch_capacity(network))
    rows = select_test_images(network, test)
    tensors = {
        **snapshot(network),
        **{f"epochs.{n}": t[epochs].astype(np.float16) for n, t in history.items()},
        "images": test.images[rows],
        "image_labels": test.labels[rows],
        "activations": np.maximum(analysis.sums[:ACTIVATION_IMAGES], 0),
        "labels": test.labels[:ACTIVATION_IMAGES],
        "frozen": frozen.T.astype(np.uint8),
        "nonzero_rate": np.float32(analysis.nonzero / len(train)),
        "mean_level": np.float32(train.images.mean(axis=0).ravel() / 255),
    }
    earlier = [{name: t[epoch] for name, t in history.items()} for epoch in epochs]
    validation_accuracy = [
        float((model.classify(val.images) == val.labels).mean())
        for model in [*map(network_from, earlier), network]
    ]
    metadata = {
        "dataset": analysis.dataset.name,
        "class_names": analysis.spec.class_names,
        "noun": analysis.spec.noun,
        "plural": analysis.spec.plural,
        "drawable": analysis.spec.prepared_as_mnist,
        "sha256": trained.sha256,
        "size": network.parameter_count,
        "training_images": len(train),
        "validation_images": len(val),
        "epochs": [*epochs, trained.epochs],
        "validation_accuracy": validation_accuracy,
        "curves": trained.curves,
        "rows": rows.tolist(),
    }
    if detector := trained.detector:
        tensors["detector.means"] = detector.means
        tensors["detector.components"] = detector.components
        metadata["max_error"] = detector.max_error
        metadata["min_margin"] = detector.min_margin
    return {name: np.ascontiguousarray(t) for name, t in tensors.items()}, metadata


def epoch_capacity(network: Network) -> int:
    """Return how many earlier epochs fit; negative if not even the last one does.

    A weight takes 4 bytes in the last epoch and 2 in an earlier one, a stored hidden
    activation 4. A network of 400 hidden neurons leaves room for one earlier epoch.
    """
    used = 4 * (network.parameter_count + ACTIVATION_IMAGES * network.hidden)
    return (MAX_DATA_BYTES - used) // (2 * network.parameter_count)


def select_epochs(recorded: int, *, capacity: int) -> list[int]:
    """Select up to `capacity` evenly spaced epochs before the last, from epoch 0.

    The initial weights, epoch 0, count among the recorded epochs.
    """
    count = min(MAX_EARLIER_EPOCHS, recorded - 1, capacity)
    return [round(step * (recorded - 1) / count) for step in range(count)]


def select_test_images(
    network: Network, test: LabelledImages
) -> Int[np.ndarray, " rows"]:
    """Select the first test images and the first misclassified ones, in order."""
    wrong = network.classify(test.images) != test.labels
    misclassified = np.flatnonzero(wrong)[:MAX_MISCLASSIFIED]
    others = np.setdiff1d(np.arange(len(test)), misclassified)
    others = others[: GALLERY_IMAGES - len(misclassified)]
    return np.sort(np.append(misclassified, others))
