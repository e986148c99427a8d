"""Everything that depends on internals of MLflow: its tables, classes and file names.

MLflow can change these in any release. `tests/tracking/test_mlflow_internals.py` fails
if it does.
"""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

ARTIFACT_COLUMNS = {  # by table: where MLflow stores absolute addresses of artifacts
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
}
THUMBNAIL = re.compile(r"images/(.+)[+%]step[+%](\d+)[+%].*\.webp")


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


def recorded_images(paths: Iterable[str]) -> set[tuple[str, int]]:
    """Return key and step of the images that `log_image` wrote completely.

    MLflow writes a thumbnail (.webp) after the image itself, and replaces the / in a
    key with another character. `paths` are the artifacts in the run's folder `images`.
    """
    matches = filter(None, map(THUMBNAIL.fullmatch, paths))
    return {(re.sub(r"\W", "/", match[1]), int(match[2])) for match in matches}


def image_cell(stem: str) -> dict[str, str]:
    """Return the cell of a `log_table` table that displays an image and thumbnail."""
    files = {"filepath": f"{stem}.png", "compressed_filepath": f"{stem}.webp"}
    return {"type": "image", **files}
