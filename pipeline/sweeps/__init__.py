"""Sweeps: many training runs under one parent run, and their report.

1. `start` finds out what to train: `listing` makes a `Job` of each combination that
   `pipeline.cli` has validated, `recorded` finds the jobs that are already trained, and
   runs that other jobs can reuse, and `search` lets Optuna suggest more jobs. The jobs
   and their outcomes are the `Plan` of the `SweepStart`.
2. `sweep_run` opens the run of the sweep, gives missing jobs to workers, and records
   all results in one loop: `children` writes to the store, and `progress` prints. Then
   `sweep_run` completes the run.
3. `configurations` averages over seeds. `report` writes the table and the plot, and
   `report_text` makes the text in the terminal. `result` is for callers from Python.

The workers start before this process has imported MLflow and PyTorch. Until then,
`sweep` uses only modules that import neither. `networks` reads a finished sweep for
`export`.
"""
