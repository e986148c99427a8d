"""The notebook shows no answer before the student answers, and records homework."""

import ast
import re
import runpy
import shlex
import string
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.cli.arguments import parse
from pipeline.teaching import Variant
from pipeline.teaching.notebook import read_questions

ROOT = Path(__file__).resolve().parent.parent
exercise = runpy.run_path(str(ROOT / "tests" / "exercise.py"))
STORED = exercise["read"]()
CELLS = exercise["code_cells"](STORED)
TEXT = "\n\n".join(exercise["markdown"](STORED))
CODE = "\n\n".join(cell.source for cell in CELLS)
NAMES = [match[1] for match in exercise["QUESTION"].finditer(CODE)]
QUESTIONS = read_questions()
# The cells that show the results of these questions.
RESULTS = {
    match[1]: cell.id
    for cell in CELLS
    if (match := re.search(r'check\.may_show\("(\w+)"\)', cell.source))
}
# These answers are correct with seed 1, on all processors that were tried.
RIGHT = {
    "pixels": 784,
    "higher": "training",
    "misclassified": 408,
    "second": 3,
    "weights": 20,
    "thirty": 23_860,
    "frozen": 1_340,
    "zero": 9,
    "most": "N110",
    "digits": 12.3,
    "hidden": 40,
    "raw": "lower",
    "fashion": 85.3,
    "stop": 15,
}


def keywords(name):
    """Return the keyword arguments of the call that checks an answer."""
    (cell,) = (x for x in CELLS if re.search(rf'check\(\s*"{name}"', x.source))
    calls = [x for x in ast.walk(ast.parse(cell.source)) if isinstance(x, ast.Call)]
    (call,) = (x for x in calls if ast.unparse(x.func) == "check")
    return {keyword.arg for keyword in call.keywords}


def execute(project, **options):
    """Execute the notebook; return what each cell printed, by the cell's ID."""
    for path in (ROOT / "outputs" / "data").glob("fashion_mnist*"):
        (project.outputs / "data" / path.name).symlink_to(path)
    notebook = exercise["execute"](project.outputs, **options)
    cells = exercise["code_cells"](notebook)
    assert [exercise["printed"](cell, "stderr") for cell in cells] == [""] * len(cells)
    printed = {cell.id: exercise["printed"](cell) for cell in cells}
    if "skipped" in printed["fashion-load"]:
        printed["a-fashion"] = printed["fashion-result"] = None
    return printed


def replies(printed):
    """Return what `check` printed, by the name of the question."""
    cells = {exercise["QUESTION"].search(x.source): x.id for x in CELLS}
    return {
        match[1]: printed[name]
        for match, name in cells.items()
        if match and printed[name] is not None
    }


@pytest.mark.fault
def test_correct_answers_are_explained_and_the_results_are_shown(project):
    # With fewer epochs, only the best epoch is different.
    printed = execute(project, answers=RIGHT | {"stop": 4}, experiments=5)
    for name, reply in replies(printed).items():
        assert reply.startswith("Yes, the answer is "), name
    for cell in RESULTS.values():
        assert "above first" not in (printed[cell] or "")
    assert "40 neurons" in printed["summary"] and "stopped early" in printed["summary"]
    (run,) = project.runs()
    assert (run.info.run_name, run.info.status) == ("exercise notebook", "FINISHED")
    assert run.data.params["seed"] == "1"
    assert f"pipeline.inspect run={run.info.run_id[:8]}\n" in printed["next-commands"]
    folders = {path.name for path in project.outputs.iterdir() if path.is_dir()}
    assert folders <= {".locks", "checkpoints", "data", "mlflow-artifacts"}


@pytest.mark.fault
def test_a_students_answers_are_recorded_without_feedback(project):
    who, malformed = {"student": " Zoë", "course": "course"}, [*RIGHT][::2]
    answers = RIGHT | dict.fromkeys(malformed, (1, 2))
    short = {"epochs": 1, "experiments": 1}
    printed = execute(project, answers=answers, others={"lr": 0.002}, **short, **who)
    for name, text in replies(printed).items():
        accepted = "Your answer was recorded.\n"
        reply = "Malformed: the answer must be " if name in malformed else accepted
        assert text.startswith(reply)
    for cell in RESULTS.values():
        assert printed[cell] in ("Homework does not show this result.\n", None)
    experiments = ("digits", "hidden", "raw", "fashion", "stop")
    assert [printed[cell] for cell in experiments] == [""] * 5
    assert "10 neurons" not in printed["summary"]
    variant = Variant.of(*who.values())
    (run,) = project.runs()
    assert run.data.params["seed"] == str(variant.seed)
    written = project.read(f"homework/course/{variant.student}/answers.json")
    recorded = {x: answers[x] for x in answers if x not in malformed}
    assert written["notebook"] == {x: recorded[x] for x in written["notebook"]}
    assert {*recorded} - {*written["notebook"]} <= {"fashion"}
    questions = project.outputs / "homework/course" / variant.student / "questions.md"
    text = questions.read_text("utf-8")
    assert "for 1 epoch with" in text and " epochs=1 lr=0.002 check=true" in text


def test_no_output_is_stored_except_images_that_answer_no_question():
    for cell in CELLS:
        assert cell.execution_count is None
        assert not cell.outputs or cell.id in exercise["STORED"]
        assert not cell.outputs or not exercise["QUESTION"].search(cell.source)
        assert not cell.outputs or "check.may_show(" not in cell.source
        for output in cell.outputs:
            assert {*output.data} == {"image/png", "text/plain"}
            assert re.fullmatch(r"<.*(size=\d+x\d+|Axes)>", output.data["text/plain"])
    content = exercise["NOTEBOOK"].read_text("utf-8")
    assert not re.findall(r"[\s\"'(:=]/(?:tmp|home|root|usr|work|Users)/", content)
    assert len(content.encode()) <= 100_000


def test_no_text_and_no_code_contains_the_answer_to_a_question():
    for name, answer in RIGHT.items():
        is_choice = str(answer) in (QUESTIONS[name].pattern or "")
        is_frequent = len(str(answer)) <= 2  # such as 20 neurons
        if not (is_choice or is_frequent):
            for spelling in (f"{answer}", f"{answer:{'' if name == 'most' else ','}}"):
                found = re.search(rf"(?<![\w.]){spelling}(?!\w|[.,]\d)", TEXT + CODE)
                assert not found, name


def test_each_question_has_a_cell_for_its_answer_and_hints():
    assert [*QUESTIONS] == NAMES == [*RIGHT]
    answered = [*zip(STORED.cells, STORED.cells[1:], strict=False)]
    asked = [(x, y) for x, y in answered if "**Question.**" in x.source]
    assert len(asked) == len(NAMES)
    for (_, cell), name in zip(asked, NAMES, strict=True):
        assert cell.source.startswith("answer = None\n")
        assert f'check("{name}"' in re.sub(r"\(\s+", "(", cell.source)


def test_the_cells_compute_the_values_that_the_texts_name():
    for name, question in QUESTIONS.items():
        fields = string.Formatter().parse(question.explanation)
        used = {field for _, field, _, _ in fields if field}
        used |= {key for key in question.wrong if re.fullmatch("[a-z]\\w+", key)}
        literal = set((question.pattern or "").split("|"))
        assert used - literal == keywords(name), name


def test_an_answer_that_is_close_enough_is_as_close_as_the_text_says():
    within = r"An answer within (\d+) (?:percentage points )?is close enough"
    stated = re.findall(within, TEXT)
    assert [*map(float, stated)] == [x.within for x in QUESTIONS.values() if x.within]


def test_every_command_is_valid():
    commands = re.findall(r"python -m pipeline\.(\w+) ?([^`\n]*)", f"{TEXT}\n{CODE}")
    assert len(commands) >= 5
    for stage, arguments in commands:
        schema = getattr(cli, f"{stage.title()}Config")
        parse(shlex.split(arguments.replace("{run}", "0123abcd")), schema)


def test_without_the_project_the_notebook_says_how_to_install_it(tmp_path):
    (source,) = (cell.source for cell in STORED.cells if cell.id == "setup")
    command = [sys.executable, "-I", "-S", "-c", source]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "run pip install -e '.[notebook]'" in done.stderr.splitlines()[-1]
