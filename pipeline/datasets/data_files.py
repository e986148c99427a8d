"""The files of a data set: their paths, and the stored summary, `<name>.json`."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, Field

from pipeline import UserError
from pipeline.base.error_messages import AGAIN
from pipeline.core import CLASSES


class Counts(BaseModel):
    """The number of all images, and of the images of each class."""

    images: int
    per_class: list[int] = Field(min_length=CLASSES, max_length=CLASSES)


class Pixels(BaseModel):
    """Mean, standard deviation and fraction of zeros of the training images."""

    mean: float
    std: float
    zero: float


class Manifest(BaseModel):
    """The part of a summary that is not computed from the images."""

    sha256: str  # the hash of the file of the data set
    origin: dict[str, str]  # the SHA-256 hash of each imported file by its name
    code: str | None = None  # see `DatasetSpec.reader_sha256`


class Summary(Manifest):
    """The content of `<name>.json`; `statistics.summarize` computes it."""

    train: Counts
    test: Counts
    pixels: Pixels
    always_zero: list[int]  # pixels (0..783, row by row) of all training images


class CompanionFiles(NamedTuple):
    """The paths of the files that are created together with the file of a data set."""

    summary: Path
    samples: Path  # plot of images
    means: Path  # plot of the mean of each class
    components: Path  # see the module `components`


def companion_files(path: Path) -> CompanionFiles:
    """Return the paths of the files that belong to the file of a data set."""
    endings = (".json", "-samples.png", "-means.png", "-components.safetensors")
    return CompanionFiles(*(path.with_name(f"{path.stem}{each}") for each in endings))


def read_summary(path: Path) -> Summary:
    """Return the stored summary of a data set.

    Raises:
        OSError: If the summary cannot be read.
        UserError: If it is damaged. The same command creates it again.
    """
    file = companion_files(path).summary
    content = file.read_bytes()
    try:
        return Summary.model_validate_json(content)
    except ValueError:
        raise UserError(f"{file} is damaged: {AGAIN}") from None


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest in the summary of a data set; None if it cannot be read.

    The statistics in the summary can be damaged, or from a different version.
    """
    with suppress(OSError, ValueError):
        return Manifest.model_validate_json(companion_files(path).summary.read_bytes())
    return None
