"""A data set in memory: labeled images, divided for training and evaluation.

`pipeline/datasets/prepare.py` writes the file of a data set.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Real, UInt8
from safetensors import numpy as safetensors

from pipeline.core import UserError
from pipeline.core.hyperparameters import SPLITS, Hyperparameters, SplitName

# split=holdout reserves 1/120 of the number of all training images from each class.
HOLDOUT_DIVISOR = 120
MIN_SAMPLE = 20_000  # minimum size of a `sample` of more images


@dataclass(frozen=True, eq=False)  # `==` of arrays is elementwise
class LabeledImages:
    """Images as gray levels (0 is the background), and their classes.

    The images of a data set are uint8. The exercise also trains with float32, to show
    what a network learns from pixels that are not divided by 255.
    """

    images: Real[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, " n"]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def pick(self, rows: np.ndarray | slice) -> "LabeledImages":
        """Return the images in these rows: indices, a mask or a slice."""
        return LabeledImages(self.images[rows], self.labels[rows])

    def sample(self) -> "LabeledImages":
        """Return evenly spaced images: all, or at least `MIN_SAMPLE` of them.

        Thresholds are computed from a sample, which takes less time than all 60,000
        images of MNIST.
        """
        return self.pick(slice(None, None, max(1, len(self) // MIN_SAMPLE)))


@dataclass(frozen=True, eq=False)
class Split:
    """The images for training, and the images for validation after each epoch."""

    train: LabeledImages
    val: LabeledImages


@dataclass(frozen=True)
class DataFile:
    """The file of a data set, and the hash that it must have, which `read` checks."""

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """The name of the data set: its file name without the extension.

        A run records this name, even if the setting `dataset` was a folder or another
        name of the same images.
        """
        return self.path.stem

    def read(self) -> "Dataset":
        """Read the data set.

        Raises:
            UserError: If the file was replaced after it was verified.
        """
        content = self.path.read_bytes()
        self.check(hashlib.sha256(content).hexdigest())
        return Dataset.from_bytes(self, content)

    def check(self, sha256: str) -> None:
        """Compare `sha256`, which was computed or recorded, with the verified hash.

        Raises:
            UserError: If the file was replaced after it was verified.
        """
        if sha256 != self.sha256:
            raise UserError(
                f"{self.path} was replaced while this command was running: run the "
                "same command again"
            )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with its original division into training and test images."""

    file: DataFile  # lets another process read the data set
    train: LabeledImages
    test: LabeledImages

    @staticmethod
    def from_bytes(file: DataFile, content: bytes) -> "Dataset":
        """Return the images in `content`, which has the hash of `file`."""
        arrays = safetensors.load(content)
        return Dataset(
            file,
            train=LabeledImages(arrays["train_images"], arrays["train_labels"]),
            test=LabeledImages(arrays["test_images"], arrays["test_labels"]),
        )

    @property
    def name(self) -> str:
        """The name of the data set."""
        return self.file.name

    def split(self, name: SplitName) -> Split:
        """Divide the images into training and validation images.

        Args:
            name: `exercise` validates on the test images, as in the Keras course.
                `holdout` does not use the test images: it validates on the last
                training images of each class, the same number for each (500 of MNIST's
                60,000). The division does not depend on the seed.

        Raises:
            UserError: If there are too few images for `holdout`, overall or in a class.
            ValueError: If `name` is not one of these two names.
        """
        if name not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {name!r}")
        return self._holdout if name == "holdout" else Split(self.train, self.test)

    @cached_property  # the arrays are copies: 43 MB for MNIST
    def _holdout(self) -> Split:
        if len(self.train) < HOLDOUT_DIVISOR:
            raise UserError(
                f"{self.name} must have at least {HOLDOUT_DIVISOR} training images for "
                f"split=holdout, got {len(self.train)}"
            )
        per_class = len(self.train) // HOLDOUT_DIVISOR
        is_val = np.zeros(len(self.train), dtype=bool)
        for label in np.unique(self.train.labels):
            rows = np.flatnonzero(self.train.labels == label)
            if len(rows) <= per_class:
                raise UserError(
                    f"{self.name} must have more than {per_class} training images of "
                    f"each class for split=holdout, got {len(rows)} of class {label}"
                )
            is_val[rows[-per_class:]] = True
        return Split(self.train.pick(~is_val), self.train.pick(is_val))

    def training_split(self, hyperparameters: Hyperparameters) -> Split:
        """Divide the images for a training run; see `split`.

        Raises:
            UserError: If the images cannot be divided, or a batch would be larger than
                the training set.
        """
        split = self.split(hyperparameters.split)
        batch_size = hyperparameters.batch_size
        if batch_size > len(split.train):
            raise UserError(
                f"batch_size must be at most {len(split.train)}, the number of "
                f"training images of {self.name}, got {batch_size}"
            )
        return split
