"""The files of a data set: their paths, and the stored summary, `<name>.json`."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, Field

from pipeline import UserError
from pipeline.base import files
from pipeline.base.errors import AGAIN
from pipeline.core import CLASSES
from pipeline.core.dataset import DataFile, Dataset


class Counts(BaseModel):
    """The number of all images, and of the images of each class."""

    images: int
    per_class: list[int] = Field(min_length=CLASSES, max_length=CLASSES)


class Pixels(BaseModel):
    """Mean, standard deviation and fraction of zeros of the training images."""

    mean: float
    std: float
    zero: float


class SourceRecord(BaseModel):
    """The part of a summary that is not computed from the images."""

    name: str
    sha256: str
    origin: dict[str, str]  # the SHA-256 hash of each imported file by its name
    code: str | None = None  # see `DatasetSpec.reader_sha256`


class Summary(SourceRecord):
    """The content of `<name>.json`; `statistics.summarize` computes it."""

    train: Counts
    test: Counts
    pixels: Pixels
    always_zero: list[int]  # pixels (0..783, row by row) of all training images


@dataclass(frozen=True)
class RecordedFile:
    """The file of a data set, and its hash in the summary, which may be outdated.

    The file can be damaged, missing or replaced. `DataFile` is a verified file.
    """

    path: Path
    sha256: str

    def verified(self) -> DataFile | None:
        """Return the file if it has the recorded hash."""
        with suppress(OSError):  # missing, or replaced by another process
            if files.file_sha256(self.path) == self.sha256:
                return DataFile(self.path, self.sha256)
        return None

    def read(self) -> Dataset | None:
        """Return the data set if its file has the recorded hash; read the file once."""
        with suppress(OSError):
            content = self.path.read_bytes()
            if hashlib.sha256(content).hexdigest() == self.sha256:
                return Dataset.from_bytes(DataFile(self.path, self.sha256), content)
        return None


class FilesBeside(NamedTuple):
    """The paths of the files that are made together with the file of a data set."""

    summary: Path
    samples: Path  # plot of images
    means: Path  # plot of the mean of each class
    components: Path  # see the module `components`


def files_beside(path: Path) -> FilesBeside:
    """Return the paths of the files that belong to the file of a data set."""
    endings = (".json", "-samples.png", "-means.png", "-components.safetensors")
    return FilesBeside(*(path.with_name(f"{path.stem}{each}") for each in endings))


def read_summary(path: Path) -> Summary:
    """Return the stored summary of a data set.

    Raises:
        OSError: If the summary cannot be read.
        UserError: If it is damaged. The same command creates it again.
    """
    file = files_beside(path).summary
    content = file.read_bytes()
    try:
        return Summary.model_validate_json(content)
    except ValueError:
        raise UserError(f"{file} is damaged: {AGAIN}") from None


def read_source_record(path: Path) -> SourceRecord | None:
    """Return the record in the summary of a data set; None if it cannot be read.

    The statistics in the summary can be damaged, or from a different version.
    """
    with suppress(OSError, ValueError):
        return SourceRecord.model_validate_json(files_beside(path).summary.read_bytes())
    return None
