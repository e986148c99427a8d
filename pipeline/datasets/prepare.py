"""Creates the file of a data set, and the files next to it, from the source of images.

A folder with IDX files is imported as a data set, which then has a name. `loading`
finds and verifies the file of a data set.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import numpy as safetensors

from pipeline import UserError, plots
from pipeline.base import files, locking
from pipeline.base.error_messages import AGAIN
from pipeline.base.progress import busy
from pipeline.base.terminal import print_error
from pipeline.base.text import as_file_name
from pipeline.core.dataset import DataFile, LabeledImages
from pipeline.datasets import idx
from pipeline.datasets.components import read_components, write_components
from pipeline.datasets.data_files import (
    Manifest,
    Summary,
    companion_files,
    read_manifest,
    read_summary,
)
from pipeline.datasets.download import set_damaged_aside
from pipeline.datasets.registry import how_to_import, preparing_command, spec
from pipeline.datasets.statistics import class_means, summarize
from pipeline.records.dataset_names import data_path, is_name, unknown_data_set


@dataclass(frozen=True)
class PreparedData:
    """The file of a data set, and its summary; its other files are next to it."""

    file: DataFile
    summary: Summary = field(repr=False)  # the content of <name>.json
    is_new: bool  # whether this command has created the file


def prepare(dataset: str, *, folder: Path) -> PreparedData:
    """Create the file of a data set, unless the folder contains a valid file.

    No other function imports a user's folder. Each function that loads a data set or
    its components calls `prepare`, in case a file is missing or damaged.

    Next to `<name>.safetensors`, `prepare` writes the principal components of the
    classes, two plots of the images and a summary, `<name>.json`, which is written last
    and contains the SHA-256 hash of the data file. A data file with a different hash is
    renamed to `.bad` and created again. If another file is missing, only that file is
    created again. All files of a data set in `REGISTRY` are created again if a module
    that computes its images was changed.

    Args:
        dataset: A name in `REGISTRY`, the name of an imported data set, or a folder
            with IDX files to import.
        folder: The folder of all data sets.

    Raises:
        UserError: If the data set is not available (the message lists the files to
            provide), if an IDX file violates the format, or if a file is missing and
            this user cannot write to the folder.
    """
    origin = _origin(dataset)
    path = data_path(_name(dataset, origin), folder=folder)
    # This check needs no lock, so that the folder can belong to another user.
    if (found := find_complete(path)) and _is_intact(found.file):
        return found
    _check_writable(path)
    waiting = "waiting for another process that prepares a data set"
    # One lock for all data sets, because several can share raw files.
    with locking.lock(folder / ".lock", locking.Level.DATASET, waiting=waiting):
        manifest = read_manifest(path)
        if manifest and _is_of_current_code(manifest, path):
            file = DataFile(path, manifest.sha256)
            if _is_intact(file):
                summary = _write_missing(file, manifest.origin)
                return PreparedData(file, summary, is_new=False)
        _report_damage(path, manifest)
        images = _read_source(dataset, path, manifest)
        if _origin(dataset) != origin:
            raise UserError(f"{dataset} was changed while it was read: {AGAIN}")
        file = _write_images(path, *images)
        return PreparedData(file, _write_missing(file, origin), is_new=True)


def find_complete(path: Path) -> PreparedData | None:
    """Return a data set if no file is missing; its data file can still be damaged."""
    summary = _stored_summary(path)
    if summary and _is_of_current_code(summary, path):
        file = DataFile(path, summary.sha256)
        if not _missing(file):
            return PreparedData(file, summary, is_new=False)
    return None


def _is_of_current_code(manifest: Manifest, path: Path) -> bool:
    """Return whether the code that reads the images has not changed."""
    return manifest.code == spec(path.stem).reader_sha256


def _is_intact(file: DataFile) -> bool:
    """Return whether a data file exists and has its hash."""
    with suppress(OSError):  # missing, or replaced by another process
        return files.file_sha256(file.path) == file.sha256
    return False


def _stored_summary(path: Path) -> Summary | None:
    """Return the summary of a data set; None if it is missing or damaged."""
    with suppress(OSError, UserError):  # possibly from a different version
        return read_summary(path)
    return None


def _missing(file: DataFile) -> set[str]:
    """Return which files of a data set are missing, besides the summary.

    Components also count as missing if they are damaged or belong to other data.
    """
    paths = companion_files(file.path)
    missing = set()
    if read_components(file.path, data_sha256=file.sha256) is None:
        missing.add("components")
    if not (paths.means.exists() and paths.samples.exists()):
        missing.add("plots")
    return missing


def _check_writable(path: Path) -> None:
    """Raise a UserError unless this user can write to the folder of a data set."""
    folder = path.parent
    by_effective = os.access in os.supports_effective_ids
    if folder.is_dir() and not os.access(folder, os.W_OK, effective_ids=by_effective):
        raise UserError(
            f"{path} is missing or incomplete, and {folder} is not writable: its "
            f"owner must run {preparing_command(path.stem)}"
        )


def _report_damage(path: Path, manifest: Manifest | None) -> None:
    """Print which file is damaged; rename a damaged file of images to `.bad`."""
    summary_path = companion_files(path).summary
    if manifest:
        set_damaged_aside(path, manifest.sha256)
    elif summary_path.exists():  # the data set is not new
        print_error(f"{summary_path} is damaged, or from a different version")


def _read_source(
    dataset: str, path: Path, manifest: Manifest | None
) -> tuple[LabeledImages, LabeledImages]:
    """Read training and test images from the source of a data set."""
    if not is_name(dataset):
        return idx.read_folder(Path(dataset))
    if read := spec(dataset).read:
        return read(path.parent)
    if manifest:
        raise UserError(how_to_import(path, manifest.origin))
    if companion_files(path).summary.exists():
        raise UserError(
            f"the origin of {dataset} is not known, so its folder must be given: "
            f"run {preparing_command(dataset)}"
        )
    raise UserError(unknown_data_set(dataset))


def name_of(dataset: str) -> str:
    """Return the name of a data set that is given by its name or as a folder.

    For a folder with IDX files, the name stays the same if the folder is copied or
    moved. A folder without IDX files also has a name.

    Raises:
        UserError: If the folder does not exist or cannot be read.
    """
    return _name(dataset, _origin(dataset))


def _origin(dataset: str) -> dict[str, str]:
    """Return the hash of each IDX file in a folder; {} for the name of a data set."""
    if is_name(dataset):
        return {}
    if not Path(dataset).is_dir():
        raise UserError(unknown_data_set(dataset))
    paths = {path for pair in idx.image_label_pairs(Path(dataset)) for path in pair}
    with files.reading(Path(dataset)):
        return {path.name: files.file_sha256(path) for path in sorted(paths)}


def _name(dataset: str, origin: Mapping[str, str]) -> str:
    """Return the name of a data set; for a folder, its name and a content hash."""
    if is_name(dataset):
        return dataset
    readable = as_file_name(Path(dataset).resolve().name)
    return f"{readable}-{files.json_sha256(origin)[:8]}"


def _write_images(path: Path, train: LabeledImages, test: LabeledImages) -> DataFile:
    """Write the file of a data set."""
    tensors = {
        f"{part}_{kind}": np.ascontiguousarray(array)
        for part, images in (("train", train), ("test", test))
        for kind, array in (("images", images.images), ("labels", images.labels))
    }
    paths = companion_files(path)
    for previous in (paths.summary, paths.means, paths.samples):
        previous.unlink(missing_ok=True)
    with busy(f"writing {path.name}"):
        content = safetensors.save(tensors)
        files.write_atomic(path, content)
        return DataFile(path, hashlib.sha256(content).hexdigest())


def _write_missing(file: DataFile, origin: Mapping[str, str]) -> Summary:
    """Write the files that are missing, and return the summary.

    The summary is written last, so it also shows that all other files exist.
    """
    summary = _stored_summary(file.path)
    missing = _missing(file)
    if summary and not missing:
        return summary
    dataset = file.read()
    paths = companion_files(file.path)
    if "components" in missing:
        with busy(f"preparing the check for unfamiliar images ({dataset.name})"):
            write_components(dataset)
    if "plots" in missing:
        train, names = dataset.train, spec(dataset.name).class_names
        means = class_means(dataset)
        for plot_path, plot in (
            (paths.means, plots.class_means(means, train.labels, names)),
            (paths.samples, plots.sample_images(train.images, train.labels, names)),
        ):
            with files.atomic_file(plot_path) as written:
                plot.save(written, "PNG")
    if summary is None:
        code = spec(dataset.name).reader_sha256
        summary = summarize(dataset, origin).model_copy(update={"code": code})
        content = files.as_json(summary.model_dump(exclude_none=True)).encode()
        files.write_atomic(paths.summary, content)
    return summary
