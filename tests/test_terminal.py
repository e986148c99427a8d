import sys

from rich.console import Console

from pipeline.terminal import (
    next_steps,
    probability_bars,
    progress,
    progress_bar,
    status,
    table,
)


def test_a_progress_bar_is_shown_on_a_terminal_only(capsys, monkeypatch):
    assert [*progress("[red]reading[/red]")(range(5))] == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("TERM", "xterm")
    console = Console(force_terminal=True, width=80)
    with progress_bar(console) as bar:
        task = bar.add_task("images", total=4)
        bar.advance(task, 3)
    shown = capsys.readouterr().out
    assert "images" in shown and "3/4" in shown


def test_a_status_line_is_shown_on_a_terminal_only_and_removed(capsys, monkeypatch):
    with status("reading"):
        pass
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with status("reading [1/2]"):
        pass
    shown = capsys.readouterr().out
    assert "reading [1/2]" in shown and shown.endswith("\x1b[2K")  # erases the line


def test_a_table_aligns_numbers_right_and_text_left():
    rows = [["5", "[red]one[/red]"], ["1,000", "two"]]
    assert table(["bytes", "why"], rows, left=["why"]).split("\n") == [
        "bytes   why",
        "    5   [red]one[/red]",
        "1,000   two",
    ]


def test_a_table_wider_than_80_columns_wraps_its_text_and_cuts_no_number():
    numbers = ["9" * 30, "8" * 25]
    for count in (2, 3):
        rows = [["a name of several words", *numbers, "7" * 10][: count + 1]]
        lines = table(["name", "x", "y", "z"][: count + 1], rows, left=["name"])
        assert max(map(len, lines.split("\n"))) <= 80 or count == 3
        assert {*rows[0][1:]} < {*lines.split()}
        assert {"a", "of", "several", "words"} < {*lines.split()}


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
