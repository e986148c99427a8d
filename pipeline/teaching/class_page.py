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

KINDS = ("full", "part", "none", "blank")  # CSS classes of answers
MAX_EXACT = 1e15  # larger numbers are shown with six digits


@dataclass(frozen=True)
class _Bar:
    """The students of a class with the same points for a question."""

    kind: str  # see `kind_of`
    points: float
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
    counts = Counter((kind_of(answer), answer.points) for answer in answers)
    bars = [_Bar(kind, points, count) for (kind, points), count in counts.items()]
    bars.sort(key=lambda bar: (KINDS.index(bar.kind), -bar.points))
    total = sum(answer.points for answer in answers)
    share = total / (question.points * max(1, len(answers)))
    return _QuestionResults(question, share, bars, grades.wrong(question.name))


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
