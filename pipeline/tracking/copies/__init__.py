"""Copies of runs on an MLflow server.

`mirror` copies one run while it is open, `sync` all runs of the store. Both start a
companion process. In it, `copies` finds or creates the copies, and `sender` sends the
data of one run; `copying` determines the order.
"""
