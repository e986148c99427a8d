"""Runs a function for many tasks, in local processes or on a Ray cluster.

`helper_process` starts a second process for any purpose.
"""
