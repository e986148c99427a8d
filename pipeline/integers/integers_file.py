"""The file of a quantized network: writes and reads it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import UserError
from pipeline.base.tensors import read_tensors, write_tensors
from pipeline.core import CLASSES, PIXELS
from pipeline.integers.bit_widths import BIT_WIDTHS
from pipeline.integers.integer_network import IntegerNetwork
from pipeline.integers.quantized_model import QuantizedModel

INTEGERS_FILE = "integers.safetensors"  # its name in outputs/export/


def bit_folder(bits: int | str) -> str:
    """Return the folder of a bit width: in a run, and in an export of several."""
    return f"{bits}bit"


def save_integers(path: Path, model: QuantizedModel) -> None:
    """Write the integers of a model as safetensors; `load_integers` reads them."""
    tensors = asdict(model.integers)
    metadata = {
        "bits": tensors.pop("bits"),
        "finetune": model.finetuning_epochs,
        "weights_sha256": model.trained.sha256,
    }
    # safetensors writes the memory of an array, so a transposed one must be copied.
    arrays = {name: np.asarray(each, order="C") for name, each in tensors.items()}
    write_tensors(path, arrays, metadata)


def load_integers(path: Path) -> tuple[IntegerNetwork, dict[str, Any]]:
    """Read the file of `save_integers`, and its metadata.

    Raises:
        UserError: If the file is missing or damaged.
    """
    tensors, metadata = read_tensors(path)
    hidden = tensors["biases_1"].size if "biases_1" in tensors else 0
    expected = {
        "weights_1": ((hidden, PIXELS), "int8"),
        "biases_1": ((hidden,), "int32"),
        "shifts": ((hidden,), "uint8"),
        "weights_2": ((CLASSES, hidden), "int8"),
        "biases_2": ((CLASSES,), "int32"),
        "scale_1": ((hidden,), "float64"),
        "scale_2": ((), "float64"),
    }
    actual = {name: (t.shape, str(t.dtype)) for name, t in tensors.items()}
    if (
        actual != expected
        or hidden == 0
        or metadata.get("bits") not in [*BIT_WIDTHS]
        or not isinstance(metadata.get("finetune"), int)
        or not BIT_WIDTHS[metadata["bits"]].fits(tensors["weights_1"])
        or (tensors["shifts"] >= 32).any()
        or not all(
            (np.isfinite(tensors[name]) & (tensors[name] > 0)).all()
            for name in ("scale_1", "scale_2")
        )
    ):
        raise UserError(f"{path} is damaged")
    bits, scale_2 = int(metadata["bits"]), float(tensors.pop("scale_2"))
    return IntegerNetwork(bits, scale_2=scale_2, **tensors), metadata
