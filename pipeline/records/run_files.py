"""The text files of a training run: run.json, metrics.json and history.csv.

They are the record of its metrics. `model.storage` reads and writes the weights.
"""

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import FiniteFloat, StringConstraints, TypeAdapter

from pipeline import UserError
from pipeline.base.csv_files import to_rows, write_csv
from pipeline.base.files import reading, write_json
from pipeline.records.metric_names import REQUIRED

RESTORE = "restore the files of the training run, or train the network again"
History = dict[str, list[float]]  # the metrics after each epoch, from 1, by name


@dataclass(frozen=True)
class RunFile:
    """The content of `run.json`.

    These values differ between training runs with the same fingerprint.
    """

    # The ID of the MLflow run; None if the training run was not recorded.
    run_id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")] | None
    seconds: list[FiniteFloat]  # the duration of each epoch, from epoch 1
    times: list[int]  # the end of each epoch, from epoch 0, in ms since 1970


# A sweep reads thousands of these files, so each validator is built once.
_RUN = TypeAdapter(RunFile)
_METRICS = TypeAdapter(dict[str, FiniteFloat])


def write_run_file(path: Path, run: RunFile) -> None:
    """Write a `run.json`."""
    write_json(path, asdict(run))


def read_run_file(path: Path) -> RunFile:
    """Read a `run.json`; raise a UserError if it cannot be read or is damaged."""
    content = _read(path)
    try:
        run = _RUN.validate_json(content)
    except ValueError:
        run = None
    if run is None or len(run.times) != len(run.seconds) + 1:
        raise _damaged(path, "its run_id, seconds or times are missing or invalid")
    return run


def write_metrics(path: Path, metrics: Mapping[str, float]) -> None:
    """Write a `metrics.json`."""
    write_json(path, metrics)


def read_metrics(path: Path) -> dict[str, float]:
    """Read a `metrics.json`; raise a UserError if it cannot be read or is damaged."""
    content = _read(path)
    try:
        metrics = _METRICS.validate_json(content)
    except ValueError:
        metrics = {}
    if not metrics.keys() >= {*REQUIRED}:
        raise _damaged(path, "its losses or accuracies are missing or invalid")
    return metrics


def write_history(path: Path, history: History) -> None:
    """Write a `history.csv`, with a row for each epoch."""
    write_csv(path, to_rows(with_numbers(history)))


def with_numbers(history: History) -> dict[str, list[Any]]:
    """Return the columns of a `history.csv`, with the numbers of the epochs first."""
    (count,) = {*map(len, history.values())}
    return {"epoch": [*range(1, count + 1)], **history}


def read_history(path: Path, *, epochs: int | None) -> History:
    """Read a `history.csv`.

    Raises:
        UserError: If the file cannot be read, is damaged or has a different number of
            epochs, unless this number is not known.
    """
    content = _read(path)
    try:
        titles, *rows = csv.reader(content.decode().splitlines(), strict=True)
        cells = np.array([row for row in rows if row], float)
        columns = dict(zip(titles, cells.T.tolist(), strict=True))
    except (ValueError, csv.Error):
        raise _damaged(path, "it is not a numeric table") from None
    if len(columns) < len(titles):
        raise _damaged(path, "two columns have the same title")
    if not np.isfinite(cells).all():
        raise _damaged(path, "it contains NaN or infinity")
    if "epoch" not in columns:
        raise _damaged(path, "it has no column epoch")
    count = len(cells) if epochs is None else epochs
    if columns.pop("epoch") != [*range(1, count + 1)]:
        raise belongs_elsewhere(path)
    return columns


def belongs_elsewhere(path: Path) -> UserError:
    """Return the error for a file that another training run wrote."""
    return UserError(
        f"{path} does not belong to the network in the same folder: {RESTORE}"
    )


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"{path} is damaged: {problem}; {RESTORE}")


def _read(path: Path) -> bytes:
    with reading(path):
        return path.read_bytes()
