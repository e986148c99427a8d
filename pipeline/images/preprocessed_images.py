"""Preprocessing of a set of images: each image becomes an input of the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipeline import UserError
from pipeline.base.progress import progress
from pipeline.base.text import counted
from pipeline.images.listing import ImageSet
from pipeline.images.preprocessing import Preprocessed, Steps, preprocess, resize
from pipeline.images.reading import read_image
from pipeline.images.unsure import Finding


@dataclass(frozen=True, eq=False)
class PreprocessedImages:
    """The input of the network for each image that was read, and how it was created."""

    source: ImageSet  # without the images that cannot be read
    images: UInt8[np.ndarray, "n 28 28"]  # gray levels, white on black
    findings: Sequence[Finding]  # why each image is not a single digit, or ""
    steps: Sequence[Steps]  # the steps of the first images
    how: str  # how the images were preprocessed, in words

    @property
    def description(self) -> str:
        """The number of images, what they show, and how they were preprocessed."""
        number = counted(len(self.images), "image")
        return f"{number}; {self.source.description}; {self.how}"


def preprocess_images(
    source: ImageSet, *, as_mnist: bool, keep_steps: int = 0
) -> PreprocessedImages:
    """Read and preprocess images one by one, because all may need too much memory.

    Args:
        source: The images.
        as_mnist: Whether to preprocess images as in MNIST, or only to resize them.
        keep_steps: The number of images whose steps are kept.

    Raises:
        UserError: If no image can be read; the message says why.
    """
    verb, step = ("preprocessing", preprocess) if as_mnist else ("reading", resize)
    problems, rows, results = [*source.problems], list[int](), list[Preprocessed]()
    for row, image in enumerate(progress(f"{verb} {source.name}")(source.images)):
        try:
            levels = read_image(image) if isinstance(image, Path) else image
        except UserError as error:
            problems.append(str(error))
            continue
        result = step(levels)
        is_kept = len(rows) < keep_steps
        results.append(result if is_kept else result._replace(steps={}))
        rows.append(row)
    if not rows:
        is_one_file = len(source.images) == len(problems) == 1
        title = [] if is_one_file else [f"{source.name}: no readable images"]
        raise UserError("\n  ".join([*title, *problems]))
    how = "resized to 28x28" if source.kind == "raw" else "not preprocessed"
    return PreprocessedImages(
        source=source.pick(rows, problems=problems),
        images=np.stack([result.image for result in results]),
        findings=[result.finding for result in results],
        steps=[result.steps for result in results[:keep_steps]],
        how="preprocessed as in MNIST" if as_mnist else how,
    )
