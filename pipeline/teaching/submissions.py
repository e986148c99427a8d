"""The submissions of a class, after reading and after grading."""

import hashlib
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.base.files import list_folder
from pipeline.base.tensors import NOT_READABLE, tensors_sha256
from pipeline.base.text import counted, distinct_file_name, printable
from pipeline.core.epoch import Snapshot
from pipeline.core.network import snapshot
from pipeline.model import load_network
from pipeline.records.file_names import MODEL_FILE
from pipeline.records.student_ids import student_id
from pipeline.teaching import answers
from pipeline.teaching.answer_inputs import QuestionValues
from pipeline.teaching.answers import Answers, read_answers
from pipeline.teaching.assignment import Assignment, pytorch
from pipeline.teaching.grading import SubmissionGrade, Training
from pipeline.teaching.homework_metadata import HomeworkMetadata
from pipeline.teaching.questions import questions_for
from pipeline.teaching.submitted_files import (
    QUESTIONS_FILE,
    SINGLE,
    SubmittedFile,
    find_files,
    top_names,
)

MAX_PROBLEM = 300  # characters
ONE_COUNTS = "but only one can be graded"  # several files have the same name
DAMAGED = f"{MODEL_FILE} is damaged: copy it again"
DENIED = (
    "not the assigned network: no points for the answers that depend on the weights"
)
OLD = "graded before the questions changed"
NUMBER_OF = re.compile(r"\*\*(\d{1,2})\. `(\w+)`\*\*")  # a question in questions.md
TITLE = re.compile("# Homework of `([^`]*)`")  # the beginning of questions.md
MOODLE = "_assignsubmission_"  # in folder names, after the student's name
# The student's number on the platform in the name of a submission, such as
# Ana Ruiz_501_assignsubmission_file_ of Moodle and ruizana_LATE_501_9001_hw.zip of
# Canvas. Students can choose only what follows, because Canvas removes such numbers
# from the names of students.
NUMBER = re.compile(rf"_(\d+)(?:{MOODLE}|_\d+_)")
IGNORED = {"__MACOSX", "desktop.ini"}  # from macOS and Windows


@dataclass(frozen=True, eq=False)  # `==` of arrays is elementwise
class Entry:
    """An entry of the folder of all submissions: a folder, a zip file or files."""

    # The name of the entry, or of its first file, which can be any printable text.
    place: str
    student: str  # the normalized ID in the answers; empty if the ID is not known
    # The ID of the listed student to whom the name of the entry belongs, if there is
    # one; see `ownership`.
    owner: str = field(default="", kw_only=True)
    # The normalized ID in questions.md, if the answers have no ID that can be read.
    id_in_questions: str = field(default="", kw_only=True)
    # Whether the entry contains no file of the homework.
    is_empty: bool = field(default=False, kw_only=True)
    # What could be read; `shared_work` compares it with the other entries.
    answers: Answers | None = field(default=None, kw_only=True)
    weights_sha256: str = field(default="", kw_only=True)

    @property
    def feedback(self) -> str:
        """The name of the page for the student."""
        return f"{distinct_file_name(self.student, allowed='.@+')}.html"

    @property
    def feedback_in_zip(self) -> str:
        """The path of this page in feedback.zip; empty if there is none.

        Moodle finds the student by the name of the folder, and Canvas by the beginning
        of the name of the file.
        """
        if MOODLE in self.place:
            return f"{self.place}/{self.feedback}"
        found = NUMBER.search(self.place)
        return self.place[: found.end()] + self.feedback if found else ""

    @property
    def to_owner(self) -> str:
        """The status of this entry, for the row of its owner in grades.csv."""
        return f"submitted with the ID {self.student}"

    def row(self) -> dict[str, Any]:
        """Return the row of grades.csv, without the submission."""
        return {"id": self.student}

    def rejected(self, problem: str, **changed: str) -> "Rejected":
        """Return this entry without points, with new values of some fields."""
        kept = {each.name: getattr(self, each.name) for each in fields(Entry)}
        return Rejected(**{**kept, "problem": problem, **changed})


@dataclass(frozen=True, eq=False)
class Rejected(Entry):
    """An entry without points."""

    problem: str  # one line: why the entry cannot be graded
    other_course: bool = False  # whether the answers are for another course
    to_student: str = ""  # the problem in the feedback, if it differs

    @property
    def to_owner(self) -> str:
        """The status of this entry, for the row of its owner in grades.csv."""
        return f"submitted, but not graded: {self.problem}"

    def row(self) -> dict[str, Any]:
        """Return the row of grades.csv, whose points are empty."""
        return super().row() | {"problem": self.to_owner}


@dataclass(frozen=True, eq=False)
class Submission(Entry):
    """An entry that can be graded."""

    answers: Answers = field(kw_only=True)
    network: Snapshot
    recorded: Mapping[str, Any]  # the params in the network's file; can be changed
    torch: str  # the version of PyTorch in the network's file; empty if there is none
    is_as_written: bool  # whether the weights are those that `homework` has written
    questions: str  # questions.md in one line; empty if it is missing
    sha256: str  # the hash of the answers and the network
    # Whether the list of students says that another network is accepted.
    is_accepted: bool = field(default=False, kw_only=True)

    @property
    def other_torch(self) -> str:
        """The recorded version of PyTorch if another version is installed, or ""."""
        return "" if self.torch == pytorch() else self.torch

    @property
    def numbers(self) -> dict[str, str]:
        """The numbers of the questions in questions.md, by name."""
        return {name: number for number, name in NUMBER_OF.findall(self.questions)}

    def graded(
        self, grade: SubmissionGrade, *, require: str, names: Collection[str]
    ) -> "Graded":
        """Return this submission with its grade for the questions with these names."""
        grade = grade.only(names)
        if not self.is_accepted:
            grade = grade.required(require)
        return Graded(**vars(self), grade=grade)

    def other_questions(self, values: QuestionValues) -> list[str]:
        """Return the names of the questions whose text is not in questions.md.

        The list is empty if questions.md belongs to another ID, whose questions are
        always different.
        """
        named = TITLE.match(self.questions)
        if not self.questions or (named and named[1] != self.student):
            return []
        return self.missing_questions(values)

    def missing_questions(self, values: QuestionValues) -> list[str]:
        """Return the names of the questions of a student that are not in questions.md.

        The student is the one of `values`.
        """
        questions = questions_for(values.variant)
        return [x.name for x in questions if x.text(values) not in self.questions]


@dataclass(frozen=True, eq=False)
class Graded(Submission):
    """A graded submission."""

    grade: SubmissionGrade

    @property
    def is_assigned(self) -> bool:
        """Whether the network is the assigned network."""
        return self.grade.training.is_assigned

    @property
    def explained_torch(self) -> str:
        """The recorded version of PyTorch if it explains the differences, or ""."""
        explains = self.grade.training in (Training.NEAR, Training.OTHER)
        return self.other_torch if explains else ""

    @property
    def malformed(self) -> list[str]:
        """The graded questions that get no points because the answer is malformed."""
        blank = [x.question for x in self.grade.answers if x.kind == "blank"]
        return [name for name in blank if name in self.answers.problems]

    def row(self) -> dict[str, Any]:
        """Return the row of grades.csv."""
        points = {x.question: float(x.points) for x in self.grade.answers}
        total, training = self.grade.points, self.grade.training.value
        about = [(self.grade.denied, DENIED), (self.grade.is_old, OLD)]
        problem = "; ".join(text for applies, text in about if applies)
        others = {"points": total, "training": training, "problem": problem}
        return super().row() | points | others


GradedOrRejected = Graded | Rejected


def read_submissions(
    folder: Path, assignment: Assignment
) -> list[Submission | Rejected]:
    """Read each entry of a folder, except hidden ones, in the order of their names.

    The `SINGLE` files of a student are one submission.

    Raises:
        UserError: If the folder is missing, is a file, such as a zip file, cannot be
            read, or contains Moodle's files without their folders.
    """
    if os.path.isfile(folder):
        raise UserError(
            f"submissions must be a folder, but {printable(folder)} is a file: unpack "
            "a zip file into a new folder"
        )
    if not _exists(folder):
        raise UserError(
            f"submissions must be an existing folder, got {printable(folder)!r}: "
            "give the folder that contains the submissions"
        )
    paths = _visible(folder)
    loose = [x for x in paths if MOODLE in x.name and x.suffix.lower() != ".zip"]
    if loose := [path for path in loose if path.is_file()]:
        raise UserError(
            f"submissions contains {counted(len(loose), 'file')} outside of folders, "
            f"such as {printable(loose[0].name)}: download the submissions again, with "
            'the option "Download submissions in folders"'
        )
    groups = defaultdict[str, list[Path]](list)
    for path in paths:
        is_file = path.suffix.lower() != ".zip" and path.is_file()
        single = SINGLE.match(path.name) if is_file else None
        groups[single[1] if single else path.name].append(path)
    return [read_submission(same, assignment) for same in groups.values()]


def other_level(folder: Path) -> str:
    """Return what to do if the only entry contains several submissions, or ""."""
    only, *others = _visible(folder)
    names = set[str]() if others else top_names(only)
    students = {found[1] for name in names if (found := NUMBER.search(name))}
    zips = [name for name in names if name.lower().endswith(".zip")]
    if max(len(students), len(zips)) < 2:
        return ""
    rule = "unzip it into a new folder, and give this folder"
    if only.is_dir():
        rule = f"give submissions={printable(only)}"
    return f"{printable(only.name)} contains several submissions: {rule}"


def _visible(folder: Path) -> list[Path]:
    """Return the entries of a folder that can be submissions."""
    return [
        path
        for path in list_folder(folder)
        if not path.name.startswith(".") and path.name not in IGNORED
    ]


def _exists(folder: Path) -> bool:
    """Return whether a folder exists; True if the folder cannot be accessed."""
    try:
        folder.stat()
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
    return True


def read_submission(
    paths: Sequence[Path], assignment: Assignment
) -> Submission | Rejected:
    """Read a submission; return a `Rejected` with the reason if it cannot be graded.

    `paths` is a folder, a zip file, or several `SINGLE` files.
    """
    path = paths[0]
    about: dict[str, Any] = {"place": printable(path.name), "student": ""}
    files = list[SubmittedFile]()
    try:
        files = find_files(paths)
        about["is_empty"] = all(file.name == QUESTIONS_FILE for file in files)
        if about["is_empty"] and path.is_dir():
            names = ", ".join(x.name for x in list_folder(path)) or "nothing"
            raise UserError(f"{answers.FILE} is missing: the folder contains {names}")
        files = _of_course(files, assignment.course)
        answered = _only(files, answers.FILE)
        given = read_answers(answered.content)
        about |= {"student": given.student, "answers": given}
        if problem := given.course_problem(assignment.course):
            about["other_course"] = True
            raise UserError(
                f"{problem}; "
                "run homework with the correct code and answer its questions"
            )
        model = _only(files, MODEL_FILE)
        questions = _questions(files)
        sha256 = hashlib.sha256(model.content + answered.content).hexdigest()
        hidden = assignment.settings["hidden"]
        network, metadata = _read_network(model.content, hidden)
        about["weights_sha256"] = tensors_sha256(network)
    except UserError as error:
        problem = printable(" ".join(str(error).split()))[:MAX_PROBLEM]
        if ONE_COUNTS in problem and path.suffix.lower() == ".zip":
            problem += "; if it contains several submissions, unzip it"
        return Rejected(
            **about,
            problem=problem,
            id_in_questions=_id_in_questions(_questions(files)),
        )
    recorded = metadata.weights_sha256 if metadata else None
    return Submission(
        **about,
        network=network,
        recorded=metadata.params if metadata else {},
        torch=(metadata.torch if metadata else None) or "",
        is_as_written=recorded == about["weights_sha256"],
        questions=questions,
        sha256=sha256,
    )


def _of_course(files: list[SubmittedFile], course: str) -> list[SubmittedFile]:
    """Return the files in the only folder whose answers are for this course.

    All files are returned if several folders have such answers or none has, or if the
    course of other answers is unknown.
    """
    given = [file for file in files if file.name == answers.FILE]
    try:
        courses = {x.path.parent: read_answers(x.content).course for x in given}
    except UserError:
        return files
    own = [folder for folder, found in courses.items() if found == course]
    if len(own) != 1 or not all(courses.values()):
        return files
    return [file for file in files if file.path.parent == own[0]]


def _questions(files: list[SubmittedFile]) -> str:
    """Return the content of questions.md in one line; empty if the file is missing."""
    contents = [file.content for file in files if file.name == QUESTIONS_FILE]
    return " ".join(b"".join(contents).decode(errors="replace").split())


def _id_in_questions(questions: str) -> str:
    """Return the normalized ID in questions.md; empty if there is no valid ID."""
    found = TITLE.match(questions)
    with suppress(ValueError):
        return student_id(found[1]) if found else ""
    return ""


def _only(files: list[SubmittedFile], name: str) -> SubmittedFile:
    """Return the file with this name; identical copies in a folder count once.

    Raises:
        UserError: If there is no such file, or if there are several.
    """
    same = {(x.path.parent, x.content): x for x in files if x.name == name}
    found = [*same.values()]
    if not found:
        begin = name.partition(".")[0]
        names = [file.path.name for file in files]
        similar = [x for x in names if x.lower().startswith(begin) and x != name]
        more = f"; it has {', '.join(similar[:2])}" if similar else ""
        raise UserError(f"{name} is missing{more}")
    if len(found) > 1:
        places = ", ".join(sorted(str(file.path) for file in found)[:2])
        such = ", such as" if len(found) > 2 else ":"
        number = f"{len(found)} files named {name}"
        raise UserError(f"it has {number}, {ONE_COUNTS}{such} {places}")
    return found[0]


def _read_network(
    content: bytes, hidden: int
) -> tuple[Snapshot, HomeworkMetadata | None]:
    """Return the tensors of a network, and the metadata of its file, if any.

    Raises:
        UserError: If the file does not contain a network with `hidden` neurons in layer
            1. This limits the memory that grading a class needs.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL_FILE)
        path.write_bytes(content)
        try:
            network, metadata = load_network(path, HomeworkMetadata)
        except UserError as error:
            problem = str(error).replace(str(path), MODEL_FILE)
            if NOT_READABLE in problem:  # for example, it is truncated
                problem = DAMAGED
            raise UserError(problem) from None
    tensors = snapshot(network)
    if (found := tensors["layer_1.bias"].size) != hidden:
        raise UserError(f"its network has {found} hidden neurons instead of {hidden}")
    return tensors, metadata
