"""Functions that other processes run."""

import importlib
import os

import pytest

FUNCTIONS = """
import os, signal, subprocess, sys, tempfile, threading, time
from pipeline import UserError
from pipeline.records.software import OtherSoftware

calls = []

def call(value):
    calls.append(value)
    return [*calls]

def pid(data=None):
    return os.getpid()

def wait_and_return_pid(data):
    time.sleep(0.1)
    return os.getpid()

def sleep(data, seconds):
    time.sleep(seconds)
    return seconds

def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)

def die(data, after, path):
    if after:
        with open(path, "a") as stream:
            stream.write(".")
        if os.path.getsize(path) <= after:
            kill_itself()
    return len(data.train)

def die_beside_others(data, folder, name, deaths, waits=""):
    def write(suffix):
        with open(f"{folder}/{name}{suffix}", "a") as stream:
            stream.write(".")
    def attempts(name):
        path = f"{folder}/{name}"
        return os.path.getsize(path) if os.path.exists(path) else 0
    write("")
    write(".runs")
    while waits and not attempts(waits):
        time.sleep(0.01)
    if attempts(name) <= deaths:
        kill_itself()
    time.sleep(0.1)
    others = [n for n in os.listdir(folder) if n.endswith(".runs")]
    os.unlink(f"{folder}/{name}.runs")
    return attempts(name), len(others) - 1

def large(data=None, path=None):
    if path and not os.path.exists(path):
        open(path, "w").close()
        threading.Thread(target=kill_while_sending, daemon=True).start()
    return bytes(100_000_000)

def kill_while_sending():
    while "sock_alloc_send" not in open(f"/proc/{os.getpid()}/wchan").read():
        pass
    kill_itself()

def start_process(data=None):
    _, path = tempfile.mkstemp()
    return path, subprocess.Popen(["sleep", "600"]).pid

def start_and_sleep(data=None):
    path, pid = start_process()
    # One call writes the line, because the other worker writes to the same file.
    os.write(1, f"{path} {pid} {os.getpid()}\\n".encode())
    time.sleep(600)

def fail(data=None):
    open("/missing")

def reject(data=None):
    raise UserError("a reason")

def find_changed_code(data, fails=False):
    if fails:
        raise OtherSoftware("changed")

def fill(data=None):
    raise OSError(28, "No space left on device")

class Unusual(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")

def fail_unusually():
    raise Unusual("cause", "effect")

def generator():
    return (number for number in range(3))

def niceness():
    return os.nice(0)

def print_text():
    os.system("echo printed")
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """A module of functions, which other processes can import."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "functions_of_workers.py").write_text(FUNCTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield importlib.import_module("functions_of_workers")
