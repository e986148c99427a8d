"""The answers to the questions in `pipeline/exercise.ipynb`.

A first wrong answer gets a hint; the texts are in `notebook.toml`. For homework, the
answers are recorded, but not checked.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from pipeline import ConfigError
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.teaching.variant import Variant

TEXTS = Path(__file__).with_suffix(".toml")
SHOW = "show"  # typed as an answer to see the correct answer
ATTEMPTS = 2  # wrong answers until the correct one is shown
Answer = float | int | str


@dataclass(frozen=True)
class NotebookQuestion:
    """The texts of a question, and how an answer to it is checked."""

    explanation: str  # the notebook computes the values in {}
    hint: str
    wrong: Mapping[str, str] = field(default_factory=dict)  # hints; see notebook.toml
    within: int = 0
    unit: str = ""
    form: str = "one number without commas, such as 15680"
    pattern: str | None = None  # a regular expression for text

    def read(self, answer: object) -> Answer:
        """Return an answer as it is compared and recorded.

        Raises:
            ValueError: If the answer does not have the form that the question asks for.
        """
        if self.pattern:
            if isinstance(answer, str):
                text = answer.strip()
                if re.fullmatch(self.pattern, text, re.IGNORECASE):
                    return text
        elif isinstance(answer, Real) and not isinstance(answer, bool):
            with suppress(OverflowError):  # larger than all floating-point numbers
                number = int(answer) if isinstance(answer, Integral) else float(answer)
                if math.isfinite(number):
                    return number
        raise ValueError(f"the answer must be {self.form}")

    def is_right(self, answer: Answer, correct: Answer) -> bool:
        """Return whether an answer is the correct one, or close enough."""
        if isinstance(answer, str):
            return answer.casefold() == str(correct).casefold()
        return abs(answer - float(correct)) <= self.within

    def hint_for(
        self, answer: Answer, correct: Answer, values: Mapping[str, Any]
    ) -> str:
        """Return the hint that fits a wrong answer.

        Args:
            answer: The wrong answer.
            correct: The correct answer.
            values: Results of the notebook: the values that keys of `wrong` name.
        """
        for key, hint in self.wrong.items():
            if key in ("<", ">"):
                fits = (answer < correct) == (key == "<")  # type: ignore[operator]
            elif ".." in key:
                low, high = map(float, key.split(".."))
                fits = low <= float(answer) <= high
            else:
                fits = self.is_right(answer, values.get(key, key))
            if fits:
                return hint
        return self.hint


class Checker:
    """Compares answers with the correct answers, or records a student's answers."""

    def __init__(self, student: str = "", course: str = "") -> None:
        """Choose the mode: homework if there are an ID and a course code.

        Raises:
            ConfigError: If only the ID or only the code is set, or the ID is invalid.
        """
        self.variant = _variant(student, course)  # None without homework
        self.recorded: dict[str, Answer] = {}  # in homework, by name of the question
        self._questions = read_questions()
        self._wrong: dict[str, set[Answer]] = {}  # different wrong answers
        self._told: set[str] = set()  # questions whose correct answer was printed

    def __call__(
        self,
        name: str,
        answer: object,
        correct: Answer,
        **values: Any,  # noqa: ANN401
    ) -> None:
        """Print whether an answer is correct, or a hint; in homework, record answers.

        Args:
            name: The name of the question.
            answer: The answer; None for no answer, "show" to show the correct answer.
            correct: The correct answer.
            values: The values of the explanation, and of typical wrong answers.
        """
        question = self._questions[name]
        if self.variant:
            reply = self._record(name, question, answer)
        else:
            reply = self._check(name, question, answer, correct, values)
        say(wrap(reply, indent=0))

    def may_show(self, name: str) -> bool:
        """Return whether cells may show the answer to a question; if not, print why.

        Cells may show the answer after this object has shown the answer. In homework,
        cells may never show it.
        """
        if self.variant:
            say("Homework does not show this result.")
        elif name not in self._told:
            say("Answer the question above first. Then run this cell again.")
        return name in self._told

    def _record(self, name: str, question: NotebookQuestion, answer: object) -> str:
        if answer is None:
            return "No answer yet."
        try:
            self.recorded[name] = question.read(answer)
        except ValueError as error:
            kept = " Your earlier answer is kept." if name in self.recorded else ""
            return f"Malformed: {error}.{kept}"
        return "Your answer was recorded."

    def _check(
        self,
        name: str,
        question: NotebookQuestion,
        answer: object,
        correct: Answer,
        values: Mapping[str, Any],
    ) -> str:
        explained = question.explanation.format(**values)
        solution = f"the answer is {_readable(correct)}{question.unit}. {explained}"
        if answer is None:
            return "Replace None with your answer, and run this cell again."
        if isinstance(answer, str) and answer.strip().casefold() == SHOW:
            self._told.add(name)
            return _sentence(solution)
        try:
            read = question.read(answer)
        except ValueError as error:
            return _sentence(f"{error}.")
        if question.is_right(read, correct):
            self._told.add(name)
            return f"Yes, {solution}"
        wrong = self._wrong.setdefault(name, set())
        wrong.add(read)
        if len(wrong) >= ATTEMPTS:
            self._told.add(name)
        if name in self._told:
            return f"No, {solution}"
        return f"Not correct. {question.hint_for(read, correct, values)}"


def read_questions() -> dict[str, NotebookQuestion]:
    """Return the questions by name, in the order of the notebook."""
    with TEXTS.open("rb") as stream:
        stored = tomllib.load(stream)
    return {name: NotebookQuestion(**texts) for name, texts in stored.items()}


def _variant(student: str, course: str) -> Variant | None:
    if bool(student) != bool(course):
        missing = "COURSE" if student else "STUDENT"
        raise ConfigError(f"{missing} is empty: homework needs STUDENT and COURSE")
    if not student:
        return None
    try:
        return Variant.of(student, course)
    except ValueError as error:
        raise ConfigError(f"STUDENT {error}, got {student!r}") from None


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _readable(answer: Answer) -> str:
    return answer if isinstance(answer, str) else f"{answer:,}"
