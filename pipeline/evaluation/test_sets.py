"""What a network can be tested on: the named data sets, and people's own pictures.

`mnist` and `fashion_mnist` are scored as they are; for a network of digits all others
are first prepared as MNIST was made, because it knows pictures of that kind alone.
"""

import hashlib
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from pipeline import datasets
from pipeline.datasets.dataset import Dataset, LabelledImages
from pipeline.files import printable
from pipeline.images import list_images, preprocessing, reading

MAX_IMAGES = 100_000  # pictures of a set, which stay within 1 GB of memory
AS_THEY_ARE = ("mnist", "fashion_mnist")
Shown = Callable[[Sequence[int]], Iterable[int]]  # passes rows on, and shows how far


@dataclass(frozen=True)
class TestSet:
    """Pictures with labels, ready for the network."""

    name: str
    pictures: LabelledImages
    files: list[str]  # where each is from
    told: str  # how the set was understood
    counts: Int[np.ndarray, " n"]  # digits on each, found when it was prepared, or 1
    drawn: Bool[np.ndarray, " n"]  # whether a pen can have made them, or True
    problems: list[str] = field(default_factory=list)  # a line for each that is lost

    @property
    def sha256(self) -> str:
        """The sha256 of the pictures as they are scored, and of their labels."""
        content = self.pictures.images.tobytes() + self.pictures.labels.tobytes()
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class _Source:
    """Labels, and pictures that are read one by one: a thousand may not fit."""

    files: list[str]
    labels: Sequence[int]
    read: Callable[[int], UInt8[np.ndarray, "height width"]]
    told: str
    problems: list[str] = field(default_factory=list)


def own_test_set(
    dataset: Dataset, split: str | None, *, prepare: bool | None, shown: Shown
) -> TestSet:
    """Return pictures of a network's own data set, as they are unless to be prepared.

    Args:
        dataset: The data set.
        split: How it was divided, for what was watched in training; None for its test
            pictures, which no network learns from.
        prepare: Whether the pictures are prepared.
        shown: Passes rows on, and shows how far they have come.
    """
    chosen, name, told = dataset.test, dataset.name, "the test pictures"
    if split is not None:
        chosen = dataset.split(split).val
        told = f"what was watched in training (split={split})"
    if split not in (None, "exercise"):
        name += f"-{split}"
    files = _rows(name, len(chosen))
    source = _Source(files, chosen.labels.tolist(), chosen.images.__getitem__, told)
    return _read(source, name, prepare=bool(prepare), shown=shown)


def load_test_set(
    name: str, *, folder: Path, prepare: bool | None, shown: Shown
) -> TestSet:
    """Read a set of pictures with labels.

    Args:
        name: mnist, fashion_mnist, digits, or a folder.
        folder: Where data sets are kept.
        prepare: Whether the pictures are prepared; None for what suits the set.
        shown: Passes rows on, and shows how far they have come.

    Raises:
        ValueError: If nothing of it can be read; it says why.
    """
    if prepare is None:
        prepare = name not in AS_THEY_ARE
    known = name in (*AS_THEY_ARE, "digits")
    called = name if known else _readable(Path(name))
    return _read(_source(name, folder), called, prepare=prepare, shown=shown)


def with_unique_name(test: TestSet, taken: Collection[str]) -> TestSet:
    """Give a set a name of its own, where another has it already."""
    more = (f"{test.name}-{number}" for number in itertools.count(2))
    names = itertools.chain([test.name], more)
    return replace(test, name=next(name for name in names if name not in taken))


def _read(source: _Source, name: str, *, prepare: bool, shown: Shown) -> TestSet:
    """Read the pictures of a set one by one, and prepare them."""
    problems = [*source.problems]
    images, rows, counts, drawn = [], [], [], []
    for row in shown(range(len(source.files))):
        try:
            levels = source.read(row)
        except ValueError as error:
            problems.append(str(error))
            continue
        prepared = (
            preprocessing.preprocess(levels)
            if prepare
            else preprocessing.resize_only(levels)
        )
        images.append(prepared.image)
        counts.append(prepared.digit_count)
        drawn.append(prepared.drawn)
        rows.append(row)
    if not rows:
        lost = "\n  ".join(["", *problems])
        raise ValueError(f"{name}: no picture can be scored{lost}")
    how = "prepared as MNIST was made" if prepare else "as they are"
    return TestSet(
        name=name,
        pictures=LabelledImages(
            np.stack(images), np.array([source.labels[row] for row in rows], np.uint8)
        ),
        files=[source.files[row] for row in rows],
        told=f"{len(rows):,} pictures: {source.told}, {how}",
        counts=np.array(counts),
        drawn=np.array(drawn),
        problems=problems,
    )


def _source(name: str, folder: Path) -> _Source:
    """Find out what a set is, and where its labels are."""
    if name in AS_THEY_ARE:
        test = datasets.load(name, folder=folder).test
        files = _rows(name, len(test))
        return _Source(
            files, test.labels.tolist(), test.images.__getitem__, "the test pictures"
        )
    if name == "digits":
        from sklearn.datasets import load_digits

        known = load_digits()
        images = np.round(known.images / 16 * 255).astype(np.uint8)
        files = _rows(name, len(images))
        told = "all of scikit-learn's digits, 8x8 pixels"
        return _Source(files, known.target.tolist(), images.__getitem__, told)
    place = Path(name)
    pairs = [*datasets.image_label_pairs(place)] if place.is_dir() else []
    if pairs:
        return _of_idx(pairs)
    alone = [*place.glob("*images*idx3*")] if place.is_dir() else []
    if alone:
        raise ValueError(
            f"{printable(alone[0])} must be a file, with the file of its "
            "labels-idx1-ubyte beside it"
        )
    finding = list_images(place)
    known = [picture for picture in finding.entries if picture.label is not None]
    unknown = [
        f"{printable(picture.path)} has no label: name it as in 7_a.png"
        for picture in finding.entries
        if picture.label is None
    ]
    return _Source(
        [str(picture.path.relative_to(place)) for picture in known],
        [picture.label for picture in known],
        lambda row: reading.read_image(known[row].path),
        finding.label_source,
        finding.problems + unknown,
    )


def _of_idx(pairs: Sequence[tuple[Path, Path]]) -> _Source:
    """Read a pair of IDX files; of several, the one that has no train in its name."""
    tests = [pair for pair in pairs if "train" not in pair[0].name] or pairs
    if len(tests) > 1:
        names = ", ".join(printable(images.name) for images, _ in tests)
        raise ValueError(f"{printable(tests[0][0].parent)} has several: {names}")
    try:
        images, labels = datasets.read_pair(*tests[0])
    except ValueError as error:
        raise ValueError(printable(str(error))) from None  # names may hold lines
    if len(images) > MAX_IMAGES:
        raise ValueError(
            f"{printable(tests[0][0])} has {len(images):,} pictures: at most "
            f"{MAX_IMAGES:,} are scored at once"
        )
    name = tests[0][0].name
    told = f"{printable(name)}, {images.shape[1]}x{images.shape[2]} pixels"
    return _Source(_rows(name, len(images)), labels.tolist(), images.__getitem__, told)


def _rows(name: str, count: int) -> list[str]:
    return [f"{name} {row}" for row in range(count)]


def _readable(place: Path) -> str:
    """Name a folder as files, metrics and tables can be named."""
    return re.sub(r"[^\w.-]+", "_", place.resolve().name)[:80] or "pictures"
