"""What is known about a photograph before the search for a digit begins.

For the whole search, each question has one answer: whether the border is uniform, where
the sheet of paper is, and whether the ink is dark. A reduced image or a part of the
image could give a different answer, because its noise and its border differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, UInt8

from pipeline.core import WHITE
from pipeline.images import constants
from pipeline.images.ink import Levels, borders, has_dark_ink, reduce_to
from pipeline.images.sheet import (
    Outside,
    complete_sheet,
    find_outside,
    is_light,
    paint_outside,
    resized,
)

Steps = Mapping[str, UInt8[np.ndarray, "_ _"]]  # the image after each step, in order


@dataclass(frozen=True, eq=False)
class Region:
    """Where to search for a digit: in a whole photograph, or on a sheet of paper."""

    # Pixels outside the sheet have the gray level of the nearest paper.
    photo: UInt8[np.ndarray, "height width"]
    reduced: Levels  # the same image, with at most 400 pixels a side
    outside: Bool[np.ndarray, "h w"] | None  # the pixels that are not on the sheet
    steps: Steps  # reduced images: the whole photograph, then the sheet
    dark_ink: bool  # whether the ink is darker than the paper

    def dark_on_light(self, part: Levels) -> Levels:
        """Invert a part of the photograph if the ink is light."""
        return part if self.dark_ink else WHITE - part


@dataclass(frozen=True, eq=False)
class Scene:
    """A photograph, or a drawing of its size, and the regions where a digit can be.

    Properties that take time are computed when they are first used.
    """

    original: Levels

    @cached_property
    def has_uniform_border(self) -> bool:
        """Whether most border pixels have the same level.

        The border is uniform in a drawing, and in a scan with pure white paper. In such
        an image, light does not vary, strokes may reach the border, and filled shapes
        are ink. In a photograph, filled shapes can be shaded paper.
        """
        border = np.concatenate(borders(self.original))
        return bool(np.bincount(border).max() > len(border) / 2)

    @cached_property
    def whole(self) -> Region:
        """The whole image."""
        reduced = reduce_to(self.original, constants.SEARCH_SIDE)
        return Region(
            photo=self.original,
            reduced=reduced,
            outside=None,
            steps={"gray levels": reduced},
            dark_ink=has_dark_ink(reduced),
        )

    @cached_property
    def sheet(self) -> Region | None:
        """The sheet of paper, if an edge of the sheet is visible."""
        outside = self._outside
        if outside is None:
            return None
        known = True if is_light(self.original, outside) else None
        return self._region(outside, dark_ink=known)

    @cached_property
    def completed_sheet(self) -> Region | None:
        """The whole sheet, if `sheet` is only a part of the sheet.

        In this case, the border of the image cuts off the digit, or the edge of a
        shadow divides the digit.
        """
        if self._outside is None or self.sheet is None:
            return None
        outside = complete_sheet(self.original, self._outside)
        if outside is None:
            return None
        return self._region(outside, dark_ink=self.sheet.dark_ink)

    @cached_property
    def _outside(self) -> Outside | None:
        return find_outside(self.original)

    def _region(self, outside: Outside, *, dark_ink: bool | None) -> Region:
        """Paint everything outside a sheet; `dark_ink` is None if it is not known."""
        photo = paint_outside(self.original, outside)
        reduced = reduce_to(photo, constants.SEARCH_SIDE)
        if dark_ink is None:
            dark_ink = has_dark_ink(reduced)
        return Region(
            photo=photo,
            reduced=reduced,
            outside=resized(outside, reduced.shape),
            steps={**self.whole.steps, "sheet": reduced},
            dark_ink=dark_ink,
        )
