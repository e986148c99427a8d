"""A quantized network, together with the trained network that it represents."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from pipeline.core.dataset import Dataset
from pipeline.core.network import Network
from pipeline.core.threads import one_thread
from pipeline.deploy.finetuning import finetune
from pipeline.deploy.integers import IntegerNetwork
from pipeline.deploy.quantization import check_weights, largest_sums, quantize
from pipeline.model import TrainedModel

FINETUNING_EPOCHS = 10  # with finetune=null and fewer than 8 bits


@dataclass(frozen=True)
class QuantizedModel:
    """A trained network, the integers made of it, and what both predict."""

    trained: TrainedModel
    dataset: Dataset  # the data set of the training
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
            bits: The bit width of the weights of layer 1, one of `BIT_WIDTHS`.
            finetuning_epochs: None: 0 with 8 bits, otherwise `FINETUNING_EPOCHS`.
            track: Shows progress: it gets an iterator and the number of epochs.

        Raises:
            UserError: If integers cannot represent the network.
        """
        epochs = finetuning_epochs
        if epochs is None:
            epochs = FINETUNING_EPOCHS if bits < 8 else 0
        network, train = trained.network, dataset.split(trained.split).train
        known = trained.metadata.hyperparameters
        seed = known.seed if known else 0
        check_weights(network, bits=bits)
        if epochs:
            states: Iterable[Network] = finetune(
                network, train, bits=bits, epochs=epochs, seed=seed
            )
            with one_thread():  # the same bytes on any number of cores
                *_, network = track(states, epochs) if track else states
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

    @property
    def accuracy(self) -> float:
        """The fraction of test images that the integers classify correctly."""
        return float((self.predictions == self.dataset.test.labels).mean())

    @property
    def float_accuracy(self) -> float:
        """The fraction of test images that the trained network classifies correctly."""
        return float((self.float_predictions == self.dataset.test.labels).mean())

    @property
    def same_predictions(self) -> float:
        """The fraction of test images for which both predict the same class."""
        return float((self.predictions == self.float_predictions).mean())

    @cached_property
    def silent_neurons(self) -> list[int]:
        """The indices of the hidden neurons that are 0 for every training image."""
        if self.integers.shifts.all():  # a shift is 0 unless a sum is above 255
            return []
        train = self.dataset.split(self.trained.split).train.images
        weights_1, biases_1 = self.integers.weights_1, self.integers.biases_1
        return np.flatnonzero(largest_sums(weights_1, biases_1, train) <= 0).tolist()
