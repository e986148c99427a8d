"""Grades the homework of a class.

Reads a folder with the submissions: for each student, a folder or a zip file with the
files that python -m pipeline.homework wrote. Do not rename or rearrange the folders
that your learning platform exports. No submitted file is executed. The correct answers
are computed from each submitted network. To find out whether a student submitted the
assigned network, the command trains that network once.

Writes grades.csv, class.html and a page of feedback for each student to
outputs/grades/<course>/, and canvas.csv if the list of students is from Canvas. Takes
3 to 5 s for each student on one core. After an interruption, run the same command again
to continue. Unchanged submissions are graded again only with again=true, or after a
question was added, removed or renamed.
"""

import os
from typing import TYPE_CHECKING, Unpack

from pipeline.base.progress import busy
from pipeline.base.terminal import output
from pipeline.cli import (
    Command,
    GradeConfig,
    GradeKeywords,
    documented,
    from_python,
    main,
)

if TYPE_CHECKING:
    from pipeline.teaching.class_grades import ClassGrades


@documented(GradeConfig, GradeKeywords)
def grade(
    *,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[GradeKeywords],
) -> "ClassGrades":
    """Grade the homework of a class, like `python -m pipeline.grade`.

    Args:
        folder: Where to write the files; by default, outputs/grades/<course>/. It must
            be new or empty.
        quiet: If True, nothing is printed.
        settings: Keyword arguments, such as submissions="downloads/homework"; they are
            listed below.

    Returns:
        The grade of each submission, and the folder of the files.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If a file or the data set cannot be used.
    """
    with output(quiet=quiet):
        return run_grade(from_python(GradeConfig, settings, folder))


def run_grade(command: Command[GradeConfig]) -> "ClassGrades":
    """Read the submissions, train the assigned networks, grade and write the pages."""
    with busy("loading PyTorch"):
        from pipeline.teaching.grade import grade
    return grade(command.config, command.folder)


if __name__ == "__main__":
    main(run_grade, GradeConfig)
