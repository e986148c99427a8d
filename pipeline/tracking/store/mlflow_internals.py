"""Code that depends on internals of MLflow; `ui_server` runs MLflow's server.

Any release of MLflow can change these internals. In this case,
`tests/tracking/test_mlflow_internals.py` fails.
"""

import base64
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.logging_utils import suppress_logs_in_thread
from sqlalchemy import Engine, event

from pipeline.tracking.store.location import sqlite_uri

VIEW_QUERY = "viewStateShareKey"  # the query of a list's URL that selects a view
VIEW_TAG = "mlflow.sharedViewState."  # followed by the key of a view: an experiment tag


@contextmanager
def quiet() -> Iterator[None]:
    """Silence MLflow in this thread, because MLflow logs each error that it raises."""
    with suppress_logs_in_thread():
        yield


def create_database(path: Path, artifacts: str) -> None:
    """Create MLflow's tables in an empty database.

    MLflow commits 68 times, and SQLite would wait for the disk each time. Therefore,
    only the caller flushes the file, when the file is complete.
    """

    def do_not_flush(connection: object, _: object) -> None:
        # Other threads can open other databases at the same time, such as PostgreSQL.
        if not isinstance(connection, sqlite3.Connection):
            return
        if connection.execute("PRAGMA database_list").fetchone()[2] == str(path):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", do_not_flush)
    try:
        SqlAlchemyStore(sqlite_uri(path), artifacts).engine.dispose()
    finally:
        event.remove(Engine, "connect", do_not_flush)


def image_files(key: str, step: int) -> tuple[str, str]:
    """Return the paths of an image that the UI displays on a slider over the steps.

    The two paths, in the artifacts, are for the image and its thumbnail. MLflow's own
    paths contain a time and a random identifier. With the paths of this function, an
    image that is logged again replaces the first image.
    """
    stem = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{step}+0"
    return f"{stem}.png", f"{stem}+compressed.webp"


def saved_view(name: str, state: Mapping[str, Any]) -> str:
    """Return the value of the tag of an experiment that saves a view of its runs.

    The UI has defaults for missing parts of `state`.
    """
    compressed = zlib.compress(json.dumps(state).encode(), level=9)
    text = f"deflate;{base64.b64encode(compressed).decode()}"
    value = {"name": name, "createdAt": 0, "updatedAt": 0, "state": text}
    return json.dumps(value)
