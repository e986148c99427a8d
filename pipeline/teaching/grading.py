"""Grades a submission: computes the correct answers, and trains the assigned network.

`grade_submission` runs in the workers. The correct answers are computed from the
submitted network, so the processor of the student does not matter.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from pydantic import TypeAdapter

from pipeline import UserError
from pipeline.base.source_code import ImportedCode, code_sha256
from pipeline.base.tensors import read_tensors, tensors_sha256, write_tensors
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Snapshot
from pipeline.teaching.answer_inputs import AnswerInputs
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.question import PARTIAL, ROUNDED, VOID, GradedAnswer, is_guess
from pipeline.teaching.questions import QUESTIONS

T = TypeVar("T")
# The largest and the median difference of the weights that two processors can cause in
# the same training run. tests/benchmarks/processors.py measures the differences: with
# one fewer epoch, both are larger for each seed; without AVX2, for some seeds.
# Frozen weights, which are equal, do not count.
MAX_DIFFERENCE, MAX_MEDIAN = 0.03, 0.0003
# Without AVX2, rounding errors grew in 6 of 18 training runs, until the networks
# differed as much as after about one epoch more or less. The median difference was at
# most 0.014, and at most 1.4 times the median change in the last epoch. (Networks with
# different seeds differ by a median of 0.24.) If the largest difference is more than
# 100 times the median, a few weights may have been edited. In one of the 18 training
# runs, it was 139 times the median, so the instructor must accept this network. Noise
# on all weights lowers this ratio, but the edited neuron still stands out: the 97th
# percentile of the differences of a neuron in layer 1 was at most 3.6 times that of the
# median neuron. With noise of 0.01 and without weights at the pixels of a test image,
# it was at least 5.2 times (273 edits). With noise of 0.02, 12 of 144 edits were
# accepted when the limit of the largest difference was 200 times the median.
NEAR_MEDIAN, NEAR_EPOCHS, NEAR_RATIO, NEAR_NEURON = 0.03, 2, 100, 5
# A weight that differs by at most this from the assigned one counts as kept. Between
# two processors, the median difference is less than a tenth of this limit. If the
# largest difference exceeds `MAX_DIFFERENCE`, the median is more than ten times this
# limit.
MAX_ROUNDING = 0.00001
# With at least this fraction of kept weights, a network is an edited copy. Only the
# weights that changed in the last epoch are compared: the weights of a neuron that has
# become dead are the same after each later epoch. If they were included, a student who
# forgot to set the number of epochs would be suspected of editing weights.
MIN_KEPT = 0.5
# The minimum accuracy of a submitted network, as a fraction of the accuracy of the
# assigned network. Weights that were never trained make many answers 0 or equal. A
# network with other settings is graded if the network has learned: one epoch gives more
# than nine tenths of the accuracy after twenty.
MIN_ACCURACY = 0.5
# The maximum drop in accuracy of a network with nearly the assigned weights. With the
# default settings, one epoch more or less changed the accuracy by at most 0.0054 (12
# seeds), and instructions up to SSE4.2 by at most 0.0016 (18 seeds). Removing one
# active neuron lowered it by at least 0.009; noise on all weights lowers it even more.
MAX_ACCURACY_DROP = 0.01
ASSIGNED = "assigned"  # the setting `require`: the default; its other value is "any"
# Why an answer with such a mistake gets no points; see `grade_answers`.
GUESS = "This number could also be a guess, so it gets no points."
ALONE = (
    "None of your other answers shows this mistake with the same number of decimal "
    "places. Your answer may therefore be the result of a different mistake. It gets "
    "no points."
)
# The code that grades: a class in questions.py, the rest of this file, and these.
CLASS = re.compile(r"^class (\w+).*\n(?:[ \t].*\n|\n)*", re.MULTILINE)
MODULES = ("question.py", "answer_inputs.py", "variant.py", "grading.py")


def question_code(folder: Path) -> dict[str, str]:
    """Return a hash for each question: of its class, and of the code for all."""
    (source,) = ImportedCode(folder / "questions.py").sources.values()
    text = source.decode().replace("\r\n", "\n")
    names = {question.name: type(question).__name__ for question in QUESTIONS}
    own = {x[1]: x[0] for x in CLASS.finditer(text) if x[1] in names.values()}
    rest = text.partition("\nQUESTIONS")[0]
    for code in own.values():  # a class from which questions inherit remains
        rest = rest.replace(code, "")
    shared = ImportedCode(*(folder / name for name in MODULES)).sha256
    shared += code_sha256(rest.encode())
    return {x: shared + code_sha256(own[names[x]].encode()) for x in names}


# Each grade records these hashes. After a change, a grade that has an answer to each
# question is kept, with a notice.
QUESTION_CODE = question_code(Path(__file__).parent)


class Training(StrEnum):
    """How the submitted network was trained: the first value that applies."""

    SAME = "byte-identical"
    PROCESSOR = "the assigned weights, up to differences between processors"
    EDITED = "the assigned network with edited weights"
    NEAR = "nearly the assigned weights"
    OTHER = "a different training run"

    @property
    def is_assigned(self) -> bool:
        """Whether the weights are from the assigned training run.

        Measured differences between processors do not count.
        """
        return self in (Training.SAME, Training.PROCESSOR)

    @property
    def is_accepted(self) -> bool:
        """Whether the network may be the result of the assigned training run.

        No measured difference between two processors makes this false.
        """
        return self.is_assigned or self is Training.NEAR


@dataclass(frozen=True, eq=False)  # `==` of arrays is elementwise
class Assigned:
    """The assigned network."""

    network: Snapshot
    before: Snapshot  # the last epoch of its training


@dataclass(frozen=True)
class Comparison:
    """A submitted network, compared with the assigned one."""

    training: Training
    largest: float  # difference between corresponding weights or biases
    median: float  # the median of the differences that are not 0; 0 if there are none
    kept: float  # the fraction of kept weights; see `MIN_KEPT`


@dataclass(frozen=True)
class SubmissionGrade(Comparison):
    """The points of a submission, and whether its network is the assigned one."""

    accuracy: float  # the submitted network's accuracy on the test images
    expected_accuracy: float  # the assigned network's accuracy
    answers: tuple[GradedAnswer, ...]  # in the order of `QUESTIONS`
    code: Mapping[str, str]  # `QUESTION_CODE` when it was graded
    # Whether the network is not accepted, so that the answers that depend on
    # the weights get no points; see `required`.
    denied: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the grade has an answer to each question."""
        names = [answer.question for answer in self.answers]
        return names == [question.name for question in QUESTIONS]

    @property
    def is_old(self) -> bool:
        """Whether the questions have changed since the submission was graded."""
        return any(self.is_edited(answer.question) for answer in self.answers)

    @property
    def points(self) -> float:
        """The sum of the points of all answers."""
        return round(sum(answer.points for answer in self.answers), 2)

    @property
    def possible(self) -> float:
        """The points of a submission whose answers are all correct."""
        return sum(answer.possible for answer in self.answers)

    def required(self, require: str) -> "SubmissionGrade":
        """Return the grade in a course with this value of the setting `require`.

        With `ASSIGNED`, answers that depend on the weights get no points if the network
        is not accepted. If the weights were edited, such answers get no points with
        either value, because no processor and no version of PyTorch leads to such a
        network. Void questions are no exception. Callers skip this method for networks
        that the instructor accepts.
        """
        is_other = require == ASSIGNED and not self.training.is_accepted
        if not is_other and self.training is not Training.EDITED:
            return self
        if not any(answer.needs_network for answer in self.answers):
            return self
        answers = tuple(
            replace(x, points=0.0, denied=True, hint=None if x.hint == VOID else x.hint)
            if x.needs_network
            else x
            for x in self.answers
        )
        return replace(self, answers=answers, denied=True)

    def only(self, questions: Collection[str]) -> "SubmissionGrade":
        """Return the grade in a course that grades only the questions with these names.

        The stored grade contains all questions, so it serves for any selection.
        """
        answers = tuple(x for x in self.answers if x.question in questions)
        return replace(self, answers=answers)

    def is_edited(self, question: str, code: Mapping[str, str] = QUESTION_CODE) -> bool:
        """Return whether a question has other code than in this grade."""
        return self.code.get(question) != code[question]

    def points_since(self, last: "SubmissionGrade") -> list[float]:
        """Return the points of an earlier grade, and the points after each change.

        The changes are, in this order: added and removed questions, edited questions,
        and everything else. A question that was edited has its new points after the
        second change, even if the student has also changed the answer.
        """
        before = {x.question: x.points for x in last.answers}
        kept = {x.question: before.get(x.question, x.points) for x in self.answers}
        now = {x.question: x.points for x in self.answers}
        edited = {x: now[x] for x in now if last.is_edited(x, self.code)}
        steps = before, kept, kept | edited, now
        return [round(sum(points.values()), 2) for points in steps]


STORED = TypeAdapter(SubmissionGrade)
STORED_CLASS = TypeAdapter(dict[str, SubmissionGrade])


def grade_submission(
    dataset: Dataset,
    *,
    assignment: Assignment,
    student: str,
    answers: Mapping[str, float],
    network: Snapshot,
    reference: Path,
) -> SubmissionGrade:
    """Grade a submission, ignoring the setting `require`.

    Args:
        dataset: The data set of the assignment.
        assignment: The assignment of the course.
        student: The ID of the student.
        answers: The answers, by the names of the questions.
        network: The submitted network.
        reference: The file of the assigned network. If the file is missing, the network
            is trained and written to the file.

    Raises:
        FloatingPointError: If a loss or a weight becomes non-finite in the assigned
            training run.
        UserError: If the submitted network is much less accurate than the assigned one.
    """
    try:
        assigned = read_assigned(reference)
    except UserError:
        before, last = assignment.train(student, dataset).epochs[-2:]
        assigned = Assigned(last.tensors, before.tensors)
        both = {x: np.stack([last.tensors[x], before.tensors[x]]) for x in last.tensors}
        write_tensors(reference, both, {})
    values = assignment.question_values(student, dataset)
    inputs = AnswerInputs.of(values, network, dataset.test)
    expected = AnswerInputs.of(values, assigned.network, dataset.test).accuracy
    compared = without_drop(compare(network, assigned), inputs.accuracy, expected)
    if not compared.training.is_assigned:
        least = MIN_ACCURACY * expected
        if inputs.accuracy < least:
            raise UserError(
                f"its network classifies {inputs.accuracy:.1%} of the test images "
                f"correctly, but at least {least:.1%} are required, half the accuracy "
                "of the assigned network"
            )
    return SubmissionGrade(
        **vars(compared),
        accuracy=inputs.accuracy,
        expected_accuracy=expected,
        answers=grade_answers(answers, inputs),
        code=QUESTION_CODE,
    )


def grade_answers(
    answers: Mapping[str, float], inputs: AnswerInputs
) -> tuple[GradedAnswer, ...]:
    """Grade the answers to all questions, so that the same mistake costs the same.

    An answer with a mistake of `AnswerInputs.mistaken` or `ROUNDED` gets a part of the
    points. If the answer could also be a guess, or is a count, it gets these points
    only if another answer that is neither shows the same mistake.
    """
    graded = {q.name: q.grade(answers.get(q.name), inputs) for q in QUESTIONS}
    wrong = {
        question.name: {
            x.hint: x.points
            for x in question.mistakes(answer, inputs)
            if x.value or x.hint not in ROUNDED  # 0 is always a guess
        }
        for question in QUESTIONS
        if (answer := graded[question.name].answer) is not None
        and graded[question.name].kind != "full"
    }
    shared = [*inputs.mistaken, *ROUNDED]
    hints = Counter(hint for found in wrong.values() for hint in found)
    for hint in sorted(shared, key=lambda hint: -hints[hint]):
        same = [name for name, found in wrong.items() if hint in found]
        if len(same) > 1 and any(wrong[name][hint] for name in same):
            for name in same:
                del wrong[name]
                points = PARTIAL * graded[name].possible
                graded[name] = replace(graded[name], hint=hint, points=points)
    _name_rounded_mistakes(graded, inputs)
    shown = {answer.hint for answer in graded.values() if answer.points}
    for name, found in wrong.items():  # a mistake that is also rounded is support too
        both = {f"{hint} {rounded}": hint for hint in found for rounded in ROUNDED}
        if not graded[name].points and (same := [both[x] for x in both if x in shown]):
            points = PARTIAL * graded[name].possible
            graded[name] = replace(graded[name], hint=same[0], points=points)
    for question in QUESTIONS:  # last, because a void answer can support others
        if question.is_void:
            given = graded[question.name]
            graded[given.question] = replace(given, points=question.points, hint=VOID)
    return tuple(
        replace(x, hint=f"{x.hint} {GUESS}") if x.hint in shared and not x.points else x
        for x in graded.values()
    )


def _name_rounded_mistakes(
    graded: dict[str, GradedAnswer], inputs: AnswerInputs
) -> None:
    """Replace the grades of answers with a mistake that are also rounded too much.

    Such an answer gets a part of the points if another answer shows the same mistake
    with the same rounding, or if other answers show the mistake and the rounding. The
    number of such answers counts only those that are hard to guess. Without support, an
    answer that could be a guess gets no hint, because many mistakes lead to it.
    """
    shown = {answer.hint for answer in graded.values() if answer.points}
    found = {
        question.name: [
            both
            for both in question.rounded_mistakes(given.answer, inputs)
            # The hint is already known if the answer has enough decimal places.
            if given.hint in (None, both[0])
        ]
        for question in QUESTIONS
        if (given := graded[question.name]).answer is not None and given.kind != "full"
    }
    guesses = {name for name in found if is_guess(graded[name].answer or 0.0)}
    counts = Counter(both for name in {*found} - guesses for both in found[name])
    for name, several in found.items():
        if graded[name].hint:
            continue
        least = 1 if name in guesses else 2
        supported = {x for x in several if counts[x] >= least or {*x} <= shown}
        if name in guesses:
            several = [x for x in several if x in supported]
        for both in sorted(several, key=lambda x: (x not in supported, -counts[x]))[:1]:
            given, hint = graded[name], " ".join(both)
            points = PARTIAL * given.possible
            if both not in supported:
                hint, points = f"{hint} {ALONE}", 0.0
            graded[name] = replace(given, hint=hint, points=points)


def read_assigned(path: Path) -> Assigned:
    """Return the network in a file that `grade_submission` has written.

    Raises:
        UserError: If the file is missing or damaged.
    """
    both = read_tensors(path)[0]
    return Assigned(*({name: both[name][row] for name in both} for row in (0, 1)))


def read_stored(path: Path, read: Callable[[bytes], T]) -> T | None:
    """Return the content of a file; None if the file is missing or damaged."""
    with suppress(OSError, ValueError):
        return read(path.read_bytes())
    return None


def is_mostly_equal(found: Float[np.ndarray, " n"]) -> bool:
    """Return whether the median difference is no larger than rounding errors can be.

    `compare` asks about the weights that differ: frozen weights are equal after each
    training run with the same seed. `copied_from` asks about all weights: a copy stays
    a copy if a few weights were changed, by any amount.
    """
    return not found.size or bool(np.median(found) <= MAX_MEDIAN)


def compare(network: Snapshot, assigned: Assigned) -> Comparison:
    """Compare a network with the assigned network, which has the same shapes."""
    found = _differences(network, assigned.network)
    largest = float(found.max())
    changed = found[found > 0]  # none if only the sign of a 0 differs
    last_change = _differences(assigned.before, assigned.network)
    median, epoch = _median(changed), _median(last_change[last_change > 0])
    trained = found[last_change > MAX_ROUNDING]
    kept = float(np.mean(trained <= MAX_ROUNDING)) if trained.size else 0.0
    most = min(NEAR_MEDIAN, NEAR_EPOCHS * epoch)
    is_near = (
        median <= most
        and largest <= NEAR_RATIO * median
        and not _differs_in_one_neuron(network, assigned.network)
    )
    if tensors_sha256(network) == tensors_sha256(assigned.network):
        training = Training.SAME
    elif largest <= MAX_DIFFERENCE and is_mostly_equal(changed):
        training = Training.PROCESSOR
    elif kept >= MIN_KEPT:
        training = Training.EDITED
    elif is_near:
        training = Training.NEAR
    else:
        training = Training.OTHER
    return Comparison(training, largest=largest, median=median, kept=kept)


def without_drop(found: Comparison, accuracy: float, expected: float) -> Comparison:
    """Return a comparison that also considers the accuracies of the two networks.

    Noise on all weights could hide an edit, but not its effect: with nearly the
    assigned weights, the accuracy drops by at most `MAX_ACCURACY_DROP`.
    """
    if found.training is Training.NEAR and accuracy < expected - MAX_ACCURACY_DROP:
        return replace(found, training=Training.OTHER)
    return found


def copied_from(
    network: Snapshot, others: Iterable[tuple[str, Snapshot]]
) -> tuple[str, float] | None:
    """Return the first student whose network shares most of its weights with this one.

    The largest difference between corresponding weights is also returned. The result is
    None if there is no such student.
    """
    for student, other in others:
        if is_mostly_equal(found := _differences(network, other)):
            return student, float(found.max())
    return None


def _differences(network: Snapshot, reference: Snapshot) -> Float[np.ndarray, " n"]:
    """Return the absolute difference of each weight and bias of two networks."""
    return np.concatenate(
        [
            np.abs(tensor.astype(np.float64) - network[name]).ravel()
            for name, tensor in reference.items()
        ]
    )


def _differs_in_one_neuron(network: Snapshot, reference: Snapshot) -> bool:
    """Return whether one neuron of layer 1 differs much more than the others."""
    name = "layer_1.weight"
    large = np.percentile(np.abs(network[name] - reference[name]), 97, axis=1)
    return bool(large.max() > NEAR_NEURON * _median(large[large > 0]))


def _median(values: Float[np.ndarray, " n"]) -> float:
    return float(np.median(values)) if values.size else 0.0
