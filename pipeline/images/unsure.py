"""The rules that make a prediction unsure, and their thresholds.

The network assigns a class to every image, usually with a high probability. It
classifies even a shoe as a digit. Therefore, a prediction is unsure if one of these
rules applies. The first rule that applies is the reason:

- blank: all pixels of the image are the same.
- no ink: the image is not blank, but nothing in it stands out from the noise.
- shadow: in a photograph, part of the outline of the strokes shows little or no change
  in brightness.
- paper edge: dark areas, such as a table, extend from a corner of a photograph far
  along its border.
- cut off: in a photograph, strokes reach the border, but *paper edge* does not apply.
- several objects: the image shows several digits, side by side or one above the other,
  or a photograph shows many shapes, or another large shape apart from the digit.
- unusual: the outline, the number of pieces, the thickness or the aspect ratio is
  unusual for a digit.
- unfamiliar: the image does not look like the training images of the predicted class,
  or it looks far more like the training images of another class.
- small margin: the two highest probabilities are close.

The rules *shadow*, *paper edge* and *cut off* do not apply to an image with a uniform
border, such as a drawing; see `Scene`.

`preprocess` finds the first seven reasons: *blank* and *no ink* itself, *shadow*,
*paper edge*, *cut off* and many shapes with `finding_of_photo`, and several digits and
*unusual* with `finding_of`. If `preprocess` finds no reason, `classify` uses the reason
that `OodDetector.reasons` returns, which is *unfamiliar* or *small margin*.

The thresholds of these two rules are quantiles of training images. The thresholds of
*unfamiliar* belong to the data set: `OOD_QUANTILE` and `RATIO_QUANTILE` in
`datasets/components.py`. The threshold of *small margin* belongs to the network:
`MIN_MARGIN_QUANTILE` and `LOWEST_MIN_MARGIN` in `core/margin.py`. The thresholds of all
other rules are below, and were chosen by hand. `python tests/benchmarks/images.py`
measures the effect of all thresholds: how many predictions are unsure for digits, for
clothes and for noise.
"""

from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8

from pipeline.images import constants

# The findings of preprocessing; "" if the image shows one digit.
Finding = Literal[
    "",
    "blank",
    "no ink",
    "shadow",
    "paper edge",
    "cut off",
    "several objects",
    "unusual",
]
Reason = Literal[Finding, "unfamiliar", "small margin"]

# Groups of findings. A new finding belongs to each group whose description it fits.
WITHOUT_INK: frozenset[Reason] = frozenset({"blank", "no ink"})  # there are no strokes
ONE_OR_NONE: frozenset[Reason] = WITHOUT_INK | {""}  # no digit, or exactly one
# The strokes belong to a digit, to a part of a digit, or to several digits.
DIGITS: frozenset[Reason] = frozenset({"", "shadow", "cut off", "several objects"})

# The text of predict, inspect and the interactive page for each reason.
TEXTS: dict[Reason, str] = {
    "": "",
    "blank": "the image is blank",
    "no ink": "no ink was found: use a darker pen or more light, or crop the image",
    "shadow": "the edge of a shadow may have been mistaken for ink: use even light",
    "paper edge": "the image shows the edge of the paper: crop it to the {noun}",
    "cut off": "the {noun} reaches the border of the image and may be cut off",
    "several objects": "there is more than one {noun} or object",
    "unusual": "the strokes are unusual for a {noun}",
    "unfamiliar": "the image does not look like the {images} in the training data",
    "small margin": "{name} is a close second ({percent})",
}

# paper edge: from a corner, the strokes touch more than this fraction of a border.
# cut off: the strokes touch a border in any other way. A table reaches a corner of the
# photograph, but the strokes of a digit rarely do.
MIN_ALONG = 0.25
# several objects: a photograph shows more than this number of shapes of similar size.
MAX_SIMILAR = 6
# several objects: in a photograph, another shape has this height and this distance from
# the largest shape of the digit, as fractions of the longer side of the largest shape.
# A line of text is lower, and the parts of a digit are closer.
MIN_SECOND_HEIGHT, MIN_SECOND_DISTANCE = 1 / 3, 0.15
# A part of the strokes between empty columns, or between empty rows, is a digit if its
# height and its area are at least these fractions of the largest part's height and
# area. Pieces of a broken stroke are smaller, or the gap between them is at most
# MAX_BREAK times the longer side.
MIN_DIGIT_HEIGHT, MIN_DIGIT_AREA, MAX_BREAK = 0.6, 0.25, 0.05
# unusual: noise has many pieces and long outlines, clothes have thick shapes, and a
# horizontal line is too wide.
MIN_SIDE_PER_PIECE = 8  # pixels of the digit's longer side, for each separate stroke
MAX_OUTLINE = 8  # maximum length of the outline, in sides of the digit
# A thin pen draws a longer outline, in particular for an 8, which has two holes
# (test_the_8s_of_a_thin_pen_are_digits). The second limit is for strokes that are at
# most THIN pixels thick in the box. Clothes with such outlines are thicker.
MAX_THIN_OUTLINE, THIN = 9.5, 1.1
MAX_THICKNESS = 3  # pixels of the box; maximum distance from the inside to the edge
MAX_ASPECT = 2  # maximum ratio of width to height
# A digit of few pixels has a smaller limit for its outline, because coarse outlines
# have fewer corners. Such a digit may also be thicker in the box: up to MAX_THICKNESS
# pixels of the image.
MIN_OUTLINE = 5  # in sides; the limit for a side of 0 pixels, rising to the maximum
OUTLINE_SIDE = 16  # the side, in pixels, from which the limit is the maximum


def is_blank(image: UInt8[np.ndarray, "height width"]) -> bool:
    """Return whether all pixels of an image are the same."""
    return bool(np.ptp(image) == 0)


def border_finding(*, along: float) -> Finding:
    """Return the finding for strokes that touch the border of a photograph.

    Args:
        along: The largest fraction of a border that the strokes cover without a gap,
            from an end of the border.
    """
    return "paper edge" if along > MIN_ALONG else "cut off"


def shows_many(areas: Int[np.ndarray, " n"], *, largest: int) -> bool:
    """Return whether a photograph shows many shapes of similar size.

    Args:
        areas: The areas of all shapes, in pixels.
        largest: The area of the largest shape of the digit.
    """
    return bool((areas >= MIN_DIGIT_AREA * largest).sum() > MAX_SIMILAR)


def is_second(*, height: int, distance: int, side: int) -> bool:
    """Return whether a shape in a photograph is not part of the digit; all in pixels.

    Args:
        height: The height of the shape.
        distance: The distance of the shape from the largest shape of the digit.
        side: The longer side of the largest shape of the digit.
    """
    is_high = height >= MIN_SECOND_HEIGHT * side
    return is_high and distance > MIN_SECOND_DISTANCE * side


def count_digits(heights: Int[np.ndarray, " n"], areas: Int[np.ndarray, " n"]) -> int:
    """Count the digits among parts of an image that are separated by gaps."""
    is_high = heights >= MIN_DIGIT_HEIGHT * heights.max()
    return int((is_high & (areas >= MIN_DIGIT_AREA * areas.max())).sum())


def is_noise(*, pieces: int, side: int) -> bool:
    """Return whether a small image has too many separate strokes for a digit.

    In a photograph, the strokes can belong to other objects.

    Args:
        pieces: The number of separate strokes in the image.
        side: The longer side of the digit, in pixels of the image.
    """
    return pieces > side / MIN_SIDE_PER_PIECE


def has_usual_strokes(
    *, side: int, outline: int, thickness: float, aspect: float
) -> bool:
    """Return whether the strokes have the form of a digit.

    Args:
        side: The longer side of the digit, in pixels of the image.
        outline: The length of the digit's outline, in pixels of the image.
        thickness: The largest distance of a stroke's inside from its edge, when the
            digit is scaled to the box of 20 pixels.
        aspect: The width of the digit, divided by its height.
    """
    growth = min(1, side / OUTLINE_SIDE)
    longest = MAX_THIN_OUTLINE if thickness <= THIN else MAX_OUTLINE
    return (
        outline <= (MIN_OUTLINE + growth * (longest - MIN_OUTLINE)) * side
        and thickness <= MAX_THICKNESS * max(1, constants.BOX / side)
        and aspect <= MAX_ASPECT
    )


def images_of(class_name: str) -> str:
    """Return a phrase for the images of a class: 7s, or sneaker images."""
    return f"{class_name}s" if len(class_name) == 1 else f"{class_name} images"


def one_image(class_name: str) -> str:
    """Return a phrase for an image of a class, such as `a 7` or `sneaker`."""
    return f"a {class_name}" if len(class_name) == 1 else class_name
