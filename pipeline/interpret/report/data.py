"""What Python gives to the page: `model.js` reads it, as JSON."""

from dataclasses import dataclass

from pipeline import unsure
from pipeline.images import constants


@dataclass(frozen=True)
class Thresholds:
    """The thresholds with which `images` judges strokes; `drawing.js` uses them too."""

    min_area: float = constants.MIN_AREA  # of the largest stroke
    min_distant_area: float = constants.MIN_DISTANT_AREA  # of a stroke that is not near
    near: float = constants.NEAR  # of the largest stroke's longer side
    min_digit_height: float = unsure.MIN_DIGIT_HEIGHT  # of the largest part
    min_digit_area: float = unsure.MIN_DIGIT_AREA  # of the largest part
    max_aspect: int = unsure.MAX_ASPECT  # width to height of a digit
