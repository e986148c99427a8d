"""Names of neurons and parameters, and what they refer to.

Neurons are counted from 1: N11 is the first neuron of layer_1, N120 the twentieth, and
N210 belongs to the last class. Parameters are indexed from 0, as in Keras's arrays:
layer_1[300,5] leads from pixel 300 (row 10, column 20) to the sixth neuron, N16.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline import CLASSES, PIXELS, SIDE, ConfigError, neuron_name

PARAMETER = re.compile(
    r"layer_([12])"
    r"(?:(?:\.kernel)?\[([0-9]{1,9}), ?([0-9]{1,9})\]|\.bias\[([0-9]{1,9})\])"
)


def find_neurons(text: str, *, hidden: int) -> list[str]:
    """Return the neurons of a network that comma-separated names, or `all`, select.

    Upper and lower case are the same.

    Raises:
        ConfigError: If the network has no such neuron.
    """
    existing = [neuron_name(1, k) for k in range(hidden)]
    existing += [neuron_name(2, k) for k in range(CLASSES)]
    names = [*dict.fromkeys(part.strip() for part in text.upper().split(","))]
    if names == ["ALL"]:
        return existing
    if not {*names} <= {*existing}:
        raise ConfigError(
            f"neuron must be N11 (layer 1, neuron 1) to N1{hidden}, N21 to N2{CLASSES} "
            "(layer 2, neuron 10: the last class), several separated by commas, or "
            f"all, got {text!r}"
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


def find_parameter(text: str, *, hidden: int) -> ParameterLocation:
    """Return the parameter of a network with a name such as layer_1[300,5].

    Raises:
        ConfigError: If the network has no such parameter.
    """
    if match := PARAMETER.fullmatch(text):
        layer, column = int(match[1]), int(match[3] or match[4])
        row = None if match[2] is None else int(match[2])
        rows, columns = ((PIXELS, hidden), (hidden, CLASSES))[layer - 1]
        if (row or 0) < rows and column < columns:
            return ParameterLocation(layer, row, column)
    pixel, neuron, label = PIXELS - 1, hidden - 1, CLASSES - 1  # the last ones
    raise ConfigError(
        f"weight must be layer_1[0,0] to layer_1[{pixel},{neuron}] (pixel to neuron), "
        f"layer_2[0,0] to layer_2[{neuron},{label}] (neuron to class) or a bias, "
        f"layer_1.bias[0] to layer_1.bias[{neuron}] or layer_2.bias[0] to "
        f"layer_2.bias[{label}], got {text!r}"
    )
