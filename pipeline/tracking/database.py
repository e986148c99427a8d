"""Reads the runs in the store's database with SQL.

MLflow is not imported, because it takes a second. The tables are those of MLflow 3;
`tests/tracking/test_mlflow_internals.py` fails if a new version changes them.
"""

import json
import math
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from pipeline import UserError
from pipeline.call import say
from pipeline.tracking.locks import write_lock
from pipeline.tracking.tags import PARENT_TAG
from pipeline.urls import database_path

ARTIFACT_ROOT = re.compile("file:.*/mlflow-artifacts")
ARTIFACT_COLUMNS = {  # by table: where MLflow stores absolute URIs of artifacts
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
}
RUNS = """
    SELECT run_uuid, runs.name, experiments.name, status, start_time, artifact_uri,
        key, value
    FROM runs JOIN experiments USING (experiment_id) LEFT JOIN tags USING (run_uuid)
    WHERE {condition} AND experiments.lifecycle_stage = '{experiments}'
    ORDER BY start_time DESC
"""
ACTIVE = "runs.lifecycle_stage = 'active'"
# The tag has one of the values in a JSON list.
TAGGED = """run_uuid IN (
    SELECT run_uuid FROM tags WHERE key = ?
    AND value IN (SELECT value FROM json_each(?))
)"""
NAMED = "(runs.name = ? OR (length(?) AND substr(run_uuid, 1, length(?)) = ?))"
RESULTS = """
    SELECT run_uuid, latest_metrics.value, (
        SELECT sum(value) FROM metrics
        WHERE metrics.run_uuid = runs.run_uuid AND key = 'train/seconds'
    )
    FROM runs JOIN tags USING (run_uuid) JOIN latest_metrics USING (run_uuid)
    WHERE tags.key = ? AND tags.value = ? AND latest_metrics.key = 'val/accuracy'
"""

POINTS = """
    SELECT key, value, is_nan, timestamp, step FROM metrics WHERE run_uuid = ?
    ORDER BY key, timestamp, step, value
"""
ACCURACIES = """
    SELECT run_uuid, value FROM latest_metrics
    WHERE key = 'val/accuracy' AND run_uuid IN (SELECT value FROM json_each(?))
"""


@dataclass(frozen=True)
class RecordedRun:
    """A run in the store, as it was when it was read."""

    run_id: str
    name: str
    experiment: str  # its name
    status: str  # RUNNING, FINISHED, FAILED or KILLED
    tags: Mapping[str, str]
    folder: Path  # its artifacts
    start: int  # in milliseconds since 1970

    @property
    def label(self) -> str:
        """Name and id, for messages."""
        return f"{self.name} ({self.run_id})"


def artifact_root(folder: Path) -> str:
    """Return the URI of the folder with the artifacts of all experiments."""
    return (folder / "mlflow-artifacts").as_uri()


def path_from_uri(uri: str) -> Path:
    """Return the path of a `file:` URI."""
    return Path(url2pathname(urlparse(uri).path))


def tagged_runs(folder: Path, key: str, values: Iterable[str]) -> list[RecordedRun]:
    """Return the runs whose tag `key` has one of the values, newest first.

    Deleted runs and those of deleted experiments are left out. The list is empty if
    nothing is recorded yet. It takes 0.2 s for 5,000 runs.
    """
    wanted = [*values]
    if not wanted or not database_path(folder).exists():
        return []
    return _select(folder, f"{TAGGED} AND {ACTIVE}", key, json.dumps(wanted))


def open_runs(folder: Path) -> list[RecordedRun]:
    """Return the runs that are RUNNING, of any program."""
    return _select(folder, f"status = 'RUNNING' AND {ACTIVE}")


def runs_to_copy(folder: Path, run_id: str | None) -> list[RecordedRun]:
    """Return all runs, or a run and its children; deleted ones are included."""
    if run_id is None:
        return _select(folder, "TRUE")
    condition = f"(run_uuid = ? OR {TAGGED})"
    return _select(folder, condition, run_id, PARENT_TAG, json.dumps([run_id]))


def children(folder: Path, run_id: str) -> list[RecordedRun]:
    """Return the recorded children of a run, newest first."""
    return tagged_runs(folder, PARENT_TAG, [run_id])


def child_results(folder: Path, run_id: str) -> dict[str, tuple[float, float]]:
    """Return validation accuracy and seconds of training of each child, by its id."""
    with open_database(folder) as connection:
        rows = connection.execute(RESULTS, (PARENT_TAG, run_id)).fetchall()
    return {child: (accuracy, seconds) for child, accuracy, seconds in rows}


def accuracies(folder: Path, run_ids: Iterable[str]) -> dict[str, float]:
    """Return the validation accuracy of the runs that have one, by id."""
    with open_database(folder) as connection:
        rows = connection.execute(ACCURACIES, (json.dumps([*run_ids]),)).fetchall()
    return dict(rows)


def metric_points(folder: Path, run_id: str) -> list[tuple[str, float, int, int]]:
    """Return name, value, time and step of each point of all metrics of a run.

    MLflow reads each metric by itself, which takes ten times as long.
    """
    with open_database(folder) as connection:
        rows = connection.execute(POINTS, (run_id,)).fetchall()
    return [
        (name, math.nan if is_nan else value, time, step)
        for name, value, is_nan, time, step in rows
    ]


def named_runs(
    folder: Path, text: str, *, deleted: bool = False, experiments: str = "active"
) -> list[RecordedRun]:
    """Return the runs with this name, id or start of an id, newest first.

    `deleted` selects deleted runs, and experiments="deleted" those of such experiments.
    """
    condition = f"{NAMED} AND {'NOT ' * deleted}{ACTIVE}"
    if experiments == "deleted":  # then all of their runs are
        condition = NAMED
    return _select(folder, condition, *[text] * 4, experiments=experiments)


def _select(
    folder: Path, condition: str, *values: str, experiments: str = "active"
) -> list[RecordedRun]:
    """Return the runs that meet a condition, newest first."""
    runs: dict[str, RecordedRun] = {}
    tags: dict[str, dict[str, str]] = {}
    with open_database(folder) as connection:
        query = RUNS.format(condition=condition, experiments=experiments)
        for *info, start, uri, key, value in connection.execute(query, values):
            run_id, name, experiment, status = info
            if run_id not in runs:
                own, path = tags.setdefault(run_id, {}), path_from_uri(uri)
                run = RecordedRun(run_id, name, experiment, status, own, path, start)
                runs[run_id] = run
            tags[run_id][key] = value
    return [*runs.values()]


def require_store(folder: Path) -> None:
    """Raise a UserError if the database cannot be opened; see `open_database`."""
    with open_database(folder):
        pass


@contextmanager
def open_database(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the database of a store, which may have been moved since it was written.

    Raises:
        UserError: If nothing is recorded yet, the artifacts are elsewhere, or the
            database cannot be read.
    """
    database = database_path(folder)
    if not database.exists():
        remedy = "python -m pipeline.train records one"
        raise UserError(f"{database} is missing: no run is recorded yet; {remedy}")
    try:
        with closing(sqlite3.connect(database)) as connection:
            _relocate(folder, connection)
            yield connection
    except sqlite3.Error as error:
        raise UserError(f"cannot read {database}: {error}") from error


def _relocate(folder: Path, connection: sqlite3.Connection) -> None:
    """Update the URIs of the artifacts in a store that was moved or copied."""
    locations = connection.execute("SELECT artifact_location FROM experiments")
    roots = {location.rpartition("/")[0] for (location,) in locations}
    after = artifact_root(folder)
    # Experiments that other programs created may have their artifacts elsewhere.
    for before in {*filter(ARTIFACT_ROOT.fullmatch, roots)} - {after}:
        if not path_from_uri(after).is_dir():
            raise UserError(
                f"{database_path(folder)} expects its artifacts in {before}, not in "
                f"{after}: move mlflow-artifacts to the same folder, or move mlflow.db "
                "away to start with a new store"
            )
        with write_lock(folder):
            relocate_artifacts(connection, before, after)
        say(
            f"{folder} was moved or copied: the URIs of its artifacts were updated",
            file=sys.stderr,
        )


def relocate_artifacts(connection: sqlite3.Connection, before: str, after: str) -> None:
    """Replace the root of all artifact URIs, in one transaction."""
    with connection:
        for table, column in ARTIFACT_COLUMNS.items():
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE substr({column} || '/', 1, ?) = ?",
                (after, len(before) + 1, len(before) + 1, f"{before}/"),
            )
