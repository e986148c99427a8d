import pytest

from pipeline.datasets import REGISTRY
from pipeline.records import dataset_names


@pytest.fixture
def register(monkeypatch):
    """Return a function that adds a data set to the registry, or replaces it."""

    def add(spec):
        monkeypatch.setitem(REGISTRY, spec.name, spec)
        monkeypatch.setattr(dataset_names, "NAMES", (*REGISTRY,))

    return add
