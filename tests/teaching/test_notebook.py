"""The answers in the notebook: a hint first, then the correct answer; homework."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline import ConfigError
from pipeline.teaching.notebook import Checker, read_questions

CORRECT = "Yes, the answer is 20. The neuron has one weight"


@pytest.fixture
def ask(capsys):
    """Return a function that answers a question and returns what is printed."""

    def answer(check, *arguments, **values):
        capsys.readouterr()
        check(*arguments, **values)
        return " ".join(capsys.readouterr().out.split())

    return answer


def test_a_wrong_answer_gets_a_hint_that_fits_it_and_then_the_correct_one(ask):
    check = Checker()
    first = ask(check, "weights", 784, 20)
    assert first == "Not correct. " + read_questions()["weights"].wrong["784"]
    assert ask(check, "weights", 784, 20) == first  # the same cell was run again
    assert not check.may_show("weights")
    reply = ask(check, "weights", 5, 20)
    assert reply.startswith("No, the answer is 20. The neuron has one")
    assert check.may_show("weights")
    assert ask(check, "weights", 20, 20).startswith(CORRECT)


def test_an_answer_without_a_hint_of_its_own_gets_the_general_one(ask):
    hint = " ".join(read_questions()["weights"].hint.split())
    assert ask(Checker(), "weights", 7, 20) == f"Not correct. {hint}"


def test_a_correct_answer_is_explained_at_once(ask):
    assert ask(Checker(), "weights", np.int64(20), 20).startswith(CORRECT)
    reply = ask(Checker(), "higher", " Training", "training")
    assert reply.startswith("Yes, the answer is")


def test_a_percentage_is_shown_with_its_unit(ask):
    assert ask(Checker(), "digits", "show", 12.3).startswith("The answer is 12.3%. ")
    said = {"said": "shirt", "label": "coat", "count": 9, "digits": 95.9}
    reply = ask(Checker(), "fashion", 85, 85.3, **said)
    assert reply.startswith("Yes, the answer is 85.3%. ")


@pytest.mark.parametrize("answer", ["show", " Show"])
def test_the_answer_is_shown_on_request(ask, answer):
    check = Checker()
    reply = ask(check, "weights", answer, 20)
    assert reply.startswith("The answer is 20. The neuron has one")
    assert check.may_show("weights")


@pytest.mark.parametrize(
    "answer",
    [
        *("784", (15, 680), True, np.zeros(3), 1j),
        *(math.nan, math.inf, 10**400, Fraction(10**400)),
    ],
)
def test_a_malformed_answer_does_not_count_as_an_attempt(ask, answer):
    check = Checker()
    reply = "The answer must be one number without commas, such as 15680."
    for _ in range(3):
        assert ask(check, "weights", answer, 20) == reply
    assert not check.may_show("weights")


def test_none_does_not_count_as_an_attempt(ask):
    assert ask(Checker(), "pixels", None, 784).startswith("Replace None")


def test_hints_know_names_ranges_and_directions(ask):
    texts = read_questions()["misclassified"]
    values = {"share": 0.04, "correct_ones": 9_592, "training": 1_350}
    fits = {9_600: "correct_ones", 1_340: "training", 4.1: "0..20"}
    for answer, key in fits.items():
        reply = ask(Checker(), "misclassified", answer, 408, **values)
        assert reply == "Not correct. " + texts.wrong[key]
    stop = read_questions()["stop"]
    for answer, key in ((20, ">"), (3, "<")):
        hint = " ".join(stop.wrong[key].split())
        reply = ask(Checker(), "stop", answer, 15, loss=0.1)
        assert reply == f"Not correct. {hint}"
    most = {"output": "N13", "heaviest": "N14", "lowers": "N15"}
    reply = ask(Checker(), "most", "n115", "N11", weight=1, product=2, **most)
    assert reply == f"Not correct. {read_questions()['most'].hint}"
    assert "negative" in ask(
        Checker(), "most", "n15", "N11", weight=1, product=2, **most
    )


def test_a_hint_that_equals_the_correct_answer_is_not_given(ask):
    values = {"names": "N11", "active": 10, "image_0": 10}
    assert ask(Checker(), "zero", 10, 10, **values).startswith("Yes, the answer is 10.")


def test_a_students_answers_are_recorded_and_not_checked(ask):
    check = Checker("Ana.Ruiz", "course")
    assert ask(check, "weights", np.int64(784), 20) == "Your answer was recorded."
    assert ask(check, "higher", "TEST ", "training") == "Your answer was recorded."
    malformed = "Malformed: the answer must be "
    assert ask(check, "raw", "show", "lower").startswith(malformed)
    assert ask(check, "pixels", 10**400, 784).startswith(malformed)
    assert ask(check, "stop", None, 15, loss=0.1) == "No answer yet."
    assert not check.may_show("weights")
    assert check.recorded == {"weights": 784, "higher": "TEST"}
    assert " Your earlier answer is kept." in ask(check, "weights", "?", 20)
    assert ask(check, "weights", None, 20) == "No answer yet."
    assert check.recorded == {"weights": 784, "higher": "TEST"}


def test_students_read_in_the_notebook_that_recorded_answers_get_no_points():
    path = Path(pipeline.__file__).with_name("exercise.ipynb")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    texts = ["".join(x["source"]) for x in cells if x["cell_type"] == "markdown"]
    about = [text for text in (texts[0], texts[-1]) if "homework" in text]
    assert [text.count("get no points") for text in about] == [1, 1]


def test_homework_needs_a_valid_id_and_a_course():
    for names, message in (
        (("ana", ""), "COURSE is empty"),
        (("", "course"), "STUDENT is empty"),
        (("../a", "course"), "STUDENT must have 1 to 64"),
    ):
        with pytest.raises(ConfigError, match=message):
            Checker(*names)
