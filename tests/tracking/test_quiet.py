"""MLflow's settings belong to the process, so they are restored after their use."""

import logging
import os

from pipeline.tracking.quiet import LOGGERS, TELEMETRY, quiet


def test_mlflow_is_silent_until_the_last_of_several_blocks_ends(monkeypatch):
    def state():
        return os.environ.get(TELEMETRY), *(logging.getLogger(n).level for n in LOGGERS)

    silent = ("true", logging.CRITICAL, logging.CRITICAL)
    for user in ("false", None):
        monkeypatch.delenv(TELEMETRY, raising=False)
        if user:
            monkeypatch.setenv(TELEMETRY, user)
        before = state()
        first, second = quiet(), quiet()  # as in two threads
        first.__enter__()
        second.__enter__()
        assert state() == silent
        first.__exit__(None, None, None)
        assert state() == silent
        second.__exit__(None, None, None)
        assert state() == before and before[0] == user
