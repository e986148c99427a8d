"""Measures how well a network classifies test sets.

Reads outputs/train/ (or the network of run=<id> or model=<file>) and the test sets. The
default is the validation images of the training run, usually MNIST's 10,000 test
images. The default network classifies 95.9% of these images correctly, with a loss of
0.1475. Writes metrics.json, predictions.csv, classes.csv, confusion.csv,
calibration.csv, scores.png and mistakes.png (the most confident wrong predictions) to
outputs/evaluate/, and records them in the MLflow run that trained the network. Takes
about 4 s.

A folder can contain images with a labels.csv, images in subfolders 0 to 9, images with
the label in their name, or a pair of IDX files. The label is the first number in the
name if this number has one digit: 7_a.png and scan7.png have the label 7, and
IMG_2026.png has no label.

For each set, the table shows the accuracy and its 95% confidence interval (CI), which
says how much the accuracy can vary by chance. The loss is in nats. The confidence is
the mean probability of the predicted classes. If the confidence is above the accuracy,
the network is overconfident. The expected calibration error (ECE) is the weighted
average of the absolute difference between confidence and accuracy, over bins of
predictions with similar confidence. The column `unsure` is the percentage of
predictions that you should not rely on. The usual reasons are that the image does not
look like the training images of the predicted class, or that the two highest
probabilities are close.
"""

import os
from typing import TYPE_CHECKING, Unpack

from pipeline.base.progress import busy
from pipeline.base.terminal import output
from pipeline.cli import (
    Command,
    EvaluateConfig,
    EvaluateKeywords,
    documented,
    from_python,
    main,
)

if TYPE_CHECKING:
    from pipeline.evaluation.evaluate import Evaluation


@documented(EvaluateConfig, EvaluateKeywords)
def evaluate(
    *,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[EvaluateKeywords],
) -> "Evaluation":
    """Evaluate a network on test sets, like `python -m pipeline.evaluate`.

    Args:
        folder: Where to write the files; by default, outputs/evaluate/. It must be
            new or empty.
        quiet: If True, nothing is printed.
        settings: Keyword arguments, such as sets=["digits"]; they are listed below.

    Returns:
        The metrics, predictions and files of the evaluation.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If a file, the store or the trained network cannot be used.
        PartlyFailed: If some test sets or images cannot be used.
            `error.result` has the results of all others.
    """
    with output(quiet=quiet):
        return run_evaluate(from_python(EvaluateConfig, settings, folder))


def run_evaluate(command: Command[EvaluateConfig]) -> "Evaluation":
    """Load the network and the test sets, evaluate, write and record the results."""
    with busy("loading PyTorch"):
        from pipeline.evaluation.evaluate import evaluate
    return evaluate(command.config, command.folder)


if __name__ == "__main__":
    main(run_evaluate, EvaluateConfig)
