"""What a training run shows in the terminal."""

import sys

from pipeline.core.epoch import Epoch
from pipeline.training.printing import print_epochs


def test_the_progress_of_a_resumed_run_starts_where_it_resumes(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    printed = print_epochs([Epoch({}, number=13)], total=20, done=12)
    next(printed)
    printed.close()
    text = capsys.readouterr().out
    assert "12/20" in text and " 0/20" not in text
