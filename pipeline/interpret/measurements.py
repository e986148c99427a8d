"""Measurements of a network over many images, and of its weights over many epochs.

`neuron_sum` has the exact terms of a sum, for one image.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8

from pipeline.core import CLASSES, PIXELS, WHITE
from pipeline.core.network import Network, blocks


def is_frozen(values: Float[np.ndarray, "_ ..."]) -> Bool[np.ndarray, "..."]:
    """Return which parameters training never changed, from their values by epoch.

    If an input is 0 for all training images, the gradient of the input's weights is
    always 0.
    """
    bits = values.view(np.uint32)
    return np.asarray((bits == bits[0]).all(axis=0))


def frozen_weights(
    weight_history: Mapping[str, Float[np.ndarray, "..."]],
) -> Bool[np.ndarray, "784 hidden"]:
    """Return which weights of layer 1 are frozen, from the weight history."""
    return is_frozen(weight_history["layer_1.weight"]).T


@torch.no_grad()
def hidden_sums(
    network: Network, images: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, "n hidden"]:
    """Return the sums of layer 1, before ReLU."""
    pixels = (b.reshape(-1, PIXELS) / np.float32(WHITE) for b in blocks(images))
    return torch.cat([network.layer_1(torch.from_numpy(b)) for b in pixels]).numpy()


def activation_rates(
    network: Network, images: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, " hidden"]:
    """Return the fraction of images for which each neuron of layer 1 is above 0."""
    counts = sum((hidden_sums(network, b) > 0).sum(axis=0) for b in blocks(images))
    return np.asarray(counts / len(images))


def means_by_label(
    values: Shaped[np.ndarray, "n columns"], labels: UInt8[np.ndarray, " n"]
) -> Float[np.ndarray, "columns 10"]:
    """Return the mean of each column per class; 0 for a class without images."""
    rows = [values[labels == label] for label in range(CLASSES)]
    zeros = np.zeros(values.shape[1])
    return np.stack([r.mean(axis=0, dtype=float) if len(r) else zeros for r in rows], 1)


def ablation_costs(
    network: Network,
    activations: Float[np.ndarray, "n hidden"],
    labels: UInt8[np.ndarray, " n"],
) -> Float[np.ndarray, "hidden 11"]:
    """Return the accuracy lost when a neuron of layer 1 always outputs 0.

    The first column is the cost over all images, and the other columns are the costs
    per class. A negative cost is a gain. `activations` are the outputs of layer 1 for
    the images.
    """
    kernel, bias = (array.astype(float) for array in network.layer_2.get_weights())
    exact = activations.astype(float)
    logits = exact @ kernel + bias  # (n, 10)
    correct = [logits.argmax(axis=1) == labels]
    for outputs, weights in zip(exact.T, kernel, strict=True):
        ablated = logits - np.outer(outputs, weights)
        correct.append(ablated.argmax(axis=1) == labels)
    columns = np.stack(correct, axis=1)  # (n, 1 + hidden)
    by_class = means_by_label(columns, labels)
    accuracies = np.column_stack([columns.mean(axis=0), by_class])  # (1 + hidden, 11)
    return np.asarray(accuracies[0] - accuracies[1:])
