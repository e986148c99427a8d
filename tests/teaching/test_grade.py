"""The grades of synthetic classes, whose mistakes are known."""

import csv
import dataclasses
import json
import os
import random
import re
import shutil
import sys
import time
import zipfile
from collections import defaultdict
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline import ConfigError, UserError
from pipeline.base.tensors import read_tensors, write_tensors
from pipeline.execution.executor import failure
from pipeline.grade import grade
from pipeline.teaching import answers as answers_file
from pipeline.teaching import grade as command
from pipeline.teaching import grading
from pipeline.teaching.answer_inputs import NO_BIAS
from pipeline.teaching.answers import FILE
from pipeline.teaching.class_list import read_students
from pipeline.teaching.grading import (
    GUESS,
    MAX_ACCURACY_DROP,
    MAX_DIFFERENCE,
    MAX_MEDIAN,
    NEAR_RATIO,
    Assigned,
    Comparison,
    Training,
    compare,
    without_drop,
)
from pipeline.teaching.question import ROUNDED, VOID
from pipeline.teaching.questions import QUESTIONS

NAMES = [question.name for question in QUESTIONS]
GRADES = "grades/embedded 2026"  # the results of the course, in outputs/
ATTACK = "<script>document.title = 'run'</script><img src=x onerror=alert(1)>"
# Returns the lines in which the browser shows the text of an element.
WORDS = """element => {
  const range = document.createRange(), lines = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let top = null, node; (node = walker.nextNode()); )
    for (let index = 0; index < node.length; index++) {
      range.setStart(node, index);
      range.setEnd(node, index + 1);
      const character = range.getBoundingClientRect();
      if (top === null || character.top > top + 4) lines.push("");
      top = character.top;
      lines[lines.length - 1] += range.toString();
    }
  return lines;
}"""
IMPORT_AGAIN = (
    "if you already imported the points, import grades.csv (or canvas.csv) again and "
    "upload feedback.zip again"
)
TIMES = "\N{MULTIPLICATION SIGN}"  # of an answer without points for its network


@pytest.fixture
def outputs(empty_project, monkeypatch):
    """A new folder of outputs, which `grade` uses in this process."""
    made = empty_project("grades", store=False)
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(made.outputs))
    return made.outputs


@pytest.fixture
def place(tmp_path):
    """The folder of all submissions."""
    path = tmp_path / "all"
    path.mkdir()
    return path


@pytest.fixture
def same_worker(lasting_executor, monkeypatch):
    """Train all networks in one worker."""
    local = SimpleNamespace(create=lambda **_: lasting_executor)
    monkeypatch.setattr(command, "LocalExecutor", local)


@pytest.fixture
def grade_all(course, outputs, place, same_worker):
    """Return a function that grades the submissions in `place`."""
    return lambda **keys: grade(submissions=place, **course.keys, **keys, quiet=True)


def table(outputs):
    """Return the lines of grades.csv by ID."""
    with (outputs / GRADES / "grades.csv").open(newline="") as stream:
        rows = [*csv.DictReader(stream)]
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows) and "" not in found
    return found


def page(outputs, name="class.html"):
    """Return a page without its links, but with their texts."""
    return re.sub(r"</?a\b.*?>", "", (outputs / GRADES / name).read_text())


def without_bold(shown):
    return re.sub("</?b>", "", shown)


def change_last(outputs, change, *, students=()):
    """Change the grades with which the next command compares its own."""
    path = outputs / GRADES / ".last.json"
    stored = json.loads(path.read_text())
    for student in students or stored:
        change(stored[student])
    path.write_text(json.dumps(stored))


def answer_of(grade, name):
    """Return the stored answer of a student to a question."""
    (found,) = (each for each in grade["answers"] if each["question"] == name)
    return found


def edit_last(outputs, name, points, *, students=()):
    """Make it look as if a question was edited, and gave other points before."""

    def change(grade):
        grade["code"][name] = "other code"
        answer_of(grade, name)["points"] = points

    change_last(outputs, change, students=students)


def change(folder, **keys):
    """Change keys of the answers in a folder."""
    stored = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(stored | keys))


def is_well_formed(question, answer):
    try:
        question.form.check(answer)
    except ValueError:
        return False
    return True


def distinct(question, mistakes):
    """Return the well-formed mistakes that differ from all others by the tolerance."""
    wide = 2.1 * question.tolerance + 1e-9
    return [
        mistake
        for mistake in mistakes
        if is_well_formed(question, mistake.value)
        and sum(
            abs(mistake.value - x.value) <= wide + 1e-4 * abs(x.value) for x in mistakes
        )
        == 1
    ]


def plant(course, student, network, numbers):
    """Return answers with mistakes, and the expected points as they are in the CSV."""
    inputs, answers, points = course.inputs(student, network), {}, {}
    hints = defaultdict(dict)  # the points of each question alone, by mistake
    for question in QUESTIONS:
        mistakes = distinct(question, question.solution(inputs).mistakes)
        correct = question.solution(inputs).correct[0]
        other = round(numbers.uniform(1_000, 9_000), 4)
        kinds = [(correct, 1.0), (correct, 1.0), (None, 0.0), (other, 0.0)]
        kinds += [(mistake.value, mistake.points) for mistake in mistakes]
        kinds += [("1,2", 0.0), (True, 0.0)]
        chosen = numbers.choice(kinds)
        answers[question.name], points[question.name] = chosen
        for mistake in mistakes:
            is_guess = mistake.hint in ROUNDED and not mistake.value
            if chosen[0] is mistake.value and not is_guess:  # True is equal to 1
                hints[mistake.hint][question.name] = mistake.points
    for hint in (*inputs.mistaken, *ROUNDED):
        if len(hints[hint]) > 1 and any(hints[hint].values()):  # not only guesses
            points |= dict.fromkeys(hints[hint], 0.5)
    return answers, points


@pytest.mark.fault
def test_a_class_of_sixty_gives_exactly_the_expected_table(
    course, grade_all, outputs, place, pack, tmp_path
):
    numbers, expected = random.Random(1), {}
    for index in range(60):
        student = f"s{index:02}"
        kind = [Training.SAME, Training.PROCESSOR, Training.OTHER][index % 3]
        network = course.train(student, lr=0.01 if kind is Training.OTHER else 0.001)
        if kind is Training.PROCESSOR:
            network["layer_1.weight"][3, 400] += 2e-4
        answers, points = plant(course, student, network, numbers)
        name = f"{student}_12345_assignsubmission_file"
        folder = course.write(place / name / "a", student.upper(), answers, network)
        if index % 2:
            pack(folder, place / f"{name}.zip", prefix="homework/")
            shutil.rmtree(place / name)
        expected[student] = {
            "id": student,
            "points": f"{sum(points.values())}",
            **{question: f"{value}" for question, value in points.items()},
            "training": kind.value,
            "problem": "",
            "submission": f"{name}.zip" if index % 2 else name,
        }
    grade_all(require="any")
    assert table(outputs) == expected
    grades = grade_all()
    about_networks = [question.name for question in QUESTIONS if question.needs_network]
    for row in expected.values():
        if row["training"] == Training.OTHER.value:
            row |= dict.fromkeys(about_networks, "0.0")
            row["points"] = f"{sum(float(row[each.name]) for each in QUESTIONS)}"
            row["problem"] = (
                "not the assigned network: no points for the answers that depend on "
                "the weights"
            )
    assert table(outputs) == expected
    assert [entry.student for entry in grades.entries] == [*expected]
    assert not (grades.problems or grades.shared or grades.misnamed)
    assert len({float(row["points"]) for row in expected.values()}) > 8
    assert len([*(outputs / GRADES / "feedback").iterdir()]) == 60
    assert page(outputs).count("of the test images are classified correctly") == 20


def test_a_training_run_is_distinguished_from_others(course):
    network, assigned = course.train("ana"), course.assigned("ana")
    assert compare(network, assigned) == Comparison(Training.SAME, 0.0, 0.0, 1.0)
    for median, largest, kind in (
        (0.9, 0.9, Training.PROCESSOR),
        (1.1, 0.9, Training.NEAR),
        (0.9, 1.1, Training.OTHER),
    ):
        other = {name: x + median * MAX_MEDIAN for name, x in network.items()}
        other["layer_2.bias"][4] = network["layer_2.bias"][4] + largest * MAX_DIFFERENCE
        found = compare(other, assigned)
        assert found.training == kind
        assert found.largest == pytest.approx(largest * MAX_DIFFERENCE, rel=1e-4)
        assert found.median == pytest.approx(median * MAX_MEDIAN, rel=1e-3)


def without_a_neuron(network, noise=0.0):
    """Return a copy with other values, in which the first neuron has no weights."""
    rng = np.random.default_rng(1)
    changed = {
        name: x + rng.uniform(-noise, noise, x.shape).astype("f4")
        for name, x in network.items()
    }
    changed["layer_1.weight"][0] = changed["layer_1.bias"][0] = 0
    return changed


def chaotic(network):
    """Return a copy with differences as without AVX2: about a change of one epoch."""
    rng = np.random.default_rng(2)
    changed = {
        name: x + (0.007 * rng.laplace(size=x.shape)).astype("f4")
        for name, x in network.items()
    }
    changed["layer_2.bias"][3] = network["layer_2.bias"][3] + 0.25
    return changed


def test_an_edited_copy_of_the_assigned_network_is_distinguished_from_other_runs(
    course,
):
    assigned = course.assigned("ana")
    for noise in (0, 1e-6):  # the copy can be from another processor
        found = compare(without_a_neuron(assigned.network, noise), assigned)
        assert found.training == Training.EDITED
        assert found.kept == pytest.approx(0.8, abs=0.1)  # one of five neurons
    for others in ({"epochs": 2}, {"lr": 0.01}, {"batch_size": 64}):
        found = compare(course.train("ana", **others), assigned)
        assert found.training in (Training.NEAR, Training.OTHER) and found.kept < 0.1
    assert compare(course.train("ana", lr=0.01), assigned).training == Training.OTHER
    found = compare(course.train("ben"), assigned)
    assert found.training == Training.OTHER and found.kept < 0.01


@pytest.mark.parametrize("epochs", [19, 21])
def test_weights_that_no_longer_change_do_not_make_another_run_an_edited_copy(
    course, epochs
):
    # With this learning rate, most neurons soon output 0 for all images.
    steep = {**course.settings, "hidden": 20, "epochs": 20, "lr": 0.1}
    steep = dataclasses.replace(course, settings=steep)
    trained = steep.assignment.train("ana", course.data).epochs
    first, before, last = (trained[index].tensors for index in (0, -2, -1))
    other = steep.train("ana", epochs=epochs)
    name = "layer_1.weight"
    same = (other[name] == last[name])[first[name] != last[name]]
    assert same.mean() > 0.7
    found = compare(other, Assigned(last, before))
    assert found.training in (Training.NEAR, Training.OTHER) and found.kept < 0.1


def test_hostile_submissions_are_reported_in_one_line_each_and_all_others_are_graded(
    course, grade_all, outputs, place
):
    course.write(place / "ana", "ana", course.solve("ana", course.train("ana")))
    answers = {"logit": ATTACK, ATTACK: 1, "multiplications": 7}
    course.write(place / "cem", "cem", answers)
    small = course.train("small", hidden=4)
    course.write(place / "small", "small", {}, small)
    for name in (ATTACK.replace("/", "-"), "=cmd|'C'!A0"):
        course.write(place / name, "eve", {}, small, stated=name)
    (place / "sparse" / "deep").mkdir(parents=True)
    (place / "sparse" / "deep" / FILE).touch()
    os.truncate(place / "sparse" / "deep" / FILE, 2**30)
    (place / "link").symlink_to(place / "ana")
    os.mkfifo(place / "pipe")
    (place / "damaged.zip").write_bytes(b"PK\3\4")
    grades = grade_all()
    assert len(grades.graded) == 2 and len(grades.problems) == 7
    assert "<section><b>7</b> submissions not graded</section>" in page(outputs)
    rows = table(outputs)
    assert rows.keys() == {"ana", "cem", "small"}
    assert float(rows["ana"]["points"]) == len(QUESTIONS)
    assert float(rows["cem"]["points"]) == 0
    assert rows["small"]["points"] == ""
    problem = "its network has 4 hidden neurons instead of 5"
    assert rows["small"]["problem"] == f"submitted, but not graded: {problem}"
    assert problem in page(outputs)
    for each in grades.problems:
        assert each.problem and "\n" not in each.problem
    written = [*(outputs / "grades").glob("**/*.html")]
    assert len(written) == 1 + 3
    for path in written:
        scripts = re.findall(r"<(?:script|img)", path.read_text())
        assert scripts == ["<script"] * (path.name == "class.html"), path


def test_a_network_that_has_learned_much_less_than_the_assigned_one_is_not_graded(
    course, outputs, place, same_worker
):
    longer = dataclasses.replace(course, settings={**course.settings, "epochs": 20})
    ana, rng = longer.train("ana"), np.random.default_rng(1)
    noise = {name: rng.normal(0, 1e-9, x.shape) for name, x in ana.items()}
    equal = {name: np.full(x.shape, 0.5) for name, x in ana.items()}
    for name, values in (("ana", noise), ("ben", equal), ("cem", None)):
        network = longer.train(name, epochs=15)
        if values:
            network = {key: x.astype(np.float32) for key, x in values.items()}
        longer.write(place / name, name, longer.solve(name, network), network)
    grades = grade(submissions=place, require="any", **longer.keys)
    assert [entry.student for entry in grades.problems] == ["ana", "ben"]
    rows = table(outputs)
    assert rows["cem"]["points"] == f"{len(QUESTIONS)}.0"
    problem = (
        r"its network classifies \d+\.\d% of the test images correctly, but at least"
    )
    for name in ("ana", "ben"):
        assert rows[name]["points"] == ""
        assert re.search(problem, rows[name]["problem"])
        assert re.search(problem, page(outputs, f"feedback/{name}.html"))
    shown = " ".join(page(outputs, "feedback/cem.html").split())
    assert "your instructor sees that it is a different one" in shown


def test_neither_of_two_submissions_with_the_same_id_is_graded(
    course, grade_all, outputs, place
):
    for name in ("ana first", "ana second", "ben"):
        course.write(place / name, name.split()[0])
    grade_all()
    rows = table(outputs)
    assert rows["ana"]["submission"] == "ana first, ana second"
    problem = "2 submissions have the ID ana: only one can be graded, so delete the oth"
    assert rows["ana"]["problem"].startswith(f"submitted, but not graded: {problem}")
    assert rows["ana"]["points"] == ""
    assert rows["ben"]["problem"] == "" and rows["ben"]["points"] == "0.0"
    # The page is for both submissions, so it names neither.
    shown = page(outputs, "feedback/ana.html")
    problem = "2 submissions have the ID ana, and your instructor decides which is gra"
    assert problem in shown and "first" not in shown and "second" not in shown
    assert "delete" not in shown


def test_one_student_who_submits_twice_is_not_listed_as_copying(
    course, grade_all, place
):
    answers = {"logit": 1.5432, "parameters": 7, "upper_half": -2.3456}
    for name in ("ana first", "ana second", "ben", "cem", "finn"):
        course.write(place / name, name.split()[0], answers if "ana" in name else {})
    assert grade_all().shared == []


def test_copies_are_listed_even_if_they_are_not_graded(
    course, grade_all, outputs, place
):
    answers = {"logit": 1.5432, "parameters": 7, "upper_half": -2.3456}
    course.write(place / "ana", "ana", answers)
    shutil.copytree(place / "ana", place / "Kim")
    change(course.write(place / "zoë", "zoë", answers), course="other")
    course.write(place / "finn", "finn", answers, course.train("finn", hidden=4))
    grades = grade_all()
    assert {entry.place for entry in grades.problems} == {"Kim", "zoë", "finn"}
    ((what, same),) = grades.shared
    assert what == "3 answers and the network (only ana and Kim)"
    assert [x.place for x in same] == ["ana", "finn", "zoë", "Kim"]
    names = "4 students (ana, finn, zoë, Kim)"
    assert grades.attention()["identical"] == [f"{what} of {names}"]
    shown = " ".join(page(outputs).split())
    assert '<li>4 submissions: <b>ana</b> <span class="muted">(ana)</span>, ' in shown
    for name in ("zoë", "finn"):
        shutil.rmtree(place / name)
    assert len(grade_all().shared) == 1
    copy = '<b>?</b> <span class="muted">(Kim)</span>'
    assert copy in page(outputs)
    (place / "ana").rename(place / "Eva")  # the ID shows no owner
    course.write(place / "ben", "ben")
    copies = grade_all().attention()["identical"]
    assert copies == ["3 answers and the network of Eva and Kim"]


@pytest.mark.parametrize(
    ("places", "lr"),
    [
        (("Ana_1", "Eve_2"), 0.001),  # the folder's name decides
        (("1", "2"), 0.1),
        (("1 ana", "2 ana"), 0.1),
    ],
)
def test_a_submission_with_another_students_id_costs_that_student_no_points(
    course, grade_all, outputs, place, places, lr
):
    network = course.train("ana")
    course.write(place / places[0], "ana", course.solve("ana", network), network)
    course.write(place / places[1], "ana", {}, course.train("ana", lr=lr))
    grades = grade_all()
    row = table(outputs)["ana"]
    assert float(row["points"]) == len(QUESTIONS) and row["submission"] == places[0]
    (claimed,) = grades.problems
    problem = "another submission with the ID ana is used instead"
    assert (claimed.place, claimed.problem) == (places[1], problem)
    assert problem in page(outputs)
    assert problem not in page(outputs, "feedback/ana.html")
    assert len([*(outputs / GRADES / "feedback").iterdir()]) == 1


def test_missing_unlisted_misnamed_and_equal_submissions_are_listed(
    course, grade_all, outputs, place, tmp_path, capsys
):
    ana, answers = course.train("ana"), {"logit": 1.5432, "upper_half": -2.3456}
    course.write(place / "ana_1", "ana", {"logit": 1})
    course.write(place / "ben_2", "ben", answers)
    course.write(place / "cem_3", "cem", {"logit": 1}, ana)
    course.write(place / "dora_4", "dora", answers)
    course.write(place / "Eva_5", "eva", {})
    course.write(place / "somebody", "finn", {"logit": 2})
    students = tmp_path / "list.csv"
    students.write_text("﻿Username;Name\nana;A\nBEN ;B\ncem;C\ndora;D\neva;E\nzoë;Z\n")
    grades = grade_all(students=students)
    assert grades.missing == ["zoë"]
    assert table(outputs)["zoë"]["problem"] == "no submission"
    assert [entry.student for entry in grades.unlisted] == ["finn"]
    assert [entry.student for entry in grades.misnamed] == ["finn"]
    equal = {what: [x.student for x in pair] for what, pair in grades.shared}
    assert equal == {"the network": ["ana", "cem"], "2 answers": ["ben", "dora"]}
    assert [entry.student for entry in grades.others] == ["cem"]
    shown = page(outputs)
    assert "Identical networks" in shown and "zoë" in shown and "finn" in shown
    titles = re.findall("<h3.*?>(.*?)</h3>", shown)
    assert titles[0] == "Not the assigned network"
    assert "Without a well-formed answer" in titles and "No submission" in titles
    grade(submissions=place, students=students, **course.keys)
    printed = capsys.readouterr().out
    for line in (
        "empty     1: eva",
        "identical 2: 2 answers of ben and dora, the network of ana and cem",
        "misnamed  1: finn in somebody",
        "unlisted  1: finn",
        "missing   1: zoë",
    ):
        assert f"\n{line}\n" in printed
    students.write_text("id\nana\n" + "\n".join(f"s{x}" for x in range(60)))
    grade(submissions=place, students=students, **course.keys)
    printed = " ".join(capsys.readouterr().out.split())
    first = ", ".join(f"s{x}" for x in (0, 1, *range(10, 18)))
    assert f"missing 60: {first}, ... points" in printed
    assert 'class.html (see "Needs attention")' in printed


def test_edited_weights_and_the_differences_of_processors_are_shown(
    course, grade_all, outputs, place
):
    ana, ben, cem = (course.train(student) for student in ("ana", "ben", "cem"))
    edited = without_a_neuron(ana)
    course.write(place / "ana", "ana", course.solve("ana", edited), edited)
    ben["layer_1.bias"] += 2e-7
    ben["layer_1.weight"][2, 400] += 0.0295
    for name, network in (("ben", ben), ("cem", cem)):
        course.write(place / name, name, {}, network)
    course.write(place / "zoë", "zoë", {}, course.train("zoë", epochs=2))
    course.write(place / "Al", "al", {}, course.train("al", epochs=2))
    grades = grade_all()
    assert [entry.student for entry in grades.others] == ["ana", "al", "zoë"]
    kind = "the assigned network with edited weights"
    row = table(outputs)["ana"]
    assert (row["training"], float(row["points"])) == (kind, 4)
    shown = page(outputs)
    line = rf"<b>ana</b>: no points for 12 questions: {kind}: [78]\d\.\d\d% of the tra"
    assert re.search(line, shown)
    assert f"{kind}: <b>1</b>" in shown
    kinds = re.findall(r"<li>(.*?): <b>\d</b>", shown)  # the best result is first
    assert kinds == [x.value for x in Training if x.value in kinds] and len(kinds) == 4
    assert re.search(r"<b>ben</b>: the largest is 0\.0295\d*, the median", shown)
    assert "<b>cem</b>: " not in shown
    feedback = " ".join(page(outputs, "feedback/ana.html").split())
    assert "your instructor sees that weights were changed" in feedback
    # The cause may be rounding or a small edit: only the size is known.
    measured = "the assigned weights, up to differences between processors"
    assert table(outputs)["ben"]["training"] == measured
    feedback = " ".join(page(outputs, "feedback/ben.html").split())
    assert "on two processors can cause differences of this size." in feedback


def test_only_the_instructor_sees_the_owner_of_a_copied_network(
    course, grade_all, outputs, place
):
    ana, own = course.train("ana.ruiz"), course.train("finn", lr=0.01)
    course.write(place / "1", "ana.ruiz", {}, ana)
    course.write(place / "2", "finn", {}, own)
    rng = np.random.default_rng(1)
    for name, network in (("eve", ana), ("gus", own)):
        changed = {
            key: x + rng.uniform(-1e-4, 1e-4, x.shape).astype("f4")
            for key, x in network.items()
        }
        changed["layer_2.bias"][3] += 5
        course.write(place / name, name, {}, changed)  # its metadata says its own seed
    course.write(place / "zoë", "zoë", {}, course.train("zoë", epochs=2))
    grades = grade_all()
    copies = {x.student: grades.copy_of(x) for x in grades.others}
    assert copies["zoë"] is None
    assert {x: copies[x][0] for x in ("eve", "gus", "finn")} == {
        "eve": "ana.ruiz",
        "gus": "finn",
        "finn": "gus",
    }
    assert copies["eve"][1] == pytest.approx(5, abs=0.001)
    assert (
        "network of <b>ana.ruiz</b>, and none differs from it by more than 4.9"
        in page(outputs)
    )
    assert "ana.ruiz" not in page(outputs, "feedback/eve.html")


def test_a_network_is_compared_with_assigned_networks_that_nobody_submits_now(
    course, grade_all, outputs, place, tmp_path
):
    (tmp_path / "list.csv").write_text("id\nana.ruiz\neve\nben\n")
    course.write(place / "1", "ana.ruiz")
    grade_all()
    shutil.rmtree(place / "1")
    course.write(place / "2", "eve", {}, course.train("ana.ruiz"))
    grades = grade_all(students=tmp_path / "list.csv")
    assert grades.missing == ["ana.ruiz", "ben"]
    assert [grades.copy_of(x) for x in grades.others] == [("ana.ruiz", 0)]
    assert "all weights are identical to those of <b>ana.ruiz</b>" in page(outputs)


def test_a_student_with_an_unreadable_submission_is_found_by_name(
    course, grade_all, outputs, place, tmp_path
):
    def moodle(name, number):
        return place / f"{name}_{number}_assignsubmission_file_"

    (tmp_path / "list.csv").write_text(
        "First name,Last name,ID number\nAna,Ruiz,A1\nGus,Two,G2\nKim,O'Bom,K3\n"
        "Mal,Swap,M4\nCarla,Li,C5\nNev,Er,N6\nJo,Doe,J7\nJo,Doe,J8\nFei Lu,Wu,F9\n"
    )
    ana = course.train("a1")
    course.write(moodle("Ana Ruiz", 1), "a1", course.solve("a1", ana), ana)
    (moodle("Gus Two", 2) / "a.rar").parent.mkdir()
    (moodle("Gus Two", 2) / "a.rar").touch()
    (course.write(moodle("Kim OBom", 3), "k3") / FILE).write_bytes(b"\xff")
    course.write(moodle("Mal Swap", 4), "a1", {}, ana)
    course.write(moodle("Carla Li", 5), "c55")
    moodle("Jo Doe", 6).mkdir()
    course.write(place / "Wu Fei Lu.zip", "f9", {}, course.train("f9", hidden=4))
    grades = grade_all(students=tmp_path / "list.csv")
    rows = table(outputs)
    assert (rows["A1"]["points"], rows["A1"]["problem"]) == ("16.0", "")
    assert rows["A1"]["submission"].startswith("Ana Ruiz")
    text = "submitted, but not graded: "
    assert {x: row["problem"] for x, row in rows.items() if row["problem"]} == {
        "G2": f"{text}answers.json is missing: the folder contains a.rar",
        "K3": f"{text}answers.json must be text: save it as UTF-8",
        "M4": f"{text}its ID a1 is that of another student in the list",
        "F9": f"{text}its network has 4 hidden neurons instead of 5",
        "C5": "submitted with the ID c55",
        "N6": "no submission",
        "J7": "no submission",
        "J8": "no submission",
    }
    assert grades.missing == ["j7", "j8", "n6"] and rows["c55"]["points"] == "0.0"
    assert [entry.student for entry in grades.unlisted] == ["c55"]
    assert [entry.student for entry in grades.misnamed] == ["c55"]
    shown = page(outputs)
    assert f"{text}answers.json is missing" in shown
    assert "1 submission without an ID (“?” in the table) may belong to" in shown
    assert "answers.json is missing" in page(outputs, "feedback/g2.html")
    feedback = page(outputs, "feedback/m4.html")
    assert "the ID in your answers.json is another student" in feedback
    assert "a1" not in feedback
    with zipfile.ZipFile(outputs / GRADES / "feedback.zip") as archive:
        names = [f"{moodle('Ana Ruiz', 1).name}/a1.html"]
        names += [f"{moodle('Carla Li', 5).name}/c55.html"]
        names += [f"{moodle('Gus Two', 2).name}/g2.html"]
        names += [f"{moodle('Kim OBom', 3).name}/k3.html"]
        names += [f"{moodle('Mal Swap', 4).name}/m4.html"]
        assert archive.namelist() == names  # Jo Doe can be two students
        assert b"Feedback for g2" in archive.read(names[2])
    shutil.rmtree(place)
    course.write(place / "ana", "a1", {}, ana)
    grade_all()
    assert not (outputs / GRADES / "feedback.zip").exists()


def test_a_student_with_unreadable_answers_is_found_by_the_id_in_questions_md(
    course, grade_all, outputs, place, tmp_path
):
    list_of_students = tmp_path / "list.csv"
    list_of_students.write_text("id,name\na1,Ana\nj7,Jo Doe\nj8,Jo Doe\n")
    course.write(place / "Ana", "a1")
    for student, begin in (("j7", "{"), ("j8", "")):
        folder = course.write(place / f"Jo Doe_{student[1]}", student)
        (folder / "questions.md").write_text(f"# Homework of `{student.upper()}`\n")
        (folder / FILE).write_text(begin + (folder / FILE).read_text())
    grades = grade_all(students=list_of_students)
    assert grades.missing == [] and grades.misnamed == []
    row = table(outputs)["j7"]
    assert row["problem"].startswith("submitted, but not graded: answers.json is not J")
    assert "answers.json is not JSON" in page(outputs, "feedback/j7.html")
    grades = grade_all()
    assert [entry.student for entry in grades.entries] == ["a1", "j7", "j8"]


def test_settings_that_most_networks_differ_in_are_reported_with_the_key_to_add(
    course, outputs, place, same_worker, capsys
):
    def grade_all():
        return grade(submissions=place, **course.keys)

    longer = dataclasses.replace(course, settings={**course.settings, "epochs": 2})
    for name in ("ana", "ben"):
        longer.write(place / name, name)
    course.write(place / "cem", "cem", {}, course.train("cem", lr=0.1))
    text = "epochs=2 was used for 2 of 3 networks: if you assigned this, grade with "
    grades = grade_all()
    assert grades.settings_notice == f"{text}epochs=2" and grades.notices == []
    shown = page(outputs)
    assert shown.count("epochs=2") == 4 and text in shown
    assert shown.count("; the metadata of the file says epochs=2") == 2
    assert capsys.readouterr().out.count("epochs=2") == 4  # at the start and at the end
    # They are listed, because they lose points.
    assert [entry.student for entry in grades.others] == ["ana", "ben", "cem"]
    for name in ("ana", "ben"):
        shutil.rmtree(place / name)
        network = longer.train(name)
        longer.write(place / name, name, course.solve(name, network), network)
    (denied,) = grade_all().network_notices
    assert denied.startswith("3 students get no points for the questions about the we")
    assert "is not the assigned one (ana, ben, cem): there may be a legi" in denied
    dora = {**course.settings, "epochs": 3}
    dataclasses.replace(course, settings=dora).write(place / "dora", "dora")
    grades = grade_all()
    assert grades.settings_notice == ""
    assert len(grades.others) == 4
    assert "epochs=3" in page(outputs)


def test_a_forgotten_setting_is_reported_before_the_networks_are_trained(
    course, outputs, place, monkeypatch, capsys
):
    longer = dataclasses.replace(course, settings={**course.settings, "epochs": 2})
    longer.write(place / "ana", "ana")
    monkeypatch.setattr(command, "_grade", lambda *_: sys.exit("training"))
    with pytest.raises(SystemExit, match="training"):
        grade(submissions=place, **course.keys)
    printed = " ".join(capsys.readouterr().out.split())
    assert "this, grade with epochs=2 Press Ctrl-C to stop the command." in printed


def test_a_course_code_that_most_answers_do_not_have_is_an_error(
    course, grade_all, outputs, place
):
    for name in ("ana", "ben", "cem", "dora"):
        change(course.write(place / name, name), course="other")
    for name in ("ana", "ben"):
        change(place / name, course="embedded 2026")
    assert len(grade_all().graded) == 2
    change(place / "ben", course="others")  # the wrong codes need not be equal
    problem = (
        "3 of 4 submissions with an ID cannot be graded: answers.json is for the "
        "course other"
    )
    before = page(outputs), table(outputs)
    with pytest.raises(UserError, match=problem) as error:
        grade_all()
    assert error.type is UserError  # the settings are valid
    assert (page(outputs), table(outputs)) == before


def test_if_all_answers_are_for_another_course_nothing_is_overwritten(
    course, grade_all, outputs, place
):
    folder = course.write(place / "ana", "ana")
    (place / "unreadable").mkdir()
    grade_all()
    before = page(outputs), table(outputs)
    change(folder, course="embeded")
    problem = "1 of 1 submission with an ID cannot be graded: answers.json is for the"
    with pytest.raises(UserError, match=problem):
        grade_all()
    assert (page(outputs), table(outputs)) == before


def test_if_nothing_can_be_graded_the_files_of_an_earlier_grading_stay(
    course, grade_all, outputs, place, tmp_path
):
    course.write(place / "Ana_assignsubmission_file_", "ana")
    grade_all()
    written = [x for x in (outputs / "grades").glob("**/*.*") if x.is_file()]
    before = {path: path.read_bytes() for path in written}
    assert {"grades.csv", "class.html", "ana.html", "feedback.zip"} < {
        path.name for path in before
    }
    course.write(place / "Ana_assignsubmission_file_" / "copy", "ana", {"logit": 1})
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "config.yaml").touch()
    for folder, problem in (
        (place, "Ana_assignsubmission_file_: it has 2 files named answers.json"),
        (tmp_path, "all: it has 2 files named answers.json"),
        (wrong, "config.yaml: it is neither a folder nor a zip file"),
    ):
        with pytest.raises(
            UserError, match=f"^0 of . submissions? can be .* {problem}"
        ) as error:
            grade(submissions=folder, **course.keys)
        assert "\n" not in str(error.value)
    for name in ("1", "2"):  # can be read, but not graded
        course.write(tmp_path / "two" / name, "ana")
    with pytest.raises(UserError, match="1: 2 submissions have the ID ana"):
        grade(submissions=tmp_path / "two", **course.keys)
    assert {path: path.read_bytes() for path in before} == before


def test_an_error_in_a_question_names_the_question_and_not_the_submissions(
    course, outputs, place, monkeypatch, capsys
):
    class ThisProcess(nullcontext):
        def run(self, function, tasks):
            for task in tasks:
                try:
                    function(course.data, **task.arguments)
                except RuntimeError as error:
                    yield failure(task, error, traceback="the traceback")

    local = SimpleNamespace(create=lambda **_: ThisProcess())
    monkeypatch.setattr(command, "LocalExecutor", local)
    course.write(place / "ana", "ana")
    (question,) = (x for x in QUESTIONS if x.name == "weight_of_pixel")
    monkeypatch.setattr(type(question), "_answers", lambda _, inputs: inputs.pixl)
    with pytest.raises(UserError) as error:
        grade(submissions=place, **course.keys)
    assert str(error.value) == (
        "0 of 1 submission can be graded, so nothing was written. For example, "
        "ana: RuntimeError: the question weight_of_pixel cannot be graded: "
        "AttributeError: 'AnswerInputs' object has no attribute 'pixl': correct the "
        "question"
    )
    assert "the traceback" in capsys.readouterr().err


def test_a_void_question_is_marked_on_the_page_of_the_class(
    course, grade_all, outputs, place, monkeypatch
):
    (question,) = (x for x in QUESTIONS if x.name == "logit")
    for name, lr, answer in (("ana", 0.001, "2,5"), ("eva", 0.01, None)):
        network = course.train(name, lr=lr)
        course.write(place / name, name, {"logit": answer}, network)
    grade_all()
    assert "void" not in page(outputs) and "Malformed answers" in page(outputs)
    monkeypatch.setattr(type(question), "is_void", True)
    for path in (outputs / "grades" / ".cache").glob("*.json"):
        stored = json.loads(path.read_text())
        for answer in stored["answers"]:  # as the workers grade it then
            if answer["question"] == "logit":
                answer |= {"points": 1.0, "hint": VOID}
        path.write_text(json.dumps(stored))
    # Eva's network is not the assigned one.
    points = {x.student: x.grade.points for x in grade_all().graded}
    assert points == {"ana": 1, "eva": 0}
    feedback = {name: page(outputs, f"feedback/{name}.html") for name in points}
    assert (VOID in feedback["ana"], VOID in feedback["eva"]) == (True, False)
    section = page(outputs).partition("<h3>logit</h3>")[2].partition("</section>")[0]
    text = "void: all students get the points, except those whose network gets none<"
    assert text in section
    grades = grade_all(require="any")
    assert {x.grade.points for x in grades.graded} == {1}
    section = page(outputs).partition("<h3>logit</h3>")[2].partition("</section>")[0]
    assert "void: all students get the points<" in section
    assert "% of the points" not in section and "wrong" not in section
    assert 'class="bar"' not in section
    assert page(outputs).count("<span>logit (void)</span>") == 1
    # A missing or malformed answer has the points too, so that each row adds up.
    pattern = '<td class="mark ([a-z]+)" title="logit: .*?>(.*?)<'
    cells = re.findall(pattern, page(outputs))
    assert cells == [("full", "1"), ("full", "1")]
    assert "Malformed answers" not in page(outputs)
    assert "must be a number without a comma" in page(outputs)  # in the title


@pytest.mark.parametrize("form", ["{}_{}_assignsubmission_file_", "{}_{}_9_a", "{}"])
def test_a_folder_level_too_much_or_a_download_that_is_still_zipped_is_named(
    course, grade_all, place, form, pack, tmp_path
):
    download = tmp_path / "Homework 1-12345"
    download.mkdir()
    for number, student in enumerate(("ana", "ben")):
        folder = course.write(tmp_path / student, student)
        name = form.format(student, number)
        pack(folder, download / f"{name}.zip", prefix="homework/")
    shutil.copytree(download, place / download.name)
    message = "no submission can be graded: Homework 1-12345{} contains several submiss"
    with pytest.raises(UserError) as error:
        grade_all()
    begin, end = str(error.value).split("ions: ")
    assert begin == message.format("")
    assert end == f"give submissions={place / download.name}"
    shutil.rmtree(place / download.name)
    with zipfile.ZipFile(place / f"{download.name}.zip", "w") as archive:
        for path in download.iterdir():
            archive.write(path, path.name)
    with pytest.raises(UserError) as error:
        grade_all()
    begin, end = str(error.value).split("ions: ")
    assert begin == message.format(".zip")
    assert end == "unzip it into a new folder, and give this folder"


@pytest.mark.parametrize("name", ["answers.json", "homework.pdf"])
def test_a_download_without_folders_is_reported_in_one_line_with_the_remedy(
    course, grade_all, place, name
):
    course.write(place / "Ana Ruiz_1_assignsubmission_file_", "ana")
    for number in (2, 3):
        (place / f"Ben Oz_{number}_assignsubmission_file_{name}").write_text("{}")
    remedy = (
        f"2 files outside of folders, such as Ben Oz_2_assignsubmission_file_{name}: "
        "download the submissions again, with the option "
        '"Download submissions in folders"'
    )
    with pytest.raises(UserError, match=f"^submissions contains {remedy}$"):
        grade_all()


def test_no_submission_is_listed_as_misnamed_if_the_platform_uses_other_names(
    course, grade_all, place
):
    for number, student in enumerate(("ana", "ben", "anabel")):
        course.write(place / f"submission {number}", student)
    assert grade_all().misnamed == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\nana\nb n\n", "line 3: ID must have 1 to 64 characters"),
        ("id\nana\nben\nANA\n", "contains the ID ana twice"),
        ("id,name\n\n", "contains no IDs in the column id$"),
        (b"ana\n\xff\n", "is not UTF-8"),
        ("name,email\nAna,\nBen\n", "contains no IDs in the column email$"),
        ("id number,email\n,\n,b\n,b\n", "contains the ID b twice"),
        ("id number,email\n,\n", "no IDs in the column ID number or email$"),
        ("a" * 200_000, "cannot be read: field larger"),
        (
            "id,accepted\na,yes\nb,no\n",
            "line 3: accepted must be yes or empty, got 'no'",
        ),
        # The first line could be a title or a student.
        ("Vorname;Matrikel\nAna;17\n", "or Email address, got 'vorname, matrikel'"),
        ("Matrikelnummer\n17\n18\n", "must have the title id, ID number, username"),
        ("ana\nben\n", "must begin with a row of column titles"),
        ("", "must begin with a row of column titles, .*, got ''"),
    ],
)
def test_a_list_of_students_that_cannot_be_used_is_reported_in_one_line(
    tmp_path, text, message
):
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message) as error:
        read_students(path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ('Name,ID number,Email\n"Ruiz, Ana",17,a@b.de\n', ["17"]),
        ("Name;Username;id\nAna;ana;A1\n\nBen;ben;B2\n", ["a1", "b2"]),
        ("name\temail\nAna\ta@b.de\n", ["a@b.de"]),
        # These are Moodle's exports: participants with and without numbers, and grades.
        ("First name,Last name,ID number,Email address\nAna,Ruiz,17,a@b.de\n", ["17"]),
        ("First name,Last name,Email address,Groups\nAna,Ruiz,a@b.de,\n", ["a@b.de"]),
        ("Identifier,Full name,Email address\nParticipant 1,A,a@b.de\n", ["a@b.de"]),
        ("Username\nana\n", ["ana"]),
        # Moodle exports an empty column if nobody has an ID number.
        ("First name,Last name,ID number,Email address\nA,R,,a@b.de\n", ["a@b.de"]),
    ],
)
def test_the_ids_of_a_list_are_in_the_column_with_their_title(tmp_path, text, ids):
    path = tmp_path / "list.csv"
    path.write_text(text)
    assert [*read_students(path)[0]] == ids


@pytest.mark.parametrize(
    ("titles", "id_title"),
    [
        ("Vorname;Nachname", "ID-Nummer"),
        ("Nachname;Vorname", "E-Mail-Adresse"),
        ("Prénom,Nom de famille", "Numéro d'identification"),
        ("Pre\u0301nom;Nom de famille", "Nume\u0301ro d\u2019identification"),
        ("Prénom,Nom de famille", "Adresse de courriel"),
        ("Nombre,Apellido(s)", "Número de ID"),
        ("Nombre,Apellido(s)", "Dirección de correo"),
    ],
)
def test_titles_of_moodle_in_other_languages_are_known(tmp_path, titles, id_title):
    path, separator = tmp_path / "list.csv", re.sub(r"[^;,]", "", titles)
    cells = separator.join(["Ana", "Ruiz", "a@b.de"])
    path.write_text(f"{titles}{separator}{id_title}\n{cells}\n")
    students, lines = read_students(path)
    assert [*students] == ["a@b.de"] and lines == []
    assert students["a@b.de"].words == ["ana", "ruiz"]


def test_the_gradebook_of_canvas_is_a_list_of_students(tmp_path):
    path = tmp_path / "list.csv"
    titles = "Student,ID,SIS User ID,SIS Login ID,Section"
    rows = ['"Ruiz, Ana",901,a17,ana,1', '"Ortiz, Leo",902,b18,leo,1']
    test_student = '"Student, Test",903,,c0ffee,1'
    path.write_text("\n".join([titles, "    Points Possible,,,,", *rows, test_student]))
    students, lines = read_students(path, {"a17", "leo"})
    assert [*students] == ["a17", "leo"]
    assert students["a17"].words == ["ana", "ruiz"]
    assert students["a17"].number == "901" and lines == []


def test_with_a_gradebook_of_canvas_a_classmates_copy_costs_its_owner_no_points(
    course, grade_all, outputs, place, tmp_path, capsys
):
    path = tmp_path / "gradebook.csv"
    path.write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section,Homework (77)\n"
        "    Points Possible,,,,,16\n"
        '"Ruiz, Ana",501,1001,ana,A,\n"Ortiz, Leo",502,1002,leo,A,3\n'
        '"Li, Eva",503,1003,eva,A,\n"Neil, Dora",504,1004,dora,A,2\n'
        '"Student, Test",505,,c0ffee,A,\n"Guest, Kim",506,,kim,A,\n'
    )
    ana = course.train("1001")
    answers = course.solve("1001", ana)
    course.write(place / "ruizana_501_9001_homework", "1001", answers, ana)
    # Dora chooses the end of the name, and an answer for a second assignment of Ana.
    course.write(place / "neildora_504_9004_1001", "1001", answers, ana)
    course.write(place / "neildora_504_9005_ana", "ana", {"logit": 1.0})
    folder = course.write(place / "ortizleo_LATE_502_9002_homework", "1002")
    (folder / FILE).write_text("{")
    (folder / "questions.md").write_text("# Homework of `1002`\n")
    grades = grade_all(students=path)
    rows = table(outputs)
    assert {x: row["points"] for x, row in rows.items()} == {
        "1001": "16.0",
        "1002": "",
        "1003": "",
        "1004": "",
        "kim": "",
    }
    assert rows["1002"]["problem"].startswith("submitted, but not graded: answers.json")
    assert rows["1004"]["submission"].startswith("neildora_504_9004_1001, neil")
    assert grades.missing == ["1003", "kim"]
    assert grades.unlisted == [] and grades.other_ids == []
    (copies,) = grades.attention()["identical"]
    assert copies == "16 answers and the network of 1001 and 1004"
    with (outputs / GRADES / "canvas.csv").open(newline="") as stream:
        (line,) = csv.DictReader(stream)  # the others keep their grades
    assert line == {
        "Student": "Ruiz, Ana",
        "ID": "501",
        "SIS User ID": "1001",
        "SIS Login ID": "ana",
        "Section": "A",
        "points": "16.0",
    }
    with zipfile.ZipFile(outputs / GRADES / "feedback.zip") as archive:
        assert "ruizana_501_9001_1001.html" in archive.namelist()
    path.write_text("id\n1001\n")
    grade_all(students=path)
    assert not (outputs / GRADES / "canvas.csv").exists()


def test_the_participant_number_of_moodle_identifies_students_without_their_names(
    course, grade_all, outputs, place, tmp_path
):
    path = tmp_path / "list.csv"
    path.write_text(
        "Identifier,ID number\nParticipant 41,a1\nParticipant 42,b2\nParticipant 4,c3\n"
    )
    for number in (41, 42):
        folder = place / f"Participant_{number}_assignsubmission_file_"
        course.write(folder, "a1", {"logit": number})
    grades = grade_all(students=path)
    rows = table(outputs)
    assert rows["a1"]["points"] == "0.0"
    assert rows["b2"]["problem"].endswith(
        "its ID a1 is that of another student in the list"
    )
    assert grades.missing == ["c3"] and grades.early_notices == []


def test_leading_zeros_that_excel_removed_are_restored(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("id,name\n123,Ana Ruiz\n45678,Leo Ortiz\n7,Eva Meier\n")
    submitted = {"00123", "45678", "007", "00007"}  # 7 may be 007 or 00007
    students, lines = read_students(path, submitted)
    assert [*students] == ["00123", "45678", "7"]
    assert students["00123"].spelled == "00123"
    assert lines == [
        "list.csv: restored the leading zeros of 1 ID, such as 00123: in Excel, import "
        "this column as text"
    ]


def test_an_id_with_other_leading_zeros_is_a_different_id(
    course, grade_all, outputs, place, tmp_path
):
    path = tmp_path / "list.csv"
    path.write_text("id,name\n2026006,Finn Roth\n2026007,Bo Lang\n2026008,Ana Ruiz\n")
    for name, student in (("Finn Roth", "0002026006"), ("Bo Lang", "2026007")):
        course.write(place / name, student, {})
    grades = grade_all(students=path)
    assert grades.early_notices == []
    assert [entry.student for entry in grades.unlisted] == ["0002026006"]
    assert table(outputs)["2026006"]["problem"] == "submitted with the ID 0002026006"
    # All IDs in this list can have lost zeros, because most submitted IDs have them.
    path.write_text("id\n123\n456\n789\n")
    assert [*read_students(path, {"00123", "00456"})[0]] == ["00123", "00456", "789"]


def test_single_files_from_canvas_are_one_submission(
    course, grade_all, outputs, place, tmp_path
):
    for student, number in (("ana", 501), ("ben", 502)):
        folder = course.write(tmp_path / student, student, {})
        (folder / "questions.md").write_text(f"# Homework of `{student}`")
        for attachment, path in enumerate(sorted(folder.iterdir()), start=9001):
            again = "-1" if student == "ben" else ""
            name = f"{student}_{number}_{attachment}_{path.stem}{again}{path.suffix}"
            path.rename(place / name)
    (place / "cem_LATE_503_9001_model.safetensors").write_bytes(b"")
    (place / "ana_501_9009_notes.pdf").write_bytes(b"")  # is ignored
    (place / "dora_504_9001_notes.pdf").write_bytes(b"")
    grades = grade_all()
    assert [entry.student for entry in grades.graded] == ["ana", "ben"]
    assert {entry.place: entry.problem for entry in grades.problems} == {
        "cem_LATE_503_9001_model.safetensors": "answers.json is missing",
        "dora_504_9001_notes.pdf": "answers.json is missing",
    }
    with zipfile.ZipFile(outputs / GRADES / "feedback.zip") as archive:
        names = archive.namelist()
    assert names == ["ana_501_9001_ana.html", "ben_502_9001_ben.html"]


def test_the_page_names_each_student_with_answers_of_another_student(
    course, grade_all, outputs, place
):
    right = {x: course.solve(x, course.train(x)) for x in ("ana", "ben", "cem", "dora")}
    # Ana has not submitted the sums that Cem hands in, rounded differently.
    sums = {"sum_of_neuron": 1.0, "upper_half": 2.0}
    course.write(place / "ana", "ana", right["ana"] | sums)
    changed = {"logit": -7.8125, "switched_off": 3}
    course.write(place / "ben", "ben", right["ana"] | sums | changed)
    taken = {name: float(f"{right['ana'][name]:.5g}") for name in sums}
    course.write(place / "cem", "cem", right["cem"] | taken)
    # One answer can be equal by chance.
    one = {"log_of_ratio": right["ana"]["log_of_ratio"]}
    course.write(place / "dora", "dora", right["dora"] | one)
    both = "up to 14 answers of 3 students (ana, ben, cem)"
    assert grade_all().attention()["identical"] == [both]
    for without, copies in (
        ("ben", "4 answers of ana and cem"),  # two counts are equal by chance
        ("cem", "14 answers of ana and ben"),
    ):
        (place / without).rename(place / f".{without}")
        assert grade_all().attention()["identical"] == [copies]
        (place / f".{without}").rename(place / without)
    shown = " ".join(page(outputs).split())
    copied = '<b>ana</b> <span class="muted">(ana)</span>, <b>ben</b> '
    assert f'{copied}<span class="muted">(ben)</span>: 14 answers</li>' in shown


def test_numbers_that_many_students_can_have_are_no_evidence(course, grade_all, place):
    # A probability near 100%, its fraction, sizes, counts, and few decimals.
    common = {"scaled_layer": 99.98, "log_of_ratio": 0.9998, "logit": 2.35}
    common |= {"weight_of_pixel": 0.113, "multiplications": 5720, "raised_bias": 1043}
    for name in ("ana", "ben"):
        course.write(place / name, name, common)
    assert grade_all().shared == []
    both = {"loss_of_wrong_label": 2.345, "sum_of_neuron": -13.42}
    for name in ("cem", "dora"):
        course.write(place / name, name, common | both)
    copies = grade_all().attention()["identical"]
    assert copies == ["8 answers of cem and dora"]


def test_the_page_names_a_question_that_gave_nobody_points(
    course, grade_all, outputs, place
):
    for index, name in enumerate(("ana", "ben", "cem", "dora")):
        right = course.solve(name, course.train(name))
        # Nobody answers the second question.
        wrong = {"parameters": 7.0 + index, "multiplications": None}
        course.write(place / name, name, right | wrong)
        notices = [x for x in grade_all().notices if "newly graded" not in x]
        if index < 2:
            assert notices == []
    (notice,) = notices
    assert notice.startswith("no student gets points for parameters: check whether")
    assert notice in page(outputs)


def test_all_lines_of_the_points_are_quoted_or_none(course, grade_all, outputs, place):
    for name in ("ana", "ben"):
        course.write(place / name, name, {"logit": 1.5})
    path = outputs / GRADES / "grades.csv"
    grade_all()
    assert '"' not in path.read_text()
    change(place / "ben", course="other; code")
    grade_all()
    assert all(line[0] == '"' for line in path.read_text().splitlines())


def test_a_translated_title_does_not_replace_a_column_with_the_english_title(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("ID-Nummer;ID number\n17;a1\n")
    assert [*read_students(path)[0]] == ["a1"]


def test_only_the_named_questions_are_graded_without_a_new_training_run(
    course, grade_all, outputs, place
):
    network = course.train("ana")
    right = course.solve("ana", network)
    course.write(place / "ana", "ana", right | {"logit": "2,5"}, network)
    other = course.train("eva", lr=0.01)
    course.write(place / "eva", "eva", course.solve("eva", other), other)
    grade_all()
    count, whole = len(QUESTIONS), table(outputs)
    cached = {x: x.stat().st_mtime_ns for x in (outputs / "grades/.cache").iterdir()}
    named = ["upper_half", "parameters"]
    grades = grade_all(questions=named)
    # The students have the same points for the questions that are still graded.
    assert [line.partition(":")[0] for line in grades.notices] == [
        f"the maximum changed from {count} to 2 points",
        "added and removed questions changed the points of 2 students",
        "points of the other questions changed for 0 students",
    ]
    assert grade_all(questions=named).notices == []
    rows = table(outputs)
    assert [*rows["ana"]] == [
        *("id", "points", "parameters", "upper_half"),
        *("training", "problem", "submission"),
    ]
    assert {x: row["points"] for x, row in rows.items()} == {"ana": "2.0", "eva": "1.0"}
    shown = page(outputs)
    assert f"Only 2 of {count} questions are graded: parameters, upper_half" in shown
    assert "of 2 points on average" in shown and "1 of the 2 questions depend" in shown
    assert "logit" not in shown and "Malformed answers" not in shown
    feedback = page(outputs, "feedback/ana.html")
    assert "2 of 2 points" in feedback and "logit" not in feedback
    # Nobody loses points for a network if no question depends on the weights.
    (entry,) = (x for x in grade_all(questions=named[1:]).graded if x.student == "eva")
    assert (entry.grade.points, entry.grade.denied) == (1, False)
    grade_all()
    assert table(outputs) == whole
    assert cached == {
        x: x.stat().st_mtime_ns for x in (outputs / "grades/.cache").iterdir()
    }


def test_a_void_question_that_is_not_named_gives_no_points(
    course, grade_all, outputs, place
):
    course.write(place / "ana", "ana", {})
    grade_all()
    (path,) = (outputs / "grades" / ".cache").glob("*.json")
    stored = json.loads(path.read_text())
    (answer,) = (each for each in stored["answers"] if each["question"] == "logit")
    answer |= {"points": 1.0, "hint": VOID}  # as in a void question
    path.write_text(json.dumps(stored))
    assert grade_all(questions=["logit", "upper_half"]).graded[0].grade.points == 1
    (entry,) = grade_all(questions=["upper_half"]).graded
    assert (entry.grade.points, entry.grade.possible) == (0, 1)


@pytest.mark.parametrize(("named", "got"), [(["logit", "nope"], "nope"), ([], "an em")])
def test_names_of_questions_that_do_not_exist_are_rejected(grade_all, named, got):
    message = rf"questions must be names among {', '.join(NAMES)}, got {got}"
    with pytest.raises(ConfigError, match=message) as error:
        grade_all(questions=named)
    assert len(str(error.value).splitlines()) == 1


def test_wrong_answers_without_a_typical_mistake_are_counted_next_to_the_others(
    course, grade_all, outputs, place
):
    for index, name in enumerate(("ana", "ben", "cem", "dora")):
        network = course.train(name)
        mistakes = course.inputs(name, network)
        (question,) = (each for each in QUESTIONS if each.name == "bytes_of_weights")
        known = question.solution(mistakes).mistakes[0].value
        answer = known if name == "ana" else 12_345_601 + max(index, 2)
        course.write(place / name, name, {"bytes_of_weights": answer})
    grade_all()
    shown = page(outputs).partition("<h3>bytes_of_weights</h3>")[2]
    shown = shown.partition("</section>")[0]
    assert shown.count(f"<b>1 {TIMES}</b>") == shown.count(f"<b>2 {TIMES}</b>") == 1
    assert "3 wrong answers that match no typical mistake. See" in shown
    change(place / "ben", answers={"bytes_of_weights": 7_654_321})
    grade_all()
    shown = page(outputs).partition("<h3>bytes_of_weights</h3>")[2]
    assert "3 wrong answers that match no typical mistake, all different. See" in shown


def test_points_that_changed_without_the_questions_are_listed(
    course, grade_all, outputs, place, tmp_path, capsys
):
    students = tmp_path / "list.csv"
    students.write_text("id,accepted\nANA,\neva,\ngus,\nzoë,\n")
    course.write(place / "ana", "ana", course.solve("ana", course.train("ana")))
    network = course.train("eva", lr=0.01)
    course.write(place / "eva", "eva", course.solve("eva", network), network)
    course.write(place / "zoë", "zoë", {"parameters": 7})
    assert grade_all(students=students).notices == []
    assert grade_all(students=students).notices == []
    students.write_text("id,accepted\nANA,\neva,yes\ngus,\nzoë,\n")
    course.write(place / "gus", "gus", {})
    change(place / "zoë", course="other")
    edit_last(outputs, "parameters", 0.5, students=["ana"])
    count = len(QUESTIONS)
    grades = grade_all(students=students, again=True)
    edited, other, new = grades.notices
    assert edited == (
        f"points changed for 1 student: ana {count - 0.5} -> {count}; {IMPORT_AGAIN}"
    )
    assert other == (
        "since the previous `grade` command, the points of 2 students changed for a "
        "reason other than the questions, such as an accepted network or another "
        f"file: eva 4 -> {count}, zoë 0 -> not graded; {IMPORT_AGAIN}"
    )
    assert new == "1 student newly graded since the previous `grade` command: gus 0"
    shown = without_bold(page(outputs))
    assert f"<p>{new}.</p>" in shown and f"<p>{other}.</p>" in shown
    shutil.rmtree(place / "gus")
    shutil.rmtree(place / "eva")
    (fewer,) = grade_all(students=students).notices
    text = (
        "the previous `grade` command graded 3 submissions; this command graded only "
        "1, and its files"
    )
    assert fewer.startswith(text)
    capsys.readouterr()
    (outputs / GRADES / "grades.csv").write_text("id;points\nana;3,5\n")  # edited
    assert grade_all(students=students).notices == []
    (outputs / GRADES / ".last.json").write_text("damaged")
    assert grade_all(students=students).notices == []


def test_an_edited_question_and_another_reason_are_listed_for_the_same_student(
    course, grade_all, outputs, place, tmp_path
):
    students, count = tmp_path / "list.csv", len(QUESTIONS)
    students.write_text("id,accepted\nana,\neva,\n")
    right = course.solve("ana", course.train("ana"))
    folder = course.write(place / "ana", "ana", right | {"logit": "2,5"})
    network = course.train("eva", lr=0.01)
    course.write(place / "eva", "eva", course.solve("eva", network), network)
    grade_all(students=students)
    edit_last(outputs, "parameters", 0.5)
    students.write_text("id,accepted\nana,\neva,yes\n")
    change(folder, answers=right)
    edited, other = grade_all(students=students, again=True).notices
    assert edited == (
        f"points changed for 2 students: ana {count - 1.5} -> {count - 1}, "
        f"eva 3.5 -> 4; {IMPORT_AGAIN}"
    )
    assert f": ana {count - 1} -> {count}, eva 4 -> {count}; " in other


def test_the_code_of_a_question_is_its_class_and_what_all_questions_use(tmp_path):
    folder = shutil.copytree(Path(grading.__file__).parent, tmp_path / "teaching")
    module, before = folder / "questions.py", grading.question_code(folder)
    assert before == grading.QUESTION_CODE and [*before] == NAMES
    text = module.read_text()

    def edited(*change):
        assert text.count(change[0]) == 1
        module.write_text(text.replace(*change))
        now = grading.question_code(folder)
        return {name for name in NAMES if now[name] != before[name]}

    flag = '    is_void = True\n    name = "logit"'
    assert edited('    name = "logit"', flag) == {"logit"}
    assert edited("        softmax?\n", "        softmax, for example?\n") == {"logit"}
    assert edited("THOUSANDTH = 0.001", "THOUSANDTH = 0.002") == {*NAMES}
    base = "class Base(Question):\n    points = 2\n\n\nclass Logit(Base):"
    assert edited("class Logit(Question):", base) == {*NAMES}
    assert edited("REMOVED: tuple[str, ...] = ()", "REMOVED = ('old_one',)") == set()
    assert edited("# The names of questions", "# Names of questions") == set()


def test_a_student_whose_two_submissions_are_no_longer_graded_is_listed_once(
    course, grade_all, place
):
    for name in ("ana first", "ben"):
        course.write(place / name, name.split()[0], {"parameters": 7})
    grade_all()
    course.write(place / "ana second", "ana", {"parameters": 7})
    (changed,) = (x for x in grade_all().notices if "since the previous" in x)
    assert "the points of 1 student changed" in changed
    assert changed.endswith(f": ana 0 -> not graded; {IMPORT_AGAIN}")


def test_students_who_used_an_id_from_another_column_than_most_are_listed(
    course, grade_all, outputs, place, tmp_path, capsys
):
    students = tmp_path / "list.csv"
    students.write_text(
        "ID number,Email address\n1,a@x.de\n2,b@x.de\n3,c@x.de\n,d@x.de\n5,5\n"
    )
    for name in ("1", "2", "c@x.de", "d@x.de", "5"):
        course.write(place / name, name, {})
    grades = grade_all(students=students)
    assert grades.other_ids == ["c@x.de"] and grades.usual_column == "ID number"
    assert [*table(outputs)] == ["1", "2", "3", "5", "d@x.de"]
    shown = page(outputs)
    assert "Most students used the column ID number" in shown
    grade(submissions=place, students=students, **course.keys)
    line = "other ID  1: c@x.de (most students: ID number; in grades.csv: 3)"
    assert f"\n{line}\n" in capsys.readouterr().out
    shutil.rmtree(place / "c@x.de")
    assert grade_all(students=students).other_ids == []
    assert "Most students used" not in page(outputs)


def test_answers_are_shown_with_all_typed_digits_and_points_with_a_decimal(
    course, grade_all, outputs, place
):
    typed = {"logit": -5039.31805, "misclassified": 4000, "upper_half": "2,5"}
    course.write(place / "folder", "ana", typed)
    course.write(place / "folder2", "ben", typed | {"sum_of_neuron": 1.5})
    grade_all()
    for name in ("class.html", "feedback/ana.html"):
        assert "-5039.31805" in page(outputs, name)
        assert "-5039.32" not in page(outputs, name)
    feedback = page(outputs, "feedback/ana.html")
    assert "<dd>4000</dd>" in feedback
    assert "<dd>malformed: it must be a number without a comma, such as" in feedback
    for path in (outputs / "grades" / ".cache").glob("*.json"):
        stored = json.loads(path.read_text())
        stored["answers"][0]["points"] = 0  # as in `Mistake(value, hint, 0)`
        path.write_text(json.dumps(stored))
    grade_all()
    row = table(outputs)["ana"]
    assert {row[name] for name in ("points", *NAMES)} == {"0.0"}


def test_ids_are_found_in_a_column_with_another_title_by_the_submitted_ids(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("Nome;Cognome;Matricola\nAna;Ruiz;A1\nBen;Oz;b2\nCem;Li;c3\n")
    students, lines = read_students(path, {"a1", "b2", "x"})
    assert [*students] == ["a1", "b2", "c3"]
    text = "list.csv: the column matricola has most of the submitted IDs; the first ro"
    assert lines[0].startswith(text)
    message = (
        "must begin with a row of column titles, .*, got 'nome, cognome, matricola'"
        "; a column with a different title must contain more than half of the "
        "submitted IDs, got at most 2 of 4$"
    )
    with pytest.raises(UserError, match=message):
        read_students(path, {"a1", "b2", "x", "y"})


@pytest.mark.parametrize(
    ("text", "unused"),
    [
        ("id\nana\n", []),
        ("id,Email\nana,a@b.de\n", []),
        ("id,accepted\nana,\n", []),
        (
            "id;akzeptiert;name\nana; Yes;Ana\nben;;Ben\n",
            ["the column akzeptiert is not used: to accept networks, use the title a"],
        ),
        ("id;Gruppe;name\nana;yes;Ana\nben;no;Ben\n", []),
        (
            "First name,Last name,ID number\nAna,Ruiz,a1\nKim,Li,\n",
            ["ignored 1 row"],
        ),
        ("id,name\na1,Ana\n ,Ben\n,Cem\n", ["ignored 2 rows without an ID"]),
        (
            "Cognome;Nome;ID number\nRuiz;Ana;a1\nLi;Kim;\n",
            [
                "names are not used: their columns must be titled First name and "
                "Last name, or name, got 'cognome, nome, idnumber'; without names, a "
                "classmate who submits a copy with the same ID can prevent both",
                "ignored 1 row without an ID",
            ],
        ),
    ],
)
def test_a_message_names_the_unused_parts_of_the_list(
    course, grade_all, outputs, place, tmp_path, text, unused
):
    path = tmp_path / "list.csv"
    path.write_text(text)
    _, lines = read_students(path)
    assert len(lines) == len(unused)
    for line, expected in zip(lines, unused, strict=True):
        assert line.startswith(f"list.csv: {expected}")
    if len(lines) == 2:
        course.write(place / "a1", "a1")
        grade_all(students=path)
        assert "list.csv: names are not used" in page(outputs)
        assert "list.csv: ignored 1 row without an ID" in page(outputs)


def test_a_teacher_in_the_list_does_not_need_attention(
    course, grade_all, outputs, place, tmp_path
):
    path = tmp_path / "list.csv"
    path.write_text("First name,Last name,ID number\nAna,Ruiz,a1\nKim,Li,\n")
    course.write(place / "a1", "a1", {"logit": 1})
    grades = grade_all(students=path)
    assert not grades.needs_attention
    shown = page(outputs)
    assert "Nothing needs attention: every submission" in shown
    assert "<p>list.csv: ignored 1 row without an ID.</p>" in shown
    path.write_text("First name,Last name,ID number\nAna,Ruiz,a1\nKim,Li,k1\n")
    assert grade_all(students=path).needs_attention


def test_a_student_can_use_the_id_in_any_column_of_the_list(
    course, grade_all, outputs, place, tmp_path
):
    path = tmp_path / "list.csv"
    path.write_text(
        "ID number,Username,Email address\n17,ana,a@b.de\n18,ben,b@b.de\n19,cem,\n"
    )
    for student in ("ana", "b@b.de", "19"):
        course.write(place / f"{student}_1", student)
    grades = grade_all(students=path)
    assert grades.missing == [] and grades.unlisted == [] and grades.early_notices == []
    assert {x: row["points"] for x, row in table(outputs).items()} == {
        "17": "0.0",
        "18": "0.0",
        "19": "0.0",
    }


def test_names_identify_the_students_of_a_list_with_another_kind_of_id(
    course, grade_all, outputs, place, tmp_path
):
    path = tmp_path / "list.csv"
    path.write_text(
        "First name,Last name,Email address\nAna,Ruiz,ana@x.edu\nBen,Ott,Ben@x.edu\n"
        "Cem,Kaya,cem@x.edu\nKim,Lee,kim@x.edu\n"
    )
    for name, student in (("Ana Ruiz", "ana"), ("Ben Ott", "ben"), ("Kim Lee", "ana")):
        folder = place / f"{name}_1_assignsubmission_file_"
        course.write(folder, student, {"logit": len(name)})
    grades = grade_all(students=path)
    rows = table(outputs)
    text = "list.csv: the column Email address lacks 2 of 2 submitted IDs, such as ana"
    assert [line.startswith(text) for line in grades.early_notices] == [True]
    assert text in page(outputs)
    assert (rows["Ben@x.edu"]["points"], rows["Ben@x.edu"]["problem"]) == ("0.0", "")
    assert rows["cem@x.edu"]["problem"] == "no submission"
    # Both folders claim the ID ana, and the names do not show who owns it.
    problem = "submitted, but not graded: 2 submissions have the ID ana"
    for name in ("ana", "ana@x.edu", "kim@x.edu"):
        assert rows[name]["problem"].startswith(problem), name
    assert len(rows) == 5 and grades.missing == ["cem@x.edu"]
    shutil.rmtree(place / "Kim Lee_1_assignsubmission_file_")
    grade_all(students=path)
    assert {x: row["points"] for x, row in table(outputs).items()} == {
        "Ben@x.edu": "0.0",
        "ana@x.edu": "0.0",
        "cem@x.edu": "",
        "kim@x.edu": "",
    }


def test_with_require_only_the_assigned_network_gets_points_for_its_weights(
    course, grade_all, outputs, place
):
    networks = {name: course.train(name) for name in ("ana", "ben", "cem", "finn")}
    networks["ben"]["layer_1.weight"] += 2e-7  # as on another processor
    networks["cem"] = without_a_neuron(networks["cem"])
    networks["dora"] = course.train("ana")  # the network of another student
    networks["eva"] = course.train("eva", lr=0.01)
    networks["gus"] = chaotic(course.train("gus"))
    for name, network in networks.items():
        answers = course.solve(name, network)
        if name == "finn":
            answers |= {"parameters": 1}
        course.write(place / name, name, answers, network)
    denied, sizes = {"cem", "dora", "eva"}, 4
    count = len(QUESTIONS)
    for again in (False, True):
        grades = grade_all(again=again)
        points = {x.student: x.grade.points for x in grades.graded}
        assert points == dict.fromkeys(networks, count) | {
            "finn": count - 1,
            **dict.fromkeys(denied, sizes),
        }
    assert "points changed for 0 students" in grades.notices[0]
    for name, row in table(outputs).items():
        kept = (row["parameters"], row["logit"])
        assert kept == ("0.0" if name == "finn" else "1.0", f"{name not in denied:.1f}")
        assert row["problem"].startswith("not the assigned network: no points") == (
            name in denied
        )
        text = "the answers that depend on the weights get no points. If you trained it"
        feedback = " ".join(page(outputs, f"feedback/{name}.html").split())
        assert (text in feedback) == (name in denied)
    shown = page(outputs)
    for name in denied:
        assert f"<b>{name}</b>: no points for {count - sizes} questions: " in shown
    assert "Students get points for them only if their network is the ass" in shown
    read = 'read the section "Not the assigned network"'
    lost = "1 student gets no points for the questions about the weights, because"
    edited = f"{lost} weights of the assigned network were edited (cem): {read}"
    notices = [
        f"{lost} the network is not the assigned one (eva): there may be a legitimate "
        f"reason, so {read}",
        f"{lost} the network is that of another student (dora): {read}",
        edited,
    ]
    assert grades.network_notices == notices
    for notice in notices:
        assert without_bold(shown).count(f"<p>{notice} below.</p>") == 1
    titles = re.findall("<h4>(.*?)</h4>", shown)
    assert titles == [
        "Different training runs: ask these students for the reason",
        "Networks of other students",
        "Edited weights",
        "Nearly the assigned weights",
    ]
    assert "<code>accepted</code> of your list" in shown
    assert "add <code>require=any</code>" in shown
    points |= dict.fromkeys(denied - {"cem"}, count)  # only edits never get points
    for again in (False, True):
        grades = grade_all(require="any", again=again)
        assert {x.student: x.grade.points for x in grades.graded} == points
        assert table(outputs)["cem"]["problem"].startswith("not the assigned network")
    shown = page(outputs)
    notices = [
        edited,
        "2 students get points for a different training run, because of require=any "
        f"(eva, dora): {read}",
    ]
    assert grades.network_notices == notices
    for notice in notices:
        assert without_bold(shown).count(f"<p>{notice} below.</p>") == 1
    assert shown.count('<h3 id="networks">Not the assigned network</h3>') == 1
    assert "Because of <code>require=any</code>, students also get points for" in shown
    assert "add <code>require=any</code>" not in shown
    assert "<b>cem</b>: no points for 12 questions: " in shown
    with pytest.raises(ConfigError, match="require must be"):
        grade_all(require="own")


def test_networks_with_a_possibly_legitimate_reason_are_listed_first(
    course, grade_all, place
):
    others = {"torch": "2.0.1"}
    for name in ("ana", "ben", "cem"):
        about = others if name == "cem" else {}
        course.write(place / name, name, {}, course.train(name, lr=0.01), **about)
    path = place / "ana" / "model.safetensors"
    tensors, recorded = read_tensors(path)
    write_tensors(path, tensors, {**recorded, "seed": 1})
    course.write(place / "dora", "dora", {}, course.train("gus"))
    course.write(place / "gus", "gus")
    course.write(place / "eva", "eva", {}, without_a_neuron(course.train("eva")))
    course.write(place / "finn", "finn", {}, chaotic(course.train("finn")))
    hidden = without_a_neuron(course.train("hal"), noise=0.05)
    course.write(place / "hal", "hal", {}, hidden)
    found = {
        cause: [entry.student for entry in same]
        for cause, same in grade_all().others_by_cause.items()
    }
    assert found == {
        "legitimate": ["cem", "ben", "ana"],
        "inaccurate": ["hal"],
        "copied": ["dora"],
        "edited": ["eva"],
        "nearly": ["finn"],
    }


def test_an_accepted_network_gets_points_although_it_is_not_the_assigned_one(
    course, outputs, place, same_worker, tmp_path, capsys
):
    path, count = tmp_path / "list.csv", len(QUESTIONS)
    path.write_text("id,Accepted\nana, Yes \nben,\ncem,yes\ngus,yes\n")
    for name in ("ana", "ben", "cem", "gus"):
        network = course.train(name, lr=0.01 if name in ("ana", "ben") else 0.001)
        network = without_a_neuron(network) if name == "gus" else network
        course.write(place / name, name, course.solve(name, network), network)
    keys = {"submissions": place, **course.keys}
    grade(**keys)
    points = {name: row["points"] for name, row in table(outputs).items()}
    alone = {"ana": "4.0", "ben": "4.0", "cem": f"{count}.0", "gus": "4.0"}
    assert points == alone
    capsys.readouterr()
    for again in (False, True):
        grades = grade(students=path, again=again, **keys)
        rows = table(outputs)
        points = {name: row["points"] for name, row in rows.items()}
        assert points == {**dict.fromkeys(alone, f"{count}.0"), "ben": "4.0"}
        assert [x for x in rows if rows[x]["problem"]] == ["ben"]
        printed = " ".join(capsys.readouterr().out.split())
        assert "ana (a different training run, accepted), gus (the assign" in printed
        shown = page(outputs)
        assert "<b>ana</b> (accepted in your list of students): a different" in shown
        assert shown.count("(accepted in") == 2
        (notice,) = grades.network_notices
        assert "is not the assigned one (ben)" in notice
        assert f"{notice} in class.html" in printed
        assert shown.count('<td class="training">a different training run, acc') == 1
        for name, accepted in (("ana", 1), ("ben", 0), ("cem", 0), ("gus", 1)):
            feedback = " ".join(page(outputs, f"feedback/{name}.html").split())
            text = "Your instructor has accepted this network."
            assert feedback.count(text) == accepted
            text = "This network is not accepted in your course, so the answers"
            assert (text in feedback) == (name == "ben")
    assert grades.notices == ["points changed for 0 students"]
    grade(students=path, require="any", **keys)
    assert table(outputs)["gus"]["points"] == f"{count}.0"


def test_the_page_distinguishes_denied_answers_from_wrong_answers(
    course, grade_all, outputs, place
):
    for name in ("ana", "ben", "cem", "dora"):
        network = course.train(name, lr=0.01 if name in ("ana", "ben") else 0.001)
        answers = course.solve(name, network)
        answers |= {"logit": None} if name == "ana" else {}
        answers |= {"sum_of_neuron": 4321} if name == "dora" else {}
        course.write(place / name, name, answers, network)
    grade_all()
    shown, denied = page(outputs), len(QUESTIONS) - 4
    marks = re.findall(r'<td class="mark denied" [^>]*>(.)</td>', shown)
    assert sorted(marks) == sorted(TIMES * (2 * denied - 1) + "\N{EN DASH}")
    assert shown.count(f"<td>{TIMES}</td>") == 2 * denied  # below the table
    legend = f"“{TIMES}” marks an answer that gets no points because the network is not"
    assert shown.count(legend) == 3
    bars = re.findall(r'<span class="denied" style="flex: (\d)"', shown)
    assert bars == ["2"] * denied
    assert f"({TIMES}): no points, and not counted in the percentages" in shown
    assert shown.count("1 wrong answer that matches no typical mistake. See") == 1
    assert shown.count("No wrong answers.") == len(QUESTIONS) - 1
    assert f"<b>{len(QUESTIONS) - 0.5}</b> of {len(QUESTIONS)} points on av" in shown
    assert "on average, excluding the students who get no points for" in shown
    assert shown.count("50% of the points") == 1
    assert shown.count("100% of the points") == len(QUESTIONS) - 1
    for name in ("cem", "dora"):
        shutil.rmtree(place / name)
    grade_all()
    assert page(outputs).count("% of the points") == 4  # the others have no percentage
    assert f"<b>\N{EN DASH}</b> of {len(QUESTIONS)} points on average" in page(outputs)
    grade_all(require="any")
    shown = page(outputs)
    assert "points on average</section>" in shown
    assert TIMES not in shown and '<span class="denied"' not in shown


def test_a_question_that_nobody_has_answered_has_no_answers(
    course, grade_all, outputs, place
):
    right = course.solve("ana", course.train("ana"))
    course.write(place / "ana", "ana", right | {"logit": None})
    course.write(place / "ben", "ben", {"logit": "x"})
    grade_all()
    shown = page(outputs)
    assert shown.count("No wrong answers.") == len(QUESTIONS) - 1
    section = shown.partition("<h3>logit</h3>")[2].partition("</section>")[0]
    assert "No answers." in section and "0% of the points" in section


def test_another_version_of_pytorch_is_reported_as_a_possible_reason(
    course, outputs, place, same_worker, capsys
):
    installed = version("torch").partition("+")[0]
    course.write(place / "ana", "ana", {}, torch=installed)
    course.write(place / "ben", "ben", {}, torch="2.0.1")
    cem, eva = course.train("cem", lr=0.01), without_a_neuron(course.train("eva"))
    course.write(place / "cem", "cem", {}, cem, torch="2.0.1")
    course.write(place / "dora", "dora", {}, course.train("dora", lr=0.01))
    course.write(place / "eva", "eva", {}, eva, torch="2.0.1")
    course.write(place / "finn", "finn")
    grades = grade(submissions=place, **course.keys)
    printed = " ".join(capsys.readouterr().out.split())
    assert [entry.student for entry in grades.others] == ["cem", "dora", "eva"]
    assert "cem (a different training run, PyTorch 2.0.1)" in printed
    assert "dora (a different training run)" in printed
    shown, file = page(outputs), "the metadata of the file says PyTorch 2.0.1, but the"
    assert f"{installed}. In the metadata of the submitted networks: 2.0.1 (3)" in shown
    lines = {
        x: line
        for line in shown.splitlines()
        for x in re.findall("<li><b>(.*?)<", line)
    }
    for name, is_named, is_reason in (
        ("cem", True, True),
        ("dora", False, False),
        ("eva", True, False),  # no weight is equal in a different training run
    ):
        assert (file in lines[name]) == is_named
        assert ("which may be the reason" in lines[name]) == is_reason
        feedback = " ".join(page(outputs, f"feedback/{name}.html").split())
        reason = "trained with PyTorch 2.0.1, but the assigned network was trained wi"
        assert (reason in feedback) == is_reason
    assert grades.early_notices == [] and "Ctrl-C" not in printed
    for name in ("ana", "dora"):
        shutil.rmtree(place / name)
    grades = grade(submissions=place, **course.keys)
    printed = " ".join(capsys.readouterr().out.split())
    notice = f"PyTorch 2.0.1 was used for 3 of 4 networks, but {installed} is installed"
    assert [line.startswith(notice) for line in grades.early_notices] == [True]
    assert notice in page(outputs)
    assert printed.startswith(notice) and "Press Ctrl-C to stop the com" in printed


def test_points_that_require_changes_are_not_listed_as_changes_of_a_question(
    course, grade_all, outputs, place, capsys
):
    network = course.train("eva", lr=0.01)
    course.write(place / "eva", "eva", course.solve("eva", network), network)
    assert grade_all(require="any").graded[0].grade.points == len(QUESTIONS)
    grade(submissions=place, **course.keys)
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 student gets no points for the questions about the weights" in printed
    assert "points changed" not in printed
    assert "require=any" not in printed
    grade(submissions=place, require="any", **course.keys)
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 student gets points for a different training run, because of" in printed
    assert "gets no points" not in printed
    assert printed.endswith('section "Not the assigned network" in class.html')
    grades = grade_all(again=True)
    edited, other = grades.notices
    assert edited == "points changed for 0 students"
    assert "a reason other than the questions, such as an accepted" in other
    assert f": eva {len(QUESTIONS)} -> 4; " in other
    assert grades.graded[0].grade.points == 4

    def halve(grade):  # as if all questions had been corrected
        grade["code"] = {}
        for answer in grade["answers"]:
            answer["points"] /= 2

    change_last(outputs, halve)
    notice = "points changed for 1 student: eva"
    assert grade_all(again=True).notices == [f"{notice} 2 -> 4; {IMPORT_AGAIN}"]


def test_differences_of_a_processor_without_avx2_are_not_taken_for_edits(course):
    network, assigned = course.train("ana"), course.assigned("ana")
    other = chaotic(network)
    found = compare(other, assigned)
    assert found.training is Training.NEAR and found.training.is_accepted
    assert not found.training.is_assigned
    assert 30 < found.largest / found.median < 60  # 38 was measured
    edited = without_a_neuron(network, noise=2e-4)  # against the test of kept weights
    assert compare(edited, assigned).training is Training.OTHER
    assert without_drop(found, 0.9, 0.9 + MAX_ACCURACY_DROP / 2) == found
    for kind in Training:  # processors do not lower the accuracy so much
        lost = without_drop(dataclasses.replace(found, training=kind), 0.9, 0.92)
        expected = Training.OTHER if kind is Training.NEAR else kind
        assert lost.training is expected
    for change in (3 * (other["layer_1.weight"] - network["layer_1.weight"]), 1.2):
        further = {**other, "layer_1.weight": network["layer_1.weight"] + change}
        assert compare(further, assigned).training is Training.OTHER


def test_noise_does_not_hide_that_a_neuron_was_edited(course):
    settings = {**course.settings, "hidden": 16, "epochs": 20, "lr": 0.01}
    course = dataclasses.replace(course, settings=settings)
    network, assigned = course.train("ana"), course.assigned("ana")
    rng = np.random.default_rng(0)
    noisy = {
        name: x + rng.normal(0, 0.01, x.shape).astype("f4")
        for name, x in network.items()
    }
    assert compare(noisy, assigned).training is Training.NEAR
    number = course.assignment.question_values("ana", course.data).image
    image = course.data.test.images[number].ravel()
    weights = noisy["layer_1.weight"].copy()
    weights[0, image > 0] = 0
    found = compare({**noisy, "layer_1.weight": weights}, assigned)
    assert found.largest < NEAR_RATIO * found.median
    assert found.training is Training.OTHER


def test_an_interrupted_grading_continues(
    course, grade_all, outputs, place, lasting_executor, monkeypatch
):
    for index in range(4):
        course.write(place / f"s{index}", f"s{index}")
    finish, started = command._finish, []

    def interrupt(*arguments):
        started.append(finish(*arguments))
        if len(started) == 2:
            raise KeyboardInterrupt
        return started[-1]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(command, "_finish", interrupt)
        grade_all()
    assert not (outputs / GRADES / "grades.csv").exists()
    # A worker may still write the files of another network, under temporary names.
    cache = outputs / "grades/.cache"
    grades, networks = [*cache.glob("*.json")], [*cache.glob("*.safetensors")]
    assert len(grades) == 2 and len(networks) >= 2
    times = {path: path.stat().st_mtime_ns for path in grades + networks}
    assert len(grade_all().graded) == 4
    assert all(path.stat().st_mtime_ns == times[path] for path in times)


@pytest.mark.fault
def test_a_grading_that_is_killed_continues_with_the_same_results(
    course, empty_project, place, same_worker
):
    slow = dataclasses.replace(course, settings={**course.settings, "epochs": 40})
    students = [f"s{index}" for index in range(4)]
    for student in students:
        network = slow.train(student)
        slow.write(place / student, student, slow.solve(student, network), network)
    keys = {"submissions": place, **slow.keys, "workers": 1}
    arguments = [f"{key}={value}" for key, value in keys.items()]
    killed, undisturbed = (empty_project(x, store=False) for x in ("killed", "whole"))
    process, cache = killed.start("grade", *arguments), killed.outputs / "grades/.cache"
    while not (finished := [*cache.glob("*.safetensors")]):
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.kill()
    process.communicate()
    finished = {path: path.stat().st_mtime_ns for path in cache.glob("*.safetensors")}
    assert len(finished) < len(students)
    assert {path.name for path in cache.parent.iterdir()} == {".cache"}
    killed.call("grade", **keys)
    assert len([*cache.glob("*.safetensors")]) == len(students)
    assert all(path.stat().st_mtime_ns == before for path, before in finished.items())
    undisturbed.call("grade", **keys)
    assert undisturbed.hashes("grades").items() <= killed.hashes("grades").items()
    assert [row["points"] for row in table(killed.outputs).values()] == ["16.0"] * 4


def test_unchanged_submissions_keep_their_grade_unless_again_and_networks_stay(
    course, grade_all, outputs, place
):
    course.write(place / "ana", "ana", course.solve("ana", course.train("ana")))
    grade_all()
    (grade_path,) = (outputs / "grades" / ".cache").glob("*.json")
    (network,) = (outputs / "grades" / ".cache").glob("*.safetensors")
    stored = json.loads(grade_path.read_text())
    assert "ana" not in grade_path.read_text()
    stored["answers"][0]["points"] = 0.25
    grade_path.write_text(json.dumps(stored))
    before = network.stat().st_mtime_ns
    found = [grade_all(again=again).entries[0] for again in (False, True, False)]
    points = [entry.grade.points for entry in found]
    assert points == [len(QUESTIONS) - 0.75, len(QUESTIONS), len(QUESTIONS)]
    assert network.stat().st_mtime_ns == before
    grade_path.write_text("damaged")
    network.write_text("damaged")
    assert grade_all().entries[0].grade.training is Training.SAME


def test_grades_of_other_questions_are_counted_until_they_are_graded_again(
    course, grade_all, outputs, place
):
    for name in ("ana", "ben", "cem"):
        course.write(place / name, name)
    assert grade_all().notices == []
    ana, ben, _ = sorted((outputs / "grades" / ".cache").glob("*.json"))
    for path, points in ((ana, 1), (ben, 0)):  # as if a question had been edited
        stored = json.loads(path.read_text())
        stored["code"]["parameters"] = "other code"
        stored["answers"][0]["points"] = points
        path.write_text(json.dumps(stored))
    (outputs / GRADES / ".last.json").unlink()
    grades = grade_all()
    rows = table(outputs)
    mark = "graded before the questions changed"
    named = [x for x, row in rows.items() if row["problem"] == mark]
    assert len(named) == 2 and {row["problem"] for row in rows.values()} == {"", mark}
    old = f"2 of 3 submissions were {mark} ({named[0]}, {named[1]}): add again=true"
    assert [line.startswith(old) for line in grades.notices] == [True]
    assert old in without_bold(page(outputs))
    cell = f'<td class="training">byte-identical; {mark}</td>'
    assert page(outputs).count(cell) == 2
    (notice,) = grade_all(again=True).notices
    changed = r"points changed for 1 student: \w+ 1 -> 0; if you already .* again"
    assert re.fullmatch(changed, notice)
    assert notice in without_bold(page(outputs))
    assert grade_all().notices == [] and mark not in page(outputs)


def test_students_with_questions_of_another_version_are_counted(
    course, grade_all, outputs, place, capsys
):
    for student in ("ana", "ben", "cem"):
        folder = course.write(place / student, student)
        values = course.inputs(student, course.train(student)).values
        texts = [question.text(values) for question in QUESTIONS]
        text = "\r\n\r\n".join(["# zoë", *texts]).replace(" of ", "\nof ")
        if student != "cem":  # who has not submitted it
            (folder / "questions.md").write_bytes(text.encode())
    assert grade_all().notices == []
    size = f"{values.small_rows}x{values.small_columns}"
    # Another version of the project can draw this size from a different range.
    other = text.replace(size, "9x9")
    assert other != text
    (place / "cem" / "questions.md").write_bytes(other.encode())
    text = (
        "for 1 student, questions.md differs from the questions that were graded (cem)"
    )
    (notice,) = grade_all().notices
    assert notice.startswith(text) and text in without_bold(page(outputs))
    assert "if you corrected the text of a question, this is expected" in notice
    differs = "This text differs from the one in the <code>questions.md</code>"
    assert page(outputs, "feedback/cem.html").count(differs) == 1
    assert differs not in page(outputs, "feedback/ben.html")
    grade(submissions=place, **course.keys)
    assert text in " ".join(capsys.readouterr().out.split())
    for student, lines in (("cem", 1), ("zoë", 0)):  # zoë's, so not another version
        head = f"# Homework of `{student}`\n\n"
        (place / "cem" / "questions.md").write_bytes(head.encode() + other.encode())
        assert len(grade_all().notices) == lines
    # Ben's questions, with Cem's ID, and with one text that was corrected later.
    values = course.inputs("ben", course.train("ben")).values
    texts = [question.text(values) for question in QUESTIONS]
    copied = "\n\n".join(["# Homework of `cem`", "corrected", *texts[1:]])
    (place / "cem" / "questions.md").write_text(copied)
    grades = grade_all()
    assert grades.notices == [
        "the questions.md of cem has the questions of ben: ask both"
    ]
    assert f"{grades.notices[0]}." in without_bold(page(outputs))


def test_a_wrong_answer_that_is_correct_for_a_student_with_the_same_network_is_named(
    course, grade_all, outputs, place
):
    network = course.train("ana")
    right = course.solve("ana", network)
    (question,) = (x for x in QUESTIONS if x.name == "bytes_of_weights")
    for name in ("cem", "dora", "eve"):  # it is no typical mistake of theirs
        answer = question.grade(right[question.name], course.inputs(name, network))
        assert (answer.points, answer.hint) == (0, None)
    for name, answers in (("ana", right), ("cem", right), ("dora", right)):
        course.write(place / name, name, answers, network)
    course.write(place / "eve", "eve", {"bytes_of_weights": right["bytes_of_weights"]})
    grade_all()
    shown = page(outputs).partition("<h3>bytes_of_weights</h3>")[2]
    shown = without_bold(shown.partition("</section>")[0])
    assert f"2 {TIMES} The correct answer for ana." in " ".join(shown.split())
    # Eve has her own network and shows no other sign of copying.
    assert "1 wrong answer that matches no typical mistake." in shown


def test_an_added_question_is_graded_and_changed_points_are_listed(
    course, grade_all, outputs, place
):
    course.write(place / "ana", "ana", course.solve("ana", course.train("ana")))
    grade_all()
    (path,) = (outputs / "grades" / ".cache").glob("*.json")
    stored = json.loads(path.read_text())
    del stored["answers"][0]  # as if there had been no such question
    path.write_text(json.dumps(stored))
    change_last(outputs, lambda grade: grade["answers"].pop(0))
    grades, points = grade_all(), len(QUESTIONS)
    assert grades.entries[0].grade.points == points
    assert grades.notices == [
        f"the maximum changed from {points - 1} to {points} points: change it in your "
        "learning platform too",
        "added and removed questions changed the points of 1 student: "
        f"ana {points - 1} -> {points}",
        "points of the other questions changed for 0 students",
    ]


def test_after_a_removal_students_with_other_points_for_another_question_are_listed(
    course, grade_all, outputs, place
):
    for name, lr in (("ana", 0.001), ("ben", 0.001), ("eva", 0.01)):
        network = course.train(name, lr=lr)
        course.write(place / name, name, course.solve(name, network), network)
    grade_all()
    count = len(QUESTIONS)

    def add(grade):  # a question that is then removed
        grade["answers"].append({**grade["answers"][-1], "question": "old_one"})

    change_last(outputs, add)
    maximum = f"the maximum changed from {count + 1} to {count} points"
    kept, removed, changed = grade_all().notices
    assert kept.startswith(maximum)
    # The last question depends on the weights, so eva had no points for it.
    assert removed == (
        "added and removed questions changed the points of 2 students: "
        f"ana {count + 1} -> {count}, ben {count + 1} -> {count}"
    )
    assert changed == "points of the other questions changed for 0 students"
    change_last(outputs, add)
    edit_last(outputs, "parameters", 0.5, students=["ana"])
    kept, removed, changed, other = grade_all(require="any").notices
    assert "1 student changed for a reason other than the questions" in other
    assert f": eva 4 -> {count}; " in other
    assert kept.startswith(maximum)
    assert removed.endswith(
        f"of 2 students: ana {count + 0.5} -> {count - 0.5}, ben {count + 1} -> {count}"
    )
    # Both numbers are without the removed question.
    text = rf"for 1 student: \w+ {count - 0.5} -> {count}; {re.escape(IMPORT_AGAIN)}"
    assert re.fullmatch(f"points of the other questions changed {text}", changed)


def test_a_removed_question_about_the_weights_had_no_points_for_another_network(
    course, grade_all, outputs, place
):
    network = course.train("eva", lr=0.01)
    course.write(place / "eva", "eva", course.solve("eva", network), network)
    grade_all()

    def add(grade):
        grade["answers"].append({**grade["answers"][-1], "question": "old_one"})

    text, count = "added and removed questions changed the points of", len(QUESTIONS)
    change_last(outputs, add)
    assert not any(text in line for line in grade_all().notices)
    grade_all(require="any")
    change_last(outputs, add)
    (line,) = (x for x in grade_all(require="any").notices if text in x)
    assert line == f"{text} 1 student: eva {count + 1} -> {count}"


def test_upper_and_lower_case_of_the_course_code_make_no_difference(
    course, grade_all, outputs, place
):
    course.write(place / "ana", "ana")
    grade_all()
    cached = {*(outputs / "grades" / ".cache").iterdir()}
    typed = {**course.keys, "course": f" {course.assignment.course.upper()} "}
    again = grade(submissions=place, **typed)
    assert again.assignment.course == course.assignment.course
    assert {*(outputs / "grades" / ".cache").iterdir()} == cached  # nothing is new
    with pytest.raises(ConfigError, match="course must not be empty"):
        grade(submissions=place, **{**typed, "course": "  "})


def test_grades_for_another_course_code_do_not_replace_those_of_the_first(
    course, grade_all, outputs, place, tmp_path
):
    course.write(place / "ana", "ana")
    grade_all()
    before = page(outputs), table(outputs), page(outputs, "feedback/ana.html")
    answers = course.write(tmp_path / "second" / "ana", "ana") / FILE
    answers.write_text(answers.read_text().replace(course.keys["course"], "../room"))
    second = {**course.keys, "course": "../room"}
    grades = grade(submissions=tmp_path / "second", **second)
    assert grades.folder.parent == outputs / "grades"
    assert re.fullmatch(r"_room-\w{8}", grades.folder.name)
    assert (page(outputs), table(outputs), page(outputs, "feedback/ana.html")) == before


def test_a_changed_submission_is_graded_again(course, grade_all, place):
    folder = course.write(place / "ana", "ana")
    assert grade_all().entries[0].grade.points == 0
    answers = course.solve("ana", course.train("ana"))
    change(folder, answers=answers)
    assert grade_all().entries[0].grade.points == len(QUESTIONS)


def test_a_malformed_answer_gets_no_points(course, grade_all, outputs, place):
    whole = {question.name for question in QUESTIONS if question.form.whole}
    answers = course.solve("ana", course.train("ana"))
    answers |= {name: answers[name] + 0.5 for name in whole}
    answers["scaled_layer"] = -0.5
    course.write(place / "ana", "ana", answers)
    (entry,) = grade_all().graded
    assert entry.grade.points == len(QUESTIONS) - len(whole) - 1
    shown = page(outputs, "feedback/ana.html")
    problem = "must be a number from 0 to 100, got -0.5"
    assert problem in shown
    overview = page(outputs, "class.html").replace("<wbr>", "")
    assert f"<b>ana</b> ({len(whole) + 1})" in overview
    names = [x for x in NAMES if x in whole or x == "scaled_layer"]
    assert f"): {', '.join(names)}</p>" in overview
    assert f"scaled_layer: {problem}, correct: " in overview  # in the table
    assert f"<th>scaled_layer</th><td>{problem}</td>" in overview


def test_answers_for_another_course_are_a_problem_and_not_wrong(
    course, grade_all, outputs, place
):
    network = course.train("ana")
    folder = course.write(place / "ana", "ana", course.solve("ana", network))
    course.write(place / "ben", "ben")
    for typed, word in (
        ("Embedded2026", "for the course embedded2026"),
        ("<b>\n" * 99, "for the course <b>"),
        (None, "for no course"),
    ):
        change(folder, course=typed)
        grade_all()
        row = table(outputs)["ana"]
        problem = f"submitted, but not graded: answers.json is {word}"
        assert row["problem"].startswith(problem)
        assert ", not embedded 2026: each course has its own" in row["problem"]
        assert row["problem"].endswith("correct code and answer its questions")
        assert row["points"] == "" and len(row["problem"].splitlines()) == 1
    change(folder, course=" Embedded 2026")
    assert grade_all().entries[0].grade.points == len(QUESTIONS)


def test_the_feedback_says_that_a_removed_question_is_no_longer_graded(
    course, grade_all, outputs, place, monkeypatch
):
    monkeypatch.setattr(answers_file, "REMOVED", ("old_one",))
    answers = course.solve("ana", course.train("ana"))
    course.write(place / "ana", "ana", {**answers, "old_one": 3, "other": 4})
    (entry,) = grade_all().graded
    assert (entry.grade.points, entry.malformed) == (len(QUESTIONS), [])
    shown = page(outputs, "feedback/ana.html")
    assert "<li>old_one is no longer graded</li>" in shown
    assert "<li>other is not the name of a question</li>" in shown
    assert not re.search(r"<h3>\d", shown)  # there is no questions.md


def test_feedback_has_the_numbers_of_the_submitted_questions(
    course, grade_all, outputs, place
):
    folder = course.write(place / "ana", "ana")
    text = "# Homework\n\n**3. `old_one`** (exact): Why?\n\n**12. `logit`**\n (...)"
    (folder / "questions.md").write_text(text)
    grade_all()
    shown = page(outputs, "feedback/ana.html")
    assert re.findall(r"<h3>(\d.*?)</h3>", shown) == ["12. logit"]
    # All others, such as private questions, are not in the submitted file.
    assert shown.count("This text differs from the one in the <code>questions") == 1
    text = "This question is not in the <code>questions.md</code> that you submitted."
    assert shown.count(text) == len(QUESTIONS) - 1


def test_feedback_has_the_hints_and_the_solutions_only_on_request(
    course, grade_all, outputs, place
):
    network = course.train("ana")
    inputs = course.inputs("ana", network)
    question = next(each for each in QUESTIONS if each.name == "sum_of_neuron")
    mistake = question.solution(inputs).mistakes[0]
    course.write(place / "ana", "ana", {question.name: mistake.value, "logit": "1,"})
    correct = [
        f"{question.solution(inputs).correct[0]:.6g}" for question in QUESTIONS[4:11]
    ]
    grade_all()
    shown = page(outputs, "feedback/ana.html")
    assert mistake.hint in shown and "0.5 of 1" in shown
    assert "must be a number without a comma" in shown
    assert "Correct answer" not in shown
    (notice,) = grade_all(solutions=True).notices
    text = "the feedback contains the correct answers: grade again without solutions=tr"
    assert notice.startswith(text) and text in page(outputs)
    shown = page(outputs, "feedback/ana.html")
    assert shown.count("Correct answer") == len(QUESTIONS)
    assert all(f"<dd>{value}</dd>" in shown for value in correct)
    sizes = [f"{question.correct(inputs)[0]:.0f}" for question in QUESTIONS[:4]]
    assert max(map(len, sizes)) > 3  # without a comma, which students must not type
    assert all(f"<dd>{size}</dd>" in shown for size in sizes)


def test_feedback_says_why_an_answer_with_a_typical_mistake_gets_no_points(
    course, grade_all, outputs, place
):
    inputs = course.inputs("ana", course.train("ana"))
    changed = inputs.mistaken[NO_BIAS]
    by_name = {question.name: question for question in QUESTIONS}
    wrong = {
        name: by_name[name].solution(changed).correct[0]
        for name in ("sum_of_neuron", "logit")
    }
    weight = float(f"{inputs.weights[inputs.pixel]:.0e}")  # one digit
    course.write(place / "ana", "ana", {**wrong, "weight_of_pixel": weight})
    grade_all()
    shown = page(outputs, "feedback/ana.html").replace("<wbr>", "")
    mistake = "2 of your answers show the same mistake, which cost 1 point</b>"
    assert shown.count(f"{mistake}: {NO_BIAS}") == 1 == shown.count(NO_BIAS)
    reference = '<dd>The same mistake as in other answers: see <a href="#mistakes">'
    raw = (outputs / GRADES / "feedback/ana.html").read_text()
    assert raw.count(reference) == 2 and shown.count("0.5 of 1<") == 2
    reason = f"decimal places are enough for every question. {GUESS}</dd>"
    assert shown.count(reason) == 1 == shown.count(GUESS)
    place_of = {x: shown.index(f"<h3>{x}</h3>") for x in by_name}
    after = [x for x in place_of if place_of[x] < shown.index(reason)]
    assert max(after, key=place_of.get) == "weight_of_pixel"
    assert reason.removesuffix("</dd>") in page(outputs)
    assert "The equation of one neuron · within 0.001 and 1%" in shown


def test_the_column_notebook_is_shown_if_the_notebook_has_recorded_answers(
    course, grade_all, outputs, place
):
    folder = course.write(place / "ana", "ana")
    (place / "ben").mkdir()
    for recorded, cells in ((None, 2), ({"section 1": 784}, 3)):
        change(folder, notebook=recorded)
        grade_all()
        shown, wide = page(outputs), f'<td colspan="{len(NAMES) + cells}">'
        assert ("<button>notebook</button>" in shown) == (cells == 3)
        assert ('<td class="right">1</td>' in shown) == (cells == 3)
        assert wide in shown


def test_the_class_page_counts_mistakes_and_names_them(
    course, grade_all, outputs, place
):
    for index in range(5):
        student = f"s{index}"
        network = course.train(student)
        values = course.inputs(student, network).values
        weights = values.neurons * (784 + values.classes)
        answers = {"parameters": weights if index < 3 else 17, "bytes_of_weights": 8}
        course.write(place / student, student, answers)
    grades = grade_all()
    wrong = [(len(same), same[0][1].hint) for same in grades.wrong("parameters")]
    assert wrong == [
        (3, "This is the number of weights. The biases are missing."),
        (2, None),
    ]
    assert [len(same) for same in grades.wrong("bytes_of_weights")] == [5]
    assert grades.wrong("logit") == []
    assert re.search("<b>3 .</b> This is the number of weights.", page(outputs))


def found_in(folder, texts):
    """Return which of the texts a file in a folder contains, or its name."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    contents = [str(path).encode() + path.read_bytes() for path in paths]
    return {x for x in texts if any(x.encode() in content for content in contents)}


def artifacts(client, run_id, folder=None):
    """Yield the paths of all artifacts of a run on a server."""
    for file in client.list_artifacts(run_id, folder):
        yield file.path
        if file.is_dir:
            yield from artifacts(client, run_id, file.path)


def test_sync_copies_no_name_no_points_and_no_file_of_a_class_to_a_server(
    empty_project, server, same_worker, tmp_path
):
    workspace, keys = empty_project("class"), {"dataset": "digits", "hidden": 5}
    # They occur in no uncommitted change of the code, which a run records.
    secrets = {f"z{random.SystemRandom().getrandbits(64)}" for _ in range(4)}
    student, name, course, run_name = secrets
    workspace.call("train", run_name=run_name, epochs=1, **keys)
    keys |= {"course": course, "epochs": 1}
    workspace.call("homework", student=student, **keys)
    submissions = workspace.outputs / "homework" / course
    students = tmp_path / "list.csv"
    students.write_text(f"name,id\n{name},{student}\n")
    workspace.call("grade", submissions=submissions, students=students, **keys)
    shown = {student, name, course}  # on the page for the instructor
    assert found_in(workspace.outputs / "grades", secrets) == shown
    feedback = workspace.outputs / "grades" / course / "feedback"
    assert found_in(feedback, secrets) == {student, course}
    workspace.call("sync", server=server.url)
    for folder in (workspace.outputs / "mlflow-artifacts", server.folder):
        assert not found_in(folder, secrets - {run_name})
    assert found_in(server.folder, secrets) == {run_name}

    client = MlflowClient(server.url)
    experiment = client.get_experiment_by_name("digits").experiment_id
    (run,) = client.search_runs([experiment], f"run_name = '{run_name}'")
    names = {*artifacts(client, run.info.run_id)}
    assert "train/model.safetensors" in names
    names |= {*run.data.params, *run.data.tags, *run.data.metrics}
    names |= {*run.data.params.values(), *run.data.tags.values()}
    others = ["homework", "grades", "points", "answers", "feedback", *NAMES[4:]]
    pattern = rf"\b({'|'.join(others)})\b"
    assert [text for text in names if re.search(pattern, text)] == []


@pytest.fixture(scope="module")
def browser_page(chromium):
    page = chromium.new_page(offline=True, viewport={"width": 1366, "height": 768})
    yield page
    page.close()


def test_in_a_browser_the_ids_stay_in_view_and_link_to_feedback(
    course, grade_all, outputs, place, browser_page
):
    answers = {"logit": 1.25, "parameters": 7}
    for student in ("zoë+1@b", "ana"):
        course.write(place / f"{student} {'x' * 60}", student, answers)
    course.write(place / f"ben {'x' * 60}", "ben", {}, course.train("ben", hidden=4))
    grade_all()
    for width in (1366, 390):
        browser_page.set_viewport_size({"width": width, "height": 768})
        browser_page.goto((outputs / GRADES / "class.html").as_uri())
        shown = browser_page.locator("#table .scroll").bounding_box()
        reason = browser_page.locator("#table tbody div").bounding_box()
        assert reason["x"] + reason["width"] <= shown["x"] + shown["width"]
        if width == 1366:  # the whole table is visible
            table = browser_page.locator("#table table").bounding_box()
            assert table["width"] <= shown["width"]
        browser_page.evaluate("document.querySelector('.scroll').scrollLeft = 200")
        card = browser_page.locator("#table").bounding_box()
        shown = browser_page.locator("#table .scroll").bounding_box()
        first = browser_page.locator("#table tbody th").first.bounding_box()
        assert card["x"] <= shown["x"] <= first["x"] < shown["x"] + 2
        assert shown["x"] + shown["width"] <= card["x"] + card["width"]
    row = browser_page.locator("#answers details").first
    assert not row.locator("table").is_visible()
    row.locator("summary").click()
    assert "1.25" in row.inner_text()
    name = row.locator("tbody th", has_text="loss_of_wrong_label")
    lines = name.evaluate(WORDS)  # the width is 390 pixels
    assert len(lines) > 1 and "".join(lines) == "loss_of_wrong_label"
    assert all(line.endswith("_") for line in lines[:-1])
    browser_page.locator("#table tbody a").last.click()
    assert browser_page.title() == "Feedback for zoë+1@b"


def test_in_a_browser_the_table_has_names_and_is_sorted_with_the_keyboard(
    course, grade_all, outputs, place, browser_page, tmp_path
):
    path = tmp_path / "list.csv"
    path.write_text(f"id,name\na1,Zoë  Abt\nb2,Ben Oz-{'y' * 50}\nc3,<b>Cem\nd4,Dora\n")
    for student, hidden in (("a1", 5), ("b2", 5), ("c3", 4)):
        network = course.train(student, hidden=hidden)
        answers = course.solve(student, network) if student == "a1" else {}
        course.write(place / student, student, answers, network)
    grade_all(students=path)
    errors = []
    browser_page.on("console", lambda message: errors.append(message.text))
    browser_page.set_viewport_size({"width": 1366, "height": 768})
    browser_page.goto((outputs / GRADES / "class.html").as_uri())

    def ids():
        return browser_page.locator("#table tbody th").all_inner_texts()

    def sort(title):
        button = browser_page.get_by_role("button", name=title, exact=True)
        button.focus()
        browser_page.keyboard.press("Enter")
        return ids()

    assert "<b>Cem" in browser_page.inner_text("#table tbody")
    assert ids() == ["a1", "b2", "c3", "d4"]
    # Students without points are last.
    assert sort("points") == ["b2", "a1", "c3", "d4"]
    assert sort("points") == ["a1", "b2", "c3", "d4"]
    assert sort("name") == ["c3", "b2", "d4", "a1"]
    assert sort("name") == ["a1", "d4", "b2", "c3"]
    head = browser_page.locator("th.question", has_text="logit")  # a click on its top
    head.click(position={"x": 10, "y": 10})
    assert head.get_attribute("aria-sort") == "ascending" and ids()[:2] == ["b2", "a1"]
    assert sort("name") == ["c3", "b2", "d4", "a1"]
    assert sort("name") == ["a1", "d4", "b2", "c3"]
    heads = browser_page.locator("th[aria-sort]")
    assert heads.count() == 1 and heads.get_attribute("aria-sort") == "descending"
    assert sort("logit")[:2] == ["b2", "a1"]
    assert "Zoë Abt" not in page(outputs, "feedback/a1.html")
    assert "d4 (Dora)" in " ".join(browser_page.inner_text("#look").split())
    browser_page.set_viewport_size({"width": 390, "height": 844})
    assert not browser_page.get_by_role("button", name="name", exact=True).is_visible()
    shown = browser_page.locator("#table .scroll").bounding_box()
    for reason in browser_page.locator("#table tbody div").all():
        box = reason.bounding_box()
        assert box["x"] + box["width"] <= shown["x"] + shown["width"]
    browser_page.set_viewport_size({"width": 1366, "height": 768})
    assert errors == []


def test_the_lists_of_a_class_give_names_and_links_to_feedback_and_rows(
    course, grade_all, outputs, place, tmp_path
):
    path = tmp_path / "list.csv"
    path.write_text("id,name\na1,Ana <b>\nb2,Ben\nd4,Dora\n")
    network = course.train("a1", lr=0.01)
    course.write(place / "a1", "a1", {"logit": "2,5"}, network)
    course.write(place / "b2", "b2", {}, network)
    grade_all(students=path)
    shown = (outputs / GRADES / "class.html").read_text()
    look = shown.partition('<section id="look"')[2].partition("</section>")[0]
    row = '<a class="row" href="#row-{}" title="row in the table"></a>'
    ana = '<a href="feedback/a1.html"><b>a1</b></a> <span class="muted">(Ana &lt;b&gt;)'
    ana += f"</span>{row.format('a1')}"
    # In the first line, and in the lists of malformed answers and of other networks.
    assert f"is that of another student ({ana}, " in look
    assert f"{ana} (1): logit" in look and f"<li>{ana}: no points for 12" in look
    assert f'<b>d4</b> <span class="muted">(Dora)</span>{row.format("d4")}' in look
    assert len(re.findall(">a1<|>b2<|>d4<", look)) == look.count('class="row"')
    assert [shown.count(f'<tr id="row-{x}">') for x in ("a1", "b2", "d4")] == [1, 1, 1]


def test_in_a_browser_hostile_texts_are_text(
    course, grade_all, outputs, place, browser_page
):
    name = ATTACK.replace("/", "\u2215")
    course.write(place / f"ana {name}", "ana", {ATTACK: 3, "logit": ATTACK})
    course.write(place / name, "eve", stated=name)
    grade_all()
    requests, errors = [], []
    browser_page.on("request", lambda request: requests.append(request.url))
    browser_page.on("console", lambda message: errors.append(message.text))
    for file in ("class.html", "feedback/ana.html"):
        browser_page.goto((outputs / GRADES / file).as_uri())
        assert "run" not in browser_page.title()
        scripts = 1 if file == "class.html" else 0
        assert browser_page.locator("script").count() == scripts
        assert browser_page.locator("img, iframe, link").count() == 0
        for scheme in ("light", "dark"):
            for width in (1366, 390):
                browser_page.emulate_media(color_scheme=scheme)
                browser_page.set_viewport_size({"width": width, "height": 800})
                size = "document.documentElement.scrollWidth"
                assert browser_page.evaluate(size) <= width, (file, width)
    assert ATTACK[:40] in browser_page.inner_text("body")  # of the malformed answer
    browser_page.goto((outputs / GRADES / "class.html").as_uri())
    assert name in browser_page.inner_text("#look")
    assert [url for url in requests if not url.startswith("file:")] == []
    assert errors == []
