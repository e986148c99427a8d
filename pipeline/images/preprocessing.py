"""A person's picture -> 28x28 as MNIST was made.

`pipeline.paper` says where ink lies. Here the digit is cut out, fitted in MNIST's box
of 20 pixels, its strokes brought to MNIST's width, and centred by its mass. The last
steps, from `fitted` on, are all that a digit drawn on a screen needs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy import ndimage

from pipeline import SIDE
from pipeline.images.ink import (
    PHOTO,
    Ink,
    Levels,
    grain,
    grey_levels,
    ink_on_paper,
    is_dark_on_light,
    reduced,
    without_lines,
)

BOX = 20  # pixels; the longer side of every digit of MNIST
FINE = 4  # strokes are shaped at this many pixels to one of MNIST's
WIDTHS = (2.6, 3.3)  # pixels; a third of MNIST's digits is thinner, a quarter thicker
SMALLEST = 8  # pixels of the picture; in fewer, any noise looks like some digit
OUTLINE = 8  # sides that the outlines of a digit measure; 99 % of people's have less
THICKEST = 3  # pixels of the box from inside a stroke to its edge; 98 % have less
WIDEST = 2  # times the height; 6 of MNIST's 60,000 are wider
EDGE = 0.5  # the share of its ink at which a stroke ends
FAINTEST = 0.08  # lesser ink is paper
WORKED = 400  # pixels a side of a photograph in which the digit is looked for
SQUEEZED = 0.7  # width to height given to a digit that was stretched to a square
TOUCHING = np.ones((3, 3), bool)  # pixels that share a corner belong together

Mask = Bool[np.ndarray, "h w"]
OtherMask = Bool[np.ndarray, "rows columns"]  # where a step changes the size
OtherInk = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class PreparedImage:
    """A picture as the network reads it, and how it came about."""

    image: UInt8[np.ndarray, "28 28"]
    digit_count: int  # digits found side by side; 0: the picture is blank
    drawn: bool  # whether a pen can have made it
    steps: dict[str, UInt8[np.ndarray, "_ _"]]  # what each step left, in order


def preprocess(picture: Image.Image | UInt8[np.ndarray, "h w"]) -> PreparedImage:
    """Prepare a picture of any size and kind: 2 ms for a small one, 0.1 s for a photo.

    Args:
        picture: A picture of any mode, or its grey levels.

    Returns:
        The 28x28 picture, 0 throughout where nothing was found.
    """
    whole = picture if isinstance(picture, np.ndarray) else grey_levels(picture)
    levels = reduced(whole, WORKED)
    ink, shapes, mask = find_strokes(levels)
    if levels.shape != whole.shape and 0 < max(mask[box_of(mask)].shape) < WORKED // 3:
        # A small digit in a large picture: looked at again from near by.
        levels = reduced(surroundings(whole, mask), WORKED)
        ink, shapes, mask = find_strokes(levels)
    steps = {"grey levels": levels, "ink": _shown(ink)}
    if not mask.any():
        return PreparedImage(np.zeros((SIDE, SIDE), np.uint8), 0, True, steps)
    digit = unstretched(cut_out(ink, mask), ink)
    fine = fitted(digit, edge=EDGE * float(np.median(ink[mask])))
    stroked = brought_to_width(fine, width=width_of(fine))
    image = centred(boxed(stroked))
    steps |= {"digit": _shown(digit), "box": _shown(fine), "stroke": _shown(stroked)}
    steps["centred"] = image
    return PreparedImage(image, count(mask), is_drawn(shapes, mask, fine), steps)


def resize_only(levels: Levels) -> PreparedImage:
    """Bring a picture to the network's size, and change nothing else."""
    image = np.array(levels)
    if levels.shape != (SIDE, SIDE):
        small = Image.fromarray(levels).resize((SIDE, SIDE), Image.Resampling.BOX)
        image = np.array(small)
    return PreparedImage(image, 1, True, {"as it is": image})


def find_strokes(levels: Levels) -> tuple[OtherInk, OtherMask, OtherMask]:
    """Find the ink of a picture, where it is a stroke, and which are the digit's."""
    ink = ink_on_paper(levels if is_dark_on_light(levels) else 255 - levels)
    if min(ink.shape) > PHOTO:
        ink = without_lines(ink)
    shapes = ink > threshold(ink)
    return ink, shapes, without_specks(shapes)


def threshold(ink: Ink) -> float:
    """Return the ink from which a pixel is a stroke: half the mean of such pixels.

    It is 1, which no pixel passes, where nothing is twice as dark as what grain and
    unevenness of the paper can be.
    """
    photo = max(ink.shape) > PHOTO
    faintest = FAINTEST + 3 * grain(ink) * photo
    lit = ink[ink > faintest]
    if not lit.size or np.quantile(lit, 0.95) < 2 * faintest:
        return 1.0
    level = float(np.quantile(lit, 0.95)) / 2
    for _ in range(10):
        level = max(float(lit[lit > level].mean()) / 2, faintest)
    return level


def without_specks(mask: Mask) -> Mask:
    """Keep the blobs that can be parts of a digit.

    Of a photograph, what reaches its border (a table, a shadow) goes where something
    as big as a digit stands free. Then go blobs below a twentieth of the largest, and
    below a quarter where they lie apart from it by a quarter of its longer side. A
    largest below a fiftieth of the picture is no digit either.
    """
    labels, number = ndimage.label(mask, TOUCHING)
    if not number:
        return mask
    areas = np.bincount(labels.ravel())[1:]  # without the paper
    places = ndimage.find_objects(labels)
    if max(mask.shape) > PHOTO:
        border = {*labels[0], *labels[-1], *labels[:, 0], *labels[:, -1]}
        sizes = np.array([max(labels[place].shape) for place in places])
        free = sizes >= min(mask.shape) / 5
        free &= [label not in border for label in range(1, number + 1)]
        if free.any():
            areas = areas * free
    largest = places[int(areas.argmax())]
    if max(labels[largest].shape) < max(mask.shape) / 50:
        return np.zeros_like(mask)  # grains of the paper
    reach = max(labels[largest].shape) / 4
    apart = np.array([_gap(place, largest) > reach for place in places])
    kept = areas >= np.where(apart, 0.25, 0.05) * areas.max()
    return np.asarray(np.append(False, kept)[labels])


def _gap(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """Return how many rows, or columns, lie between two boxes."""
    pairs = zip(one, other, strict=True)
    return max(int(max(a.start - b.stop, b.start - a.stop)) for a, b in pairs)


def count(mask: Mask) -> int:
    """Count the digits that stand side by side, with a gap between them.

    Strokes above one another are one digit. A further digit has at least 0.6 of the
    height and 0.25 of the ink of the largest; so pieces of a broken stroke don't count.
    So 98.5 % of pairs of MNIST's test digits are found, and none of the 10,000 alone.
    """
    labels, _ = ndimage.label(mask.any(axis=0))
    parts = [mask[:, columns] for (columns,) in ndimage.find_objects(labels)]
    heights = np.array([np.ptp(np.flatnonzero(part.any(axis=1))) + 1 for part in parts])
    areas = np.array([part.sum() for part in parts])
    large = (heights >= 0.6 * heights.max()) & (areas >= 0.25 * areas.max())
    return int(large.sum())


def box_of(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns that hold all of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def surroundings(
    whole: UInt8[np.ndarray, "height width"], mask: Mask
) -> UInt8[np.ndarray, "rows columns"]:
    """Cut the box of a mask, twice as large, out of the picture it was found in."""
    scale = max(whole.shape) / WORKED
    margin = max(mask[box_of(mask)].shape) / 2
    places = []
    for place, side, found_in in zip(
        box_of(mask), whole.shape, mask.shape, strict=True
    ):
        margin_cut = (side / scale - found_in) / 2  # lost where paper was turned
        first = max(0.0, (place.start + margin_cut - margin) * scale)
        places.append(
            slice(int(first), int((place.stop + margin_cut + margin) * scale))
        )
    return whole[places[0], places[1]]


def cut_out(ink: Ink, mask: Mask) -> OtherInk:
    """Cut the digit out, without ink that is not its own."""
    own = ndimage.binary_dilation(mask, TOUCHING)
    return np.where(own, ink, 0)[box_of(own)].astype(np.float32)


def unstretched(digit: OtherInk, ink: Ink) -> Float[np.ndarray, "_ _"]:
    """Narrow a digit that fills a square picture from border to border.

    Such pictures were stretched to be filled, as in USPS: how wide the digit was is no
    longer known, and most digits are narrower than tall.
    """
    lit = ink > 0.1 * ink.max()
    borders = (lit[0], lit[-1], lit[:, 0], lit[:, -1])
    height, width = ink.shape
    if height != width or not all(border.any() for border in borders):
        return digit
    height, width = (2 * side for side in digit.shape)  # enlarged, to lose nothing
    size = (round(SQUEEZED * width), height)
    return np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BILINEAR))


def fitted(digit: Ink, *, edge: float) -> OtherMask:
    """Enlarge or shrink a digit to the box, FINE pixels to one, and find its strokes.

    Resampled by a triangle filter; a pixel is a stroke where there is more ink than at
    the edge.
    """
    height, width = digit.shape
    scale = BOX * FINE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    fine = np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BILINEAR))
    return fine > min(edge, 0.9 * float(fine.max()))  # something always stays


def width_of(strokes: Mask) -> float:
    """Return the mean width of strokes, in pixels of the box.

    Across a stroke the distance to its edge is a quarter of the width on average.
    """
    inside = ndimage.distance_transform_edt(np.pad(strokes, 1))
    return 4 * float(inside.sum() / strokes.sum()) / FINE


def is_drawn(shapes: Mask, mask: Mask, strokes: OtherMask) -> bool:
    """Say whether a pen can have made a digit, as it was found and in the box.

    Noise has far longer outlines, and more pieces where no camera saw the paper;
    clothes are thick, and a line that lies is wide. Where pixels are coarse, an outline
    has fewer of them to turn at, three of them are no thick stroke, and the more a
    piece counts: 99 % of MNIST's digits are one, and hardly any is three.
    """
    side = max(mask[box_of(mask)].shape)
    _, pieces = ndimage.label(shapes, TOUCHING)
    photo = max(shapes.shape) > PHOTO
    drawn = np.pad(mask, 1)
    outline = (drawn[1:] != drawn[:-1]).sum() + (drawn[:, 1:] != drawn[:, :-1]).sum()
    thickest = ndimage.distance_transform_edt(np.pad(strokes, 1)).max() / FINE
    height, width = strokes.shape
    return bool(
        (1 if photo else pieces) <= side / SMALLEST
        and outline <= min(OUTLINE, 5 + 3 * side / 16) * side
        and thickest <= max(THICKEST, 3 * BOX / side)
        and width <= WIDEST * height
    )


def brought_to_width(strokes: Mask, *, width: float) -> OtherMask:
    """Grow thin strokes, and shrink thick ones, to the width of MNIST's."""
    strokes = np.pad(strokes, 2 * FINE)
    growth = (float(np.clip(width, *WIDTHS)) - width) * FINE / 2  # on either side
    if growth > 0:
        return np.asarray(ndimage.distance_transform_edt(~strokes) <= growth)
    thinner = ndimage.distance_transform_edt(strokes) > -growth
    return thinner if thinner.any() else strokes


def boxed(strokes: Mask) -> OtherInk:
    """Fit strokes in the box once more, and average FINE x FINE pixels to one."""
    strokes = strokes[box_of(strokes)]
    scale = BOX * FINE / max(strokes.shape)
    height, width = (max(1, round(side * scale)) for side in strokes.shape)
    fine = Image.fromarray(strokes.astype(np.float32))
    fine = fine.resize((width, height), Image.Resampling.BILINEAR)
    rows, columns = -(-height // FINE), -(-width // FINE)  # rounded up
    canvas = np.zeros((rows * FINE, columns * FINE), np.float32)
    top, left = (rows * FINE - height) // 2, (columns * FINE - width) // 2
    canvas[top : top + height, left : left + width] = fine
    return np.asarray(canvas.reshape(rows, FINE, columns, FINE).mean(axis=(1, 3)))


def centred(digit: Ink) -> UInt8[np.ndarray, "28 28"]:
    """Place a digit so that its centre of mass is at pixel (14, 14), as in MNIST."""
    image = np.zeros((SIDE, SIDE), np.uint8)
    levels = np.round(255 * digit)  # whole numbers: their mass is exact everywhere
    mass = ndimage.center_of_mass(levels.astype(np.float64))
    top, left = (
        min(max(round(SIDE / 2 - place), 0), SIDE - side)
        for place, side in zip(mass, digit.shape, strict=True)
    )
    height, width = digit.shape
    image[top : top + height, left : left + width] = levels
    return image


def _shown(values: Float[np.ndarray, "h w"] | Mask) -> UInt8[np.ndarray, "h w"]:
    """Show ink as white on black."""
    return np.asarray((255 * values).round(), np.uint8)
