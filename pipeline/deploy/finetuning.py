"""Quantisation-aware training: adapts a trained network to few bits.

The forward and backward passes use the quantised weights of layer_1. Adam updates the
weights in floats, as if the derivative of rounding were 1.
Source: Bengio, Léonard, Courville, Estimating or propagating gradients through
stochastic neurons for conditional computation (2013), the straight-through estimator.
"""

import copy
import math
from collections.abc import Iterator

import numpy as np
import torch

from pipeline.datasets import LabelledImages
from pipeline.deploy.quantization import quantize_weights
from pipeline.model import Network
from pipeline.training.loop import Adam, gradients, shuffled_batches

BATCH_SIZE = 128
LEARNING_RATE = 0.001  # at the first step; falls to 0 in a cosine schedule


def finetune(
    network: Network, train: LabelledImages, *, bits: int, epochs: int, seed: int
) -> Iterator[Network]:
    """Train a copy of a network so that it works with weights of `bits` bits.

    The seed determines the order of the images. Yields the copy after each epoch; its
    weights are floats, which `quantize` rounds.
    """
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    adam = Adam(network, lr=LEARNING_RATE)
    w_1, *others = adam.weights
    shuffled = shuffled_batches(train, batch_size=BATCH_SIZE, generator=generator)
    steps = epochs * math.ceil(len(train) / BATCH_SIZE)
    for _ in range(epochs):
        batches, _ = next(shuffled)
        with torch.inference_mode():  # autograd records nothing: 10 % faster
            for images, targets in batches:
                cosine = math.cos(math.pi * adam.steps / steps)
                adam.lr = LEARNING_RATE * (1 + cosine) / 2
                weights = [_rounded(w_1, bits=bits), *others]
                gradients(weights, images / 255, targets, out=adam.gradients)
                adam.step()
        yield network


def _rounded(weights: torch.Tensor, *, bits: int) -> torch.Tensor:
    """Return the real numbers that quantised weights represent."""
    q, scale = quantize_weights(weights.numpy().astype(np.float64), bits=bits)
    return torch.from_numpy(np.float32(q * scale[:, None]))
