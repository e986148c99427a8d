"""Writes, reads and finds the file of a quantized network."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline import UserError
from pipeline.base import files
from pipeline.base.paths import displayed
from pipeline.base.tensors import read_tensors, write_tensors
from pipeline.base.text import command_line
from pipeline.core import CLASSES, PIXELS
from pipeline.integers.bit_widths import BIT_WIDTHS
from pipeline.integers.integer_network import IntegerNetwork
from pipeline.integers.quantized_model import QuantizedModel
from pipeline.model import NetworkFile

INTEGERS_FILE = "integers.safetensors"  # the name of the file in outputs/export/


@dataclass(frozen=True, eq=False)
class StoredIntegers:
    """A quantized network in a file, and how it was created."""

    path: Path
    network: IntegerNetwork
    finetune: int  # epochs of fine-tuning
    weights_sha256: str  # the hash of the trained network


def bit_folder(bits: int | str) -> str:
    """Return the name of the folder of a bit width, in a run or in several exports."""
    return f"{bits}bit"


def save_integers(path: Path, model: QuantizedModel) -> None:
    """Write the integers of a model as safetensors; `load_integers` reads them."""
    tensors = asdict(model.integers)
    metadata = {
        "bits": tensors.pop("bits"),
        "finetune": model.finetuning_epochs,
        "weights_sha256": model.trained.weights_sha256,
    }
    # safetensors writes the memory of an array, so a transposed array must be copied.
    arrays = {name: np.asarray(each, order="C") for name, each in tensors.items()}
    write_tensors(path, arrays, metadata)


def load_integers(path: Path) -> StoredIntegers:
    """Read the file of `save_integers`.

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
        or not isinstance(metadata.get("weights_sha256"), str)
        or not BIT_WIDTHS[metadata["bits"]].fits(tensors["weights_1"])
        or (tensors["shifts"] >= 32).any()
        or not all(
            (np.isfinite(tensors[name]) & (tensors[name] > 0)).all()
            for name in ("scale_1", "scale_2")
        )
    ):
        raise UserError(f"{path} is damaged: run {command_line('export')} again")
    bits = int(metadata["bits"])
    scale_2 = float(tensors.pop("scale_2"))
    network = IntegerNetwork(bits, scale_2=scale_2, **tensors)
    return StoredIntegers(
        path, network, metadata["finetune"], metadata["weights_sha256"]
    )


def find_integers(trained: NetworkFile, last: Path) -> StoredIntegers:
    """Return the integers of a network.

    The last export takes precedence over exports in the network's run. If there are
    several bit widths, the largest bit width is used. A damaged file is an error only
    if no other file has the integers.

    Args:
        trained: The network. If it belongs to a recorded run, the exports of the run
            are in its artifacts, next to the folder of the network.
        last: The folder of the last export.

    Raises:
        UserError: If no file has the integers.
    """
    problem = f"{displayed(last)} does not contain the integers of this network"
    artifacts = trained.path.resolve().parent.parent
    recorded = (artifacts / "export").glob(f"{bit_folder('*')}/{INTEGERS_FILE}")
    with files.folder_lock(last):
        for paths in (last.rglob(INTEGERS_FILE), recorded):
            own = []
            for path in sorted(paths):
                try:
                    stored = load_integers(path)
                except UserError as error:
                    problem = str(error)
                    continue
                if stored.weights_sha256 == trained.weights_sha256:
                    own.append(stored)
            if own:
                return max(own, key=lambda each: each.network.bits)
    raise UserError(problem)
