import pytest
import torch

from pipeline.model import Network


@pytest.fixture(scope="session")
def new_network():
    """Return a function that makes an untrained network."""

    def make(hidden, seed=1):
        return Network(hidden=hidden, generator=torch.Generator().manual_seed(seed))

    return make
