"""The training loop, epoch by epoch.

The loop does not depend on the layers or on the kind of optimizer. The network computes
its gradients, and the optimizer applies the gradients.
The loop prints and records nothing; it yields the results of each epoch.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NoReturn

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from pipeline.core import CLASSES, PIXELS
from pipeline.core.dataset import Dataset, LabeledImages, Split
from pipeline.core.epoch import Epoch, now
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.metrics import agreement, cross_entropy, predicted
from pipeline.core.network import Network, snapshot
from pipeline.core.optimizer import Optimizer, new_optimizer

# The `levels` and the `targets` of a batch; see `Network.gradients`.
Batch = tuple[Float[Tensor, "784 batch"], Float[Tensor, "10 batch"]]


@dataclass(frozen=True)
class TrainingState:
    """What training changes in place: a network, its optimizer, a random generator."""

    network: Network
    optimizer: Optimizer
    generator: torch.Generator  # draws the initial weights, and shuffles the images

    @classmethod
    def initial(cls, hyperparameters: Hyperparameters) -> "TrainingState":
        """Return the state before the first epoch."""
        generator = torch.Generator().manual_seed(hyperparameters.seed)
        network = Network(hidden=hyperparameters.hidden, generator=generator)
        optimizer = new_optimizer(network.vector, hyperparameters)
        return cls(network, optimizer, generator)

    def epoch_0(self) -> Epoch:
        """Return the network before training as an epoch, without metrics."""
        return Epoch(snapshot(self.network), 0, {}, 0.0, now())

    def __reduce__(self) -> NoReturn:
        """Reject `copy` and `pickle`.

        An optimizer shares memory with its network. Copies would not share memory, so
        the copied optimizer would not change the copied network.
        """
        raise TypeError(
            "a TrainingState cannot be copied: to return to an epoch, keep its "
            "tensors, and call network_from"
        )


def shuffled_batches(
    train: LabeledImages, *, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Iterator[Batch], Int[Tensor, " n"]]]:
    """Shuffle the images epoch after epoch, indefinitely.

    Yields:
        For each epoch, its batches, and all labels in the same order. The last batch of
        an epoch can be smaller. A batch is valid until the next batch is requested,
        because both use the same memory, which is faster than new tensors.
    """
    images = torch.from_numpy(train.images).flatten(start_dim=1)  # (n, 784), in bytes
    labels = torch.from_numpy(train.labels).long()  # (n,)
    targets = one_hot(labels, CLASSES).T.float()  # (10, n)
    shuffled_images, shuffled_targets = map(torch.empty_like, (images, targets))
    floats = torch.empty(batch_size, PIXELS, dtype=torch.float32)
    # The batches are in the same memory in every epoch. Each image is a column of a
    # batch, but a row in memory.
    byte_levels = shuffled_images.T.split(batch_size, dim=1)  # (784, batch)
    float_levels = [floats.T[:, : x.shape[1]] for x in byte_levels]  # (784, batch)
    batch_targets = shuffled_targets.split(batch_size, dim=1)  # (10, batch)

    def float_batches() -> Iterator[Batch]:
        batches = zip(byte_levels, float_levels, batch_targets, strict=True)
        for in_bytes, levels, of_batch in batches:
            yield levels.copy_(in_bytes), of_batch

    while True:
        order = torch.randperm(len(labels), generator=generator)  # (n,)
        torch.index_select(images, 0, order, out=shuffled_images)
        torch.index_select(targets, 1, order, out=shuffled_targets)
        yield float_batches(), labels[order]


def fit(
    state: TrainingState,
    split: Split,
    hyperparameters: Hyperparameters,
    *,
    epochs: Iterable[int],
) -> Iterator[Epoch]:
    """Train a network in place, and yield the results of each epoch.

    Args:
        state: The network, its optimizer, and the generator that shuffles the images.
        split: The training images, which are shuffled in every epoch, and the
            validation images.
        hyperparameters: The batch size. `TrainingState.initial` and
            `Dataset.training_split` use other fields. A new hyperparameter of the loop
            needs no new argument.
        epochs: The numbers of the epochs, such as range(1, 21).

    Yields:
        The network, the duration of the epoch including its validation, and the
        metrics: losses in nats, accuracies in [0, 1]. A metric `train/...` is a mean
        over the training images. Each image is measured in the step that uses it, as in
        Keras. A metric `val/...` is measured after the epoch.

    Raises:
        FloatingPointError: If a metric or a weight becomes non-finite.
    """
    network, optimizer = state.network, state.optimizer
    batch_size = hyperparameters.batch_size
    shuffled = shuffled_batches(
        split.train, batch_size=batch_size, generator=state.generator
    )
    gradient = torch.zeros_like(network.vector)  # (p,), filled again in each step
    out = network.views(gradient)
    # The logits of each step of an epoch, (10, batch). If the logits of all steps were
    # columns of one tensor, a step would be slower.
    batch_labels = torch.from_numpy(split.train.labels).split(batch_size)
    logits = [network.vector.new_empty(CLASSES, len(each)) for each in batch_labels]
    for number in epochs:
        start = perf_counter()
        batches, labels = next(shuffled)
        with torch.inference_mode():  # faster, because autograd records nothing
            for (levels, targets), of_batch in zip(batches, logits, strict=True):
                network.gradients(levels, targets, out=out, logits=of_batch)
                optimizer.step(gradient)
        train = _score(torch.cat(logits, dim=1).T, labels)
        val = score(network, split.val)
        metrics = {f"train/{name}": value for name, value in train.items()}
        metrics |= {f"val/{name}": value for name, value in val.items()}
        _check_finite(metrics, state, logits, labels, number=number)
        seconds = perf_counter() - start
        yield Epoch(snapshot(network), number, metrics, seconds, now())


def train_network(
    dataset: Dataset, hyperparameters: Hyperparameters
) -> Iterator[Epoch]:
    """Train a new network without checkpoints and without recording anything.

    In a block of `one_thread`, the weights are identical to the command's.

    Args:
        dataset: The images, before they are divided by `Dataset.training_split`.
        hyperparameters: All hyperparameters, with the name of the split.

    Yields:
        Epoch 0, before training, and then what `fit` yields. With the tensors of the
        last epoch, `network_from` creates the trained network.

    Raises:
        UserError: If the data set is too small for the split or the batch size.
        FloatingPointError: If a metric or a weight becomes non-finite.
    """
    split = dataset.training_split(hyperparameters)
    state = TrainingState.initial(hyperparameters)
    yield state.epoch_0()
    numbers = range(1, hyperparameters.epochs + 1)
    yield from fit(state, split, hyperparameters, epochs=numbers)


def score(network: Network, images: LabeledImages) -> dict[str, float]:
    """Return loss and accuracy of a network on labeled images."""
    labels = torch.from_numpy(images.labels).long()
    return _score(network.logits(images.images), labels)


def _score(
    logits: Float[Tensor, "n 10"], labels: Int[Tensor, " n"]
) -> dict[str, float]:
    return {
        "loss": cross_entropy(logits, labels).item(),
        "accuracy": agreement(predicted(logits), labels.numpy()),
    }


def _check_finite(
    metrics: Mapping[str, float],
    state: TrainingState,
    logits: Sequence[Tensor],
    labels: Int[Tensor, " n"],
    *,
    number: int,
) -> None:
    """Raise a FloatingPointError if a metric or a weight is NaN or infinite.

    `logits` are those of each step of the epoch `number`, (10, batch).
    """
    names = [name for name, value in metrics.items() if not math.isfinite(value)]
    if not torch.isfinite(state.network.vector).all():
        names.append("weights")
    if names:
        step = _first_non_finite_step(logits, labels.split(logits[0].shape[1]))
        raise FloatingPointError(
            f"{', '.join(names)} became non-finite in epoch {number}, in step {step} "
            f"of {len(logits)} or earlier (the last epoch with finite values is "
            f"{number - 1}): use an lr smaller than {state.optimizer.lr}"
        )


def _first_non_finite_step(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> int:
    """Return the first step with a non-finite loss; if there is none, the last."""
    losses = map(cross_entropy, (batch.T for batch in logits), labels)
    steps = (n for n, loss in enumerate(losses, start=1) if not torch.isfinite(loss))
    return next(steps, len(logits))
