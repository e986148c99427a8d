"""The page of a class for its instructor, and the page of feedback for a student.

All untrusted text is escaped, and the pages run no scripts.
"""

from collections import Counter
from typing import Any

from pipeline.teaching.basis import Topic
from pipeline.teaching.class_grades import ClassGrades
from pipeline.teaching.grading import Training
from pipeline.teaching.question import Question
from pipeline.teaching.questions import QUESTIONS, questions_for
from pipeline.teaching.submissions import Graded, GradedOrRejected
from pipeline.teaching.templates import fill_template

KINDS = ("full", "part", "none", "blank")  # in the order of their bars


def render_class(grades: ClassGrades) -> str:
    """Return the page of a class with a graded submission, as one HTML file."""
    points = [entry.grade.points for entry in grades.graded]
    possible = sum(question.points for question in QUESTIONS)
    histogram = Counter(int(value) for value in points)
    return fill_template(
        "class.html",
        grades=grades,
        questions=QUESTIONS,
        results=[_results(question, grades) for question in QUESTIONS],
        possible=possible,
        processor=Training.PROCESSOR.value,
        mean=sum(points) / len(points),
        histogram=[histogram[value] for value in range(int(possible) + 1)],
    )


def _results(question: Question, grades: ClassGrades) -> dict[str, Any]:
    """Return how a class has answered a question."""
    answers = [answer for _, answer in grades.answers(question.name)]
    bars = Counter((answer.kind, answer.points) for answer in answers)
    total = sum(answer.points for answer in answers)
    return {
        "question": question,
        "share": total / (question.points * len(answers)),
        "bars": sorted(bars.items(), key=lambda x: (KINDS.index(x[0][0]), -x[0][1])),
        "wrong": grades.wrong(question.name),
    }


def render_feedback(entry: GradedOrRejected, topic: Topic, *, solutions: bool) -> str:
    """Return the page for a student; without `solutions`, it has no correct answer."""
    graded = entry if isinstance(entry, Graded) else None
    answers = {x.question: x for x in graded.grade.answers} if graded else {}
    questions = questions_for(topic.variant) if graded else []
    return fill_template(
        "feedback.html",
        entry=entry,
        topic=topic,
        solutions=solutions,
        malformed=graded.answers.problems if graded else {},
        answered=[(each, answers[each.name]) for each in questions],
    )
