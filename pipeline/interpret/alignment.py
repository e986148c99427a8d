"""Neuron alignment: match the hidden neurons of two networks.

The order of hidden neurons is arbitrary: if neurons are permuted together with their
weights, the network computes the same function. Two networks can therefore only be
compared after their neurons are matched.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pipeline.core import PIXELS
from pipeline.core.dataset import LabeledImages
from pipeline.core.metrics import agreement
from pipeline.core.network import Network
from pipeline.interpret.measurements import hidden_sums

TIE_WEIGHT = 1e-6  # the weight of a tie breaker, relative to a similarity


@dataclass(frozen=True)
class NeuronMatch:
    """A neuron of network B that matches a neuron of network A."""

    b: int  # the index of the neuron of B, from 0
    similarity: float  # a correlation or cosine; nan if one of the neurons never varies

    @property
    def similarity_text(self) -> str:
        """The similarity, or `constant` if one of the neurons never varies."""
        return "constant" if np.isnan(self.similarity) else f"{self.similarity:+z.3f}"


def match_neurons(
    similarity: Float[np.ndarray, "a b"],
    *,
    tie_breaker: Float[np.ndarray, "a b"] | float = 0.0,
) -> dict[int, NeuronMatch]:
    """Match neurons one to one so that the sum of their similarities is maximal.

    A similarity of nan counts as 0, and `tie_breaker` decides between equally good
    matchings. If the networks differ in size, some neurons of the larger network have
    no match.

    Source: Kuhn, The Hungarian method for the assignment problem (1955), as SciPy's
    linear_sum_assignment solves it.
    """
    score = np.nan_to_num(similarity) + TIE_WEIGHT * tie_breaker
    rows, columns = linear_sum_assignment(score, maximize=True)
    return {
        int(a): NeuronMatch(int(b), float(similarity[a, b]))
        for a, b in zip(rows, columns, strict=True)
    }


def cosine_similarity(
    a: Float[np.ndarray, "rows a"], b: Float[np.ndarray, "rows b"]
) -> Float[np.ndarray, "a b"]:
    """Return the cosine of each pair of columns; nan if a column has only zeros.

    Cosines are rounded, because the last digits of a matrix product depend on the
    processor.
    """
    with np.errstate(invalid="ignore"):  # 0 / 0
        a, b = (columns / np.linalg.norm(columns, axis=0) for columns in (a, b))
    return np.asarray((a.T @ b).round(12))


def neuron_weights(network: Network) -> Float[np.ndarray, "795 hidden"]:
    """Return the parameters of each hidden neuron: 784 weights, bias, 10 outgoing."""
    kernel, bias = network.layer_1.get_weights()
    outgoing, _ = network.layer_2.get_weights()
    return np.vstack([kernel, bias, outgoing.T]).astype(float, order="F")


@dataclass(frozen=True)
class NetworkComparison:
    """Networks A and B and their matched neurons."""

    a: Network
    b: Network
    by_weights: dict[int, NeuronMatch]  # by the cosine of all parameters of a neuron
    by_activations: dict[int, NeuronMatch]  # by the correlation over the test images
    accuracy: tuple[float, float]  # the accuracy of A and of B on the test images
    agreement: float  # fraction of the test images with the same prediction

    @classmethod
    def of(cls, a: Network, b: Network, test: LabeledImages) -> "NetworkComparison":
        """Compare two networks on test images."""
        outputs = [np.maximum(hidden_sums(n, test.images), 0) for n in (a, b)]
        predictions = [n.classify(test.images) for n in (a, b)]
        # The similarity is nan if all weights are 0, or if an output never varies.
        weights = [neuron_weights(n) for n in (a, b)]
        cosines = np.nan_to_num(cosine_similarity(*weights))
        # The cosine is also 1 if all weights of one neuron are twice as large.
        distances = cdist(*(columns.T for columns in weights))
        closeness = -distances / max(distances.max(), 1e-300)  # at least -1
        centered = [x - x.mean(axis=0, dtype=float) for x in outputs]
        for values, differences in zip(outputs, centered, strict=True):
            differences[:, np.ptp(values, axis=0) == 0] = 0  # without a rounding error
        correlations = cosine_similarity(*centered)
        return cls(
            a,
            b,
            by_weights=match_neurons(cosines, tie_breaker=closeness),
            by_activations=match_neurons(
                correlations, tie_breaker=cosines + TIE_WEIGHT * closeness
            ),
            accuracy=(
                agreement(predictions[0], test.labels),
                agreement(predictions[1], test.labels),
            ),
            agreement=agreement(*predictions),
        )

    @property
    def kernels(self) -> list[Float[np.ndarray, "784 _"]]:
        """The weights of layer 1 of A and of B."""
        return [network.layer_1.get_weights()[0] for network in (self.a, self.b)]

    def differences(self) -> dict[str, tuple[float, float]]:
        """Return the largest and the mean absolute difference of each array.

        The neurons of B are in the order of the neurons of A that they match by their
        weights. Neurons without a match are omitted.
        """
        matched = [match.b for match in self.by_weights.values()]
        a = neuron_weights(self.a)[:, [*self.by_weights]]
        b = neuron_weights(self.b)[:, matched]
        biases = [n.layer_2.get_weights()[1].astype(float) for n in (self.a, self.b)]
        absolute = np.abs(a - b)
        arrays = {
            "layer_1 weights": absolute[:PIXELS],
            "layer_1 biases": absolute[PIXELS],
            "layer_2 weights": absolute[PIXELS + 1 :],
            "layer_2 biases": np.abs(biases[0] - biases[1]),
        }
        return {name: (float(x.max()), float(x.mean())) for name, x in arrays.items()}
