"""The command `grade`: reads the submissions of a class, and writes their points."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import UserError, datasets
from pipeline.base import files
from pipeline.base.call import results_dir
from pipeline.base.console import new_console, progress_bar
from pipeline.base.paths import data_dir, displayed, outputs_dir, user_path
from pipeline.base.printing import say
from pipeline.base.terminal import counted, status, wrap
from pipeline.cli import GradeConfig
from pipeline.core.dataset import Dataset
from pipeline.core.fingerprint import fingerprint
from pipeline.execution.executor import Result, Task
from pipeline.execution.workers import new_executor
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.class_grades import (
    COLUMNS,
    ClassGrades,
    read_students,
    without_repeated,
)
from pipeline.teaching.class_page import render_class, render_feedback
from pipeline.teaching.grading import (
    Training,
    grade_submission,
    read_grade,
    write_grade,
)
from pipeline.teaching.submissions import Submission, read_submissions

# Memory for each hidden neuron: its outputs for all test images, in three arrays.
NEURON_BYTES = 300_000
MAX_NAMES = 10  # ids in a line that is printed


def grade(cfg: GradeConfig) -> ClassGrades:
    """Read the submissions, grade them, and write the points and the pages."""
    assert cfg.submissions and cfg.course  # `required` in its schema
    listed = list[str]()
    if cfg.students:
        listed = read_students(user_path(cfg.students, key="students"))
    with status("reading the submissions"):
        found = read_submissions(user_path(cfg.submissions, key="submissions"))
    if not found:
        raise UserError(f"{cfg.submissions} contains no submissions")
    data = Dataset.read(datasets.prepare(cfg.dataset, folder=data_dir()).path)
    assignment = Assignment(cfg.course, data.name, cfg.assigned())
    data.training_split(assignment.hyperparameters("any"))  # raises, if it is invalid
    graded = _grade([_check(x, assignment) for x in found], assignment, data, cfg)
    entries = sorted(
        without_repeated(graded), key=lambda x: (not x.student, x.student, x.place)
    )
    grades = ClassGrades(assignment, entries, listed, results_dir("grades"))
    with status("writing the pages"):
        _write(grades, data, solutions=cfg.solutions)
    _print(grades)
    return grades


def _check(entry: Submission, assignment: Assignment) -> Submission:
    """Add the problem that is seen in comparison with the assignment, if any."""
    if entry.problem or not entry.answers or not entry.network:
        return entry
    problem = entry.answers.course_problem(assignment.course)
    hidden, right = entry.network["layer_1.bias"].size, assignment.settings["hidden"]
    if hidden != right and not problem:
        problem = f"its network has {hidden} hidden neurons instead of {right}"
    return replace(entry, problem=problem)


def _grade(
    entries: Sequence[Submission],
    assignment: Assignment,
    data: Dataset,
    cfg: GradeConfig,
) -> list[Submission]:
    """Grade the submissions without a problem.

    The assigned networks and the grades are kept, so that an interrupted grading can
    continue. They are not in the folder of a call, which must be empty. Their names are
    hashes.
    """
    kept = outputs_dir() / "grades" / ".cache"
    graded, paths, tasks = [*entries], dict[int, Path](), list[Task]()
    for index, entry in enumerate(entries):
        if entry.problem:
            continue
        reference = fingerprint(assignment.hyperparameters(entry.student), data.sha256)
        content = [assignment.course, reference, entry.sha256, COLUMNS]
        paths[index] = kept / f"{files.json_sha256(content)}.json"
        earlier = read_grade(paths[index])
        if earlier and not cfg.again:
            graded[index] = replace(entry, grade=earlier)
            continue
        graded[index] = replace(entry, before=earlier.points if earlier else None)
        arguments = {
            "assignment": assignment,
            "student": entry.student,
            "answers": entry.answers.numbers if entry.answers else {},
            "network": entry.network,
            "reference": kept / f"{reference}.safetensors",
        }
        tasks.append(Task(str(index), data.path, arguments))
    pool = new_executor(
        "local",
        workers=cfg.workers,
        tasks=len(tasks),
        task_bytes=NEURON_BYTES * cfg.hidden,
        modules=["pipeline.teaching.grading"],
    )
    with pool, progress_bar(new_console()) as bar:
        shown = bar.add_task("grading", total=len(tasks))
        for result in pool.run(grade_submission, tasks):
            if result.final:
                index = int(result.task.identity)
                graded[index] = _finish(graded[index], result, paths[index])
                bar.advance(shown)
    return graded


def _finish(entry: Submission, result: Result, path: Path) -> Submission:
    """Return a graded submission, whose grade a later call finds at a path."""
    if result.error:
        if result.traceback:
            say(result.traceback, file=sys.stderr)
        return replace(entry, problem=result.error)
    write_grade(path, result.value)
    return replace(entry, grade=result.value)


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
        say(wrap(f"{entry.place}: {entry.problem}", start="  ", indent=4))
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
