"""Step 2 of the preprocessing: a photograph of a sheet on a table -> paper only.

A sheet is a convex region that is lighter than its surroundings, or two regions
separated by the sharp edge of a shadow. If there is no such region, for example because
a soft shadow divides the sheet, `find_outside` looks for straight edges that are nearly
parallel to the borders of the image. If no ink is found on a sheet, `complete_sheet`
adds paper that is next to the sheet in a shadow.
"""

from collections.abc import Iterator
from itertools import chain, combinations_with_replacement

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull

from pipeline.images import constants
from pipeline.images.ink import Levels, borders, reduce_to

Light = Float[np.ndarray, "h w"]  # logarithms of gray levels
GAP = 2 * constants.SHEET_WINDOW  # width of the edge of the sheet or of a shadow
Outside = Bool[np.ndarray, "rows columns"]  # pixels of a reduced image off the sheet


def find_outside(levels: Levels) -> Outside | None:
    """Return which pixels of the reduced image are outside the sheet.

    Returns:
        None if the image does not show an edge of a sheet.
    """
    light = _light_of(levels)
    outside = _around_region(light)
    return _beyond_edges(light) if outside is None else outside


def complete_sheet(levels: Levels, outside: Outside) -> Outside | None:
    """Return the pixels outside the whole sheet if only a part of it was found.

    The rest of the sheet consists of strokes that reach the border of the image, or of
    paper in a shadow. Together, lit and shaded paper have the form of a sheet.

    Args:
        levels: The gray levels.
        outside: The pixels outside the part that was found.

    Returns:
        None if the sheet has no other part.
    """
    light = _light_of(levels)
    sheet = ~outside
    for line in borders(sheet):
        if (inside := np.flatnonzero(line)).size:
            line[inside[0] : inside[-1]] = True
    sheet = ndimage.binary_fill_holes(sheet)
    for part in chain.from_iterable(_smooth_regions(light)):
        if (part & sheet).any() or np.concatenate(borders(part)).any():
            continue  # known, or at the border, such as the table
        both = ndimage.binary_fill_holes(_joined(sheet, part))
        if edge_length(both, light):
            sheet = both
    return ~sheet if (sheet & outside).any() else None


def _light_of(levels: Levels) -> Float[np.ndarray, "rows columns"]:
    small = reduce_to(levels, constants.SHEET_SIDE).astype(np.float32)
    # Logarithms make the same edge equally high in light and in shadow.
    blurred = ndimage.gaussian_filter(small, constants.SHEET_BLUR)
    return np.asarray(np.log(blurred + 1))


def _around_region(light: Light) -> Outside | None:
    """Return the pixels around a sheet of any tilt, if there is one.

    The brightness of paper changes little, except at strokes, which become holes, and
    at the sharp edge of a shadow, which divides the sheet into two parts. The lit part,
    or everything lit, can look like a sheet too, but has a shorter edge or less area.
    """
    sheets = []  # for each possible sheet: the length of its edge, its area, its region
    for smooth in _smooth_pairs(light):
        region = ndimage.binary_fill_holes(smooth)
        region = ndimage.binary_opening(region, iterations=constants.SHEET_WINDOW)
        area, (least, most) = int(region.sum()), constants.REGION_AREAS
        is_sheet = least < area / light.size < most
        is_paper = smooth.sum() > constants.REGION_MIN_PAPER * area
        if is_sheet and is_paper and (length := edge_length(region, light)):
            sheets.append((length, area, region))
    longest = max((length for length, *_ in sheets), default=0)
    least = constants.REGION_MIN_EDGE * longest
    long = [(area, region) for length, area, region in sheets if length >= least]
    if not long:
        return None
    _, sheet = max(long, key=lambda each: each[0])
    is_one = all((region & sheet).any() for *_, region in sheets)
    return ~sheet if is_one else None


def _smooth_pairs(light: Light) -> Iterator[Bool[np.ndarray, "h w"]]:
    """Yield each smooth region, and each pair that a shadow's edge can separate."""
    for parts in _smooth_regions(light):
        near = [(p, ndimage.binary_dilation(p, iterations=GAP)) for p in parts]
        for (part, _), (other, around) in combinations_with_replacement(near, 2):
            if (part & around).any():
                yield _joined(part, other)


def _joined(
    part: Bool[np.ndarray, "h w"], other: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Join two parts of a sheet and the pixels between them."""
    both = ndimage.binary_closing(np.pad(part | other, GAP), iterations=GAP)
    return np.asarray(both[GAP:-GAP, GAP:-GAP])


def _smooth_regions(light: Light) -> Iterator[list[Bool[np.ndarray, "h w"]]]:
    """Yield the regions that are less steep than each of the slopes."""
    slopes = ndimage.gaussian_gradient_magnitude(light, constants.SHEET_BLUR)
    for slope in constants.REGION_SLOPES:
        # The opening separates paper and table, which a gap in a weak edge connects.
        labels, _ = ndimage.label(ndimage.binary_opening(slopes < slope))
        areas = np.bincount(labels.ravel())
        areas[0] = 0  # the steep pixels
        large = np.flatnonzero(areas > constants.REGION_MIN_PART * light.size)
        yield [labels == label for label in large]


def edge_length(region: Bool[np.ndarray, "h w"], light: Light) -> int:
    """Return the length of the edge of a sheet; 0 if the region cannot be one.

    A sheet is convex and lighter than its surroundings, in light and in shadow.
    """
    outside = ~region
    hull = ConvexHull(np.argwhere(region & ~ndimage.binary_erosion(region)))
    # The outline of the hull is at the centers of pixels, half a pixel inside.
    dents = hull.volume + hull.area / 2 - region.sum()
    most_of_region = constants.REGION_MAX_DENTS * region.sum()
    most_of_outside = constants.REGION_MAX_INNER * outside.sum()
    if dents > min(most_of_region, most_of_outside):
        return 0
    distances, nearest = ndimage.distance_transform_edt(outside, return_indices=True)
    ring = np.abs(distances - GAP) < 1
    is_edge = (light[tuple(nearest)] - light)[ring] > constants.REGION_MIN_STEP
    if is_edge.sum() <= constants.SHEET_MIN_DARK * ring.sum():
        return 0
    # White strokes on black have edges too, but their inside is not mostly light.
    table = ndimage.distance_transform_edt(
        distances < GAP, return_distances=False, return_indices=True
    )
    height = np.median((light - light[tuple(table)])[region])
    return int(is_edge.sum()) if height > constants.REGION_MIN_STEP else 0


def _beyond_edges(light: Light) -> Outside | None:
    """Return the pixels beyond straight edges, which are almost parallel to borders."""
    outside = np.zeros(light.shape, bool)
    for turns in range(4):  # each border of the image becomes the upper border in turn
        turned = np.rot90(light, turns)
        edge = _upper_edge(turned)
        if edge is not None:
            rows = np.arange(len(turned))[:, None]
            outside |= np.rot90(rows < edge, -turns)
    if not outside.any() or outside.mean() > 1 - constants.EDGE_MIN_AREA:
        return None
    # White strokes on black have edges too, but the area between the edges is not
    # mostly light. In uneven light, one side can be lighter, but not near the edges.
    distance = ndimage.distance_transform_edt(outside)
    distance -= ndimage.distance_transform_edt(~outside)  # negative on the sheet
    for furthest in (np.inf, constants.EDGE_SURROUNDINGS):
        paper, table = (
            np.median(light[(side > 0) & (side < furthest)])
            for side in (-distance, distance)
        )
        if paper - table <= constants.EDGE_MIN_STEP:
            return None
    return outside


def _upper_edge(light: Light) -> Float[np.ndarray, " w"] | None:
    """Return the row of the upper edge of the sheet in each column, if there is one.

    The upper edge is the line below which the image becomes lighter by the largest
    amount.
    """
    height, width = light.shape
    columns, size = np.arange(width), constants.SHEET_WINDOW
    if height < 4 * size:
        return None  # a narrow strip
    rows = np.arange(-size, int(height * constants.EDGE_MAX_DISTANCE))[:, None]
    slopes = np.tan(np.radians(constants.EDGE_TILTS))[:, None]
    shifts = slopes * (columns - width / 2)  # (slopes, w)
    source_rows = rows + shifts.round().astype(int)[:, None]  # (slopes, rows, w)
    levels = light[
        source_rows.clip(0, height - 1), columns
    ]  # lines with this slope become rows
    sums = np.pad(levels.cumsum(axis=1), ((0, 0), (1, 0), (0, 0)))
    means = (sums[:, size:] - sums[:, :-size]) / size  # means of SHEET_WINDOW rows
    steps = means[:, size:] - means[:, :-size]
    scores = steps.clip(0).mean(axis=2)  # (slopes, rows of the image)
    tilt, row = np.unravel_index(scores.argmax(), scores.shape)
    edge, step, paper = row + shifts[tilt], steps[tilt, row], means[tilt, row + size]
    above = levels[tilt, : row + size - 1]
    is_edge = step > constants.EDGE_MIN_STEP
    if is_edge.mean() < constants.EDGE_MIN_LENGTH:
        return None
    is_dark = above[:, is_edge] < paper[is_edge] - constants.EDGE_MIN_STEP / 2
    if is_dark.mean() < constants.SHEET_MIN_DARK:
        return None
    return np.asarray(edge + constants.EDGE_MARGIN)


def is_light(levels: Levels, outside: Outside) -> bool:
    """Return whether the sheet is light, so that its ink is dark.

    A dark sheet is a screen or a board.
    """
    small = reduce_to(levels, constants.SHEET_SIDE)
    return bool(np.median(small[~outside]) > constants.SHEET_MIN_LEVEL)


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


def resized(outside: Outside, shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    """Scale the pixels outside the sheet to an image of a different size."""
    height, width = shape
    return np.asarray(Image.fromarray(outside).resize((width, height)))
