"""These tests fail if a new version of MLflow changes what the package relies on."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import server
from PIL import Image
from sqlalchemy import text

from pipeline.records.tags import Status
from pipeline.tracking import RunStart, ui_server
from pipeline.tracking.store import database, mlflow_internals, pages
from pipeline.tracking.store.location import artifact_root
from pipeline.tracking.store.sqlite import (
    ARTIFACT_COLUMNS,
    LOCKED_SECONDS,
    relocate_artifacts,
)


@pytest.fixture
def run(client):
    return client.create_run("1")


def dump(database):
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump())


def test_moving_a_store_updates_every_column_with_an_artifact_uri(store, client, run):
    client.create_logged_model("1", name="model", source_run_id=run.info.run_id)
    path = store / "mlflow.db"
    before, after = f"'{artifact_root(store)}", "'file:///elsewhere"
    content = dump(path)
    assert content.count(before) >= len(ARTIFACT_COLUMNS)
    with closing(sqlite3.connect(path)) as connection:
        relocate_artifacts(connection, before[1:], after[1:])
    assert dump(path) == content.replace(before, after)


def test_a_read_waits_for_a_writer_as_long_as_mlflow_does(client):
    with client._tracking_client.store.ManagedSessionMaker() as session:
        assert session.scalar(text("PRAGMA busy_timeout")) == LOCKED_SECONDS * 1000


def test_the_runs_that_sql_finds_are_those_of_mlflow(store, client, start_run):
    tags = {"kind": "sweep", "a b": "'"}
    with start_run(store, name="a 'name'", tags=tags) as sweep:
        for number in range(2):
            tags = {"sweep": "the sweep's ID", "fingerprint": str(number)}
            # A child that reuses a run has its start, so both can have the same.
            start = RunStart(str(number), {"hidden": number}, tags, time=1000)
            with sweep.child(start):
                pass
    (found,) = database.tagged_runs(store, "a b", ["'", "another"])
    expected = client.get_run(sweep.run_id)
    assert (found.run_id, found.name) == (sweep.run_id, expected.info.run_name)
    assert found.status is Status.FINISHED and found.experiment == "digits"
    assert found.tags == expected.data.tags and found.artifacts == sweep.artifacts
    oldest, newest = database.children_of(store, sweep.run_id)
    assert [run.tags["fingerprint"] for run in (oldest, newest)] == ["0", "1"]
    params = [{"hidden": "1"}, {"hidden": "0"}]
    assert database.recorded_params(store, [newest, oldest]) == params
    client.delete_run(newest.run_id)
    assert [run.run_id for run in database.children_of(store, sweep.run_id)] == [
        oldest.run_id
    ]
    assert not database.tagged_runs(store, "kind", ["training"])


def test_the_images_of_a_slider_have_the_names_that_mlflow_writes(client, run):
    image = Image.new("RGB", (9, 9))
    client.log_image(run.info.run_id, image, key="weights/layer_1", step=20)
    files = client.list_artifacts(run.info.run_id, "images")
    changing = r"(?<=timestamp\+)\d+\+[\w-]+"  # a time and an identifier
    names = {re.sub(changing, "20+0", file.path) for file in files}
    assert names == {*mlflow_internals.image_files("weights/layer_1", 20)}


def test_the_ui_contains_the_names_on_which_the_saved_view_and_the_pages_rely():
    folder = Path(server.__file__).parent / "js" / "build"
    code = "".join(path.read_text() for path in folder.rglob("*.js"))
    key, version = ui_server.ASSISTANT_KEY.rsplit("_v", 1)
    view = pages.experiment_tags("1")[mlflow_internals.VIEW_TAG + pages.VIEW]
    compression = json.loads(view)["state"].partition(";")[0]
    _, charts = pages.children_tag("r", ["hidden"])
    address = pages.children_links("1", "r")["charts"].partition("?")[2]
    for name in (
        *(f'key:"{key}",version:{version}', f"{compression};", "model-metrics"),
        *(mlflow_internals.VIEW_TAG, *re.findall(r"(\w+)=(?!r)", address)),
        *("selectedColumns", "columnOrder", "columnWidths"),
        *[name for name in pages.COLUMNS if name.isalpha()],
        *re.findall(r'"(\w+)": ', charts),
        *("SHOW_ALL", "TABLE", "SCATTER", "PARALLEL", "LINE", "selectedMetricKeys"),
        *('TAGS:"tags"', "Model training"),
    ):
        assert name in code, name
