"""Asks a server for the tags of a run, to explain why the store lacks the run.

Runs in the main process, except `_read_tags`, which runs in a helper process.

MLflow's client decides which credentials a server gets, as for copies. Its import takes
a second, its settings are variables of the whole process, and its timeout applies to
each read, so a server that sends a byte at a time never exceeds this timeout.
Therefore, the client is in a process of its own, which ends after `SERVER_SECONDS`.
"""

import os
import re
from contextlib import closing, suppress

from pipeline import UserError
from pipeline.base.helper_process import HelperProcess
from pipeline.tracking.store.mlflow_calls import import_mlflow

ASKING_PROCESS = "the process that asks the server"  # the name in messages
SERVER_SECONDS = 3  # maximum wait for a server, without the import of MLflow


def tags_on(server: str, run_id: str) -> dict[str, str] | None:
    """Return the tags of the run with this ID on a server; None without such a run."""
    if not re.fullmatch("[0-9a-f]{32}", run_id):
        return None
    with (
        suppress(UserError, OSError),  # the process failed, or the time is over
        closing(HelperProcess(ASKING_PROCESS, quiet=True)) as helper,
    ):
        helper.submit(import_mlflow).result()
        return helper.submit(_read_tags, server, run_id).result(SERVER_SECONDS)
    return None


def _read_tags(server: str, run_id: str) -> dict[str, str] | None:
    import_mlflow()
    from mlflow import MlflowClient

    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        return dict(MlflowClient(server).get_run(run_id).data.tags)
    # The URL may belong to a different kind of server, whose response raises any error.
    except Exception:  # noqa: BLE001
        return None
