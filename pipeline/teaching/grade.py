"""The command `grade`: reads the submissions of a class and writes their points."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from pipeline import UserError, datasets
from pipeline.base import csv_files, files
from pipeline.base.paths import data_dir, displayed, results_dir, user_path
from pipeline.base.progress import busy, new_console, progress_bar
from pipeline.base.results_folder import ResultsFolder
from pipeline.base.terminal import say
from pipeline.base.text import counted, wrap
from pipeline.cli import GradeConfig
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Snapshot
from pipeline.execution.executor import Task, TaskResult
from pipeline.execution.local import LocalExecutor
from pipeline.records.fingerprint import fingerprint
from pipeline.teaching.answer_inputs import QuestionValues
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.class_grades import ClassGrades, first_names
from pipeline.teaching.class_list import ListedStudent, read_students
from pipeline.teaching.class_page import render_class, render_feedback
from pipeline.teaching.grading import (
    STORED,
    STORED_CLASS,
    Training,
    grade_submission,
    read_assigned,
    read_stored,
)
from pipeline.teaching.instructor_mistakes import (
    check_course,
    other_pytorch_notice,
    other_settings_notice,
)
from pipeline.teaching.ownership import (
    one_for_each_id,
    with_owners,
    with_submitted_ids,
)
from pipeline.teaching.questions import questions_named
from pipeline.teaching.submissions import (
    Graded,
    GradedOrRejected,
    Rejected,
    Submission,
    other_level,
    read_submissions,
)

# Memory for each hidden neuron: its outputs for all test images, in three arrays, and
# in one array for each typical mistake.
NEURON_BYTES = 900_000
ZIP_FILE = "feedback.zip"  # the pages that a learning platform can assign to students
CANVAS_FILE = "canvas.csv"  # the points, if the list is Canvas's gradebook
LAST_FILE = ".last.json"  # the grades, with which the next command compares its own


def grade(cfg: GradeConfig, folder: Path | None) -> ClassGrades:
    """Read the submissions, grade them, and write the points and the pages.

    `folder` is the argument `folder` of a call from Python; see `Command.folder`.
    """
    assert cfg.submissions and cfg.course  # `required` in its schema
    listed, notices = dict[str, ListedStudent](), list[str]()
    questions = questions_named(cfg.questions)
    assignment = Assignment(cfg.course, cfg.dataset, cfg.assigned())
    submitted = user_path(cfg.submissions, key="submissions")
    with busy("reading the submissions"):
        read = read_submissions(submitted, assignment)
    if cfg.students:
        path = user_path(cfg.students, key="students")
        ids = {entry.student or entry.id_in_questions for entry in read}
        listed, notices = read_students(path, ids - {""})
        listed = with_submitted_ids(listed, with_owners(read, listed))
    found = with_owners(read, listed)
    if not found:
        raise UserError(
            f"{cfg.submissions} contains no submissions: it must contain a folder or a "
            "zip file for each student"
        )
    check_course(found)
    # No other user can read the grades. The mode of an existing folder does not change.
    (results_dir() / "grades").mkdir(mode=0o700, parents=True, exist_ok=True)
    dataset = datasets.load(cfg.dataset, folder=data_dir())
    # This raises an error if the settings are invalid.
    dataset.training_split(assignment.hyperparameters("any"))
    accepted = {student for student, about in listed.items() if about.is_accepted}
    readable = [
        replace(entry, is_accepted=entry.student in accepted)
        for entry in found
        if isinstance(entry, Submission)
    ]
    rejected = [entry for entry in found if isinstance(entry, Rejected)]
    settings_notice = other_settings_notice(assignment, readable)
    mistakes = list(filter(None, [settings_notice, *other_pytorch_notice(readable)]))
    notices += mistakes
    for notice in notices:  # before the assigned networks are trained
        say(wrap(notice))
    if mistakes:
        say("Press Ctrl-C to stop the command.")
    entries = sorted(
        one_for_each_id([*rejected, *_grade(readable, assignment, dataset, cfg)]),
        key=lambda x: (not x.student, x.student, x.place),
    )
    assigned = dict[str, Snapshot]()
    for student in sorted({*listed, *(entry.student for entry in readable)}):
        with suppress(UserError):  # without a submission, there is no file
            file = _reference(student, assignment, dataset)
            assigned[student] = read_assigned(file).network
    values = {
        student: assignment.question_values(student, dataset)
        for student in sorted({*listed, *(entry.student for entry in readable)})
    }
    other_questions = {
        entry.student: _owner_of_questions(entry, values)
        for entry in entries
        if isinstance(entry, Graded) and entry.other_questions(values[entry.student])
    }
    folder = ResultsFolder(f"grades/{assignment.folder_name}", folder).path
    grades = ClassGrades(
        entries=entries,
        listed=listed,
        assignment=assignment,
        assigned=assigned,
        settings_notice=settings_notice,
        early_notices=notices,
        other_questions=other_questions,
        questions=questions,
        require=cfg.require,
        solutions=cfg.solutions,
        folder=folder,
        last=read_stored(folder / LAST_FILE, STORED_CLASS.validate_json) or {},
        again=cfg.again,
    )
    if not grades.graded:  # the files of an earlier grading stay
        if about_level := other_level(submitted):
            raise UserError(f"no submission can be graded: {about_level}")
        first = grades.problems[0]
        rule = (
            "submissions must be a folder that contains a folder or a zip file for "
            "each student"
        )
        raise UserError(
            f"0 of {counted(len(entries), 'submission')} can be graded, so nothing was "
            f"written{'' if readable else f': {rule}'}. For example, {first.place}: "
            f"{first.problem}"
        )
    with busy("writing the pages"):
        _write(grades, dataset)
    _print(grades)
    return grades


def _grade(
    submissions: Sequence[Submission],
    assignment: Assignment,
    dataset: Dataset,
    cfg: GradeConfig,
) -> list[GradedOrRejected]:
    """Grade the submissions, and reject those whose grading fails.

    The assigned networks and the grades are kept, so that an interrupted grading can
    continue.
    """
    done, tasks = list[GradedOrRejected](), list[Task]()
    names = [question.name for question in questions_named(cfg.questions)]
    selected: dict[str, Any] = {"require": cfg.require, "names": names}
    for entry in submissions:
        reference = _reference(entry.student, assignment, dataset)
        content = [assignment.course, reference.stem, entry.sha256]
        path = reference.with_name(f"{files.json_sha256(content)}.json")
        earlier = read_stored(path, STORED.validate_json)
        if earlier and earlier.is_complete and not cfg.again:
            done.append(entry.graded(earlier, **selected))
            continue
        arguments = {
            "assignment": assignment,
            "student": entry.student,
            "answers": entry.answers.numbers,
            "network": entry.network,
            "reference": reference,
        }
        tasks.append(Task((entry, path), dataset.file, arguments))
    if not tasks:
        return done
    pool = LocalExecutor.create(
        workers=cfg.workers,
        tasks=len(tasks),
        task_bytes=NEURON_BYTES * cfg.hidden,
        module="pipeline.teaching.grading",
    )
    with pool, progress_bar(new_console()) as bar:
        shown = bar.add_task("grading", total=len(tasks))
        for result in pool.run(grade_submission, tasks):
            if isinstance(result, TaskResult):
                done.append(_finish(result, selected))
                bar.advance(shown)
    return done


def _owner_of_questions(entry: Graded, values: Mapping[str, QuestionValues]) -> str:
    """Return another student whose questions are in questions.md, or "".

    A few questions can be missing, because the instructor can have corrected their
    texts.
    """
    missing = {x: len(entry.missing_questions(values[x])) for x in values}
    student = min(missing, key=lambda x: missing[x])
    return student if 2 * missing[student] < missing[entry.student] else ""


def _reference(student: str, assignment: Assignment, dataset: Dataset) -> Path:
    """Return the path of the file of an assigned network.

    The name of the file begins with a hash. The file is not in the folder of a call,
    because this folder must be empty.
    """
    name = fingerprint(assignment.hyperparameters(student), dataset.file.sha256)
    return results_dir() / "grades" / ".cache" / f"{name}-epochs.safetensors"


def _finish(result: TaskResult, selected: Mapping[str, Any]) -> GradedOrRejected:
    """Return a graded submission, and write its grade to a file, for later calls."""
    entry: Submission
    entry, path = result.job
    if result.error:
        if result.traceback:
            say(result.traceback, file=sys.stderr)
        return entry.rejected(result.error)
    files.write_atomic(path, STORED.dump_json(result.value))  # it contains no name
    return entry.graded(result.value, **selected)


def _write(grades: ClassGrades, dataset: Dataset) -> None:
    """Write the feedback for each student, the page of the class, and the points."""
    folder = grades.folder
    with files.atomic_folder(folder / "feedback") as temporary:
        for entry in grades.entries:
            if entry.student:
                values = grades.assignment.question_values(entry.student, dataset)
                page = render_feedback(
                    entry, values, grades.assignment, solutions=grades.solutions
                )
                (temporary / entry.feedback).write_text(page, "utf-8")
    uploaded = [x for x in grades.entries if x.student and x.feedback_in_zip]
    zipped, canvas = folder / ZIP_FILE, folder / CANVAS_FILE
    for earlier in (zipped, canvas):
        earlier.unlink(missing_ok=True)
    if uploaded:
        with files.atomic_file(zipped) as path, ZipFile(path, "w") as archive:
            for entry in uploaded:
                made = folder / "feedback" / entry.feedback
                archive.write(made, entry.feedback_in_zip)
    if rows := grades.canvas_rows():
        with files.atomic_file(canvas) as path:
            csv_files.write_csv(path, rows)
    page = render_class(grades)
    files.write_atomic(folder / "class.html", page.encode())
    with files.atomic_file(folder / "grades.csv") as path:
        csv_files.write_csv(path, grades.rows(), grades.columns)
    last = STORED_CLASS.dump_json({x.student: x.grade for x in grades.graded})
    files.write_atomic(folder / LAST_FILE, last)


def _print(grades: ClassGrades) -> None:
    """Print the number of graded submissions, each problem, and the files."""
    total = counted(len(grades.entries), "submission")
    say(f"{len(grades.graded)} of {total} graded")
    for entry in grades.problems:
        say(wrap(f"{entry.place}: {entry.problem}", start="  ", indent=4))
    counts = Counter(entry.grade.training for entry in grades.graded)
    found = [f"{kind.value}: {counts[kind]}" for kind in Training if counts[kind]]
    say(wrap(", ".join(found), start="training  ", indent=10))
    attention = grades.attention()
    for title, names in attention.items():
        line = f"{len(names)}: {first_names(names)}"
        say(wrap(line, start=f"{title:<10}", indent=10))
    about = ' (see "Needs attention")' if grades.needs_attention else ""
    say(f"points    {displayed(grades.folder / 'grades.csv')}")
    if grades.canvas_rows():
        say(f"canvas    {displayed(grades.folder / CANVAS_FILE)}")
    say(f"page      {displayed(grades.folder / 'class.html')}{about}")
    zipped = f", {ZIP_FILE}" * (grades.folder / ZIP_FILE).exists()
    say(f"feedback  {displayed(grades.folder / 'feedback')}{zipped}")
    for notice in [grades.settings_notice, *grades.notices]:
        if notice:
            say(wrap(notice))
    for notice in grades.network_notices:
        say(wrap(f"{notice} in class.html"))
