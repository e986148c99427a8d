"""Training, written out: what is computed for a batch, and how Adam uses it.

Nothing is hidden in a library here. `gradients` is backpropagation through the two
layers in eight lines, `Adam` is Keras's, and `fit` repeats both for every batch of
every epoch. Tests hold the gradients against autograd and finite differences, and Adam
against PyTorch's.
"""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from pipeline import CLASSES
from pipeline.datasets.dataset import LabelledImages, Split
from pipeline.model.metrics import accuracy, cross_entropy
from pipeline.model.network import Network

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults for Adam


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch."""

    number: int  # from 1
    metrics: dict[str, float]  # losses in nats, accuracies in [0, 1]
    seconds: float  # that it took, validation included


class Adam:
    """Adam, as Keras computes it, on all parameters of a network at once.

    The parameters are laid end to end in one vector, of which the network's tensors
    become views; so a step is six operations, however many tensors there are.

    Source: Kingma and Ba, Adam: a method for stochastic optimization (2015), the
    formulation just before 2.1, in which epsilon stands beside the uncorrected root.
    """

    def __init__(self, network: Network, *, lr: float) -> None:
        """Take over the parameters of the network; lr is the size of a step."""
        self.lr = lr
        self.steps = 0
        self.parameters = parameters_to_vector(network.parameters()).detach()
        vector_to_parameters(self.parameters, network.parameters())
        self.mean = torch.zeros_like(self.parameters)  # of the gradients so far
        self.square = torch.zeros_like(self.parameters)  # mean of their squares

    def step(self, gradient: Float[Tensor, " parameters"]) -> None:
        """Move every parameter against its gradient, each by a step of its own size."""
        self.steps += 1
        self.mean.lerp_(gradient, 1 - BETA_1)
        self.square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        corrected = math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        root = self.square.sqrt().add_(EPSILON)
        self.parameters.addcdiv_(self.mean, root, value=-self.lr * corrected)


def train(
    split: Split, *, hidden: int, epochs: int, batch_size: int, lr: float, seed: int
) -> tuple[Network, list[Epoch]]:
    """Train a new network from the first step to the last, without stops or records.

    The bytes are those of the command's where torch.set_num_threads(1) was called.

    Returns:
        The network, and what was known after each epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    network = Network(hidden=hidden, generator=generator)
    history = fit(
        network,
        Adam(network, lr=lr),
        train=split.train,
        val=split.val,
        epochs=range(1, epochs + 1),
        batch_size=batch_size,
        generator=generator,
    )
    return network, list(history)


def fit(
    network: Network,
    adam: Adam,
    *,
    train: LabelledImages,
    val: LabelledImages,
    epochs: Iterable[int],
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[Epoch]:
    """Train the network in place, and yield what is known after each epoch.

    Args:
        network: The network to train.
        adam: The optimizer that has taken over its parameters.
        train: Pictures to learn from, shuffled anew every epoch.
        val: Pictures to watch; nothing is learned from them.
        epochs: The numbers of the epochs, such as range(1, 21).
        batch_size: Pictures a step. The last batch of an epoch may be smaller.
        generator: Source of the shuffles.

    Yields:
        `train/loss` and `train/accuracy` as Keras prints them: means over the pictures,
        each as the network answered it in its batch, while it was still learning.
        `val/loss` and `val/accuracy` of the network as it stands after the epoch.

    Raises:
        FloatingPointError: If a loss or a weight is no longer a finite number; it says
            since which step.
    """
    images = torch.from_numpy(train.images)  # stay bytes: a quarter of the memory
    labels = torch.from_numpy(train.labels).long()
    targets = one_hot(labels, CLASSES).float()  # (n, 10), 1 at the label
    shuffled, shuffled_targets = torch.empty_like(images), torch.empty_like(targets)
    logits = torch.empty_like(targets)  # kept, so that loss is computed once an epoch
    weights = [tensor.detach() for tensor in network.parameters()]
    gradient = torch.empty_like(adam.parameters)
    slopes = _views(gradient, like=weights)
    for number in epochs:
        start = time.perf_counter()
        order = torch.randperm(len(train), generator=generator)
        torch.index_select(images, 0, order, out=shuffled)
        torch.index_select(targets, 0, order, out=shuffled_targets)
        with torch.inference_mode():  # nothing is noted for autograd: a tenth faster
            for batch, batch_targets, batch_logits in zip(
                shuffled.flatten(start_dim=1).split(batch_size),
                shuffled_targets.split(batch_size),
                logits.split(batch_size),
                strict=True,
            ):
                gradients(weights, batch / 255, batch_targets, batch_logits, out=slopes)
                adam.step(gradient)
        seen = labels[order]
        metrics = {
            "train/loss": cross_entropy(logits, seen).item(),
            "train/accuracy": accuracy(logits, seen).item(),
            **{f"val/{name}": value for name, value in score(network, val).items()},
        }
        finite = torch.isfinite(adam.parameters).all()
        if not (finite and all(map(math.isfinite, metrics.values()))):
            steps = -(-len(train) // batch_size)
            step = _first_bad(logits, seen) // batch_size + 1
            raise FloatingPointError(
                f"loss or weights are no finite numbers any more, in epoch {number} "
                f"from step {min(step, steps)} of {steps} on: lr must be smaller than "
                f"{adam.lr}; the last good epoch is {number - 1}"
            )
        yield Epoch(number, metrics, time.perf_counter() - start)


def gradients(
    weights: list[Tensor],
    pixels: Float[Tensor, "batch 784"],
    targets: Float[Tensor, "batch 10"],
    logits: Float[Tensor, "batch 10"],
    *,
    out: list[Tensor],
) -> None:
    """Compute how the mean cross-entropy of a batch changes with every weight.

    Args:
        weights: Weight and bias of layer_1, then of layer_2, as PyTorch stores them.
        pixels: The pictures, flattened.
        targets: 1 at the label of each picture, 0 elsewhere.
        logits: Filled with what the network answers.
        out: Filled with the gradients, shaped as the weights.

    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), algorithm 6.4; that
    softmax and cross-entropy together have the slope p - y is Bishop, Pattern
    Recognition and Machine Learning (2006), equation 4.109.
    """
    w_1, b_1, w_2, b_2 = weights
    d_w_1, d_b_1, d_w_2, d_b_2 = out
    # Forward: what the network answers.
    hidden = torch.addmm(b_1, pixels, w_1.T).relu_()  # (batch, hidden)
    torch.addmm(b_2, hidden, w_2.T, out=logits)
    # Backward: the chain rule, from the loss to each layer's sums to its weights.
    d_logits = logits.softmax(dim=1).sub_(targets).div_(len(pixels))  # (batch, 10)
    torch.mm(d_logits.T, hidden, out=d_w_2)
    torch.sum(d_logits, dim=0, out=d_b_2)
    d_hidden = torch.mm(d_logits, w_2).mul_(hidden.sign())  # ReLU: 1 or 0
    torch.mm(d_hidden.T, pixels, out=d_w_1)
    torch.sum(d_hidden, dim=0, out=d_b_1)


def _first_bad(logits: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> int:
    """Return the first row whose loss is no finite number; n if there is none."""
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return int(torch.isfinite(losses).long().cumprod(dim=0).sum())


def score(network: Network, pictures: LabelledImages) -> dict[str, float]:
    """Return loss and accuracy of the network, as it stands, on pictures."""
    logits = network.logits(pictures.images)
    labels = torch.from_numpy(pictures.labels).long()
    return {
        "loss": cross_entropy(logits, labels).item(),
        "accuracy": accuracy(logits, labels).item(),
    }


def _views(vector: Tensor, *, like: list[Tensor]) -> list[Tensor]:
    """Cut a vector into tensors that are shaped like others and share its memory."""
    parts = vector.split([tensor.numel() for tensor in like])
    return [part.view_as(tensor) for part, tensor in zip(parts, like, strict=True)]
