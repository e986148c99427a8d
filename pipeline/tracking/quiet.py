"""Keeps MLflow quiet while this project uses it: no telemetry, no lines in the log.

These settings belong to the process, which may be a user's notebook, so they are
restored.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
LOGGERS = ("mlflow", "alembic")  # they log every error that they also raise
_lock = threading.Lock()
_blocks = 0  # that are open, in all threads
_restore = ExitStack()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence MLflow during the block, in all threads; blocks can be nested."""
    global _blocks
    with _lock:
        if _blocks == 0:
            _silence()
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                _restore.close()


def _silence() -> None:
    _restore.callback(_set_variable, os.environ.get(TELEMETRY))
    _set_variable("true")  # nothing leaves this machine
    import mlflow  # noqa: F401  its import reads the variable and sets the levels

    for logger in map(logging.getLogger, LOGGERS):
        _restore.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)


def _set_variable(value: str | None) -> None:
    os.environ.pop(TELEMETRY, None)
    if value is not None:
        os.environ[TELEMETRY] = value
