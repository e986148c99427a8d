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
from collections.abc import Callable
from typing import NoReturn

from pipeline import UserError
from pipeline.cli.arguments import Command, experiments, parse
from pipeline.cli.config import ConfigError, as_yaml, validate
from pipeline.cli.schema import ConfigT, StageConfig
from pipeline.paths import conf_dir, store_dir
from pipeline.terminal import WIDTH, ignore_broken_pipe, print_error

# Errors caused by values, files, the network or a training run that diverges. Others
# are errors of the program: they keep their traceback.
USER_ERRORS = (UserError, FloatingPointError, OSError)
HELP = """\
{name} [key=value ...]

{doc}

Options and their defaults:
{options}

{sweeps}\
--cfg job prints the configuration. With the environment variable
HYDRA_FULL_ERROR=1, an error prints its traceback."""
SWEEPS = """\
Sweeps, each summarised by a table and a plot:
  {name} -m hidden=10,20 seed=1,2
  {name} experiment=...  {experiments}
  add hydra/launcher=joblib to train as many at a time as there are cores

"""


def stage(
    function: Callable[[ConfigT], object],
    schema: type[ConfigT],
    *,
    sweep: Callable[[Callable[..., object], Command], None] | None = None,
) -> None:
    """Run a stage as a command.

    Exit statuses: 2, before anything is written, if the command line is invalid; 1,
    with one line, if a file, the network or the disk causes an error; 130 after Ctrl-C;
    143 after SIGTERM.

    Args:
        function: The stage, a function of its configuration.
        schema: Its options; the name of the stage is that of the schema.
        sweep: Runs a sweep, given the function and the command line; None for a stage
            that cannot be swept.
    """
    ignore_broken_pipe()
    # On busy cores NumPy's threads wait for each other: 30 s instead of 4 s.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    name = f"python -m pipeline.{schema.__name__.removesuffix('Config').lower()}"
    if {"-h", "--help"} & {*sys.argv[1:]}:
        doc = sys.modules[function.__module__].__doc__ or ""
        print(help_text(name, doc, schema, sweeps=sweep is not None))
        return
    succeeded: list[bool] = []
    atexit.register(_skip_finalization, succeeded)
    print_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        command = parse(sys.argv[1:], schema, sweeps=sweep is not None)
        _configure_process()
        if command.info:
            _print_information(command, schema)
        elif command.is_sweep and sweep:
            sweep(function, command)
        else:
            function(validate(schema, command.values))
        succeeded.append(True)
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
    # settings, garbage collection took 2.7 s of 14 s.
    gc.set_threshold(100_000, 20, 100)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # marks the run as KILLED


def _skip_finalization(succeeded: list[bool]) -> None:
    """End a process that succeeded before its last garbage collections.

    They take 2 s of processor time and free what the system frees anyway. This handler
    is registered first, so it runs after those of the libraries. After gc.freeze, which
    also skips the collections, the libraries would report leaks.
    """
    if succeeded:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _print_information(command: Command, schema: type[StageConfig]) -> None:
    if "--cfg=job" in command.info:
        print(as_yaml(validate(schema, command.values)), end="")
        return
    import hydra

    sys.argv[1:] = command.info
    main = hydra.main(
        version_base="1.3", config_path=str(conf_dir()), config_name="hydra"
    )
    main(lambda _: None)()


def _remedy(error: Exception) -> str:
    """Return the remedy for a full disk; the system's message contains none."""
    full = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    if getattr(error, "errno", None) not in full:
        return ""
    return f" ({store_dir()}): free space, then run the same command again to resume"


def _exit(message: str, *, status: int) -> NoReturn:
    print_error(message)
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
    lines = line.findall((conf_dir() / "config.yaml").read_text("utf-8"))
    comments = {
        f"{key}={value}": comment
        for key, value, comment in lines
        if key in schema.model_fields
    }
    column = max(map(len, comments)) + 4
    options = [
        textwrap.fill(
            comment,
            WIDTH,
            initial_indent=f"  {option}".ljust(column),
            subsequent_indent=" " * column,
            break_on_hyphens=False,
        )
        for option, comment in comments.items()
    ]
    sweeps_help = SWEEPS.format(name=name, experiments=" or ".join(experiments()))
    paragraphs = doc.strip().split("\n\n")
    return HELP.format(
        name=name,
        doc="\n\n".join(textwrap.fill(text, WIDTH) for text in paragraphs),
        options="\n".join(options),
        sweeps=sweeps_help if sweeps else "",
    )
