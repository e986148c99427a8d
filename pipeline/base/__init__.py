"""Helpers for all packages: files, folders, locks, processes, text and the terminal.

Its modules import only one another and `core`.
"""
