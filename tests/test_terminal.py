import sys

import pytest
from rich.console import Console

from pipeline.terminal import (
    next_steps,
    probability_bars,
    progress,
    progress_bar,
    status,
    table,
)


def test_progress_is_shown_on_a_terminal_only(capsys, monkeypatch):
    with status("reading"):
        assert [*progress("[red]reading[/red]")(range(5))] == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar(Console(force_terminal=True, width=80)) as bar:
        bar.advance(bar.add_task("images", total=4), 3)
    text = capsys.readouterr().out
    assert "images" in text and "3/4" in text
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with status("reading [1/2]"):
        pass
    text = capsys.readouterr().out
    assert "reading [1/2]" in text and text.endswith("\x1b[2K")  # erases the line


def test_a_table_aligns_numbers_right_and_text_left():
    rows = [["5", "[red]one[/red]"], ["1,000", "two"]]
    assert table(["bytes", "why"], rows, left=["why"]).split("\n") == [
        "bytes   why",
        "    5   [red]one[/red]",
        "1,000   two",
    ]


@pytest.mark.parametrize("count", [2, 3])
def test_a_table_wider_than_80_columns_wraps_its_text_and_cuts_no_number(count):
    numbers = ["9" * 30, "8" * 25, "7" * 10][:count]
    row = ["a name of several words", *numbers]
    text = table(["name", *"xyz"[:count]], [row], left=["name"])
    assert max(map(len, text.split("\n"))) <= 80 or count == 3
    assert {*numbers, "a", "of", "several", "words"} < {*text.split()}


def test_a_bar_of_40_characters_is_a_probability_of_1():
    assert probability_bars([0.0, 1.0], ["bag", "dress"]) == [
        "  bag      0.000%",
        f"  dress  100.000%  {'█' * 40}",
    ]


def test_next_steps_are_in_two_columns_if_they_fit_in_80():
    steps = next_steps({"python -m a": "does a", "python -m b c=1": "does b"})
    expected = "next   python -m a       does a\n       python -m b c=1   does b"
    assert steps == expected
    wide = next_steps({"python -m a": "does " + "a" * 60})
    assert wide == f"next   python -m a\n         does {'a' * 60}"
