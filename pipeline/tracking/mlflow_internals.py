"""Everything that depends on internals of MLflow: its tables, classes and file names.

MLflow can change these in any release. `tests/tracking/test_mlflow_internals.py` fails
if it does.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

ARTIFACT_COLUMNS = {  # by table: where MLflow stores absolute addresses of artifacts
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
}


def create_database(uri: str, artifacts: str) -> None:
    """Create MLflow's tables in an empty database."""
    SqlAlchemyStore(uri, artifacts).engine.dispose()


def relocate_artifacts(database: Path, before: str, after: str) -> None:
    """Replace the root of all artifact addresses, in one transaction.

    Raises:
        sqlite3.Error: If the database cannot be written to; then nothing is replaced.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in ARTIFACT_COLUMNS.items():
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE substr({column} || '/', 1, ?) = ?",
                (after, len(before) + 1, len(before) + 1, f"{before}/"),
            )


def image_files(key: str, step: int) -> tuple[str, str]:
    """Return the artifacts of an image that the UI displays on a slider over the steps.

    These are the image and its thumbnail. MLflow gives them another time and another
    identifier whenever an image is logged; here, an image that is logged again replaces
    the first.
    """
    stem = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{step}+0"
    return f"{stem}.png", f"{stem}+compressed.webp"


def image_cell(stem: str) -> dict[str, str]:
    """Return the cell of a `log_table` table that displays an image and thumbnail."""
    files = {"filepath": f"{stem}.png", "compressed_filepath": f"{stem}.webp"}
    return {"type": "image", **files}
