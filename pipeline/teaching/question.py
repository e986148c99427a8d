"""The type of a question, which grades an answer."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from pipeline.core import PIXELS
from pipeline.teaching.basis import Basis, Topic

# The results of float32, in which a student may compute, have this relative error.
ROUNDING = 1e-5
GROUPS: Final = (
    "The size of a network",
    "The equation of one neuron",
    "From logits to a prediction",
    "The effect of changes",
)
Value = float | int | np.integer


@dataclass(frozen=True)
class Correct:
    """A correct answer."""

    value: Value


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer, and what suggests it."""

    value: Value
    hint: str  # without numbers of a variant, so that a class can be compared
    points: float = 0.0


@dataclass(frozen=True)
class Solution:
    """What is known about the answer to a question of a student."""

    correct: list[float]  # one, or all that are equally correct
    mistakes: list[Mistake]  # those that are wrong for this network


@dataclass(frozen=True)
class GradedAnswer:
    """The answer of a student to a question."""

    question: str  # its name
    answer: float | None  # None if it is missing or malformed
    points: float
    possible: float  # the points of a correct answer
    hint: str | None  # what the mistake is; None if it is not a typical one
    correct: float

    @property
    def kind(self) -> str:
        """Whether it has all points, a part of them or none, or is missing."""
        if self.answer is None:
            return "blank"
        if not self.points:
            return "none"
        return "full" if self.points == self.possible else "part"


@dataclass(frozen=True)
class Form:
    """Which numbers can answer a question."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    def check(self, answer: float) -> None:
        """Raise a ValueError if a number cannot be an answer."""
        if self.low <= answer <= self.high and (answer.is_integer() or not self.whole):
            return
        limits = f"from {self.low:g} to {self.high:g}"
        limits = "of at least 0" if self.high == math.inf else limits
        kind = "whole number" if self.whole else "number"
        raise ValueError(f"must be a {kind} {limits}, got {answer:.12g}")


NUMBER = Form()
WHOLE = Form(low=0.0, whole=True)  # a count, such as one of images or bytes
PIXEL = Form(low=0.0, high=PIXELS - 1.0, whole=True)  # the index of a pixel


class Question(ABC):
    """A question whose answer is a number; a subclass of it has no state.

    Attributes:
        name: The key in answers.json, and the column in grades.csv.
        group: One of `GROUPS`.
        points: The points for a correct answer.
        form: Which numbers can be an answer, whatever the network is.
        tolerance: How far a correct answer may be from the exact one.
        template: The text in Markdown; `{t.image}` is the attribute of the `Topic`.
    """

    name: ClassVar[str]
    group: ClassVar[str]
    points: ClassVar[float] = 1.0
    form: ClassVar[Form] = NUMBER
    tolerance: ClassVar[float] = 0.0
    template: ClassVar[str]

    def text(self, topic: Topic) -> str:
        """Return the question of a student in Markdown."""
        return " ".join(self.template.format(t=topic).split())

    @property
    def exactness(self) -> str:
        """How exact an answer must be, in words."""
        return f"within {self.tolerance:g}" if self.tolerance else "exact"

    @abstractmethod
    def _answers(self, basis: Basis) -> list[Correct | Mistake]:
        """Return all correct answers, and mistakes, which can be correct by chance."""

    def solution(self, basis: Basis) -> Solution:
        """Return the correct answers, and the mistakes that are wrong."""
        known = self._answers(basis)
        correct = [float(each.value) for each in known if isinstance(each, Correct)]
        if self.tolerance:
            hint = f"This is rounded too much: it must be {self.exactness}."
            known += [Mistake(round(correct[0], n), hint) for n in range(4)]
        mistakes = [
            replace(each, value=float(each.value))
            for each in known
            if isinstance(each, Mistake) and not self._is_one_of(each.value, correct)
        ]
        return Solution(correct, mistakes)

    def grade(self, answer: float | None, basis: Basis) -> GradedAnswer:
        """Grade an answer, any finite number; None if it is missing or malformed."""
        solution, points, hint = self.solution(basis), 0.0, None
        if answer is not None and self._is_one_of(answer, solution.correct):
            points = self.points
        elif answer is not None:
            for mistake in solution.mistakes:
                if self._is_one_of(answer, [mistake.value]):
                    points, hint = mistake.points, mistake.hint
                    break
        correct = solution.correct[0]
        return GradedAnswer(self.name, answer, points, self.points, hint, correct)

    def _is_one_of(self, answer: Value, values: Sequence[Value]) -> bool:
        rounding = ROUNDING if self.tolerance else 0.0
        return any(
            abs(answer - exact) <= self.tolerance + rounding * abs(exact)
            for exact in map(float, values)
        )
