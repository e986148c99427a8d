"""Turns a stage, which is a function of its configuration, into a command.

The whole command line is validated before the function runs; --help imports no heavy
package.
"""

import atexit
import errno
import gc
import os
import re
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from pipeline.cli.arguments import Job, experiments, parse
from pipeline.cli.config import CONF_DIR, ConfigError, store_dir, validate
from pipeline.cli.launch import USER_ERRORS, LaunchJobs, call_with_hydra, launch_jobs
from pipeline.cli.schema import ConfigT, StageConfig
from pipeline.files import printable
from pipeline.terminal import ignore_broken_pipe

HELP = """\
{name} [key=value ...]

{doc}

Options and their defaults:
{options}

{sweeps}\
--cfg job prints the configuration; with the environment variable HYDRA_FULL_ERROR=1
an error prints its traceback."""
SWEEPS = """\
Sweeps, each summarised by a table and a plot:
  {name} -m hidden=10,20 seed=1,2   all combinations
  {name} experiment=...             {experiments}
  add hydra/launcher=joblib to train as many at a time as there are cores

"""


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
    name = f"python -m pipeline.{function.__name__}"
    if {"-h", "--help"} & {*sys.argv[1:]}:
        doc = sys.modules[function.__module__].__doc__ or ""
        print(help_text(name, doc, schema, sweeps=sweep is not None))
        return
    print_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        command = parse(sys.argv[1:], schema, sweeps=sweep is not None)
        _configure_process()
        if command.jobs and sweep:
            sweep(command.jobs, partial(launch_jobs, function, schema, command))
        else:
            call_with_hydra(
                lambda values: function(validate(schema, values)), command.overrides
            )
    except ConfigError as error:
        title = "error: invalid arguments; nothing was run"
        lines = "\n  ".join([title, *str(error).split("\n"), f"see {name} --help"])
        _exit(lines, status=2)
    except USER_ERRORS as error:
        if print_traceback:
            raise
        _exit(f"error: {error}{_remedy(error)}", status=1)
    except KeyboardInterrupt as interrupt:
        message = "interrupted; run the same command again to resume"
        _exit(str(interrupt) or message, status=130)


def _configure_process() -> None:
    # Imports create half a million objects that are never freed. With the default
    # settings, garbage collection took 2.7 s of 14 s, a part of it at exit.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # marks the run as KILLED


def _remedy(error: Exception) -> str:
    """Return the remedy for a full disk; the system's message contains none."""
    full = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    if getattr(error, "errno", None) not in full:
        return ""
    return f" ({store_dir()}): free space, then run the same command again to resume"


def _exit(message: str, *, status: int) -> NoReturn:
    print("\n".join(map(printable, message.split("\n"))), file=sys.stderr)
    sys.exit(status)


def help_text(name: str, doc: str, schema: type[StageConfig], *, sweeps: bool) -> str:
    """Return the help of a stage: its docstring and the comments of conf/config.yaml.

    Args:
        name: The command, such as "python -m pipeline.train".
        doc: The docstring of its module.
        schema: Its options.
        sweeps: Whether it can be swept.
    """
    line = re.compile(r"^(\w+): *(.*?) +# (.*)$", re.MULTILINE)
    comments = {
        f"{key}={value}": comment
        for key, value, comment in line.findall((CONF_DIR / "config.yaml").read_text())
        if key in schema.model_fields
    }
    width = max(map(len, comments))
    options = [
        f"  {option if not number else '':<{width}}  {part}"
        for option, comment in comments.items()
        for number, part in enumerate(textwrap.wrap(comment, 84 - width))
    ]
    sweeps_help = SWEEPS.format(name=name, experiments=" or ".join(experiments()))
    return HELP.format(
        name=name,
        doc=doc.strip(),
        options="\n".join(options),
        sweeps=sweeps_help if sweeps else "",
    )
