"""The page of a class for its instructor, and the page of feedback for a student.

All untrusted text is escaped. The only script sorts the table of a class: the security
policy of the page contains its hash, so the browser runs no other script.
"""

import base64
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.teaching.answer_inputs import QuestionValues
from pipeline.teaching.assignment import Assignment, pytorch
from pipeline.teaching.class_grades import ClassGrades
from pipeline.teaching.grading import Training
from pipeline.teaching.question import GradedAnswer, Question
from pipeline.teaching.questions import QUESTIONS, questions_for
from pipeline.teaching.shared_work import MIN_DIGITS, MIN_EVIDENCE
from pipeline.teaching.submissions import Graded, GradedOrRejected
from pipeline.teaching.templates import fill_template

SCRIPT = Path(__file__).with_name("class.js").read_text("utf-8")
KINDS = ("full", "part", "none", "blank", "denied")  # in the order of their bars


def render_class(grades: ClassGrades) -> str:
    """Return the page of a class with a graded submission, as one HTML file.

    Answers that get no points because of the network are left out of the average and
    of the percentages.
    """
    points = [entry.grade.points for entry in grades.graded]
    counted = [x.grade.points for x in grades.graded if not x.grade.denied]
    possible = sum(question.points for question in grades.questions)
    histogram = Counter(int(value) for value in points)
    return fill_template(
        "class.html",
        grades=grades,
        dependent=sum(question.needs_network for question in grades.questions),
        has_names=any(listed.name for listed in grades.listed.values()),
        questions=grades.questions,
        existing=len(QUESTIONS),
        results=[_results(question, grades) for question in grades.questions],
        possible=possible,
        pytorch=pytorch(),
        kind_of=_kind,
        any_denied=any(entry.grade.denied for entry in grades.graded),
        any_notebook=any(entry.answers.notebook for entry in grades.graded),
        kinds=[*Training],
        min_digits=MIN_DIGITS,
        min_evidence=MIN_EVIDENCE,
        mean=sum(counted) / len(counted) if counted else None,
        histogram=[histogram[value] for value in range(int(possible) + 1)],
        script=Markup(SCRIPT),
        script_sha256=base64.b64encode(
            hashlib.sha256(SCRIPT.encode()).digest()
        ).decode(),
    )


def _results(question: Question, grades: ClassGrades) -> dict[str, Any]:
    """Return how a class has answered a question.

    Answers that get no points because of the network are counted in the bars only.
    """
    given = grades.answers(question.name)
    answers = [answer for _, answer in given]
    bars = Counter((_kind(answer), answer.points) for answer in answers)
    counted = [answer for answer in answers if not answer.denied]
    others = [
        x
        for student, x in given
        if x.kind in ("part", "none") and not (x.denied or x.hint)
        if not grades.owner_of_answer(student, x)
    ]
    possible = question.points * len(counted)
    return {
        "question": question,
        "share": sum(x.points for x in counted) / possible if counted else None,
        "answered": any(x.kind != "blank" for x in counted),
        "others": len(others),
        "different": len({x.answer for x in others}),
        "bars": sorted(bars.items(), key=lambda x: (KINDS.index(x[0][0]), -x[0][1])),
        "wrong": grades.wrong(question.name),
    }


def _kind(answer: GradedAnswer) -> str:
    """Return the kind of an answer, which its color shows: one of `KINDS`."""
    return "denied" if answer.denied else answer.kind


def render_feedback(
    entry: GradedOrRejected,
    values: QuestionValues,
    assignment: Assignment,
    *,
    solutions: bool,
) -> str:
    """Return the page for a student; only with `solutions`, it has correct answers."""
    graded = entry if isinstance(entry, Graded) else None
    answers = {x.question: x for x in graded.grade.answers} if graded else {}
    questions = [x for x in questions_for(values.variant) if x.name in answers]
    ungraded = {question.name for question in QUESTIONS} - {*answers}
    return fill_template(
        "feedback.html",
        entry=entry,
        values=values,
        settings=assignment.other_settings(entry.student, graded.recorded)
        if graded
        else "",
        pytorch=pytorch(),
        solutions=solutions,
        other_questions=graded.other_questions(values) if graded else [],
        malformed={
            name: problem
            for name, problem in (graded.answers.problems if graded else {}).items()
            if name not in ungraded
        },
        answered=[(each, answers[each.name]) for each in questions],
        numbers=graded.numbers if graded else {},
    )
