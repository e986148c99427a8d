"""A quantized network, together with the trained network that it represents."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from pipeline.core.dataset import Dataset
from pipeline.core.metrics import agreement
from pipeline.core.network import Network
from pipeline.core.threads import one_thread
from pipeline.integers.bit_widths import BIT_WIDTHS
from pipeline.integers.finetuning import finetune
from pipeline.integers.integer_network import IntegerNetwork
from pipeline.integers.quantization import check_weights, largest_sums, quantize
from pipeline.model import TrainedNetwork

COARSE_EPOCHS = 10  # epochs of fine-tuning for fewer than 8 bits (finetune=null)


@dataclass(frozen=True)
class ExportReport:
    """The content of report.json, which is the same on every machine.

    After fine-tuning, the content depends on the type of processor, as training
    does. Accuracies are measured on the test images, in [0, 1].
    """

    bits: int  # bits of a weight of layer_1
    finetune: int  # epochs of fine-tuning
    hidden: int  # hidden neurons
    dataset: str
    test_images: int
    accuracy: float  # the accuracy of the quantized network
    float_accuracy: float  # the accuracy of the trained network
    same_predictions: float  # fraction of test images with the same prediction
    table_bytes: int  # the size of the parameters in flash
    weights_sha256: str  # the hash of the trained network


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A trained network, its integers, and the predictions of both networks."""

    trained: TrainedNetwork
    dataset: Dataset  # the data set of the training run
    integers: IntegerNetwork
    finetuning_epochs: int

    @classmethod
    def of(
        cls,
        trained: TrainedNetwork,
        dataset: Dataset,
        *,
        bits: int,
        finetuning_epochs: int | None = None,
        track: Callable[[Iterable[Network], int], Iterable[Network]] | None = None,
    ) -> "QuantizedModel":
        """Fine-tune a trained network if needed, and round it.

        Args:
            trained: The trained network. The seed of its training run also shuffles the
                images for fine-tuning.
            dataset: The data set of the network.
            bits: The bit width of the weights of layer 1, one of `BIT_WIDTHS`.
            finetuning_epochs: The number of epochs of fine-tuning; by default, 0 with 8
                bits and `COARSE_EPOCHS` with fewer bits.
            track: A function that shows the progress. It receives an iterator and the
                number of epochs.

        Raises:
            UserError: If integers cannot represent the network.
        """
        epochs = finetuning_epochs
        if epochs is None:
            epochs = COARSE_EPOCHS if BIT_WIDTHS[bits].is_coarse else 0
        network, train = trained.network, dataset.split(trained.split).train
        seed = trained.params.get("seed", 0)
        check_weights(network, bits=bits)
        if epochs:
            states: Iterable[Network] = finetune(
                network, train, bits=bits, epochs=epochs, seed=seed
            )
            with one_thread():  # byte-identical on any number of cores
                last = deque(track(states, epochs) if track else states, maxlen=1)
            (network,) = last
        integers = quantize(network, train.images, bits=bits)
        return cls(trained, dataset, integers, epochs)

    @cached_property
    def predictions(self) -> Int[np.ndarray, " n"]:
        """The classes of the test images according to the integers."""
        return self.integers.classify(self.dataset.test.images)

    @cached_property
    def float_predictions(self) -> Int[np.ndarray, " n"]:
        """The classes of the test images according to the trained network."""
        return self.trained.network.classify(self.dataset.test.images)

    @cached_property
    def report(self) -> ExportReport:
        """The measurements, with the names of the network and the data set."""
        labels = self.dataset.test.labels
        return ExportReport(
            bits=self.integers.bits,
            finetune=self.finetuning_epochs,
            hidden=self.integers.hidden,
            dataset=self.dataset.name,
            test_images=len(labels),
            accuracy=agreement(self.predictions, labels),
            float_accuracy=agreement(self.float_predictions, labels),
            same_predictions=agreement(self.predictions, self.float_predictions),
            table_bytes=self.integers.table_bytes,
            weights_sha256=self.trained.weights_sha256,
        )

    @cached_property
    def dead_neurons(self) -> list[int]:
        """The indices of the hidden neurons that are 0 for every training image."""
        if self.integers.shifts.all():  # a shift is 0 unless a sum is above 255
            return []
        train = self.dataset.split(self.trained.split).train.images
        weights_1, biases_1 = self.integers.weights_1, self.integers.biases_1
        return np.flatnonzero(largest_sums(weights_1, biases_1, train) <= 0).tolist()
