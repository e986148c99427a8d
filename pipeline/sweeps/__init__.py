"""Sweeps: many training runs under one parent run, and their report.

These are the types, in the order in which a sweep makes them:

type             made in             used in              what it is
`Job`            listing, search     all modules          a combination of values
`RecordedSweep`  start               start, children      earlier results of this sweep
`ReusableRuns`   start               sweep, sweep_run     results of other runs
`Plan`           start, search       sweep_run, progress  the jobs and their outcomes
`Sweep`          start               sweep, sweep_run     all of the above, and the call
`Task`           sweep_run           executor, worker     a call that trains the job
`Reused`         children            children             a training run of another run
`TaskResult`     executor            children             a training run, or an error
`Outcome`        children, recorded  all after these      the recorded result of a job
`Configuration`  configurations      report, result       the jobs of all its seeds
`SweepResult`    sweep, sweep_run    report_text, Python  the result of the sweep

`sweep` has the steps of the command: `start` finds out what to train. `sweep_run` opens
the run of the sweep, and records all results in one loop. In this loop, the executor
gets a task for each missing job, `children` writes to the store, and `progress` prints.
`report` writes the table and the plot, with the text of `report_text`. `naming` makes
the id and the name of the sweep. `networks` reads a finished sweep for `export`.

This package runs in the main process. A worker gets only the data set and the
hyperparameters of a task. The workers start before this process has imported MLflow and
PyTorch (PyTorch is needed earlier if there are runs to reuse), so the modules that
`sweep` uses until then import neither. `sweep_run` imports `children`, `report` and
`progress` later.
"""
