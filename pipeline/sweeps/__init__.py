"""Sweeps: many training runs under one parent run, and their report.

`sweep` determines which jobs are missing, `recording` opens the run, `scheduler` trains
the jobs, and `children` records them. `pipeline.cli` parses the values of a sweep.
"""
