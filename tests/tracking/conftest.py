import shlex
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image

from pipeline import tracking
from pipeline.base.helper_process import HelperProcess
from pipeline.core.epoch import now
from pipeline.model import storage
from pipeline.tracking import (
    OpenRun,
    RunStart,
    Tracker,
    copying_process,
    open_run,
    server_request,
    sync,
)
from pipeline.tracking.copies.copies import connect
from pipeline.tracking.store.client import open_store
from pipeline.training.program import export_network


class DirectRun:
    """An open run of this process; tests call its `MlflowRun` without `record`."""

    def __init__(self, run):
        self.opened, self.recorded = run, open_run._runs[run._key]

    def __getattr__(self, name):
        of_opened = hasattr(OpenRun, name)
        return getattr(self.opened if of_opened else self.recorded, name)

    @contextmanager
    def child(self, start, **options):
        with self.opened.child(start, **options) as child:
            yield DirectRun(child)


class DirectTracker(Tracker):
    """A tracker whose runs are `DirectRun` objects."""

    @contextmanager
    def start_run(self, **options):
        with super().start_run(**options) as run:
            yield DirectRun(run)

    @contextmanager
    def reopen_run(self, **options):
        with super().reopen_run(**options) as run:
            yield DirectRun(run)


@pytest.fixture(scope="session")
def lasting_helper():
    """One helper process for several tests, because each new one would import MLflow.

    It can import the modules of these tests.
    """

    class Lasting(HelperProcess):
        def close(self):
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        helper = Lasting("the lasting helper process", channels=2, quiet=True)
    yield helper
    HelperProcess.close(helper)


@pytest.fixture
def same_helper(lasting_helper, monkeypatch):
    """Make all copies and requests in one process, except those of commands."""

    def start(*_, **__):
        # A new process would not remember what was sent.
        lasting_helper.submit(connect.cache_clear)
        return lasting_helper

    for module in (copying_process, server_request, sync):
        monkeypatch.setattr(module, "HelperProcess", start)


@pytest.fixture
def store(empty_store, tmp_path):
    """The folder of an empty store."""
    empty_store(tmp_path)
    return tmp_path


@pytest.fixture
def client(store):
    """A client of that store, which has the experiment digits."""
    client = open_store(store)
    assert client.find_or_create_experiment("digits").experiment_id == "1"
    return client


@pytest.fixture
def tracker(store):
    """A tracker that records in that store."""
    return DirectTracker(store, server=None, experiment="digits")


@pytest.fixture
def run_command(monkeypatch):
    """Return a function that runs the shell command of a message in this process."""
    import mlflow
    from mlflow.cli import cli

    def run(command):
        setting, program, *arguments = shlex.split(command)
        assert program == "mlflow"
        mlflow.set_tracking_uri(None)  # otherwise, the variable would be ignored
        monkeypatch.setenv(*setting.split("=", 1))
        cli.main(arguments, standalone_mode=False)

    return run


@pytest.fixture(scope="session")
def network_files(tmp_path_factory, new_network):
    """The file of an untrained network, and its program."""
    folder = tmp_path_factory.mktemp("network")
    path, exported = folder / "model.safetensors", folder / "model.pt2"
    storage.save_network(path, new_network(3))
    export_network(path, exported, hidden=3)
    return path, exported


@pytest.fixture(scope="session")
def start_run():
    """Return a function that starts a run in a store."""

    def start(folder, *, server=None, experiment="digits", **options):
        tracker = DirectTracker(folder, server=server, experiment=experiment)
        run = {"name": "a name", "params": {"hidden": 20}, "tags": {}, "time": now()}
        return tracker.start_run(**run | options)

    return start


@pytest.fixture(scope="session")
def record_sweep(start_run):
    """Return a function that records a sweep of two training runs; one has failed."""

    def record(folder, *, server=None):
        sweep_run = start_run(folder, tags={"kind": "sweep"}, server=server)
        with suppress(ValueError), sweep_run as sweep:
            setting = {"params": {"hidden": 5, "seed": 1}, "tags": {"hidden": "5"}}
            start = RunStart("a", **setting, time=1000)
            with sweep.child(start, end=2000) as child:
                child.log_metrics({"val/accuracy": 0.5}, step=1, time=1000)
            with sweep.child(RunStart("b", {}, {}, 2000)) as child:
                child.fail("hidden < 1")
            sweep.describe("A sweep.", sweep.compare_children(["hidden", "seed"]))
            raise ValueError("1 of 2 training runs failed")

    return record


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, empty_store, start_run, record_sweep, network_files):
    """A store with four runs: a sweep, its two training runs, and a single run.

    The single run has unusual values. It reproduces one training run of the sweep, and
    the other training run reuses the single run, so both have the same start.
    """
    folder = tmp_path_factory.mktemp("recorded")
    empty_store(folder)
    with start_run(folder, tags={"kind": "training"}, time=2000) as run:
        for epoch in range(3):
            loss = float("nan") if epoch == 2 else 1 / (epoch + 1)
            run.log_metrics({"val/loss": loss}, step=epoch, time=1000 + epoch)
            image = Image.new("RGB", (9, 9), (epoch, 0, 0))
            run.log_image("weights/layer_1", image, step=epoch)
        run.log_text("config.yaml", "hidden: 20\n")
        counts = {"train": 5}
        run.log_dataset("d", sha256="a" * 64, source="s", counts=counts, use="training")
        points = [tracking.StepMetrics(0, 1002, {"val/accuracy": 0.5})]
        run.log_model(tracking.ModelData(*network_files, points, "d", "a" * 64))
        run.set_tags({f"tag{number}": str(number) for number in range(120)})
    record_sweep(folder)
    client = open_store(folder)
    ids = {each.info.run_name: each.info.run_id for each in client.search_runs(["1"])}
    client.set_tag(run.run_id, "reproduces", ids["a"])  # run a is older
    client.set_tag(ids["b"], "reused_from", run.run_id)
    return folder
