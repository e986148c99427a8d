"""The grades of a class, and what an instructor should look at."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.base.files import json_sha256
from pipeline.base.tensors import tensors_sha256
from pipeline.base.terminal import counted
from pipeline.base.text import as_file_name, printable, short_repr
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.grading import (
    QUESTIONS_SHA256,
    GradedAnswer,
    SubmissionGrade,
    Training,
)
from pipeline.teaching.questions import QUESTIONS
from pipeline.teaching.submissions import Submission
from pipeline.teaching.variant import normalize, student_id

MIN_EQUAL = 3  # equal answers that are no coincidence
MAX_WRONG = 3  # wrong answers of a question that are listed
# Titles of columns with ids in a list of students, without spaces; the first counts.
ID_COLUMNS = ("id", "idnumber", "username", "email", "student", "user", "login")
MISSING = "no submission"
COLUMNS = ["id", "points", *(question.name for question in QUESTIONS)]
COLUMNS += ["training", "problem", "submission"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A submission, and its grade."""

    submission: Submission
    grade: SubmissionGrade | None = None  # None if there is a problem
    before: float | None = None  # the earlier points if it was graded again

    @property
    def student(self) -> str:
        """The id in the answers; empty if they cannot be read."""
        return self.submission.student

    @property
    def problem(self) -> str:
        """One line: why it was not graded; empty if it was."""
        return self.submission.problem

    @property
    def feedback(self) -> str:
        """The name of the page for the student."""
        return f"{as_file_name(self.student, allowed='.@+')}.html"

    @property
    def is_assigned(self) -> bool:
        """Whether it was graded, and its network is the assigned one."""
        return bool(self.grade and self.grade.training != Training.OTHER)

    def recorded(self, assignment: Assignment) -> str:
        """Return the settings that the network's file says, if others were assigned.

        They are not trusted: a student can change them.
        """
        found = self.submission.recorded
        wanted = assignment.hyperparameters(self.student)
        pairs = dict(found or wanted).items()
        others = [f"{key}={x}" for key, x in pairs if x != getattr(wanted, key)]
        return " ".join(others)

    def order(self) -> tuple[bool, str, str]:
        """Return a key that sorts by id; submissions without one are last."""
        return not self.student, self.student, self.submission.place

    def row(self) -> dict[str, Any]:
        """Return the line of grades.csv; the points of a problem are empty."""
        row = {"id": self.student, "problem": self.problem}
        row["submission"] = self.submission.place
        if not self.grade:
            return row
        points = {answer.question: answer.points for answer in self.grade.answers}
        total, training = self.grade.points, self.grade.training.value
        return {**row, **points, "points": total, "training": training}


@dataclass(frozen=True)
class WrongAnswer:
    """A wrong answer of several students to a question."""

    count: int
    hint: str  # empty if it is not a typical mistake
    example: GradedAnswer
    student: str  # who gave it


@dataclass(frozen=True, eq=False)
class ClassGrades:
    """The grade of each submission of a class."""

    assignment: Assignment
    entries: Sequence[Entry]  # by id; those without one are last
    listed: Sequence[str] | None  # the ids of all students, if they are known
    folder: Path  # with the files

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all answers."""
        counts = {"graded": len(self.graded), "problems": len(self.problems)}
        return short_repr(self, **counts, folder=self.folder)

    @property
    def graded(self) -> list[Entry]:
        """The submissions with points."""
        return [entry for entry in self.entries if entry.grade]

    @property
    def problems(self) -> list[Entry]:
        """The submissions without points."""
        return [entry for entry in self.entries if not entry.grade]

    @property
    def missing(self) -> list[str]:
        """The ids of the students without a submission, if all are known."""
        return sorted(
            {*(self.listed or ())} - {entry.student for entry in self.entries}
        )

    @property
    def unlisted(self) -> list[Entry]:
        """The submissions of ids that are not in the list of students."""
        known = self.listed
        return [
            e for e in self.entries if known and e.student and e.student not in known
        ]

    @property
    def others(self) -> list[Entry]:
        """The submissions whose network is not the assigned one."""
        return [entry for entry in self.graded if not entry.is_assigned]

    def seed_of(self, entry: Entry) -> str:
        """Return whose seed the network's file names, if it is that of another student.

        Only a copied network has it; but a student can change what the file says.
        """
        found = entry.submission.recorded
        students = {each.student for each in self.entries if each.student}
        others = students.union(self.listed or ()) - {entry.student}
        seeds = {self.assignment.variant(other).seed: other for other in others}
        return seeds.get(found.seed, "") if found else ""

    @property
    def notices(self) -> list[str]:
        """Lines about questions that changed after submissions were graded."""
        grades = [(entry.grade, entry.before) for entry in self.entries if entry.grade]
        old = sum(grade.questions != QUESTIONS_SHA256 for grade, _ in grades)
        again = [grade.points != x for grade, x in grades if x is not None]
        found = list[str]()
        if old:
            verb = "was" if old == 1 else "were"
            found.append(
                f"{counted(old, 'submission')} {verb} graded with other questions: add "
                "again=true to grade them again"
            )
        if again:
            found.append(f"{counted(sum(again), 'student')}: points changed")
        return found

    @property
    def misnamed(self) -> list[Entry]:
        """The submissions whose name does not contain their id.

        If this is so for most of them, the learning platform names them otherwise, and
        the list is empty.
        """
        known = [entry for entry in self.entries if entry.student]
        found = [entry for entry in known if not _is_named(entry)]
        return found if 2 * len(found) < len(known) else []

    def equal(self) -> list[tuple[str, list[Entry]]]:
        """Return the groups of submissions with equal networks or equal answers."""
        groups = defaultdict[tuple[str, str], list[Entry]](list)
        for entry in self.entries:
            network, answers = entry.submission.network, entry.submission.answers
            if network:
                groups["networks", tensors_sha256(network)].append(entry)
            if answers and len(answers.values) >= MIN_EQUAL:
                values = json_sha256(dict(answers.values))
                groups["answers", values].append(entry)
        return [(what, same) for (what, _), same in groups.items() if len(same) > 1]

    def answers(self, question: str) -> list[tuple[str, GradedAnswer]]:
        """Return the graded answers to a question, with the ids of the students."""
        return [
            (entry.student, answer)
            for entry in self.graded
            if entry.grade
            for answer in entry.grade.answers
            if answer.question == question
        ]

    def wrong(self, question: str) -> list[WrongAnswer]:
        """Return the most frequent mistakes, and equal wrong answers."""
        groups = defaultdict[object, list[tuple[str, GradedAnswer]]](list)
        for student, answer in self.answers(question):
            if answer.answer is not None and answer.points < answer.possible:
                groups[answer.hint or answer.answer].append((student, answer))
        found = [
            WrongAnswer(len(same), same[0][1].hint or "", same[0][1], same[0][0])
            for same in groups.values()
            if same[0][1].hint or len(same) > 1
        ]
        return sorted(found, key=lambda wrong: -wrong.count)[:MAX_WRONG]

    def rows(self) -> list[dict[str, Any]]:
        """Return the lines of grades.csv: one for each id, the missing ones too.

        Submissions without an id are not among them: a learning platform could not
        import them.
        """
        rows = {e.student: e.row() for e in self.entries if e.student}
        absent = {name: {"id": name, "problem": MISSING} for name in self.missing}
        return [row for _, row in sorted({**rows, **absent}.items())]


def _is_named(entry: Entry) -> bool:
    """Return whether the name of a submission contains its id as a whole."""
    pattern = rf"(?<![^\W_]){re.escape(entry.student)}(?![^\W_])"
    return bool(re.search(pattern, normalize(entry.submission.place)))


def without_repeated(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries; of several with one id, at most one counts.

    It is the only one whose name contains the id or, if that does not decide, the only
    one with the assigned network. The others get a problem and lose the id. If nothing
    decides, all of them get a problem.
    """
    groups = defaultdict[str, list[Entry]](list)
    for entry in entries:
        groups[entry.student].append(entry)
    found = groups.pop("", [])
    for student, same in groups.items():
        candidates = [entry for entry in same if _is_named(entry)] or same
        if len(candidates) > 1:
            candidates = [entry for entry in candidates if entry.is_assigned]
        chosen = candidates[0] if len(candidates) == 1 else None
        for entry in same:
            if entry is chosen:
                found.append(entry)
                continue
            # A student sees the problem, so it does not name the others.
            problem = f"{len(same)} submissions have the id {student}"
            lost = replace(entry.submission, problem=problem)
            if chosen:
                problem = f"its id {student} is that of a submission that counts"
                lost = replace(lost, problem=problem, answers=None)
            found.append(Entry(lost))
    return found


def read_students(path: Path) -> list[str]:
    """Return the ids in a CSV file: of one of the columns `ID_COLUMNS` or the first.

    A header is not necessary.

    Raises:
        UserError: If it cannot be read, or contains an invalid or a repeated id.
    """
    name = printable(path)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise UserError(f"{name} is not UTF-8: save it as CSV in UTF-8") from None
    header = lines[0] if lines else ""
    try:
        rows = [*csv.reader(lines, delimiter=max(",;\t", key=header.count))]
    except csv.Error as error:
        raise UserError(f"{name} is not CSV: {error}") from None
    titles = [normalize(cell).replace(" ", "") for cell in rows[0]] if rows else []
    column = next((titles.index(x) for x in ID_COLUMNS if x in titles), None)
    students = list[str]()
    for number, row in enumerate(rows, start=1):
        if (number == 1 and column is not None) or not any(map(str.strip, row)):
            continue
        cell = row[column or 0] if len(row) > (column or 0) else ""
        try:
            students.append(student_id(cell))
        except ValueError as error:
            if number > 1:  # the first line may be a header
                text = printable(cell)[:60]
                problem = f"line {number}: id {error}, got {text!r}"
                raise UserError(f"{name}, {problem}") from None
    if repeated := [x for x, count in Counter(students).items() if count > 1]:
        raise UserError(f"{name} contains the id {repeated[0]} twice")
    if not students:
        raise UserError(f"{name} contains no ids")
    return students
