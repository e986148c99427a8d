"""Two networks side by side: which neuron of one is which of the other.

The hidden neurons of a network stand in no order: moved about, with their weights, they
compute the same. So before two networks are compared, each neuron of one is given its
partner in the other, for all pairs together to be as alike as possible.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from pipeline.datasets.dataset import LabelledImages
from pipeline.interpret import neurons
from pipeline.model.network import Network
from pipeline.plots import MAX_TEMPLATES, ImageRow, diverging_colours

ACROSS = 4  # pairs in a row of the picture


@dataclass(frozen=True)
class NeuronMatch:
    """Two neurons that belong together, counted from 0."""

    one: int
    other: int
    similarity: float  # 1 where they are the same; nan where one never varies

    @property
    def told(self) -> str:
        """The other, and how alike it is."""
        alike = "silent" if np.isnan(self.similarity) else f"{self.similarity:+.3f}"
        return f"N1{self.other + 1:<4} {alike}"


def match_neurons(
    similarity: Float[np.ndarray, "ones others"],
    *,
    between_equals: Float[np.ndarray, "ones others"] | float = 0.0,
) -> list[NeuronMatch]:
    """Pair neurons for the sum of similarities to be the largest there is.

    Of networks of different sizes the larger keeps some neurons without a partner.

    Between pairings that are as good, other similarities decide; nan counts as 0.

    Source: Kuhn, The Hungarian method for the assignment problem (1955), as SciPy's
    linear_sum_assignment solves it.
    """
    worth = np.nan_to_num(similarity) + 1e-6 * between_equals
    ones, others = linear_sum_assignment(worth, maximize=True)
    return [
        NeuronMatch(int(one), int(other), float(similarity[one, other]))
        for one, other in zip(ones, others, strict=True)
    ]


def neuron_weights(network: Network) -> Float[np.ndarray, "hidden 795"]:
    """Return all numbers of each hidden neuron: 784 weights, bias, 10 to the digits."""
    kernel, bias = network.layer_1.get_weights()
    outgoing, _ = network.layer_2.get_weights()
    return np.concatenate([kernel.T, bias[:, None], outgoing], axis=1)


def cosines(
    a: Float[np.ndarray, "ones n"], b: Float[np.ndarray, "others n"]
) -> Float[np.ndarray, "ones others"]:
    """Return the cosine between each row of a and each of b, 1 where they are equal."""
    unit = [
        rows / np.maximum(np.linalg.norm(rows.astype(float), axis=1), 1e-12)[:, None]
        for rows in (a, b)
    ]
    return np.asarray(unit[0] @ unit[1].T)


def differences(
    a: Network, b: Network, matches: Sequence[NeuronMatch]
) -> dict[str, tuple[float, float]]:
    """Return how far the arrays are apart once the neurons of b stand as those of a.

    Returns:
        For each array the largest and the mean difference, over matched neurons.
    """
    ones, others = [m.one for m in matches], [m.other for m in matches]
    found = {}
    for name in ("layer_1", "layer_2"):
        kernels, biases = zip(
            *(getattr(network, name).get_weights() for network in (a, b)), strict=True
        )
        if name == "layer_1":
            apart = kernels[0][:, ones] - kernels[1][:, others]
            biases = biases[0][ones], biases[1][others]
        else:
            apart = kernels[0][ones] - kernels[1][others]
        for part, values in (("kernel", apart), ("bias", biases[0] - biases[1])):
            sizes = np.abs(values)
            found[f"{name} {part}"] = float(sizes.max()), float(sizes.mean())
    return found


@dataclass(frozen=True)
class NetworkComparison:
    """Two networks, and their neurons in pairs, by what they are and what they do."""

    one: Network
    other: Network
    by_weights: list[NeuronMatch]  # similarity: cosine of all numbers of a neuron
    by_activations: list[NeuronMatch]  # similarity: correlation over the test pictures
    accuracy: tuple[float, float]
    agree: float  # share of the test pictures that get the same answer

    @classmethod
    def of(
        cls, one: Network, other: Network, test: LabelledImages
    ) -> "NetworkComparison":
        """Compare two networks on test pictures."""
        both = (one, other)
        said = [
            np.maximum(neurons.hidden_pre_activations(n, test.images), 0) for n in both
        ]
        answers = [
            network.logits(test.images).argmax(dim=1).numpy() for network in both
        ]
        right = [float((answer == test.labels).mean()) for answer in answers]
        by_weights = cosines(neuron_weights(one), neuron_weights(other))
        vary = np.outer(*(np.ptp(values, axis=0) > 0 for values in said))
        by_activations = np.where(vary, neurons.correlations(*said), np.nan)
        return cls(
            one,
            other,
            match_neurons(by_weights),
            match_neurons(by_activations, between_equals=by_weights),
            (right[0], right[1]),
            float((answers[0] == answers[1]).mean()),
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return the partners of each neuron of the first network."""
        count = self.one.layer_1.out_features
        table: list[dict[str, Any]] = [{"neuron": f"N1{j + 1}"} for j in range(count)]
        for how, matches in (
            ("activations", self.by_activations),
            ("weights", self.by_weights),
        ):
            found = {match.one: match for match in matches}
            for j, row in enumerate(table):
                partner = found.get(j)
                row[f"by_{how}"] = f"N1{partner.other + 1}" if partner else ""
                row[f"alike_by_{how}"] = partner.similarity if partner else ""
        return table

    def told(self) -> Iterator[str]:
        """Say in lines which neurons are partners, and what differs."""
        sizes = [network.layer_1.out_features for network in (self.one, self.other)]
        for name, hidden, share in zip("AB", sizes, self.accuracy, strict=True):
            which = "the network looked at" if name == "A" else "the one of against="
            yield f"{name}: 784 -> {hidden} -> 10, {share:.2%} right, {which}"
        yield f"They give the same answer to {self.agree:.2%} of the test pictures."
        yield ""
        yield "The partners in B of A's neurons: 1 is the same, 0 nothing in common."
        yield "A        by what it does (r)    by its weights (cosine)"
        by = [{m.one: m for m in ms} for ms in (self.by_activations, self.by_weights)]
        paired = sorted({*by[0], *by[1]})
        for j in paired[:MAX_TEMPLATES]:
            left, right = (found[j].told if j in found else "none" for found in by)
            yield f"N1{j + 1:<7}{left:24}{right}"
        if len(paired) > MAX_TEMPLATES:
            yield f"... and {len(paired) - MAX_TEMPLATES} more in matches.csv"
        if any(np.isnan(match.similarity) for match in self.by_activations):
            yield "silent: one of the two says 0 to all pictures; the weights chose it."
        apart = differences(self.one, self.other, self.by_weights)
        yield ""
        yield "With B's neurons in A's order, by weights, the numbers differ by"
        for name, (largest, mean) in apart.items():
            yield f"  {name:16} at most {largest:.6f}, on average {mean:.6f}"
        few, many = sorted(sizes)
        if few != many:
            alone = f"{many - few} of {'AB'[sizes[1] == many]} have no partner"
            yield f"  ({alone}; these are the {few} of each that have one)"
        moved = [match for match in self.by_weights if match.one != match.other]
        if few == many and not any(largest for largest, _ in apart.values()):
            how = f"{len(moved)} neurons in another place" if moved else "nothing moved"
            yield f"It is the same network, with {how}."

    def drawn(
        self, unlearned: Sequence[Bool[np.ndarray, "784"] | None]
    ) -> list[ImageRow]:
        """Show the weights of partners by what they do, those most alike first.

        Grey are those of the pixels that A, and B, learned nothing of.
        """
        kernels = [n.layer_1.get_weights()[0].T for n in (self.one, self.other)]
        scale = float(np.quantile(np.abs(np.concatenate(kernels)), 0.99))
        matches = sorted(
            self.by_activations, key=lambda match: -np.nan_to_num(match.similarity)
        )
        pictures = []
        for m in matches[:MAX_TEMPLATES]:
            one = diverging_colours(
                kernels[0][[m.one]], scale=scale, unlearned=unlearned[0]
            )
            other = diverging_colours(
                kernels[1][[m.other]], scale=scale, unlearned=unlearned[1]
            )
            pictures.append((f"A  N1{m.one + 1}", one[0]))
            pictures.append((f"B  {m.told}", other[0]))
        wide = 2 * ACROSS
        return [
            ImageRow(dict(pictures[k : k + wide]), [])
            for k in range(0, len(pictures), wide)
        ]
