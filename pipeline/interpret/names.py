"""Names of neurons and parameters, and what the names refer to.

Neurons are counted from 1: N11 is the first neuron of layer 1, N120 the twentieth, and
N210 belongs to the last class. Parameters are indexed from 0, as in Keras's arrays:
layer_1[300,5] leads from pixel 300 (row 10, column 20) to the sixth neuron, N16. In the
sum of this neuron, where terms are counted from 1, the same weight is M301.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float

from pipeline import ConfigError
from pipeline.base.text import neuron_name
from pipeline.core import CLASSES, PIXELS, SIDE

BIAS: Final = "bias"  # replaces the input of a weight, as in display.js
INDEX, NUMBER = "([0-9]{1,9})", "([1-9][0-9]{0,8})"  # numbers from 0 and from 1


@dataclass(frozen=True)
class NameForm:
    """A form of names that this module and the page (`locate` in search.js) read."""

    pattern: str  # a regular expression for Python and JavaScript; case is ignored
    groups: tuple[str, ...]  # the meaning of each group: layer, input or neuron
    first: int  # the number of the first input and of the first neuron

    def read(self, text: str) -> dict[str, int] | None:
        """Return the groups; None if the text has a different form.

        Inputs and neurons are counted from 0.
        """
        match = re.fullmatch(self.pattern, text.strip(), re.I | re.A)
        if not match:
            return None
        return {
            group: int(number) - (0 if group == "layer" else self.first)
            for group, number in zip(self.groups, match.groups(), strict=True)
        }


NEURON = NameForm(f"N([12]){NUMBER}", ("layer", "neuron"), first=1)
PARAMETERS = (
    NameForm(
        rf"layer_([12])(?:\.kernel)? *\[ *{INDEX} *, *{INDEX} *\]",
        ("layer", "input", "neuron"),
        first=0,
    ),
    NameForm(rf"layer_([12])\.bias *\[ *{INDEX} *\]", ("layer", "neuron"), first=0),
    NameForm(f"bias of N([12]){NUMBER}", ("layer", "neuron"), first=1),
    # The terms of a sum, as the worksheets call them.
    NameForm(f"M{NUMBER} of N(1){NUMBER}", ("input", "layer", "neuron"), first=1),
    NameForm(f"W{NUMBER} of N(2){NUMBER}", ("input", "layer", "neuron"), first=1),
)


def parse_neurons(text: str) -> list[str]:
    """Split comma-separated names of neurons; case is ignored.

    The text `all`, without other names, selects all neurons.

    Raises:
        ConfigError: If a name is invalid.
    """
    parts = (part.strip() for part in text.lower().replace("n", "N").split(","))
    names = [*dict.fromkeys(parts)]
    if names != ["all"] and not all(map(NEURON.read, names)):
        raise ConfigError(
            "neuron must be a name such as N11 (layer 1, neuron 1) or N210 (layer 2, "
            "neuron 10: the last class), several names separated by commas, or all, "
            f"got {text!r}"
        )
    return names


def find_neurons(names: Sequence[str], *, hidden: int) -> list[str]:
    """Return the names; for `all`, return the names of all neurons.

    Args:
        names: The result of `parse_neurons`.
        hidden: The number of neurons in layer 1.

    Raises:
        ConfigError: If the network does not have a named neuron.
    """
    existing = [neuron_name(1, k) for k in range(hidden)]
    existing += [neuron_name(2, k) for k in range(CLASSES)]
    if [*names] == ["all"]:
        return existing
    if unknown := [name for name in names if name not in existing]:
        raise ConfigError(
            f"neuron must be N11 to N1{hidden} or N21 to N2{CLASSES} in this "
            f"network, got {', '.join(unknown)}"
        )
    return [*names]


@dataclass(frozen=True)
class ParameterLocation:
    """A parameter: the row and the column in Keras's array of a layer."""

    layer: int
    input: int | Literal["bias"]  # the pixel or neuron of a weight, from 0; or BIAS
    neuron: int  # the neuron whose sum contains the parameter, from 0

    @property
    def name(self) -> str:
        """The name that `parse_parameter` reads."""
        if self.input == BIAS:
            return f"layer_{self.layer}.bias[{self.neuron}]"
        return f"layer_{self.layer}[{self.input},{self.neuron}]"

    def check(self, *, hidden: int) -> None:
        """Check that a network with this many hidden neurons has the parameter.

        Raises:
            ConfigError: If the network does not have the parameter.
        """
        layer = f"layer_{self.layer}"
        inputs, neurons = ((PIXELS, hidden), (hidden, CLASSES))[self.layer - 1]
        row = 0 if self.input == BIAS else self.input
        if self.neuron >= neurons or row >= inputs:
            raise ConfigError(
                f"weight must be {layer}[0,0] to {layer}[{inputs - 1},{neurons - 1}] "
                f"or {layer}.bias[0] to {layer}.bias[{neurons - 1}] in this network, "
                f"got {self.name}"
            )

    def describe(self) -> str:
        """Describe the parameter in words."""
        neuron = f"neuron {neuron_name(self.layer, self.neuron)}"
        if self.input == BIAS:
            return f"the bias of {neuron}"
        source = f"neuron {neuron_name(1, self.input)}"
        if self.layer == 1:
            row, column = divmod(self.input, SIDE)
            source = f"pixel {self.input} (row {row}, column {column})"
        return f"the weight from {source} to {neuron}"

    def values(
        self, weight_history: Mapping[str, Float[np.ndarray, "..."]]
    ) -> Float[np.ndarray, " epochs"]:
        """Return the value of the parameter before training and after each epoch."""
        if self.input == BIAS:
            biases = weight_history[f"layer_{self.layer}.bias"]
            return np.asarray(biases[:, self.neuron])
        weights = weight_history[f"layer_{self.layer}.weight"]  # (epoch, to, from)
        return np.asarray(weights[:, self.neuron, self.input])


def parse_parameter(text: str) -> ParameterLocation:
    """Read a name such as layer_1[300,5], layer_1.bias[5] or M301 of N16.

    Raises:
        ConfigError: If the text is not the name of a parameter.
    """
    for form in PARAMETERS:
        if found := form.read(text):
            return ParameterLocation(
                found["layer"], found.get("input", BIAS), found["neuron"]
            )
    raise ConfigError(
        "weight must be a name such as layer_1[300,0] (pixel 300 to neuron N11), "
        "layer_2[0,7] (neuron N11 to class 7) or layer_1.bias[0] (a bias), "
        f"got {text!r}"
    )
