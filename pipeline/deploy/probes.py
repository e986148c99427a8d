"""Probe images, for cases that no test image covers.

Examples are pixels that are always 0, the clamp, and extreme sums.

In all test images of MNIST, 116 pixels are 0, and no test image gives a sum above 255
after the shift. Therefore, the 10,000 test images cannot detect errors in these cases.
"""

import numpy as np
from jaxtyping import UInt8

from pipeline.core import PIXELS, SIDE, WHITE
from pipeline.integers import IntegerNetwork

NOISE_IMAGES = 1000
MAX_PROBED_NEURONS = 1000  # neurons with extreme images; 10,000 would need 14 GB


def probe_images(
    network: IntegerNetwork, *, generator: np.random.Generator
) -> UInt8[np.ndarray, "n 28 28"]:
    """Return images for tests of an implementation of `network`.

    The images are: a blank image, a white image, an image for each pixel alone, the
    images with the highest and the lowest sum of each of the first `MAX_PROBED_NEURONS`
    hidden neurons, and noise of different density.
    """
    blank = np.zeros((1, PIXELS), np.uint8)
    white = np.full((1, PIXELS), WHITE, np.uint8)
    single = np.eye(PIXELS, dtype=np.uint8) * WHITE
    highest = np.where(network.weights_1[:MAX_PROBED_NEURONS] > 0, WHITE, 0)
    lowest = np.where(network.weights_1[:MAX_PROBED_NEURONS] < 0, WHITE, 0)
    noise = generator.integers(0, 256, (NOISE_IMAGES, PIXELS))
    density = np.linspace(0, 1, NOISE_IMAGES)[:, None]
    noise = np.where(generator.random(noise.shape) < density, noise, 0)
    images = np.concatenate([blank, white, single, highest, lowest, noise])
    return images.astype(np.uint8).reshape(-1, SIDE, SIDE)
