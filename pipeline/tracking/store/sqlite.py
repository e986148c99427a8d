"""Opens the database of the store, and updates a store that was moved.

`database.py` reads the runs, and `client.py` writes to the store. This module does not
import MLflow.
"""

import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline import UserError
from pipeline.base.terminal import say
from pipeline.base.text import command_line
from pipeline.tracking.store.location import (
    artifact_root,
    database_path,
    path_from_uri,
)
from pipeline.tracking.store.locks import write_lock

# Maximum wait of a read for another process that writes. MLflow's own sessions wait as
# long; on a busy machine, five seconds, the default of Python, can be too short.
LOCKED_SECONDS = 20
ARTIFACT_ROOT = re.compile("file:.*/mlflow-artifacts")
ARTIFACT_COLUMNS = {  # by table: where MLflow stores absolute URIs of artifacts
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
}


def require_store(store: Path) -> None:
    """Check a store, and update the URIs of its artifacts if it was moved or copied.

    Raises:
        UserError: If the database cannot be read or written, or the artifacts are
            elsewhere.
    """
    with open_database(store) as connection:
        before, after = artifact_roots(store, connection)
    if before == after:
        return
    with write_lock(store), open_database(store, "written") as connection:
        relocate_artifacts(connection, before, after)
    say(
        f"{store} was moved or copied: the URIs of its artifacts were updated",
        file=sys.stderr,
    )


@contextmanager
def open_database(store: Path, action: str = "read") -> Iterator[sqlite3.Connection]:
    """Open the database of a store.

    Raises:
        UserError: If nothing is recorded yet, or the database cannot be `action`.
    """
    database = database_path(store)
    if not database.exists():
        raise UserError(
            f"{database} is missing, because no run has been recorded yet: "
            f"run {command_line('train')}"
        )
    try:
        with closing(sqlite3.connect(database, timeout=LOCKED_SECONDS)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise UserError(f"{database} cannot be {action}: {error}") from error


def artifact_roots(store: Path, connection: sqlite3.Connection) -> tuple[str, str]:
    """Return the `artifact_root` in the database, and that in a store that was moved.

    The first experiment, MLflow's Default, was created with the store, so its artifacts
    show the root that was written last. Experiments of other programs may have their
    artifacts elsewhere. URIs of such artifacts are not changed.
    """
    first = "SELECT artifact_location FROM experiments ORDER BY experiment_id LIMIT 1"
    row = connection.execute(first).fetchone()  # None if `mlflow gc` removed all
    before = str(row[0]).rpartition("/")[0] if row else ""
    after = artifact_root(store)
    if before == after or not ARTIFACT_ROOT.fullmatch(before):
        return after, after
    if not path_from_uri(after).is_dir():
        raise UserError(
            f"{database_path(store)} expects its artifacts in {before}, not in "
            f"{after}: move mlflow-artifacts to the same folder, or move mlflow.db "
            "away to start with a new store"
        )
    return before, after


def relocated(uri: str, before: str, after: str) -> str:
    """Return the URI of an artifact after a move of the root from `before` to `after`.

    The URI of an artifact that is not below `before` does not change.
    """
    is_below = f"{uri}/".startswith(f"{before}/")
    return after + uri.removeprefix(before) if is_below else uri


def relocate_artifacts(connection: sqlite3.Connection, before: str, after: str) -> None:
    """Replace the root of all artifact URIs, in one transaction."""
    connection.create_function("relocated", 3, relocated, deterministic=True)
    with connection:
        for table, column in ARTIFACT_COLUMNS.items():
            connection.execute(
                f"UPDATE {table} SET {column} = relocated({column}, ?, ?) "
                f"WHERE {column} IS NOT NULL",
                (before, after),
            )
