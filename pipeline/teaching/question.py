"""The type of a question, which grades an answer."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from pipeline import UserError
from pipeline.base.text import counted
from pipeline.core import PIXELS
from pipeline.teaching.answer_inputs import AnswerInputs, QuestionValues

# The results of float32, in which a student may compute, have this relative error. The
# terms of a sum near 0 can be about 1, so it is also the absolute error of such a sum.
ROUNDING = 1e-5
# The maximum relative error of an answer. Without this limit, 0 would be accepted for
# every question whose correct answer is near 0.
RELATIVE = 0.01
# With this many decimal places, the rounding error never exceeds a tolerance, which is
# at least ROUNDING.
MAX_DECIMALS = 5
# The hints for correct answers that are rounded too much, by their decimal places.
ROUNDED = tuple(
    f"This is rounded to {places}, which is not accurate enough. {MAX_DECIMALS} "
    "decimal places are enough for every question."
    for places in (
        "a whole number",
        *(counted(places, "decimal place") for places in range(1, MAX_DECIMALS)),
    )
)
VOID = "This question is void: you get the points for any answer."
# The share of the points for an answer with a mistake that can change many answers.
PARTIAL = 0.5
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
    """A typical wrong answer, and the mistake that leads to this answer."""

    value: Value
    hint: str  # without numbers of a variant, so that a class can be compared
    points: float = 0.0


@dataclass(frozen=True)
class Solution:
    """The correct answers to a question of a student, and typical mistakes."""

    correct: list[float]  # several answers can be equally correct
    mistakes: list[Mistake]  # only those whose value is wrong for this network


@dataclass(frozen=True)
class GradedAnswer:
    """The answer of a student to a question."""

    question: str  # the name of the question
    answer: float | None  # None if the answer is missing or malformed
    points: float
    possible: float  # the points of a correct answer
    hint: str | None  # about the mistake; None if no typical mistake is recognized
    correct: float
    needs_network: bool  # whether the correct answer depends on the weights
    denied: bool = False  # no points, because the network is not the assigned one

    @property
    def kind(self) -> str:
        """Full points, partial points, no points, or a missing answer."""
        if self.points:  # also without an answer, if the question is void
            return "full" if self.points == self.possible else "part"
        return "blank" if self.answer is None else "none"


@dataclass(frozen=True)
class Form:
    """The numbers that can be an answer to a question."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    def check(self, answer: float) -> None:
        """Raise a ValueError if a number cannot be an answer."""
        if self.low <= answer <= self.high and (answer.is_integer() or not self.whole):
            return
        limits = f"from {self.low:g} to {self.high:g}"
        if self.high == math.inf:
            limits = f"of at least {self.low:g}"
        kind = "whole number" if self.whole else "number"
        raise ValueError(f"must be a {kind} {limits}, got {answer:.12g}")


NUMBER = Form()
WHOLE = Form(low=0.0, whole=True)  # a count, such as the number of images or bytes
PIXEL = Form(low=0.0, high=PIXELS - 1.0, whole=True)  # the index of a pixel


class Question(ABC):
    """A question whose answer is a number; subclasses have no state.

    Attributes:
        name: The key in answers.json, and the column in grades.csv.
        group: One of `GROUPS`.
        points: The points for a correct answer.
        form: The numbers that can be an answer for any network.
        tolerance: The maximum absolute error of an answer. Unless the answer is a whole
            number, its relative error must also be at most `RELATIVE`.
        is_void: Whether all students get the points, because the question is faulty.
            If it needs the network, the network must be accepted.
        template: The text in Markdown; `{v.image}` is `QuestionValues.image`.
    """

    name: ClassVar[str]
    group: ClassVar[str]
    points: ClassVar[float] = 1.0
    form: ClassVar[Form] = NUMBER
    tolerance: ClassVar[float] = 0.0
    is_void: ClassVar[bool] = False
    template: ClassVar[str]

    def text(self, values: QuestionValues) -> str:
        """Return the question of a student in Markdown."""
        return " ".join(self.template.format(v=values).split())

    @property
    def exactness(self) -> str:
        """How accurate an answer must be, in words."""
        if not self.tolerance:
            return "exact"
        relative = "" if self.form.whole else f" and {RELATIVE:.0%}"
        return f"within {self.tolerance:g}{relative}"

    def decimals(self, answer: float) -> int:
        """Return the number of decimal places that an answer needs.

        With this number of decimal places, the rounding error is within the tolerance.
        The number depends only on the size of the answer. The result is 0 for the
        answer 0 and for the smallest and the largest possible answer, which can be
        exact.
        """
        exact = (0.0, self.form.low, self.form.high)
        if self.form.whole or not self.tolerance or answer in exact:
            return 0
        return max(0, math.ceil(-math.log10(2 * self._tolerance(answer))))

    def is_coarse(self, answer: float) -> bool:
        """Return whether an answer has too few decimal places, or ends with a 0."""
        needed = self.decimals(answer)
        return needed > 0 and round(answer, needed - 1) == answer

    @property
    def needs_network(self) -> bool:
        """Whether the correct answer depends on the weights of the network."""
        return self.group != GROUPS[0]

    @property
    def is_count(self) -> bool:
        """Whether the answer is a count, which another count can match by chance."""
        return self.form.whole and self.tolerance > 0

    @abstractmethod
    def _answers(self, inputs: AnswerInputs) -> list[Correct | Mistake]:
        """Return all correct answers and the typical mistakes.

        The result of a mistake can be correct by chance. `solution` adds the wrong
        answers that result from the mistakes in `AnswerInputs.mistaken`.
        """

    def correct(self, inputs: AnswerInputs) -> list[float]:
        """Return the correct answer, or all equally correct answers.

        Raises:
            UserError: If a correct answer is not a finite number.
            RuntimeError: If the question raises an error.
        """
        try:
            known = self._answers(inputs)
        except Exception as error:  # the message then identifies the question
            problem = f"{type(error).__name__}: {error}"
            raise RuntimeError(
                f"the question {self.name} cannot be graded: {problem}: "
                "correct the question"
            ) from error
        found = [float(each.value) for each in known if isinstance(each, Correct)]
        if not all(map(math.isfinite, found)):
            raise UserError(
                f"the correct answer to the question {self.name} is {found[0]} instead "
                "of a finite number: correct the question"
            )
        return found

    def solution(self, inputs: AnswerInputs) -> Solution:
        """Return the correct answers, and the mistakes whose value is wrong."""
        correct, known = self.correct(inputs), self._answers(inputs)
        for hint, changed in inputs.mistaken.items():
            value = self.correct(changed)[0]
            known.append(Mistake(value, hint, self._partial(value)))
        for decimals, hint in enumerate(ROUNDED if self.tolerance else ()):
            value = round(correct[0], decimals)
            points = 0.0 if is_guess(value) else self._partial(value)
            known.append(Mistake(value, hint, points))
        mistakes = [
            replace(each, value=float(each.value))
            for each in known
            if isinstance(each, Mistake) and not self.is_one_of(each.value, correct)
        ]
        return Solution(correct, mistakes)

    def mistakes(self, answer: float, inputs: AnswerInputs) -> list[Mistake]:
        """Return the typical mistakes that lead to a wrong answer."""
        found = self.solution(inputs).mistakes
        return [each for each in found if self.is_one_of(answer, [each.value])]

    def rounded_mistakes(
        self, answer: float, inputs: AnswerInputs
    ) -> list[tuple[str, str]]:
        """Return the hints of mistakes whose value, rounded too much, is this answer.

        Each pair is the hint of a mistake in `AnswerInputs.mistaken` and one of
        `ROUNDED`. The list is empty for whole numbers, and for the smallest and largest
        answer.
        """
        if self.form.whole or not (self.tolerance and self._partial(answer)):
            return []
        return [
            (mistake, rounded)
            for mistake, changed in inputs.mistaken.items()
            for decimals, rounded in enumerate(ROUNDED)
            if abs(round(self.correct(changed)[0], decimals) - answer) <= ROUNDING
        ]

    def grade(self, answer: float | None, inputs: AnswerInputs) -> GradedAnswer:
        """Grade an answer: a finite number, or None if it is missing or malformed.

        `grade_answers` gives the points of a void question. It also adds the hint of a
        mistake in `AnswerInputs.mistaken` to a count, if another answer supports it.
        """
        correct, points, hint = self.correct(inputs), 0.0, None
        if answer is not None and self.is_one_of(answer, correct):
            points = self.points
        elif answer is not None:
            unsupported = inputs.mistaken if self.is_count else ()
            found = self.mistakes(answer, inputs)
            for mistake in [x for x in found if x.hint not in unsupported][:1]:
                points, hint = mistake.points, mistake.hint
        return GradedAnswer(
            self.name,
            answer,
            points,
            self.points,
            hint,
            correct[0],
            self.needs_network,
        )

    def _partial(self, value: float) -> float:
        """Return the points for a mistake that leads to this value."""
        # Guesses and many mistakes lead to 0, or to the smallest or largest answer.
        extremes = 0.0, self.form.low, self.form.high
        is_extreme = any(abs(value - each) <= self.tolerance for each in extremes)
        can_be_chance = self.is_count or is_extreme
        return 0.0 if can_be_chance else PARTIAL * self.points

    def is_one_of(self, answer: Value, values: Sequence[Value]) -> bool:
        """Return whether an answer is one of these values, within the tolerance."""
        return any(
            abs(answer - exact) <= self._tolerance(exact)
            for exact in map(float, values)
        )

    def _tolerance(self, exact: float) -> float:
        if self.form.whole or not self.tolerance:
            return self.tolerance
        size = abs(exact)
        return min(self.tolerance, RELATIVE * size) + ROUNDING * max(1.0, size)


def is_guess(value: float) -> bool:
    """Return whether a value has one significant digit, so that it can be a guess."""
    return value == float(f"{value:.0e}")
