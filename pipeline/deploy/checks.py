"""Compares the integers of an implementation with those of the reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8

from pipeline import neuron_name
from pipeline.deploy.integers import IntegerNetwork


@dataclass(frozen=True)
class Outputs:
    """What an implementation computes for some images."""

    sums: Int64[np.ndarray, "n hidden"]  # of layer_1
    logits: Int64[np.ndarray, "n 10"]

    @classmethod
    def of(
        cls, network: IntegerNetwork, images: UInt8[np.ndarray, "n 28 28"]
    ) -> "Outputs":
        """Compute them with the reference."""
        sums = network.sums(images)
        return cls(sums, network.logits(sums))

    def first_difference(self, expected: "Outputs") -> str:
        """Describe the first value that differs; "" if all are equal."""
        for layer, name in ((1, "sums"), (2, "logits")):
            actual, wanted = getattr(self, name), getattr(expected, name)
            if actual.shape != wanted.shape:
                return f"{name} have the shape {actual.shape}, not {wanted.shape}"
            rows, columns = np.nonzero(actual != wanted)
            if len(rows):
                row, column = int(rows[0]), int(columns[0])
                neuron = neuron_name(layer, column)
                values = f"{actual[row, column]}, not {wanted[row, column]}"
                return f"image {row}: the sum of {neuron} is {values}"
        return ""


@dataclass(frozen=True)
class Check:
    """The result of a comparison with the reference."""

    name: str  # of the implementation, such as "C code, gcc 14.2.0"
    images: int = 0  # that were compared
    compared: str = "sums and logits"  # the values that were compared
    difference: str = ""  # the first one; "" if there is none
    skipped: str = ""  # why the comparison could not be made; "" if it was
    platform: str = ""  # where figures are measured, such as "Cortex-M0/clang"
    figures: Mapping[str, int] = field(default_factory=dict)  # such as flash in bytes
    tools: Mapping[str, str] = field(default_factory=dict)  # their versions, by name
