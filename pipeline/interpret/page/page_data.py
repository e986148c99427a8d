"""The data of the page: `PageData`, which `model.js` reads as JSON, and tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.datasets import upright
from pipeline.images import constants, unsure
from pipeline.integers import ExportReport
from pipeline.interpret.analysis import Example
from pipeline.interpret.names import NameForm


@dataclass(frozen=True)
class DrawingConstants:
    """The pen of drawings, and the constants of `images` that `drawing.js` needs."""

    pen: int = 3  # pixels; about the width of the strokes of MNIST's digits
    box: int = constants.BOX  # pixels; the longer side of a digit
    min_area: float = constants.MIN_AREA  # fraction of the area of the largest stroke
    min_distant_area: float = constants.MIN_DISTANT_AREA  # for distant strokes
    max_gap: float = constants.MAX_GAP  # maximum gap / longer side of the largest blob
    min_digit_height: float = unsure.MIN_DIGIT_HEIGHT  # fraction of the largest height
    min_digit_area: float = unsure.MIN_DIGIT_AREA  # fraction of the largest area
    max_break: float = unsure.MAX_BREAK  # maximum gap / longer side of a digit
    max_outline: int = unsure.MAX_OUTLINE  # maximum outline / longer side of a digit
    max_thin_outline: float = unsure.MAX_THIN_OUTLINE  # the same, for thin strokes
    thin: float = unsure.THIN  # pixels of the box; maximum thickness of thin strokes
    max_aspect: int = unsure.MAX_ASPECT  # maximum ratio of width to height


@dataclass(frozen=True)
class Straightening:
    """The integers of `datasets.upright`, which explains them, for `drawing.js`."""

    one: int = upright.ONE
    mean_slant: int = upright.MEAN_SLANT
    parts: int = upright.PARTS
    fractions: int = upright.FRACTIONS


@dataclass(frozen=True)
class DetectorData:
    """The thresholds of `OodDetector`."""

    max_errors: Sequence[float]  # maximum reconstruction error of each class
    max_ratio: float  # maximum ratio of the error to the smallest of other classes
    min_margin: float  # a prediction with a smaller margin is unsure


@dataclass(frozen=True)
class BitWidthData:
    """The numbers of a quantized network."""

    report: ExportReport  # the bit width and the measurements
    largest_weight: int  # the largest integer that a weight of layer 1 can have
    weight_scale: float  # the absolute weight of layer 1 drawn in full color
    logit_unit: float  # the real number that a logit of 1 represents


@dataclass(frozen=True)
class PageData:
    """All names and numbers of the page that are not tensors.

    The templates use this data by name, and the scripts use it as fields of `model`.
    """

    kind: Literal["epochs", "bit widths"]  # what the user selects
    dataset: str  # the name of the data set
    noun: str  # what an image shows: digit
    plural: str  # the plural of `noun`: digits
    class_names: Sequence[str]
    class_titles: Sequence[str]  # the title of each class: digit 7, or sneaker
    images_of: Sequence[str]  # a phrase for the images of each class: 7s
    one_image: Sequence[str]  # a phrase for one image of each class: a 7
    drawable: bool  # whether the user can draw images of the data set
    straightening: Straightening | None  # None if drawings are not straightened
    training_images: int  # the number of images that the network was trained on
    validation_images: int  # the number of images behind `validation_accuracy`
    test_images: int  # the number of images in the test set
    always_zero_count: int  # pixels that are 0 in all training images
    frozen_others_count: int  # frozen weights of all other pixels
    rarest: int  # the pixel that is above 0 in the fewest training images
    rarest_images: int  # the number of these images
    example: Example  # the weight that the tour explains first

    sha256: str  # the hash of the network's tensors: weights.sha256
    trained_title: str  # what sentences call it, such as the final network
    hidden: int  # neurons in layer 1
    size: int  # number of parameters
    weight_scale: float  # the absolute weight of layer 1 drawn in full color
    float_accuracy: float  # accuracy of the final network on test images, in [0, 1]
    epochs: Sequence[int]  # the epochs to select from; the last is the final network
    validation_accuracy: Sequence[float]  # after each of these epochs, in [0, 1]
    history: Mapping[str, Sequence[float]]  # by metric, after each epoch from 1 on
    gallery: Sequence[int]  # the numbers of the stored test images
    bit_widths: Sequence[BitWidthData]  # replace the epochs; may be empty

    neuron_names: Sequence[NameForm]
    parameter_names: Sequence[NameForm]
    texts: Mapping[unsure.Reason, str]  # templates of the text for each reason
    constants: DrawingConstants
    detector: DetectorData | None
    missing_detector: str  # why `detector` is None; see `MissingDetector`
