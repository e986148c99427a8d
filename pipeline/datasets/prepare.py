"""Read the images of a data set from their source, and store them in one file.

All commands load data sets through `load`, which verifies the file.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import numpy as safetensors

from pipeline import UserError, files, plots
from pipeline.datasets import idx
from pipeline.datasets.dataset import Dataset, LabelledImages
from pipeline.datasets.download import keep_intact
from pipeline.datasets.registry import REGISTRY, spec
from pipeline.terminal import print_error, status


def load(dataset: str, *, folder: Path | str, sha256: str | None = None) -> Dataset:
    """Return a data set from `folder`; create its file if necessary.

    Args:
        dataset: A name in `REGISTRY`, or a folder with IDX files.
        folder: The folder of all data sets.
        sha256: Of the file that a network was trained with. The file of a folder with
            IDX files is found by this hash, even if the folder changed or moved.

    Raises:
        FileNotFoundError: If the data set is not available; the message names the
            files to provide.
        UserError: If an IDX file violates the format, or the file has another sha256.
    """
    folder, path = Path(folder), None
    if sha256 and dataset not in REGISTRY:
        path = find(sha256, folder=folder)
    data = Dataset.read(path or prepare(dataset, folder=folder)[0])
    if sha256 and data.sha256 != sha256:
        raise UserError(
            f"{data.path} has sha256 {data.sha256}; the network was trained with "
            f"{sha256}: train it again, or restore that data"
        )
    return data


def find(sha256: str, *, folder: Path) -> Path | None:
    """Return the data set's file in `folder` that has this sha256, if there is one."""
    candidates = sorted(folder.glob("*.safetensors"))
    return next((p for p in candidates if files.file_sha256(p) == sha256), None)


def prepare(dataset: str, *, folder: Path) -> tuple[Path, bool]:
    """Create the file of a data set, unless the folder contains a valid one.

    Beside `<name>.safetensors`, it writes two plots of the images and a summary,
    `<name>.json`, which is written last and records the sha256 of the file. A file
    that does not match it is renamed to `.bad` and created again.

    Returns:
        The path of the file, and whether this call created it.
    """
    path = folder / f"{file_name(dataset)}.safetensors"
    waiting = f"waiting for another process that prepares {dataset}"
    with files.lock(folder / f".{path.stem}.lock", waiting=waiting):
        sha256 = _stored_sha256(path)
        if sha256 and keep_intact(path, sha256):
            return path, False
        train, test = spec(dataset).read(folder)
        with status(f"writing {path.name} and its plots"):
            _write(dataset, train, test, path)
        return path, True


def companion_files(path: Path) -> list[Path]:
    """Return the summary and the plots that belong to the file of a data set."""
    endings = (".json", "-means.png", "-samples.png")
    return [path.with_name(f"{path.stem}{ending}") for ending in endings]


def summary(path: Path) -> dict[str, Any]:
    """Return the stored summary of a data set: `Dataset.describe` and the origin."""
    stored: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return stored


def file_name(dataset: str) -> str:
    """Return the stem of a data set's file.

    For a folder, it consists of the folder's name and a hash of its content, so it does
    not change if the folder is copied or moved.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    if dataset in REGISTRY:
        return dataset
    readable = re.sub(r"[^\w-]+", "_", Path(dataset).resolve().name)
    return f"{readable}-{files.json_sha256(_origin(dataset))[:8]}"


def _write(
    dataset: str, train: LabelledImages, test: LabelledImages, path: Path
) -> None:
    """Write the file of a data set, then its plots, and its summary last."""
    tensors = {
        f"{part}_{kind}": np.ascontiguousarray(array)
        for part, data in (("train", train), ("test", test))
        for kind, array in vars(data).items()
    }
    content = safetensors.save(tensors)
    with files.atomic_file(path) as written:
        written.write_bytes(content)
    stored = Dataset(path, hashlib.sha256(content).hexdigest(), train, test)
    summary_path, means_path, samples_path = companion_files(path)
    names = spec(dataset).class_names
    for plot_path, plot in (
        (means_path, plots.class_means(stored.means(), train.labels, names)),
        (samples_path, plots.contact_sheet(train.images, train.labels, names)),
    ):
        with files.atomic_file(plot_path) as written:
            plot.save(written, "PNG")
    with files.atomic_file(summary_path) as written:
        described = stored.describe() | {"origin": _origin(dataset)}
        written.write_text(json.dumps(described, indent=1))


def _origin(dataset: str) -> dict[str, str]:
    """Return the sha256 of each IDX file in a folder; {} for a named data set."""
    if dataset in REGISTRY:
        return {}
    if not Path(dataset).is_dir():
        raise FileNotFoundError(
            f"{dataset!r} is neither a folder nor one of {', '.join(REGISTRY)}"
        )
    paths = {path for pair in idx.image_label_pairs(Path(dataset)) for path in pair}
    return {path.name: files.file_sha256(path) for path in sorted(paths)}


def _stored_sha256(path: Path) -> str | None:
    """Return the recorded sha256 of a file; None if it must be created again.

    This is necessary if a companion file is missing or the summary is damaged.
    """
    if not all(companion.exists() for companion in companion_files(path)):
        return None
    try:
        return str(summary(path)["sha256"])
    except (ValueError, TypeError, KeyError):
        print_error(f"{path.with_suffix('.json')} is damaged; preparing it again")
        return None
