"""Helpers for all packages: files, folders, locks, processes, text and the terminal.

`metric_names`, `params` and `tags` list the names of what a run records.
Its modules import only one another and `core`.
"""
