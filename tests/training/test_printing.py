"""What a training run shows in the terminal."""

import re
import sys

from pipeline.training.printing import epoch_table


def test_the_progress_of_a_resumed_run_starts_where_it_resumes(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with epoch_table(total=20, done=12):
        pass
    text = capsys.readouterr().out
    assert "12/20" in text and " 0/20" not in text


def test_the_output_of_a_callback_follows_the_line_of_its_epoch(project):
    printed = project.call(
        "train",
        dataset="digits",
        epochs=2,
        hidden=2,
        tracking="none",
        on_epoch=lambda epoch: print("callback of epoch", epoch.number),
    )
    lines = re.findall(r"^ +(\d) .*|^(callback.*)", printed, re.MULTILINE)
    found = [number or text for number, text in lines]
    assert found == ["1", "callback of epoch 1", "2", "callback of epoch 2"]
