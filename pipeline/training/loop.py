"""The training loop: gradients by backpropagation, steps by Adam, epoch by epoch.

Everything is written out in tensor operations, without autograd or `torch.optim`. Tests
compare the gradients with autograd and finite differences, and Adam with PyTorch's.
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
from pipeline.datasets import LabelledImages, Split
from pipeline.model.metrics import accuracy, cross_entropy
from pipeline.model.network import Network

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults for Adam


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch."""

    number: int  # from 1; 0 is the state before training
    metrics: dict[str, float]  # losses in nats, accuracies in [0, 1]
    seconds: float  # duration, validation included


def gradients(
    weights: list[Tensor],
    pixels: Float[Tensor, "batch 784"],
    targets: Float[Tensor, "batch 10"],
    logits: Float[Tensor, "batch 10"],
    *,
    out: list[Tensor],
) -> None:
    """Compute the gradient of the mean cross-entropy of a batch.

    Args:
        weights: Weight and bias of layer_1, then of layer_2, with PyTorch's shapes.
        pixels: The images.
        targets: The labels, one-hot.
        logits: Receives the output of the network.
        out: Receives the gradients, in the shapes of `weights`.

    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), algorithm 6.4. The
    derivative of softmax and cross-entropy together, p - y, is equation 4.109 of
    Bishop, Pattern Recognition and Machine Learning (2006).
    """
    w_1, b_1, w_2, b_2 = weights
    d_w_1, d_b_1, d_w_2, d_b_2 = out
    # Forward pass: from the pixels to the logits.
    hidden = torch.addmm(b_1, pixels, w_1.T).relu_()  # (batch, hidden)
    torch.addmm(b_2, hidden, w_2.T, out=logits)
    # Backward pass: the chain rule, from the loss back to the weights of each layer.
    d_logits = logits.softmax(dim=1).sub_(targets).div_(pixels.shape[0])  # (batch, 10)
    torch.mm(d_logits.T, hidden, out=d_w_2)  # (10, hidden)
    torch.sum(d_logits, dim=0, out=d_b_2)
    d_hidden = torch.mm(d_logits, w_2).mul_(hidden.sign())  # ReLU's slope: 1 or 0
    torch.mm(d_hidden.T, pixels, out=d_w_1)  # (hidden, 784)
    torch.sum(d_hidden, dim=0, out=d_b_1)


class Adam:
    """Adam, as Keras computes it, for all parameters of a network at once.

    It moves the parameters into one vector, and the network's tensors become views of
    it. So a step takes six operations for any number of tensors.

    Source: Kingma and Ba, Adam: a method for stochastic optimization (2015), the
    variant at the end of section 2, which adds epsilon to the uncorrected root.
    """

    def __init__(self, network: Network, *, lr: float) -> None:
        """Move the parameters of a network into a vector; `lr` is the learning rate."""
        self.lr = lr
        self.steps = 0
        self.parameters = parameters_to_vector(network.parameters()).detach()
        vector_to_parameters(self.parameters, network.parameters())
        self.mean = torch.zeros_like(self.parameters)  # moving average of gradients
        self.square = torch.zeros_like(self.parameters)  # and of their squares

    def step(self, gradient: Float[Tensor, " parameters"]) -> None:
        """Update all parameters with the gradient of a batch."""
        self.steps += 1
        self.mean.lerp_(gradient, 1 - BETA_1)
        self.square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        # Both averages start at 0; this removes the bias from their ratio.
        correction = math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        root = self.square.sqrt().add_(EPSILON)
        self.parameters.addcdiv_(self.mean, root, value=-self.lr * correction)


class Batches:
    """The training images in batches, shuffled in every epoch.

    They are views of three tensors that `shuffle` fills again: images as grey levels
    (batch, 784), one-hot labels (batch, 10), and logits (batch, 10) for the results.
    """

    def __init__(self, data: LabelledImages, *, batch_size: int) -> None:
        """Divide the images; the last batch may be smaller."""
        self.data = torch.from_numpy(data.images)  # uint8: a quarter of the memory
        self.labels = torch.from_numpy(data.labels).long()
        self.one_hot = one_hot(self.labels, CLASSES).float()  # (n, 10)
        self.images, self.targets = map(torch.empty_like, (self.data, self.one_hot))
        self.logits = torch.empty_like(self.targets)
        tensors = self.images.flatten(start_dim=1), self.targets, self.logits
        parts = (tensor.split(batch_size) for tensor in tensors)
        self.batches = [*zip(*parts, strict=True)]

    def shuffle(self, generator: torch.Generator) -> Int[Tensor, " n"]:
        """Put the images into a new random order; return the labels in this order."""
        order = torch.randperm(len(self.labels), generator=generator)
        torch.index_select(self.data, 0, order, out=self.images)
        torch.index_select(self.one_hot, 0, order, out=self.targets)
        return self.labels[order]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield images, targets and logits of each batch."""
        return iter(self.batches)

    def __len__(self) -> int:
        """Return the number of batches, which are the steps of an epoch."""
        return len(self.batches)


def initialise(
    *, hidden: int, lr: float, seed: int
) -> tuple[Network, Adam, torch.Generator]:
    """Return a new network, its optimizer, and the generator that shuffles images."""
    generator = torch.Generator().manual_seed(seed)
    network = Network(hidden=hidden, generator=generator)
    return network, Adam(network, lr=lr), generator


def views(vector: Float[Tensor, " parameters"], tensors: list[Tensor]) -> list[Tensor]:
    """Return views of parts of a vector, with the shapes of these tensors."""
    parts = vector.split([tensor.numel() for tensor in tensors])
    return [part.view_as(t) for part, t in zip(parts, tensors, strict=True)]


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
        Loss and accuracy: `train/...` is the mean over the steps of the epoch, as in
        Keras; `val/...` is measured after the epoch.

    Raises:
        FloatingPointError: If a loss or a weight becomes non-finite.
    """
    batches = Batches(split.train, batch_size=batch_size)
    weights = [tensor.detach() for tensor in network.parameters()]
    gradient = torch.empty_like(adam.parameters)
    out = views(gradient, weights)
    for number in epochs:
        start = time.perf_counter()
        labels = batches.shuffle(generator)
        with torch.inference_mode():  # autograd records nothing: 10 % faster
            for images, targets, logits in batches:
                gradients(weights, images / 255, targets, logits, out=out)
                adam.step(gradient)
        scores = {"train": _score(batches.logits, labels)}
        scores["val"] = score(network, split.val)
        metrics = {f"{part}/{k}": v for part in scores for k, v in scores[part].items()}
        finite = torch.isfinite(adam.parameters).all()
        if not (finite and all(map(math.isfinite, metrics.values()))):
            step = _first_non_finite_step(batches.logits, labels, batch_size)
            raise FloatingPointError(
                f"loss or weights became non-finite in epoch {number}, {step}: use a "
                f"smaller lr than {adam.lr}; the last good epoch is {number - 1}"
            )
        yield Epoch(number, metrics, time.perf_counter() - start)


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


def _first_non_finite_step(
    logits: Float[Tensor, "n 10"], labels: Int[Tensor, " n"], batch_size: int
) -> str:
    """Describe the first step with a non-finite loss; if there is none, the last."""
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    row = int(torch.isfinite(losses).long().cumprod(dim=0).sum())  # n if all are finite
    steps = math.ceil(len(labels) / batch_size)
    return f"step {min(row // batch_size + 1, steps)} of {steps}"
