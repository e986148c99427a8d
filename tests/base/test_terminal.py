import sys

import pytest
from rich.console import Console

from pipeline.base.console import progress, progress_bar
from pipeline.base.terminal import busy, wrap
from pipeline.base.text import shortened, table


def test_progress_is_shown_on_a_terminal_only(capsys, monkeypatch):
    with busy("reading"):
        assert [*progress("[red]reading[/red]")(range(5))] == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar(Console(force_terminal=True, width=80)) as bar:
        bar.advance(bar.add_task("images", total=4), 3)
    text = capsys.readouterr().out
    assert "images" in text and "3/4" in text
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with busy("reading [1/2]"):
        pass
    text = capsys.readouterr().out
    assert "reading [1/2]" in text and text.endswith("\x1b[2K")  # erases the line


def test_a_paragraph_keeps_the_spaces_of_a_name_but_not_the_lines_of_a_template():
    assert wrap("\nimage  7.png:\n\n  The network\npredicts 7.\n") == (
        "image  7.png: The network predicts 7."
    )


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


def test_a_long_name_keeps_its_start_and_its_end():
    assert shortened("7_a.png", 7) == "7_a.png"
    assert shortened("7_sheet-on-table.jpg", 9) == "7_sh\u2026.jpg"
    assert shortened("7_sheet-on-table.jpg", 8) == "7_s\u2026.jpg"
