"""A second process that runs functions for this one."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import wait
from pathlib import Path

import psutil
import pytest

from pipeline import UserError
from pipeline.base import paths
from pipeline.base.helper_process import HelperKilled, HelperProcess

# It has no `__main__` guard: the helper process must not run it again.
SCRIPT = """
import functions_of_workers as functions
from pipeline.base.helper_process import HelperProcess
helper = HelperProcess("the other process")
print(helper.submit(functions.call, 1).result(), flush=True)
{statement}
"""


def start_script(statement):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(paths.ROOT), os.environ["PYTHONPATH"]])
    }
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(statement=statement)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def helper(functions):
    helper = HelperProcess("the other process")
    yield helper
    helper.close()


def test_calls_run_in_their_order_and_keep_what_the_module_stores(helper, functions):
    futures = [helper.submit(functions.call, number) for number in range(200)]
    assert futures[-1].result() == [*range(200)]
    assert futures[0].result() == [0]
    assert functions.calls == []  # this process made no call
    assert helper.submit(functions.pid).result() != os.getpid()


def test_a_call_in_a_channel_does_not_wait_for_calls_in_another(functions):
    helper = HelperProcess("the other process", channels=2)
    first, second = helper.channels
    forever = first.submit(time.sleep, 3600)
    pids = [channel.submit(functions.pid) for channel in (second, second, first)]
    assert pids[0].result() == pids[1].result() == helper._process.pid
    assert not forever.done() and not pids[2].done()
    helper.close()
    for future in (forever, pids[2]):
        with pytest.raises(HelperKilled, match=r"^the other process was killed"):
            future.result()
    with pytest.raises(HelperKilled, match=r"^the other process has ended"):
        second.submit(functions.pid)


def test_a_helper_process_has_one_thread_for_each_library(monkeypatch):
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    for variable in variables:
        monkeypatch.setenv(variable, "2")  # a program that calls a stage can set it
    helper = HelperProcess("the other process")
    threads = [helper.submit(os.getenv, variable).result() for variable in variables]
    helper.close()
    assert threads == ["1", "1"]


def test_an_object_is_sent_as_it_is_when_the_call_is_submitted(helper, functions):
    argument = [1]
    helper.submit(time.sleep, 0.2)
    future = helper.submit(functions.call, argument)
    argument.append(2)
    assert future.result() == [[1]]


def test_a_large_result_arrives(helper, functions):
    assert helper.submit(functions.large).result() == bytes(100_000_000)
    assert helper.submit(len, bytes(100_000_000)).result() == 100_000_000


def test_an_error_is_the_same_error_with_the_traceback_of_the_other_process(
    helper, functions
):
    with pytest.raises(FileNotFoundError, match="'/missing'") as error:
        helper.submit(functions.fail).result()
    assert error.value.filename == "/missing"
    assert 'in fail\n    open("/missing")' in error.value.__notes__[-1]
    with pytest.raises(UserError, match=r"^a reason\n"):
        helper.submit(functions.reject).result()


def test_an_argument_that_cannot_be_pickled_raises_an_error_with_a_traceback(
    helper, functions
):
    with pytest.raises(RuntimeError, match=r"^Unusual: cause and effect\n") as error:
        helper.submit(functions.fail_unusually).result()
    assert "in fail_unusually" in error.value.__notes__[-1]
    with pytest.raises(TypeError, match="cannot pickle 'generator' object"):
        helper.submit(functions.generator).result()
    with pytest.raises(TypeError, match="cannot pickle"):
        helper.submit(functions.call, threading.Lock())
    assert helper.submit(functions.call, 1).result() == [1]


def test_a_killed_helper_process_is_an_error_in_one_line(helper, functions):
    killed = helper.submit(functions.kill_itself)
    later = helper.submit(functions.call, 1)
    for future in (killed, later):
        with pytest.raises(HelperKilled, match=r"^the other process was killed"):
            future.result()
    assert not helper.check_running()


def test_a_helper_process_killed_while_it_is_idle_does_not_run(helper, functions):
    assert helper.check_running()
    os.kill(helper.submit(functions.pid).result(), signal.SIGKILL)
    limit = time.monotonic() + 30
    while helper.check_running():
        assert time.monotonic() < limit


def test_a_helper_process_killed_while_it_sends_a_result_is_noticed(
    helper, functions, tmp_path
):
    future = helper.submit(functions.large, path=tmp_path / "killed")
    with pytest.raises(HelperKilled):
        future.result(60)


def test_close_ends_the_helper_processes_and_no_other_process(functions, wait_for_end):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    helpers = [HelperProcess("the other process") for _ in range(2)]
    for helper in helpers:
        helper.submit(functions.pid).result()
    path, grandchild = helpers[0].submit(functions.start_process).result()
    processes = [psutil.Process(grandchild)]
    processes += [psutil.Process(helpers[0].submit(functions.pid).result())]
    waiting = helpers[0].submit(functions.sleep, None, 600)
    helpers[0].close()
    with pytest.raises(HelperKilled):
        waiting.result(0)
    wait_for_end(processes)
    assert not Path(path).parent.exists()
    assert other.poll() is None
    other.communicate()
    assert helpers[1].submit(functions.call, 1).result() == [1]
    helpers[1].close()
    helpers[1].close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_all_helper_processes_end_with_a_killed_parent(functions, number, wait_for_end):
    parent = start_script("helper.submit(functions.start_and_sleep).result()")
    assert parent.stdout.readline() == "[1]\n"
    path, *pids = parent.stdout.readline().split()
    processes = [psutil.Process(int(pid)) for pid in pids]
    assert Path(path).exists() and len(processes) == 2
    parent.send_signal(number)
    parent.wait()
    wait_for_end(processes)
    assert not Path(path).parent.exists()


def test_a_script_ends_without_waiting_for_its_helper_process(functions):
    start = time.monotonic()
    script = start_script("helper.submit(functions.sleep, None, 600)")
    assert script.communicate(timeout=60) == ("[1]\n", None)
    assert script.returncode == 0 and time.monotonic() < start + 60


def test_an_interrupt_does_not_separate_a_request_from_its_response(helper, functions):
    helper.submit(functions.call, 1).result()
    ctrl_c = threading.get_ident(), signal.SIGINT
    timer = threading.Timer(0.1, signal.pthread_kill, ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        helper.submit(functions.sleep, None, 1).result()
    assert helper.submit(functions.call, 2).result() == [1, 2]


def test_each_call_gets_a_response_or_is_rejected_while_another_thread_closes(
    functions,
):
    helper, calls = HelperProcess("the other process"), []

    def submit():
        with pytest.raises(HelperKilled, match="has ended"):
            while True:
                calls.append(helper.submit(functions.call, 1))

    helper.submit(functions.call, 0).result()
    thread = threading.Thread(target=submit)
    thread.start()
    while not calls:
        pass
    helper.close()
    thread.join()
    assert not wait(calls, timeout=60).not_done


def test_a_canceled_call_is_skipped(helper, functions):
    first = helper.submit(functions.sleep, None, 0.5)
    second = helper.submit(functions.call, 1)
    third = helper.submit(functions.call, 2)
    assert second.cancel()
    wait([first, third])
    assert third.result() == [2]


def test_a_quiet_helper_process_prints_nothing_and_is_nice(functions, capfd):
    for quiet, niceness in ((True, 7), (False, 0)):
        helper = HelperProcess("the other process", quiet=quiet, niceness=niceness)
        added = helper.submit(functions.niceness).result() - os.nice(0)
        helper.submit(functions.print_text).result()
        helper.close()
        assert added == niceness
        assert capfd.readouterr().out == ("" if quiet else "printed\n")


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("owner", "name", "value", "error", "message"),
    [
        (sys, "executable", "/missing/python", UserError, "the other process cannot "),
        (subprocess, "Popen", interrupt, KeyboardInterrupt, ""),
    ],
)
def test_a_helper_process_that_cannot_be_started_leaves_nothing(
    monkeypatch, tmp_path, owner, name, value, error, message
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(owner, name, value)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(error, match=f"^{message}") as raised:
        HelperProcess("the other process")
    assert len(os.listdir("/proc/self/fd")) == len(before) and raised
    assert not [*tmp_path.iterdir()]
