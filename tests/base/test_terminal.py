import sys

from rich.console import Console

from pipeline.base.progress import busy, progress, progress_bar
from pipeline.base.text import wrap


def test_progress_is_shown_only_on_a_terminal(capsys, monkeypatch):
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
