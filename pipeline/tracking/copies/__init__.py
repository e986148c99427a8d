"""Copies of runs on an MLflow server.

`mirror` copies one run in progress, and the command `sync` copies all runs of the
store. A helper process, which can be the process that records a training run, runs
the functions of `copying_functions`. `order` determines the order of the runs,
`server_copies` finds or creates the copies, and `sender` sends the data of one run.
"""
