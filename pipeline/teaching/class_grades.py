"""The grades of a class, and what an instructor should look at."""

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.base.files import json_sha256
from pipeline.base.params import differing_params
from pipeline.base.student_ids import normalize, student_id
from pipeline.base.tensors import tensors_sha256
from pipeline.base.terminal import counted
from pipeline.base.text import printable, short_repr
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.grading import QUESTIONS_SHA256
from pipeline.teaching.question import GradedAnswer
from pipeline.teaching.questions import QUESTIONS
from pipeline.teaching.submissions import Graded, Outcome, Rejected

MIN_EQUAL = 3  # so many equal answers are not a coincidence
MAX_WRONG = 3  # wrong answers of a question that are listed
# Titles of columns with ids in a list of students, without spaces; the first is used.
ID_COLUMNS = (
    *("id", "idnumber", "username", "email", "emailaddress"),
    *("student", "user", "login"),
)
MISSING = "no submission"
COLUMNS = ["id", "points", *(question.name for question in QUESTIONS)]
COLUMNS += ["training", "problem", "submission"]


@dataclass(frozen=True, eq=False)
class ClassGrades:
    """The grade of each submission of a class."""

    assignment: Assignment
    entries: Sequence[Outcome]  # by id; those without one are last
    listed: Sequence[str]  # the ids of all students; empty if they are not known
    folder: Path  # with the files

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all answers."""
        counts = {"graded": len(self.graded), "problems": len(self.problems)}
        return short_repr(self, **counts, folder=self.folder)

    @property
    def graded(self) -> list[Graded]:
        """The submissions with points."""
        return [entry for entry in self.entries if isinstance(entry, Graded)]

    @property
    def problems(self) -> list[Rejected]:
        """The submissions without points."""
        return [entry for entry in self.entries if isinstance(entry, Rejected)]

    @property
    def missing(self) -> list[str]:
        """The ids of the students without a submission, if all are known."""
        return sorted({*self.listed} - {entry.student for entry in self.entries})

    @property
    def unlisted(self) -> list[Outcome]:
        """The submissions of ids that are not in the list of students."""
        others = [x for x in self.entries if x.student and x.student not in self.listed]
        return others if self.listed else []

    @property
    def others(self) -> list[Graded]:
        """The submissions whose network is not the assigned one."""
        return [entry for entry in self.graded if not entry.is_assigned]

    def settings_of(self, entry: Graded) -> str:
        """Return the settings in the network's file, if others were assigned."""
        wanted = self.assignment.params(entry.student)
        return differing_params(entry.recorded, wanted)[0] if entry.recorded else ""

    def seed_of(self, entry: Graded) -> str:
        """Return whose seed the network's file names, if it is that of another student.

        Only a copied network has it; but a student can change what the file says.
        """
        students = {each.student for each in self.entries if each.student}
        others = students.union(self.listed) - {entry.student}
        seeds = {self.assignment.variant(other).seed: other for other in others}
        return seeds.get(entry.recorded.get("seed", -1), "")

    @property
    def notices(self) -> list[str]:
        """Lines about questions that changed after submissions were graded."""
        old = sum(x.grade.questions != QUESTIONS_SHA256 for x in self.graded)
        again = [x for x in self.graded if x.before is not None]
        changed = [
            f"{x.student} {x.before:g} -> {x.grade.points:g}"
            for x in again
            if x.before != x.grade.points
        ]
        found = list[str]()
        if old:
            verb = "was" if old == 1 else "were"
            found.append(
                f"{counted(old, 'submission')} {verb} graded before the questions "
                "changed: add again=true to grade them again"
            )
        if again:
            number = f"points changed for {counted(len(changed), 'student')}"
            names = ", ".join(changed)
            found.append(f"{number}: {names}" if names else number)
        return found

    @property
    def misnamed(self) -> list[Outcome]:
        """The submissions whose name does not contain their id.

        If this applies to most of them, the learning platform uses other names, and
        the list is empty.
        """
        known = [entry for entry in self.entries if entry.student]
        found = [entry for entry in known if not entry.is_named]
        return found if 2 * len(found) < len(known) else []

    def equal(self) -> list[tuple[str, list[Graded]]]:
        """Return the groups of students with equal networks or equal answers."""
        groups = defaultdict[tuple[str, str], list[Graded]](list)
        for entry in self.graded:  # at most one of each student
            numbers = dict(entry.answers.numbers)
            groups["networks", tensors_sha256(entry.network)].append(entry)
            if len(numbers) >= MIN_EQUAL:
                groups["answers", json_sha256(numbers)].append(entry)
        return [(what, same) for (what, _), same in groups.items() if len(same) > 1]

    def answers(self, question: str) -> list[tuple[str, GradedAnswer]]:
        """Return the graded answers to a question, with the ids of the students."""
        return [
            (entry.student, answer)
            for entry in self.graded
            for answer in entry.grade.answers
            if answer.question == question
        ]

    def wrong(self, question: str) -> list[list[tuple[str, GradedAnswer]]]:
        """Return the answers with the most frequent mistakes, and equal wrong ones."""
        groups = defaultdict[object, list[tuple[str, GradedAnswer]]](list)
        for student, answer in self.answers(question):
            if answer.answer is not None and answer.points < answer.possible:
                groups[answer.hint or answer.answer].append((student, answer))
        found = [x for x in groups.values() if x[0][1].hint or len(x) > 1]
        return sorted(found, key=len, reverse=True)[:MAX_WRONG]

    def rows(self) -> list[dict[str, Any]]:
        """Return the lines of grades.csv: one for each id, the missing ones too.

        Submissions without an id are not among them: a learning platform could not
        import them.
        """
        rows = {e.student: e.row() for e in self.entries if e.student}
        absent = {name: {"id": name, "problem": MISSING} for name in self.missing}
        return [row for _, row in sorted({**rows, **absent}.items())]


def without_repeated(entries: Sequence[Outcome]) -> list[Outcome]:
    """Return the entries, so that at most one with each id is graded.

    It is the only one whose name contains the id or, if that does not decide, the only
    one with the assigned network. The others get a problem and lose the id. If nothing
    decides, all of them get a problem.
    """
    groups = defaultdict[str, list[Outcome]](list)
    for entry in entries:
        groups[entry.student].append(entry)
    found = groups.pop("", [])
    for student, same in groups.items():
        candidates = [entry for entry in same if entry.is_named] or same
        if len(candidates) > 1:
            candidates = [
                x for x in candidates if isinstance(x, Graded) and x.is_assigned
            ]
        chosen = candidates[0] if len(candidates) == 1 else None
        for entry in same:
            # A student sees the problem, so it does not name the others.
            if not chosen:
                problem = f"{len(same)} submissions have the id {student}"
                found.append(Rejected(entry.place, student, problem))
            elif entry is not chosen:
                problem = f"another submission with the id {student} is used instead"
                found.append(Rejected(entry.place, "", problem))
            else:
                found.append(entry)
    return found


def read_students(path: Path) -> list[str]:
    """Return the ids in a CSV file, which has a column with a title in `ID_COLUMNS`.

    Without such a title, it would be unclear whether the first line is a student.

    Raises:
        UserError: If it cannot be read, has no such column, or contains an invalid or a
            repeated id.
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
    if column is None:
        raise UserError(
            f"{name} must begin with the titles of its columns: give the column with "
            "the ids the title id"
        )
    students = list[str]()
    for number, row in enumerate(rows[1:], start=2):
        if not any(map(str.strip, row)):
            continue
        cell = row[column] if len(row) > column else ""
        try:
            students.append(student_id(cell))
        except ValueError as error:
            text = printable(cell)[:60]
            problem = f"line {number}: id {error}, got {text!r}"
            raise UserError(f"{name}, {problem}") from None
    if repeated := [x for x, count in Counter(students).items() if count > 1]:
        raise UserError(f"{name} contains the id {repeated[0]} twice")
    if not students:
        raise UserError(f"{name} contains no ids")
    return students
