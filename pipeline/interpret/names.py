"""Names of neurons and parameters, and what they stand for.

Neurons are counted from 1: N11 is the first neuron of layer_1, N120 the twentieth, and
N210 belongs to the digit 9. Parameters are indexed from 0, as in Keras's arrays:
layer_1[300,5] leads from pixel 300 (row 10, column 20) to the sixth neuron, N16.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline import CLASSES, PIXELS, SIDE

PARAMETER = re.compile(r"layer_([12])(\.kernel|\.bias)?\[([0-9]+)(?:, ?([0-9]+))?\]")


@dataclass(frozen=True)
class Neuron:
    """A neuron of layer_1 (hidden), or of layer_2 (one for each digit)."""

    layer: int
    number: int  # from 1

    @property
    def name(self) -> str:
        """Layer and number, such as N11 or N210."""
        return f"N{self.layer}{self.number}"


def find_neurons(names: str, *, hidden: int) -> list[Neuron]:
    """Return the neurons with these comma-separated names, or all for `all`.

    Raises:
        ValueError: If the network has no such neuron.
    """
    counts = {1: hidden, 2: CLASSES}
    neurons = [Neuron(layer, k + 1) for layer in counts for k in range(counts[layer])]
    by_name = {neuron.name: neuron for neuron in neurons}
    selected = [*by_name] if names == "all" else [*dict.fromkeys(names.split(","))]
    for name in selected:
        if name not in by_name:
            raise ValueError(
                f"neuron must be N11 to N1{hidden}, N21 to N2{CLASSES}, several of "
                f"them separated by commas, or all, got {name!r}"
            )
    return [by_name[name] for name in selected]


@dataclass(frozen=True)
class ParameterLocation:
    """The position of a parameter in the arrays of a layer, as Keras orders them."""

    layer: int
    row: int | None  # the input (pixel or neuron) of a weight; None for a bias
    column: int  # the neuron that adds it to its sum, from 0

    @property
    def name(self) -> str:
        """The name that `find_parameter` reads."""
        if self.row is None:
            return f"layer_{self.layer}.bias[{self.column}]"
        return f"layer_{self.layer}[{self.row},{self.column}]"

    def describe(self) -> str:
        """Return what the parameter belongs to, in words."""
        neuron = f"neuron N{self.layer}{self.column + 1}"
        if self.row is None:
            return f"the bias of {neuron}"
        source = f"neuron N1{self.row + 1}"
        if self.layer == 1:
            row, column = divmod(self.row, SIDE)
            source = f"pixel {self.row} (row {row}, column {column})"
        return f"the weight from {source} to {neuron}"

    def values(
        self, history: Mapping[str, Float[np.ndarray, "..."]]
    ) -> Float[np.ndarray, " epochs"]:
        """Return the value of the parameter before training and after each epoch."""
        if self.row is None:
            return np.asarray(history[f"layer_{self.layer}.bias"][:, self.column])
        weights = history[f"layer_{self.layer}.weight"]  # PyTorch: (epoch, to, from)
        return np.asarray(weights[:, self.column, self.row])


def find_parameter(name: str, *, hidden: int) -> ParameterLocation:
    """Return the location of a parameter such as layer_1[300,5] or layer_1.bias[5].

    Raises:
        ValueError: If the network has no such parameter.
    """
    match = PARAMETER.fullmatch(name)
    layer = int(match[1]) if match else 1
    rows, columns = ((PIXELS, hidden), (hidden, CLASSES))[layer - 1]
    if match:
        *row, column = [int(index) for index in match.groups()[2:] if index]
        is_bias = match[2] == ".bias"
        if len(row) == (0 if is_bias else 1) and column < columns:
            if is_bias:
                return ParameterLocation(layer, None, column)
            if row[0] < rows:
                return ParameterLocation(layer, row[0], column)
    raise ValueError(
        f"weight must be layer_{layer}[0,0] to layer_{layer}[{rows - 1},{columns - 1}] "
        f"or layer_{layer}.bias[0] to layer_{layer}.bias[{columns - 1}], got {name!r}"
    )
