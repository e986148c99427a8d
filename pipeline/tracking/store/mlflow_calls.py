"""Imports MLflow without telemetry, and translates its errors.

The modules that import MLflow at their top are imported only by one another, and by
functions after a call to `import_mlflow`. Test: "mlflow is imported only".
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pipeline import UserError
from pipeline.base.progress import busy
from pipeline.tracking.store.location import database_path


@cache
def import_mlflow() -> None:
    """Import MLflow, and turn its telemetry off unless a user has set the variable.

    MLflow reads the variable at its import and before each event. Therefore, this also
    works if a user has imported MLflow before. The variable stays set: if it were
    removed later, another thread that copies the environment could fail.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with busy("importing MLflow"):
        import pipeline.tracking.store.client  # noqa: F401


@contextmanager
def using_mlflow(store: Path, action: str = "written") -> Iterator[None]:
    """Import and silence MLflow; turn its errors into an error with one line.

    Every call that uses MLflow for the store is in such a block.

    Raises:
        UserError, OSError: If the database of the store cannot be `action`.
    """
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    from pipeline.tracking.store.mlflow_internals import quiet

    try:
        with quiet():
            yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        reason = next((line for line in lines if "Error) " in line), lines[0])
        message = f"{database_path(store)} cannot be {action}: {reason}"
        if "disk is full" in str(error):
            raise OSError(errno.ENOSPC, message) from error
        raise UserError(message) from error
