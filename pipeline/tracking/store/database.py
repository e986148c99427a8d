"""Reads the runs in the database of the store with SQL.

This module does not use MLflow's client, because the import takes a second, and the
client takes twenty times as long to find 5,000 runs. The queries are for the tables of
MLflow 3. `tests/tracking/test_mlflow_internals.py` fails if a new version changes these
tables.

Each function opens the database. If a connection were passed on, the caller would have
to close the connection, and could use it in only one thread.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from pipeline.base.text import command_line, wrap
from pipeline.records.file_names import NETWORK_PATH
from pipeline.records.tags import OPEN, PARENT_TAG, SWEEP_TAG, Status
from pipeline.tracking.store.location import database_path, path_from_uri
from pipeline.tracking.store.sqlite import artifact_roots, open_database, relocated

RUNS = """
    SELECT run_uuid, runs.name, experiments.name, status, start_time, artifact_uri,
        key, value
    FROM runs JOIN experiments USING (experiment_id) LEFT JOIN tags USING (run_uuid)
    WHERE {condition} AND experiments.lifecycle_stage = '{experiments}'
    ORDER BY start_time DESC, runs.rowid DESC
"""
ACTIVE = "runs.lifecycle_stage = 'active'"
# The tag has one of the values in a JSON list.
TAGGED = """run_uuid IN (
    SELECT run_uuid FROM tags WHERE key = ?
    AND value IN (SELECT value FROM json_each(?))
)"""
NAMED = "(runs.name = ? OR (length(?) AND substr(run_uuid, 1, length(?)) = ?))"
PARAMS = """
    SELECT run_uuid, key, value FROM params
    WHERE run_uuid IN (SELECT value FROM json_each(?))
"""
SAME_START = f"""
    SELECT name FROM runs
    WHERE experiment_id = ? AND substr(name, 1, length(?)) = ? AND {ACTIVE}
"""
POINTS = """
    SELECT key, value, is_nan, timestamp, step FROM metrics WHERE run_uuid = ?
    ORDER BY key, timestamp, step, value
"""
# The values that can change in a closed run, in addition to its tags and files. Points
# and params can only be added, so their numbers are sufficient.
CONTENT = """
    SELECT name, status, start_time, end_time, lifecycle_stage,
        (SELECT COUNT(*) FROM metrics WHERE run_uuid = :run_id),
        (SELECT COUNT(*) FROM params WHERE run_uuid = :run_id),
        (SELECT COUNT(*) FROM inputs WHERE destination_type = 'RUN'
            AND destination_id = :run_id),
        (SELECT COUNT(*) FROM inputs WHERE source_type = 'RUN_OUTPUT'
            AND source_id = :run_id)
    FROM runs WHERE run_uuid = :run_id
"""


@dataclass(frozen=True)
class RunInfo:
    """The ID, name and folder of a run, in all objects that stand for a run."""

    run_id: str  # the ID in MLflow
    name: str
    artifacts: Path  # the folder of the artifacts

    @property
    def label(self) -> str:
        """Name and ID of the run, for messages."""
        return f"{self.name} ({self.run_id})"

    def viewing_hint(self) -> str:
        """Return lines with the run, and the command that shows it."""
        run = wrap(self.label, indent=7, start="run    ")
        return f"{run}\nview   {command_line('ui')}\n"


@dataclass(frozen=True)
class RecordedRun(RunInfo):
    """A run in the store, in the state in which it was read."""

    experiment: str  # the name of the experiment
    status: Status
    tags: Mapping[str, str]
    start: int  # in milliseconds since 1970

    @property
    def is_final(self) -> bool:
        """Whether the run finished or failed: it neither runs nor was killed."""
        return self.status in (Status.FINISHED, Status.FAILED)

    @property
    def network_path(self) -> Path:
        """A training run's network file; see `write_training_run`."""
        return self.artifacts / NETWORK_PATH


class MetricPoint(NamedTuple):
    """A value of a metric, as a row of the database; see `StepMetrics`."""

    name: str
    value: float
    time: int  # in milliseconds since 1970
    step: int


def tagged_runs(store: Path, key: str, values: Iterable[str]) -> list[RecordedRun]:
    """Return the runs whose tag `key` has one of the values, newest first.

    Deleted runs and runs of deleted experiments are omitted. The list is empty if
    nothing is recorded yet.
    """
    wanted = [*values]
    if not wanted or not database_path(store).exists():
        return []
    return _select(store, f"{TAGGED} AND {ACTIVE}", key, json.dumps(wanted))


def open_runs(store: Path) -> list[RecordedRun]:
    """Return the open runs of all programs."""
    condition = f"status IN (SELECT value FROM json_each(?)) AND {ACTIVE}"
    return _select(store, condition, json.dumps(OPEN))


def runs_to_copy(store: Path, run_id: str | None) -> list[RecordedRun]:
    """Return all runs, or a run and its children, including deleted runs."""
    if run_id is None:
        return _select(store, "TRUE")
    condition = f"(run_uuid = ? OR {TAGGED})"
    return _select(store, condition, run_id, PARENT_TAG, json.dumps([run_id]))


def children_of(store: Path, run_id: str) -> list[RecordedRun]:
    """Return the training runs of a sweep, oldest first.

    Only training runs of the sweep have the tag of the sweep. Other runs, which a user
    has put below the sweep, are omitted.
    """
    runs = tagged_runs(store, PARENT_TAG, [run_id])
    return [run for run in reversed(runs) if SWEEP_TAG in run.tags]


def recorded_params(store: Path, runs: Sequence[RecordedRun]) -> list[dict[str, str]]:
    """Return the params of each run, which no user can change, unlike tags."""
    if not runs:
        return []
    found: dict[str, dict[str, str]] = {run.run_id: {} for run in runs}
    with open_database(store) as connection:
        for run_id, key, value in connection.execute(PARAMS, [json.dumps([*found])]):
            found[run_id][key] = value
    return [*found.values()]


def metric_points(store: Path, run_id: str) -> list[MetricPoint]:
    """Return the points of all metrics of a run.

    NaN is always the object `math.nan`, so that a set of points can contain it once.
    MLflow reads one metric at a time, which takes ten times as long.
    """
    with open_database(store) as connection:
        rows = connection.execute(POINTS, (run_id,)).fetchall()
    return [
        MetricPoint(name, math.nan if is_nan else value, time, step)
        for name, value, is_nan, time, step in rows
    ]


def content_of(store: Path, run_id: str) -> list[tuple[str | int, ...]]:
    """Return values that change whenever a closed run changes; see `CONTENT`."""
    with open_database(store) as connection:
        return connection.execute(CONTENT, {"run_id": run_id}).fetchall()


def named_runs(
    store: Path, text: str, *, deleted: bool = False, experiments: str = "active"
) -> list[RecordedRun]:
    """Return the runs with this name, ID or prefix of an ID, newest first.

    `deleted` selects deleted runs, and experiments="deleted" selects runs of deleted
    experiments.
    """
    condition = f"{NAMED} AND {'NOT ' if deleted else ''}{ACTIVE}"
    if experiments == "deleted":  # all runs of such an experiment are deleted too
        condition = NAMED
    return _select(store, condition, *[text] * 4, experiments=experiments)


def new_name(store: Path, name: str, experiment_id: str) -> str:
    """Return a name for a new run, so that lists of runs have no equal names.

    If the experiment has a run with this name, a number is added: the second run is
    "hidden=20 seed=1 #2". Processes that start at the same time can get equal names.
    """
    with open_database(store) as connection:
        rows = connection.execute(SAME_START, (experiment_id, name, name)).fetchall()
    taken = {taken for (taken,) in rows}
    numbered = (f"{name} #{number}" for number in count(2))
    return name if name not in taken else next(n for n in numbered if n not in taken)


def _select(
    store: Path, condition: str, *values: str, experiments: str = "active"
) -> list[RecordedRun]:
    """Return the runs that meet a condition, newest first."""
    runs: dict[str, RecordedRun] = {}
    tags: dict[str, dict[str, str]] = {}
    with open_database(store) as connection:
        before, after = artifact_roots(store, connection)
        query = RUNS.format(condition=condition, experiments=experiments)
        for *info, start, uri, key, value in connection.execute(query, values):
            run_id, name, experiment, status = info
            if run_id not in runs:
                path = path_from_uri(relocated(uri, before, after))
                own = tags.setdefault(run_id, {})
                runs[run_id] = RecordedRun(
                    run_id, name, path, experiment, Status(status), own, start
                )
            if key is not None:  # None for a run without tags
                tags[run_id][key] = value
    return [*runs.values()]
