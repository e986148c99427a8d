"""Reads the text files of a training run: run.json, metrics.json and history.csv.

`TrainingRun.write` writes them. `storage` reads and writes the networks themselves.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import FiniteFloat, StringConstraints, TypeAdapter

from pipeline import UserError
from pipeline.base.files import reading
from pipeline.base.metric_names import REQUIRED
from pipeline.model.storage import belongs_elsewhere


@dataclass(frozen=True)
class RunFile:
    """The content of `run.json`, which differs between equal training runs."""

    # The id of the MLflow run; None if the training run was not recorded.
    run_id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")] | None
    seconds: list[FiniteFloat]  # the duration of each epoch, from epoch 1
    times: list[int]  # the end of each epoch, from epoch 0, in ms since 1970


def read_run_file(path: Path) -> RunFile:
    """Read a `run.json`; raise a UserError if it cannot be read or is damaged."""
    content = _read(path)
    try:
        run = TypeAdapter(RunFile).validate_json(content)
    except ValueError:
        run = None
    if run is None or len(run.times) != len(run.seconds) + 1:
        rule = "its run_id, seconds or times are missing or invalid"
        raise UserError(f"{path} is damaged: {rule}")
    return run


def read_metrics(path: Path) -> dict[str, float]:
    """Read a `metrics.json`; raise a UserError if it cannot be read or is damaged."""
    content = _read(path)
    try:
        metrics = TypeAdapter(dict[str, FiniteFloat]).validate_json(content)
    except ValueError:
        metrics = {}
    if not metrics.keys() >= {*REQUIRED}:
        rule = "its losses or accuracies are missing or invalid"
        raise UserError(f"{path} is damaged: {rule}")
    return metrics


def read_history(path: Path, *, epochs: int) -> dict[str, list[float]]:
    """Read a `history.csv`: the metrics after each epoch, by name.

    Raises:
        UserError: If the file cannot be read, is damaged or has a different number of
            epochs.
    """
    content = _read(path)
    try:
        header, *lines = content.decode().splitlines()
        cells = np.array([line.split(",") for line in lines], float)
        table = dict(zip(header.split(","), cells.T.tolist(), strict=True))
    except ValueError:
        raise UserError(f"{path} is damaged: it is not a numeric table") from None
    numbers = table.pop("epoch", [])
    if numbers != [*range(1, epochs + 1)] or not np.isfinite(cells).all():
        raise belongs_elsewhere(path)
    return table


def _read(path: Path) -> bytes:
    with reading(path):
        return path.read_bytes()
