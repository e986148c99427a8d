"""The variant of a student: what is derived from the ID and the course code.

Two students get different seeds, images, neurons and weights. Nothing depends on a
trained network, so a variant is the same on every computer.
"""

import hashlib
from dataclasses import dataclass

from pipeline.records.student_ids import normalize, student_id

MAX_SEED = 2**31  # short enough to be typed


@dataclass(frozen=True)
class Variant:
    """The variant of one student of a course."""

    student: str  # normalized
    course: str  # normalized

    @classmethod
    def of(cls, student: str, course: str) -> "Variant":
        """Return the variant of an ID and a course, as they were typed.

        Raises:
            ValueError: If the ID is invalid; see `student_id`.
        """
        return cls(student_id(student), normalize(course))

    def pick(self, purpose: str, count: int) -> int:
        """Return a number from 0 to count - 1 that depends on the purpose.

        The number for each purpose is drawn separately, so a new question does not
        change the numbers of other questions. With 256 bits, the numbers are equally
        frequent for all practical purposes.
        """
        text = "\0".join([self.course, self.student, purpose])
        return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % count

    @property
    def seed(self) -> int:
        """The seed of the training run."""
        return self.pick("seed", MAX_SEED)
