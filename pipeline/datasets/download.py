"""The raw files of a data set in MNIST's format: find, download and verify them.

The folders have torchvision's layout, so files that torchvision downloaded can be
copied to them. `sources` has the places where the files come from.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline import files
from pipeline.datasets.dataset import LabelledImages
from pipeline.datasets.idx import read_folder
from pipeline.datasets.sources import UNUSABLE, GzippedFiles, Source, verify

RAW_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class RawFiles:
    """Four IDX files, and the sources from which they can be downloaded."""

    folder: str  # as in torchvision; the files are in its sub-folder raw
    sha256: tuple[str, str, str, str]  # of the uncompressed files, as in RAW_FILES
    sources: tuple[Source, ...] = ()  # tried in this order

    def hashes(self) -> dict[str, str]:
        """Return the sha256 of each file by its name."""
        return dict(zip(RAW_FILES, self.sha256, strict=True))

    def read(self, folder: Path) -> tuple[LabelledImages, LabelledImages]:
        """Return the training and test images; see `fetch`."""
        return read_folder(self.fetch(folder))

    def fetch(self, folder: Path) -> Path:
        """Get the files that are missing or damaged, and return their folder.

        Args:
            folder: The folder of all data sets.

        Raises:
            FileNotFoundError: If no source has a file; the message names the files.
        """
        raw, hashes = folder / self.folder / "raw", self.hashes()
        for name, sha256 in hashes.items():
            if (raw / name).exists():
                rename_if_damaged(raw / name, sha256)
        for source in (GzippedFiles(raw, rename_damaged=True), *self.sources):
            missing = _missing(raw, hashes)
            if not missing:
                break
            try:
                for name, content in source.read(missing):
                    verify(name, content, hashes[name])
                    with files.atomic_file(raw / name) as written:
                        written.write_bytes(content)
            except UNUSABLE as error:
                text = f"{self.folder}: {source.description} failed: {error}"
                print(text, file=sys.stderr)
        if missing := _missing(raw, hashes):
            raise FileNotFoundError(
                f"{self.folder} is missing; put these files, plain or as .gz, into "
                f"{raw} (each line: sha256 of the uncompressed file, name):"
                + "".join(f"\n  {sha256}  {name}" for name, sha256 in missing.items())
            )
        return raw


def rename_if_damaged(path: Path, expected: str) -> None:
    """Rename a file to `<name>.bad` unless it has this sha256, and say so."""
    actual = files.file_sha256(path)
    if actual != expected:
        path.replace(f"{path}.bad")
        print(
            f"{path} has sha256 {actual}, not {expected}: renamed to {path.name}.bad",
            file=sys.stderr,
        )


def _missing(raw: Path, hashes: Mapping[str, str]) -> dict[str, str]:
    return {n: sha256 for n, sha256 in hashes.items() if not (raw / n).exists()}
