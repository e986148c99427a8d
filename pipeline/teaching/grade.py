"""The command `grade`: reads the submissions of a class, and writes their points."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline import UserError, datasets
from pipeline.base import files
from pipeline.base.call import results_dir
from pipeline.base.console import new_console, progress_bar
from pipeline.base.paths import data_dir, displayed, outputs_dir, user_path
from pipeline.base.printing import say
from pipeline.base.terminal import counted, status, wrap
from pipeline.core.dataset import Dataset
from pipeline.core.fingerprint import fingerprint
from pipeline.execution.executor import Result, Task
from pipeline.execution.workers import new_executor
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.class_grades import (
    COLUMNS,
    ClassGrades,
    Entry,
    read_students,
    without_repeated,
)
from pipeline.teaching.class_page import render_class, render_feedback
from pipeline.teaching.grading import Cache, Training, grade_submission
from pipeline.teaching.submissions import Submission, read_submissions

# Memory for each hidden neuron: its outputs for all test images, in three arrays.
NEURON_BYTES = 300_000
MAX_NAMES = 10  # ids in a line that is printed


def grade(
    submissions: str,
    course: str,
    dataset: str,
    assigned: Mapping[str, Any],
    *,
    students: str | None,
    solutions: bool,
    again: bool,
    workers: int | None,
) -> ClassGrades:
    """Read the submissions, grade them, and write the points and the pages.

    Args:
        submissions: The folder with a folder or a zip file for each student.
        course: The word of the course.
        dataset: The data set of the assigned training runs.
        assigned: Their hyperparameters, without the seed.
        students: The CSV file with the ids of all students, if there is one.
        solutions: Whether the feedback contains the correct answers.
        again: Whether to grade unchanged submissions again.
        workers: The number of processes; None for as many as fit.

    Raises:
        UserError: If a folder or a file cannot be used, or there is no submission.
    """
    listed = read_students(user_path(students, key="students")) if students else None
    with status("reading the submissions"):
        submitted = read_submissions(user_path(submissions, key="submissions"))
    if not submitted:
        raise UserError(f"{submissions} contains no submissions")
    data = Dataset.read(datasets.prepare(dataset, folder=data_dir()).path)
    assignment = Assignment(course, data.name, assigned)
    data.training_split(assignment.hyperparameters("any"))  # raises, if it is invalid
    # Not in the folder of a call, which must be empty: training takes minutes.
    cache = Cache(outputs_dir() / "grades" / ".cache")
    entries = [Entry(each) for each in _checked(submitted, assignment)]
    entries = _grade(entries, assignment, data, cache, again=again, workers=workers)
    entries = sorted(without_repeated(entries), key=Entry.order)
    grades = ClassGrades(assignment, entries, listed, results_dir("grades"))
    with status("writing the pages"):
        _write(grades, data, solutions=solutions)
    _print(grades)
    return grades


def _checked(
    submissions: Sequence[Submission], assignment: Assignment
) -> list[Submission]:
    """Add the problems that are seen in comparison with the assignment."""
    checked = list[Submission]()
    for each in submissions:
        problem = each.problem
        if each.answers and not problem:
            problem = each.answers.course_problem(assignment.course)
        if each.network and not problem:
            hidden = each.network["layer_1.bias"].size
            if hidden != (right := assignment.settings["hidden"]):
                problem = f"its network has {hidden} hidden neurons instead of {right}"
        checked.append(replace(each, problem=problem))
    return checked


def _grade(
    entries: Sequence[Entry],
    assignment: Assignment,
    data: Dataset,
    cache: Cache,
    *,
    again: bool,
    workers: int | None,
) -> list[Entry]:
    """Grade the submissions without a problem; take finished grades from the cache."""
    graded, keys, tasks = [*entries], dict[str, tuple[str, str]](), list[Task]()
    for index, entry in enumerate(entries):
        if entry.problem:
            continue
        hyperparameters = assignment.hyperparameters(entry.student)
        reference = fingerprint(hyperparameters, data.sha256)
        submission = entry.submission
        content = [assignment.course, reference, submission.sha256, COLUMNS]
        key = files.json_sha256(content)
        if kept := cache.read_grade(key):
            if not again:
                graded[index] = replace(entry, grade=kept)
                continue
            graded[index] = replace(entry, before=kept.points)
        keys[str(index)] = reference, key
        arguments = {
            "assignment": assignment,
            "student": entry.student,
            "answers": submission.answers.values if submission.answers else {},
            "network": submission.network,
            "reference": cache.read_reference(reference),
        }
        tasks.append(Task(str(index), data.path, arguments))
    hidden = assignment.settings["hidden"]
    pool = new_executor(
        "local",
        workers=workers,
        tasks=len(tasks),
        task_bytes=NEURON_BYTES * hidden,
        modules=["pipeline.teaching.grading"],
    )
    with pool, progress_bar(new_console()) as bar:
        shown = bar.add_task("grading", total=len(tasks))
        for result in pool.run(grade_submission, tasks):
            if result.final:
                index = int(result.task.identity)
                graded[index] = _finish(graded[index], result, cache, *keys[str(index)])
                bar.advance(shown)
    return graded


def _finish(
    entry: Entry, result: Result, cache: Cache, reference: str, key: str
) -> Entry:
    """Return a graded submission, which a later call finds in the cache."""
    if result.error:
        if result.traceback:
            say(result.traceback, file=sys.stderr)
        return Entry(replace(entry.submission, problem=result.error))
    grade, trained = result.value
    if trained:
        cache.write_reference(reference, trained)
    cache.write_grade(key, grade)
    return replace(entry, grade=grade)


def _write(grades: ClassGrades, data: Dataset, *, solutions: bool) -> None:
    """Write the feedback for each student, the page of the class, and the points."""
    folder = grades.folder
    with files.atomic_folder(folder / "feedback") as temporary:
        for entry in grades.entries:
            if entry.student:
                topic = grades.assignment.topic(entry.student, data)
                page = render_feedback(entry, topic, solutions=solutions)
                (temporary / entry.feedback).write_text(page, "utf-8")
    files.write_atomic(folder / "class.html", render_class(grades).encode())
    with files.atomic_file(folder / "grades.csv") as path:
        files.write_csv(path, grades.rows(), COLUMNS)


def _print(grades: ClassGrades) -> None:
    """Print how many were graded, each problem, and where the files are."""
    total = counted(len(grades.entries), "submission")
    say(f"{len(grades.graded)} of {total} graded")
    for entry in grades.problems:
        say(wrap(f"{entry.submission.place}: {entry.problem}", start="  ", indent=4))
    for notice in grades.notices:
        say(wrap(notice, indent=0))
    counts = Counter(e.grade.training for e in grades.graded if e.grade)
    found = [f"{counts[kind]} {kind.value}" for kind in Training if counts[kind]]
    if found:
        say(wrap(", ".join(found), start="training  ", indent=10))
    if missing := grades.missing:
        others = len(missing) - MAX_NAMES
        more = f" and {others} more" if others > 0 else ""
        names = ", ".join(missing[:MAX_NAMES])
        say(wrap(f"{len(missing)}: {names}{more}", start="missing   ", indent=10))
    for name, file in (
        ("points", "grades.csv"),
        ("page", "class.html"),
        ("feedback", "feedback"),
    ):
        say(f"{name:8}  {displayed(grades.folder / file)}")
