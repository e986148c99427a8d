"""The stored file of a data set, its summary and its plots: made once, then verified.

Other commands get data sets only from here, through `load`.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import numpy as safetensors

from pipeline import files, plots
from pipeline.datasets import download
from pipeline.datasets.dataset import Dataset, LabelledImages
from pipeline.datasets.idx import image_label_pairs
from pipeline.datasets.sources import NAMES, file_name, is_folder, read_source

PLOTS = {"means": plots.class_means, "samples": plots.contact_sheet}


def load(dataset: str, *, folder: Path | str) -> Dataset:
    """Return a data set (see NAMES) from `folder`; make its file if there is none.

    Raises:
        FileNotFoundError: If the data set is not available; the message names the
            files to provide.
        ValueError: If an IDX file violates the format.
    """
    path = prepare(dataset, folder=Path(folder))[0]
    content = path.read_bytes()
    arrays = safetensors.load(content)
    return Dataset(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        train=LabelledImages(arrays["train_images"], arrays["train_labels"]),
        test=LabelledImages(arrays["test_images"], arrays["test_labels"]),
    )


def prepare(dataset: str, *, folder: Path) -> tuple[Path, bool]:
    """Make the file of a data set, unless the folder contains a valid one.

    Beside `<name>.safetensors` are two plots of its images and a summary,
    `<name>.json`, which is written last and records the sha256 of the file. A file
    that does not match it is renamed to `.bad` and made again.

    Returns:
        The path of the file, and whether it was made by this call.
    """
    if is_folder(dataset) and not Path(dataset).is_dir():
        raise FileNotFoundError(
            f"{dataset!r} is neither a folder nor one of {', '.join(NAMES)}"
        )
    path = folder / f"{file_name(dataset)}.safetensors"
    waiting = f"waiting for another process that prepares {dataset}"
    with files.lock(folder / f".{path.stem}.lock", waiting=waiting):
        origin = _origin(dataset)
        if _is_valid(path, origin):
            return path, False
        train, test = read_source(dataset, folder)
        _write(path, train, test, origin)
        return path, True


def companion_files(path: Path) -> list[Path]:
    """Return the summary and the plots that belong to the file of a data set."""
    plotted = [path.with_name(f"{path.stem}-{kind}.png") for kind in PLOTS]
    return [path.with_suffix(".json"), *plotted]


def summary(path: Path) -> dict[str, Any]:
    """Return the stored summary of a data set: `Dataset.describe` and the origin."""
    stored: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return stored


def _write(
    path: Path, train: LabelledImages, test: LabelledImages, origin: dict[str, str]
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
    summary_path, *plot_paths = companion_files(path)
    for plot_path, draw in zip(plot_paths, PLOTS.values(), strict=True):
        with files.atomic_file(plot_path) as written:
            draw(train.images, train.labels).save(written, "PNG")
    stored = Dataset(path, hashlib.sha256(content).hexdigest(), train, test)
    with files.atomic_file(summary_path) as written:
        written.write_text(json.dumps(stored.describe() | {"origin": origin}, indent=1))


def _origin(dataset: str) -> dict[str, str]:
    """Return the sha256 of each IDX file of a folder; nothing for a named data set."""
    if not is_folder(dataset):
        return {}
    paths = {path for pair in image_label_pairs(Path(dataset)) for path in pair}
    return {path.name: download.file_sha256(path) for path in sorted(paths)}


def _is_valid(path: Path, origin: dict[str, str]) -> bool:
    """Return whether a file and its summary match, and come from this origin."""
    if not all(part.exists() for part in (path, *companion_files(path))):
        return False
    try:
        stored = summary(path)
        sha256, stored_origin = stored["sha256"], stored["origin"]
    except (ValueError, TypeError, KeyError):
        summary_path = path.with_suffix(".json")
        print(f"{summary_path} is damaged; preparing it again", file=sys.stderr)
        return False
    return bool(stored_origin == origin) and download.has_sha256(path, sha256)
