"""Sweeps: the outcomes of many training runs under one parent run, and their report.

`pipeline.cli` combines the values of a sweep and launches its jobs.
"""

from pipeline.sweeps.driver import run_sweep
