import pytest
from rich.cells import cell_len

from pipeline.base.tables import table


@pytest.mark.parametrize("count", [2, 3])
def test_a_table_wider_than_80_columns_wraps_its_text_and_cuts_no_number(count):
    numbers = ["9" * 30, "8" * 25, "7" * 10][:count]
    row = ["a name of several words", *numbers]
    text = table(["name", *"xyz"[:count]], [row], left=["name"])
    assert max(map(len, text.split("\n"))) <= 80 or count == 3
    assert {*numbers, "a", "of", "several", "words"} < {*text.split()}


@pytest.mark.parametrize(("length", "alone"), [(15, False), (16, True), (60, True)])
def test_a_name_that_is_too_long_for_its_column_has_its_own_line(length, alone):
    name, numbers = "x" * length, ["123456", "1234567890", *["1234567"] * 5]
    rows = [["mnist", *numbers], [name, *numbers]]
    lines = table(["set", "images", *"abcdef"], rows, left=["set"]).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["mnist", *numbers]
    rest = [line.split() for line in lines[2:]]
    assert rest == ([[name], numbers] if alone else [[name, *numbers]])
    assert lines[-1][-63:] == lines[1][-63:]  # the columns stay aligned


def test_columns_stay_aligned_next_to_letters_of_two_columns_or_none():
    names = ["数字", "e\u0301", "a\u200bb", "digits"]
    lines = table(["set", "n"], [[name, "5"] for name in names], left=["set"])
    before = [line[:-1] for line in lines.splitlines()]
    aligned = ["数字     ", "e\u0301        ", "a\u200bb       ", "digits   "]
    assert before[1:] == aligned


@pytest.mark.parametrize("text", ["数字 手写 " * 12, "手写数字" * 20, "数e\u0301" * 50])
def test_text_of_letters_that_are_two_columns_wide_wraps_to_80_columns(text):
    row = ["mnist", "12345", f"why: {text}"]
    lines = table(
        ["set", "n", "x", ""], [[*row[:2], "9" * 20, row[2]]], left=["set", ""]
    )
    assert max(map(cell_len, lines.split("\n"))) <= 80
    (_, first, *others) = lines.split("\n")
    start = cell_len(first[: first.index("why: ")])
    assert others and all(line[:start].isspace() for line in others)
    assert "".join(lines.split()[6:]) == f"why:{text.replace(' ', '')}"
