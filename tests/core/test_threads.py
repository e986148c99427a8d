"""A training run restores PyTorch's settings, because they belong to the process."""

from threading import Event, Thread

import pytest
import torch

from pipeline.core.threads import one_thread


def settings():
    """Return the number of threads, and whether a denormal number becomes 0."""
    denormal = torch.tensor(1e-39, dtype=torch.float32)
    return torch.get_num_threads(), denormal.mul(1).item() == 0


@pytest.mark.parametrize("flushes", [False, True])
def test_the_last_of_several_training_runs_restores_the_settings(flushes):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.set_flush_denormal(flushes)
    with one_thread():
        with one_thread():
            pass
        assert settings() == (1, True)
    assert settings() == (3, flushes)
    torch.set_flush_denormal(False)
    torch.set_num_threads(before)


def test_the_last_of_overlapping_blocks_in_several_python_threads_restores_them():
    before, counts = torch.get_num_threads(), []
    entered, ended = Event(), Event()

    def last():
        with one_thread():
            entered.set()
            ended.wait()
            counts.append(torch.get_num_threads())
        counts.append(torch.get_num_threads())

    other = Thread(target=last)
    torch.set_num_threads(3)
    with one_thread():
        other.start()
        entered.wait()
    ended.set()
    other.join()
    torch.set_num_threads(before)
    assert counts == [1, 3]
