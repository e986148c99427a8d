"""Executes pipeline/exercise.ipynb, and stores its outputs and the numbers in its text.

    python tests/exercise.py

The text marks a number with the start of the printed line that contains it, for example
`<!-- 40 neurons -->96.7%`; the last percentage of the last such line is written there.
test_exercise.py compares them.
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
NUMBER = re.compile(r"(<!-- ([\w -]+) -->)([\d.]+)(%)")
COLORS = 256  # of the stored images, which are then a third of the size


def read():
    return nbformat.read(NOTEBOOK, as_version=4)


def execute(outputs):
    """Execute the notebook in its folder, as JupyterLab does; return it."""
    notebook = read()
    client = NotebookClient(
        notebook,
        timeout=600,
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


def streams(notebook, name):
    """Return what all cells wrote to stdout or stderr."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == name)


def printed(notebook, start):
    """Return the last percentage in the last printed line with this start."""
    lines = streams(notebook, "stdout").splitlines()
    line = [line for line in lines if line.startswith(f"{start} ")][-1]
    return float(re.findall(r"([\d.]+) ?%", line)[-1])


def write_numbers(notebook):
    """Write what was printed into the text."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = NUMBER.sub(
                lambda match: f"{match[1]}{printed(notebook, match[2])}{match[4]}",
                cell.source,
            )


def remove_machine(notebook, outputs):
    """Replace paths and ids of this machine, and reduce the images."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if "text" in output:
                text = output.text.replace(str(outputs), "outputs")
                text = text.replace(f"{ROOT}{os.sep}", "")
                output.text = re.sub(r"\b[0-9a-f]{32}\b", "<id>", text)
            data = output.get("data", {})
            data.pop("image/jpeg", None)  # Pillow displays both
            if "image/png" in data:
                data["image/png"] = _reduced(data["image/png"])


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
        notebook = execute(outputs)
        write_numbers(notebook)
        remove_machine(notebook, outputs)
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
