"""Turns a stage, which is a function of its configuration, into a command.

The whole command line is validated before the function runs.
"""

import atexit
import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from pipeline.cli.arguments import Job, parse
from pipeline.cli.config import ConfigError, validate
from pipeline.cli.help import help_text
from pipeline.cli.launch import USER_ERRORS, LaunchJobs, call_with_hydra, launch_jobs
from pipeline.cli.paths import store_dir
from pipeline.cli.schema import ConfigT
from pipeline.cli.terminal import ignore_broken_pipe
from pipeline.files import printable


def stage(
    function: Callable[..., None],
    schema: type[ConfigT],
    *,
    sweep: Callable[[Sequence[Job], LaunchJobs], None] | None = None,
) -> None:
    """Run a stage as a command.

    Exit statuses: 2, before anything is written, if the command line is invalid; 1,
    with one line, if a file, the network or the disk causes an error; 130 after Ctrl-C;
    143 after SIGTERM.

    Args:
        function: The stage, a function of its configuration; in a sweep, also of a
            `RunContext`.
        schema: Its options.
        sweep: Runs a sweep, given its jobs and a function that trains them (see
            `launch_jobs`); None for a stage that cannot be swept.
    """
    ignore_broken_pipe()
    # On busy cores NumPy's threads wait for each other: 30 s instead of 4 s.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    arguments = sys.argv[1:]
    name = f"python -m pipeline.{function.__name__}"
    if {"-h", "--help"} & set(arguments):
        doc = sys.modules[function.__module__].__doc__ or ""
        print(help_text(name, doc, schema, sweeps=sweep is not None))
        return
    try:
        command = parse(arguments, schema, sweeps=sweep is not None)
    except KeyboardInterrupt:
        _exit("interrupted; nothing was run", status=130)
    except ConfigError as error:  # in a file of conf/
        _refuse(str(error).splitlines(), name)
    if command.problems:
        _refuse(command.problems, name)
    _configure_process()
    print_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        if command.jobs and sweep:
            sweep(command.jobs, partial(launch_jobs, function, schema, command))
        else:
            call_with_hydra(
                lambda values: function(validate(schema, values)), command.overrides
            )
    except ConfigError as error:
        _refuse(str(error).splitlines(), name)
    except USER_ERRORS as error:
        if print_traceback:
            raise
        _exit(f"error: {error}{_remedy(error)}", status=1)
    except KeyboardInterrupt as interrupt:
        message = "interrupted; run the same command again to resume"
        _exit(str(interrupt) or message, status=130)


def _configure_process() -> None:
    # Imports create half a million objects that live to the end. Searching them for
    # garbage, repeatedly and once more at exit, took 2.7 s of 14.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a run ends as KILLED


def _remedy(error: Exception) -> str:
    """Return what to do about a full disk, which the system's message does not say."""
    full = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    if getattr(error, "errno", None) not in full:
        return ""
    return f" ({store_dir()}): free space, then run the same command again to resume"


def _refuse(problems: Sequence[str], name: str) -> NoReturn:
    title = "error: invalid arguments; nothing was run"
    _exit("\n  ".join([title, *problems, f"see {name} --help"]), status=2)


def _exit(message: str, *, status: int) -> NoReturn:
    print("\n".join(map(printable, message.split("\n"))), file=sys.stderr)
    sys.exit(status)
