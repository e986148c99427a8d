from pathlib import Path

import pytest
from rich.console import Console

from pipeline.cli.terminal import progress, progress_bar
from pipeline.files import printable


@pytest.mark.parametrize("text", ["7 ü'.png", "数字.png", "a\u00e9😀", "x = 1; y"])
def test_what_people_write_stays_as_it_is(text):
    assert printable(text) == printable(Path(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2Jgone",  # clears the screen
        "\x1b]0;title\x07",
        "over\rwritten",
        "two\nlines",
        "\x9b31m",  # as \x1b[ in one character
        "gnp.\u202e7",  # turns the order of letters round
        "\udcff.png",  # a byte that is no text
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_a_sign(text):
    shown = printable(text)
    assert shown.isprintable() and "\ufffd" in shown and len(shown) == len(text)


def test_progress_passes_all_on_and_shows_nothing_where_there_is_no_terminal(capsys):
    assert [*progress("[red]reading[/red]")(range(5))] == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""


def test_on_a_terminal_a_bar_shows_how_far_it_has_come(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen = Console(force_terminal=True, width=80)
    with progress_bar(screen) as shown:
        task = shown.add_task("pictures", total=4)
        shown.advance(task, 3)
        shown.refresh()
        assert "pictures" in capsys.readouterr().out
    assert "3/4" in capsys.readouterr().out
