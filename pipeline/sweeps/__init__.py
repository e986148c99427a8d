"""Sweeps: the outcomes of many trainings under one parent run, and their report.

`pipeline.cli` combines the values of a sweep and launches its jobs.
"""

from pipeline.sweeps.driver import run_sweep
