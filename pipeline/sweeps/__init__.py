"""Sweeps: many training runs under one parent run, and their report.

These are the types, in the order in which a sweep makes them:

type             made in             what it is
`Job`            listing, search     a combination of values, with its data set
`RecordedSweep`  start (recorded)    the results of jobs of the same sweep
`ReusableRuns`   start (recorded)    other runs, whose results jobs can reuse
`Plan`           start (or search)   all jobs, and the outcomes so far
`Sweep`          start               all of the above, and how the sweep was called
`Task`           sweep_run           a call of `compute_training_run` in a worker
`TaskResult`     executor            the `TrainingRun` of a job, or why it failed
`Reused`         children            the `TrainingRun` of an earlier run
`Outcome`        children, recorded  the metrics of a job, and its recorded run
`Configuration`  configurations      the jobs that differ only in their seed
`SweepResult`    result              all outcomes, for a caller from Python

`sweep` has the steps of the command: `start` finds out what to train. `sweep_run` opens
the run of the sweep, and records all results in one loop: the executor gets a task for
each missing job, `children` writes to the store, `progress` prints, and `report` writes
the table and the plot, with the text of `report_text`. `naming` makes the id and the
name of the sweep. `networks` reads a finished sweep for `export`.

This package runs in the process of the command. A worker gets only the data set and the
hyperparameters of a task. The workers start before this process has imported MLflow and
PyTorch (PyTorch is needed earlier if there are runs to reuse), so the modules that
`sweep` uses until then import neither. `sweep_run` imports `children`, `report` and
`progress` later.
"""
