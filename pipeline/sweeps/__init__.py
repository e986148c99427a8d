"""Sweeps: the outcomes of many trainings under one parent run, and their report.

`pipeline.cli` combines the values of a sweep and launches its jobs.
"""

from pipeline.sweeps.driver import run_sweep, sweep_name
from pipeline.sweeps.outcomes import Outcome, Setting, group_by_setting, read_outcome
from pipeline.sweeps.report import describe

__all__ = [
    "Outcome",
    "Setting",
    "describe",
    "group_by_setting",
    "read_outcome",
    "run_sweep",
    "sweep_name",
]
