"""The variant of a student: what is derived from the id and the name of the course.

Two students get different seeds, images, neurons and weights. Nothing depends on a
trained network, so a variant is the same on every computer.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

MAX_ID = 64  # characters
# Letters, digits and a few signs: an id names files, and stands in tables and pages.
ID = re.compile(rf"^\w[\w.@+-]{{0,{MAX_ID - 1}}}\Z")
MAX_SEED = 2**31  # short enough to be typed


def normalize(text: str) -> str:
    """Return a text in the form in which ids and courses are compared.

    Args:
        text: As it was typed, such as " Zoë ".

    Returns:
        Lower case, without spaces around it, in Unicode's normal form C.
    """
    folded = unicodedata.normalize("NFC", text).strip().casefold()
    return unicodedata.normalize("NFC", folded)


def student_id(text: str) -> str:
    """Return a normalized id.

    Raises:
        ValueError: If it has characters that a file name or a table should not have.
    """
    if not ID.match(name := normalize(text)):
        raise ValueError(
            f"must be 1 to {MAX_ID} letters, digits and . @ + - _, and begin with a "
            "letter or a digit"
        )
    return name


@dataclass(frozen=True)
class Variant:
    """What one student of a course gets."""

    student: str  # normalized
    course: str  # normalized

    @classmethod
    def of(cls, student: str, course: str) -> "Variant":
        """Return the variant of an id and a course, as they were typed.

        Raises:
            ValueError: If the id is invalid; see `student_id`.
        """
        return cls(student_id(student), normalize(course))

    def pick(self, purpose: str, count: int) -> int:
        """Return a number from 0 to count - 1 that depends on the purpose.

        Each purpose is drawn separately, so a new question changes no other one. With
        256 bits, the numbers are equally frequent for all practical purposes.
        """
        text = "\0".join([self.course, self.student, purpose])
        return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % count

    @property
    def seed(self) -> int:
        """The seed of the training run."""
        return self.pick("seed", MAX_SEED)
