"""Selects the data of the report page: weights, earlier epochs and test images.

It decides what fits in a file of 5 MB; `page` writes the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pipeline.datasets import Dataset, LabelledImages
from pipeline.interpret.frozen import nonzero_counts
from pipeline.interpret.neurons import accuracies, hidden_pre_activations
from pipeline.model import Network, OodDetector, network_from, snapshot

GALLERY_IMAGES = 100  # test images that the user can choose from
MAX_MISCLASSIFIED = 25  # of these
ACTIVATION_IMAGES = 1000  # test images whose hidden activations are stored
MAX_EARLIER_EPOCHS = 20  # before the last epoch, the initial weights included
MAX_DATA_BYTES = 3_600_000  # of weights and activations: 5 MB as base64


@dataclass(frozen=True)
class ReportInputs:
    """A trained network and the data that its report page shows."""

    name: str  # as displayed
    network: Network
    sha256: str  # of the model file
    history: Mapping[str, Float[np.ndarray, "epochs ..."]]  # empty: not available
    detector: OodDetector | None  # None: not available
    dataset: Dataset
    split: str  # name of the split of the data set
    epochs: int  # of the training; 0: not known


def fits(inputs: ReportInputs) -> bool:
    """Return whether the page has room for the network and its initial weights."""
    return epoch_capacity(inputs.network) >= (1 if inputs.history else 0)


def page_data(inputs: ReportInputs) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of the page by name, and its metadata.

    Only the metadata contains text from users; the page displays it as plain text.
    """
    network, dataset, history = inputs.network, inputs.dataset, inputs.history
    test, split = dataset.test, dataset.split(inputs.split)
    train, val = split.train, split.val
    stored = test.images[:ACTIVATION_IMAGES]
    activations = np.maximum(hidden_pre_activations(network, stored), 0)
    recorded = len(next(iter(history.values()), ()))
    epochs = select_epochs(recorded, capacity=epoch_capacity(network))
    rows = select_test_images(network, test)
    tensors = {
        **snapshot(network),
        **{f"epochs.{n}": t[epochs].astype(np.float16) for n, t in history.items()},
        "images": test.images[rows],
        "image_labels": test.labels[rows],
        "activations": activations,
        "labels": test.labels[: len(activations)],
        "nonzero_rate": np.float32(nonzero_counts(train.images) / len(train)),
        "mean_level": np.float32(train.images.mean(axis=0).ravel() / 255),
    }
    earlier = [{name: t[epoch] for name, t in history.items()} for epoch in epochs]
    networks = [*map(network_from, earlier), network]
    validation_accuracy = [
        float(accuracies(each.logits(val.images).numpy(), val.labels)[0])
        for each in networks
    ]
    metadata = {
        "name": inputs.name,
        "dataset": dataset.name,
        "sha256": inputs.sha256,
        "size": network.size,
        "training_images": len(train),
        "validation_images": len(val),
        "epochs": [*epochs, inputs.epochs],
        "validation_accuracy": validation_accuracy,
        "rows": rows.tolist(),
    }
    if detector := inputs.detector:
        tensors["detector.means"] = detector.means
        tensors["detector.components"] = detector.components
        metadata["max_error"] = detector.max_error
        metadata["min_margin"] = detector.min_margin
    return {name: np.ascontiguousarray(t) for name, t in tensors.items()}, metadata


def epoch_capacity(network: Network) -> int:
    """Return how many earlier epochs fit on the page; negative: not even the last.

    A weight takes 4 bytes in the last epoch and 2 in an earlier one, a stored hidden
    activation 4. A network of 400 hidden neurons leaves room for one earlier epoch.
    """
    used = 4 * (network.size + ACTIVATION_IMAGES * network.layer_1.out_features)
    return (MAX_DATA_BYTES - used) // (2 * network.size)


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
    predictions = network.logits(test.images).argmax(dim=1).numpy()
    misclassified = np.flatnonzero(predictions != test.labels)[:MAX_MISCLASSIFIED]
    others = np.setdiff1d(np.arange(len(test)), misclassified)
    others = others[: GALLERY_IMAGES - len(misclassified)]
    return np.sort(np.append(misclassified, others))
