"""The constants of the preprocessing, in the order of its steps.

LUMINANCE is from a standard. The others were chosen by hand; STROKE_WIDTHS take
MNIST's strokes into account. `python tests/benchmarks/images.py` measures the accuracy
with all of them on images of thirteen kinds, and the README shows the results.
"""

import numpy as np

# Gray levels
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
# A color channel whose contrast is more than this many times that of the luminance
# replaces it.
COLOR_CONTRAST = 1.5
ONE_TONE = 32  # gray levels; opaque pixels with a smaller deviation are ink alone

# Size
MIN_PHOTO_SIDE = 64  # pixels; images up to this size are assumed to be evenly lit
SEARCH_SIDE = 400  # pixels to which an image is reduced to find the digit
DETAIL_SIDE = 133  # of these pixels; the surroundings of a smaller digit are enlarged
SURROUNDINGS = 0.5  # margin around a small digit, as a fraction of its side

# Sheet. Heights of edges are natural logarithms of the ratio of the gray levels.
SHEET_SIDE = 133  # pixels to which a photograph is reduced to find the sheet
SHEET_BLUR = 1  # the same pixels; standard deviation of the filter that removes noise
SHEET_WINDOW = 3  # the same pixels; rows on each side of an edge that are compared
SHEET_MARGIN = 2  # the same pixels; the edge itself is not paper
SHEET_TILTS = np.arange(-12, 12.1, 0.75)  # degrees by which an edge may be tilted
MAX_SURROUND = 0.5  # fraction of the side of the image; an edge is not farther inside
MIN_STEP = 0.3  # the table is at least this much darker than the paper
MIN_SHEET_EDGE = 0.4  # fraction of the side; an edge is at least as long
MIN_DARK = 0.9  # fraction of the pixels outside an edge that are darker than the paper
MIN_SHEET = 0.25  # fraction of the area of the image

# Ink
POLARITY_SIDE = 48  # pixels to which an image is reduced to compare ink and paper
POLARITY_WINDOW = 17  # the same pixels; its median is the paper of a photograph
BLUR = 1  # pixels; standard deviation of the filter that removes noise
WINDOW_PARTS = 3  # parts of a photograph's longer side; each is wider than a stroke
TREND_SAMPLES = 40  # pixels of the longer side to which the brightness trend is fitted
TREND_FITS = 5  # number of fits; each ignores the outliers of the one before
TREND_RANGE = (-1.5, 2.5)  # standard deviations from the trend; the rest is not paper
MAD_TO_STD = 1.48  # median absolute deviation to standard deviation, if normal
NOISE_DISTANCE = 3  # columns between two pixels whose difference is noise
DIFFERENCE_TO_STD = 1.05  # median of these differences to the noise, if normal
NOISE = 3  # standard deviations of the noise; paper hardly exceeds them
LINES_SIDE = 200  # pixels to which an image is reduced to find the tilt of its lines
TILTS = np.arange(-5, 5.1, 0.25)  # degrees by which squared paper may be tilted
STROKE_QUANTILE = 0.97  # quantile of the ink; more is a stroke, not a line of the paper
MIN_LINE_LENGTH = 0.5  # fraction of the longest line; shorter lines are not compared
LINE_PARTS = 4  # parts of a row; a line of the paper is in all of them
MIN_LINE_INK = 0.03  # a line from border to border has more ink than this
MIN_LINES = 3  # lines from border to border with which paper is squared or ruled
MAX_LINE_INK = 0.9  # a darker line would hide the strokes that cross it

# Digit
MIN_INK = 0.08  # pixels with less ink are paper
FAINT_INK = 0.02  # the same, if no pixel has more ink than MIN_INK and noise
FAINT_NOISE = 0.04  # ink; faint strokes do not differ from more noise
FAINT_BLUR = 1.5  # pixels; standard deviation of the filter that shows faint strokes
MIN_CONTRAST = 2  # a stroke has this many times the ink that noise can cause
THRESHOLD_STEPS = 10  # steps after which the threshold for strokes hardly changes
INK_QUANTILE = 0.95  # quantile of the ink in possible strokes, used as their maximum
MIN_AREA = 0.05  # fraction of the largest blob; smaller blobs are specks
MIN_DISTANT_AREA = 0.25  # the same, for blobs that are far from the largest one
MAX_GAP = 0.25  # to the largest blob, in its longer sides; others are far from it
SIDE_TO_DIGIT = 50  # side of an image, divided by that of the smallest possible digit
SIDE_TO_INNER_DIGIT = (
    5  # the same, for a digit inside of a photograph that has blobs at the border
)
TOUCHING_INK = 0.1  # fraction of the most ink; with less, a digit touches no border
ENLARGED = 2  # factor before a digit is made narrower, so that it keeps its details
TYPICAL_ASPECT = 0.7  # width to height of a digit whose proportions are unknown

# MNIST's form
FINE = 4  # strokes are processed at this many pixels per pixel of the box
STROKE_END = 0.5  # a stroke ends where its ink falls to this fraction of its median
MAX_STROKE_END = 0.9  # fraction of the most ink; a stroke does not end above it
STROKE_WIDTHS = (2.6, 3.3)  # pixels; strokes outside of this range are adjusted
