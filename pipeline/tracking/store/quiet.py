"""Keeps MLflow quiet while this project uses it: no telemetry, no lines in the log.

The levels of the loggers belong to the process, which may be a user's notebook, so they
are restored.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow  # noqa: F401  sets the levels of its loggers

from pipeline.base.process import disable_telemetry

LOGGERS = ("mlflow", "alembic")  # they log every error that they also raise
_lock = threading.Lock()
_blocks = 0  # open blocks, in all threads
_levels: dict[str, int] = {}  # the levels to restore


@contextmanager
def quiet() -> Iterator[None]:
    """Silence MLflow during the block, in all threads; blocks can be nested."""
    global _blocks
    disable_telemetry()  # a user may have imported MLflow before
    with _lock:
        _blocks += 1
        if _blocks == 1:
            for name in LOGGERS:
                _levels[name] = logging.getLogger(name).level
                logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                for name, level in _levels.items():
                    logging.getLogger(name).setLevel(level)
