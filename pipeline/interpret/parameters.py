"""The four arrays of parameters of a network: their shapes, and why they have them."""

from dataclasses import dataclass

from pipeline import CLASSES, PIXELS
from pipeline.datasets import DatasetSpec
from pipeline.model import Network


@dataclass(frozen=True)
class ParameterArray:
    """One of the four arrays of parameters: its size, and the reason for it."""

    name: str
    keras_shape: tuple[int, ...]
    torch_shape: tuple[int, ...]
    size: int
    why: str


def parameter_arrays(network: Network, spec: DatasetSpec) -> list[ParameterArray]:
    """Describe kernel and bias of both layers; `spec` says what the classes are."""
    neurons = f"{network.hidden} neuron{'s'[: network.hidden > 1]}"
    reasons = {
        "layer_1 kernel": f"{PIXELS} pixels x {neurons}",
        "layer_1 bias": "one for each neuron",
        "layer_2 kernel": f"{neurons} x {CLASSES} {spec.plural}",
        "layer_2 bias": f"one for each {spec.noun}",
    }
    arrays = [*network.layer_1.get_weights(), *network.layer_2.get_weights()]
    return [
        ParameterArray(name, array.shape, array.T.shape, array.size, why)
        for (name, why), array in zip(reasons.items(), arrays, strict=True)
    ]
