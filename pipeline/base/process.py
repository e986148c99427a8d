"""Runs a command as a process: its threads, signals and exit status.

This module depends neither on `cli` nor on the stages.
"""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from pipeline import ConfigError, UserError
from pipeline.base.error_messages import AGAIN, is_user_error, remedy
from pipeline.base.terminal import check_output, output, print_error

# With one thread, PyTorch gives the same sums on any number of cores. With several
# threads, which wait for each other on busy cores, NumPy takes seven times as long.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run_command(function: Callable[[], object], *, name: str) -> None:
    """Call the function of a command, and end the process if there is an error.

    Exit statuses:

    - 2, before anything is written, if the command line is invalid
    - 1, with one line, after an error of the user, of files, of the network connection
      or of the system, or if output cannot be written
    - 1, with a traceback, after an error in the program
    - 130 after Ctrl-C, and 143 after SIGTERM

    `name` is the command, such as "python -m pipeline.train".
    """
    check_output()
    _set_up()
    statuses: list[int] = []
    atexit.register(_skip_finalization, statuses)
    # The variable of Hydra, which people who know Hydra expect.
    print_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        with output():
            function()
        sys.stdout.flush()
        statuses.append(0)
    except ConfigError as error:
        title = "error: invalid settings; nothing was run"
        problems = str(error).split("\n")
        print_error("\n  ".join([title, *problems, f"see {name} --help"]))
        sys.exit(2)
    except (UserError, FloatingPointError, OSError) as error:
        if print_traceback or not is_user_error(error):
            raise
        print_error(f"error: {error}{remedy(error)}")
        sys.exit(1)
    except KeyboardInterrupt as interrupt:
        print_error(str(interrupt) or f"interrupted: {AGAIN}")
        statuses.append(130)
        sys.exit(130)
    except _Terminated as ending:
        print_error(str(ending))
        statuses.append(143)
        sys.exit(143)


def _set_up() -> None:
    """Configure the whole process, before libraries are imported."""
    os.environ.update(ONE_THREAD)
    # No command unpickles a file, because a pickle can run code.
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    limit_garbage_collection()
    signal.signal(signal.SIGTERM, _terminate)


def limit_garbage_collection() -> None:
    """Collect garbage rarely, because imports create half a million lasting objects.

    With Python's default thresholds, collections took a fifth of the time of a command.
    With a first threshold of 100,000, they took a tenth of this time.
    """
    gc.set_threshold(1_000_000, 20, 100)


class _Terminated(SystemExit):
    """The error for SIGTERM, because other code also raises SystemExit with a text."""


def _terminate(number: int, frame: FrameType | None) -> None:
    """Raise an error, so that open `with` blocks end and mark the run as KILLED."""
    raise _Terminated(f"terminated: {AGAIN}")


def _skip_finalization(statuses: list[int]) -> None:
    """Exit with a status, if there is one, without Python's final garbage collections.

    These collections are slow, and free memory that the system frees anyway. This
    handler is registered first, so it runs after the handlers of the libraries. After
    an error, `statuses` is empty and Python ends as usual, because there may be a
    traceback to print. gc.freeze also skips the collections, but then the libraries
    report leaks.
    """
    with suppress(UserError):  # an earlier error determines the status
        sys.stdout.flush()
        sys.stderr.flush()
    if statuses:
        os._exit(statuses[0])
