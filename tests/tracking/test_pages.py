import os
import re

import pytest

from pipeline import tracking
from pipeline.base.tags import ENTRIES_TAG, NOTE_TAG
from pipeline.tracking.store import pages
from pipeline.tracking.store.sqlite import artifact_root
from pipeline.tracking.ui import serve_ui


def test_a_description_has_one_entry_per_key(store, start_run, client):
    with start_run(store) as run:
        curves = run.link("curves", "model-metrics")
        run.describe("A network.", {"page": "not created", "curves": curves})
        run.add_results({"Size": "16 KB", "Accuracy": "95%"})
        run.add_links({"page": run.link("report", "artifacts/a b.html")})
        run.add_results({"Accuracy": "96%"})
    note = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    address = f"#/experiments/1/runs/{run.run_id}"
    assert note == (
        f"[report]({address}/artifacts/a%20b.html?{pages.WORKFLOW}) · "
        f"[curves]({address}/model-metrics?{pages.WORKFLOW})\n\n"
        "A network.\n\n"
        "- **Accuracy**: 96%\n"
        "- **Size**: 16 KB"
    )


def test_new_results_do_not_change_a_remark_in_a_description(store, start_run, client):
    old = "- **Evaluation**: 96%\n- **Size**: 16 KB"
    new, both = "- **Evaluation**: 97%", "- **Evaluation**: 97%\n- **Size**: 16 KB"
    for note, expected in {
        f"A network.\n\n{old}\n\nMine!": f"A network.\n\n{both}\n\nMine!",
        "- **Evaluation**: mine": f"- **Evaluation**: mine\n\n{new}",
        f"{old} (mine)": f"{old} (mine)\n\n{new}",
        "": new,
    }.items():
        with start_run(store) as run:
            run.describe("A network.", {})
            run.add_results({"Size": "16 KB", "Evaluation": "96%"})
        client.set_tag(run.run_id, "mlflow.note.content", note)
        run.add_results({"Evaluation": "97%"})
        assert client.get_run(run.run_id).data.tags["mlflow.note.content"] == expected


def test_a_new_text_keeps_the_entries_of_other_stages(store, start_run, client):
    with start_run(store) as run:
        run.describe("One of two.", {})
        run.add_results({"Exports": "95%"})
        run.describe("Two of two.", {})
    note = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert note == "Two of two.\n\n- **Exports**: 95%"


def test_a_long_description_keeps_the_newest_results(store, start_run, client):
    with start_run(store) as run:
        run.describe("A network.", {"page": "a link"})
        for number in [*range(150), 0]:
            run.add_results({f"Set {number:03}": "9" * 90})
    tags = client.get_run(run.run_id).data.tags
    note = tags["mlflow.note.content"]
    assert note.startswith("a link\n\nA network.\n\n- **Set 000**")
    assert "**Set 001**" not in note and "**Set 149**" in note
    assert all(7000 < len(tags[tag]) <= 8000 for tag in (NOTE_TAG, ENTRIES_TAG))


@pytest.mark.parametrize("edited", ["", '{"results": {"Size"', "[]", '{"links": 3}'])
def test_entries_that_a_user_made_unreadable_count_as_none(
    store, start_run, client, edited
):
    with start_run(store) as run:
        run.describe("A network.", {"page": "a link"})
    client.set_tag(run.run_id, ENTRIES_TAG, edited)
    run.add_results({"Size": "16 KB"})
    run.add_results({"Size": "8 KB"})
    note = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert note == "a link\n\nA network.\n\n- **Size**: 8 KB"


def test_an_experiment_of_another_program_gets_a_note_and_a_view(store, client):
    client.create_experiment("my networks", f"{artifact_root(store)}/mine")
    with tracking.new_tracker(store, server=None, experiment="my networks").start_run(
        name="mine", params={}, tags={}
    ):
        pass
    experiment = client.get_experiment_by_name("my networks")
    page = pages.list_page(experiment.experiment_id, experiment.tags)
    assert page.startswith("#/experiments/2/runs?") and "viewStateShareKey" in page
    assert f"({page})" in experiment.tags["mlflow.note.content"]
    # MLflow opens another page if the URL names a view that does not exist.
    assert pages.list_page("3", {}) == f"#/experiments/3/runs?{pages.WORKFLOW}"


def test_the_server_leaves_no_environment_variable(recorded, monkeypatch):
    from mlflow.server import ARTIFACT_ROOT_ENV_VAR, BACKEND_STORE_URI_ENV_VAR

    monkeypatch.setenv(ARTIFACT_ROOT_ENV_VAR, "file:///mine")
    monkeypatch.delenv(BACKEND_STORE_URI_ENV_VAR, raising=False)
    before = {**os.environ}
    with serve_ui(recorded, run=None):
        assert os.environ[BACKEND_STORE_URI_ENV_VAR].startswith("sqlite:")
    assert {**os.environ} == before


def test_the_links_in_a_sweep_open_its_swept_values_and_accuracies(recorded, chromium):
    (sweep,) = tracking.tagged_runs(recorded, "kind", ["sweep"])
    note = sweep.tags["mlflow.note.content"]
    table, chart = re.findall(r"\]\((.+?)\)", note)
    section = "[data-testid=experiment-view-compare-runs-section-header]"
    with (
        serve_ui(recorded, run=None) as address,
        chromium.new_page(viewport={"width": 1366, "height": 768}) as page,
    ):
        base = address.partition("#")[0]
        page.goto(base + table)
        page.get_by_text("2 matching runs").wait_for()
        headings = page.locator("[role=columnheader]")
        names = ["Run Name", "hidden", "seed", "val/accuracy"]
        boxes = [headings.filter(has_text=name).first.bounding_box() for name in names]
        positions = [box["x"] for box in boxes]
        assert positions == sorted(positions)
        page.goto(base + chart)
        page.get_by_text("hidden vs. val/accuracy").wait_for()
        heading = page.locator(section).first.inner_text()
        assert heading.startswith("Validation accuracy\n(2)")
        page.get_by_text("matching runs").wait_for()
