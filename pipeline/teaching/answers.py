"""The file answers.json of a student, which is not trusted."""

import codecs
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import UserError
from pipeline.base.files import as_json, write_atomic
from pipeline.base.text import printable
from pipeline.records.student_ids import normalize, student_id
from pipeline.teaching.questions import QUESTIONS, REMOVED, questions_for
from pipeline.teaching.variant import Variant

FILE = "answers.json"
MAX_BYTES = 100_000
NOTEBOOK = "notebook"  # the key of the answers that the notebook recorded
MAX_PROBLEMS = 20  # unknown names in one file
# A number in quotes, in the form that JSON gives numbers.
QUOTED = re.compile(r"\s*-?\d+(\.\d+)?([eE][+-]?\d+)?\s*", re.ASCII)
# Some languages separate thousands by this character: 4.000 can mean 4000.
THOUSANDS = re.compile(r"\s*-?\d{1,3}\.\d{3}\s*", re.ASCII)
CURLY = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"  # quotes of text programs
MINUS = re.compile("[\u2010-\u2015\u2212\ufe63\uff0d](?=[\\d.])")  # not the hyphen
DECIMAL_COMMA = re.compile(r"\d,\s*\d\Z")
# The name of a question, and the characters after the colon that belong to a number.
BEGUN = re.compile(r'"(?!id"|course")\w+"\s*:\s*([^\s",{}\[\]]*) *\Z')


@dataclass(frozen=True)
class Answers:
    """The answers of a student."""

    student: str  # the normalized ID
    course: str  # the normalized course code
    numbers: Mapping[str, float]  # the graded answers, by name of the question
    # The malformed answers, by name, and the reason for each: the value is not a
    # number, or a number that cannot be right. null is a missing answer, not a problem.
    problems: Mapping[str, str] = field(default_factory=dict)
    notebook: int = 0  # the number of answers that the notebook recorded

    @property
    def missing(self) -> list[str]:
        """The names of the questions without an answer."""
        names = (question.name for question in QUESTIONS)
        return [x for x in names if x not in self.numbers and x not in self.problems]

    def course_problem(self, course: str) -> str:
        """Return a one-line message if the answers are for another course, or ""."""
        if self.course == course:
            return ""
        found = f"the course {_short(self.course)}" if self.course else "no course"
        return (
            f"{FILE} is for {found}, not {course}: each course has its own seeds "
            "and questions"
        )


class _Decimal(float):
    """A number with a decimal point, and the text that was typed, such as 4.000."""

    def __init__(self, text: str) -> None:
        self.text = text


def read_answers(content: bytes) -> Answers:
    """Read the content of answers.json, which is not trusted.

    Raises:
        UserError: If the file cannot be used as a whole; the message is one line.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f"{FILE} must have at most {MAX_BYTES:,} bytes")
    try:
        stored = json.loads(
            _text(content),
            parse_int=float,  # accepts any number of digits
            parse_float=_Decimal,
            object_pairs_hook=_unique,
        )
    except UnicodeDecodeError:
        raise UserError(f"{FILE} must be text: save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{FILE} is not JSON: {_json_problem(error)}") from None
    except RecursionError:
        raise UserError(f"{FILE} is nested too deeply") from None
    except ValueError as error:  # a duplicate
        raise UserError(f"{FILE}: {_short(error)}") from None
    if not isinstance(stored, dict) or not isinstance(stored.get("answers"), dict):
        raise UserError(f'{FILE} must contain {{"id": ..., "answers": {{...}}}}')
    recorded = stored.get(NOTEBOOK)
    count = len(recorded) if isinstance(recorded, dict) else 0
    student, course = _student(stored.get("id")), stored.get("course")
    course = normalize(course) if isinstance(course, str) else ""
    return Answers(student, course, *_sort(stored["answers"]), count)


def _text(content: bytes) -> str:
    # Some editors write a byte order mark; UTF-16 always begins with one.
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf_16 else "utf-8-sig")


def _json_problem(error: json.JSONDecodeError) -> str:
    """Return what is wrong with a text, and how to correct a typical mistake."""
    place = f"line {error.lineno}, column {error.colno}"
    if curly := [x for x in error.doc.split("\n")[error.lineno - 1] if x in CURLY]:
        return (
            f'replace the curly quotes with ", in line {error.lineno}, got {curly[0]}'
        )
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :]
    line = before.count("\n") + 1
    # Newer versions of Python report a comma before a bracket at the comma's position.
    commas = error.doc[: error.pos + 1].rstrip("]} \t\r\n")
    if DECIMAL_COMMA.search(error.doc[: error.pos + 1]):
        return f"write numbers as 54096 or 3.5, without a comma, in {place}"
    if commas.endswith(",") and error.doc[len(commas) :].lstrip()[:1] in ("}", "]"):
        last = commas.count("\n") + 1
        return f"remove the comma after the last answer, at the end of line {last}"
    if "," in error.msg and after and line < error.lineno:
        return f"a comma is missing at the end of line {line}"
    rest = re.split(r"[,}\n]", after)[0].strip()
    begun = BEGUN.search(error.doc[: error.pos])
    if begun and after and not rest.startswith('"'):
        typed = error.doc[begun.start(1) : error.pos] + rest
        rule = _remedy(typed) or "write only a number, such as 3.5"
        return f"{rule}, in line {line}, got {_short(typed) or 'nothing'}"
    return f"{error.msg} in {place}"


def _remedy(typed: str) -> str:
    """Return how to correct text that only looks like a number in JSON, or ""."""
    if MINUS.match(typed):
        return "replace the minus sign with the hyphen -"
    if re.fullmatch(r"-?\.[0-9]+", typed):
        right = typed.replace(".", "0.")
        return f"write {_short(right)} instead of {_short(typed)}"
    is_padded = re.fullmatch(r"-?0[0-9]+(\.[0-9]+)?", typed)
    return "remove the leading zeros" if is_padded else ""


def _student(value: object) -> str:
    if type(value) is float and value < 2**53:  # without quotes; larger: not exact
        value = f"{value:.0f}"
    if not isinstance(value, str):
        raise UserError(f'{FILE}: id must be text in quotes, such as "ana.ruiz"')
    try:
        return student_id(value)
    except ValueError as error:
        raise UserError(f"{FILE}: id {error}, got {_short(value)!r}") from None


def _sort(given: Mapping[str, object]) -> tuple[dict[str, float], dict[str, str]]:
    """Return the answers that are graded, and the problem of each other answer."""
    names = [question.name for question in QUESTIONS]
    numbers, problems = {}, {}
    for question in QUESTIONS:
        if (value := given.get(question.name)) is None:
            continue
        try:
            number = _number(value, whole=question.form.whole)
            question.form.check(number)
            numbers[question.name] = number
        except ValueError as error:
            problems[question.name] = str(error)
    for name in [name for name in given if name not in names][:MAX_PROBLEMS]:
        unknown = "is not the name of a question"
        problems[_short(name)] = "is no longer graded" if name in REMOVED else unknown
    return numbers, problems


def _number(value: object, *, whole: bool) -> float:
    if isinstance(value, str) and QUOTED.fullmatch(value):
        value = _Decimal(value)
    if isinstance(value, str) and "," in value:
        raise ValueError(
            "must be a number without a comma, such as 54096 or 3.5, "
            f'got "{_short(value)}"'
        )
    if not isinstance(value, float):
        kinds = {bool: "true or false", str: f'"{_short(value)}"', list: "a list"}
        got = kinds.get(type(value), "an object")
        remedy = _remedy(value.strip()) if isinstance(value, str) else ""
        more = f": {remedy}" * bool(remedy)
        raise ValueError(
            f"must be a number without quotes, such as 3.5, got {got}{more}"
        )
    if not math.isfinite(value):
        raise ValueError(f"must be a number below 1e308, got {value}")
    text = value.text if isinstance(value, _Decimal) else ""
    if whole and THOUSANDS.fullmatch(text):
        raise ValueError(
            "must be a whole number without a decimal point, such as 4 or 4000, "
            f"got {text.strip()}"
        )
    return float(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {_short(twice)!r} must not occur twice")
    return found


def _short(value: object) -> str:
    """Return untrusted text in one line."""
    return printable(str(value))[:60]


def new_answers(variant: Variant) -> bytes:
    """Return the content of answers.json without answers."""
    names = dict.fromkeys(question.name for question in questions_for(variant))
    about = {"id": variant.student, "course": variant.course}
    return as_json({**about, "answers": names}).encode()


def record_notebook(path: Path, recorded: Mapping[str, object]) -> None:
    """Write what the notebook recorded to answers.json, and keep the answers.

    Raises:
        UserError: If the file cannot be used as a whole.
    """
    read_answers(content := path.read_bytes())
    stored = json.loads(_text(content), parse_int=_whole)
    write_atomic(path, as_json({**stored, NOTEBOOK: dict(recorded)}).encode())


def _whole(digits: str) -> int | float:
    """Return a whole number; a number that is too large for an answer is infinite."""
    return int(digits) if math.isfinite(number := float(digits)) else number
