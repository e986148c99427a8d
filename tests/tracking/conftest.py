import pytest

from pipeline import tracking
from pipeline.tracking.store import open_store


@pytest.fixture
def store(empty_store, tmp_path):
    """The folder of an empty store."""
    empty_store(tmp_path)
    return tmp_path


@pytest.fixture
def client(store):
    """A client of that store."""
    return open_store(store).client


@pytest.fixture
def tracker(store):
    """A tracker that records in that store."""
    return tracking.open_tracker("mlflow", store, server=None)


@pytest.fixture(scope="session")
def start_run():
    """Return a function that starts a run in a store."""

    def start(folder, *, lease="digest/one", tags=None, server=None):
        tracker = tracking.open_tracker("mlflow", folder, server=server)
        return tracker.start_run(
            name="a name", params={"hidden": 20}, tags=tags or {}, lease=lease
        )

    return start
