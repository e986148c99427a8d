"""The training loop, epoch by epoch.

It does not depend on the layers or on the optimizer: the network computes its
gradients, and the optimizer applies them. It logs nothing: it yields the results of
each epoch.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from pipeline.core import CLASSES, PIXELS
from pipeline.core.dataset import LabeledImages, Split, sample_rows
from pipeline.core.epoch import Epoch
from pipeline.core.fingerprint import check_code
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.margin import smallest_margin
from pipeline.core.metrics import accuracy, cross_entropy
from pipeline.core.network import Network, snapshot
from pipeline.core.optimizer import Optimizer, new_optimizer

check_code()  # PyTorch is imported late, perhaps long after the modules were hashed


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


def shuffled_batches(
    data: LabeledImages, *, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Iterator[tuple[Tensor, Tensor]], Int[Tensor, " n"]]]:
    """Yield the batches of one epoch after another, each in a new random order.

    Yields:
        The gray levels (batch, 784) and one-hot labels (10, batch) of each batch, and
        all labels in this order. The last batch may be smaller. All batches have the
        same tensors, which are filled again: new ones would take 8% more time.
    """
    images = torch.from_numpy(data.images).flatten(start_dim=1)  # (n, 784), in bytes
    labels = torch.from_numpy(data.labels).long()
    targets = one_hot(labels, CLASSES).T.float()  # (10, n)
    shuffled_images, shuffled_targets = torch.empty_like(images), targets.clone()
    floats = torch.empty(batch_size, PIXELS)

    def float_batches() -> Iterator[tuple[Tensor, Tensor]]:
        parts = shuffled_images.split(batch_size)
        columns = shuffled_targets.split(batch_size, dim=1)
        for part, column in zip(parts, columns, strict=True):
            yield floats[: len(part)].copy_(part), column

    while True:
        order = torch.randperm(len(labels), generator=generator)
        torch.index_select(images, 0, order, out=shuffled_images)
        torch.index_select(targets, 1, order, out=shuffled_targets)
        yield float_batches(), labels[order]


def fit(
    state: TrainingState, split: Split, *, epochs: Iterable[int], batch_size: int
) -> Iterator[Epoch]:
    """Train a network in place, and yield the results of each epoch.

    Args:
        state: The network, its optimizer, and the generator that shuffles the images.
        split: The images for training, shuffled in every epoch, and for validation.
        epochs: The numbers of the epochs, such as range(1, 21).
        batch_size: Images per step. The last batch of an epoch may be smaller.

    Yields:
        The network and its metrics: losses in nats, accuracies in [0, 1]. `train/...`
        is the mean over the steps of the epoch, as in Keras; `val/...` is measured
        after the epoch.

    Raises:
        FloatingPointError: If a loss or a weight becomes non-finite.
    """
    network, optimizer = state.network, state.optimizer
    shuffled = shuffled_batches(
        split.train, batch_size=batch_size, generator=state.generator
    )
    gradient = torch.zeros_like(network.vector)
    out = network.views(gradient)
    logits = torch.empty(CLASSES, len(split.train))
    outputs = logits.split(batch_size, dim=1)
    for number in epochs:
        start = perf_counter()
        batches, labels = next(shuffled)
        with torch.inference_mode():  # autograd records nothing: 10% faster
            for (images, targets), output in zip(batches, outputs, strict=True):
                network.gradients(images, targets, out=out, logits=output)
                optimizer.step(gradient)
        train, val = _score(logits.T, labels), score(network, split.val)
        metrics = {f"train/{name}": value for name, value in train.items()}
        metrics |= {f"val/{name}": value for name, value in val.items()}
        finite = torch.isfinite(network.vector).all()
        if not (finite and all(map(math.isfinite, metrics.values()))):
            step = _first_non_finite_step(outputs, labels.split(batch_size))
            raise FloatingPointError(
                f"loss or weights became non-finite in epoch {number}, step {step} of "
                f"{len(outputs)}: use a smaller lr than {optimizer.lr}; the last good "
                f"epoch is {number - 1}"
            )
        seconds = perf_counter() - start
        yield Epoch(snapshot(network), number, metrics, seconds)


def train_network(
    split: Split, hyperparameters: Hyperparameters
) -> tuple[Network, list[Epoch]]:
    """Train a new network without checkpoints and without recording anything.

    After torch.set_num_threads(1), its weights are identical to the command's.

    Args:
        split: The images; see `Dataset.training_split`.
        hyperparameters: All of them except `split` are used.

    Returns:
        The network, and the results of each epoch; epoch 0 is the state before
        training.
    """
    state = TrainingState.initial(hyperparameters)
    initial = Epoch(snapshot(state.network))
    results = fit(
        state,
        split,
        epochs=range(1, hyperparameters.epochs + 1),
        batch_size=hyperparameters.batch_size,
    )
    return state.network, [initial, *results]


def measure(network: Network, train: LabeledImages) -> tuple[dict[str, float], float]:
    """Measure a trained network on its training images.

    Returns:
        The `score` on all of them, and the `smallest_margin` of a sample.
    """
    sample = train.images[sample_rows(len(train))]
    return score(network, train), smallest_margin(network.predict(sample).numpy())


def score(network: Network, data: LabeledImages) -> dict[str, float]:
    """Return loss and accuracy of a network on labeled images."""
    labels = torch.from_numpy(data.labels).long()
    # `logits` accepts gray levels only, but the exercise also asks what a
    # network learns from pixels that are not divided by 255.
    return _score(network.unchecked_logits(data.images), labels)


def _score(
    logits: Float[Tensor, "n 10"], labels: Int[Tensor, " n"]
) -> dict[str, float]:
    return {
        "loss": cross_entropy(logits, labels).item(),
        "accuracy": accuracy(logits, labels).item(),
    }


def _first_non_finite_step(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> int:
    """Return the first step with a non-finite loss; if there is none, the last."""
    losses = map(cross_entropy, (batch.T for batch in logits), labels)
    steps = (n for n, loss in enumerate(losses, start=1) if not torch.isfinite(loss))
    return next(steps, len(logits))
