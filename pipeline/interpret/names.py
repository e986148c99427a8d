"""Names of neurons, parameters and classes, and what they refer to.

Neurons are counted from 1: N11 is the first neuron of layer_1, N120 the twentieth, and
N210 belongs to the last class. Parameters are indexed from 0, as in Keras's arrays:
layer_1[300,5] leads from pixel 300 (row 10, column 20) to the sixth neuron, N16.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline import CLASSES, PIXELS, SIDE, UserError
from pipeline.datasets import DatasetSpec

PARAMETER = re.compile(
    r"layer_([12])(?:(?:\.kernel)?\[([0-9]+), ?([0-9]+)\]|\.bias\[([0-9]+)\])"
)


def neuron_name(layer: int, index: int) -> str:
    """Return the name of a neuron of layer 1 or 2, counted from 0."""
    return f"N{layer}{index + 1}"


def class_title(spec: DatasetSpec, label: int) -> str:
    """Return a class in words: `digit 7`, or `sneaker`."""
    name = spec.class_names[label]
    return f"{spec.noun} {name}" if len(name) == 1 else name


def find_neurons(selection: str, *, hidden: int) -> list[str]:
    """Split comma-separated names of neurons; `all` selects all neurons.

    Raises:
        UserError: If the network has no such neuron.
    """
    existing = [neuron_name(1, k) for k in range(hidden)]
    existing += [neuron_name(2, k) for k in range(CLASSES)]
    names = existing if selection == "all" else [*dict.fromkeys(selection.split(","))]
    for name in names:
        if name not in existing:
            raise UserError(
                f"neuron must be N11 to N1{hidden}, N21 to N2{CLASSES}, several of "
                f"them separated by commas, or all, got {name!r}"
            )
    return names


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
        """Describe the parameter in words."""
        neuron = f"neuron {neuron_name(self.layer, self.column)}"
        if self.row is None:
            return f"the bias of {neuron}"
        source = f"neuron {neuron_name(1, self.row)}"
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
        UserError: If the network has no such parameter.
    """
    match = PARAMETER.fullmatch(name)
    layer = int(match[1]) if match else 1
    rows, columns = ((PIXELS, hidden), (hidden, CLASSES))[layer - 1]
    if match:
        row = None if match[2] is None else int(match[2])
        column = int(match[3] or match[4])
        if column < columns and (row is None or row < rows):
            return ParameterLocation(layer, row, column)
    raise UserError(
        f"weight must be layer_{layer}[0,0] to layer_{layer}[{rows - 1},{columns - 1}] "
        f"or layer_{layer}.bias[0] to layer_{layer}.bias[{columns - 1}], got {name!r}"
    )
