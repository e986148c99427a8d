import sys

import pytest
from rich.console import Console

from pipeline.console import progress, progress_bar, table
from pipeline.terminal import status


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


@pytest.mark.parametrize("count", [2, 3])
def test_a_table_wider_than_80_columns_wraps_its_text_and_cuts_no_number(count):
    numbers = ["9" * 30, "8" * 25, "7" * 10][:count]
    row = ["a name of several words", *numbers]
    text = table(["name", *"xyz"[:count]], [row], left=["name"])
    assert max(map(len, text.split("\n"))) <= 80 or count == 3
    assert {*numbers, "a", "of", "several", "words"} < {*text.split()}
