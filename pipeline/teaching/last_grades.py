"""The grades.csv of the previous command with the same course code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import UserError
from pipeline.base.csv_files import read_csv
from pipeline.records.student_ids import normalize


@dataclass(frozen=True)
class LastGrades:
    """The points of a class after the previous command."""

    points: Mapping[str, float] = field(default_factory=dict)  # by normalized ID
    titles: Sequence[str] = ()  # the titles of the columns, in lower case

    def has_columns(self, columns: Sequence[str]) -> bool:
        """Return whether the previous command graded the same questions."""
        return [*self.titles] == [title.lower() for title in columns]


def read_last_grades(path: Path) -> LastGrades:
    """Read a grades.csv; without a file that `grade` has written, nothing is known."""
    try:
        titles, rows = read_csv(path)
        points = {
            normalize(row["id"]): float(row["points"])
            for _, row in rows
            if row["points"]
        }
    except (UserError, KeyError, ValueError):  # possibly edited in a spreadsheet
        return LastGrades()
    return LastGrades(points, titles)
