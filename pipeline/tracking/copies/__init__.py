"""Copies runs to an MLflow server, in a helper process: the copying process.

`copying` determines the order of the runs and copies one by one. `server_copies` finds
or creates the copy of a run. `sender` sends the data of the run. In the main process,
`tracking.copier` copies one run in progress, and the command `sync` all runs.
"""
