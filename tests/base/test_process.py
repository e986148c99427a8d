"""How the process of a command ends: exit status and output."""

import os
import pty
import subprocess
import sys

import pytest

from pipeline.base import paths

COMMAND = """
import sys
from pipeline import ConfigError, UserError
from pipeline.base.process import run_command
def command():
    print("printed")
    {statement}
run_command(command, name="python -m pipeline.train")
"""


def run(statement, **options):
    """Run a command that consists of one statement."""
    code = COMMAND.format(statement=statement)
    places = {"PYTHONPATH": str(paths.ROOT), "PIPELINE_OUTPUTS": "/missing/outputs"}
    command = [sys.executable, "-c", code, "images=/named"]
    return subprocess.run(command, env=os.environ | places, text=True, **options)


def test_a_warning_is_the_last_line_even_if_both_outputs_are_one_file():
    warning = "from pipeline.base.terminal import warn; warn('a', remedy='sync')"
    one = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = run(f"{warning}; print('later')", **one)
    assert done.stdout == "printed\nlater\nwarning: a\n  sync\n"
    done = run(f"{warning}; raise UserError('why')", **one)
    assert done.stdout == "printed\nwarning: a\n  sync\nerror: why\n"


FULL = "error: cannot write to the standard output: no space left on device\n"


@pytest.mark.parametrize(
    ("statement", "status", "message"),
    [
        ("pass", 0, ""),
        ("raise UserError('a reason')", 1, "error: a reason\n"),
        ("raise FloatingPointError('a reason')", 1, "error: a reason\n"),
        (
            "from pathlib import Path; from pipeline.base.files import list_folder; "
            "list_folder(Path('/named here'))",
            1,
            "error: /named here cannot be read: No such file or directory\n",
        ),
        ("open('/missing/outputs/data')", 1, "error: [Errno 2] No such file or dir"),
        ("import os; os.listdir('/missing')", 1, "error: [Errno 2] No such file or d"),
        (
            "raise OSError(28, 'full')",
            1,
            "free some disk space, then run the same command again\n",
        ),
        ("raise OSError(30, 'Read-only', '/x')", 1, "error: [Errno 30] Read-only: '/x"),
        (
            "raise OSError(24, 'Too many open files')",
            1,
            "error: [Errno 24] Too many op",
        ),
        ("raise OSError(2, 'No usable temporary directory')", 1, "error: [Errno 2] No"),
        ("import socket; socket.create_connection(('127.0.0.1', 1))", 1, "refused\n"),
        ("raise ConfigError('hidden', 'seed')", 2, "  hidden\n  seed\n  see python -m"),
        ("raise KeyboardInterrupt", 130, "interrupted: run the same command again"),
        ("import os; os.kill(os.getpid(), 15)", 143, "terminated: run the same comma"),
        ("sys.exit('a reason')", 1, "a reason\n"),  # as a library ends a process
    ],
)
def test_a_user_error_is_reported_in_one_message_without_a_traceback(
    statement, status, message
):
    done = run(statement, capture_output=True)
    assert (done.returncode, done.stdout) == (status, "printed\n")
    assert message in done.stderr and "Traceback" not in done.stderr
    assert bool(message) == bool(done.stderr)


@pytest.mark.parametrize("full", ["0", "1"])
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("raise ValueError('a bug')", "ValueError: a bug"),
        ("raise OSError('a bug')", "OSError: a bug"),
        ("open('/named')", "FileNotFoundError: [Errno 2] No such file or directory: "),
        ("import os; os.read(1000, 1)", "OSError: [Errno 9] Bad file descriptor"),
        ("import subprocess; subprocess.run('/no')", "FileNotFoundError: [Errno 2] No"),
    ],
)
def test_an_error_in_the_program_shows_its_traceback(statement, message, full):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRA_FULL_ERROR", full)
        done = run(statement, capture_output=True)
    assert done.returncode == 1 and done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-1].startswith(message)


def test_handlers_of_libraries_run_before_the_process_ends():
    done = run("import atexit; atexit.register(print, 'handler')", capture_output=True)
    assert (done.returncode, done.stdout) == (0, "printed\nhandler\n")


@pytest.mark.parametrize(
    ("statement", "status", "message"),
    [
        ("pass", 1, FULL),
        ("sys.stdout.flush()", 1, FULL),
        ("print('x' * 100_000)", 1, FULL),
        ("raise UserError('a reason')", 1, "error: a reason\n"),
        ("raise KeyboardInterrupt", 130, "interrupted: run the same command again\n"),
    ],
)
def test_output_to_a_full_disk_is_a_one_line_error(
    statement, status, message, monkeypatch
):
    monkeypatch.setenv("PYTHONUNBUFFERED", "")  # output is buffered
    with open("/dev/full", "w") as full:
        done = run(statement, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (status, message)
    with open("/dev/full", "w") as full:
        done = run(statement, stdout=subprocess.PIPE, stderr=full)
    assert done.stdout.startswith("printed\n")
    assert done.returncode == (status if message != FULL else 0)


def test_output_from_before_the_command_comes_first():
    code = "import sys; before = sys.stdout; print('first')" + COMMAND
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT), "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-c", code.format(statement="pass")]
    printed = subprocess.check_output(command, env=environment, text=True)
    assert printed == "first\nprinted\n"


def test_a_message_wraps_at_words_on_a_terminal():
    terminal, inside = pty.openpty()
    words = " ".join(["several words"] * 20)
    run(f"raise UserError('{words}')", stdout=subprocess.DEVNULL, stderr=inside)
    lines = os.read(terminal, 10_000).decode().splitlines()
    os.close(terminal), os.close(inside)
    assert len(lines) > 2 and max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == f"error: {words}"


def test_outputs_of_an_unknown_user_are_rejected_in_one_message():
    code = "from pipeline.base.process import run_command\n"
    code += "from pipeline.base.paths import results_dir\n"
    code += "run_command(results_dir, name='python -m pipeline.train')"
    places = {"PYTHONPATH": str(paths.ROOT), "PIPELINE_OUTPUTS": "~nosuchuser/x"}
    command, environment = [sys.executable, "-c", code], os.environ | places
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "PIPELINE_OUTPUTS must have a user name or /" in done.stderr
