"""The command `grade`; tests/teaching/ tests the grades themselves."""

import json
import re

import pytest

from pipeline.grade import grade

NO_MLFLOW = "import sys; sys.modules['mlflow'] = None"  # an import raises an error
SETTINGS = ["course=c", "dataset=digits", "hidden=5", "epochs=1", "workers=1"]


@pytest.fixture(scope="module")
def workspace(empty_project):
    """A workspace with the homework of a student, who has answered two questions."""
    workspace = empty_project("grade", store=False)
    keys = {"course": "c", "dataset": "digits", "hidden": 5, "epochs": 1}
    workspace.call("homework", student="ana", **keys)
    folder = workspace.outputs / "homework" / "c" / "ana"
    path, questions = folder / "answers.json", (folder / "questions.md").read_text()
    text = r"has\s+(\d+)\s+neurons[^?]*\sin\s+(\d+)\s+bits"
    ((neurons, bits),) = re.findall(text, questions)
    stored = json.loads(path.read_text())
    stored["answers"] |= {"parameters": 1}
    stored["answers"]["bytes_of_weights"] = 784 * int(neurons) * int(bits) / 8
    path.write_text(json.dumps(stored))
    (workspace.outputs / "homework" / "c" / "notes.txt").write_text("no submission")
    return workspace


@pytest.fixture(scope="module")
def done(workspace, tmp_path_factory):
    """One process that grades the class, and then gets wrong settings and folders."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "list.csv").write_text("id\n")
    (folder / "all.zip").write_bytes(b"PK")
    submissions, course = f"submissions={folder}", "course=c"
    commands = {
        ("grade", f"submissions={workspace.outputs}/homework/c", *SETTINGS): 0,
        ("grade",): 2,
        ("grade", submissions, course, "seed=2"): 2,
        ("grade", f"submissions={folder}/none", course): 1,
        ("grade", f"submissions={folder}/none/all", course): 1,
        ("grade", f"submissions={folder}/all.zip", course): 1,
        ("grade", submissions, *SETTINGS): 1,
        ("grade", submissions, course, f"students={folder}/list.csv"): 1,
        ("grade", submissions, course, "batch_size=2000", "dataset=digits"): 1,
    }
    return workspace.run_all(commands, before=NO_MLFLOW)


def test_the_homework_of_a_class_is_graded_without_a_record(workspace, done):
    assert done.stdout.splitlines()[:3] == [
        "1 of 2 submissions graded",
        "  notes.txt: it is neither a folder nor a zip file",
        "training  byte-identical: 1",
    ]
    words = " ".join(done.stdout.split())
    assert 'class.html (see "Needs attention")' in words  # it lists only notes.txt
    for file in ("grades.csv", "class.html", "feedback/ana.html"):
        assert (workspace.outputs / "grades" / "c" / file).is_file()
    (row,) = workspace.read("grades/c/grades.csv")
    assert (row["id"], row["points"]) == ("ana", "1.0")
    assert (row["bytes_of_weights"], row["parameters"]) == ("1.0", "0.0")
    folders = {path.name for path in workspace.outputs.iterdir()}
    assert folders == {"data", "grades", "homework"}


def test_other_users_cannot_read_the_grades(workspace, done):
    assert (workspace.outputs / "grades").stat().st_mode & 0o77 == 0


def test_a_call_from_python_writes_to_its_folder(workspace, tmp_path):
    with workspace.captured() as text:
        keys = {"course": "c", "dataset": "digits", "hidden": 5, "epochs": 1}
        submissions = workspace.outputs / "homework" / "c"
        grades = grade(submissions=submissions, folder=tmp_path, workers=1, **keys)
    (entry,) = grades.graded
    assert entry.student == "ana" and entry.grade.points == 1
    assert grades.folder == tmp_path and (tmp_path / "class.html").is_file()
    assert f"page      {tmp_path}" in text.getvalue()
    assert repr(grades) == f"ClassGrades(graded=1, problems=1, folder={tmp_path!r})"


def test_missing_settings_are_reported_together_and_folders_are_checked(done):
    assert "submissions is missing: add submissions=<folder>" in done.stderr
    assert "course is missing: add course=<code>" in done.stderr
    words = " ".join(done.stderr.split())
    assert "submissions must be a folder, but " in words
    assert "/none': give the folder that contains the submissions" in words
    assert "/none/all': give the folder that contains the submissions" in words
    assert "/all.zip is a file: unpack a zip file into" in words
    assert "0 of 2 submissions can be graded, so nothing was written" in words
    assert "For example, all.zip: " in words
    assert "list.csv contains no IDs" in done.stderr
    assert "batch_size must be at most 1500" in done.stderr.replace(",", "")
    assert "Traceback" not in done.stderr
