"""Classify single images, and report whether each prediction is sure.

Reads outputs/train/ (or the network of run=<id> or model=<file>) and the images of
images=: indices of test images, a file, or a folder. Image files can have any size and
any colors of pen and paper; they are preprocessed in the same way as MNIST. For a
network trained on Fashion-MNIST, they are only resized to 28x28 pixels. If the first
number in a file name has one digit, it is the label: draw0.png is labeled 0. Writes
predictions.json, predictions.csv and preparation.png, which shows each preprocessing
step, to outputs/predict/. Takes 3 s; test image 0 is a 7 with a probability of 99.8%.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from pipeline.call import call
from pipeline.cli import PredictConfig, PredictSettings, from_python, stage
from pipeline.terminal import status

if TYPE_CHECKING:
    from pipeline.evaluation.predict import PredictResult


def predict(
    *,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[PredictSettings],
) -> "PredictResult":
    """Classify single images, as the command does.

    Args:
        folder: The folder of its files; by default outputs/predict/.
        quiet: Whether to print nothing.
        settings: Values for keys of conf/config.yaml; all others have their defaults.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If a file, the store or the network cannot be used.
    """
    with call(folder=folder, quiet=quiet):
        images = settings.get("images")
        if isinstance(images, Sequence) and not isinstance(images, str):
            settings["images"] = ",".join(map(str, images))
        return run_predict(from_python(PredictConfig, settings))


def run_predict(cfg: PredictConfig) -> "PredictResult":
    """Load the network, classify each image, and write the predictions."""
    with status("loading PyTorch"):
        from pipeline.evaluation.predict import predict
    return predict(cfg)


if __name__ == "__main__":
    stage(run_predict, PredictConfig)
