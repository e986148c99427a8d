"""Runs a function for many tasks, in local processes or on a Ray cluster.

`executor_type` in `workers` chooses the `Executor` of a sweep (`executor`):
`LocalExecutor` in `local`, or `RayExecutor` in `cluster`, which finds the cluster with
`ray_connection`. `Executor.run` takes a `Task` when a worker is free, and yields its
`TaskResult`. It also yields each `LostAttempt`, whose task is repeated.

Each local worker is a `HelperProcess` (`base.helper_process`). `interrupt` handles
Ctrl-C.

All modules run in the main process. Only the functions at the end of two modules run
elsewhere: in the workers (`local`), and on the nodes (`cluster`).
"""
