"""The page of a class for its instructor, and the page of feedback for a student.

Everything that strangers have written is escaped, and the pages run no scripts.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.teaching.class_grades import ClassGrades, Entry, WrongAnswer
from pipeline.teaching.grading import GradedAnswer, Training
from pipeline.teaching.question import Question
from pipeline.teaching.questions import QUESTIONS, questions_for
from pipeline.teaching.task import Topic

MAX_EXACT = 1e15  # larger numbers are shown with six digits


@dataclass(frozen=True)
class _Bar:
    """A part of a class in a bar."""

    kind: str  # a CSS class: full, part, none or blank
    label: str
    count: int


@dataclass(frozen=True)
class _QuestionResults:
    """How a class has answered a question."""

    question: Question
    share: float  # of the possible points, in [0, 1]
    bars: list[_Bar]
    wrong: list[WrongAnswer]


def render_class(grades: ClassGrades) -> str:
    """Return the page of a class: one HTML file without other files."""
    points = [entry.grade.points for entry in grades.graded if entry.grade]
    trainings = Counter(e.grade.training for e in grades.graded if e.grade)
    possible = sum(question.points for question in QUESTIONS)
    histogram = Counter(int(value) for value in points)
    return _render(
        "class.html",
        grades=grades,
        questions=QUESTIONS,
        results=[_results(question, grades) for question in QUESTIONS],
        possible=possible,
        mean=sum(points) / len(points) if points else None,
        histogram=[histogram[value] for value in range(int(possible) + 1)],
        trainings=[(kind.value, trainings[kind]) for kind in Training],
    )


def render_feedback(entry: Entry, topic: Topic, *, solutions: bool) -> str:
    """Return the page for a student; without `solutions`, it has no correct answer."""
    graded = entry.grade.answers if entry.grade else ()
    answers = {answer.question: answer for answer in graded}
    given = entry.submission.answers
    return _render(
        "feedback.html",
        entry=entry,
        topic=topic,
        solutions=solutions,
        malformed=given.problems if given else {},
        answered=[
            (question, answers[question.name])
            for question in questions_for(topic.variant)
            if question.name in answers
        ],
    )


def _results(question: Question, grades: ClassGrades) -> _QuestionResults:
    answers = [answer for _, answer in grades.answers(question.name)]
    counts = Counter(map(_bar, answers))
    bars = [_Bar(*each, count) for each, count in sorted(counts.items(), key=_order)]
    total = sum(answer.points for answer in answers)
    share = total / (question.points * max(1, len(answers)))
    return _QuestionResults(question, share, bars, grades.wrong(question.name))


def _bar(answer: GradedAnswer) -> tuple[str, str]:
    """Return the kind and the label of the bar to which an answer belongs."""
    return kind_of(answer), "no answer" if answer.answer is None else number(answer.points)


def _order(bar: tuple[tuple[str, str], int]) -> tuple[int, float]:
    """Sort by points, the missing answers last."""
    (kind, label), _ = bar
    return ("full", "part", "none", "blank").index(kind), -float(
        "0" if kind == "blank" else label
    )


def kind_of(answer: GradedAnswer) -> str:
    """Return the CSS class of an answer: full, part or no points, or no answer."""
    if answer.answer is None:
        return "blank"
    if not answer.points:
        return "none"
    return "full" if answer.points == answer.possible else "part"


def number(value: float) -> str:
    """Return a number of unknown size as text, such as 15,910 or 0.123457."""
    if value == round(value) and abs(value) < MAX_EXACT:
        return f"{value:,.0f}"
    return f"{value:.6g}"


def _render(template: str, **values: Any) -> str:  # noqa: ANN401
    environment = Environment(
        loader=PackageLoader("pipeline", "teaching"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "kind": kind_of}
    return environment.get_template(template).render(**values)
