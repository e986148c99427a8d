"""Decides which student a submission belongs to, with these rules in this order.

1. `with_owners`, before the grading: a submission whose name contains a listed
   student's number on the platform, or is the name of exactly one listed student,
   belongs to this student. It is rejected if its ID is that of another student in the
   list. `with_submitted_ids` finds the ID that each student used in the student's
   submission.
2. `one_for_each_id`, after the grading: a submission that could not be graded belongs
   to the owner of its folder, and any other to the ID in its answers.
3. `Roster` compares the IDs with the folders' names and with the list of students.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.records.student_ids import normalize
from pipeline.teaching.class_list import (
    ListedStudent,
    are_mostly_unknown,
    name_words,
    shown_title,
)
from pipeline.teaching.submissions import (
    MOODLE,
    NUMBER,
    Entry,
    Graded,
    GradedOrRejected,
    Rejected,
    Submission,
)

# The text after the name of a student, such as _1234_assignsubmission_file_ of Moodle.
AFTER_NAME = re.compile(rf"(_\d+)?({MOODLE}\w*)?(\.zip)?\Z", re.IGNORECASE)
# Characters that continue an ID; `_` does not, because platforms write it between the
# parts of names.
IN_ID = r"[^\W_]|[.@+-]"
MISSING = "no submission"
ONLY_ONE = "only one can be graded, so delete the others"


def with_owners(
    entries: Sequence[Submission | Rejected], listed: Mapping[str, ListedStudent]
) -> list[Submission | Rejected]:
    """Return the entries with their owners.

    Moodle can create several folders for a student. If a folder has files, the
    empty folders are dropped; otherwise, one empty folder is kept. An entry without an
    ID gets the ID in questions.md, unless another entry has this ID or belongs to this
    student.
    """
    kept, known = list[Submission | Rejected](), set[str]()
    ids = {x for entry in entries for x in (entry.student, _owner(entry.place, listed))}
    for entry in sorted(entries, key=lambda x: x.is_empty):
        name = entry.place.partition(MOODLE)[0]  # and the number of a student in Moodle
        if not (entry.is_empty and name in known):
            if not (entry.student or entry.id_in_questions in ids):
                entry = replace(entry, student=entry.id_in_questions)
            kept.append(_with_owner(entry, listed))
        known.add(name)
    return kept


def _with_owner(
    entry: Submission | Rejected, listed: Mapping[str, ListedStudent]
) -> Submission | Rejected:
    """Return an entry with its owner, rejected if it has the ID of another student."""
    owned = replace(entry, owner=_owner(entry.place, listed))
    if isinstance(owned, Rejected) or owned.owner in ("", owned.student):
        return owned
    if owned.student in listed[owned.owner].ids.values():
        return owned
    ids = {x for about in listed.values() for x in about.ids.values()}
    if owned.student not in {*listed, *ids}:
        return owned
    return owned.rejected(
        f"its ID {owned.student} is that of another student in the list",
        student="",
        to_student="the ID in your answers.json is another student's",
    )


def _owner(place: str, listed: Mapping[str, ListedStudent]) -> str:
    """Return the ID of the only student with the number or name in a submission's name.

    The result is empty if there is no such student.
    """
    found = NUMBER.search(place)
    number = found[1] if found else None
    numbered = [x for x, about in listed.items() if about.number == number]
    students = numbered or _namesakes(place, listed)
    return students[0] if len(students) == 1 else ""


def _namesakes(place: str, listed: Mapping[str, ListedStudent]) -> list[str]:
    """Return the IDs of the listed students whose name a folder has."""
    words = name_words(AFTER_NAME.sub("", place))
    return [x for x, name in listed.items() if words and name.words == words]


def with_submitted_ids(
    listed: Mapping[str, ListedStudent], entries: Iterable[Entry]
) -> dict[str, ListedStudent]:
    """Return the listed students by the IDs that they submitted.

    An ID that is not in the student's row is used only if this applies to most of the
    submitted IDs. A student keeps the ID in the list if no submission belongs to the
    student, or if the submitted ID also belongs to another student: that student
    submitted it too, or has it in the list.
    """
    given = [entry for entry in entries if entry.student]
    any_id = are_mostly_unknown({entry.student for entry in given}, listed)
    owners, ids = (defaultdict[str, set[str]](set) for _ in range(2))
    for entry in given:
        own = listed[entry.owner].ids.values() if entry.owner else ()
        if entry.owner and (any_id or entry.student in own):
            owners[entry.student].add(entry.owner)
            ids[entry.owner].add(entry.student)
    found = {owner: min(same) for owner, same in ids.items() if len(same) == 1}
    found = {
        owner: x
        for owner, x in found.items()
        if len(owners[x]) == 1 and (x == owner or x not in listed)
    }
    return {found.get(student, student): about for student, about in listed.items()}


def one_for_each_id(entries: Iterable[GradedOrRejected]) -> list[GradedOrRejected]:
    """Return the entries, with at most one graded entry for each ID.

    If several submissions have the same ID, one submission is selected. All others are
    rejected, and belong to the owner of their folder, who would otherwise be listed as
    missing, or to nobody. If no rule selects a submission, all are rejected.
    """
    groups = defaultdict[str, list[GradedOrRejected]](list)
    for entry in entries:
        owner = entry.owner if isinstance(entry, Rejected) else ""
        groups[owner or entry.student].append(entry)
    found, others = groups.pop("", []), list[GradedOrRejected]()
    for student, same in groups.items():
        same = [replace(entry, student=student) for entry in same]
        chosen = _chosen(same)
        found += [chosen] if chosen else []
        for entry in same:
            if not chosen:  # the feedback names no other submission
                several = f"{len(same)} submissions have the ID {student}"
                to_student = f"{several}, and your instructor decides which is graded"
                problem = f"{several}: {ONLY_ONE}"
                found.append(entry.rejected(problem, to_student=to_student))
            elif entry is not chosen:
                problem = f"another submission with the ID {student} is used instead"
                about = {
                    "student": "",
                    "owner": "" if entry.owner in groups else entry.owner,
                    "to_student": "the ID in your answers.json is another student's",
                }
                others.append(entry.rejected(problem, **about))
    # A rejected submission now has only its owner's ID: the second pass is the last.
    return found + (one_for_each_id(others) if others else [])


def _chosen(same: Sequence[GradedOrRejected]) -> GradedOrRejected | None:
    """Return the submission that is used among those with the same ID, or None."""
    named = [entry for entry in same if is_named(entry)]
    graded = [entry for entry in named or same if isinstance(entry, Graded)]
    assigned = [entry for entry in graded if entry.is_assigned]
    rules = (same, named, graded if named else [], assigned)
    return next((found[0] for found in rules if len(found) == 1), None)


def is_named(entry: Entry) -> bool:
    """Return whether a folder has the student's name or the whole ID in its name."""
    if entry.owner:
        return entry.owner == entry.student
    name = normalize(entry.place).removesuffix(".zip")
    return bool(re.search(rf"(?<!{IN_ID}){re.escape(entry.student)}(?!{IN_ID})", name))


def submitter(entry: Entry) -> str:
    """Return the student to whom a submission belongs, or the submission's name."""
    return entry.owner or (entry.student if is_named(entry) else "") or entry.place


@dataclass(frozen=True, eq=False)
class Roster:
    """The submissions of a class, compared with the list of students."""

    entries: Sequence[GradedOrRejected]  # by ID; entries without an ID are last
    listed: Mapping[str, ListedStudent]  # all students by ID; empty if not known

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
        """The listed students without a row of their own, and why."""
        entries = [*self.problems, *self.graded]  # an owner's last entry is used
        others = {entry.owner: entry.to_owner for entry in entries}
        absent = {*self.listed} - {entry.student for entry in self.entries}
        return {student: others.get(student, MISSING) for student in sorted(absent)}

    @property
    def missing(self) -> list[str]:
        """The IDs of the listed students without a submission."""
        absent = self.absent.items()
        return [student for student, problem in absent if problem == MISSING]

    @property
    def unlisted(self) -> list[GradedOrRejected]:
        """The submissions of IDs that are not in the list of students."""
        known = [entry for entry in self.entries if entry.student]
        others = [entry for entry in known if entry.student not in self.listed]
        return others if self.listed else []

    @property
    def usual_column(self) -> str:
        """The column of the list whose IDs most students used; empty if not known."""
        return shown_title(self._columns[0][0]) if self._columns else ""

    @property
    def other_ids(self) -> list[str]:
        """The students who used the ID in another column than most others.

        Students without an ID in the usual column had no choice.
        """
        if not self._columns:
            return []
        usual, _ = self._columns[0]
        given = self._ids
        found = [x for x, ids in given.items() if ids.get(usual, x) != x]
        return found if 2 * len(found) < len(given) else []

    @property
    def _ids(self) -> dict[str, Mapping[str, str]]:
        """All IDs of the graded students who used one of them, by this ID."""
        ids = {
            x.student: self.listed[x.student].ids
            for x in self.graded
            if x.student in self.listed
        }
        return {
            student: by_column
            for student, by_column in ids.items()
            if student in by_column.values()
        }

    @property
    def _columns(self) -> list[tuple[str, int]]:
        """The columns of the list that students used, the most frequent one first."""
        return Counter(
            title
            for student, ids in self._ids.items()
            for title, value in ids.items()
            if value == student
        ).most_common()

    @property
    def misnamed(self) -> list[GradedOrRejected]:
        """The submissions whose name does not contain their ID.

        If this applies to most submissions, the learning platform uses other names, and
        the list is empty.
        """
        known = [entry for entry in self.entries if entry.student]
        found = [
            entry
            for entry in known
            if not is_named(entry)
            and entry.student not in _namesakes(entry.place, self.listed)
        ]
        return found if 2 * len(found) < len(known) else []
