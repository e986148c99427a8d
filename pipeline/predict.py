"""Classifies images and marks unsure predictions.

Reads outputs/train/ (or the network of run=<id> or model=<file>) and the images that
images= selects: test images (by index), a file, or a folder. Images can have any size,
and pen and paper can have any color. Very pale ink may not be detected. Images are
preprocessed in the same way as MNIST's images. For a network trained on Fashion-MNIST,
images are only resized to 28x28 pixels. If the first number in a file name has one
digit, this digit is the label: draw0.png is labeled 0. A prediction that you should not
rely on is marked unsure, with the reason. A prediction for a letter is not always
marked unsure, because some letters look like digits.

Writes predictions.json, predictions.csv and preprocessing.png, which shows each
preprocessing step, to outputs/predict/. For more than 20 images, there are several such
plots: preprocessing-2.png and so on. Takes about 2 s. Test image 0 is classified as 7
with a probability of 99.8%.
"""

import os
from operator import index
from typing import TYPE_CHECKING, Any, Unpack

from pipeline import ConfigError
from pipeline.base.progress import busy
from pipeline.base.terminal import output
from pipeline.cli import (
    Array,
    Command,
    PredictConfig,
    PredictKeywords,
    documented,
    from_python,
    main,
)

if TYPE_CHECKING:
    from pipeline.evaluation.predict import PredictResult


@documented(PredictConfig, PredictKeywords)
def predict(
    *,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[PredictKeywords],
) -> "PredictResult":
    """Classify images, like `python -m pipeline.predict`.

    Args:
        folder: Where to write the files; by default, outputs/predict/. It must be
            new or empty.
        quiet: If True, nothing is printed.
        settings: Keyword arguments; they are listed below. `images` can also be a list
            of indices of test images, or an array or a tensor of pixels. Pixels are
            uint8 with the shape (28, 28) or (n, 28, 28), from 0 (black, the background
            in MNIST) to 255 (white). They are not preprocessed, but they are
            straightened if the network was trained on mnist_upright. A flat array of
            indices must not be uint8.

    Returns:
        The prediction for each image, and the folder of the files.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If a file, the store or the trained network cannot be used.
        PartlyFailed: If some images cannot be used.
            `error.result` has the results of all others.
    """
    with output(quiet=quiet):
        array: Any = None
        if "images" in settings:
            images: Any = settings["images"]
            if _are_pixels(images):
                array = settings.pop("images")
            elif not isinstance(images, int | str | os.PathLike):
                settings["images"] = _indices(images)
        return run_predict(from_python(PredictConfig, settings, folder), array)


def _are_pixels(images: Any) -> bool:  # noqa: ANN401
    """Return whether this is an array of pixels, which may have a wrong shape.

    A flat array of integers contains indices of test images, unless its type is uint8.
    """
    axes, kind = getattr(images, "ndim", 0), str(getattr(images, "dtype", ""))
    return axes > 1 or (axes == 1 and ("int" not in kind or "uint8" in kind))


def _indices(images: Any) -> str:  # noqa: ANN401
    """Return one index or several indices of test images as text for the setting."""
    try:
        several = [images] if getattr(images, "ndim", None) == 0 else [*images]
        # Iterating over bytes yields integers.
        is_binary = isinstance(images, bytes | bytearray)
        if is_binary or any(isinstance(each, bool) for each in several):
            raise TypeError
        return ",".join(str(index(each)) for each in several)
    except TypeError:
        raise ConfigError(
            "images must be indices of test images, the path of a file or a folder, or "
            f"gray levels as one array, got {type(images).__name__}: "
            "np.asarray(images, np.uint8) converts a list or a Pillow image"
        ) from None


def run_predict(
    command: Command[PredictConfig], array: Array | None = None
) -> "PredictResult":
    """Load the network, classify each image, and write the predictions.

    If `array` is given, its images are classified and the setting `images` is ignored.
    """
    with busy("loading PyTorch"):
        from pipeline.evaluation.predict import predict
    return predict(command.config, command.folder, array)


if __name__ == "__main__":
    main(run_predict, PredictConfig)
