"""Photographs of a tilted sheet on a table."""

import numpy as np
import pytest
from drawn_digits import inked
from PIL import Image, ImageDraw
from scipy import ndimage

from pipeline.images import preprocess
from pipeline.images.sheet import edge_length

SIDE = 400  # pixels
Y, X = np.mgrid[:SIDE, :SIDE] / SIDE


def similarity(image, expected):
    """Return the correlation; the blur makes a shift by one pixel unimportant."""
    blurred = [ndimage.gaussian_filter(each / 255, 2) for each in (image, expected)]
    return np.corrcoef(*[each.ravel() for each in blurred])[0, 1]


def photographed(paper, rng, *, tilt, table, is_hard=False):
    """Put a sheet on a table, and a shadow over both.

    Args:
        paper: The part of the light that the sheet reflects.
        rng: A random generator.
        tilt: Degrees.
        table: The part of the light that the table reflects.
        is_hard: Whether half of the light is missing below an edge of a few pixels;
            otherwise, the shadow is soft.
    """
    sheet = Image.fromarray(np.pad(paper, (SIDE - len(paper)) // 2).astype(np.float32))
    sheet = np.asarray(sheet.rotate(tilt, Image.Resampling.BILINEAR))
    grain = ndimage.gaussian_filter(rng.normal(0, 1, sheet.shape), (1, 8))  # wood grain
    scene = np.where(sheet > 0, sheet, table * (1 + 0.05 * grain / grain.std()))
    shadow = 1 - 0.4 / (1 + np.exp(20 * (X + Y / 2 - 0.7)))
    if is_hard:
        shadow = 1 - 0.5 / (1 + np.exp(200 * (0.55 - Y - X / 8)))
    levels = 235 * ndimage.gaussian_filter(scene, 1) * shadow
    return (levels + rng.normal(0, 3, levels.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("table", [0.3, 0.7])
@pytest.mark.parametrize("tilt", [0, 10, 40])
def test_the_table_around_a_tilted_sheet_is_ignored(mnist, tilt, table):
    rng = np.random.default_rng(tilt)
    for digit in mnist.test.images[:2]:
        ink = inked(digit, 130, 6)
        rows, columns = ink.shape
        paper = np.ones((260, 260))
        paper[80 : 80 + rows, 100 : 100 + columns] -= 0.3 * ink
        photo = photographed(paper, rng, tilt=tilt, table=table)
        rotated = Image.fromarray(np.pad(ink, 80).astype(np.float32)).rotate(tilt)
        expected = preprocess(np.uint8(255 * np.asarray(rotated))).image
        preprocessed, finding, steps = preprocess(photo)
        assert "sheet" in steps and finding == ""
        assert similarity(preprocessed, expected) > 0.9


@pytest.mark.parametrize("table", [0.3, 0.7])
@pytest.mark.parametrize("tilt", [0, 10, 40])
def test_nothing_is_found_on_an_empty_sheet(tilt, table):
    rng = np.random.default_rng(tilt)
    photo = photographed(np.ones((260, 260)), rng, tilt=tilt, table=table)
    _, finding, steps = preprocess(photo)
    assert finding == "no ink" and "sheet" in steps


@pytest.mark.parametrize("table", [0.3, 0.7])  # 0.7: lighter than the shaded sheet
@pytest.mark.parametrize("tilt", [-8, 20])
def test_a_digit_across_the_hard_edge_of_a_shadow_is_found(mnist, tilt, table):
    rng = np.random.default_rng(1)
    for digit in mnist.test.images[:2]:
        ink = inked(digit, 130, 6)
        rows, columns = ink.shape
        paper = np.ones((260, 260))
        paper[80 : 80 + rows, 100 : 100 + columns] -= 0.7 * ink
        expected = preprocess(photographed(paper, rng, tilt=tilt, table=table)).image
        photo = photographed(paper, rng, tilt=tilt, table=table, is_hard=True)
        preprocessed, finding, steps = preprocess(photo)
        assert "sheet" in steps and finding == ""
        assert similarity(preprocessed, expected) > 0.9


@pytest.mark.parametrize("table", [0.3, 0.7])
@pytest.mark.parametrize("tilt", [-8, 20])
def test_nothing_is_found_on_an_empty_sheet_in_a_hard_shadow(tilt, table):
    rng = np.random.default_rng(1)
    paper = np.ones((260, 260))
    photo = photographed(paper, rng, tilt=tilt, table=table, is_hard=True)
    assert preprocess(photo).finding == "no ink"


def test_a_digit_that_is_cut_off_together_with_the_sheet_is_reported(mnist):
    rng = np.random.default_rng(1)
    for digit in mnist.test.images[:3]:
        ink = inked(digit, 160, 6)
        rows, columns = ink.shape
        paper = np.ones((260, 260))
        paper[50 : 50 + rows, 90 : 90 + columns] -= 0.7 * ink
        photo = photographed(paper, rng, tilt=6, table=0.3)
        border = 70 + 90 + columns // 2  # through the middle of the digit
        assert preprocess(photo[:, :border]).finding == "cut off"


@pytest.mark.parametrize(
    ("across", "down"), [(0.67, 0.43), (0.9, 0.95)], ids=["uneven", "dark corner"]
)
def test_a_board_in_uneven_light_is_not_a_sheet(across, down):
    # The long stroke of the 9 is not an edge, and the corner is not a table.
    image = Image.new("L", (400, 300))
    pen = ImageDraw.Draw(image)
    pen.ellipse((155, 60, 225, 135), outline=255, width=13)
    pen.line([(225, 65), (235, 250)], fill=255, width=13)
    chalk = np.asarray(image) / 255
    y, x = np.mgrid[:300, :400] / 400
    levels = (75 + 105 * chalk) * (0.9 + across + down / 4 - across * x - down * y)
    levels += np.random.default_rng(1).normal(0, 3, levels.shape)
    preprocessed, finding, steps = preprocess(levels.clip(0, 255).astype(np.uint8))
    assert finding == "" and "sheet" not in steps
    assert similarity(preprocessed, preprocess(np.uint8(255 * chalk)).image) > 0.9


def test_a_bold_white_shape_on_black_is_not_a_sheet():
    image = Image.new("L", (400, 400))
    corners = [(90, 85), (305, 95), (295, 300), (85, 290), (90, 85), (200, 90)]
    ImageDraw.Draw(image).line(corners, fill=255, width=25, joint="curve")
    assert "sheet" not in preprocess(np.asarray(image)).steps


SHEET = np.zeros((40, 40), bool)
SHEET[12:28, 12:28] = True
LIT = np.where(SHEET, 200.0, 120.0)  # gray levels: sheet 200, table 120
DARK_BELOW = np.where(np.arange(40)[:, None] < 20, 1, 0.4)


@pytest.mark.parametrize("shadow", [1, DARK_BELOW], ids=["lit", "half in shadow"])
def test_a_convex_region_with_an_edge_all_around_it_can_be_a_sheet(shadow):
    length = edge_length(SHEET, np.log(LIT * shadow).astype(np.float32))
    assert length > 4 * 16  # measured a few pixels outside


CROSS = SHEET.copy()
CROSS[12:18, 12:18] = CROSS[22:28, 22:28] = False


@pytest.mark.parametrize(
    ("region", "levels"),
    [
        (CROSS, np.where(CROSS, 200, 120)),
        (SHEET, np.where(SHEET, 200, 190)),
        (SHEET, np.where(SHEET, 120, 200)),
        (SHEET, np.where(np.arange(40) < 28, LIT, 200)),
    ],
    ids=["not convex", "as light as the table", "darker", "no edge on the right"],
)
def test_other_regions_cannot_be_a_sheet(region, levels):
    assert edge_length(region, np.log(levels).astype(np.float32)) == 0
