"""From a command line to a stage at work, by way of Hydra.

A stage is a function of one argument, its configuration. `stage(train, Train)` makes
it a command: what was typed is read and checked, all of it, and only then does Hydra
compose `conf/` and call the function; in a sweep, once for each setting.
"""

import atexit
import errno
import gc
import io
import os
import re
import signal
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

from pipeline import files
from pipeline.cli.arguments import (
    EXPERIMENTS,
    Job,
    ParsedCommand,
    parse,
    quote_override,
)
from pipeline.cli.config import (
    ConfigError,
    ConfigT,
    RunContext,
    StageConfig,
    to_dict,
    validate,
)
from pipeline.cli.paths import CONF_DIR, store_dir
from pipeline.cli.terminal import ignore_broken_pipe
from pipeline.files import printable

USER_ERRORS = (
    ValueError,
    ArithmeticError,
    OSError,
)  # at the edges; others are mistakes
LaunchJobs = Callable[[Path, Mapping[str, str]], None]


def stage(
    function: Callable[..., None],
    keys: type[ConfigT],
    *,
    sweep: Callable[[Sequence[Job], LaunchJobs], None] | None = None,
) -> None:
    """Run a stage as a command: read the command line, check it, call the function.

    Bad values end the process with status 2 before anything is written; an error at
    the edges (a file, the network, the disk) with status 1 and one line.

    Args:
        function: The stage, of its checked configuration; where it can be swept, also
            of the Trial that it is.
        keys: The schema of the configuration.
        sweep: What a sweep is more than its jobs. It gets them, and a function that
            trains them in a folder, with tags, and raises BrokenExecutor where the
            system killed a worker; None for a stage without sweeps.
    """
    ignore_broken_pipe()
    # NumPy's threads wait for each other on busy cores: 30 s where one takes 4.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    arguments = sys.argv[1:]
    module = sys.modules[function.__module__]
    name = f"python -m pipeline.{function.__name__}"
    if {"-h", "--help"} & set(arguments):
        print(_help(name, module.__doc__ or "", keys, sweeps=sweep is not None))
        return
    try:
        command = parse(arguments, keys, sweeps=sweep is not None)
    except KeyboardInterrupt:
        _stop("stopped; nothing was started", status=130)
    except ConfigError as error:  # of a file in conf/
        _refuse(str(error).splitlines(), name)
    if command.problems:
        _refuse(command.problems, name)
    # Half a million objects come from imports and stay to the end. Looking through
    # them for garbage, again and again and once more at exit, took 2.7 s of 14.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a run ends as KILLED
    debugged = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        if command.jobs and sweep:
            sweep(command.jobs, partial(_launch, function, keys, command))
        else:
            _call(lambda values: function(validate(keys, values)), command.overrides)
    except ConfigError as error:
        _refuse(str(error).splitlines(), name)
    except USER_ERRORS as error:
        if debugged:
            raise
        _stop(f"error: {error}{_remedy(error)}", status=1)
    except KeyboardInterrupt as interrupt:
        _stop(str(interrupt) or "stopped; the same command carries on", status=130)


def _remedy(error: Exception) -> str:
    """Say what to do about a full disk, which an error of the system's doesn't."""
    full = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    if getattr(error, "errno", None) not in full:
        return ""
    return f" ({store_dir()}): make room, and the same command carries on"


def _call(function: Callable[[dict[str, Any]], None], overrides: Sequence[str]) -> None:
    """Let Hydra compose the configuration and call the function; in a sweep, often."""
    import hydra
    from omegaconf import DictConfig

    caught: list[Exception] = []

    def job(composed: DictConfig) -> None:
        try:
            function(to_dict(composed))
        except USER_ERRORS as error:  # else Hydra would tell of it, in its own way
            caught.append(error)

    sys.argv = [sys.argv[0], *overrides]
    hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="hydra")(
        job
    )()
    if caught:
        raise caught[0]


def _launch(
    function: Callable[..., None],
    keys: type[StageConfig],
    command: ParsedCommand,
    folder: Path,
    tags: Mapping[str, str],
) -> None:
    """Train the jobs of a sweep, each once, however often the sweep is typed.

    A job that ends leaves `done` in its folder, or `error.txt` with the reason. Whoever
    trains it holds the lock there, and left `begun`. Values that are refused are left
    to the sweep, also where Hydra would make others of them, as of ${epochs}.
    """
    swept = list(command.jobs[0].swept)
    good = {job.folder for job in command.jobs if not job.problems}
    launcher = os.getpid()

    def run(values: dict[str, Any]) -> None:
        job = Job.of(keys, values, swept)
        if job.folder not in good:
            return
        place = folder / job.folder
        trial = RunContext(place, {**tags, **job.tags, "setting": job.name}, job.name)
        waiting = f"waiting for {job.name}, which another process trains"
        try:
            with at_work(launcher), files.lock(place / "lock", waiting=waiting):
                if any((place / end).exists() for end in ("done", "error.txt")):
                    return
                (place / "begun").touch()
                with redirect_stdout(io.StringIO()):  # the sweep tells of it
                    function(validate(keys, values), trial)
                (place / "done").touch()
        except Exception as error:  # it ends this job, and is told; not the others
            expected = isinstance(error, USER_ERRORS) and str(error)
            told = str(error) if expected else f"{type(error).__name__}: {error}"
            more = "" if expected else traceback.format_exc()
            record_failure(place, f"{' '.join(told.split())}\n{more}")

    where = [f"hydra.sweep.dir={quote_override(str(folder))}", "hydra.sweep.subdir=."]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what Hydra itself meets is told here
    _call(run, [*where, *command.overrides])


def record_failure(place: Path, why: str) -> None:
    """Leave the reason why a job trained no network, unless one is there."""
    if not (place / "error.txt").exists():
        with files.atomic_file(place / "error.txt") as written:
            written.write_text(why)


_busy = threading.Lock()


@contextmanager
def at_work(launcher: int) -> Iterator[None]:
    """Let this process train, and end after it if its launcher was killed meanwhile.

    Workers of joblib's would wait for more work for ever.
    """
    if os.getpid() != launcher:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launcher's
        _watch(launcher)
    with _busy:
        yield


@cache
def _watch(launcher: int) -> None:
    ignore_broken_pipe()  # a launcher that was killed reads no more

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        with _busy:
            os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _help(name: str, doc: str, keys: type[StageConfig], *, sweeps: bool) -> str:
    """Lay out the help of a stage from its docstring and the lines of config.yaml."""
    line = re.compile(r"^(\w+): *(.*?) +# (.*)$", re.MULTILINE)
    rows = [
        (f"{key}={value}", comment)
        for key, value, comment in line.findall((CONF_DIR / "config.yaml").read_text())
        if key in keys.model_fields
    ]
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        [
            f"{name} [key=value ...]",
            "",
            doc.strip(),
            "",
            "Keys, with their defaults:",
            *(
                f"  {row[0] if not number else '':<{width}}  {part}"
                for row in rows
                for number, part in enumerate(textwrap.wrap(row[1], 84 - width))
            ),
            "",
            *(_sweeps(name) if sweeps else ()),
            "--cfg job shows the configuration; HYDRA_FULL_ERROR=1 in the environment",
            "shows where an error was met.",
        ]
    )


def _sweeps(name: str) -> list[str]:
    """Lay out the help on sweeps."""
    kept = " or ".join(path.stem for path in sorted(EXPERIMENTS.glob("*.yaml")))
    return [
        "Sweeps, each with a table and a picture at its end:",
        f"  {name} -m hidden=10,20 seed=1,2   every combination",
        f"  {name} experiment=...             {kept}",
        "  with hydra/launcher=joblib as many at a time as there are cores",
        "",
    ]


def _refuse(problems: Sequence[str], name: str) -> NoReturn:
    lines = ["error: nothing was started", *problems, f"see {name} --help"]
    _stop("\n  ".join(lines), status=2)


def _stop(message: str, *, status: int) -> NoReturn:
    print("\n".join(map(printable, message.split("\n"))), file=sys.stderr)
    sys.exit(status)
