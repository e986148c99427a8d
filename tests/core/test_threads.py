"""PyTorch's settings belong to the process, so they are restored after a training."""

import pytest
import torch

from pipeline.core.threads import one_thread


def settings():
    """The number of threads, and whether a denormal number becomes 0."""
    return torch.get_num_threads(), torch.tensor(1e-39).mul(1).item() == 0


@pytest.mark.parametrize("flushes", [False, True])
def test_the_settings_are_restored_after_the_last_of_several_trainings(flushes):
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
