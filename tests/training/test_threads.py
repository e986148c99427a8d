"""PyTorch's settings belong to the process, so they are restored after a training."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch

from pipeline.training.threads import one_thread


def settings():
    """The number of threads, and whether a denormal number becomes 0."""
    return torch.get_num_threads(), torch.tensor(1e-39).mul(1).item() == 0


@pytest.mark.parametrize("flushes", [False, True])
def test_overlapping_trainings_use_one_thread_and_restore_the_settings(flushes):
    first_ended, second_started = Event(), Event()

    def first():
        with one_thread():
            second_started.wait(60)
        return settings()[1]

    def second():
        with one_thread():
            second_started.set()
            first_ended.wait(60)
            return settings()

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.set_flush_denormal(flushes)  # new threads inherit it
    with ThreadPoolExecutor() as threads:
        results = [threads.submit(first), threads.submit(second)]
        assert results[0].result(60) == flushes
        first_ended.set()
        assert results[1].result(60) == (1, True)
    with ThreadPoolExecutor() as threads:
        assert settings() == threads.submit(settings).result(60) == (3, flushes)
    torch.set_flush_denormal(False)
    torch.set_num_threads(before)
