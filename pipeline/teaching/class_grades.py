"""The grades of a class, and what an instructor should look at."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.files import json_sha256
from pipeline.base.tensors import tensors_sha256
from pipeline.base.terminal import counted
from pipeline.base.text import short_repr
from pipeline.core.epoch import Snapshot
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.forgotten import ForgottenSettings
from pipeline.teaching.grading import QUESTIONS_SHA256, copied_from
from pipeline.teaching.ownership import Roster
from pipeline.teaching.question import GradedAnswer
from pipeline.teaching.questions import QUESTIONS
from pipeline.teaching.submissions import Graded

MIN_EQUAL = 3  # answers; fewer can be equal by coincidence
MAX_WRONG = 3  # wrong answers of a question that are listed
COLUMNS = ["id", "points", *(question.name for question in QUESTIONS)]
COLUMNS += ["training", "problem", "submission"]


@dataclass(frozen=True, eq=False)
class ClassGrades(Roster):
    """The grade of each submission of a class."""

    assignment: Assignment
    assigned: Mapping[str, Snapshot]  # the networks of students, by id
    forgotten: ForgottenSettings
    folder: Path  # with the files

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all answers."""
        counts = {"graded": len(self.graded), "problems": len(self.problems)}
        return short_repr(self, **counts, folder=self.folder)

    @property
    def others(self) -> list[Graded]:
        """The submissions with another network that `forgotten` does not explain."""
        settings = self.assignment.other_settings
        found = [entry for entry in self.graded if not entry.is_assigned]
        explained = self.forgotten.settings or None
        return [x for x in found if settings(x.student, x.recorded) != explained]

    def copy_of(self, entry: Graded) -> tuple[str, float] | None:
        """Return the student whose network has most of the same weights.

        The largest difference of a weight is also returned; the remaining weights may
        have been changed. None if there is no such student.
        """
        submitted = [(each.student, each.network) for each in self.graded]
        others = [*self.assigned.items(), *submitted]
        return copied_from(entry.network, [x for x in others if x[0] != entry.student])

    @property
    def notices(self) -> list[str]:
        """Lines about questions that changed after the grading."""
        found = list[str]()
        old = sum(x.grade.questions != QUESTIONS_SHA256 for x in self.graded)
        if old:
            verb = "was" if old == 1 else "were"
            found.append(
                f"{counted(old, 'submission')} {verb} graded before the questions "
                "changed: add again=true to grade again"
            )
        again = [x for x in self.graded if x.before is not None]
        changed = [
            f"{x.student} {x.before:g} -> {x.grade.points:g}"
            for x in again
            if x.before != x.grade.points
        ]
        if again:
            names = f": {', '.join(changed)}" if changed else ""
            number = counted(len(changed), "student")
            found.append(f"points changed for {number}{names}")
        return found

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
        rows |= {x: {"problem": problem} for x, problem in self.absent.items()}
        # A learning platform may compare the case.
        spelled = {x: each.spelled for x, each in self.listed.items()}
        return [{**row, "id": spelled.get(x, x)} for x, row in sorted(rows.items())]
