"""What a training run shows in the terminal."""

import sys

from pipeline.core.epoch import Epoch
from pipeline.core.network import snapshot
from pipeline.training.printing import print_epochs


def test_the_progress_of_a_resumed_run_starts_where_it_resumes(
    new_network, capsys, monkeypatch
):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    epoch = Epoch(snapshot(new_network(20)), number=13)
    printed = print_epochs([epoch], total=20, done=12)
    next(printed)
    printed.close()
    text = capsys.readouterr().out
    assert "12/20" in text and " 0/20" not in text
