"""Sweeps: many training runs under one parent run, and their report.

It does not parse the values of a sweep; `pipeline.cli` does.
"""
