"""These tests fail if a new version of MLflow changes what the package relies on."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pytest
from PIL import Image

from pipeline.tracking import mlflow_internals
from pipeline.tracking.store import artifact_root, path_from_uri


@pytest.fixture
def run(client):
    return client.create_run("1")


def columns_with(database, text):
    """Return each (table, column) with a value that begins with this text."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        columns = [
            (table, row[1])
            for (table,) in tables.fetchall()
            for row in connection.execute(f"PRAGMA table_info({table})")
        ]
        return {
            (table, column)
            for table, column in columns
            if connection.execute(
                f'SELECT 1 FROM {table} WHERE substr("{column}", 1, ?) = ?',
                (len(text), text),
            ).fetchone()
        }


def test_the_columns_with_artifact_addresses_are_those_that_relocation_updates(
    store, client, run
):
    client.create_logged_model("1", name="model", source_run_id=run.info.run_id)
    expected = {*mlflow_internals.ARTIFACT_COLUMNS.items()}
    before, after = artifact_root(store), "file:///elsewhere"
    database = store / "mlflow.db"
    # The default experiment 0 of MLflow has its own location, which nothing uses.
    assert columns_with(database, f"{before}") == expected
    mlflow_internals.relocate_artifacts(database, before, after)
    assert columns_with(database, f"{before}") == set()
    assert columns_with(database, f"{after}") == expected


def test_key_and_step_of_an_image_are_read_from_its_file_names(client, run):
    run_id, image = run.info.run_id, Image.new("RGB", (9, 9))
    client.log_image(run_id, image, key="weights/templates", step=20)
    paths = [file.path for file in client.list_artifacts(run_id, "images")]
    assert mlflow_internals.recorded_images(paths) == {("weights/templates", 20)}
    # A process that is killed between the two files has not recorded the image.
    (png,) = [path for path in paths if not path.endswith(".webp")]
    assert mlflow_internals.recorded_images([png]) == set()


def test_an_image_cell_has_the_fields_that_mlflow_writes(client, run):
    image = mlflow.Image(np.zeros((9, 9, 3), np.uint8))
    client.log_table(run.info.run_id, {"image": [image]}, "table.json")
    folder = path_from_uri(run.info.artifact_uri)
    ((cell,),) = json.loads((folder / "table.json").read_text())["data"]
    ours = mlflow_internals.image_cell("stem")
    assert cell.keys() == ours.keys() and cell["type"] == ours["type"]
    for key in ("filepath", "compressed_filepath"):
        path = folder / cell[key]
        assert path.exists() and path.suffix == Path(ours[key]).suffix
