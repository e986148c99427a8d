"""What each neuron computes, what it never learned, what it is for.

Plain functions of a network and of pictures. A neuron's name is its layer and its
number, from 1: N11 is the first of layer_1, N120 the twentieth, N210 that of digit 9.
A weight's name is its place in the array, from 0: layer_1[300,5] leads from pixel 300
(row 10, column 20) to the sixth neuron, N16.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from pipeline import CLASSES, PIXELS, SIDE
from pipeline.model.network import Network, to_pixels

PLACE = re.compile(r"layer_([12])(\.kernel|\.bias)?\[([0-9]+)(?:, ?([0-9]+))?\]")


@dataclass(frozen=True)
class Neuron:
    """One neuron; those of layer_2 are the ten digits."""

    layer: int
    number: int  # from 1

    @property
    def name(self) -> str:
        """Layer and number, such as N11 or N210."""
        return f"N{self.layer}{self.number}"


def all_neurons(*, hidden: int) -> dict[str, Neuron]:
    """Return all neurons of a network by name, those of layer_1 first."""
    found = [
        Neuron(layer, number)
        for layer, count in ((1, hidden), (2, CLASSES))
        for number in range(1, count + 1)
    ]
    return {neuron.name: neuron for neuron in found}


def find_neurons(names: str, *, hidden: int) -> list[Neuron]:
    """Return the neurons of these names, with commas between, or of `all`.

    Raises:
        ValueError: If the network has no such neuron; it says which there are.
    """
    known = all_neurons(hidden=hidden)
    asked = [*known] if names == "all" else [*dict.fromkeys(names.split(","))]
    for name in asked:
        if name not in known:
            raise ValueError(
                f"neuron must be N11 to N1{hidden}, N21 to N2{CLASSES}, several with "
                f"commas between, or all, got {name!r}"
            )
    return [known[name] for name in asked]


@dataclass(frozen=True)
class ParameterLocation:
    """Where a parameter stands, in arrays ordered as Keras does."""

    layer: int
    row: int | None  # the pixel or neuron that it leads from; None for a bias
    column: int  # of the neuron that it leads to, from 0

    @property
    def name(self) -> str:
        """The place as it is typed."""
        if self.row is None:
            return f"layer_{self.layer}.bias[{self.column}]"
        return f"layer_{self.layer}[{self.row},{self.column}]"

    @property
    def neuron(self) -> Neuron:
        """The neuron in whose sum it is."""
        return Neuron(self.layer, self.column + 1)

    @property
    def told(self) -> str:
        """What it leads from and to, in words."""
        if self.row is None:
            return f"the bias of neuron {self.neuron.name}"
        source = f"neuron N1{self.row + 1}"
        if self.layer == 1:
            place = f"row {self.row // SIDE}, column {self.row % SIDE}"
            source = f"pixel {self.row} ({place})"
        return f"the weight from {source} to neuron {self.neuron.name}"

    def values(
        self, history: Mapping[str, Float[np.ndarray, "..."]]
    ) -> Float[np.ndarray, " epochs"]:
        """Return its value before training and after every epoch."""
        if self.row is None:
            return np.asarray(history[f"layer_{self.layer}.bias"][:, self.column])
        weights = history[f"layer_{self.layer}.weight"]  # as PyTorch orders its axes
        return np.asarray(weights[:, self.column, self.row])


def find_parameter(text: str, *, hidden: int) -> ParameterLocation:
    """Find the parameter that is called layer_1[300,5] or layer_1.bias[5].

    Raises:
        ValueError: If the network has no such parameter; it says which there are.
    """
    found = PLACE.fullmatch(text)
    layer = int(found[1]) if found else 1
    rows, columns = ((PIXELS, hidden), (hidden, CLASSES))[layer - 1]
    if found:
        numbers = [int(number) for number in found.groups()[2:] if number]
        column, is_bias = numbers[-1], found[2] == ".bias"
        right = len(numbers) == (1 if is_bias else 2) and column < columns
        if right and (is_bias or numbers[0] < rows):
            return ParameterLocation(layer, None if is_bias else numbers[0], column)
    raise ValueError(
        f"weight must be layer_{layer}[0,0] to layer_{layer}[{rows - 1},{columns - 1}] "
        f"or layer_{layer}.bias[0] to layer_{layer}.bias[{columns - 1}], got {text!r}"
    )


@dataclass(frozen=True)
class PreActivation:
    """What a neuron adds up for one picture: weight * input over all inputs, + bias."""

    neuron: Neuron
    weights: Float[np.ndarray, " inputs"]
    inputs: Float[np.ndarray, " inputs"]  # pixels in 0..1, or what layer_1 says
    bias: float

    @property
    def terms(self) -> Float[np.ndarray, " inputs"]:
        """The products, in the order of the inputs."""
        return np.asarray(self.weights * self.inputs)

    @property
    def z(self) -> float:
        """The sum itself, before ReLU or softmax."""
        return float(self.terms.sum()) + self.bias


def pre_activations(
    network: Network, image: UInt8[np.ndarray, "28 28"]
) -> dict[str, PreActivation]:
    """Return the sum of every neuron for one picture, by name, in float64.

    PyTorch adds the same numbers in float32, which differs in the sixth digit.
    """
    inputs = image.reshape(PIXELS) / 255
    found: dict[str, PreActivation] = {}
    for layer, dense in ((1, network.layer_1), (2, network.layer_2)):
        kernel, bias = (array.astype(float) for array in dense.get_weights())
        own = [
            PreActivation(
                Neuron(layer, column + 1), kernel[:, column], inputs, float(constant)
            )
            for column, constant in enumerate(bias)
        ]
        found |= {one.neuron.name: one for one in own}
        inputs = np.array([max(0.0, one.z) for one in own])  # ReLU
    return found


def softmax(logits: Float[np.ndarray, "*n 10"]) -> Float[np.ndarray, "*n 10"]:
    """Return the share of each e^z in their sum; less the largest z, none overflows."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@torch.no_grad()
def hidden_pre_activations(
    network: Network, images: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, "n hidden"]:
    """Return what each neuron of layer_1 adds up for each picture, before ReLU."""
    parts = [images[row : row + 1000] for row in range(0, len(images), 1000)]
    added = [network.layer_1(to_pixels(part).flatten(start_dim=1)) for part in parts]
    return np.asarray(torch.cat(added))


def activation_rates(
    network: Network, images: UInt8[np.ndarray, "n 28 28"]
) -> Float[np.ndarray, " hidden"]:
    """Return in which share of the pictures each neuron of layer_1 is above 0."""
    counts = sum(
        (hidden_pre_activations(network, images[row : row + 1000]) > 0).sum(axis=0)
        for row in range(0, len(images), 1000)
    )
    return np.asarray(counts / len(images))


def nonzero_counts(images: UInt8[np.ndarray, "n 28 28"]) -> Int[np.ndarray, "784"]:
    """Count the pictures in which each of the 784 pixels is not 0."""
    return np.asarray(np.count_nonzero(images.reshape(-1, PIXELS), axis=0))


def frozen_weights(
    history: Mapping[str, Float[np.ndarray, "..."]],
) -> Bool[np.ndarray, "784 hidden"]:
    """Say which weights of layer_1 kept their initial value in every epoch.

    Args:
        history: The tensors before training and after every epoch, as
            `checkpoint.load_history` returns them. Compared are bits, not numbers.
    """
    bits = history["layer_1.weight"].view(np.uint32)
    return np.asarray((bits == bits[0]).all(axis=0).T)


def means_by_label(
    values: Float[np.ndarray, "n hidden"], labels: UInt8[np.ndarray, " n"]
) -> Float[np.ndarray, "hidden 10"]:
    """Return the mean of each neuron over the pictures of each digit, 0 without any."""
    rows = [values[labels == digit] for digit in range(CLASSES)]
    zero = np.zeros(values.shape[1])
    return np.stack([r.mean(axis=0, dtype=float) if len(r) else zero for r in rows], 1)


def accuracies(
    logits: Float[np.ndarray, "n 10"], labels: UInt8[np.ndarray, " n"]
) -> Float[np.ndarray, "11"]:
    """Return the share read rightly of all pictures, then of each digit's."""
    right = logits.argmax(axis=1) == labels
    groups = [right, *(right[labels == digit] for digit in range(CLASSES))]
    return np.array([group.mean() if len(group) else 0.0 for group in groups])


def ablation_costs(
    network: Network,
    outputs: Float[np.ndarray, "n hidden"],
    labels: UInt8[np.ndarray, " n"],
) -> Float[np.ndarray, "hidden 11"]:
    """Return what switching off a neuron of layer_1 costs: in all, then for each digit.

    A neuron that is off says 0 to all digits, as if its outgoing weights were 0.

    Args:
        network: The network, which is left as it is.
        outputs: What its layer_1 says for each picture, after ReLU.
        labels: The digit of each picture.

    Returns:
        The accuracy with it, less that without it.
    """
    kernel, bias = (array.astype(float) for array in network.layer_2.get_weights())
    exact = outputs.astype(float)
    logits = exact @ kernel + bias  # (n, 10)
    whole = accuracies(logits, labels)
    without = (
        accuracies(logits - np.outer(said, row), labels)
        for said, row in zip(exact.T, kernel, strict=True)
    )
    return np.stack([whole - found for found in without])


def correlations(
    a: Float[np.ndarray, "n hidden"], b: Float[np.ndarray, "n others"]
) -> Float[np.ndarray, "hidden others"]:
    """Return Pearson's correlation of each column of a with each of b.

    1: they rise and fall together; 0: one tells nothing of the other, which is also
    said of what never varies.
    """
    standard = []
    for values in (a, b):
        centred = values - values.mean(axis=0, dtype=float)
        size = np.linalg.norm(centred, axis=0)
        standard.append(centred / np.where(size > 0, size, np.inf))
    return np.asarray(standard[0].T @ standard[1])


@dataclass(frozen=True)
class CorrelatedPair:
    """Two neurons of layer_1, and how alike what they say is."""

    one: str
    other: str
    correlation: float


def correlated_pairs(
    correlation: Float[np.ndarray, "hidden hidden"], *, most: int
) -> list[CorrelatedPair]:
    """Return the pairs of neurons that say most nearly the same, the closest first."""
    one, other = np.triu_indices(len(correlation), k=1)
    found = correlation[one, other]
    return [
        CorrelatedPair(f"N1{one[k] + 1}", f"N1{other[k] + 1}", float(found[k]))
        for k in np.argsort(-found, kind="stable")[:most]
    ]


@dataclass(frozen=True)
class FittedLine:
    """y = m * x + c, and how well it fits."""

    m: float
    c: float
    missed: float  # root of the mean squared error
    explained: float  # share of the variance of y, 1 when every point is on the line


def fit_line(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], *, steps: int | None
) -> FittedLine:
    """Fit a line: by steps downhill from m = 0 and c = 0, or at once by least squares.

    Args:
        x: In 0..1, so that steps of 0.5 never overshoot.
        y: What the line should come close to.
        steps: Of gradient descent on half the mean squared error; None for the end.
    """
    m = c = 0.0
    if steps is None:
        m = float(np.cov(x, y, ddof=0)[0, 1] / (x.var() or 1.0))
        c = float(y.mean() - m * x.mean())
    for _ in range(steps or 0):
        error = m * x + c - y
        m, c = m - 0.5 * float((error * x).mean()), c - 0.5 * float(error.mean())
    squares = float(((m * x + c - y) ** 2).mean())
    return FittedLine(m, c, squares**0.5, 1 - squares / (float(y.var()) or 1.0))
