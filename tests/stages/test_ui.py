"""MLflow's UI, started by `pipeline.ui`, in a real Chromium."""

import contextlib
import re
import signal
import socket

import pytest
import requests

from pipeline import UserError
from pipeline.tracking import ui_server

TIMEOUT = 60_000  # milliseconds, for a busy machine


@pytest.fixture(scope="module")
def ui(finished, tmp_path_factory):
    """A process of `pipeline.ui`, its URL, and the file with what it opened."""
    opened = tmp_path_factory.mktemp("browser") / "opened.txt"
    browser = opened.with_name("browser")
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}')
    browser.chmod(0o755)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # another program may use the port too
            stack.enter_context(socket.create_server(("127.0.0.1", 5000)))
        process = finished.start("ui", BROWSER=str(browser))
        process.address = process.stdout.readline().strip()
    process.opened = opened
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def page(chromium):
    """A page of a laptop's size in Chromium."""
    page = chromium.new_page(viewport={"width": 1366, "height": 768})
    page.set_default_timeout(TIMEOUT)
    yield page
    page.close()


def test_the_list_of_runs_is_opened_on_a_free_port_only_for_this_machine(ui):
    base, _, path = ui.address.partition("/#/")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", base) and base[-5:] != ":5000"
    assert path.startswith("experiments/1/runs?workflowType=machine_learning")
    assert "Ctrl-C" in ui.stdout.readline()
    assert ui.stdout.readline().startswith("MLflow shows a message that this is a sh")
    response = requests.get(base, timeout=30)
    assert response.status_code == 200
    assert response.headers["X-Frame-Options"] == "SAMEORIGIN"
    host = {"Host": "evil.example"}
    assert requests.get(base, headers=host, timeout=30).status_code == 403
    # A server that listens on all addresses would answer on this one too.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", int(base.rpartition(":")[2])), timeout=5)
    assert ui.opened.read_text().strip() == ui.address


def test_the_saved_view_has_the_columns_that_compare_networks(ui, page):
    page.goto(ui.address)
    page.get_by_role("button", name="Newest first").wait_for()
    page.get_by_text("hidden=20 seed=1").wait_for()
    columns = ["val/accuracy", "hidden", "epochs", "seed", "lr", "dataset", "Duration"]
    headings = page.locator("[role=columnheader]")
    boxes = [headings.filter(has_text=name).first.bounding_box() for name in columns]
    positions = [box["x"] for box in boxes]
    assert positions == sorted(positions)
    assert positions[-1] + boxes[-1]["width"] < 1366  # nothing is out of view
    page.get_by_role("link", name="Show accuracy and settings").wait_for()
    page.get_by_text("You're viewing a shared view.").wait_for()  # see tracking/README
    assert not page.get_by_placeholder("Ask a question").count()  # the chat panel
    key = f"localStorage.getItem('{ui_server.ASSISTANT_KEY}')"
    assert page.evaluate(key) == "true"


def test_the_charts_of_the_runs_compare_training_and_validation(ui, page):
    page.goto(ui.address)
    page.get_by_role("button", name="Newest first").wait_for()
    page.locator("label:has([name=runs-view-mode])").nth(1).click()
    for name in ("loss", "accuracy"):
        page.get_by_text(f"train/{name} vs val/{name}").wait_for()


def test_learning_curves_are_first_then_weights_then_the_results_of_other_stages(
    ui, page, recorded
):
    run = f"{ui.address.partition('#')[0]}#/experiments/1/runs/{recorded.info.run_id}"
    page.goto(f"{run}?workflowType=machine_learning")
    page.get_by_text("val/accuracy").first.wait_for()
    text = page.locator("body").inner_text()
    assert text.index("val/accuracy") < text.index("train/loss")
    assert text.index("train/loss") < text.index("weights/layer_1")
    page.goto(f"{run}/model-metrics?workflowType=machine_learning")
    section = page.locator("[data-testid=experiment-view-compare-runs-section-header]")
    section.filter(has_text=re.compile(r"^\s*weights\b(?!/)")).wait_for()  # the images
    names = [text.split()[0] for text in section.all_inner_texts()]
    # MLflow adds an empty section for the user's own charts.
    sections = names[: names.index("Model")]
    assert sections[:3] == ["train", "val", "weights"]
    weights = [name for name in sections if name.startswith("weights")]
    assert sections[2:] == [*weights, "with_final_weights", "with_test_set/mnist"]


def test_the_links_of_a_description_are_visible_without_show_more(ui, page, recorded):
    run = f"{ui.address.partition('#')[0]}#/experiments/1/runs/{recorded.info.run_id}"
    page.goto(f"{run}?workflowType=machine_learning")
    more = page.get_by_role("button", name="Expand description").bounding_box()
    for name in ("learning curves and images of the weights", "history.csv"):
        box = page.get_by_role("link", name=name).bounding_box()
        assert box["y"] + box["height"] < more["y"]


def test_ctrl_c_ends_the_ui_and_leaves_no_process(ui):
    ui.send_signal(signal.SIGINT)
    assert ui.wait(timeout=60) == 0
    base = ui.address.partition("/#/")[0]
    with pytest.raises(requests.ConnectionError):
        requests.get(base, timeout=5)


def test_a_missing_store_or_run_is_reported_in_one_line(new_project, finished):
    missing = r"no run has been recorded yet: run python .*train"
    with pytest.raises(UserError, match=missing):
        new_project.call("ui")
    with pytest.raises(UserError, match="has no run 'nothing'"):
        finished.call("ui", run="nothing")
