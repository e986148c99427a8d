"""Writes homework questions for a student.

The student's ID and a course code that the instructor chooses determine the seed of the
network, the test image, the neurons and the numbers in the questions. Trains the
network (about 10 s; nothing is recorded) and writes questions.md, answers.json and
model.safetensors to outputs/homework/<course>/<id>/. The student types the answers into
answers.json and submits the folder as homework.zip. If you run the command again, it
keeps the answers.
check=true lists the answers that are missing, malformed, 0, or possibly rounded too
much, and says whether the network can be graded and was trained with the assigned
settings. It does not say whether the answers are correct.
"""

import os
from typing import TYPE_CHECKING, Unpack

from pipeline.base.progress import busy
from pipeline.base.terminal import output
from pipeline.cli import (
    Command,
    HomeworkConfig,
    HomeworkKeywords,
    documented,
    from_python,
    main,
)

if TYPE_CHECKING:
    from pipeline.teaching.homework import Homework


@documented(HomeworkConfig, HomeworkKeywords)
def homework(
    *,
    folder: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Unpack[HomeworkKeywords],
) -> "Homework":
    """Write homework for a student, like `python -m pipeline.homework`.

    Args:
        folder: Where to write the files; by default,
            outputs/homework/<course>/<id>/. It must be new or empty.
        quiet: If True, nothing is printed.
        settings: Keyword arguments, such as student="ana.ruiz"; they are listed below.

    Returns:
        The folder of the files, and the state of the answers.

    Raises:
        ConfigError: If settings are invalid; the message has one line per problem.
        UserError, OSError: If a file or the data set cannot be used.
        FloatingPointError: If the loss or a weight becomes non-finite.
    """
    with output(quiet=quiet):
        return run_homework(from_python(HomeworkConfig, settings, folder))


def run_homework(command: Command[HomeworkConfig]) -> "Homework":
    """Train the network of the student, and write the questions."""
    with busy("loading PyTorch"):
        from pipeline.teaching.homework import homework
    return homework(command.config, command.folder)


if __name__ == "__main__":
    main(run_homework, HomeworkConfig)
