"""Scikit-learn's digits: 1,797 real digits of 8x8 pixels, without a download."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipeline.base.progress import busy
from pipeline.core import SIDE, WHITE
from pipeline.core.dataset import LabeledImages

TRAINING_IMAGES = 1500


def load_originals() -> tuple[UInt8[np.ndarray, "1797 8 8"], UInt8[np.ndarray, "1797"]]:
    """Return the images (stored as 0..16) as gray levels, and the labels."""
    with busy("loading scikit-learn"):  # takes up to three seconds
        from sklearn.datasets import load_digits

        digits = load_digits()
    levels = np.round(digits.images / 16 * WHITE).astype(np.uint8)
    return levels, digits.target.astype(np.uint8)


def read_enlarged(folder: Path) -> tuple[LabeledImages, LabeledImages]:
    """Return training and test images, enlarged to 28x28; the folder is not used."""
    images, labels = load_originals()
    enlarged = np.zeros((len(images), SIDE, SIDE), np.uint8)
    for target, image in zip(enlarged, images, strict=True):
        # 20x20 pixels is the box of MNIST's digits.
        large = Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC)
        target[4:24, 4:24] = np.asarray(large)
    whole = LabeledImages(enlarged, labels)
    return whole.pick(slice(TRAINING_IMAGES)), whole.pick(slice(TRAINING_IMAGES, None))
