"""Sweeps: many training runs under one parent run, and their report.

These are the types, in the order in which a sweep creates them:

type             created in          used in                 what it is
`Job`            listing, search     all modules             a combination of values
`RecordedSweep`  sweep               missing_jobs, children  earlier results
`ReusableRuns`   sweep               sweep, missing_jobs     results of other runs
`Plan`           sweep               missing_jobs, progress  the jobs and their outcomes
`Search`         sweep               as a `Plan`             the plan of a search
`OpenSweep`      sweep               missing_jobs, children  the call and all of these
`Task`           missing_jobs        executor, worker        a call that trains a job
`TaskResult`     executor            children                a training run, or an error
`LostAttempt`    executor            missing_jobs            a task that is repeated
`Outcome`        children, recorded  all after these         a job's recorded result
`Configuration`  configurations      report, result          the jobs of all its seeds
`SweepResult`    sweep,              report_text, Python     the result of the sweep
                 missing_jobs

The best configuration (`best_configuration`) has the highest mean accuracy over its
seeds. The best training run (`SweepResult.best`) is the most accurate one of this
configuration, and the best network (`load_best`) is its network.

`sweep` is the command. It finds out which jobs the sweep has and which of them are
recorded, and starts the workers. `open_sweep` bundles all of these. `missing_jobs`
opens the run of the sweep, and adds the outcomes of all missing jobs to the plan: the
executor trains them, `children` writes to the store, `progress` prints, and `report`
writes the table and the plot, with the text of `report_text`. `naming` creates the ID
and the name of the sweep. `networks` reads a finished sweep for `export`.

This package runs in the main process. A worker gets only the data set and the
hyperparameters of a task. The workers start before this process has imported MLflow and
PyTorch (PyTorch is needed earlier if there are runs to reuse), so the modules that
`sweep` uses until then import neither. `missing_jobs` imports `children`, `report` and
`progress` later.
"""
