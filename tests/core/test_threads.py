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


def test_a_block_does_not_change_python_threads_that_have_not_used_pytorch():
    numbers, entered, ended = [], Event(), Event()

    def overlapping():
        with one_thread():  # the first use of PyTorch in this Python thread
            numbers.append(torch.get_num_threads())
            entered.set()
            ended.wait()
        numbers.append(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    other = Thread(target=overlapping)
    with one_thread():
        other.start()
        entered.wait()
    ended.set()
    other.join()
    new = Thread(target=lambda: numbers.append(torch.get_num_threads()))
    new.start()
    new.join()
    torch.set_num_threads(before)
    assert numbers == [1, 3, 3]


def test_overlapping_blocks_restore_the_settings_in_each_python_thread():
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    seen, entered, ended = [], Event(), Event()
    factors = torch.rand(2, 100, 100, generator=torch.Generator().manual_seed(1))
    torch.set_float32_matmul_precision("highest")
    expected = torch.mm(*factors)

    def last():
        torch.set_num_threads(2)
        with one_thread():
            entered.set()
            ended.wait()
            seen.append(torch.get_num_threads())
            seen.append(torch.backends.mkldnn.enabled)
            seen.append(torch.equal(torch.mm(*factors), expected))
        seen.append(torch.get_num_threads())

    other = Thread(target=last)
    torch.set_num_threads(3)
    torch.set_float32_matmul_precision("medium")
    with one_thread():
        other.start()
        entered.wait()
    threads = torch.get_num_threads()
    ended.set()
    other.join()
    precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])
    assert seen == [1, False, True, 2]
    assert (threads, precision) == (3, "medium")
    assert torch.backends.mkldnn.enabled
