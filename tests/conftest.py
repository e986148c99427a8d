"""Shared fixtures: the real MNIST, workspaces, a trained network, servers.

Tests call stages in this process, with `Workspace.call`. A test that concerns the
process itself (exit status, output, signals) uses `Workspace.run` or `Workspace.start`.
`PIPELINE_OUTPUTS` separates the outputs of the workspaces; the package is never copied,
and the data is linked.
"""

import contextlib
import fcntl
import gc
import importlib.util
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from filelock import FileLock
from mlflow_process import Server
from workspace import DATA, ROOT, Workspace, new_workspace

os.environ.pop("MLFLOW_TRACKING_URI", None)  # no test sends its runs to a real server
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read by SciPy when it is loaded
for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(variable, None)  # progress bars are for terminals
# Processes that tests start receive Ctrl-C, even where the tests ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Files of long tests that share a cluster, a clone or a server; these take longest.
SHARING = ("test_cluster", "test_contributing", "test_dvc", "test_copies")
LIBRARIES = ("beartype", "matplotlib.figure", "mlflow.pytorch", "mlflow.server")
BROWSER_TIMEOUT = 180_000  # milliseconds, for a busy machine


def pytest_collection():
    """Import the package and large libraries, and prepare the process for tests.

    The controller of pytest-xdist does not call this function, because it runs no test.
    Therefore, no module-level import of this file is slow.
    """
    gc.disable()  # it takes a third of the time of the imports
    with first_alone():
        # While jaxtyping imports the package, it hides the bytecode of all other
        # packages, so these are imported first.
        for name in LIBRARIES:
            importlib.import_module(name)
    import torch
    from sqlalchemy import Engine, event
    from threadpoolctl import threadpool_limits

    event.listen(Engine, "connect", do_not_flush)
    os.fsync = lambda descriptor: None  # only needed if the power fails
    # One thread, as in the stages: more would compete for the cores.
    torch.set_num_threads(1)
    threadpool_limits(1)


def pytest_ignore_collect(collection_path, config):
    """Ignore files without a test that runs, because each worker would import them.

    pytest does not ask about files that are named in the command.
    """
    if collection_path.suffix != ".py":
        return None
    text, selected = collection_path.read_text("utf-8"), config.option.markexpr
    if selected == "fault":
        return "pytest.mark.fault" not in text or None
    all_are_long = "\npytestmark = pytest.mark.fault\n" in text
    return (selected == "not fault" and all_are_long) or None


@pytest.hookimpl(optionalhook=True)  # a hook of pytest-xdist
def pytest_xdist_make_scheduler(config, log):
    """Distribute long tests one by one, but all tests of a file in SHARING together."""
    if config.option.markexpr != "fault":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class LongTests(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _ = nodeid.split("::", 1)
            return file if Path(file).stem in SHARING else nodeid

    return LongTests(config, log)


def pytest_collection_modifyitems(items):
    """Start long tests in an order that keeps all cores busy until the end.

    Those in SHARING start first, and those of files with many long tests last, because
    they are short.
    """
    is_long = {item: item.get_closest_marker("fault") is not None for item in items}
    numbers = Counter(item.path for item in items if is_long[item])

    def position(item):
        name = item.path.stem
        if not is_long[item]:
            return -1
        if name in SHARING:
            return SHARING.index(name)
        return len(SHARING) + numbers[item.path]

    items.sort(key=position)


@contextlib.contextmanager
def first_alone():
    """Compile the libraries of a new environment in one process; the others wait.

    Three workers would compile the same modules, in 20 s of processor time each.
    """
    with open(__file__) as file:
        if not Path(importlib.util.find_spec("mlflow").cached).exists():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fcntl.flock(file, fcntl.LOCK_SH)  # several processes can share it
        yield


def do_not_flush(connection, _):
    """Disable SQLite's sync to the disk after each write.

    The sync takes more than half of the processor time of a commit. Processes that
    tests start sync as usual.
    """
    with contextlib.suppress(sqlite3.Error):  # some tests damage the database
        connection.execute("PRAGMA synchronous = OFF")


def pytest_collection_finish():
    gc.freeze()  # Python need not search the many objects of libraries again and again
    gc.set_threshold(10_000)  # the default took 9% of the time of the tests
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    gc.collect()  # pytest repeats it five times, to report what cannot be freed
    gc.freeze()  # Python collects once more when it ends


def command_line(process):
    """Return the command of a process; "" if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


@pytest.fixture(autouse=True)
def no_tracking_uri():
    """Unset what mlflow.set_tracking_uri set, because the stages would read it."""
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def start_workers():
    """Return a function that starts a stage with two workers, and suspends the first.

    One task therefore cannot end, so the stage is still running when a test stops it,
    even on a slow machine. The function returns the process of the stage and the
    workers.
    """
    processes = []

    def start(workspace, stage, *arguments):
        options, workers = ["workers=2", *arguments], []
        started = workspace.start(stage, *options, PYTHONUNBUFFERED="1")
        processes.append(process := psutil.Process(started.pid))
        while len(workers) < 2:
            assert started.poll() is None, started.communicate()
            time.sleep(0.02)  # leaves the cores to the stage, which starts for seconds
            workers = [
                w for w in process.children() if "helper_process" in command_line(w)
            ]
        workers[0].suspend()
        processes.extend(workers)
        return started, workers

    yield start
    for process in processes:  # still running only if the test failed
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture(scope="session")
def lasting_executor():
    """An executor with one worker, which starts with the first task and is kept."""
    from pipeline.execution.local import LocalExecutor

    class Lasting(LocalExecutor):
        def __exit__(self, *exception):
            pass

    executor = Lasting(1)
    yield executor
    LocalExecutor.__exit__(executor)


@pytest.fixture(scope="module")
def worker(lasting_executor):
    """One worker for sweeps and exports, which would otherwise each start their own."""
    from pipeline.deploy import jobs
    from pipeline.sweeps import sweep

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "_new_executor", lambda *_: lasting_executor)
        local = SimpleNamespace(create=lambda **_: lasting_executor)
        patch.setattr(jobs, "LocalExecutor", local)
        yield


@pytest.fixture(scope="session")
def wait_for_end():
    """Return a function that waits until processes have ended.

    A zombie has ended: process 1 of a container may never remove it.
    """

    def wait(processes):
        limit = time.monotonic() + 60  # 2 s on an idle machine
        while any(map(command_line, processes)):  # a zombie has no command line
            assert time.monotonic() < limit, processes
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def new_server(tmp_path_factory):
    """Return a function that starts an MLflow server; all end with the tests."""
    started = []

    def start(name, **options):
        started.append(Server(tmp_path_factory.mktemp(name), **options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.kill()


@pytest.fixture(scope="session")
def server(new_server):
    return new_server("server")


@pytest.fixture(scope="session")
def mnist():
    """The real MNIST, which the project downloads if necessary."""
    from pipeline import datasets

    return datasets.load("mnist", folder=DATA)


@pytest.fixture(scope="session")
def few(mnist):
    """The first 600 training and 300 test images, as a split."""
    from pipeline.core.dataset import Split

    return Split(mnist.train.pick(np.arange(600)), mnist.test.pick(np.arange(300)))


@pytest.fixture(scope="session")
def new_network():
    """Return a function that makes an untrained network."""
    import torch

    from pipeline.core.network import Network

    def make(hidden, seed=1):
        return Network(hidden=hidden, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture(scope="session")
def small_dataset(few):
    """600 training and 300 test images of MNIST."""
    from pipeline.core.dataset import DataFile, Dataset

    return Dataset(DataFile(Path("few.safetensors"), "0" * 64), few.train, few.val)


@pytest.fixture(scope="session")
def metadata_of():
    """Return a function that makes the metadata of a network with these settings."""
    from pipeline.cli import defaults
    from pipeline.core.hyperparameters import Hyperparameters
    from pipeline.model import Metadata

    def make(*, dataset="mnist", data_sha256="0" * 64, **options):
        return Metadata(
            dataset=dataset,
            data_sha256=data_sha256,
            hyperparameters=Hyperparameters(**defaults() | options),
            min_margin=0.25,
        )

    return make


@pytest.fixture(scope="session")
def trained_on_few(small_dataset, metadata_of):
    """Return a function that trains a network on 600 images, in 0.1 s."""
    from pipeline.core.loop import train_network
    from pipeline.core.network import network_from
    from pipeline.model import NetworkFile

    @lru_cache
    def make(hidden=20, seed=1):
        options = {"hidden": hidden, "seed": seed, "epochs": 5, "lr": 0.003}
        metadata = metadata_of(**options)
        *_, last = train_network(small_dataset, metadata.hyperparameters)
        network, path = network_from(last.tensors), Path("model.safetensors")
        return NetworkFile(network, metadata, path, run_id=None)

    return make


@pytest.fixture(scope="session")
def quantized(trained_on_few, small_dataset):
    """Return a function that quantizes a network trained on 600 images."""
    from pipeline.integers import QuantizedModel

    @lru_cache
    def make(bits, hidden=20, epochs=1):
        trained = trained_on_few(hidden)
        return QuantizedModel.of(
            trained, small_dataset, bits=bits, finetuning_epochs=epochs
        )

    return make


@pytest.fixture(scope="session")
def test_and_probe_images(mnist):
    """Return a function that returns 1,000 test images and a network's probe images."""
    from pipeline.deploy.probes import probe_images

    def make(network):
        probes = probe_images(network, generator=np.random.default_rng(1))
        return np.concatenate([mnist.test.images[:1000], probes])

    return make


@pytest.fixture(scope="session")
def write_idx():
    """Return a function that writes images or labels as an IDX file."""

    def write(path, array):
        header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
        path.write_bytes(header + array.tobytes())

    return write


@pytest.fixture
def idx_folder(tmp_path, few, write_idx):
    """A folder with 600 training and 300 test images as two pairs of IDX files."""
    folder = tmp_path / "my digits"
    folder.mkdir()
    for name, part in (("train", few.train), ("t10k", few.val)):
        write_idx(folder / f"{name}-images-idx3-ubyte", part.images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", part.labels)
    return folder


@pytest.fixture(scope="session")
def make_once(request, tmp_path_factory):
    """Return a function that fills a folder, once for all workers of pytest-xdist."""
    shared = tmp_path_factory.getbasetemp()
    # A test can start pytest in a clone, where the worker's environment variables are
    # still set, so they do not show whether this process is a worker.
    if hasattr(request.config, "workerinput"):
        shared = shared.parent

    def make(name, fill):
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def empty_store(make_once):
    """Return a function that copies an empty store, because creating one is slow."""
    from pipeline.tracking.store.client import open_store
    from pipeline.tracking.store.location import artifact_root
    from pipeline.tracking.store.sqlite import relocate_artifacts

    def create(folder):
        client = open_store(folder)
        assert client.find_or_create_experiment("digits").experiment_id == "1"

    made = make_once("store", create)

    def put(folder):
        shutil.copy(made / "mlflow.db", folder)
        before, after = artifact_root(made), artifact_root(folder)
        with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as connection:
            relocate_artifacts(connection, before, after)

    return put


@pytest.fixture(scope="session")
def prepared_digits(make_once):
    """A folder with scikit-learn's digits, which tests copy: preparing takes 0.4 s."""
    from pipeline import datasets

    def prepare(folder):
        datasets.prepare("digits", folder=folder)

    return make_once("digits", prepare)


@pytest.fixture
def bare_project(tmp_path):
    """A workspace without data and without a store."""
    return new_workspace(tmp_path / "outputs", data=False)


@pytest.fixture
def new_project(tmp_path, mnist, prepared_digits):
    """A workspace with MNIST and digits, and without a store."""
    made = new_workspace(tmp_path / "outputs")
    shutil.copytree(prepared_digits, made.outputs / "data", dirs_exist_ok=True)
    return made


@pytest.fixture
def project(new_project, empty_store):
    """A workspace with the data and an empty store."""
    empty_store(new_project.outputs)
    return new_project


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory, empty_store, prepared_digits):
    """Return a function that creates a workspace with digits, for module fixtures."""

    def make(name, *, store=True, digits=True):
        made = new_workspace(tmp_path_factory.mktemp(name) / "outputs", data=False)
        if digits:
            shutil.copytree(prepared_digits, made.outputs / "data", dirs_exist_ok=True)
        if store:
            empty_store(made.outputs)
        return made

    return make


@pytest.fixture(scope="session")
def clone_project():
    """Return a function that clones the project's git repository into a folder.

    The clone has the changes that are not committed yet, but no untracked files. The
    returned workspace has the outputs of the clone.
    """
    if not (ROOT / ".git").exists():
        pytest.skip("the project is not a git repository")

    def clone(folder):
        name = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        find = ["git", "rev-parse", "--git-path", "index"]
        index = ROOT / subprocess.check_output(find, cwd=ROOT, text=True).strip()
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Git would lock the index of this project, which other tests clone too.
        copy = shutil.copyfile(index, folder.with_name(f"{folder.name}.index"))
        stash = subprocess.check_output(
            ["git", *name, "stash", "create"],
            cwd=ROOT,
            env=os.environ | {"GIT_INDEX_FILE": str(copy)},
        )
        for command in (
            ["git", "clone", "--quiet", "--shared", ROOT, folder],
            ["git", "-C", folder, "checkout", "-qB", "main", stash.strip() or "HEAD"],
        ):
            subprocess.run(command, check=True)
        return Workspace(folder / "outputs")

    return clone


@pytest.fixture
def use_repository(monkeypatch):
    """Return a function that selects the repository whose state runs record."""
    from pipeline.tracking import provenance

    def use(root):
        monkeypatch.setattr(provenance, "ROOT", root)
        provenance._modules_diff.cache_clear()
        provenance._commit.cache_clear()

    yield use
    use(ROOT)


@pytest.fixture(scope="session")
def chromium():
    """The Chromium of this machine; a process can control only one.

    The headless shell takes half of the processor time of Chromium with a window, which
    is rendered like a page.
    """
    executable = Path("/usr/bin/chromium-headless-shell")  # the path in Debian
    if not executable.exists():
        pytest.skip(f"{executable} is missing: apt-get install {executable.name}")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--disable-gpu"],
            timeout=BROWSER_TIMEOUT,
        )
        yield browser
        browser.close()


@pytest.fixture
def other_user(tmp_path, monkeypatch):
    """Work in `tmp_path` as a user who, unlike root, cannot read all folders.

    Only relative paths can be used, because the folders above belong to root.
    """
    monkeypatch.chdir(tmp_path)
    user = os.geteuid()
    if user == 0:
        os.chown(tmp_path, 65534, -1)  # the user `nobody`
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.fixture(scope="session")
def finished(make_once, mnist):
    """A workspace in which train, evaluate and inspect have run, with the defaults.

    printed.txt and inspect.txt next to it have what train and inspect printed.
    """

    def run(folder):
        made = new_workspace(folder / "outputs")
        done = made.run("train", "hidden=20", "epochs=20")
        (folder / "printed.txt").write_text(done.stdout)
        (folder / "inspect.txt").write_text(made.call("inspect"))
        made.call("evaluate")

    # Tests that start pytest in a clone give it their own, and .ci/run an earlier one.
    given = os.environ.get("FINISHED")
    return Workspace(Path(given) if given else make_once("finished", run) / "outputs")


@pytest.fixture(scope="session")
def recorded(finished):
    """The MLflow run that `finished` recorded."""
    return finished.client.get_run(finished.run_id())


@pytest.fixture(scope="session")
def trained(finished):
    """The trained network of `finished`."""
    from pipeline.model import load_trained_network

    return load_trained_network(finished.trained("model.safetensors"))


@pytest.fixture(scope="session")
def histories(trained):
    """The histories of the network `trained`."""
    from pipeline.model import load_history_files

    return load_history_files(trained)


@pytest.fixture(scope="session")
def detector(trained, mnist):
    """The out-of-distribution detector of the network `trained`."""
    from pipeline.model import load_detector

    return load_detector(trained, folder=mnist.file.path.parent)


@pytest.fixture
def disk_steps(monkeypatch):
    """The files that are flushed and renamed, in order, by their inode."""
    steps = []

    def flush(descriptor):
        steps.append(("flush", os.fstat(descriptor).st_ino))

    def recorded(move):
        def record(source, target):
            steps.append(("rename", os.stat(source).st_ino))
            move(source, target)

        return record

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", recorded(os.replace))
    monkeypatch.setattr(os, "rename", recorded(os.rename))
    return steps
