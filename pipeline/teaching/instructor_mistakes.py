"""Detects an instructor's mistakes in the course code, settings and PyTorch version."""

from collections import Counter
from collections.abc import Sequence

from pipeline import UserError
from pipeline.base.text import counted
from pipeline.teaching.assignment import Assignment, pytorch
from pipeline.teaching.submissions import Rejected, Submission


def check_course(entries: Sequence[Submission | Rejected]) -> None:
    """Raise a UserError if most answers are for other courses."""
    rejected = [entry for entry in entries if isinstance(entry, Rejected)]
    others = [entry.problem for entry in rejected if entry.other_course]
    known = sum(bool(entry.student) for entry in entries)
    if 2 * len(others) > known:
        number = f"{len(others)} of {counted(known, 'submission')} with an ID"
        ((problem, _),) = Counter(others).most_common(1)
        raise UserError(f"{number} cannot be graded: {problem}")


def other_settings_notice(assignment: Assignment, entries: Sequence[Submission]) -> str:
    """Return a message if most networks were trained with other settings.

    Otherwise, return "".
    """
    found = Counter(assignment.other_settings(x.student, x.recorded) for x in entries)
    for text, count in found.most_common(1):
        # Each student has a different seed.
        if text and "seed" not in text and 2 * count > len(entries):
            return (
                f"{text} was used for {count} of {counted(len(entries), 'network')}: "
                f"if you assigned this, grade with {text}"
            )
    return ""


def other_pytorch_notice(entries: Sequence[Submission]) -> list[str]:
    """Return a message if most networks record a PyTorch that is not installed here."""
    found = Counter(entry.other_torch for entry in entries)
    total = counted(len(entries), "network")
    return [
        f"PyTorch {version} was used for {count} of {total}, "
        f"but {pytorch()} is installed here: if your course uses {version}, install it "
        "before you grade, because a different version can produce different weights"
        for version, count in found.most_common(1)
        if version and 2 * count > len(entries)
    ]
