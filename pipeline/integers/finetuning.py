"""Quantization-aware training: adapts a trained network to few bits.

The forward and backward passes use the quantized weights of layer 1. Adam updates the
floating-point weights, as if the derivative of rounding were 1.
Source: Bengio, Léonard, Courville, Estimating or propagating gradients through
stochastic neurons for conditional computation (2013), the straight-through estimator.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch

from pipeline.core.dataset import LabeledImages
from pipeline.core.loop import shuffled_batches
from pipeline.core.network import Network, network_from, snapshot
from pipeline.core.optimizer import Adam
from pipeline.integers.bit_widths import BIT_WIDTHS

BATCH_SIZE = 128
LEARNING_RATE = 0.001  # at the first step; falls to 0 in a cosine schedule


def finetune(
    network: Network, train: LabeledImages, *, bits: int, epochs: int, seed: int
) -> Iterator[Network]:
    """Train a copy of a network so that it works with weights of `bits` bits.

    The seed determines the order of the images. After each epoch, the function yields a
    new network with floating-point weights, which `quantize` rounds.
    """
    network, rounded = (network_from(snapshot(network)) for _ in range(2))
    generator = torch.Generator().manual_seed(seed)
    adam = Adam(network.vector, lr=LEARNING_RATE)
    gradient = torch.zeros_like(network.vector)
    out = network.views(gradient)
    shuffled = shuffled_batches(train, batch_size=BATCH_SIZE, generator=generator)
    steps = epochs * math.ceil(len(train) / BATCH_SIZE)
    for _ in range(epochs):
        batches, _ = next(shuffled)
        with torch.inference_mode():  # faster, because autograd records nothing
            for levels, targets in batches:
                cosine = math.cos(math.pi * adam.steps / steps)
                adam.lr = LEARNING_RATE * (1 + cosine) / 2
                rounded.vector.copy_(network.vector)
                w_1 = rounded.matrices[0]
                w_1.copy_(_rounded(w_1, bits=bits))
                rounded.gradients(levels, targets, out=out)
                adam.step(gradient)
        yield network_from(snapshot(network))


def _rounded(weights: torch.Tensor, *, bits: int) -> torch.Tensor:
    """Return the real numbers that quantized weights represent."""
    q, scale = BIT_WIDTHS[bits].quantize(weights.numpy().astype(np.float64))
    return torch.from_numpy(np.float32(q * scale[:, None]))
