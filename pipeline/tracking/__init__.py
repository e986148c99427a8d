"""Runs in MLflow: the embedded store, the mirror on a server, provenance.

The only package that uses MLflow.
"""

from pipeline.tracking.runs import (
    ChildRun,
    NullRun,
    RecordedRun,
    Run,
    claims,
    find_training_run,
    finished_run,
    reopen_run,
    start_run,
    sync,
)

__all__ = [
    "ChildRun",
    "NullRun",
    "RecordedRun",
    "Run",
    "claims",
    "find_training_run",
    "finished_run",
    "reopen_run",
    "start_run",
    "sync",
]
