"""What hidden neurons do, measured over many images: sums, rates, costs, correlations.

`forward` computes the exact terms of a sum, for one image.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from pipeline import CLASSES
from pipeline.model import Network, to_pixels

BATCH = 1000  # images in a forward pass, so that the pixels fit the processor's cache


@torch.no_grad()
def hidden_pre_activations(
    network: Network, images: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, "n hidden"]:
    """Return the sum of each neuron of layer_1 for each image, before ReLU."""
    batches = [images[row : row + BATCH] for row in range(0, len(images), BATCH)]
    sums = [network.layer_1(to_pixels(batch).flatten(start_dim=1)) for batch in batches]
    return np.asarray(torch.cat(sums))


def activation_rates(
    network: Network, images: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, " hidden"]:
    """Return the fraction of images for which each neuron of layer_1 is above 0."""
    counts = sum(
        (hidden_pre_activations(network, images[row : row + BATCH]) > 0).sum(axis=0)
        for row in range(0, len(images), BATCH)
    )
    return np.asarray(counts / len(images))


def means_by_label(
    activations: Float[np.ndarray, "n hidden"], labels: UInt8[np.ndarray, " n"]
) -> Float[np.ndarray, "hidden 10"]:
    """Return the mean activation of each neuron for each digit, 0 without images."""
    rows = [activations[labels == digit] for digit in range(CLASSES)]
    zeros = np.zeros(activations.shape[1])
    return np.stack([r.mean(axis=0, dtype=float) if len(r) else zeros for r in rows], 1)


def accuracies(
    logits: Float[np.ndarray, "n 10"], labels: UInt8[np.ndarray, " n"]
) -> Float[np.ndarray, "11"]:
    """Return the accuracy on all images, then on each digit's, 0 without images."""
    correct = logits.argmax(axis=1) == labels
    groups = [correct, *(correct[labels == digit] for digit in range(CLASSES))]
    return np.array([group.mean() if len(group) else 0.0 for group in groups])


def ablation_costs(
    network: Network,
    activations: Float[np.ndarray, "n hidden"],
    labels: UInt8[np.ndarray, " n"],
) -> Float[np.ndarray, "hidden 11"]:
    """Return the accuracy lost when a neuron of layer_1 always outputs 0.

    Args:
        network: The network.
        activations: The outputs of its layer_1 for each image, after ReLU.
        labels: The digit of each image.

    Returns:
        The loss on all images, then on each digit's; negative values are gains.
    """
    kernel, bias = (array.astype(float) for array in network.layer_2.get_weights())
    exact = activations.astype(float)
    logits = exact @ kernel + bias  # (n, 10)
    ablated = (
        accuracies(logits - np.outer(outputs, weights), labels)
        for outputs, weights in zip(exact.T, kernel, strict=True)
    )
    return np.asarray(accuracies(logits, labels) - np.stack([*ablated]))


def cosine_similarities(
    a: Float[np.ndarray, "n hidden"], b: Float[np.ndarray, "n others"]
) -> Float[np.ndarray, "hidden others"]:
    """Return the cosine of each column of a with each column of b, 0 for zeros."""
    units = []
    for columns in (a, b):
        norms = np.linalg.norm(columns, axis=0)
        units.append(columns / np.where(norms > 0, norms, np.inf))
    return np.asarray(units[0].T @ units[1])


def correlations(
    a: Float[np.ndarray, "n hidden"], b: Float[np.ndarray, "n others"]
) -> Float[np.ndarray, "hidden others"]:
    """Return Pearson's correlation of each column of a with each column of b.

    The correlation with a constant column is 0.
    """
    centred = (values - values.mean(axis=0, dtype=float) for values in (a, b))
    return cosine_similarities(*centred)


@dataclass(frozen=True)
class CorrelatedPair:
    """Two neurons of layer_1, by name, and the correlation of their activations."""

    one: str
    other: str
    correlation: float


def correlated_pairs(
    correlation: Float[np.ndarray, "hidden hidden"], *, limit: int
) -> list[CorrelatedPair]:
    """Return the pairs of neurons with the highest correlations, highest first."""
    rows, columns = np.triu_indices(len(correlation), k=1)
    values = correlation[rows, columns]
    return [
        CorrelatedPair(f"N1{rows[k] + 1}", f"N1{columns[k] + 1}", float(values[k]))
        for k in np.argsort(-values, kind="stable")[:limit]
    ]
