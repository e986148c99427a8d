"""Data sets of 28x28 pictures with their labels, each in one checked file.

Four kinds can be named: `mnist`, `fashion_mnist`, `digits` (scikit-learn's 8x8 digits,
enlarged) and a folder with IDX files. Whatever it was, it becomes one safetensors file
of raw grey levels, which everything after reads.
"""

import gzip
import hashlib
import json
import math
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from safetensors import numpy as safetensors

from pipeline import CLASSES, SIDE, files, plots
from pipeline.datasets import download

PLOTS = {"means": plots.class_means, "samples": plots.contact_sheet}
MAX_IMAGES, WIDEST = 1_000_000, 4096  # pictures of an IDX file, pixels of their sides
MAX_FILE_BYTES = (
    2**29
)  # bytes of an IDX file; EMNIST, the largest of the family, has 2**29
OTHER_FORMATS = {  # how files begin that are no IDX files
    b"PK": "a ZIP archive, to be unpacked",
    b"<": "an HTML page, not the file itself",
    b"vers": "a Git LFS pointer, to be pulled",
    b"": "no IDX file",
}
HOLDOUT_DIVISOR = 120  # split=holdout keeps back 1/120 of the images from each class


@dataclass(frozen=True)
class LabelledImages:
    """Pictures as grey levels (0 is background) and the class of each."""

    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, " n"]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.labels)

    def pick(self, rows: np.ndarray) -> "LabelledImages":
        """Return the pictures in these rows."""
        return LabelledImages(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Split:
    """What the network learns from, and what is watched while it learns."""

    train: LabelledImages
    val: LabelledImages


@dataclass(frozen=True)
class Dataset:
    """A data set as its makers divided it."""

    path: Path
    sha256: str  # of the file at path
    train: LabelledImages
    test: LabelledImages

    @property
    def name(self) -> str:
        """What the data set is called: as its file, without the ending."""
        return self.path.stem

    def means(self) -> dict[int, UInt8[np.ndarray, "28 28"]]:
        """Return the mean of the training pictures of each class."""
        return {
            label: self.train.images[self.train.labels == label]
            .mean(axis=0)
            .round()
            .astype(np.uint8)
            for label in range(CLASSES)
            if (self.train.labels == label).any()
        }

    def check(self, sha256: str) -> None:
        """Make sure that these are the bytes of that hash, such as a network's.

        Raises:
            ValueError: If they are not.
        """
        if self.sha256 != sha256:
            raise ValueError(
                f"{self.path} has sha256 {self.sha256}; the network was trained with "
                f"{sha256}: train it again, or bring back the data it knew"
            )

    def split(self, how: str) -> Split:
        """Divide the pictures between training and watching.

        Args:
            how: `exercise` watches the test pictures, as the course does. `holdout`
                leaves them alone and watches the last pictures of each class among
                the training pictures, as many of each: 500 of MNIST's 60,000. They
                are the same whatever the seed.

        Raises:
            ValueError: If a class has too few pictures to keep some back.
        """
        if how == "exercise":
            return Split(self.train, self.test)
        kept_back = len(self.train) // HOLDOUT_DIVISOR
        held = np.zeros(len(self.train), dtype=bool)
        for label in np.unique(self.train.labels):
            rows = np.flatnonzero(self.train.labels == label)
            if not 0 < kept_back < len(rows):
                raise ValueError(
                    f"split=holdout keeps {max(kept_back, 1)} pictures of each class "
                    f"from training; {self.name} has {len(rows)} of class {label}"
                )
            held[rows[-kept_back:]] = True
        return Split(self.train.pick(~held), self.train.pick(held))


def load(dataset: str, *, folder: Path | str) -> Dataset:
    """Return a data set, making its file first where there is none yet.

    Args:
        dataset: mnist, fashion_mnist, digits, or a folder with IDX files.
        folder: Where data sets are kept, such as outputs/data.

    Raises:
        FileNotFoundError: If the data set can't be had; it says what to put where.
        ValueError: If a file of a folder breaks the format; it names file and rule.
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
    """See to it that a data set's file stands in the folder and is right.

    Beside `<name>.safetensors` stand two pictures of what is in it and, written last,
    a summary `<name>.json`, which holds the sha256 of the first: a file that doesn't
    match it is put aside and made anew.

    Returns:
        The path of the file, and whether it had to be made.
    """
    if _is_folder(dataset) and not Path(dataset).is_dir():
        names = ", ".join((*download.RAW_FILES, "digits"))
        raise FileNotFoundError(f"{dataset!r} is no folder, and none of {names}")
    path = folder / f"{file_name(dataset)}.safetensors"
    waiting = f"waiting for another process that prepares {dataset}"
    with files.lock(folder / f".{path.stem}.lock", waiting=waiting):
        origin = _hashes(Path(dataset)) if _is_folder(dataset) else {}
        if _is_right(path, origin):
            return path, False
        train, test = _read(dataset, folder)
        tensors = {
            "train_images": train.images,
            "train_labels": train.labels,
            "test_images": test.images,
            "test_labels": test.labels,
        }
        content = safetensors.save(
            {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        )
        with files.atomic_file(path) as written:
            written.write_bytes(content)
        made = Dataset(path, hashlib.sha256(content).hexdigest(), train, test)
        summarised, *drawn = companion_files(path)
        for picture, draw in zip(drawn, PLOTS.values(), strict=True):
            with files.atomic_file(picture) as written:
                draw(train.images, train.labels).save(written, "PNG")
        with files.atomic_file(summarised) as written:
            written.write_text(
                json.dumps(describe(made) | {"origin": origin}, indent=1)
            )
        return path, True


def companion_files(path: Path) -> list[Path]:
    """Return the files that show what is in a data set's file: summary and pictures."""
    drawn = [path.with_name(f"{path.stem}-{kind}.png") for kind in PLOTS]
    return [path.with_suffix(".json"), *drawn]


def summary(path: Path) -> dict[str, Any]:
    """Return what `describe` found in the data set of a file when it was made."""
    known: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return known


def file_name(dataset: str) -> str:
    """Return the name of a data set's file; that of a folder tells it from others."""
    if not _is_folder(dataset):
        return dataset
    place = Path(dataset).resolve()
    readable = re.sub(r"[^\w-]+", "_", place.name)
    return f"{readable}-{hashlib.sha256(bytes(place)).hexdigest()[:8]}"


def describe(dataset: Dataset) -> dict[str, Any]:
    """Count what a person wants to know of the pictures before training.

    Returns:
        The numbers of pictures, in all and of each class; mean and standard deviation
        of the pixels in 0..1 and the share that is 0; the pixels (0..783, row by row)
        that are 0 in every training picture.
    """
    levels = np.bincount(dataset.train.images.ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = float(levels @ values / levels.sum())
    variance = float(levels @ (values - mean) ** 2 / levels.sum())
    never_lit = np.flatnonzero(~dataset.train.images.any(axis=0).ravel())
    return {
        "name": dataset.name,
        "sha256": dataset.sha256,
        **{
            part: {
                "images": len(pictures),
                "per_class": np.bincount(pictures.labels, minlength=CLASSES).tolist(),
            }
            for part, pictures in (("train", dataset.train), ("test", dataset.test))
        },
        "pixels": {
            "mean": round(mean, 6),
            "std": round(variance**0.5, 6),
            "zero": round(float(levels[0] / levels.sum()), 6),
        },
        "never_lit": never_lit.tolist(),
    }


def read_idx(path: Path, *, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Read an IDX file of bytes, plain or gzipped, believing nothing that it claims.

    Args:
        path: The file.
        dimensions: 3 for images, 1 for labels.

    Raises:
        ValueError: If the file breaks the format; it names the file and the rule.

    Source: the format is described at the end of LeCun, Cortes, Burges, The MNIST
    database of handwritten digits (1998).
    """
    if not path.is_file():
        raise ValueError(f"{path} is no file that can be read: an IDX file is")
    with path.open("rb") as stream:
        gzipped = stream.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if gzipped else path.open("rb") as stream:
            header = stream.read(4 + 4 * dimensions)
            magic = bytes([0, 0, 8, dimensions])
            if header[:4] == magic and len(header) < 4 + 4 * dimensions:
                raise ValueError(f"{path} is cut short: it ends within its header")
            if not header:
                raise ValueError(f"{path} is empty")
            if header[:4] != magic:
                start = header[:4]
                what = next(
                    told for s, told in OTHER_FORMATS.items() if start.startswith(s)
                )
                raise ValueError(
                    f"{path} is {what}: it starts with bytes {start.hex(' ')}; an IDX "
                    f"file of bytes in {dimensions} dimensions with {magic.hex(' ')}"
                )
            sizes = [int(size) for size in np.frombuffer(header, ">u4", offset=4)]
            claimed = math.prod(sizes)
            if sizes[0] > MAX_IMAGES or max(sizes[1:], default=0) > WIDEST:
                told = " x ".join(f"{size:,}" for size in sizes)
                raise ValueError(
                    f"{path} claims {told}: at most {MAX_IMAGES:,} pictures are read, and "
                    f"{WIDEST:,} pixels a side"
                )
            if not 0 < claimed <= MAX_FILE_BYTES:
                raise ValueError(
                    f"{path} claims {claimed:,} bytes, not 1 to {MAX_FILE_BYTES:,}"
                )
            body = stream.read(claimed + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is no whole gzip file: {error}") from None
    if len(body) != claimed:
        more = "more" if len(body) > claimed else f"{len(body):,}"
        raise ValueError(
            f"{path} claims {claimed:,} bytes after its header, has {more}"
        )
    return np.frombuffer(body, np.uint8).reshape(sizes)


def _read(dataset: str, folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the training and the test pictures of a data set from where they come."""
    if dataset == "digits":
        return _digits()
    place = Path(dataset) if _is_folder(dataset) else download.fetch(dataset, folder)
    pairs = {images: _fitting(images, labels) for images, labels in pairs_of(place)}
    if len(pairs) == 1:
        whole = next(iter(pairs.values()))
        cut = len(whole) - len(whole) // 7  # as MNIST's 60,000 and 10,000
        if cut == len(whole):
            raise ValueError(f"{place} has {cut} pictures; it takes 7 to watch one")
        rows = np.arange(len(whole))
        return whole.pick(rows[:cut]), whole.pick(rows[cut:])
    train = [pair for path, pair in pairs.items() if "train" in path.name]
    test = [pair for path, pair in pairs.items() if "train" not in path.name]
    if len(train) != 1 or len(test) != 1:
        names = ", ".join(path.name for path in pairs) or "none"
        raise ValueError(
            f"{place} must hold one pair of IDX files, such as images-idx3-ubyte and "
            "labels-idx1-ubyte (also .gz), or two, one of them with train in its name; "
            f"image files with labels found: {names}"
        )
    return train[0], test[0]


def _digits() -> tuple[LabelledImages, LabelledImages]:
    """Enlarge scikit-learn's 8x8 digits (0..16) to the 20x20 box of MNIST's digits."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.zeros((len(found.images), SIDE, SIDE), np.uint8)
    for place, small in zip(images, found.images, strict=True):
        grey = Image.fromarray(np.round(small / 16 * 255).astype(np.uint8))
        place[4:24, 4:24] = np.asarray(grey.resize((20, 20), Image.Resampling.BICUBIC))
    whole = LabelledImages(images, found.target.astype(np.uint8))
    rows = np.arange(len(whole))
    return whole.pick(rows[:1500]), whole.pick(rows[1500:])


def _fitting(images_path: Path, labels_path: Path) -> LabelledImages:
    images, labels = read_pair(images_path, labels_path)
    if images.shape[1:] != (SIDE, SIDE):
        height, width = images.shape[1:]
        raise ValueError(f"{images_path} has pictures of {height}x{width}, not 28x28")
    return LabelledImages(images, labels)


def read_pair(
    images_path: Path, labels_path: Path
) -> tuple[UInt8[np.ndarray, "n height width"], UInt8[np.ndarray, " n"]]:
    """Read pictures of any size, and the label in 0..9 of each, from two IDX files.

    Raises:
        ValueError: If they break the format or don't fit together.
    """
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    if len(images) != len(labels) or not len(labels):
        raise ValueError(
            f"{images_path} has {len(images)} pictures, "
            f"{labels_path.name} {len(labels)} labels"
        )
    if labels.max() >= CLASSES:
        row = int(np.argmax(labels >= CLASSES))
        raise ValueError(
            f"{labels_path} has label {labels[row]} in row {row}, not 0..9"
        )
    return images, labels


def pairs_of(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Find the image files of a folder that have a label file beside them."""
    for path in sorted(folder.iterdir()):
        plain = path.name.removesuffix(".gz")
        if plain != path.name and (folder / plain).exists():
            continue  # the same file twice
        if "images" in plain and "idx3" in plain:
            partner = plain.replace("images", "labels").replace("idx3", "idx1")
            for labels in (folder / partner, folder / f"{partner}.gz"):
                if labels.is_file() and path.is_file():
                    yield path, labels
                    break


def _is_folder(dataset: str) -> bool:
    return dataset not in {*download.RAW_FILES, "digits"}


def _hashes(folder: Path) -> dict[str, str]:
    files = {path for pair in pairs_of(folder) for path in pair}
    return {path.name: download.file_sha256(path) for path in sorted(files)}


def _is_right(path: Path, origin: dict[str, str]) -> bool:
    """Say whether a file is the one that its summary describes, of the same origin."""
    if not all(part.exists() for part in (path, *companion_files(path))):
        return False
    try:
        known = summary(path)
        told, same = known["sha256"], known["origin"] == origin
    except (ValueError, TypeError, KeyError):
        print(f"{path.with_suffix('.json')} is damaged: made anew", file=sys.stderr)
        return False
    return same and download.has_sha256(path, told)
