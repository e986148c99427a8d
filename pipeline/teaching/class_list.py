"""The list of all students of a class: a CSV file."""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pipeline import UserError
from pipeline.base.csv_files import read_csv
from pipeline.base.text import counted, printable
from pipeline.records.student_ids import normalize, student_id

T = TypeVar("T")
WITHOUT_ID = "without an ID"  # the end of the message about rows of teachers
# Titles of columns with IDs, without spaces, and as they are shown. `spelled` is the ID
# in the column that most students used, or in the first of these columns. A student can
# use the ID in any of these columns.
ID_COLUMNS = {
    "id": "id",
    "idnumber": "ID number",
    "username": "username",
    "email": "email",
    "emailaddress": "Email address",
}
# Titles of the columns that together contain a name; the first are used.
NAME_COLUMNS = (("firstname", "lastname"), ("fullname",), ("name",))
# The same titles in Moodle's German, French and Spanish exports, and the titles in
# Canvas's gradebook, without spaces.
TRANSLATED = {
    "sisuserid": "idnumber",
    "sisloginid": "username",
    "student": "name",
    "id-nummer": "idnumber",
    "numérod'identification": "idnumber",
    "númerodeid": "idnumber",
    "anmeldename": "username",
    "nomd'utilisateur": "username",
    "nombredeusuario": "username",
    "e-mail-adresse": "emailaddress",
    "adressedecourriel": "emailaddress",
    "direccióndecorreo": "emailaddress",
    "vorname": "firstname",
    "prénom": "firstname",
    "nombre": "firstname",
    "nachname": "lastname",
    "nomdefamille": "lastname",
    "apellido(s)": "lastname",
}
# The columns of Canvas's gradebook that identify a student: the English titles without
# spaces, and the titles in the gradebook.
CANVAS = {
    "name": "Student",
    "id": "ID",
    "idnumber": "SIS User ID",
    "username": "SIS Login ID",
    "section": "Section",
}
# Rows of Canvas's gradebook that are not students: for previews, and the maximum.
NOT_STUDENTS = ("student, test", "points possible")
ACCEPTED = "accepted"  # the title of the column for `ListedStudent.is_accepted`


@dataclass(frozen=True)
class ListedStudent:
    """A student in the list."""

    spelled: str  # the ID as it is in the list
    name: str  # empty if the list has no names
    # Whether the instructor accepts a network other than the assigned one.
    is_accepted: bool = False
    ids: Mapping[str, str] = field(default_factory=dict)  # normalized, by column
    number: str = ""  # the learning platform's, which names of submissions contain
    # The cells of Canvas's gradebook that identify the student, by title.
    canvas: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The words of the name."""
        return name_words(self.name)


def name_words(name: str) -> list[str]:
    """Return the words of a name, sorted, because the last name can be the first word.

    Moodle leaves out some characters, such as the apostrophe, and replaces `_`.
    """
    return sorted(re.sub(r"[^\w\s]", "", normalize(name)).replace("_", " ").split())


def read_students(
    path: Path, submitted: Collection[str] = ()
) -> tuple[dict[str, ListedStudent], list[str]]:
    """Return the students in a CSV file by ID, and messages about unused parts.

    Rows without an ID, such as teachers in Moodle's list, are ignored. If a row has
    several IDs, the ID that is in `submitted`, the IDs of all submissions, is used.
    Leading zeros that a spreadsheet program removed are restored, if other IDs have as
    many characters. Without a column in `ID_COLUMNS`, the column with most of these IDs
    is used.

    Raises:
        UserError: If the file cannot be read or has no column with IDs, if an ID is
            invalid or repeated, if there is no ID, or if a value in the column
            `ACCEPTED` is not yes.
    """
    name = printable(path)
    if not os.path.exists(path):
        raise UserError(f"students must be an existing CSV file, got {name!r}")
    titles, rows = read_csv(path)
    found = repr(printable(", ".join(titles))[:80])
    is_canvas = {"student", "id", "section"} <= {*titles}
    titles, rows = _in_english(titles, rows)
    # The column with the numbers: Participant 1234 in Moodle's grading worksheet.
    numbers = "id" if is_canvas else "identifier"
    canvas = CANVAS if is_canvas else {}
    columns = _id_columns(titles, rows, submitted)
    unused = list[str]()
    if not columns:
        # Without a title, the first row could be a student.
        most = max((_matches(submitted, title, rows) for title in titles), default=0)
        raise UserError(
            f"{name} must begin with a row of column titles, and the column with the "
            "IDs must have the title id, ID number, username or Email address, got "
            f"{found}; a column with a different title must contain more than half of "
            f"the submitted IDs, got at most {most} of {len(submitted)}"
        )
    if columns[0] not in ID_COLUMNS:
        unused.append(
            f"the column {printable(columns[0])} has most of the submitted IDs; "
            "the first row is read as titles"
        )
    filled = [x for x in columns if any(row[x].strip() for _, row in rows)]
    if not filled:
        raise UserError(f"{name} contains no IDs in {_shown(columns)}")
    named = next((x for x in NAME_COLUMNS if {*x} <= {*titles}), ())
    lengths = _usual_lengths((row[filled[0]].strip() for _, row in rows), submitted)
    students, without_id, restored = dict[str, ListedStudent](), 0, list[str]()
    for number, row in rows:
        if is_canvas and normalize(row["name"]) in NOT_STUDENTS:
            continue
        # Teachers have no ID in the usual column; all rows of Canvas are students.
        cells = [row[x].strip() for x in (filled if is_canvas else filled[:1])]
        if not (spelled := next(filter(None, cells), "")):
            without_id += 1
            continue
        student = _checked(spelled, student_id, f"{name}, line {number}: ID")
        by_column = {
            title: normalize(row[title]) for title in filled if row[title].strip()
        }
        student = next((x for x in by_column.values() if x in submitted), student)
        same = {x for x in submitted if x.lstrip("0") == student != x}
        with_zeros = {x for x in same if len(x) in lengths}
        if student not in submitted and len(with_zeros) == 1:
            student = spelled = with_zeros.pop()
            restored.append(student)
        if student in students:
            raise UserError(f"{name} contains the ID {student} twice")
        place = f"{name}, line {number}: {ACCEPTED}"
        words = printable(" ".join(" ".join(row[title] for title in named).split()))
        students[student] = ListedStudent(
            spelled,
            words,
            is_accepted=_checked(row.get(ACCEPTED, ""), _is_yes, place),
            ids=by_column,
            number="".join(row.get(numbers, "").split()[-1:]),
            canvas={title: row[x] for x, title in canvas.items() if x in titles},
        )
    if are_mostly_unknown(submitted, students):
        unknown = sorted({*submitted} - {*students})
        ids = f"{len(unknown)} of {counted(len(submitted), 'submitted ID')}"
        by_name = "submissions are matched by the names of the folders"
        rule = by_name if named else "add a column with these IDs"
        unused.append(f"{_shown(filled)} lacks {ids}, such as {unknown[0]}: {rule}")
    if not (named or numbers in titles) and {*titles} - {*ID_COLUMNS, ACCEPTED}:
        unused.append(
            "names are not used: "
            "their columns must be titled First name and Last name, or name, "
            f"got {found}; without names, a classmate who submits a copy with the "
            "same ID can prevent both from being graded"
        )
    for title in titles:
        filled_in = {normalize(row[title]) for _, row in rows}
        if title != ACCEPTED and "yes" in filled_in <= {"yes", ""}:
            rule = f"to accept networks, use the title {ACCEPTED}"
            unused.append(f"the column {printable(title)} is not used: {rule}")
    if restored:
        ids = f"{counted(len(restored), 'ID')}, such as {restored[0]}"
        unused.append(
            f"restored the leading zeros of {ids}: in Excel, import this column as text"
        )
    if without_id:
        unused.append(f"ignored {counted(without_id, 'row')} {WITHOUT_ID}")
    return students, [f"{printable(path.name)}: {text}" for text in unused]


def _usual_lengths(ids: Iterable[str], submitted: Collection[str]) -> set[int]:
    """Return the possible lengths of an ID whose leading zeros the list has lost.

    These are the lengths of the other IDs in the list, and of most submitted IDs.
    """
    counts = Counter(map(len, submitted))
    most = max(1, len(submitted) / 2)
    return {*map(len, ids)} | {x for x, count in counts.items() if count > most}


def _checked(cell: str, read: Callable[[str], T], place: str) -> T:
    """Return the value in a cell, or raise a UserError that begins with the place."""
    try:
        return read(cell)
    except ValueError as error:
        got = f"got {printable(cell.strip())[:60]!r}"
        raise UserError(f"{place} {error}, {got}") from None


def _is_yes(cell: str) -> bool:
    if (text := normalize(cell)) not in ("", "yes"):
        raise ValueError("must be yes or empty")
    return text == "yes"


def _id_columns(
    titles: Sequence[str],
    rows: Sequence[tuple[int, Mapping[str, str]]],
    submitted: Collection[str],
) -> list[str]:
    """Return the columns with IDs, the one with most of the submitted IDs first.

    Without a column in `ID_COLUMNS`, this is the only column, if it contains more than
    half of the submitted IDs.
    """
    known = [title for title in ID_COLUMNS if title in titles]
    matches = {title: _matches(submitted, title, rows) for title in known or titles}
    columns = sorted(matches, key=lambda title: -matches[title])
    if known:
        return columns
    return [title for title in columns[:1] if 2 * matches[title] > len(submitted)]


def _in_english(
    titles: Sequence[str], rows: Sequence[tuple[int, Mapping[str, str]]]
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return a table with English titles, unless a title would then occur twice."""
    names = dict[str, str]()
    for title in titles:
        plain = normalize(title).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        english = TRANSLATED.get(plain, title)
        names[title] = title if english in (*titles, *names.values()) else english
    renamed = [
        (number, {names[title]: cell for title, cell in row.items()})
        for number, row in rows
    ]
    return [names[title] for title in titles], renamed


def are_mostly_unknown(submitted: Collection[str], listed: Collection[str]) -> bool:
    """Return whether the list and the submissions use different kinds of IDs."""
    return 2 * len({*submitted} - {*listed}) > len(submitted)


def _matches(
    submitted: Collection[str],
    title: str,
    rows: Sequence[tuple[int, Mapping[str, str]]],
) -> int:
    """Return how many of the submitted IDs a column contains."""
    return len({normalize(row[title]) for _, row in rows} & {*submitted})


def _shown(columns: list[str]) -> str:
    return f"the column {' or '.join(map(shown_title, columns))}"


def shown_title(title: str) -> str:
    """Return the title of a column with IDs, as it is shown."""
    return ID_COLUMNS.get(title, title)
