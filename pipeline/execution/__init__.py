"""Runs a function for many tasks, in local processes or on a Ray cluster.

`companion` starts a second process for any purpose.
"""
