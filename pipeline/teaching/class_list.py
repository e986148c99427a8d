"""The list of all students of a class: a CSV file."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline import UserError
from pipeline.base.student_ids import normalize, student_id
from pipeline.base.tables import read_csv
from pipeline.base.terminal import counted
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


def read_students(path: Path) -> tuple[dict[str, ListedStudent], list[str]]:
    """Return the students in a CSV file by id, and what is not used, in words.

    Lines without an id, such as those of teachers in Moodle's list, are left out.

    Raises:
        UserError: If it cannot be read, has no title in `ID_COLUMNS`, or contains an
            invalid or a repeated id, or none.
    """
    name = printable(path)
    titles, rows = read_csv(path)
    found = repr(printable(", ".join(titles))[:80])
    column = next((x for x in ID_COLUMNS if x in titles), None)
    if column is None:
        # Without a title, the first line could be a student.
        raise UserError(
            f"{name} must begin with a row of column titles, and the column with the "
            f"ids must have the title id, ID number, username or Email address, got "
            f"{found}"
        )
    named = next((x for x in NAME_COLUMNS if {*x} <= {*titles}), ())
    students, without_id = dict[str, ListedStudent](), 0
    for number, row in rows:
        spelled = row[column].strip()
        if not spelled:
            without_id += 1
            continue
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
    unused = list[str]()
    if not named and {*titles} - {*ID_COLUMNS}:
        rule = "their titles must be First name and Last name, or name"
        unused.append(f"no names are used: {rule}, got {found}")
    if without_id:
        unused.append(f"{counted(without_id, 'line')} without an id left out")
    return students, [f"{printable(path.name)}: {line}" for line in unused]
