"""The grades of a class, and the submissions that need attention."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from pipeline.base.text import short_repr
from pipeline.core.epoch import Snapshot
from pipeline.records.student_ids import normalize
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.class_list import WITHOUT_ID
from pipeline.teaching.grading import (
    ASSIGNED,
    MAX_ACCURACY_DROP,
    SubmissionGrade,
    Training,
    copied_from,
)
from pipeline.teaching.ownership import Roster, submitter
from pipeline.teaching.question import GradedAnswer, Question
from pipeline.teaching.shared_work import shared_work
from pipeline.teaching.submissions import OLD, Graded, GradedOrRejected
from pipeline.teaching.templates import fill_template

MIN_FAILED = 3  # students with no points for a question that may be faulty
MAX_WRONG = 3  # wrong answers of a question that are listed
MAX_NAMES = 10  # students in one line of the output; class.html lists all students


def first_names(names: Sequence[str]) -> str:
    """Return the first names of a list that can be long."""
    return ", ".join(names[:MAX_NAMES]) + ", ..." * (len(names) > MAX_NAMES)


def _together(names: Sequence[str]) -> str:
    """Return the names of students who share their work."""
    if len(names) == 2:
        return " and ".join(names)
    return f"{len(names)} students ({first_names(names)})"


@dataclass(frozen=True, eq=False)
class ClassGrades(Roster):
    """The grade of each submission of a class."""

    assignment: Assignment
    assigned: Mapping[str, Snapshot]  # the networks of students, by ID
    settings_notice: str  # from `other_settings_notice`; can be empty
    early_notices: Sequence[str]  # the notices that were printed before the grading
    # The students whose questions.md has other questions, and who else has these
    # questions; empty if this is not known.
    other_questions: Mapping[str, str]
    questions: Sequence[Question]  # the graded ones, in the order of `QUESTIONS`
    require: str  # the value of this setting
    solutions: bool  # whether the feedback contains the correct answers
    folder: Path  # the folder with the files
    last: Mapping[str, SubmissionGrade]  # the grades of the previous command, by ID
    again: bool  # the value of this setting

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
        """Lines about the students whose points depend on `require` or on edits."""
        return [line.striptags() for line in self.lines("network_notices.html")]

    @property
    def allowed(self) -> list[str]:
        """The students who get points for their network only with `require=any`."""
        return [
            x.student
            for x in self.others
            if not x.is_accepted and x.grade.required(ASSIGNED).points < x.grade.points
        ]

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
        """Lines about the feedback, the questions, and points that changed.

        The points are compared with those of the previous command with the same course
        code.
        """
        return [line.striptags() for line in self.lines("notices.html")]

    def lines(self, template: str) -> list[Markup]:
        """Return the lines of a template about this class, as HTML."""
        text = fill_template(template, grades=self, old=OLD)
        return [Markup(line) for line in text.split("\n") if line.strip()]

    def who(self, student: str) -> Markup:
        """Return an ID and the name in the list, with links to feedback and row."""
        shown = Markup("<b>{}</b>").format(student)
        if page := self._feedback.get(student):
            link = Markup('<a href="feedback/{}">{}</a>')
            shown = link.format(quote(page), shown)
        if name := self.name_of(student):
            shown += Markup(' <span class="muted">({})</span>').format(name)
        row = Markup('<a class="row" href="#row-{}" title="row in the table"></a>')
        return shown + row.format(quote(student))

    def first(self, students: Iterable[str]) -> Markup:
        """Return the first students of a list that can be long, each as in `who`."""
        return Markup(first_names([self.who(student) for student in students]))

    def name_of(self, student: str) -> str:
        """Return the name in the list, or ""."""
        return self.listed[student].name if student in self.listed else ""

    @cached_property
    def _feedback(self) -> dict[str, str]:
        return {entry.student: entry.feedback for entry in self.entries}

    @property
    def failed(self) -> list[str]:
        """The questions that may be wrong, because nobody gets points for them."""
        return [x.name for x in self.questions if self._is_failed(x.name)]

    @property
    def maximums(self) -> list[tuple[float, float]]:
        """The maximum of the previous command and of this one, if they differ."""
        before = {grade.possible for grade in self.last.values()}
        now = sum(question.points for question in self.questions)
        return [(possible, now) for possible in before if possible != now]

    def changed(self, step: int) -> list[tuple[str, float, float]]:
        """Return the students whose points changed in a step of `points_since`."""
        found = [
            (entry.student, entry.grade.points_since(self.last[entry.student]))
            for entry in self.graded
            if entry.student in self.last
        ]
        return [
            (student, points[step], points[step + 1])
            for student, points in found
            if points[step] != points[step + 1]
        ]

    @property
    def no_longer_graded(self) -> list[tuple[str, float, None]]:
        """The students whom only the previous command graded, with its points."""
        found = dict.fromkeys(entry.student for entry in self.problems)
        return [(x, self.last[x].points, None) for x in found if x in self.last]

    def _is_failed(self, question: str) -> bool:
        """Return whether several students answered a question, all without points."""
        answers = [answer for _, answer in self.answers(question) if not answer.denied]
        kinds = [answer.kind for answer in answers if answer.kind != "blank"]
        return len(kinds) >= MIN_FAILED and {*kinds} == {"none"}

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
        lines = [*early, *self.notices, *self.problems]
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

        The answers in a group have the same typical mistake, are correct for the same
        other student, or are the same wrong number.
        """
        groups = defaultdict[object, list[tuple[str, GradedAnswer]]](list)
        for student, answer in self.answers(question):
            is_wrong = answer.answer is not None and answer.points < answer.possible
            if is_wrong and not answer.denied:
                cause = answer.hint or self.owner_of_answer(student, answer)
                groups[cause or answer.answer].append((student, answer))
        listed = [
            same
            for cause, same in groups.items()
            if isinstance(cause, str) or len(same) > 1
        ]
        return sorted(listed, key=len, reverse=True)[:MAX_WRONG]

    def owner_of_answer(self, student: str, answer: GradedAnswer) -> str:
        """Return a student in the same group of `shared` with this correct answer.

        The answer is not missing. The result is empty if there is no such student.
        """
        (question,) = (x for x in self.questions if x.name == answer.question)
        assert answer.answer is not None
        owners = [
            other
            for other, its in self.answers(answer.question)
            if other in self._sharing[student]
            if question.is_one_of(answer.answer, [its.correct])
        ]
        return owners[0] if owners else ""

    @cached_property
    def _sharing(self) -> Mapping[str, set[str]]:
        """The other students in the groups of `shared`, by ID."""
        found = defaultdict[str, set[str]](set)
        for _, same in self.shared:
            ids = {entry.student for entry in same}
            for student in ids:
                found[student] |= ids - {student}
        return found

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
