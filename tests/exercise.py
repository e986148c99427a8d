"""Executes pipeline/exercise.ipynb, and stores images of it that answer no question.

    python tests/exercise.py

All other outputs are removed, because they would answer the questions. test_exercise.py
executes the notebook too.
"""

import base64
import io
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "pipeline" / "exercise.ipynb"
# The cells whose images are stored: none of them answers a question. The images of
# weights would: their gray pixels can be counted.
STORED = {"samples", "own-steps", "fashion-samples"}
QUESTION = re.compile(r'\bcheck\(\s*"(\w+)"')  # the check in the cell of the answer
COLORS = 256  # the colors of stored images, which are then a third of the size


def read():
    return nbformat.read(NOTEBOOK, as_version=4)


def execute(
    outputs,
    *,
    student="",
    course="",
    answers=None,
    epochs=20,
    experiments=20,
    others=None,
):
    """Execute the notebook in its folder, as JupyterLab does; return it.

    Args:
        outputs: The folder of the results.
        student: What a student types into the cell with the settings.
        course: The course code that a student types into this cell.
        answers: What is typed as an answer, by the name of the question.
        epochs: The epochs of the network that is trained first.
        experiments: The epochs of each network of the follow-up questions.
        others: Other settings of the homework.
    """
    notebook = read()
    for cell in code_cells(notebook):
        cell.source = cell.source.replace('STUDENT = ""', f"STUDENT = {student!r}")
        cell.source = cell.source.replace('COURSE = ""', f"COURSE = {course!r}")
        cell.source = cell.source.replace("EPOCHS = 20", f"EPOCHS = {epochs}")
        cell.source = cell.source.replace("SETTINGS = {}", f"SETTINGS = {others or {}}")
        shorter = f"epochs={experiments}, batch_size"
        cell.source = cell.source.replace("epochs=EPOCHS, batch_size", shorter)
        if found := QUESTION.search(cell.source):
            answer = (answers or {}).get(found[1])
            cell.source = cell.source.replace("answer = None", f"answer = {answer!r}")
    client = NotebookClient(
        notebook,
        timeout=None,  # the timeout of pytest applies
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
        coalesce_streams=True,
        record_timing=False,
    )
    client.execute(env={**os.environ, "PIPELINE_OUTPUTS": str(outputs)})
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def printed(cell, stream="stdout"):
    """Return what a cell wrote to stdout or stderr."""
    return "".join(x.text for x in cell.outputs if x.get("name") == stream)


def remove_answers(notebook):
    """Remove all outputs except the stored images, which are reduced."""
    for cell in code_cells(notebook):
        cell.execution_count = None
        outputs = cell.outputs if cell.id in STORED else []
        cell.outputs = [each for each in outputs if "image/png" in each.get("data", {})]
        for output in cell.outputs:
            output.data.pop("image/jpeg", None)  # Pillow displays both
            output.data["image/png"] = _reduced(output.data["image/png"])
            if "execution_count" in output:
                output.execution_count = None


def _reduced(png):
    reduced = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    image.quantize(COLORS).save(reduced, "PNG", optimize=True)
    return base64.b64encode(reduced.getvalue()).decode()


def main():
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder).resolve() / "outputs"
        outputs.mkdir()
        (outputs / "data").symlink_to(ROOT / "outputs" / "data")
        executed = execute(outputs)
    remove_answers(executed)
    notebook = read()  # `execute` has changed the code of its copy
    for cell, done in zip(code_cells(notebook), code_cells(executed), strict=True):
        cell.outputs = done.outputs
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
