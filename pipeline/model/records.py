"""The text files of a training run: run.json, metrics.json and history.csv.

`storage` reads the networks themselves.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import UserError


@dataclass(frozen=True)
class RunFile:
    """The content of `run.json`, which differs between equal training runs."""

    run_id: str | None  # of the MLflow run; None if it was not recorded
    seconds: list[float]  # of each epoch, from epoch 1
    times: list[int]  # the end of each epoch, from epoch 0, in ms since 1970


def read_run_file(path: Path) -> RunFile:
    """Read a `run.json`; raise a UserError if it is damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
        seconds = [float(value) for value in content["seconds"]]
        run = RunFile(content["run_id"], seconds, [int(x) for x in content["times"]])
        if run.run_id is not None and not re.fullmatch("[0-9a-f]{32}", run.run_id):
            raise ValueError
        if len(run.times) != len(seconds) + 1 or not np.isfinite(seconds).all():
            raise ValueError
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        rule = "it has no valid run_id, seconds and times"
        raise UserError(f"{path} is damaged: {rule}") from None
    return run


def read_metrics(path: Path) -> dict[str, float]:
    """Read a `metrics.json`; raise a UserError if it is damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
        metrics = {name: float(value) for name, value in content.items()}
        accuracies = [
            metrics[name] for name in ("train/final_accuracy", "val/accuracy")
        ]
        if not np.isfinite(accuracies).all():
            raise ValueError
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        raise UserError(f"{path} is damaged: it has no valid accuracies") from None
    return metrics


def read_curves(path: Path, *, epochs: int) -> dict[str, list[float]]:
    """Read a `history.csv`: the metrics after each epoch, by name.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is damaged or has a different number of epochs.
    """
    try:
        header, *lines = path.read_text("utf-8").splitlines()
        cells = np.array([line.split(",") for line in lines], float)
        table = dict(zip(header.split(","), cells.T.tolist(), strict=True))
    except ValueError:
        raise UserError(f"{path} is damaged: it is not a numeric table") from None
    numbers = table.pop("epoch", None)
    if numbers != [*range(1, epochs + 1)] or not np.isfinite(cells).all():
        raise UserError(f"{path} does not belong to the network in the same folder")
    return table
