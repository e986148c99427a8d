import re

from pipeline import tracking
from pipeline.tracking.store import pages
from pipeline.tracking.store.location import artifact_root
from pipeline.tracking.ui import serve_ui


def test_an_experiment_of_another_program_gets_a_note_and_a_view(store, client):
    client.create_experiment("my networks", f"{artifact_root(store)}/mine")
    with tracking.new_tracker(store, server=None, experiment="my networks").start_run(
        name="mine", params={}, tags={}, time=1
    ):
        pass
    experiment = client.get_experiment_by_name("my networks")
    page = pages.list_page(experiment.experiment_id, experiment.tags)
    assert page.startswith("#/experiments/2/runs?") and "viewStateShareKey" in page
    assert f"({page})" in experiment.tags["mlflow.note.content"]
    # MLflow opens another page if the URL names a view that does not exist.
    assert pages.list_page("3", {}) == f"#/experiments/3/runs?{pages.WORKFLOW}"


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
