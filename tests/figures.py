"""Generates the figures in .github/, so that they show the current texts.

    python tests/figures.py

Takes three minutes on two cores and needs Chromium. Run this script after
you change a text that a figure shows. `tests/benchmarks/upright.py` generates
`upright.png`.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from images.drawn_digits import chalk, graph_paper, paper_edges, shadow, thin_pen
from images.drawn_digits import faint_pencil as pencil
from PIL import Image
from playwright.sync_api import sync_playwright

from pipeline import datasets
from pipeline.inspect import inspect
from pipeline.plots import weight_images
from pipeline.predict import predict
from pipeline.train import sweep, train

ROOT = Path(__file__).resolve().parent.parent
FIGURES, DATA = ROOT / ".github", ROOT / "outputs" / "data"
KINDS = {paper_edges: 2, thin_pen: 9, graph_paper: 3, chalk: 4, pencil: 6, shadow: 7}
TIMEOUT = 60_000  # milliseconds, for a busy machine


def arc(x, y, width, height, start, end):
    """Return points of an ellipse, as fractions of the board, between two angles."""
    angles = np.radians(np.linspace(start, end, 25))
    return [*zip(x + width * np.cos(angles), y + height * np.sin(angles), strict=True)]


THREE = arc(0.47, 0.33, 0.17, 0.16, -155, 70) + arc(0.5, 0.68, 0.2, 0.2, -75, 150)


def write_photos(folder):
    """Redraw a test digit of MNIST for each kind of photograph."""
    test = datasets.load("mnist", folder=DATA).test
    rng = np.random.default_rng(1)
    folder.mkdir()
    for kind, label in KINDS.items():
        digit = test.images[[*test.labels].index(label)]
        name = kind.__name__.replace("_", " ")
        kind(digit, rng).save(folder / f"{label} {name}.png")


def clip(x, y, width, height):
    return {"x": x, "y": y, "width": width, "height": height}


def save(screenshot, name):
    """Save a screenshot with at most 256 colors, which takes a third of the space."""
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    image.quantize(256).save(FIGURES / name, optimize=True)


@contextmanager
def mlflow_ui():
    """Start MLflow's UI, and return the URL of the server."""
    command = [sys.executable, "-m", "pipeline.ui", "browser=false"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as ui:
        try:
            yield ui.stdout.readline().partition("/#/")[0]
        finally:
            ui.terminate()


def draw(page, points):
    """Draw a stroke on the page of `inspect`."""
    page.locator("#clear").click()
    board = page.locator("#board").bounding_box()
    for number, (x, y) in enumerate(points):
        page.mouse.move(
            board["x"] + x * board["width"], board["y"] + y * board["height"]
        )
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def photograph_report(page, report):
    page.set_viewport_size({"width": 1366, "height": 900})
    page.goto(report.as_uri())
    page.locator("#prediction:not(:empty)").wait_for()
    draw(page, THREE)
    page.get_by_text("N16", exact=True).first.click()
    page.mouse.move(640, 880)
    page.wait_for_timeout(1000)  # the board is drawn in the next frames
    page.screenshot(path=FIGURES / "report.png", clip=clip(0, 0, 1366, 884))


def photograph_runs(page, server, *, sweep_id, run_id):
    page.set_viewport_size({"width": 1366, "height": 1500})
    page.goto(f"{server}/#/experiments/1/runs/{sweep_id}")
    page.get_by_text("Child runs", exact=True).wait_for()
    page.get_by_text("Show more").click()
    page.wait_for_timeout(2000)
    # The clip excludes the menu on the left.
    save(page.screenshot(clip=clip(198, 8, 1160, 560)), "parent.png")
    page.goto(f"{server}/#/experiments/1/runs/{run_id}/model-metrics")
    epoch = page.get_by_role("spinbutton")
    epoch.fill("20")
    epoch.blur()  # MLflow then shows the weights after this epoch
    page.wait_for_timeout(5000)  # the plots are drawn one after another
    save(page.screenshot(clip=clip(206, 620, 762, 856)), "mlflow.png")


def main(outputs):
    """Train, explain and predict in a folder for the results, and make the images."""
    (outputs / "data").symlink_to(DATA)
    sizes = sweep(experiment="hidden_sizes", quiet=True)
    shutil.copy(sizes.folder / "sweep.png", FIGURES)
    trained = train(quiet=True)
    tensors = trained.epochs[-1].tensors
    title = f"epoch {trained.epochs[-1].number}"
    image = weight_images(tensors["layer_1.weight"], tensors, title=title)
    image.save(FIGURES / "weights.png")
    write_photos(outputs / "photos")
    predicted = predict(images=outputs / "photos", quiet=True)
    shutil.copy(predicted.folder / "preprocessing.png", FIGURES)
    report = inspect(quiet=True).folder / "report.html"
    with mlflow_ui() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium-headless-shell",
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page()
        page.set_default_timeout(TIMEOUT)
        photograph_report(page, report)
        photograph_runs(page, server, sweep_id=sizes.run_id, run_id=trained.run_id)
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PIPELINE_OUTPUTS"] = folder
        main(Path(folder))
