"""Copies runs to an MLflow server.

Runs in the copying process.

Copying a run means sending its new data to its copy, the run on the server. The main
process calls the functions of `copier` in the copying process: `CopyingProcess` calls
`copy_with_children` for a run in progress, and the command `sync` calls `copy_run` for
each run. These are the steps of a copy:

1. `copier.copy_with_children` determines the order of a run and its children.
2. `copier.copy_run` copies a run while no other process copies runs of this store.
3. `Copies.copy` finds or creates the copy, and returns a `CopyStatus`.
4. `Sender.send` sends the data of the run that this process has not sent.
"""
