"""The notebook of the exercise runs, and gives the stored numbers and outputs."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.cli.arguments import parse

ROOT = Path(__file__).resolve().parent.parent
exercise = runpy.run_path(str(ROOT / "tests" / "exercise.py"))
STORED = exercise["read"]()
TEXT = "\n\n".join(exercise["markdown"](STORED))
MARKED = [
    (name, float(value)) for _, name, value, _ in exercise["NUMBER"].findall(TEXT)
]


@pytest.mark.fault
def test_the_notebook_runs_and_the_numbers_in_its_text_are_those_of_the_run(project):
    for path in (ROOT / "outputs" / "data").glob("fashion_mnist*"):
        (project.outputs / "data" / path.name).symlink_to(path)
    notebook = exercise["execute"](project.outputs)  # raises an error if a cell fails
    skipped = "Fashion-MNIST are skipped" in exercise["streams"](notebook, "stdout")
    for name, value in MARKED:
        if not (skipped and name == "Fashion-MNIST"):
            result = exercise["printed"](notebook, name)
            assert value == pytest.approx(result, abs=0.5), name
    (run,) = project.runs()
    assert (run.info.run_name, run.info.status) == ("exercise notebook", "FINISHED")
    assert run.info.run_id == project.run_id()


def test_the_stored_outputs_are_those_of_one_run_and_name_no_machine():
    cells = exercise["code_cells"](STORED)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    for name, value in MARKED:
        assert value == exercise["printed"](STORED, name), (
            "run python tests/exercise.py"
        )
    assert exercise["streams"](STORED, "stderr") == ""
    content = exercise["NOTEBOOK"].read_text("utf-8")
    assert not re.findall(r"[\s\"'(:=]/(?:tmp|home|root|usr|work|Users)/", content)
    assert len(content.encode()) <= 400_000


def test_every_number_in_the_text_that_a_run_can_change_is_marked():
    unmarked = exercise["NUMBER"].sub("", TEXT)
    assert re.findall(r"([\d.]+)%", unmarked) == ["96"]  # the limit in a question


def test_a_cell_checks_the_answer_to_each_question():
    after = TEXT.count("**Question.**")
    cells = iter(STORED.cells)
    for cell in cells:
        if "**Question.**" not in cell.source:
            continue
        code = ""
        for answer_cell in cells:
            code += answer_cell.source
            if "check(" in code:
                break
            assert answer_cell.cell_type == "code", cell.source
        assert code.startswith(("answer = ", "my_image = None\nanswer = "))
        after -= 1
    assert after == 0


def test_every_command_in_the_text_is_valid():
    for stage, arguments in re.findall(r"python -m pipeline\.(\w+) ?([^`\n]*)", TEXT):
        schema = getattr(cli, f"{stage.title()}Config")
        parse(shlex.split(arguments), schema)


def test_a_python_without_the_project_says_how_to_install_it(tmp_path):
    (source,) = (cell.source for cell in STORED.cells if cell.id == "setup")
    command = [sys.executable, "-I", "-S", "-c", source]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "run pip install -e '.[notebook]'" in done.stderr.splitlines()[-1]
