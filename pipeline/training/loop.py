"""The training loop: gradients by backpropagation, steps by Adam, epoch by epoch.

Everything is written out in tensor operations, without autograd or `torch.optim`. Tests
compare the gradients with autograd and finite differences, and Adam with PyTorch's.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter, time_ns

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from pipeline import CLASSES
from pipeline.datasets import LabelledImages, Split
from pipeline.model.metrics import accuracy, cross_entropy
from pipeline.model.network import Network, Snapshot, snapshot

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults for Adam


@dataclass(frozen=True)
class Epoch:
    """The network at the end of an epoch, and its scores."""

    tensors: Snapshot
    number: int = 0  # 0 is before the training, without metrics
    metrics: dict[str, float] = field(default_factory=dict)  # see `fit`
    seconds: float = 0.0  # duration, validation included
    time: int = field(default_factory=lambda: time_ns() // 1_000_000)  # Unix, in ms


def gradients(
    weights: list[Tensor],
    pixels: Float[Tensor, "batch 784"],
    targets: Float[Tensor, "batch 10"],
    *,
    out: list[Tensor],
    logits: Float[Tensor, "batch 10"] | None = None,
) -> None:
    """Compute the gradient of the mean cross-entropy of a batch.

    Args:
        weights: Weight and bias of layer_1, then of layer_2, with PyTorch's shapes.
        pixels: The images.
        targets: The labels, one-hot.
        out: Receives the gradients, in the shapes of `weights`.
        logits: A tensor to which the logits are written.

    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), algorithm 6.4. The
    derivative of softmax and cross-entropy together, p - y, is equation 4.109 of
    Bishop, Pattern Recognition and Machine Learning (2006).
    """
    w_1, b_1, w_2, b_2 = weights
    d_w_1, d_b_1, d_w_2, d_b_2 = out
    # addmm adds a bias to a matrix product; a method with a final _ works in place.
    # Forward pass: from the pixels to the logits.
    hidden = torch.addmm(b_1, pixels, w_1.T).relu_()  # (batch, hidden)
    logits = torch.addmm(b_2, hidden, w_2.T, out=logits)  # (batch, 10)
    # Backward pass: the chain rule, from the loss back to the weights of each layer.
    d_logits = logits.softmax(dim=1).sub_(targets).div_(len(pixels))  # (batch, 10)
    torch.mm(d_logits.T, hidden, out=d_w_2)  # (10, hidden)
    torch.sum(d_logits, dim=0, out=d_b_2)
    d_hidden = torch.mm(d_logits, w_2).mul_(hidden.sign())  # ReLU's slope: 1 or 0
    torch.mm(d_hidden.T, pixels, out=d_w_1)  # (hidden, 784)
    torch.sum(d_hidden, dim=0, out=d_b_1)


class Adam:
    """Adam, as Keras computes it, for all parameters of a network at once.

    The parameters and their gradient are two long vectors, and the four tensors of the
    network (`weights`) and their `gradients` are views of them. So a step takes six
    operations for any number of tensors.

    Source: Kingma and Ba, Adam: a method for stochastic optimization (2015), the
    variant at the end of section 2, which adds epsilon to the uncorrected root.
    """

    def __init__(self, network: Network, *, lr: float) -> None:
        """Move the parameters of a network into a vector; `lr` is the learning rate."""
        self.lr = lr
        self.steps = 0
        self.parameters = parameters_to_vector(network.parameters()).detach()
        vector_to_parameters(self.parameters, network.parameters())
        self.weights = [tensor.detach() for tensor in network.parameters()]
        self.gradient = torch.zeros_like(self.parameters)
        parts = self.gradient.split([tensor.numel() for tensor in self.weights])
        self.gradients = [
            p.view_as(t) for p, t in zip(parts, self.weights, strict=True)
        ]
        self.mean = torch.zeros_like(self.parameters)  # moving average of gradients
        self.square = torch.zeros_like(self.parameters)  # and of their squares

    def step(self) -> None:
        """Update all parameters with the gradients of a batch."""
        self.steps += 1
        g = self.gradient
        self.mean.lerp_(g, 1 - BETA_1)
        self.square.mul_(BETA_2).addcmul_(g, g, value=1 - BETA_2)
        # Both averages start at 0; this removes the bias from their ratio.
        correction = math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        root = self.square.sqrt().add_(EPSILON)
        self.parameters.addcdiv_(self.mean, root, value=-self.lr * correction)


def shuffled_batches(
    data: LabelledImages, *, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[list[tuple[Tensor, Tensor]], Int[Tensor, " n"]]]:
    """Yield the batches of one epoch after another, each in a new random order.

    Yields:
        The grey levels (batch, 784) and one-hot labels (batch, 10) of each batch, and
        all labels in this order. The last batch may be smaller. All epochs have the
        same tensors, which are filled again: new ones would take 10 % more time.
    """
    images = torch.from_numpy(data.images).flatten(start_dim=1)
    labels = torch.from_numpy(data.labels).long()
    targets = one_hot(labels, CLASSES).float()  # (n, 10)
    inputs, outputs = torch.empty_like(images), torch.empty_like(targets)
    batches = [*zip(inputs.split(batch_size), outputs.split(batch_size), strict=True)]
    while True:
        order = torch.randperm(len(labels), generator=generator)
        torch.index_select(images, 0, order, out=inputs)
        torch.index_select(targets, 0, order, out=outputs)
        yield batches, labels[order]


def initialise(
    *, hidden: int, lr: float, seed: int
) -> tuple[Network, Adam, torch.Generator]:
    """Return a new network, its optimizer, and the generator that shuffles images."""
    generator = torch.Generator().manual_seed(seed)
    network = Network(hidden=hidden, generator=generator)
    return network, Adam(network, lr=lr), generator


def fit(
    network: Network,
    adam: Adam,
    split: Split,
    *,
    epochs: Iterable[int],
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[Epoch]:
    """Train a network in place, and yield the results of each epoch.

    Args:
        network: The network.
        adam: Its optimizer.
        split: The images for training, shuffled in every epoch, and for validation.
        epochs: The numbers of the epochs, such as range(1, 21).
        batch_size: Images per step. The last batch of an epoch may be smaller.
        generator: The random generator that shuffles the images.

    Yields:
        The network and its metrics: losses in nats, accuracies in [0, 1]. `train/...`
        is the mean over the steps of the epoch, as in Keras; `val/...` is measured
        after the epoch.

    Raises:
        FloatingPointError: If a loss or a weight becomes non-finite.
    """
    shuffled = shuffled_batches(split.train, batch_size=batch_size, generator=generator)
    weights, out = adam.weights, adam.gradients
    logits = torch.empty(len(split.train), CLASSES)
    outputs = logits.split(batch_size)
    for number in epochs:
        start = perf_counter()
        batches, labels = next(shuffled)
        with torch.inference_mode():  # autograd records nothing: 10 % faster
            for (images, targets), output in zip(batches, outputs, strict=True):
                gradients(weights, images / 255, targets, out=out, logits=output)
                adam.step()
        train, val = _score(logits, labels), score(network, split.val)
        metrics = {f"train/{name}": value for name, value in train.items()}
        metrics |= {f"val/{name}": value for name, value in val.items()}
        finite = torch.isfinite(adam.parameters).all()
        if not (finite and all(map(math.isfinite, metrics.values()))):
            step = _first_non_finite_step(outputs, labels.split(batch_size))
            raise FloatingPointError(
                f"loss or weights became non-finite in epoch {number}, step {step} of "
                f"{len(outputs)}: use a smaller lr than {adam.lr}; the last good epoch "
                f"is {number - 1}"
            )
        seconds = perf_counter() - start
        yield Epoch(snapshot(network), number, metrics, seconds)


def train(
    split: Split, *, hidden: int, epochs: int, batch_size: int, lr: float, seed: int
) -> tuple[Network, list[Epoch]]:
    """Train a new network without checkpoints and without recording anything.

    After torch.set_num_threads(1), its weights are identical to those of the command.

    Returns:
        The network, and the results of each epoch.
    """
    network, adam, generator = initialise(hidden=hidden, lr=lr, seed=seed)
    results = fit(
        network,
        adam,
        split,
        epochs=range(1, epochs + 1),
        batch_size=batch_size,
        generator=generator,
    )
    return network, list(results)


def score(network: Network, data: LabelledImages) -> dict[str, float]:
    """Return loss and accuracy of a network on labelled images."""
    labels = torch.from_numpy(data.labels).long()
    return _score(network.logits(data.images), labels)


def _score(
    logits: Float[Tensor, "n 10"], labels: Int[Tensor, " n"]
) -> dict[str, float]:
    return {
        "loss": cross_entropy(logits, labels).item(),
        "accuracy": accuracy(logits, labels).item(),
    }


def _first_non_finite_step(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> int:
    """Return the first step with a non-finite loss; if there is none, the last."""
    losses = map(cross_entropy, logits, labels)
    steps = (n for n, loss in enumerate(losses, start=1) if not torch.isfinite(loss))
    return next(steps, len(logits))
