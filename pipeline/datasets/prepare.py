"""Read the images of a data set from their source, and store them in one file.

All commands load data sets through `load`, which verifies the file.
"""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from safetensors import numpy as safetensors

from pipeline import SIDE, UserError, files, plots
from pipeline.datasets import download, idx
from pipeline.datasets.dataset import Dataset, LabelledImages

NAMES = (*download.DOWNLOADED, "digits")
PLOTS = {"means": plots.class_means, "samples": plots.contact_sheet}


def load(dataset: str, *, folder: Path | str) -> Dataset:
    """Return a data set (see NAMES) from `folder`; create its file if necessary.

    Raises:
        FileNotFoundError: If the data set is not available; the message names the
            files to provide.
        UserError: If an IDX file violates the format.
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
    """Create the file of a data set, unless the folder contains a valid one.

    Beside `<name>.safetensors`, it writes two plots of the images and a summary,
    `<name>.json`, which is written last and records the sha256 of the file. A file
    that does not match it is renamed to `.bad` and created again.

    Returns:
        The path of the file, and whether this call created it.
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
        train, test = _read_source(dataset, folder)
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


def is_folder(dataset: str) -> bool:
    """Return whether a data set is a folder with IDX files, not a name."""
    return dataset not in NAMES


def file_name(dataset: str) -> str:
    """Return the stem of a data set's file; for a folder it contains a hash."""
    if not is_folder(dataset):
        return dataset
    source = Path(dataset).resolve()
    readable = re.sub(r"[^\w-]+", "_", source.name)
    return f"{readable}-{hashlib.sha256(bytes(source)).hexdigest()[:8]}"


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
    """Return the sha256 of each IDX file in a folder; {} for a named data set."""
    if not is_folder(dataset):
        return {}
    paths = {path for pair in idx.image_label_pairs(Path(dataset)) for path in pair}
    return {path.name: download.file_sha256(path) for path in sorted(paths)}


def _is_valid(path: Path, origin: dict[str, str]) -> bool:
    """Return whether a file matches its summary and comes from this origin."""
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


def _read_source(dataset: str, folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read training and test images; the last seventh of a single pair is for tests."""
    if dataset == "digits":
        images, labels = scikit_learn_digits()
        whole = LabelledImages(_enlarge(images), labels)
        return whole.pick(slice(1500)), whole.pick(slice(1500, None))
    source = Path(dataset) if is_folder(dataset) else download.fetch(dataset, folder)
    pairs = {
        images.name: _read_28x28(images, labels)
        for images, labels in idx.image_label_pairs(source)
    }
    if len(pairs) == 1:
        (whole,) = pairs.values()
        test_count = len(whole) // 7  # the ratio of MNIST's 60,000 and 10,000
        if not test_count:
            raise UserError(f"{source} needs at least 7 images, has {len(whole)}")
        return whole.pick(slice(-test_count)), whole.pick(slice(-test_count, None))
    train = [pair for name, pair in pairs.items() if "train" in name]
    test = [pair for name, pair in pairs.items() if "train" not in name]
    if len(train) != 1 or len(test) != 1:
        raise UserError(
            f"{source} must contain one pair of IDX files, such as images-idx3-ubyte "
            "and labels-idx1-ubyte (also .gz), or two pairs, one of them with train in "
            f"its name; image files with labels: {', '.join(pairs) or 'none'}"
        )
    return train[0], test[0]


def scikit_learn_digits() -> tuple[
    UInt8[np.ndarray, "1797 8 8"], UInt8[np.ndarray, "1797"]
]:
    """Return scikit-learn's digits (stored as 0..16) as grey levels, and the labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    levels = np.round(digits.images / 16 * 255).astype(np.uint8)
    return levels, digits.target.astype(np.uint8)


def _enlarge(images: UInt8[np.ndarray, "n 8 8"]) -> UInt8[np.ndarray, "n 28 28"]:
    """Enlarge images to 20x20 pixels, the box of MNIST's digits, in 28x28."""
    from PIL import Image

    enlarged = np.zeros((len(images), SIDE, SIDE), np.uint8)
    for target, image in zip(enlarged, images, strict=True):
        large = Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC)
        target[4:24, 4:24] = np.asarray(large)
    return enlarged


def _read_28x28(images_path: Path, labels_path: Path) -> LabelledImages:
    images, labels = idx.read_pair(images_path, labels_path)
    if images.shape[1:] != (SIDE, SIDE):
        height, width = images.shape[1:]
        raise UserError(f"{images_path} has images of {height}x{width}, not 28x28")
    return LabelledImages(images, labels)
