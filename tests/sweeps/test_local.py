"""Tasks in processes of this machine."""

import importlib
import json
import multiprocessing
import time
from pathlib import Path

import psutil
import pytest

from pipeline import datasets
from pipeline.datasets import Dataset
from pipeline.sweeps.executor import MAX_TRIES, Task
from pipeline.sweeps.local import KILLED, LocalExecutor
from pipeline.training import train_setting

SETTING = {"split": "exercise", "hidden": 5, "epochs": 1, "batch_size": 32, "lr": 0.001}


@pytest.fixture(scope="module")
def digits(mnist):
    path, _ = datasets.prepare("digits", folder=mnist.path.parent)
    return Dataset.read(path)


@pytest.fixture(scope="module")
def data(digits):
    return digits.path


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """A module of functions, which workers that start later can import."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "functions_of_workers.py").write_text(FUNCTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("functions_of_workers")


@pytest.fixture(scope="module")
def executor(functions):
    with LocalExecutor(2, modules=["pipeline.training.task"]) as executor:
        yield executor


FUNCTIONS = """
import os, signal, subprocess, tempfile, threading, time

def die(data, after, path):
    if after:
        with open(path, "a") as stream:
            stream.write(".")
        if os.path.getsize(path) <= after:
            os.kill(os.getpid(), signal.SIGKILL)
    return len(data.train)

def die_while_sending(data, path):
    def kill():
        while "pipe_write" not in open(f"/proc/{os.getpid()}/wchan").read():
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    if not os.path.exists(path):
        open(path, "w").close()
        threading.Thread(target=kill, daemon=True).start()
    return bytes(100_000_000)

def start_process(data):
    _, path = tempfile.mkstemp()
    return path, subprocess.Popen(["sleep", "600"]).pid

def pid(data):
    os.kill(os.getpid(), signal.SIGINT)
    return os.getpid()
"""


def tasks(data, arguments):
    return [Task(key, data, value) for key, value in arguments.items()]


def test_results_are_equal_to_a_training_in_this_process(executor, data, digits):
    settings = {f"seed={seed}": SETTING | {"seed": seed} for seed in (1, 2, 3)}
    results = executor.run(train_setting, tasks(data, settings))
    for result in results:
        alone = train_setting(digits, **settings.pop(result.task.key)).finished
        for epoch, expected in zip(
            result.value.finished.epochs, alone.epochs, strict=True
        ):
            assert epoch.metrics == expected.metrics
            for name, tensor in expected.tensors.items():
                assert epoch.tensors[name].tobytes() == tensor.tobytes()
        assert result.value.finished.min_margin == alone.min_margin
    assert not settings


def test_a_killed_worker_costs_one_attempt_of_its_task_only(
    executor, data, functions, tmp_path
):
    deaths = {"never": 0, "once": 1, "always": 9, "later": 0}
    arguments = {k: {"after": n, "path": str(tmp_path / k)} for k, n in deaths.items()}
    results = [*executor.run(functions.die, tasks(data, arguments))]
    errors = [(r.task.key, r.error, r.final) for r in results if r.error]
    lost = [("always", KILLED, n == MAX_TRIES) for n in range(1, MAX_TRIES + 1)]
    assert sorted(errors) == [*lost, ("once", KILLED, False)]
    values = {result.task.key: result.value for result in results if not result.error}
    assert values == {"never": 1500, "once": 1500, "later": 1500}


def test_a_worker_killed_while_it_sends_a_result_is_replaced(
    executor, data, functions, tmp_path
):
    call = tasks(data, {"a": {"path": str(tmp_path / "killed")}})
    results = [*executor.run(functions.die_while_sending, call)]
    assert [result.final for result in results] == [False, True]
    assert len(results[1].value) == 100_000_000


def test_a_worker_killed_between_two_tasks_is_replaced_and_ctrl_c_kills_none(
    executor, data, functions
):
    def pids():
        results = executor.run(functions.pid, tasks(data, {"a": {}, "b": {}}))
        return [result.value for result in results if result.final]

    before = pids()
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    after = pids()
    assert len(after) == 2 and not {*before} & {*after}


def test_an_error_of_the_program_ends_its_task_with_a_traceback(executor, data):
    (result,) = executor.run(json.dumps, tasks(data, {"a": {}}))
    assert result.final and result.error.startswith("TypeError: Object of type Dataset")
    assert "Traceback" in result.traceback and "json" in result.traceback


def test_what_has_arrived_is_not_lost_if_no_other_task_can_be_started(executor, data):
    def limited():
        yield from tasks(data, {"a": {}, "b": {}})  # two workers
        raise OSError("no process can be started")

    arrived = []
    with pytest.raises(OSError, match="no process can be started"):
        for result in executor.run(repr, limited()):
            arrived.append(result.task.key)
    assert arrived


def test_a_stopped_executor_yields_what_has_arrived(executor, data, functions):
    count, arguments = 0, {str(number): {} for number in range(40)}
    for _ in executor.run(functions.pid, tasks(data, arguments)):
        count += 1
        executor.stop()
    assert count <= 4  # of two workers, whose next tasks may have ended, too


def test_processes_and_temporary_files_of_workers_end_with_the_executor(
    data, functions
):
    with LocalExecutor(1) as executor:
        call = tasks(data, {"a": {}})
        (result,) = executor.run(functions.start_process, call)
        path, pid = result.value
        sleeping = psutil.Process(pid)
        assert Path(path).exists()
    assert not Path(path).parent.exists()
    for _ in range(3000):  # 30 s
        if not sleeping.is_running() or sleeping.status() == "zombie":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} still runs")
