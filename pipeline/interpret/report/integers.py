"""The data of a network in integers that the page displays.

`deploy` computes them: this package may not import it, and does not quantise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int8, Int32, UInt8

from pipeline.model import Network


@dataclass(frozen=True)
class IntegerVersion:
    """A network in integers. `deploy/integers.py` documents its number format."""

    bits: int  # of a weight of layer_1
    q1: Int8[np.ndarray, "hidden 784"]
    b1q: Int32[np.ndarray, " hidden"]
    shift: UInt8[np.ndarray, " hidden"]
    q2: Int8[np.ndarray, "10 hidden"]
    b2q: Int32[np.ndarray, "10"]
    scale_1: Float[np.ndarray, " hidden"]
    scale_2: float
    activations: Int[np.ndarray, "n hidden"]  # 0 to 255, for the first test images
    answers: Int[np.ndarray, " m"]  # for all test images
    accuracy: float  # on all test images
    same_answers: float  # as the network in floating point, a fraction
    table_bytes: int  # of its constants in the memory of a microcontroller
    finetuning_epochs: int

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays that the page needs, by name."""
        names = ("q1", "b1q", "shift", "q2", "b2q", "scale_1")
        arrays = {name: getattr(self, name) for name in names}
        arrays["activations"] = self.activations.astype(np.uint8)
        return {f"{self.bits}bit.{name}": array for name, array in arrays.items()}

    @property
    def metadata(self) -> dict[str, Any]:
        """The numbers that the page needs, by name."""
        names = ("bits", "scale_2", "accuracy", "same_answers", "table_bytes")
        numbers = {name: getattr(self, name) for name in names}
        return {**numbers, "finetuning_epochs": self.finetuning_epochs}


def describe_widths(
    network: Network, versions: Sequence[IntegerVersion], *, accuracy: float
) -> dict[str, Any]:
    """Return the metadata of all widths; `accuracy` is that in floating point."""
    return {
        "widths": [version.metadata for version in versions],
        "float": {"accuracy": accuracy, "table_bytes": 4 * network.parameter_count},
        "test_images": len(versions[0].answers),
    }
