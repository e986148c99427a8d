"""Sweeps: many training runs under one parent run, and their report.

1. `sweep` makes a `Plan` of the jobs: `listing` makes a `Job` of each combination that
   `pipeline.cli` has validated, `recorded_sweep` finds the jobs that are already
   trained, and `search` lets Optuna suggest more jobs. A `SweepStart` in `start`
   contains the plan.
2. `reuse` finds results of missing jobs in the store, and `sweep_run` opens the run of
   the sweep. `scheduler` gives all other missing jobs to workers. `children` records
   each outcome, and `progress` prints it. Then `sweep_run` completes the run.
3. `configurations` averages over seeds. `report` writes the table and the plot, and
   `report_text` makes the text in the terminal. `result` is for callers from Python.

`networks` reads a finished sweep for `export`.
"""
