"""The grades of a class, and what an instructor should look at."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.files import json_sha256
from pipeline.base.params import differing_params
from pipeline.base.tensors import tensors_sha256
from pipeline.base.terminal import counted
from pipeline.base.text import short_repr
from pipeline.core.epoch import Snapshot
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.class_list import ListedStudent
from pipeline.teaching.grading import MAX_MEDIAN, QUESTIONS_SHA256, differences
from pipeline.teaching.question import GradedAnswer
from pipeline.teaching.questions import QUESTIONS
from pipeline.teaching.submissions import Graded, Outcome, Rejected

MIN_EQUAL = 3  # so many equal answers are not a coincidence
MAX_WRONG = 3  # wrong answers of a question that are listed
NEARLY_ALL = 0.9  # of the networks
MISSING = "no submission"
COLUMNS = ["id", "points", *(question.name for question in QUESTIONS)]
COLUMNS += ["training", "problem", "submission"]


@dataclass(frozen=True, eq=False)
class ClassGrades:
    """The grade of each submission of a class."""

    assignment: Assignment
    entries: Sequence[Outcome]  # by id; those without one are last
    listed: Mapping[str, ListedStudent]  # all students by id; empty if not known
    assigned: Mapping[str, Snapshot]  # the networks of students, by id
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
    def absent(self) -> dict[str, str]:
        """The listed students without a line of their own, and why."""
        others = {x.owner: f"submitted with the id {x.student}" for x in self.graded}
        students = {entry.student for entry in self.entries}
        return {x: others.get(x, MISSING) for x in sorted({*self.listed} - students)}

    @property
    def missing(self) -> list[str]:
        """The ids of the students without a submission, if all are known."""
        return [x for x, problem in self.absent.items() if problem == MISSING]

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

    def copy_of(self, entry: Graded) -> tuple[str, float] | None:
        """Return with whose network most weights agree, and the largest difference.

        The others can be changed. None if it is the network of no other student.
        """
        submitted = [(each.student, each.network) for each in self.graded]
        for student, network in [*self.assigned.items(), *submitted]:
            found = differences(entry.network, network)
            if student != entry.student and np.median(found) <= MAX_MEDIAN:
                return student, float(found.max())
        return None

    @property
    def notices(self) -> list[str]:
        """Lines about other settings, and questions that changed after the grading."""
        found = list[str]()
        networks = counted(len(self.graded), "network")
        for text, count in Counter(map(self.settings_of, self.graded)).most_common(1):
            # A seed is that of one student.
            if text and "seed" not in text and count >= NEARLY_ALL * len(self.graded):
                line = f"{text} in the files of {count} of {networks}"
                found.append(f"{line}: if this was assigned, add {text}")
        old = sum(x.grade.questions != QUESTIONS_SHA256 for x in self.graded)
        again = [x for x in self.graded if x.before is not None]
        changed = [x for x in again if x.before != x.grade.points]
        if old:
            found.append(
                f"{counted(old, 'submission')} graded before the questions changed: "
                "add again=true to grade again"
            )
        if again:
            number = f"points changed for {counted(len(changed), 'student')}"
            names = ", ".join(
                f"{x.student} {x.before:g} -> {x.grade.points:g}" for x in changed
            )
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
        rows |= {x: {"problem": problem} for x, problem in self.absent.items()}
        # A learning platform may compare the case.
        spelled = {x: each.spelled for x, each in self.listed.items()}
        return [{**row, "id": spelled.get(x, x)} for x, row in sorted(rows.items())]


def without_repeated(entries: Sequence[Outcome]) -> list[Outcome]:
    """Return the entries, so that at most one with each id is graded.

    It is the only one whose name contains the id or, if that does not decide, the only
    one with the assigned network. The others get a problem and lose the id. If nothing
    decides, all of them get a problem.

    A submission that is not graded belongs to the owner of its folder, if the owner is
    known: the owner would otherwise be listed as missing.
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
                found.append(Rejected(entry.place, student, problem, owner=entry.owner))
            elif entry is not chosen:
                problem = f"another submission with the id {student} is used instead"
                found.append(Rejected(entry.place, "", problem, owner=entry.owner))
            else:
                found.append(entry)
    graded = {entry.student for entry in found if isinstance(entry, Graded)}
    return [
        replace(entry, student="" if entry.owner in graded else entry.owner)
        if entry.owner and isinstance(entry, Rejected)
        else entry
        for entry in found
    ]
