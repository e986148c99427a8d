"""Tasks in processes of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline import UserError, datasets
from pipeline.base import paths
from pipeline.base.helper_process import HelperProcess
from pipeline.cli import defaults
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.execution import local
from pipeline.execution.executor import (
    MAX_TRIES,
    POLL_SECONDS,
    LostAttempt,
    Task,
    TaskResult,
)
from pipeline.execution.local import KILLED, LocalExecutor
from pipeline.records.software import OtherSoftware, Software
from pipeline.training.unrecorded_training import train_unrecorded

SETTINGS = defaults() | {"hidden": 5, "epochs": 1}
# It has no `__main__` guard: the workers must not run it again.
SCRIPT = """
import signal, sys
from pathlib import Path
import functions_of_workers as functions
from pipeline.core.dataset import DataFile
from pipeline.execution.executor import Task
from pipeline.execution.local import LocalExecutor
with LocalExecutor(2) as executor:
    signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
    data = DataFile(Path(sys.argv[1]), sys.argv[2])
    tasks = [Task(key, data, {arguments}) for key in "ab"]
    for result in executor.run(functions.{function}, tasks):
        print(result.value, result.error, flush=True)
"""


@pytest.fixture(scope="module")
def digits(prepared_digits):
    return datasets.load("digits", folder=prepared_digits)


@pytest.fixture(scope="module")
def data(digits):
    return digits.file


@pytest.fixture(scope="module")
def executor(functions):
    with LocalExecutor(2) as executor:
        yield executor


@pytest.fixture
def start_script(data, functions, tmp_path):
    """Return a function that starts a file with the script above."""

    def start(function, **arguments):
        path = tmp_path / "script.py"
        path.write_text(SCRIPT.format(function=function, arguments=arguments))
        places = os.pathsep.join([str(paths.ROOT), os.environ["PYTHONPATH"]])
        return subprocess.Popen(
            [sys.executable, str(path), str(data.path), data.sha256],
            env=os.environ | {"PYTHONPATH": places},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def tasks(data, arguments):
    return [Task(key, data, value) for key, value in arguments.items()]


def test_results_are_equal_to_those_of_a_training_run_in_this_process(
    executor, data, digits
):
    settings = {
        f"seed={seed}": {
            "hyperparameters": Hyperparameters(**SETTINGS | {"seed": seed})
        }
        for seed in (1, 2, 3)
    }
    results = executor.run(train_unrecorded, tasks(data, settings))
    for result in results:
        alone = train_unrecorded(digits, **settings.pop(result.job))
        for epoch, expected in zip(result.value.epochs, alone.epochs, strict=True):
            assert epoch.metrics == expected.metrics
            for name, tensor in expected.tensors.items():
                assert epoch.tensors[name].tobytes() == tensor.tobytes()
        assert result.value.metadata == alone.metadata  # with the `min_margin`
    assert not settings


def test_a_worker_killed_while_alone_costs_an_attempt_of_its_task(
    data, functions, tmp_path
):
    deaths = {"never": 0, "once": 1, "always": 9, "later": 0}
    arguments = {k: {"after": n, "path": str(tmp_path / k)} for k, n in deaths.items()}
    with LocalExecutor(1, module="json") as executor:
        results = [*executor.run(functions.die, tasks(data, arguments))]
    errors = [result for result in results if result.error]
    lost = [LostAttempt("always", KILLED)] * (MAX_TRIES - 1)
    failed = TaskResult("always", error=KILLED)  # without a traceback
    assert errors == [LostAttempt("once", KILLED), *lost, failed]
    values = {r.job: r.value for r in results if not r.error}
    assert values == {"never": 1500, "once": 1500, "later": 1500}


def test_a_worker_killed_next_to_others_costs_no_attempt_and_its_task_is_repeated(
    data, functions, tmp_path
):
    common = {"folder": str(tmp_path), "deaths": 0}
    victim = common | {"name": "victim", "deaths": MAX_TRIES, "waits": "neighbor"}
    arguments = {"victim": victim}
    arguments["neighbor"] = common | {"name": "neighbor", "waits": "victim"}
    arguments |= {f"later{n}": common | {"name": f"later{n}"} for n in range(4)}
    with LocalExecutor(2) as executor:
        calls = tasks(data, arguments)
        results = [*executor.run(functions.die_beside_others, calls)]
    lost = [result for result in results if result.error]
    assert lost == [LostAttempt("victim", KILLED)] * MAX_TRIES
    values = {r.job: r.value for r in results if not r.error}
    assert values.keys() == arguments.keys()
    assert values.pop("victim") == (MAX_TRIES + 1, 0)
    assert {attempts for attempts, _ in values.values()} == {1}


def test_a_worker_killed_while_it_sends_a_result_is_replaced(
    executor, data, functions, tmp_path
):
    call = tasks(data, {"a": {"path": str(tmp_path / "killed")}})
    results = [*executor.run(functions.large, call)]
    assert [type(result) for result in results] == [LostAttempt, TaskResult]
    assert len(results[1].value) == 100_000_000


def test_a_worker_killed_between_two_tasks_is_replaced(executor, data, functions):
    def pids():
        arguments = {"a": {}, "b": {}}
        results = [*executor.run(functions.wait_and_return_pid, tasks(data, arguments))]
        assert not any(result.error for result in results)
        return [result.value for result in results]

    before = pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    while any(worker.check_running() for worker in executor._processes):
        time.sleep(0.01)
    after = pids()
    assert len({*before, *after}) == 4


def test_an_error_of_the_program_ends_its_task_with_a_traceback(executor, data):
    (result,) = executor.run(json.dumps, tasks(data, {"a": {}}))
    assert result.error.startswith("TypeError: Object of type Dataset")
    assert "Traceback" in result.traceback and "json" in result.traceback


def test_only_an_error_of_the_program_has_a_traceback(executor, data, functions):
    def result(function):
        (result,) = executor.run(function, tasks(data, {"a": {}}))
        return result

    missing = result(functions.fail)
    assert missing.error.startswith("FileNotFoundError: [Errno 2]")
    assert 'in fail\n    open("/missing")' in missing.traceback
    rejected, full = result(functions.reject), result(functions.fill)
    assert (rejected.error, rejected.traceback) == ("a reason", None)
    assert full.error == "[Errno 28] No space left on device" and not full.traceback


def test_a_worker_with_different_code_stops_the_sweep_with_a_one_line_error(
    data, functions
):
    with LocalExecutor(1) as executor:
        for earlier, message in {
            "code": "^a worker has different code in .*core from this program: start",
            "torch": "^a worker has PyTorch .*, but this program uses earlier: start",
        }.items():
            executor._software = replace(Software.here(), **{earlier: "earlier"})
            with pytest.raises(OtherSoftware, match=message):
                [*executor.run(functions.pid, tasks(data, {"a": {}}))]


def test_a_worker_rejects_a_data_file_that_was_replaced(executor, data, functions):
    verified = replace(data, sha256="0" * 64)
    (result,) = executor.run(functions.pid, tasks(verified, {"a": {}}))
    replaced = f"{data.path} was replaced while this command was running"
    assert result.error == f"{replaced}: run the same command again"


def test_a_module_that_workers_cannot_import_is_an_error_of_each_task(data, functions):
    with LocalExecutor(1, module="pipeline.renamed") as executor:
        (result,) = executor.run(functions.pid, tasks(data, {"a": {}}))
    assert result.error == "ModuleNotFoundError: No module named 'pipeline.renamed'"
    assert "Traceback" in result.traceback


def test_workers_end_if_another_one_cannot_be_started(monkeypatch):
    started = []

    def start(*arguments, **options):
        if started:
            raise UserError("too many processes")
        started.append(HelperProcess(*arguments, **options))
        return started[0]

    monkeypatch.setattr(local, "HelperProcess", start)
    with pytest.raises(UserError, match="too many"), LocalExecutor(2, module="sys"):
        pass
    assert not started[0].check_running()


def test_workers_end_if_their_start_is_interrupted(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "processor", interrupt)
    executor = LocalExecutor(1, module="sys")
    with pytest.raises(KeyboardInterrupt), executor:
        pass
    assert not executor._processes[0].check_running()


def test_a_main_process_that_is_killed_leaves_no_process(start_script, wait_for_end):
    main_process = start_script("start_and_sleep")
    lines = [main_process.stdout.readline().split() for _ in "ab"]
    processes = [psutil.Process(int(pid)) for _, *pids in lines for pid in pids]
    assert len(processes) == 4
    main_process.kill()
    main_process.wait()
    wait_for_end(processes)
    assert not any(Path(path).parent.exists() for path, *_ in lines)


def test_only_the_main_process_gets_ctrl_c_and_workers_do_not_run_its_script(
    start_script,
):
    main_process = start_script("sleep", seconds=2)
    workers = []
    while len(workers) < 2:
        assert main_process.poll() is None
        children = psutil.Process(main_process.pid).children()
        workers = [each for each in children if "helper_process" in str(each.cmdline())]
        time.sleep(0.1)  # each look at all processes takes some time
    os.killpg(main_process.pid, signal.SIGINT)
    assert main_process.communicate()[0] == "interrupted\n2 None\n2 None\n"


def test_what_needs_no_worker_is_yielded_before_the_next_task_is_taken(executor, data):
    yielded = []

    def mixed():
        yield from tasks(data, {"a": {}})
        for key in "bcd":
            yield TaskResult(key, error="known")
            assert yielded[-1] == key
        yield from tasks(data, {"e": {}})

    for result in executor.run(repr, mixed()):
        assert (result.error == "known") == (result.job in "bcd")
        yielded.append(result.job)
    assert sorted(yielded) == [*"abcde"]


def test_what_needs_no_worker_is_yielded_even_if_it_is_falsy():
    known = ["a", 0, None, "", "b"]
    assert [*LocalExecutor(1).run(len, known)] == known


def test_what_needs_no_worker_is_yielded_at_once_and_not_lost_by_a_stop(
    data, functions
):
    def mixed():
        yield from tasks(data, {"a": {"seconds": 600}})
        for key in "bcdefghij":
            yield TaskResult(key)

    begin, keys = time.monotonic(), []
    with LocalExecutor(2) as executor:
        for result in executor.run(functions.sleep, mixed()):
            keys.append(result.job)
            if result.job == "i":
                executor.stop()
    assert keys == [*"bcdefghi"]
    assert time.monotonic() - begin < 8 * POLL_SECONDS


def test_results_are_kept_if_no_other_task_can_be_started(executor, data):
    def limited():
        yield from tasks(data, {"a": {}, "b": {}})  # two workers
        raise OSError("no process can be started")

    arrived = []
    with pytest.raises(OSError, match="no process can be started"):
        for result in executor.run(repr, limited()):
            arrived.append(result.job)
    assert arrived


def test_no_result_follows_an_interrupt_which_can_leave_a_transaction_open(
    executor, data
):
    def interrupted():
        yield from tasks(data, {"a": {}, "b": {}})  # two workers
        raise KeyboardInterrupt

    arrived = []
    with pytest.raises(KeyboardInterrupt):
        for result in executor.run(repr, interrupted()):
            arrived.append(result.job)
    assert not arrived


def test_results_that_have_arrived_are_kept_if_an_error_ends_all_calls(data, functions):
    def until_all_have_ended():
        yield from tasks(data, {"a": {"fails": True}, "b": {}})
        wait(executor._calls[:2])  # the third worker has no call

    arrived = []
    with LocalExecutor(3) as executor, pytest.raises(OtherSoftware):
        for result in executor.run(functions.find_changed_code, until_all_have_ended()):
            arrived.append(result.job)
    assert arrived == ["b"]


def test_a_stopped_executor_yields_the_results_that_have_arrived(data, functions):
    count, arguments = 0, {str(number): {} for number in range(40)}
    with LocalExecutor(2) as executor:
        for _ in executor.run(functions.pid, tasks(data, arguments)):
            count += 1
            executor.stop()
    assert count <= 4  # two workers, whose next tasks may have ended too


def test_a_worker_killed_after_a_stop_is_not_reported_as_tried_again(data, functions):
    arguments = {"a": {"seconds": 0}, "b": {"seconds": 600}}
    others = psutil.Process().children()
    with LocalExecutor(2) as executor:
        keys = []
        for result in executor.run(functions.sleep, tasks(data, arguments)):
            keys.append(result.job)
            executor.stop()
            for worker in {*psutil.Process().children()} - {*others}:
                worker.kill()
            wait(filter(None, executor._calls))
    assert keys == ["a"]


def test_processes_and_temporary_files_of_workers_end_with_the_executor(
    data, functions, wait_for_end
):
    other = subprocess.Popen(["sleep", "600"])
    with LocalExecutor(1) as executor:
        call = tasks(data, {"a": {}})
        (result,) = executor.run(functions.start_process, call)
        path, pid = result.value
        sleeping = psutil.Process(pid)
        assert Path(path).exists()
    assert not Path(path).parent.exists()
    wait_for_end([sleeping])
    assert other.poll() is None  # only the processes of the executor end
    other.kill()
    other.wait()
