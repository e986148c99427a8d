"""A quantised network together with the trained network it comes from, and its file."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from pipeline import CLASSES, PIXELS, UserError
from pipeline.datasets import Dataset
from pipeline.deploy.finetuning import finetune
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.quantization import WIDTHS, check_weights, quantize
from pipeline.model import Network, TrainedModel
from pipeline.model.storage import read_tensors, write_tensors
from pipeline.training import one_thread

INTEGERS_FILE = "integers.safetensors"  # in outputs/export/
FINETUNING_EPOCHS = {8: 0, 4: 10, 2: 10, 1: 10}  # by width, for finetune=null


@dataclass(frozen=True)
class QuantizedModel:
    """A trained network, the integers made of it, and their answers to test images."""

    trained: TrainedModel
    dataset: Dataset  # of the training
    network: Network  # that was rounded: the trained or the fine-tuned one
    integers: IntegerNetwork
    finetuning_epochs: int

    @classmethod
    def of(
        cls,
        trained: TrainedModel,
        dataset: Dataset,
        *,
        bits: int,
        finetuning_epochs: int | None = None,
        track: Callable[[Iterable[Network], int], Iterable[Network]] | None = None,
    ) -> "QuantizedModel":
        """Fine-tune a trained network if needed, and round it.

        Args:
            trained: The trained network. The seed of its training also shuffles the
                images of fine-tuning.
            dataset: Its data set.
            bits: The width of the weights of layer_1; see `quantization.WIDTHS`.
            finetuning_epochs: None: those in `FINETUNING_EPOCHS`.
            track: Shows progress: it gets an iterator and the number of epochs.

        Raises:
            UserError: If integers cannot represent the network.
        """
        epochs = FINETUNING_EPOCHS[bits]
        if finetuning_epochs is not None:
            epochs = finetuning_epochs
        network, train = trained.network, dataset.split(trained.split).train
        seed = int(trained.metadata.get("seed", 0))
        check_weights(network, bits=bits)
        if epochs:
            states: Iterable[Network] = finetune(
                network, train, bits=bits, epochs=epochs, seed=seed
            )
            with one_thread():  # the same bytes on any number of cores
                *_, network = track(states, epochs) if track else states
        integers = quantize(network, train.images, bits=bits)
        return cls(trained, dataset, network, integers, epochs)

    @cached_property
    def answers(self) -> Int[np.ndarray, " n"]:
        """The classes of the test images according to the integers."""
        return self.integers.classify(self.dataset.test.images)

    @cached_property
    def float_answers(self) -> Int[np.ndarray, " n"]:
        """The classes of the test images according to the trained network."""
        return self.trained.network.classify(self.dataset.test.images)

    @property
    def accuracy(self) -> float:
        """The fraction of test images that the integers classify correctly."""
        return float((self.answers == self.dataset.test.labels).mean())

    @property
    def float_accuracy(self) -> float:
        """The fraction of test images that the trained network classifies correctly."""
        return float((self.float_answers == self.dataset.test.labels).mean())

    @property
    def same_answers(self) -> float:
        """The fraction of test images for which both networks give the same answer."""
        return float((self.answers == self.float_answers).mean())

    @cached_property
    def silent_neurons(self) -> list[int]:
        """The indices of the hidden neurons that are 0 for every training image."""
        if self.integers.shift.all():  # a shift is 0 unless a sum is above 255
            return []
        train = self.dataset.split(self.trained.split).train.images
        return np.flatnonzero(self.integers.largest_sums(train) <= 0).tolist()

    def save(self, path: Path) -> None:
        """Write the integers as safetensors; `load_integers` reads them.

        The metadata has the width, the epochs of fine-tuning and the sha256 of the
        trained network.
        """
        names = [f.name for f in fields(IntegerNetwork) if f.name != "bits"]
        # safetensors writes the memory of an array, so a transposed one must be copied.
        tensors = {n: np.asarray(getattr(self.integers, n), order="C") for n in names}
        write_tensors(
            path,
            tensors,
            {
                "bits": self.integers.bits,
                "finetune": self.finetuning_epochs,
                "weights_sha256": self.trained.sha256,
            },
        )


def bits_text(bits: int) -> str:
    """Return a width in words, such as "8 bits"."""
    return f"{bits} bit{'s' * (bits != 1)}"


def load_integers(path: Path) -> tuple[IntegerNetwork, dict[str, Any]]:
    """Read the file of `QuantizedModel.save`, and its metadata.

    Raises:
        FileNotFoundError: If the file is missing.
        UserError: If it is damaged.
    """
    tensors, metadata = read_tensors(path)
    hidden = tensors["b1q"].size if "b1q" in tensors else 0
    expected = {
        "q1": ((hidden, PIXELS), "int8"),
        "b1q": ((hidden,), "int32"),
        "shift": ((hidden,), "uint8"),
        "q2": ((CLASSES, hidden), "int8"),
        "b2q": ((CLASSES,), "int32"),
        "scale_1": ((hidden,), "float64"),
        "scale_2": ((), "float64"),
    }
    actual = {name: (t.shape, str(t.dtype)) for name, t in tensors.items()}
    if (
        actual != expected
        or hidden == 0
        or metadata.get("bits") not in WIDTHS
        or (tensors["shift"] >= 32).any()
        or not all(
            (np.isfinite(tensors[name]) & (tensors[name] > 0)).all()
            for name in ("scale_1", "scale_2")
        )
    ):
        raise UserError(f"{path} is damaged: python -m pipeline.export writes it again")
    scale_2 = float(tensors.pop("scale_2"))
    bits = int(metadata["bits"])
    return IntegerNetwork(bits=bits, scale_2=scale_2, **tensors), metadata
