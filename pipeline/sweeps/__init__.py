"""Sweeps: many training runs under one parent run, and their report.

1. `sweep` makes a `Plan` of the jobs: `listing` makes a `Job` of each combination that
   `pipeline.cli` has validated, `recorded_sweep` finds what is already trained, and
   `search` lets Optuna suggest more. A `SweepStart` in `start` contains the result.
2. `recording` opens the run. In it, `scheduler` gives the missing jobs to workers, or
   `reuse` finds them in the store; `children` records each, `progress` prints it. Then
   `recording` completes the run.
3. `configurations` averages over seeds. `report` writes the table and the plot,
   `report_text` the text in the terminal. `result` is for a caller from Python.

`networks` reads a finished sweep for `export`.
"""
