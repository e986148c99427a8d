"""The list of all students of a class: a CSV file."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline import UserError
from pipeline.base.student_ids import normalize, student_id
from pipeline.base.tables import read_csv
from pipeline.base.text import printable

# Titles of columns with ids, without spaces; the first is used.
ID_COLUMNS = ("id", "idnumber", "username", "email", "emailaddress")
# Titles of the columns that together contain a name; the first are used.
NAME_COLUMNS = (("firstname", "lastname"), ("fullname",), ("name",))


@dataclass(frozen=True)
class ListedStudent:
    """A student in the list."""

    spelled: str  # the id as it is in the list
    words: list[str]  # of the name; none if the list has no names


def name_words(name: str) -> list[str]:
    """Return the words of a name, sorted, because the last name can be the first word.

    Moodle leaves out some characters, such as the apostrophe, and replaces `_`.
    """
    return sorted(re.sub(r"[^\w\s]", "", normalize(name)).replace("_", " ").split())


def read_students(path: Path) -> dict[str, ListedStudent]:
    """Return the students in a CSV file by id; a title in `ID_COLUMNS` is required.

    Without such a title, it would be unclear whether the first line is a student.

    Raises:
        UserError: If it cannot be read, has no such column, or contains an invalid or a
            repeated id.
    """
    name = printable(path)
    titles, rows = read_csv(path)
    column = next((x for x in ID_COLUMNS if x in titles), None)
    if column is None:
        raise UserError(
            f"{name} must begin with a row of column titles: use the title id for the "
            f"column with the ids, got {printable(', '.join(titles))[:80]!r}"
        )
    named = next((x for x in NAME_COLUMNS if {*x} <= {*titles}), ())
    students = dict[str, ListedStudent]()
    for number, row in rows:
        spelled = row[column].strip()
        try:
            student = student_id(spelled)
        except ValueError as error:
            problem = f"line {number}: id {error}, got {printable(spelled)[:60]!r}"
            raise UserError(f"{name}, {problem}") from None
        if student in students:
            raise UserError(f"{name} contains the id {student} twice")
        words = name_words(" ".join(row[title] for title in named))
        students[student] = ListedStudent(spelled, words)
    if not students:
        raise UserError(f"{name} contains no ids")
    return students
