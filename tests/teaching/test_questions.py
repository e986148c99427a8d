"""The questions of the homework, compared with a solver that shares no code with them.

The solver is a student: it reads the text of a question, the file of a network and the
file of the data set, and computes in float32 with NumPy.
"""

import dataclasses
import json
import re
import tracemalloc
from collections import Counter
from functools import lru_cache

import numpy as np
import pytest

from pipeline import UserError, datasets
from pipeline.base.paths import data_dir
from pipeline.core.network import network_from, snapshot
from pipeline.model import save_network
from pipeline.teaching import answer_inputs
from pipeline.teaching.answer_inputs import AnswerInputs, QuestionValues
from pipeline.teaching.grading import ALONE, GUESS, grade_answers
from pipeline.teaching.question import GROUPS, MAX_DECIMALS, ROUNDED, Correct
from pipeline.teaching.questions import QUESTIONS, questions_for
from pipeline.teaching.variant import Variant

STUDENTS = ("ana.ruiz", "zoë", "1234567", "b@example.org")
EACH = pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.name)


def read_safetensors(path):
    """Return the arrays of a file: a length, a JSON header, and the bytes."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    types = {"F32": "<f4", "U8": "u1"}
    return {
        name: np.frombuffer(
            content[8 + size :][slice(*about["data_offsets"])], types[about["dtype"]]
        ).reshape(about["shape"])
        for name, about in header.items()
    }


class Student:
    """Answers questions with a network and a data set."""

    white, has_relu = 255, True

    def __init__(self, network, data):
        self.arrays, files = read_safetensors(network), read_safetensors(data)
        self.images, self.labels = files["test_images"], files["test_labels"]
        self.hidden = len(self.arrays["layer_1.bias"])

    def inputs(self, image):
        return self.images[image].ravel().astype("f4") / np.float32(self.white)

    def layer(self, number, inputs):
        weights = self.arrays[f"layer_{number}.weight"]
        return inputs @ weights.T + self.arrays[f"layer_{number}.bias"]

    def outputs(self, inputs):
        sums = self.layer(1, inputs)
        return np.maximum(sums, 0) if self.has_relu else sums

    def logits(self, inputs, off=()):
        outputs = self.outputs(inputs)
        outputs[..., [*off]] = 0
        return self.layer(2, outputs)

    def probabilities(self, image):
        logits = self.logits(self.inputs(image)).astype(float)
        powers = np.exp(logits - logits.max())
        return powers / powers.sum()

    @property
    def all_inputs(self):
        return self.images.reshape(-1, 784).astype("f4") / np.float32(self.white)

    def parameters(self, text):
        neurons, classes = find(r"has (\d+) neurons .* (\d+) classes", text)
        return (784 + 1) * neurons + (neurons + 1) * classes

    def weights_for_small_images(self, text):
        rows, columns = find(r"images of (\d+)x(\d+)", text)
        return rows * columns * self.hidden

    def bytes_of_weights(self, text):
        neurons, bits = find(r"has (\d+) neurons.* in (\d+) bits", text)
        return 784 * neurons * bits // 8

    def multiplications(self, text):
        (neurons,) = find(r"has (\d+) neurons", text)
        return 784 * neurons + neurons * 10

    def weight_of_pixel(self, text):
        row, column, neuron = (*find(PLACE, text), neuron_of(text))
        return self.arrays["layer_1.weight"].reshape(-1, 28, 28)[neuron, row, column]

    def sum_of_neuron(self, text):
        return self.layer(1, self.inputs(*find(IMAGE, text)))[neuron_of(text)]

    def products(self, text):
        weights = self.arrays["layer_1.weight"][neuron_of(text)]
        return weights * self.inputs(*find(IMAGE, text))

    def largest_product(self, text):
        return np.abs(self.products(text)).argmax()

    def upper_half(self, text):
        first, last = find(r"rows (\d+) to (\d+)", text)
        return self.products(text).reshape(28, 28)[first : last + 1].sum()

    def logit(self, text):
        return self.logits(self.inputs(*find(IMAGE, text)))[neuron_of(text)]

    def log_of_ratio(self, text):
        *_, second, first = sorted(self.probabilities(*find(IMAGE, text)))
        return np.log(first / second)

    def loss_of_wrong_label(self, text):
        image, label = find(IMAGE, text)[0], find(r"labels the image as (\d)", text)[0]
        return -np.log(self.probabilities(image)[label])

    def misclassified(self, text):
        (label,) = find(r"label (\d)", text)
        inputs = self.all_inputs[self.labels == label]
        return (self.logits(inputs).argmax(axis=1) != label).sum()

    def brighter_pixel(self, text):
        brighter = np.zeros((28, 28))
        (levels,) = find(r"(\d+) gray levels brighter", text)
        brighter[tuple(find(PLACE, text))] = levels
        before, after = np.zeros(784), brighter.ravel() / self.white
        neuron = neuron_of(text)
        return self.layer(1, after)[neuron] - self.layer(1, before)[neuron]

    def switched_off(self, text):
        logits = self.logits(self.all_inputs, off=[neuron_of(text)])
        return (logits.argmax(axis=1) == self.labels).sum()

    def raised_bias(self, text):
        logits = self.logits(self.all_inputs)
        logits[:, neuron_of(text)] += float(
            re.search(r"increased by ([\d.]*\d)", text)[1]
        )
        (label,) = find(r"as class (\d)", text)
        return (logits.argmax(axis=1) == label).sum()

    def scaled_layer(self, text):
        factor = np.float32(re.search(r"multiplied by ([\d.]*\d)", text)[1])
        weights, bias = self.arrays["layer_2.weight"], self.arrays["layer_2.bias"]
        outputs = self.outputs(self.inputs(*find(IMAGE, text)))
        powers = np.exp((outputs @ (factor * weights).T + factor * bias).astype(float))
        return 100 * powers.max() / powers.sum()


class WithoutScaling(Student):
    white = 1


class WithoutRelu(Student):
    has_relu = False


class WithoutBiases(Student):
    def __init__(self, *files):
        super().__init__(*files)
        for layer in (1, 2):
            self.arrays[f"layer_{layer}.bias"] = 0 * self.arrays[f"layer_{layer}.bias"]


class WithReshapedKernels(Student):
    def __init__(self, *files):
        super().__init__(*files)
        for name, array in self.arrays.items():
            self.arrays[name] = array.reshape(array.T.shape).T


class WithImagesByColumns(Student):
    def __init__(self, *files):
        super().__init__(*files)
        self.images = self.images.transpose(0, 2, 1)

    def weight_of_pixel(self, text):
        row, column = find(PLACE, text)
        swapped = f"row {column} and column {row}"
        return super().weight_of_pixel(re.sub(PLACE, swapped, text))

    def brighter_pixel(self, text):
        row, column = find(PLACE, text)
        swapped = f"row {column} and column {row}"
        return super().brighter_pixel(re.sub(PLACE, swapped, text))


PLACE, IMAGE = r"row (\d+) and column (\d+)", r"test image (\d+)"


def find(pattern, text):
    return [int(number) for number in re.search(pattern, text).groups()]


def neuron_of(text):
    """Return the index of the neuron that a question names."""
    return int(re.search(r"N[12](\d+)", text)[1]) - 1


@pytest.fixture(scope="module")
def networks(trained_on_few, new_network):
    """Three networks: trained for a short time, not trained, and without weights."""
    zeros = {name: 0 * array for name, array in snapshot(new_network(20)).items()}
    return {
        "trained": trained_on_few().network,
        "untrained": new_network(20),
        "zeros": network_from(zeros),
    }


@pytest.fixture(scope="module")
def new_inputs(mnist, networks):
    @lru_cache
    def make(student, name="trained"):
        variant = Variant.of(student, "course")
        values = QuestionValues.of(variant, 20, mnist.test, datasets.spec("mnist"))
        return AnswerInputs.of(values, snapshot(networks[name]), mnist.test)

    return make


def test_the_outputs_for_all_test_images_need_little_memory(new_inputs):
    inputs = dataclasses.replace(new_inputs("ana.ruiz"))  # without computed values
    tracemalloc.start()
    inputs.predictions  # noqa: B018
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000  # all images at once would take 63 MB


@pytest.mark.parametrize(
    ("student", "name"),
    [
        *((student, "trained") for student in STUDENTS),
        (STUDENTS[0], "untrained"),
        (STUDENTS[1], "zeros"),
    ],
)
def test_a_student_with_numpy_and_the_files_gets_all_points(
    student, name, new_inputs, networks, mnist, tmp_path
):
    inputs, path = new_inputs(student, name), tmp_path / "model.safetensors"
    save_network(path, networks[name])
    solver = Student(path, data_dir() / mnist.file.path.name)
    for question in questions_for(inputs.values.variant):
        answer = getattr(solver, question.name)(question.text(inputs.values))
        decimals = {0.001: 3, 0.0001: 4}.get(question.tolerance)
        typed = float(answer) if decimals is None else round(float(answer), decimals)
        if decimals and abs(answer) < 100 * question.tolerance:
            typed = float(f"{answer:.3g}")  # so few decimal places can be too inexact
        assert question.grade(typed, inputs).points == question.points, question.name


@EACH
def test_typical_mistakes_get_a_hint_and_at_most_half_the_points(question, new_inputs):
    hints = set()
    for student in STUDENTS:
        inputs = new_inputs(student)
        for mistake in question.solution(inputs).mistakes:
            grade = question.grade(mistake.value, inputs)
            if question.is_count and mistake.hint in inputs.mistaken:
                hints.add(mistake.hint)  # it needs the support of another answer
                assert not mistake.points and grade.hint not in inputs.mistaken
                continue
            assert grade.hint and grade.points <= question.points / 2
            question.form.check(mistake.value)  # a malformed answer would get no hint
            hints.add(grade.hint)
    # Hints are the same for all students, so that a class can be compared.
    assert 2 <= len(hints) <= 7 + len(inputs.mistaken)


def test_the_raised_bias_of_the_next_neuron_gets_half_a_point_with_another_answer(
    new_inputs, networks, mnist, tmp_path
):
    found = {question.name: question for question in QUESTIONS}
    question, other = found["raised_bias"], found["sum_of_neuron"]
    save_network(path := tmp_path / "model.safetensors", networks["trained"])
    solver = Student(path, data_dir() / mnist.file.path.name)
    logits = solver.logits(solver.all_inputs)
    close = 0
    for number in range(5):
        inputs = new_inputs(f"s{number}")
        text, digit = question.text(inputs.values), inputs.values.digit
        raised = f"N2{(digit + 1) % 10 + 1} is"  # the class in the text is the same
        answer = float(solver.raised_bias(re.sub(r"N2\d+ is", raised, text)))
        next_sum = other.correct(inputs.mistaken[answer_inputs.NEXT_NEURON])[0]
        answers = {"raised_bias": answer, "sum_of_neuron": next_sum}
        grade = graded_by_name(answers, inputs)["raised_bias"]
        assert (grade.points, grade.hint) == (0.5, answer_inputs.NEXT_NEURON)
        close += abs(answer - (logits.argmax(axis=1) == digit).sum()) <= 1
    assert close  # also if it is as close to the number before the change
    guess = question.grade(0.0, new_inputs("ana.ruiz", "zeros"))
    assert (guess.points, guess.hint) == (0, "This is the number before the change.")


def test_a_count_with_a_mistake_gets_its_hint_only_if_another_answer_shows_the_mistake(
    new_inputs,
):
    inputs, by_name = new_inputs("ana.ruiz"), {q.name: q for q in QUESTIONS}
    counts = [question.name for question in QUESTIONS if question.is_count]
    assert counts == ["misclassified", "switched_off", "raised_bias"]
    tested = 0
    for hint in (answer_inputs.NO_RELU, answer_inputs.NOT_SCALED):
        wrong = {x: by_name[x].correct(inputs.mistaken[hint])[0] for x in by_name}
        for name in counts:
            alone = by_name[name].grade(wrong[name], inputs)
            if alone.points or alone.hint:  # the mistake has no or another effect
                continue
            tested += 1
            # Two counts can match the same mistake by chance.
            for others in ([], counts):
                given = {x: wrong[x] for x in [name, *others]}
                answer = graded_by_name(given, inputs)[name]
                assert (answer.points, answer.hint) == (0, None)
            # Answers that show the mistake and are also rounded support it.
            for decimals, shown in ((5, hint), (2, f"{hint} {ROUNDED[2]}")):
                rounded = {x: round(wrong[x], decimals) for x in wrong}
                graded = graded_by_name(rounded, inputs)
                others = {x: rounded[x] for x in wrong if graded[x].hint == shown}
                assert len(others) >= 2
                graded = graded_by_name({**others, name: wrong[name]}, inputs)
                assert (graded[name].points, graded[name].hint) == (0.5, hint)
    assert tested >= 3


def test_bytes_with_the_biases_get_half_a_point_with_each_bit_width(new_inputs):
    (question,) = (each for each in QUESTIONS if each.name == "bytes_of_weights")
    inputs = new_inputs("ana.ruiz")
    for bits in range(2, 16):
        values = dataclasses.replace(inputs.values, bits=bits, stored_neurons=37)
        answer = -(-785 * 37 * bits // 8)  # rounded up
        question.form.check(answer := float(answer))
        grade = question.grade(answer, dataclasses.replace(inputs, values=values))
        assert (grade.points, grade.hint) == (0.5, "Do not count the biases.")


@EACH
def test_a_correct_answer_with_too_few_decimals_gets_a_hint(question, new_inputs):
    hints = set()
    for student in STUDENTS:
        inputs = new_inputs(student)
        for decimals in (1, 2):
            exact = question.solution(inputs).correct[0]
            hints.add(question.grade(round(exact, decimals), inputs).hint)
    if 0 < question.tolerance < 1:
        assert {*ROUNDED[1:3]} <= hints
    else:
        assert hints == {None}


@EACH
def test_an_answer_that_is_rounded_to_the_decimals_that_it_needs_is_correct(
    question, new_inputs
):
    for student in STUDENTS:
        inputs = new_inputs(student)
        exact = question.solution(inputs).correct[0]
        assert question.decimals(exact) <= MAX_DECIMALS
        for decimals in (question.decimals(exact), MAX_DECIMALS):
            typed = round(exact, decimals)
            assert question.grade(typed, inputs).points == question.points
        assert not question.is_coarse(exact)  # it ends with a digit other than 0
        coarse = round(exact, max(0, question.decimals(exact) - 1))
        assert question.is_coarse(coarse) == (0 < question.tolerance < 1)


def test_only_the_size_of_an_answer_determines_how_many_decimals_it_needs():
    found = {question.name: question for question in QUESTIONS}
    for name, answer, decimals in (
        ("sum_of_neuron", 6.25, 3),
        ("sum_of_neuron", 0.0024, 5),
        ("weight_of_pixel", -0.13, 4),
        ("scaled_layer", 98.0, 3),
        ("misclassified", 98.0, 0),
        *(("scaled_layer", exact, 0) for exact in (0.0, 100.0)),
        *(("logit", huge, 0) for huge in (1e308, -1e308, 0.0)),
        *(("logit", tiny, 5) for tiny in (1e-308, -5e-324)),
    ):
        assert found[name].decimals(answer) == decimals, (name, answer)
        assert found[name].is_coarse(answer) == (decimals > 0 and abs(answer) > 1e-9)
    assert not found["sum_of_neuron"].is_coarse(6.251)

    class Exact(type(found["sum_of_neuron"])):
        tolerance = 0.0

    assert Exact().decimals(6.25) == 0 and not Exact().is_coarse(6.25)


def graded_by_name(answers, inputs):
    return {answer.question: answer for answer in grade_answers(answers, inputs)}


@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_correct_answers_that_are_rounded_too_much_get_half_a_point_each_except_0(
    decimals, new_inputs
):
    inputs = new_inputs("ana.ruiz")
    typed = {q.name: round(q.solution(inputs).correct[0], decimals) for q in QUESTIONS}
    wrong = [x for x in grade_answers(typed, inputs) if x.kind != "full"]
    assert len(wrong) >= 5
    for answer in wrong:
        if answer.answer:
            assert (answer.points, answer.hint) == (0.5, ROUNDED[decimals])
        else:  # a guess
            assert (answer.points, answer.hint) == (0, f"{ROUNDED[0]} {GUESS}")


def test_rounding_on_top_of_another_mistake_gets_a_hint_if_other_answers_show_both(
    new_inputs,
):
    inputs = new_inputs("ana.ruiz")
    found = {question.name: question for question in QUESTIONS}
    without_relu = inputs.mistaken[answer_inputs.NO_RELU]
    typed = {
        name: round(question.solution(without_relu).correct[0], 2)
        for name, question in found.items()
    }
    graded = graded_by_name(typed, inputs)
    both = f"{answer_inputs.NO_RELU} {ROUNDED[2]}"
    named = [x for x in graded.values() if x.hint == both]
    assert len(named) >= 2 and {x.points for x in named} == {0.5}
    # With only one of the two, it could be any wrong number, so it gets only a hint.
    for kept in (None, answer_inputs.NO_RELU, ROUNDED[2]):
        some = {x.question: x.answer for x in graded.values() if x.hint == kept}
        assert some or kept is None
        for shown in named:
            answers = {shown.question: shown.answer} | some
            if kept == answer_inputs.NO_RELU:  # several have two decimal places
                continue
            answer = graded_by_name(answers, inputs)[shown.question]
            assert (answer.points, answer.hint) == (0, f"{both} {ALONE}")
    # With one significant digit, it could be a guess.
    for guess in (0.0, 0.1, -2.0, 30.0):
        assert graded_by_name({"logit": guess}, inputs)["logit"].hint is None


def test_a_rounded_mistake_with_one_digit_gets_half_a_point_if_an_answer_supports_it(
    new_inputs,
):
    found = {question.name: question for question in QUESTIONS}
    both = f"{answer_inputs.NEXT_NEURON} {ROUNDED[2]}"

    def rounded(name, inputs):
        mistaken = inputs.mistaken[answer_inputs.NEXT_NEURON]
        return round(found[name].correct(mistaken)[0], 2)

    # A student for whom both answers are wrong in no other way.
    for number in range(100):
        inputs = new_inputs(f"s{number}")
        typed = {x: rounded(x, inputs) for x in ("brighter_pixel", "sum_of_neuron")}
        is_alone = abs(typed["brighter_pixel"]) in (0.02, 0.03, 0.04)
        graded = graded_by_name(typed, inputs)
        if is_alone and graded["sum_of_neuron"].hint == f"{both} {ALONE}":
            break
    # The guess does not support the other answer, but is supported by it.
    assert [graded[x].points for x in typed] == [0.5, 0.0]
    assert graded["brighter_pixel"].hint == both
    guess = {"brighter_pixel": typed["brighter_pixel"]}
    answer = graded_by_name(guess, inputs)["brighter_pixel"]
    assert (answer.points, answer.hint) == (0, None)


def test_an_answer_with_a_mistake_that_is_accurate_enough_supports_a_rounded_one(
    new_inputs,
):
    undivided, found = answer_inputs.NOT_SCALED, {q.name: q for q in QUESTIONS}

    def typed(name, decimals):
        exact = found[name].correct(inputs.mistaken[undivided])[0]
        return {name: round(exact, decimals)}

    for number in range(100):
        inputs = new_inputs(f"s{number}")
        (brighter,) = typed("brighter_pixel", 2).values()
        sums = typed("sum_of_neuron", 2)
        pair = {"brighter_pixel": brighter, **sums}
        graded = graded_by_name(pair, inputs)
        if abs(brighter) > 1 and graded["sum_of_neuron"].hint == undivided:
            break
    assert graded["brighter_pixel"].points == 0.5
    assert graded["brighter_pixel"].hint == f"{undivided} {ROUNDED[2]}"
    # An answer with the same mistake, but more decimal places, does not.
    others = pair | typed("sum_of_neuron", 5)
    answer = graded_by_name(others, inputs)["brighter_pixel"]
    assert (answer.points, answer.hint) == (0, f"{undivided} {ROUNDED[2]} {ALONE}")


def test_two_answers_with_the_same_mistake_and_rounding_support_each_other(
    new_inputs, monkeypatch
):
    inputs = new_inputs("1234567")
    no_bias, no_relu = answer_inputs.NO_BIAS, answer_inputs.NO_RELU
    found = {question.name: question for question in QUESTIONS}

    def rounded(name, hint, decimals):
        return {name: round(found[name].correct(inputs.mistaken[hint])[0], decimals)}

    typed = rounded("sum_of_neuron", no_bias, 2)
    same = rounded("logit", no_bias, 2)
    both = f"{no_bias} {ROUNDED[2]}"
    for answer in graded_by_name(typed | same, inputs).values():
        if answer.answer is not None:
            assert (answer.points, answer.hint) == (0.5, both)
    for other, hint in (
        ({}, None),
        (rounded("logit", no_bias, 1), f"{no_bias} {ROUNDED[1]}"),
        (rounded("logit", no_relu, 2), f"{no_relu} {ROUNDED[2]}"),
    ):
        for name, answer in graded_by_name(typed | other, inputs).items():
            if name in typed | other:
                named = both if name in typed else hint
                assert (answer.points, answer.hint) == (0, f"{named} {ALONE}")
    monkeypatch.setattr(type(found["logit"]), "is_void", True)  # it still supports
    graded = graded_by_name(typed | same, inputs)
    assert [graded[name].points for name in ("sum_of_neuron", "logit")] == [0.5, 1]


def test_all_students_get_the_points_of_a_void_question(new_inputs, monkeypatch):
    inputs = new_inputs("ana.ruiz")
    (question,) = (each for each in QUESTIONS if each.name == "logit")
    monkeypatch.setattr(type(question), "is_void", True)
    for answers in ({}, {"logit": 4321.0}, {"logit": question.correct(inputs)[0]}):
        graded = graded_by_name(answers, inputs)
        assert sum(answer.points for answer in graded.values()) == 1
        assert graded["logit"].points == 1
        # The points are lost if the network is not accepted.
        assert graded["logit"].needs_network and graded["misclassified"].needs_network
        text = "This question is void: you get the points for any answer."
        assert graded["logit"].hint == text


def test_an_answer_with_one_digit_gets_points_only_with_one_of_as_many_decimals(
    new_inputs,
):
    # With a white pixel, the product would be the same number.
    inputs = next(x for x in map(new_inputs, STUDENTS) if x.pixels[x.pixel] < 0.9)
    kernel = inputs.kernel_1 * 0.0803 / inputs.weights[inputs.pixel]
    inputs = dataclasses.replace(inputs, kernel_1=kernel)
    logit = float(inputs.logits[inputs.values.digit])
    assert abs(logit) > 1
    for decimals, points in ((None, 0), (1, 0), (2, 0.5)):
        answers = {"weight_of_pixel": 0.08}
        if decimals:
            answers["logit"] = round(logit, decimals)
        graded = graded_by_name(answers, inputs)
        hint = ROUNDED[2] if points else f"{ROUNDED[2]} {GUESS}"
        answer = graded["weight_of_pixel"]
        assert (answer.points, answer.hint) == (points, hint), decimals
        assert graded["logit"].points == (0.5 if decimals else 0)


@pytest.mark.parametrize("constant", [0.0, 0.1, -0.1, 0.5, 1.0, 10.0, 100.0])
def test_the_same_guess_for_all_questions_gets_no_points(constant, new_inputs):
    guesses = dict.fromkeys([question.name for question in QUESTIONS], constant)
    graded = grade_answers(guesses, new_inputs("ana.ruiz"))
    assert sum(answer.points for answer in graded) == 0
    for student in STUDENTS:  # one of the other mistakes can lead to this number
        graded = grade_answers(guesses, new_inputs(student))
        assert not any(answer.points for answer in graded if answer.hint in ROUNDED)


@pytest.fixture(scope="module")
def class_inputs(mnist, trained_on_few):
    """What the answers of 30 students depend on; each has a different network."""
    found = []
    for seed in range(30):
        variant = Variant.of(f"s{seed}", "course")
        values = QuestionValues.of(variant, 20, mnist.test, datasets.spec("mnist"))
        network = trained_on_few(seed=seed).network
        found.append(AnswerInputs.of(values, snapshot(network), mnist.test))
    return found


@EACH
def test_no_constant_gets_points_from_more_than_a_few_students(question, class_inputs):
    accepted = []  # the answers with points of each student
    for inputs in class_inputs:
        solution = question.solution(inputs)
        mistakes = [each.value for each in solution.mistakes if each.points]
        accepted.append(np.array(solution.correct + mistakes))
    # If a constant is accepted, the upper end of an accepted interval is too.
    constants = np.concatenate(accepted) + 0.999 * question.tolerance
    points = [
        (np.abs(constants[:, None] - values) <= question.tolerance).any(axis=1)
        for values in accepted
    ]
    most = np.sum(points, axis=0).max()
    assert most <= len(class_inputs) / 5, most


@EACH
@pytest.mark.parametrize("name", ["untrained", "zeros"])
def test_no_typical_mistake_is_a_correct_answer(question, name, new_inputs):
    inputs = new_inputs("ana.ruiz", name)
    solution = question.solution(inputs)
    for value in (solution.correct[0], solution.correct[-1]):
        assert question.grade(value, inputs).points == question.points
    for mistake in solution.mistakes:
        assert question.grade(mistake.value, inputs).points < question.points


def test_mistakes_of_a_student_are_recognized(new_inputs, mnist, networks, tmp_path):
    inputs, path = new_inputs("ana.ruiz"), tmp_path / "model.safetensors"
    save_network(path, networks["trained"])
    solver = Student(path, data_dir() / mnist.file.path.name)
    text = {question.name: question.text(inputs.values) for question in QUESTIONS}
    neuron = neuron_of(text["sum_of_neuron"])
    row, column = find(PLACE, text["weight_of_pixel"])
    weights = solver.arrays["layer_1.weight"].reshape(-1, 28, 28)
    loss = solver.loss_of_wrong_label(text["loss_of_wrong_label"])
    answers = {
        "sum_of_neuron": (solver.products(text["sum_of_neuron"]).sum(), "bias is mis"),
        "weight_of_pixel": (weights[neuron, column, row], "swapped"),
        "brighter_pixel": (
            255 * solver.brighter_pixel(text["brighter_pixel"]),
            "divided by 255",
        ),
        "largest_product": (
            solver.largest_product(text["largest_product"]) + 1,
            "number of the term",
        ),
        "loss_of_wrong_label": (loss / np.log(10), "not log10"),
    }
    for question in QUESTIONS:
        if question.name in answers:
            answer, hint = answers[question.name]
            assert hint in (question.grade(float(answer), inputs).hint or "")


@pytest.mark.parametrize(
    ("solver", "hint", "least"),
    [
        (WithoutScaling, answer_inputs.NOT_SCALED, 5),
        (WithoutRelu, answer_inputs.NO_RELU, 7),
        (WithoutBiases, answer_inputs.NO_BIAS, 7),
        (WithReshapedKernels, answer_inputs.RESHAPED, 8),
        (WithImagesByColumns, answer_inputs.TRANSPOSED, 9),
    ],
)
def test_one_mistake_in_the_whole_computation_costs_half_a_point_each_time(
    solver, hint, least, new_inputs, networks, mnist, tmp_path
):
    inputs, path = new_inputs("ana.ruiz"), tmp_path / "model.safetensors"
    save_network(path, networks["trained"])
    student = solver(path, data_dir() / mnist.file.path.name)
    with np.errstate(divide="ignore"):  # a probability of 0
        found = {
            question.name: float(
                getattr(student, question.name)(question.text(inputs.values))
            )
            for question in QUESTIONS
        }
    answers = {name: x for name, x in found.items() if np.isfinite(x)}
    graded = [x for x in grade_answers(answers, inputs) if x.answer is not None]
    wrong = [answer for answer in graded if answer.kind != "full"]
    assert len(wrong) >= least
    assert {answer.hint for answer in wrong} == {hint}
    assert {answer.points for answer in wrong} == {0.5}
    # Alone, each of these answers gets at most half a point.
    for question in QUESTIONS:
        if question.name in [answer.question for answer in wrong]:
            alone = grade_answers({question.name: answers[question.name]}, inputs)
            assert sum(answer.points for answer in alone) <= 0.5


def test_a_neuron_that_is_switched_off_except_for_its_bias_gets_a_hint(new_inputs):
    (question,) = (each for each in QUESTIONS if each.name == "switched_off")
    inputs = new_inputs("ana.ruiz")
    neuron = inputs.values.neuron
    biases, kernel = inputs.bias_1.copy(), inputs.kernel_1.copy()
    kernel[:, neuron] = 0
    for bias, hint in ((5.0, "The bias of the neuron remains"), (-5.0, None)):
        biases[neuron] = bias
        given = dataclasses.replace(inputs, bias_1=biases)
        pixels = inputs.images.reshape(-1, 784) / 255
        outputs = np.maximum(pixels @ kernel + biases, 0)
        logits = outputs @ inputs.kernel_2 + inputs.bias_2
        answer = float((logits.argmax(axis=1) == inputs.labels).sum())
        grade = question.grade(answer, given)
        assert (grade.points, bool(grade.hint)) == (0.5 if hint else 1, bool(hint))
        assert (grade.hint or "").startswith(hint or "")


def test_two_wrong_answers_with_different_mistakes_do_not_get_more_points(new_inputs):
    inputs = new_inputs("ana.ruiz")
    by_name = {question.name: question for question in QUESTIONS}
    answers = {
        "sum_of_neuron": float(
            inputs.mistaken[answer_inputs.NO_BIAS].sums[inputs.values.neuron]
        ),
        "logit": float(
            inputs.mistaken[answer_inputs.NO_RELU].logits[inputs.values.digit]
        ),
        "parameters": 1.0,
    }
    for graded in grade_answers(answers, inputs):
        alone = by_name[graded.question].grade(graded.answer, inputs)
        assert graded == alone and graded.points <= 0.5


@pytest.mark.parametrize("name", ["sum_of_neuron", "weight_of_pixel", "upper_half"])
def test_a_correct_answer_near_0_must_be_exact_relative_to_it(name, new_inputs):
    (question,) = (each for each in QUESTIONS if each.name == name)
    assert question.exactness.endswith(" and 1%")
    inputs = new_inputs("ana.ruiz")
    scale = 0.002 / question.solution(inputs).correct[0]
    small = dataclasses.replace(
        inputs, kernel_1=scale * inputs.kernel_1, bias_1=scale * inputs.bias_1
    )
    for answer, points in (
        (0.002, 1), (0.0020199, 1), (0.00205, 0), (0.0025, 0), (-0.0, 0), (0.0, 0)
    ):  # fmt: skip
        assert question.grade(answer, small).points == points, answer
    zero = dataclasses.replace(
        inputs, kernel_1=0 * inputs.kernel_1, bias_1=0 * inputs.bias_1
    )
    for answer in (0.0, -0.0, 5e-6):  # such as a sum that float32 does not make 0
        assert question.grade(answer, zero).points == 1


def test_a_loss_near_0_gives_no_points_for_0(new_inputs):
    inputs = new_inputs("ana.ruiz")
    wrong = np.arange(10) == inputs.values.wrong_label
    logits = inputs.logits - inputs.bias_2
    sure = dataclasses.replace(inputs, bias_2=6.2 * wrong - logits)
    (question,) = (each for each in QUESTIONS if each.name == "loss_of_wrong_label")
    (correct,) = question.solution(sure).correct
    assert 0.01 < correct < 0.02
    assert [question.grade(x, sure).points for x in (correct, 0.0)] == [1, 0]
    assert question.grade(-np.log10(np.exp(-correct)), sure).points == 0.5


def test_a_question_whose_answer_is_not_finite_is_reported_in_one_line(new_inputs):
    class Broken(type(QUESTIONS[4])):
        name = "broken"

        def _answers(self, inputs):
            return [Correct(np.nan * inputs.logits[0])]

    message = "the correct answer to the question broken is nan instead of a finite num"
    with pytest.raises(UserError, match=message) as error:
        Broken().grade(1.0, new_inputs("ana.ruiz"))
    assert "\n" not in str(error.value)


def test_every_pixel_is_correct_if_all_products_are_equal(new_inputs):
    inputs = new_inputs("ana.ruiz", "zeros")
    (question,) = (each for each in QUESTIONS if each.name == "largest_product")
    assert question.solution(inputs).correct == [*range(784)]
    grades = [question.grade(float(pixel), inputs) for pixel in (-1, 0, 500, 783, 784)]
    assert [grade.points for grade in grades] == [0, 1, 1, 1, 0]


@EACH
@pytest.mark.parametrize("answer", [1e308, -1e308, 1e-308])
def test_any_number_can_be_graded(question, answer, new_inputs):
    assert question.grade(answer, new_inputs("ana.ruiz")).points in (0, question.points)


def test_the_questions_make_sense_for_a_network_with_one_neuron(new_network, mnist):
    variant = Variant.of("ana.ruiz", "course")
    values = QuestionValues.of(variant, 1, mnist.test, datasets.spec("mnist"))
    inputs = AnswerInputs.of(values, snapshot(new_network(1)), mnist.test)
    for question in QUESTIONS:
        assert question.grade(question.solution(inputs).correct[0], inputs).points == 1


def test_the_texts_of_a_variant_stay_the_same(mnist):
    # Golden values: a student who asks again after an update gets the same questions.
    variant = Variant.of("ana.ruiz", "embedded 2026")
    values = QuestionValues.of(variant, 20, mnist.test, datasets.spec("mnist"))
    texts = {question.name: question.text(values) for question in QUESTIONS}
    assert "images of 22x27 pixels" in texts["weights_for_small_images"]
    assert "in 4 bits, without gaps. How many" in texts["bytes_of_weights"]
    assert "weight of N13 for the pixel in row 8 and col" in texts["weight_of_pixel"]
    assert "The label of test image 9620 is 9." in texts["loss_of_wrong_label"]
    assert texts["raised_bias"].startswith("The bias of N23 is increased by 1.5.")
    sizes = [q.name for q in questions_for(variant) if q.group == GROUPS[0]]
    first, last = "bytes_of_weights", "weights_for_small_images"
    assert sizes.index(first) < sizes.index("parameters") < sizes.index(last)


def test_a_certain_network_is_no_longer_certain_after_its_layer_is_scaled(new_inputs):
    (question,) = (each for each in QUESTIONS if each.name == "scaled_layer")
    for number in range(20):
        inputs = dataclasses.replace(new_inputs(f"s{number}"))
        vars(inputs)["logits"] = 30 * np.eye(10)[0]
        assert question.grade(100.0, inputs).points == 0


def test_students_have_different_numbers_and_a_different_order(mnist):
    variants = [Variant.of(f"s{number}", "course") for number in range(60)]
    all_values = [
        QuestionValues.of(v, 20, mnist.test, datasets.spec("mnist")) for v in variants
    ]
    orders = {tuple(q.name for q in questions_for(v)) for v in variants}
    assert len(orders) > 50
    for question in QUESTIONS:
        texts = [question.text(values) for values in all_values]
        assert len({*texts}) > 4 + 40 * (question.group == GROUPS[0])
        assert all("{" not in text and text == text.strip() for text in texts)


def test_the_answers_that_do_not_depend_on_the_weights_differ_between_students(
    new_inputs, mnist
):
    variants = [Variant.of(f"s{number}", "course") for number in range(300)]
    all_values = [
        QuestionValues.of(v, 20, mnist.test, datasets.spec("mnist")) for v in variants
    ]
    inputs = new_inputs("ana.ruiz")
    different = [dataclasses.replace(inputs, values=values) for values in all_values]
    for question in QUESTIONS:
        if question.group == GROUPS[0]:
            counts = Counter(question.correct(each)[0] for each in different)
            assert len(counts) >= 60, question.name
            assert max(counts.values()) <= 10, question.name


def test_a_variant_keeps_the_order_of_the_groups():
    for student in STUDENTS:
        groups = [q.group for q in questions_for(Variant.of(student, "course"))]
        assert groups == sorted(groups, key=GROUPS.index) and {*groups} == {*GROUPS}


def test_pixels_and_labels_of_all_variants_are_valid(mnist):
    for number in range(500):
        variant = Variant.of(f"s{number}", "course")
        values = QuestionValues.of(variant, 20, mnist.test, datasets.spec("mnist"))
        assert values.row != values.column and values.wrong_label != values.label
        assert {values.row, values.column} <= {*range(8, 20)}
        assert 0 <= values.wrong_label <= 9
