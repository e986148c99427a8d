import signal

import pytest

from pipeline.execution.interrupt import delayed_interrupt
from pipeline.training.recorded_training import until_interrupt


@pytest.mark.parametrize("stopped", [None, []])
def test_ctrl_c_stops_after_the_epoch_and_a_second_one_at_once(capsys, stopped):
    stop = () if stopped is None else [lambda: stopped.append(True)]
    with delayed_interrupt("stopping soon", *stop) as interrupt:
        epochs = until_interrupt(range(1, 4), interrupt)
        assert next(epochs) == 1
        signal.raise_signal(signal.SIGINT)
        assert capsys.readouterr().err.startswith("stopping soon (press Ctrl-C again")
        with pytest.raises(KeyboardInterrupt, match="stopped after epoch 1"):
            next(epochs)
        with pytest.raises(KeyboardInterrupt, match=r"^stopped: run the same command"):
            signal.raise_signal(signal.SIGINT)
    assert stopped in (None, [True])


@pytest.mark.parametrize("epochs", [range(1, 3), range(3, 3)])
def test_ctrl_c_after_the_last_epoch_says_that_all_epochs_are_trained(capsys, epochs):
    with delayed_interrupt("stopping after this epoch") as interrupt:
        assert [*until_interrupt(epochs, interrupt)] == [*epochs]
        signal.raise_signal(signal.SIGINT)
    text = "not stopping, because all epochs are trained (press Ctrl-C again"
    assert capsys.readouterr().err.startswith(text)


def test_an_ignored_ctrl_c_stays_ignored():
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as with nohup
    try:
        with delayed_interrupt("stopping soon") as interrupt:
            signal.raise_signal(signal.SIGINT)
            assert not interrupt.requested
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
