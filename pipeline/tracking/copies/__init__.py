"""Copies runs to an MLflow server.

Runs in the copying process.

To copy a run is to send its new data to its copy, the run on the server. The command
`sync` copies all runs, and the setting `server` one run that is in progress.

`copying` determines the order of the runs and copies one by one. `server_copies` finds
or creates the copy of a run. `sender` sends the data of the run.
"""
