"""The constants of the preprocessing, in the order of its steps.

LUMINANCE is from a standard, and BOX is from MNIST. All other constants were chosen by
hand; STROKE_WIDTHS take MNIST's strokes into account. `python
tests/benchmarks/images.py` measures the accuracy with these constants on images of many
kinds, and the README shows the results.

Comments say for which images a constant was introduced and, if this follows from the
code, what a lower or a higher value would change. Names in quotes, such as "faint
pencil", are kinds of images in this benchmark. Other names are tests in
`tests/images/`.
"""

import numpy as np

# Gray levels
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
# For colored ink, such as yellow on white (test_reading.py). Factor of contrast: if a
# color channel has more than this many times the contrast of the luminance, the channel
# replaces the luminance. Lower: noise in a channel can replace gray ink; higher:
# colored ink is lost if it has the luminance of the paper.
COLOR_CONTRAST = 1.5
# For ink on transparent paper. Gray levels; if the opaque pixels deviate less than this
# from one gray level, all of them are ink. Higher: an image of pale ink on paper counts
# as ink alone.
ONE_TONE = 32

# Size
# Pixels; images with sides up to this length are assumed to be evenly lit. Higher:
# shadows and noise of small photographs count as ink.
MAX_EVEN_SIDE = 64
# Pixels to which an image is reduced to find the digit. Lower: thin strokes vanish;
# higher: more noise remains, and all steps take longer.
SEARCH_SIDE = 400
# For a small digit on a large page (test_a_small_digit_in_a_noisy_photograph_is_found).
# Pixels of the reduced image; the search is repeated with more detail around a digit
# that is smaller. Lower: small digits are coarse; higher: larger digits are searched
# twice.
DETAIL_SIDE = 133
# Margin around a small digit, as a fraction of its side. Lower: there is too little
# paper for the comparison; higher: less detail, and other objects are included.
SURROUNDINGS = 0.5

# Sheet. The height of an edge is the natural logarithm of the ratio of gray levels.
SHEET_SIDE = 133  # pixels to which a photograph is reduced to find the sheet
SHEET_BLUR = 1  # reduced pixels; standard deviation of the filter that removes noise
SHEET_WINDOW = 3  # reduced pixels; half the width of an edge, with its surroundings
# For a screen or a board. Gray level above which a sheet is light. Lower: white strokes
# on a dark screen are lost; higher: in shadow, light parts of a sheet count as ink.
SHEET_MIN_LEVEL = 80
# Minimum fraction of darker pixels next to the sheet. Lower: shadows and strokes count
# as edges of the sheet; higher: more edges are not found.
SHEET_MIN_DARK = 0.9
# Sheet as a region: for a sheet of any tilt, on a dark or a light table
# (test_the_table_around_a_tilted_sheet_is_ignored)
# Slopes (height per pixel) below which pixels are paper. Lower: graph paper and
# shadows divide the sheet; higher: the sheet and a light table become one region.
REGION_SLOPES = (0.04, 0.07, 0.11)
# Limits of the area of the region, as fractions of the area of the image. The upper
# limit is for a board (test_a_board_in_uneven_light_is_not_a_sheet). Higher: the dark
# corner of a board counts as a table; lower: a narrow strip of a table counts as paper.
REGION_AREAS = (0.12, 0.98)
# Minimum fraction of the region that is paper, and not strokes. Lower: a bold white 0
# counts as a sheet; higher: sheets that are full of strokes are not found.
REGION_MIN_PAPER = 0.5
# Maximum area between the region and its convex hull, as a fraction of the region
# (DENTS) and of the area outside the region (INNER). Lower: a sheet that is held by
# fingers is not found; higher: a digit at the border of the image counts as outside.
REGION_MAX_DENTS = 0.1
REGION_MAX_INNER = 0.3
# Minimum height of the edge of the region. Lower: shadows count as edges of the sheet;
# higher: a light table counts as paper.
REGION_MIN_STEP = 0.15
# For a sheet that the sharp edge of a shadow divides
# (test_a_digit_across_the_hard_edge_of_a_shadow_is_found). Minimum area of a part, as a
# fraction of the area of the image. Lower: other objects count as parts of the sheet,
# and the search takes longer; higher: small parts are lost.
REGION_MIN_PART = 0.02
# Minimum length of the edge of the sheet, as a fraction of the longest edge of a
# possible sheet. The largest region with such an edge is the sheet. Lower: everything
# lit counts as the sheet; higher: only a part of the sheet counts.
REGION_MIN_EDGE = 0.9
# Sheet with straight edges: for a sheet that a soft shadow divides, and for an image
# that shows only some edges, nearly parallel to its borders ("paper edges")
EDGE_MARGIN = 2  # pixels of the reduced image between an edge and the paper
EDGE_TILTS = np.arange(-12, 12.1, 0.75)  # degrees by which an edge may be tilted
# For the next four limits, lower: shadows and strokes count as edges of the sheet;
# higher: more edges are not found. For EDGE_MAX_DISTANCE, the opposite holds.
EDGE_MAX_DISTANCE = 0.5  # maximum distance of an edge from the border, as a fraction
EDGE_MIN_STEP = 0.3  # minimum height of an edge, between paper and table
EDGE_MIN_LENGTH = 0.4  # minimum length of an edge, as a fraction of the side
EDGE_MIN_AREA = 0.25  # minimum area of a sheet, as a fraction of the area of the image
# Pixels of the reduced image; distance from an edge up to which paper and table are
# also compared (test_a_board_in_uneven_light_is_not_a_sheet). Lower: a wide white
# stroke counts as paper; higher: the dark side of a board counts as a table.
EDGE_SURROUNDINGS = 24

# Ink
# For light ink on dark paper ("white on black", "chalk")
POLARITY_SIDE = 96  # pixels to which an image with margins is reduced for its median
POLARITY_WINDOW = 17  # reduced pixels; the median in the window is the paper
# Pixels; standard deviation of the filter that removes noise. Lower: more noise
# remains; higher: thin strokes are faint, and narrow gaps close.
BLUR = 1
# Number of windows, in which a pixel is compared with the paper, along a photograph's
# longer side. The widest window is wider than a stroke. If the ink in the widest window
# is not one digit and can be a shadow, the search is repeated with the narrower windows
# (test_the_curved_edge_of_a_shadow_around_a_digit_is_not_ink). Lower: the curved edges
# of shadows count as ink; higher: bold strokes count as paper.
WINDOWS_PER_SIDE = (3, 9, 18)
# For light that becomes weaker across the image, and toward its corners ("graph
# paper", "chalk")
TREND_SAMPLES = 40  # pixels of the longer side to which the brightness trend is fitted
TREND_FITS = 5  # number of fits; each fit ignores the outliers of the previous fit
# Standard deviations from the trend between which pixels are paper. Wider: strokes and
# reflections change the trend; narrower: few samples of the paper remain.
TREND_RANGE = (-1.5, 2.5)
MAD_TO_STD = 1.48  # median absolute deviation to standard deviation, if normal
NOISE_DISTANCE = 3  # columns between two pixels whose difference is noise
DIFFERENCE_TO_STD = 1.05  # median absolute difference to standard deviation, if normal
# Standard deviations of the noise that paper rarely exceeds. Lower: more specks remain;
# higher: pencil is lost in noise.
NOISE = 3
# Lines: for graph and ruled paper ("graph paper", and test_ink.py)
LINES_SIDE = 200  # pixels to which an image is reduced to find the tilt of its lines
TILTS = np.arange(-5, 5.1, 0.25)  # degrees by which graph paper may be tilted
STROKE_QUANTILE = 0.97  # quantile of the ink; pixels with more ink are strokes
MIN_LINE_LENGTH = 0.5  # fraction of the longest line; shorter lines are not compared
LINE_PARTS = 4  # parts of a row; a line of the paper is in all parts
# Minimum ink of a line from border to border. Lower: noise counts as lines; higher:
# pale squares remain.
MIN_LINE_INK = 0.03
# Minimum number of lines from border to border on graph or ruled paper. Lower: a wide
# stroke can count as a line; higher: images with few lines keep them.
MIN_LINES = 3
MAX_LINE_INK = 0.9  # a darker line would hide the strokes that cross it

# Shadows: for ink at the curved edge of a shadow, where the image does not become
# lighter at the end of the ink
# Pixels from a stroke to the paper around it. Lower: blurry strokes have no edge;
# higher: narrow gaps between strokes are not compared.
RING_DISTANCE = 4
# Pixels; side of the square whose lightest pixel is the paper. Lower: a line of graph
# paper counts as the paper; higher: blurred edges of shadows count as edges.
RING_NEIGHBORS = 3
# Maximum fraction of a stroke's outline without an edge. Lower: pencil on uneven paper
# counts as a shadow; higher: a digit that is joined to a shadow does not count as one.
MAX_FLAT = 0.05
# For soft shadows (test_the_soft_edge_of_a_shadow_around_a_digit_is_not_ink). Minimum
# fraction of the outline of all strokes with an edge. Lower: soft shadows count as ink;
# higher: the search is repeated for more images, and can lose bold strokes.
MIN_SHARP = 0.9
# Maximum fraction of the digit's ink that can be shadow. Lower: a speck makes a digit
# unsure; higher: the edge of a shadow can be a part of the digit.
MAX_SHADOW = 0.1

# Digit
# For the next three limits of ink, lower: more specks, and digits are found on blank
# paper; higher: more faint digits are not found.
MIN_INK = 0.08  # pixels with less ink are paper
# FAINT_INK, FAINT_NOISE and FAINT_BLUR are for "faint pencil".
FAINT_INK = 0.02  # replaces MIN_INK if no digit is found with MIN_INK
MIN_CONTRAST = 2  # a stroke has this many times the ink that noise can cause
# Maximum ink of the noise; with more noise, faint strokes cannot be recognized. Lower:
# fewer faint digits are found; higher: more noise counts as a digit.
FAINT_NOISE = 0.04
FAINT_BLUR = 1.5  # pixels; standard deviation of the filter that shows faint strokes
THRESHOLD_STEPS = 10  # steps after which the threshold for strokes hardly changes
INK_QUANTILE = 0.95  # quantile of the ink in possible strokes, used as their maximum
# The next three constants are for digits with detached parts
# (test_a_detached_bar_and_a_broken_stroke_belong_to_one_digit). For the limits of area,
# lower: more specks remain; higher: parts of broken strokes are lost.
MIN_AREA = 0.05  # fraction of the area of the largest blob; smaller blobs are specks
MIN_DISTANT_AREA = 0.25  # the same fraction, for blobs far from the largest blob
# Maximum distance of near blobs, as a fraction of the largest blob's longer side.
# Lower: small parts of a digit are lost; higher: more specks remain.
MAX_GAP = 0.25
# For blank paper with noise (test_nothing_is_found_on_a_blank_noisy_sheet). The side of
# an image, divided by the side of the smallest possible digit. Lower: small digits are
# not found; higher: the grain of the paper counts as a digit.
SIDE_TO_DIGIT = 50
# The same ratio, for a digit inside a photograph that has blobs at the border. Lower:
# an edge can count as the digit; higher: specks can replace a digit that is cut off.
SIDE_TO_INNER_DIGIT = 5
# The next three constants are for images like USPS's ("stretched to 16x16").
# Fraction of the maximum ink above which a pixel of the digit can touch the border.
# Higher: fewer digits count as stretched.
TOUCHING_INK = 0.1
ENLARGED = 2  # factor before a digit is made narrower, so that it keeps its details
TYPICAL_ASPECT = 0.7  # width to height of a digit whose proportions are unknown

# MNIST's form
BOX = 20  # pixels of the longer side of a digit in MNIST
FINE = 4  # strokes are processed at this many pixels per pixel of the box
# Fraction of a stroke's median ink at which the stroke ends. Lower: strokes are bolder,
# and small holes close; higher: strokes are thinner, and can break.
STROKE_END = 0.5
MAX_STROKE_END = 0.9  # fraction of the maximum ink; a stroke does not end above it
# For thin and bold pens ("thin pen", "white on black"). Range of widths, in pixels;
# other strokes are adjusted. Wider: pens that are rare in MNIST remain; narrower:
# ordinary strokes change.
STROKE_WIDTHS = (2.6, 3.3)
