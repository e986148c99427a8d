"""Which pixels are always 0, and which weights training therefore never changed.

The gradient of a weight is 0 in every step if its pixel is 0 in all training images.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pipeline import PIXELS


def nonzero_counts(images: UInt8[np.ndarray, "n 28 28"]) -> Int[np.ndarray, "784"]:
    """Return for each pixel the number of images in which it is not 0."""
    return np.asarray(np.count_nonzero(images.reshape(-1, PIXELS), axis=0))


def describe_pixel(pixel: int, images: UInt8[np.ndarray, "n 28 28"]) -> str:
    """Return how often a pixel is above 0 in the training images, and its mean."""
    count = int(nonzero_counts(images)[pixel])
    mean = images.reshape(len(images), PIXELS)[:, pixel].mean() / 255
    return (
        f"Pixel {pixel} is above 0 in {count:,} of {len(images):,} training images "
        f"({count / len(images):.1%}); its mean is {mean:.4f} (0 is black, 1 is white)."
    )


def frozen_weights(
    history: Mapping[str, Float[np.ndarray, "..."]],
) -> Bool[np.ndarray, "784 hidden"]:
    """Return which weights of layer_1 never changed, by a comparison of their bits.

    Args:
        history: The parameters before training and after each epoch, stacked along a
            first axis, as `TrainedModel.history` returns them.
    """
    bits = history["layer_1.weight"].view(np.uint32)
    return np.asarray((bits == bits[0]).all(axis=0).T)
