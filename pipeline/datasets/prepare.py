"""Reads the images of a data set from their source, and stores them in one file.

A folder with IDX files is imported: from then on, its data set has a name. All commands
load data sets by their names, through `load`, which verifies the file.
"""

import hashlib
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import numpy as safetensors

from pipeline import UserError, plots
from pipeline.base import files, locking
from pipeline.base.terminal import busy, print_error
from pipeline.base.text import as_file_name
from pipeline.core.dataset import DataFile, Dataset, LabeledImages
from pipeline.datasets import idx
from pipeline.datasets.components import (
    ClassComponents,
    read_components,
    write_components,
)
from pipeline.datasets.download import set_damaged_aside
from pipeline.datasets.registry import REGISTRY, is_name, preparing_command, spec
from pipeline.datasets.statistics import (
    Summary,
    class_means,
    files_beside,
    summarize,
)


def load(
    name: str,
    *,
    folder: Path | str,
    sha256: str | None = None,
    origin: Mapping[str, str] | None = None,
) -> Dataset:
    """Return a data set from `folder`; create its file if necessary.

    Args:
        name: A name in `REGISTRY`, or the name of an imported data set.
        folder: The folder of all data sets.
        sha256: The sha256 of the data with which a network was trained. It selects the
            file, even if the data set had another name where the network was trained.
            If several data sets have the same images, `name` is preferred.
        origin: The sha256 of each imported file by its name, for the message if an
            imported data set is not available.

    Raises:
        UserError: If the data set is not available (the message names the files to
            provide), or its file has another sha256.
    """
    folder = Path(folder)
    stored = _file_with(sha256, folder, name=name) if sha256 else None
    name = stored.stem if stored else name
    if origin and not stored:
        raise UserError(_how_to_import(folder / f"{name}.safetensors", origin))
    if not is_name(name):
        raise UserError(_unknown(name))
    file = prepare(name, folder=folder).file
    if sha256 and file.sha256 != sha256:
        raise UserError(
            f"{file.path} must be the network's training data, with sha256 {sha256}, "
            f"got {file.sha256}: restore that data, or train the network again"
        )
    return file.read()


def load_components(sha256: str, split: str, *, folder: Path) -> ClassComponents | None:
    """Return the principal components of training images.

    The components are computed again if their file is missing, damaged or from other
    code.

    Args:
        sha256: The hash of the data; in a file that is not trusted, it can be any text.
        split: How the data set was split.
        folder: The folder of all data sets.

    Returns:
        The components; None if the folder does not contain the data.
    """
    data = _file_with(sha256, folder)
    if data is None:
        return None
    components = read_components(data, data_sha256=sha256)
    if components is None:
        prepare(data.stem, folder=folder)
        components = read_components(data, data_sha256=sha256)
    return components.get(split) if components else None


class Prepared(NamedTuple):
    """What `prepare` returns: the file, and whether it has just been created."""

    file: DataFile
    is_new: bool


def prepare(dataset: str, *, folder: Path) -> Prepared:
    """Create the file of a data set, unless the folder contains a valid one.

    No other function imports a folder of the user. Each function that loads a data set
    or its components calls this one, in case a file is missing or damaged.

    Next to `<name>.safetensors`, `prepare` writes the principal components of the
    classes, two plots of the images and a summary, `<name>.json`, which is written last
    and records the sha256 of the data file. A data file with another hash is renamed to
    `.bad` and created again. If another file is missing, only that file is created
    again. All files are created again if a module that computes the images was changed.

    Args:
        dataset: A name in `REGISTRY`, the name of an imported data set, or a folder
            with IDX files to import.
        folder: The folder of all data sets.

    Raises:
        UserError: If the data set is not available (the message names the files to
            provide), an IDX file violates the format, or a file must be written and
            this user cannot write to the folder.
    """
    origin = _origin(dataset)
    path = folder / f"{_name(dataset, origin)}.safetensors"
    # Without a lock, so that the folder can belong to another user.
    if (file := _intact(path)) and not _missing(file):
        return Prepared(file, is_new=False)
    _check_writable(path)
    waiting = "waiting for another process that prepares a data set"
    # One lock for all data sets, because several can share raw files.
    with locking.lock(folder / ".lock", locking.Level.DATASET, waiting=waiting):
        if file := _intact(path):
            _write_others(file, _missing(file))
            return Prepared(file, is_new=False)
        _report_damage(path)
        file = _write_images(path, *_read_source(dataset, path))
        _write_others(file, _missing(file) | {"plots"})
        _write_summary(file, origin)
        return Prepared(file, is_new=True)


def _intact(path: Path) -> DataFile | None:
    """Return the file of a data set; None if it must be created.

    The file must have its recorded hash, and the code that read the images must not
    have changed.
    """
    recorded = _stored_summary(path)
    if recorded and recorded.code == spec(path.stem).code_sha256:
        with suppress(OSError):  # it is missing, or another process replaces it
            if files.file_sha256(path) == recorded.sha256:
                return DataFile(path, recorded.sha256)
    return None


def _missing(file: DataFile) -> set[str]:
    """Return which of the components and the plots are missing or of other data."""
    beside = files_beside(file.path)
    missing = set()
    if read_components(file.path, data_sha256=file.sha256) is None:
        missing.add("components")
    if not (beside.means.exists() and beside.samples.exists()):
        missing.add("plots")
    return missing


def _check_writable(path: Path) -> None:
    """Raise a UserError unless this user can write to the folder of a data set."""
    folder, by_effective = path.parent, os.access in os.supports_effective_ids
    if folder.is_dir() and not os.access(folder, os.W_OK, effective_ids=by_effective):
        raise UserError(
            f"{path} is missing or not complete, and {folder} cannot be written: its "
            f"owner must run {preparing_command(path.stem)}"
        )


def _report_damage(path: Path) -> None:
    """Print which file is damaged; rename the file of the images to `.bad`."""
    summary_path = files_beside(path).summary
    if recorded := _stored_summary(path):
        set_damaged_aside(path, recorded.sha256)
    elif summary_path.exists():  # the data set is not new
        cause = "is damaged, or from another version"
        print_error(f"{summary_path} {cause}: preparing it again")


def summary(path: Path) -> Summary:
    """Return the stored summary of a data set.

    Raises:
        OSError, ValueError: If the summary cannot be read, or is damaged.
    """
    content = files_beside(path).summary.read_bytes()
    return Summary.model_validate_json(content)


def _stored_summary(path: Path) -> Summary | None:
    """Return the `summary` of a data set; None if it is missing or damaged."""
    with suppress(OSError, ValueError):
        return summary(path)
    return None


def has_images_of(dataset: str, data: Dataset) -> bool:
    """Return whether a data set has the images of `data`, perhaps under another name.

    Args:
        dataset: The name of a data set, which is prepared, or a folder. A folder has
            the images only if it was imported.
        data: A data set in the folder of all data sets.

    Raises:
        UserError: If the data set is not available, or the folder does not exist.
    """
    if dataset == data.name:
        return True
    folder, sha256 = data.file.path.parent, data.file.sha256
    if is_name(dataset):
        return prepare(dataset, folder=folder).file.sha256 == sha256
    path = folder / f"{_name(dataset, _origin(dataset))}.safetensors"
    return _records(path, sha256)


def _how_to_import(path: Path, origin: Mapping[str, str]) -> str:
    """Explain how to make the file of an imported data set again, for messages.

    `origin` is the sha256 of each imported file by its name.
    """
    return (
        f"{path} is missing: run python -m pipeline.data dataset=<folder> with a "
        "folder that contains these files (sha256 and name):"
        + "".join(f"\n  {sha256}  {name}" for name, sha256 in origin.items())
    )


def _read_source(dataset: str, path: Path) -> tuple[LabeledImages, LabeledImages]:
    """Read training and test images from the source of a data set."""
    if not is_name(dataset):
        return idx.read_folder(Path(dataset))
    if read := spec(dataset).read:
        return read(path.parent)
    if recorded := _stored_summary(path):
        raise UserError(_how_to_import(path, recorded.origin))
    raise UserError(_unknown(dataset))


def _unknown(dataset: str) -> str:
    names = ", ".join(REGISTRY)
    rule = f"dataset must be a folder, an imported data set or one of {names}"
    return f"{rule}, got {dataset!r}"


def _origin(dataset: str) -> dict[str, str]:
    """Return the sha256 of each IDX file in a folder; {} for the name of a data set."""
    if is_name(dataset):
        return {}
    if not Path(dataset).is_dir():
        raise UserError(_unknown(dataset))
    paths = {path for pair in idx.image_label_pairs(Path(dataset)) for path in pair}
    with files.reading(Path(dataset)):
        return {path.name: files.file_sha256(path) for path in sorted(paths)}


def _name(dataset: str, origin: Mapping[str, str]) -> str:
    """Return the name of a data set, which is the stem of its file.

    For a folder, it consists of the folder's name and a hash of its content, so the
    name does not change if the folder is copied or moved.
    """
    if is_name(dataset):
        return dataset
    readable = as_file_name(Path(dataset).resolve().name)
    return f"{readable}-{files.json_sha256(origin)[:8]}"


def _write_images(path: Path, train: LabeledImages, test: LabeledImages) -> DataFile:
    """Write the file of a data set."""
    tensors = {
        f"{part}_{kind}": np.ascontiguousarray(array)
        for part, data in (("train", train), ("test", test))
        for kind, array in (("images", data.images), ("labels", data.labels))
    }
    files_beside(path).summary.unlink(missing_ok=True)  # describes another file
    with busy(f"writing {path.name}"):
        content = safetensors.save(tensors)
        files.write_atomic(path, content)
        return DataFile(path, hashlib.sha256(content).hexdigest())


def _write_others(file: DataFile, missing: Collection[str]) -> None:
    """Write the components and the plots if they are missing."""
    if not missing:
        return
    data, beside = file.read(), files_beside(file.path)
    if "components" in missing:
        with busy(f"computing the principal components of {data.name}"):
            write_components(data)
    if "plots" in missing:
        train, names = data.train, spec(data.name).class_names
        for plot_path, plot in (
            (beside.means, plots.class_means(class_means(data), train.labels, names)),
            (beside.samples, plots.contact_sheet(train.images, train.labels, names)),
        ):
            with files.atomic_file(plot_path) as written:
                plot.save(written, "PNG")


def _write_summary(file: DataFile, origin: Mapping[str, str]) -> None:
    """Write the summary of a data set, which also says that its other files exist."""
    code = {"code": spec(file.name).code_sha256}
    described = summarize(file.read(), origin).model_copy(update=code)
    content = files.as_json(described.model_dump(exclude_none=True)).encode()
    files.write_atomic(files_beside(file.path).summary, content)


def _file_with(sha256: str, folder: Path, *, name: str | None = None) -> Path | None:
    """Return the file of a data set with this recorded sha256, if possible of `name`.

    The result is None if `folder` contains no such file.
    """
    named = [folder / f"{name}.json"] if name else []
    for summary_path in [*named, *sorted(folder.glob("*.json"))]:
        path = summary_path.with_suffix(".safetensors")
        if _records(path, sha256) and path.exists() and is_name(path.stem):
            return path
    return None


def _records(path: Path, sha256: str) -> bool:
    """Return whether the summary of a data set's file has this sha256."""
    recorded = _stored_summary(path)
    return recorded is not None and recorded.sha256 == sha256
