"""What answers.json may contain, and what is wrong with other files."""

import json
import re

import pytest

from pipeline import UserError
from pipeline.teaching.answers import (
    MAX_BYTES,
    new_answers,
    read_answers,
    record_notebook,
)
from pipeline.teaching.questions import QUESTIONS
from pipeline.teaching.variant import Variant

NAMES = [question.name for question in QUESTIONS]


def content(answers, **others):
    return json.dumps({"id": "ana.ruiz", "answers": answers, **others}).encode()


def test_a_new_file_contains_the_id_the_course_and_null_for_each_question():
    answers = read_answers(new_answers(Variant.of("Zoë", "Course")))
    assert (answers.student, answers.course) == ("zoë", "course")
    assert answers.missing == NAMES
    assert not answers.numbers and not answers.problems and not answers.notebook


def test_integers_and_other_numbers_are_answers():
    typed = '{"id": " ANA.Ruiz ", "answers": {"logit": -2e-3, "parameters": 15910}}'
    answers = read_answers(typed.encode())
    assert answers.student == "ana.ruiz"
    assert answers.numbers == {"logit": -0.002, "parameters": 15910.0}
    assert {*answers.missing} == {*NAMES} - {"logit", "parameters"}


@pytest.mark.parametrize("typed", ["37708", "-3.14", " 3.5 ", "1.2e-5"])
def test_a_plain_number_in_quotes_is_read_as_the_number(typed):
    answers = read_answers(content({"logit": typed}))
    assert (answers.numbers, answers.problems) == ({"logit": float(typed)}, {})


@pytest.mark.parametrize("typed", ["4.000", '"4.000"', "54.096", '" 54.096 "'])
def test_a_point_that_may_separate_thousands_is_malformed_in_a_whole_number(typed):
    text = f'{{"id": "a", "answers": {{"parameters": {typed}, "logit": {typed}}}}}'
    answers, number = read_answers(text.encode()), typed.strip('" ')
    rule = "must be a whole number without a decimal point, such as 4 or 4000"
    assert answers.problems == {"parameters": f"{rule}, got {number}"}
    assert answers.numbers == {"logit": float(number)}


@pytest.mark.parametrize("typed", ["4.0", "4.00", "4000.0", "4.0000", "4e3", '"4.0"'])
def test_a_whole_number_with_other_decimals_is_read(typed):
    text = f'{{"id": "a", "answers": {{"parameters": {typed}}}}}'
    assert read_answers(text.encode()).numbers["parameters"] in (4, 4000)


def test_a_byte_order_mark_is_accepted():
    assert read_answers(b"\xef\xbb\xbf" + content({"logit": 1})).numbers == {"logit": 1}


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ('"3.5 kg"', 'without quotes, such as 3.5, got "3.5 kg"'),
        ('"3,5"', 'must be a number without a comma, such as 54096 or 3.5, got "3,5"'),
        ('"1 000"', 'got "1 000"'),
        ('"0x1F"', 'got "0x1F"'),
        ('"\u22122.5"', 'got "\u22122.5": replace the minus sign with the hyphen -'),
        ('" .5"', 'got " .5": write 0.5 instead of .5'),
        ('"1_000"', 'got "1_000"'),
        ('"inf"', 'got "inf"'),
        ('"\u0663"', 'got "\u0663"'),
        ('""', 'got ""'),
        ('"1e999"', "below 1e308, got inf"),
        ('"=cmd\\n<b>"', 'got "=cmd\ufffd<b>"'),
        ("true", "got true or false"),
        ("[1]", "got a list"),
        ('{"a": 1}', "got an object"),
        ("1e999", "below 1e308"),
        ("9" * 400, "below 1e308"),
        ("9" * 5000, "below 1e308, got inf"),
        ("NaN", "below 1e308, got nan"),
        ("-Infinity", "below 1e308, got -inf"),
    ],
)
def test_a_malformed_answer_is_a_problem_and_all_others_are_read(typed, problem):
    text = f'{{"id": "a", "answers": {{"logit": {typed}, "parameters": 1}}}}'
    answers = read_answers(text.encode())
    assert answers.numbers == {"parameters": 1.0}
    assert problem in answers.problems["logit"]
    assert "logit" not in answers.missing


@pytest.mark.parametrize(
    ("name", "typed", "problem"),
    [
        ("multiplications", 12.5, "must be a whole number of at least 0, got 12.5"),
        ("misclassified", -3, "must be a whole number of at least 0, got -3"),
        ("largest_product", 784, "must be a whole number from 0 to 783, got 784"),
        ("scaled_layer", -0.5, "must be a number from 0 to 100, got -0.5"),
    ],
)
def test_a_number_that_cannot_be_correct_is_a_problem_and_is_not_graded(
    name, typed, problem
):
    answers = read_answers(content({name: typed, "logit": -0.5}))
    assert answers.problems == {name: problem}
    assert answers.numbers == {"logit": -0.5}


def test_keys_that_are_not_graded_do_not_matter():
    answers = read_answers(content({"logit": 1}, name="Ana", notebook=3))
    assert (answers.numbers, answers.notebook) == ({"logit": 1.0}, 0)


def test_unknown_names_are_problems_but_not_too_many():
    answers = read_answers(content({f"x{k}": 1 for k in range(1000)} | {"logit": 1}))
    assert answers.numbers == {"logit": 1.0}
    assert 0 < len(answers.problems) <= 20


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        (b"", "is not JSON: Expecting value in line 1, column 1"),
        (
            b'{"id": "a",\n "answers": {"logit": -3,5}}',
            "write numbers as 54096 or 3.5, without a comma, in line 2, column 26",
        ),
        (
            b'{"answers": {"logit": 3, "x": 4,}}',
            "remove the comma after the last answer, at the end of line 1$",
        ),
        (
            b'{"id": "a",\n "answers": {\n  "logit": 3,\n\n }\n}',
            "remove the comma after the last answer, at the end of line 3$",
        ),
        *(
            (
                b'{"id": "a",\n "answers": {\n  "x": %s,\n  "y": 4}}' % value,
                "write only a number, such as 3.5, in line 3, got "
                + (re.escape(value.decode()) or "nothing"),
            )
            for value in (b"66%", b"9449 images", b"100*784+1", b"N12", b"")
        ),
        *(
            (
                f'{{"id": "a",\n "answers": {{\n  "x": {typed},\n  "y": 4}}}}'.encode(),
                f"is not JSON: {remedy}, in line 3, got {typed}$",
            )
            for typed, remedy in (
                ("\u22123.63733", "replace the minus sign with the hyphen -"),
                ("\u20134", "replace the minus sign with the hyphen -"),
                (".5", "write 0.5 instead of .5"),
                ("-.25", "write -0.25 instead of -.25"),
                ("09240", "remove the leading zeros"),
                ("-007.5", "remove the leading zeros"),
            )
        ),
        (b'{"id": a, "answers": {}}', "Expecting value in line 1, column 8"),
        (b'{"answers": {"logit": 3', "Expecting ',' delimiter in line 1, column 24"),
        (b'{"answers": {"logit": 3 "x": 4}}', "Expecting ',' delimiter in line 1, col"),
        (
            b'{"id": "a",\n "answers": {"logit": 3\n\n  "x": 4}}',
            "a comma is missing at the end of line 2$",
        ),
        (b'{"id": "a",\n "answers": {}\n', "Expecting ',' delimiter in line 3"),
        (b'{"id": "a" "answers": {}}', "Expecting ',' delimiter in line 1, column 12"),
        (
            '{"id": "a",\n “answers”: {}}'.encode(),
            'replace the curly quotes with ", in line 2, got “',
        ),
        (
            '{"id": "a",\n "answers": {"logit": „3.5“}}'.encode(),
            'replace the curly quotes with ", in line 2, got „',
        ),
        (
            '{"id": "a",\n "answers": {"logit": "3.5”}}'.encode(),
            'replace the curly quotes with ", in line 2, got ”',
        ),
        (b"\xff{}", "must be text: save it as UTF-8"),
        (b"[1]", "must contain"),
        (b'{"id": "a"}', "must contain"),
        (b'{"id": "a", "answers": []}', "must contain"),
        (b'{"answers": {}}', 'id must be text in quotes, such as "ana.ruiz"'),
        (b'{"id": 1.0, "answers": {}}', "id must be text in quotes"),
        (b'{"id": 9007199254740993, "answers": {}}', "id must be text in quotes"),
        (b'{"id": "../a", "answers": {}}', "id must have 1 to 64 characters"),
        (b'{"id": "a\\u0000", "answers": {}}', "id must have 1 to 64 characters"),
        (b'{"id": "a", "id": "b", "answers": {}}', "'id' must not occur twice"),
        (b'{"id": "a", "answers": {"logit": 1, "logit": 2}}', "'logit' must not occur"),
        (b"[" * 50_000, "is nested too deeply"),
        (b" " * (MAX_BYTES + 1), "must have at most 100,000 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_reported_in_one_line(typed, problem):
    with pytest.raises(UserError, match=rf"^answers.json.*{problem}") as error:
        read_answers(typed)
    assert "\n" not in str(error.value) and len(str(error.value)) < 250


def test_the_record_of_the_notebook_is_stored_and_the_answers_stay(tmp_path):
    path = tmp_path / "answers.json"
    path.write_bytes(content({"logit": 1.5}, notebook={"old": 1}))
    record_notebook(path, {"section 1": 784, "section 6": "N11"})
    answers = read_answers(path.read_bytes())
    assert (answers.notebook, answers.numbers) == (2, {"logit": 1.5})
    stored = json.loads(path.read_text())["notebook"]
    assert stored == {"section 1": 784, "section 6": "N11"}


def test_an_answer_with_more_digits_than_python_reads_is_malformed_and_can_stay(
    tmp_path,
):
    path = tmp_path / "answers.json"
    path.write_text(f'{{"id": "a", "answers": {{"logit": {"9" * 5000}}}}}')
    before = read_answers(path.read_bytes())
    record_notebook(path, {"section 1": 784})
    answers = read_answers(path.read_bytes())
    assert answers.problems == before.problems and answers.problems.keys() == {"logit"}
    assert answers.notebook == 1


def test_an_id_without_quotes_and_a_file_in_utf_16_are_read():
    text = '{"id": 2026017, "course": "c", "answers": {"logit": 3.5}}'
    expected = read_answers(text.replace("2026017", '"2026017"').encode())
    assert expected.student == "2026017"
    for encoding in ("utf-8", "utf-16"):
        assert read_answers(text.encode(encoding)) == expected
