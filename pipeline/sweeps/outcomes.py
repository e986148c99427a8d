"""The outcome of each job of a sweep, and the file that stores them.

`record.py` records the networks.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.sweeps.jobs import Job

COLUMNS = ("accuracy", "parameters", "seconds", "run_id", "reused")  # of the file


@dataclass(frozen=True)
class Outcome:
    """The result of a job, or the reason why it failed."""

    job: Job
    error: str = ""  # one line; empty if the job succeeded
    accuracy: float = 0.0  # on the validation images, in [0, 1]
    parameters: int = 0
    seconds: float = 0.0  # of all epochs together
    run_id: str | None = None  # of its run in MLflow
    reused: bool = False  # it was taken from an earlier run
    traceback: str = ""  # of an error in the program


class ResultsFile:
    """A file with a line of JSON for each trained job; lines are only appended."""

    def __init__(self, path: Path) -> None:
        """Read the file if it exists; a line that was cut by a kill is removed."""
        self._path = path
        self.outcomes: dict[str, dict[str, object]] = {}  # by the name of the job
        content = path.read_bytes() if path.exists() else b""
        complete = content[: content.rfind(b"\n") + 1]
        if complete != content:
            os.truncate(path, len(complete))
        for line in complete.splitlines():
            row = json.loads(line)
            self.outcomes[row.pop("setting")] = row

    def missing(self, jobs: Iterable[Job]) -> list[Job]:
        """Return the valid jobs that are not trained."""
        return [j for j in jobs if not j.problems and j.name not in self.outcomes]

    def find(self, job: Job, *, run_id: str | None) -> Outcome | None:
        """Return the outcome of a job if it was recorded in this run."""
        row = self.outcomes.get(job.name)
        if row is None or row["run_id"] != run_id:
            return None
        return Outcome(job, "", **row)  # type: ignore[arg-type]

    def append(self, outcome: Outcome) -> None:
        """Add the outcome of a trained job."""
        row = {key: getattr(outcome, key) for key in COLUMNS}
        self.outcomes[outcome.job.name] = row
        line = json.dumps({"setting": outcome.job.name, **row}) + "\n"
        with self._path.open("a") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
