"""Helpers for all packages: files, folders, locks, processes, text and the terminal.

`metric_names`, `params` and `tags` list the names of what a run records.
The modules of this package import only one another and `core`.
"""
