"""Step 2 of the preprocessing: a photograph of a sheet on a table -> paper only.

The edges of a sheet are straight lines, nearly parallel to the borders of the image.
What lies outside is darker than the paper.
"""

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image
from scipy import ndimage

from pipeline.images import constants
from pipeline.images.ink import Levels, reduce_to

Outside = Bool[np.ndarray, "rows columns"]  # of a reduced image; not on the sheet


def find_outside(levels: Levels) -> Outside | None:
    """Return which pixels of the reduced image are outside the sheet.

    Returns:
        None if the image does not show an edge of a sheet.
    """
    small = reduce_to(levels, constants.SHEET_SIDE).astype(np.float32)
    # Logarithms make the same edge equally high in light and in shadow.
    light = np.log(ndimage.gaussian_filter(small, constants.SHEET_BLUR) + 1)
    outside = np.zeros(light.shape, bool)
    for turns in range(4):  # so that each border of the image is once the upper one
        turned = np.rot90(light, turns)
        edge = _upper_edge(turned)
        if edge is not None:
            rows = np.arange(len(turned))[:, None]
            outside |= np.rot90(rows < edge, -turns)
    if not outside.any() or outside.mean() > 1 - constants.MIN_SHEET:
        return None
    # White strokes on black have edges, too, but are not mostly light between them.
    height = np.median(light[~outside]) - np.median(light[outside])
    return outside if height > constants.MIN_STEP else None


def _upper_edge(light: Float[np.ndarray, "h w"]) -> Float[np.ndarray, " w"] | None:
    """Return the row of the upper edge of the sheet in each column, if there is one.

    This is the line at which the image becomes lighter by the largest amount, downward.
    """
    height, width = light.shape
    columns, size = np.arange(width), constants.SHEET_WINDOW
    if height < 4 * size:
        return None  # a narrow strip
    rows = np.arange(-size, int(height * constants.MAX_SURROUND))[:, None]
    best_score, best = 0.0, None
    for slope in np.tan(np.radians(constants.SHEET_TILTS)):
        shift = slope * (columns - width / 2)
        places = (rows + shift.round().astype(int)).clip(0, height - 1)
        level = light[places, columns]  # lines of this slope are rows
        sums = np.pad(level.cumsum(axis=0), ((1, 0), (0, 0)))
        means = (sums[size:] - sums[:-size]) / size  # of SHEET_WINDOW rows
        steps = means[size:] - means[:-size]
        scores = steps.clip(0).mean(axis=1)
        row = int(scores.argmax())
        if scores[row] > best_score:
            best_score = float(scores[row])
            best = row + shift, steps[row], level[: row + size - 1], means[row + size]
    if best is None:
        return None
    edge, step, above, paper = best
    is_edge = step > constants.MIN_STEP
    if is_edge.mean() < constants.MIN_SHEET_EDGE:
        return None
    is_dark = above[:, is_edge] < paper[is_edge] - constants.MIN_STEP / 2
    if is_dark.mean() < constants.MIN_DARK:
        return None
    return np.asarray(edge + constants.SHEET_MARGIN)


def paint_outside(levels: Levels, outside: Outside) -> Levels:
    """Give everything outside the sheet the gray level of the nearest paper."""
    rows, columns = outside.shape
    image = Image.fromarray(levels)
    small = np.asarray(image.resize((columns, rows), Image.Resampling.BOX))
    nearest = ndimage.distance_transform_edt(
        outside, return_distances=False, return_indices=True
    )
    paper = Image.fromarray(small[tuple(nearest)]).resize(image.size)
    mask = Image.fromarray(outside).resize(image.size)
    return np.asarray(Image.composite(paper, image, mask))


def touches(mask: Bool[np.ndarray, "h w"], outside: Outside) -> bool:
    """Return whether strokes touch what is outside the sheet, in a reduced image."""
    height, width = mask.shape
    whole = np.asarray(Image.fromarray(outside).resize((width, height)))
    return bool((whole & mask).any())
