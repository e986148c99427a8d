"""The grades of a class, and the submissions that need attention."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.base.text import counted, short_repr
from pipeline.core.epoch import Snapshot
from pipeline.records.student_ids import normalize
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.class_list import WITHOUT_ID
from pipeline.teaching.grading import (
    ASSIGNED,
    MAX_ACCURACY_DROP,
    Training,
    copied_from,
)
from pipeline.teaching.last_grades import LastGrades
from pipeline.teaching.ownership import Roster, submitter
from pipeline.teaching.question import GradedAnswer, Question
from pipeline.teaching.shared_work import shared_work
from pipeline.teaching.submissions import OLD, Graded, GradedOrRejected

MIN_FAILED = 3  # students with no points for a question that may be faulty
MAX_WRONG = 3  # wrong answers of a question that are listed
MAX_NAMES = 10  # students in one line of the output; class.html lists all students
IMPORT_AGAIN = (
    "if you already imported the points, import grades.csv (or canvas.csv) again and "
    "upload feedback.zip again"
)
SOLUTIONS = (
    "the feedback contains the correct answers: grade again without solutions=true "
    "before you upload it"
)


def first_names(names: Sequence[str]) -> str:
    """Return the first names of a list that can be long."""
    return ", ".join(names[:MAX_NAMES]) + ", ..." * (len(names) > MAX_NAMES)


def _together(names: Sequence[str]) -> str:
    """Return the names of students who share their work."""
    if len(names) == 2:
        return " and ".join(names)
    return f"{len(names)} students ({first_names(names)})"


def _students_get(students: Sequence[str]) -> str:
    verb = "gets" if len(students) == 1 else "get"
    return f"{counted(len(students), 'student')} {verb}"


@dataclass(frozen=True, eq=False)
class ClassGrades(Roster):
    """The grade of each submission of a class."""

    assignment: Assignment
    assigned: Mapping[str, Snapshot]  # the networks of students, by ID
    settings_notice: str  # from `other_settings_notice`; can be empty
    early_notices: Sequence[str]  # the notices that were printed before the grading
    other_questions: int  # graded submissions whose questions.md has other questions
    questions: Sequence[Question]  # the graded ones, in the order of `QUESTIONS`
    require: str  # the value of this setting
    solutions: bool  # whether the feedback contains the correct answers
    folder: Path  # with the files
    last: LastGrades  # what the files contained before this command

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all answers."""
        counts = {"graded": len(self.graded), "problems": len(self.problems)}
        return short_repr(self, **counts, folder=self.folder)

    @property
    def columns(self) -> list[str]:
        """The titles of grades.csv."""
        names = [question.name for question in self.questions]
        return ["id", "points", *names, "training", "problem", "submission"]

    @cached_property
    def others_by_cause(self) -> dict[str, list[Graded]]:
        """The submissions whose network is not the assigned one, by the possible cause.

        Networks for which there may be a legitimate reason are first: at the beginning,
        those whose file records a reason, and at the end, those whose file records
        another seed.
        """
        found = dict[str, list[Graded]]()
        others = [entry for entry in self.graded if not entry.is_assigned]
        causes = "legitimate", "inaccurate", "copied", "edited", "nearly", "accepted"
        for cause in causes:
            if same := [entry for entry in others if self._cause(entry) == cause]:
                found[cause] = sorted(same, key=self._order)
        return found

    @property
    def others(self) -> list[Graded]:
        """The submissions in `others_by_cause`, in the same order."""
        return [entry for same in self.others_by_cause.values() for entry in same]

    def _cause(self, entry: Graded) -> str:
        """Return a key of `others_by_cause`.

        No tested processor or version of PyTorch causes a `MAX_ACCURACY_DROP`.
        """
        if entry.is_accepted:
            return "accepted"
        if entry.grade.training is Training.EDITED:
            return "edited"
        if entry.grade.training is Training.NEAR:
            return "nearly"
        if self.copy_of(entry):
            return "copied"
        drop = entry.grade.expected_accuracy - entry.grade.accuracy
        settings = self.assignment.other_settings(entry.student, entry.recorded)
        return (
            "inaccurate" if drop > MAX_ACCURACY_DROP and not settings else "legitimate"
        )

    def _order(self, entry: Graded) -> int:
        """Return the place of a network among those with the same possible cause."""
        settings = self.assignment.other_settings(entry.student, entry.recorded)
        if "seed" in settings:
            return 2
        return 0 if settings or entry.explained_torch else 1

    @property
    def unanswered(self) -> list[Graded]:
        """The graded submissions without a well-formed answer."""
        return [
            entry
            for entry in self.graded
            if all(answer.answer is None for answer in entry.grade.answers)
        ]

    @property
    def network_notices(self) -> list[str]:
        """Lines about the students whose points depend on `require` or on edits.

        One line is about the students who get no points for their network, the other
        about those who get points only because of `require=any`.
        """
        denied = [entry.student for entry in self.others if entry.grade.denied]
        allowed = [
            x.student
            for x in self.others
            if not x.is_accepted and x.grade.required(ASSIGNED).points < x.grade.points
        ]
        found, read = list[str](), 'read the section "Not the assigned network"'
        if denied:
            found.append(
                f"{_students_get(denied)} no points for the questions about the "
                "weights, because the network is not the assigned one "
                f"({first_names(denied)}): there may be a legitimate reason, so {read}"
            )
        if allowed:
            found.append(
                f"{_students_get(allowed)} points for a different training run, "
                f"because of require=any ({first_names(allowed)}): {read}"
            )
        return found

    def copy_of(self, entry: Graded) -> tuple[str, float] | None:
        """Return the student whose network shares most of its weights with this one.

        The largest difference between corresponding weights is also returned; the
        remaining weights may have been changed. The result is None if there is no such
        student.
        """
        networks = [*self.assigned.items()]
        networks += [(other.student, other.network) for other in self.graded]
        others = [pair for pair in networks if pair[0] != entry.student]
        return copied_from(entry.network, others)

    @property
    def notices(self) -> list[str]:
        """Lines about the feedback and about questions that changed or may be wrong."""
        found = [SOLUTIONS] * self.solutions
        if failed := [x.name for x in self.questions if self._is_failed(x.name)]:
            found.append(
                f"no student gets points for {', '.join(failed)}: check whether the "
                "question or its correct answer is wrong"
            )
        if self.other_questions:
            found.append(
                f"for {counted(self.other_questions, 'student')}, questions.md differs "
                "from the questions that were graded: if you corrected the text of a "
                "question, this is expected; otherwise, grade with the version of the "
                "project that the students used"
            )
        if old := [entry.student for entry in self.graded if entry.grade.is_old]:
            verb, total = "was" if len(old) == 1 else "were", len(self.graded)
            found.append(
                f"{len(old)} of {counted(total, 'submission')} {verb} {OLD} "
                f"({first_names(old)}): add again=true to grade all of them with the "
                "current questions"
            )
        pairs = [(x.student, x.before, x.grade) for x in self.graded if x.before]
        other_set, changed = list[str](), list[str]()
        for student, before, after in pairs:
            points = after.points_before(before)
            if before.points != points:
                other_set.append(f"{student} {before.points:g} -> {points:g}")
            if points != after.points:
                changed.append(f"{student} {points:g} -> {after.points:g}")
        maximums = {(before.possible, after.possible) for _, before, after in pairs}
        for before_possible, possible in sorted(maximums):
            if before_possible != possible:
                found.append(
                    f"the maximum changed from {before_possible:g} to "
                    f"{possible:g} points: change it in your learning platform too"
                )
        if other_set:
            number = counted(len(other_set), "student")
            found.append(
                f"added and removed questions changed the points of {number}: "
                f"{', '.join(other_set)}"
            )
        if pairs:
            names = f": {', '.join(changed)}; {IMPORT_AGAIN}" if changed else ""
            number = counted(len(changed), "student")
            others = " of the other questions" * bool(other_set)
            found.append(f"points{others} changed for {number}{names}")
        return found

    def _is_failed(self, question: str) -> bool:
        """Return whether several students answered a question, all without points."""
        answers = [answer for _, answer in self.answers(question) if not answer.denied]
        kinds = [answer.kind for answer in answers if answer.kind != "blank"]
        return len(kinds) >= MIN_FAILED and {*kinds} == {"none"}

    @property
    def changes(self) -> list[str]:
        """Lines about students whose points changed, though not with the questions.

        They are compared with the previous command with the same course code, if it
        graded the same questions.
        """
        found, last = list[str](), self.last.points
        if len(self.graded) < len(last):
            found.append(
                "the previous `grade` command graded "
                f"{counted(len(last), 'submission')}; this command graded only "
                f"{len(self.graded)}, and its files replace the earlier files: keep "
                "all submissions of a class in one folder"
            )
        if not last or not self.last.has_columns(self.columns):
            return found
        changed, new = list[str](), list[str]()
        for entry in self.graded:
            points = entry.grade.points
            expected = (entry.before or entry.grade).points
            if (before := last.get(normalize(self._spelled(entry.student)))) is None:
                new.append(f"{entry.student} {points:g}")
            elif before != expected:
                changed.append(f"{entry.student} {before:g} -> {points:g}")
        # A student can have several submissions that are not graded.
        for student in dict.fromkeys(x.student for x in self.problems):
            before = last.get(normalize(self._spelled(student)))
            if before is not None:
                changed.append(f"{student} {before:g} -> not graded")
        if changed:
            number = counted(len(changed), "student")
            found.append(
                f"since the previous `grade` command, the points of {number} changed "
                "for a reason other than the questions, such as an accepted network or "
                f"another file: {', '.join(changed)}; {IMPORT_AGAIN}"
            )
        if new:
            number = counted(len(new), "student")
            found.append(
                f"{number} newly graded since the previous `grade` command: "
                f"{', '.join(new)}"
            )
        return found

    def canvas_rows(self) -> list[dict[str, Any]]:
        """Return the points in a form that Canvas imports, if the list is from Canvas.

        Students without points have no row, so that their grades do not change.
        """
        listed = [(x, self.listed.get(x.student)) for x in self.graded]
        return [
            {**about.canvas, "points": entry.grade.points}
            for entry, about in listed
            if about and about.canvas
        ]

    def _spelled(self, student: str) -> str:
        """Return an ID as it is in grades.csv."""
        # A learning platform may compare the case.
        listed = self.listed.get(student)
        return listed.spelled if listed else student

    @cached_property
    def shared(self) -> list[tuple[str, list[GradedOrRejected]]]:
        """What students share, and their submissions, for each such group."""
        return shared_work(self.entries, self.questions)

    @property
    def torch_versions(self) -> dict[str, int]:
        """The recorded versions of PyTorch, the most frequent one first."""
        found = Counter(entry.torch for entry in self.graded if entry.torch)
        return dict(found.most_common())

    @property
    def needs_attention(self) -> bool:
        """Whether *Needs attention* has more than the notices that all classes get."""
        # A list from a learning platform always contains teachers.
        early = [x for x in self.early_notices if not x.endswith(WITHOUT_ID)]
        lines = [*early, *self.notices, *self.changes, *self.problems]
        return bool(lines or self.attention() or any(x.malformed for x in self.graded))

    def attention(self) -> dict[str, list[str]]:
        """Return the lists of students that the terminal shows, by title."""
        found = {
            "network": [
                f"{x.student} ({x.grade.training}"
                + (f", PyTorch {x.other_torch}" * bool(x.other_torch))
                + (", accepted)" if x.is_accepted else ")")
                for x in self.others
            ],
            "empty": [x.student for x in self.unanswered],
            "identical": [
                f"{what} of {_together([*dict.fromkeys(map(submitter, same))])}"
                for what, same in self.shared
            ],
            "other ID": [
                f"{x} (most students: {self.usual_column}; in grades.csv: "
                f"{self._spelled(x)})"
                for x in self.other_ids
            ],
            "misnamed": [f"{x.student} in {x.place}" for x in self.misnamed],
            "unlisted": [x.student for x in self.unlisted],
            "missing": self.missing,
        }
        return {title: names for title, names in found.items() if names}

    def answers(self, question: str) -> list[tuple[str, GradedAnswer]]:
        """Return the graded answers to a question, with the IDs of the students."""
        return [
            (entry.student, answer)
            for entry in self.graded
            for answer in entry.grade.answers
            if answer.question == question
        ]

    def wrong(self, question: str) -> list[list[tuple[str, GradedAnswer]]]:
        """Return the most frequent wrong answers to a question, in groups.

        The answers in a group have the same typical mistake or the same wrong number.
        """
        groups = defaultdict[object, list[tuple[str, GradedAnswer]]](list)
        for student, answer in self.answers(question):
            is_wrong = answer.answer is not None and answer.points < answer.possible
            if is_wrong and not answer.denied:
                groups[answer.hint or answer.answer].append((student, answer))
        listed = [same for same in groups.values() if same[0][1].hint or len(same) > 1]
        return sorted(listed, key=len, reverse=True)[:MAX_WRONG]

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of grades.csv, including students without a submission.

        Submissions without an ID have no row, because a learning platform could not
        import such a row.
        """
        places = defaultdict[str, list[str]](list)  # all, if none is selected
        for entry in self.entries:
            places[entry.student].append(entry.place)
        rows = {
            x.student: {**x.row(), "submission": ", ".join(places[x.student])}
            for x in self.entries
            if x.student
        }
        absent = self.absent.items()
        rows |= {student: {"problem": problem} for student, problem in absent}
        return [
            {**rows[student], "id": self._spelled(student)}
            for student in sorted(rows, key=lambda x: normalize(self._spelled(x)))
        ]
