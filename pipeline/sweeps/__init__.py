"""Sweeps: many training runs under one parent run, and their report.

These are the types, in the order in which a sweep creates them:

type             created in             what it is
`Job`            listing, search        a combination of values
`RecordedSweep`  sweep                  the results of earlier processes
`ReusableRuns`   sweep                  the results of other runs
`Plan`           sweep                  the jobs and their outcomes
`Search`         sweep                  a `Plan` whose jobs Optuna suggests
`RunningSweep`   sweep                  the arguments of the call, and all of these
`Task`           missing_jobs           a call that trains a job in a worker
`TaskResult`     executor               a training run, or an error
`LostAttempt`    executor               an attempt whose worker was lost
`ReusedRun`      children               a recorded run that has the results of a job
`Outcome`        children, recorded     the results of a job, or why it failed
`Configuration`  configurations         the jobs that differ only in their seed
`SweepResult`    sweep, missing_jobs    the result for a caller from Python

The best configuration (`best_configuration`) has the highest mean accuracy over its
seeds. The best training run (`SweepResult.best`) is the most accurate one of this
configuration, and the best network (`load_best`) is its network.

`sweep` is the command. It finds out which jobs the sweep has and which of them are
recorded, and starts the workers. `running_sweep` bundles all of these. `missing_jobs`
opens the run of the sweep, and adds the outcomes of all missing jobs to the plan: the
executor trains them, `children` writes to the store, `progress` prints, and `report`
writes the table and the plot, with the text of `report_text` and the networks of the
`pareto_front`. `naming` creates the key and the name of the sweep. `networks` reads a
finished sweep for `export`.

This package runs in the main process. A worker gets only the data set and the
hyperparameters of a task. The workers start before this process has imported PyTorch
and MLflow (PyTorch is needed earlier if there are runs to reuse), so the modules that
`sweep` uses until then import neither. `missing_jobs`, with `children`, `report` and
`progress`, is imported later.
"""
