"""Finds data sets in the folder of all data sets: by name, by hash or by origin.

A network records the hash of its data set, because the data set can have a
different name on this machine. `prepare` creates a file that is missing.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pipeline import UserError
from pipeline.core.dataset import Dataset
from pipeline.core.hyperparameters import SplitName
from pipeline.datasets.components import ClassComponents, read_components
from pipeline.datasets.data_files import read_manifest
from pipeline.datasets.prepare import find_complete, name_of, prepare
from pipeline.datasets.registry import how_to_import
from pipeline.records.dataset_names import data_path, is_name, unknown_data_set


def load(
    name: str,
    *,
    folder: Path | str,
    sha256: str | None = None,
    origin: Mapping[str, str] | None = None,
) -> Dataset:
    """Return a data set from `folder`; create its file if necessary.

    Args:
        name: A name in `REGISTRY`, the name of an imported data set, or without
            `sha256` also a folder, which is then imported as in `prepare`.
        folder: The folder of all data sets.
        sha256: The hash of the data with which a network was trained. It selects the
            file, even if the data set had a different name where the network was
            trained. If several data sets have the same images, `name` is preferred.
        origin: The hash of each imported file by its name, for the message if an
            imported data set is not available.

    Raises:
        UserError: If the data set is not available (the message lists the files to
            provide), or if the file has a different SHA-256 hash.
    """
    folder = Path(folder)
    stored = _file_with(sha256, folder, name=name) if sha256 else None
    name = stored.stem if stored else name
    if origin and not stored:
        raise UserError(how_to_import(data_path(name, folder=folder), origin))
    if sha256 and not is_name(name):
        raise UserError(unknown_data_set(name))
    dataset = _read(name, folder)
    file = dataset.file
    if sha256 and file.sha256 != sha256:
        raise UserError(
            f"{file.path} must be the network's training data, "
            f"with the SHA-256 hash {sha256}, got {file.sha256}: "
            "restore that data, or train the network again"
        )
    return dataset


def _read(name: str, folder: Path) -> Dataset:
    """Read the images of a data set; create its file if necessary.

    Reading the file also checks its hash, so that a file that is intact is hashed once.
    """
    if found := find_complete(data_path(name_of(name), folder=folder)):
        with suppress(OSError, UserError):  # missing or damaged
            return found.file.read()
    return prepare(name, folder=folder).file.read()


def load_components(
    sha256: str, split: SplitName, *, folder: Path
) -> ClassComponents | None:
    """Return the principal components of training images.

    The components are computed again if their file is missing, damaged or from
    different code.

    Args:
        sha256: The hash of the data. It can be any text, if the file that recorded the
            hash is not trusted.
        split: How the data set was split.
        folder: The folder of all data sets.

    Returns:
        The components; None if the folder does not contain the data.

    Raises:
        UserError: If the components must be computed again, but `prepare` cannot do
            that, for example because this user cannot write to the folder.
    """
    path = _file_with(sha256, folder)
    if path is None:
        return None
    components = read_components(path, data_sha256=sha256)
    if components is None:
        prepare(path.stem, folder=folder)
        components = read_components(path, data_sha256=sha256)
    return components.get(split) if components else None


def has_images_of(name: str, dataset: Dataset) -> bool:
    """Return whether a data set has the images of `dataset`, under any name.

    Args:
        name: The name of a data set, or a folder. If the data set was not prepared, or
            the folder was not imported, the result is False.
        dataset: A data set in the folder of all data sets.

    Raises:
        UserError: If the folder does not exist.
    """
    path = data_path(name_of(name), folder=dataset.file.path.parent)
    return name == dataset.name or _is_file_of(path, dataset.file.sha256)


def _file_with(sha256: str, folder: Path, *, name: str | None = None) -> Path | None:
    """Return the file of a data set with this hash, preferably of `name`.

    The result is None if `folder` contains no such file.
    """
    named = [data_path(name, folder=folder)] if name else []
    for path in [*named, *sorted(folder.glob(data_path("*", folder=folder).name))]:
        if is_name(path.stem) and _is_file_of(path, sha256) and path.exists():
            return path
    return None


def _is_file_of(path: Path, sha256: str) -> bool:
    """Return whether the file of a data set has this hash, according to its summary."""
    manifest = read_manifest(path)
    return manifest is not None and manifest.sha256 == sha256
