"""How the process of a command ends: exit status and output."""

import os
import pty
import subprocess
import sys

import pytest

from pipeline import paths

COMMAND = """
import sys
from pipeline import ConfigError, UserError
from pipeline.process import run_command
def command():
    print("printed")
    {statement}
run_command(command, name="python -m pipeline.train")
"""


def run(statement, **options):
    """Run a command that consists of one statement."""
    code = COMMAND.format(statement=statement)
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, text=True, **options
    )


@pytest.mark.parametrize(
    ("statement", "status", "message"),
    [
        ("pass", 0, ""),
        ("raise UserError('a reason')", 1, "error: a reason\n"),
        ("raise FloatingPointError('a reason')", 1, "error: a reason\n"),
        ("open('/missing')", 1, "error: [Errno 2] No such file or directory: '/missin"),
        ("raise OSError(28, 'full')", 1, "free space, then run the same command again"),
        ("raise ConfigError('hidden\\nseed')", 2, "  hidden\n  seed\n  see python -m"),
        ("raise KeyboardInterrupt", 130, "interrupted; run the same command again"),
        ("import os; os.kill(os.getpid(), 15)", 143, "terminated; run the same comma"),
    ],
)
def test_a_user_error_is_one_message_without_a_traceback(statement, status, message):
    done = run(statement, capture_output=True)
    assert (done.returncode, done.stdout) == (status, "printed\n")
    assert message in done.stderr and "Traceback" not in done.stderr
    assert bool(message) == bool(done.stderr)


def test_an_error_in_the_program_shows_its_traceback():
    done = run("raise ValueError('a bug')", capture_output=True)
    assert done.returncode == 1 and done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: a bug\n")


def test_handlers_of_libraries_run_before_the_process_ends():
    done = run("import atexit; atexit.register(print, 'handler')", capture_output=True)
    assert (done.returncode, done.stdout) == (0, "printed\nhandler\n")


def test_what_was_printed_before_the_command_is_printed_first():
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
