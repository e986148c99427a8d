"""Copies of runs on an MLflow server.

`mirror` copies one run while it is open, the command `sync` all runs of the store. A
helper process, which can be the one that records a training run, runs the functions of
`copying_functions`. `order` determines the order, `server` finds or creates the copies,
and `sender` sends the data of one run.
"""
