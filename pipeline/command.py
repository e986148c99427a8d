"""From a command line to a stage at work: the only module that knows Hydra.

A stage is a function of one argument, its configuration. `stage(train, Train)` makes
it a command: what was typed is read and checked, all of it, and only then does Hydra
compose `conf/` and call the function; in a sweep, once for each setting.
"""

import atexit
import errno
import gc
import hashlib
import io
import itertools
import os
import re
import signal
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pipeline import atomic
from pipeline.config import (
    CONF,
    LISTS,
    NUMBERS,
    TEXT,
    Keys,
    Refused,
    Schema,
    Trial,
    check,
    default,
    defaults,
    home,
    label,
    not_a_key,
    plain,
    printable,
    stored_in,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

EXPERIMENTS = CONF / "experiment"
INFORM = {"--cfg", "-c", "--info", "-i", "--hydra-help", "--version"}  # Hydra answers
# Nothing else of Hydra's: others name classes, or files that it would unpickle.
FLAGS = INFORM | {"-m", "--multirun", "--resolve"}
LAUNCHER, AT_ONCE = "hydra/launcher", "hydra.launcher.n_jobs"
EXPECTED = (ValueError, ArithmeticError, OSError)  # at the edges; others are mistakes
Item = TypeVar("Item")
Launch = Callable[[Path, Mapping[str, str]], None]


@dataclass(frozen=True)
class Job:
    """One setting of a sweep."""

    swept: dict[str, Any]  # the keys that the sweep varies
    values: dict[str, Any]  # all keys, checked unless there are problems
    problems: list[str]  # why it can't be trained, if it can't

    @property
    def name(self) -> str:
        """What people call it, and its run."""
        return label(self.values, named=self.swept)

    @property
    def folder(self) -> str:
        """The name of its folder: what the sweep varies, such as hidden=40,seed=2."""
        name = ",".join(f"{key}={value}" for key, value in self.swept.items())
        safe = re.sub(r"[^\w=.,+-]", "_", name)[:100]
        if safe != name:
            safe += "-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
        return safe

    @property
    def tags(self) -> dict[str, str]:
        """What the sweep varies, as tags of its run."""
        return {key: str(value) for key, value in self.swept.items()}


@dataclass(frozen=True)
class Command:
    """What was typed, understood."""

    overrides: list[str]  # for Hydra
    problems: list[str]  # a line for everything that is wrong
    jobs: list[Job]  # of a sweep; none where one training was asked for


def stage(
    function: Callable[..., None],
    keys: type[Keys],
    *,
    sweep: Callable[[Sequence[Job], Launch], None] | None = None,
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
    arguments = sys.argv[1:]
    module = sys.modules[function.__module__]
    name = f"python -m pipeline.{function.__name__}"
    if {"-h", "--help"} & set(arguments):
        print(_help(name, module.__doc__ or "", keys, sweeps=sweep is not None))
        return
    try:
        command = read(arguments, keys, sweeps=sweep is not None)
    except KeyboardInterrupt:
        _stop("stopped; nothing was started", status=130)
    except Refused as error:  # of a file in conf/
        _refuse(str(error).splitlines(), name)
    if command.problems:
        _refuse(command.problems, name)
    # Half a million objects come from imports and stay to the end. Looking through
    # them for garbage, again and again and once more at exit, took 2.7 s of 14.
    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a run ends as KILLED
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a bar is worth no failure
    debugged = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        if command.jobs and sweep:
            sweep(command.jobs, partial(_launch, function, keys, command))
        else:
            _call(lambda values: function(check(keys, values)), command.overrides)
    except Refused as error:
        _refuse(str(error).splitlines(), name)
    except EXPECTED as error:
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
    return f" ({home()}): make room, and the same command carries on"


def _call(function: Callable[[dict[str, Any]], None], overrides: Sequence[str]) -> None:
    """Let Hydra compose the configuration and call the function; in a sweep, often."""
    import hydra
    from omegaconf import DictConfig

    caught: list[Exception] = []

    def job(composed: DictConfig) -> None:
        try:
            function(plain(composed))
        except EXPECTED as error:  # else Hydra would tell of it, in its own way
            caught.append(error)

    sys.argv = [sys.argv[0], *overrides]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="hydra")(job)()
    if caught:
        raise caught[0]


def _launch(
    function: Callable[..., None],
    keys: type[Schema],
    command: Command,
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
        job = _job(keys, values, swept)
        if job.folder not in good:
            return
        place = folder / job.folder
        trial = Trial(place, {**tags, **job.tags, "setting": job.name}, job.name)
        waiting = f"waiting for {job.name}, which another process trains"
        try:
            with at_work(launcher), atomic.lock(place / "lock", waiting=waiting):
                if any((place / end).exists() for end in ("done", "error.txt")):
                    return
                (place / "begun").touch()
                with redirect_stdout(io.StringIO()):  # the sweep tells of it
                    function(check(keys, values), trial)
                (place / "done").touch()
        except Exception as error:  # it ends this job, and is told; not the others
            expected = isinstance(error, EXPECTED) and str(error)
            told = str(error) if expected else f"{type(error).__name__}: {error}"
            more = "" if expected else traceback.format_exc()
            fail(place, f"{' '.join(told.split())}\n{more}")

    where = [f"hydra.sweep.dir={quote(str(folder))}", "hydra.sweep.subdir=."]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what Hydra itself meets is told here
    _call(run, [*where, *command.overrides])


def fail(place: Path, why: str) -> None:
    """Leave the reason why a job trained no network, unless one is there."""
    if not (place / "error.txt").exists():
        with atomic.file(place / "error.txt") as written:
            written.write_text(why)


def progress(told: str) -> Callable[[Sequence[Item]], Iterable[Item]]:
    """Return what passes items on and shows, on a terminal, how far they have come."""
    from rich.console import Console
    from rich.markup import escape

    def pass_on(items: Sequence[Item]) -> Iterator[Item]:
        with bar(Console()) as shown:
            yield from shown.track(items, description=escape(printable(told)))

    return pass_on


def bar(screen: "Console") -> "Progress":
    """Return a bar that shows below all else how far long work has come.

    It goes when the work is done, and never comes where the screen is no terminal.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        disable=not screen.is_terminal,
        transient=True,
    )


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
    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        with _busy:
            os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def read(
    arguments: Sequence[str], keys: type[Schema], *, sweeps: bool = False
) -> Command:
    """Turn what was typed into what Hydra understands, and say what can't be.

    Text is quoted, so that a file name keeps its brackets, commas and umlauts. Keys
    that the stage doesn't read are refused rather than ignored. A bad value among
    several of a sweep is a problem of its jobs alone, unless all of them have one.

    Args:
        arguments: The command line, without the program.
        keys: The schema of the stage.
        sweeps: Whether the stage can be swept.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    values, params, sweep, problems = _experiment(arguments, sweeps=sweeps)
    sweep |= bool({"-m", "--multirun"} & set(arguments))
    if sweep and not sweeps:
        problems.append("-m is for python -m pipeline.train: only trainings are swept")
    words: list[str] = []  # Hydra reads key=value first, then what begins with a dash
    flags: list[str] = []
    several: dict[str, list[Any]] = {}
    typed = {argument.partition("=")[0] for argument in arguments}
    kept = [f"{key}={value}" for key, value in params.items() if key not in typed]
    arguments = [*kept, *arguments]
    for before, argument in zip(["", *arguments], arguments, strict=False):
        key, equals, value = argument.partition("=")
        if argument.startswith("-") and key.lstrip("-") not in defaults():
            flags.append(argument)
            if key not in FLAGS:
                problems.append(f"there is no option {key}: --help lists what there is")
            continue
        if before in ("--cfg", "-c", "--info", "-i"):
            flags.append(argument)
            continue
        if key == "experiment" or key.lstrip("+").startswith(("hydra.", "hydra/")):
            words.append(argument)
            problems += _not_ours(argument, arguments, sweep=sweep)
            continue
        if not equals or key not in keys.model_fields:
            problems.append(not_a_key(argument, keys))
            continue
        if sum(other.startswith(f"{key}=") for other in arguments) > 1:
            problems.append(f"{key} is there twice: give it once, as {key}=a,b")
            continue
        parts = [value]
        if key in TEXT and not (value == "null" and defaults()[key] is None):
            if sweep and not Path(value).expanduser().is_dir():
                parts = value.split(",")
            argument = f"{key}={','.join(map(quote, parts))}"
        if key in LISTS:
            inner = value[1:-1] if value[:1] + value[-1:] == "[]" else value
            parts = [inner] if os.path.isdir(inner) else inner.split(",")
            parts = [p.strip() for p in parts if p.strip() not in ("", "null")]
            argument = f"{key}=[{','.join(map(quote, parts))}]" if parts else argument
        words.append(argument)
        try:
            override = parser.parse_override(argument)
            swept = override.is_sweep_override() and [
                getattr(each, "text", each) for each in override.sweep_iterator()
            ]
        except (HydraException, NotImplementedError):  # as of interval(0,1)
            problems.append(f"{key} can't be read from {value!r} ({default(key)})")
            continue
        if key in LISTS:
            values[key] = parts or None
        elif not swept:
            values[key] = getattr(override.value(), "text", override.value())
            if key in TEXT and values[key] is not None:
                values[key] = value
        elif not sweep:
            problems.append(f"{key}={value} are several values: add -m to train each")
        elif key not in NUMBERS:
            problems.append(f"{key}={value} are several values: it takes one")
        else:
            several[key] = parts if key in TEXT else swept
    problems += _problems(keys, values)
    for key, row in several.items():
        wrong = [_problems(keys, {**defaults(), key: value}) for value in row]
        problems += itertools.chain(*wrong) if all(wrong) else ()
    if "--resolve" in flags and not {flag.partition("=")[0] for flag in flags} & INFORM:
        problems.append("--resolve is for --cfg job")
    if values["reproduce"] is not None:
        problems += [
            f"{key} does nothing beside reproduce, which takes it from the run"
            for key in NUMBERS
            if key in typed
        ]
        if sweep:
            problems.append("reproduce takes one run: leave out -m or experiment")
    if problems:
        return Command([], list(dict.fromkeys(problems)), [])
    if not sweep:
        return Command([*words, *flags], [], [])
    if INFORM & {
        flag.partition("=")[0] for flag in flags
    }:  # what is asked of a sweep is answered for its first job
        flags = [flag for flag in flags if flag not in ("-m", "--multirun")]
        words = [word for word in words if word.partition("=")[0] not in several]
        first = {key: row[0] for key, row in several.items()}
        words += [f"{k}={quote(v) if k in TEXT else v}" for k, v in first.items()]
        return Command([*words, *flags], [], [])
    swept_keys = [key for key in NUMBERS if key in several] or ["seed"]
    combined = itertools.product(*(several.get(k, [values[k]]) for k in swept_keys))
    rows = [values | dict(zip(swept_keys, row, strict=True)) for row in combined]
    jobs = {job.folder: job for job in (_job(keys, row, swept_keys) for row in rows)}
    if all(job.problems for job in jobs.values()):
        lines = [line for job in jobs.values() for line in job.problems]
        problems = list(dict.fromkeys(lines))
    return Command([*words, *flags], problems, list(jobs.values()))


def _not_ours(argument: str, others: Sequence[str], *, sweep: bool) -> list[str]:
    """Say what is wrong with a setting of Hydra's, if anything is."""
    key, _, value = argument.partition("=")
    if key == "experiment":
        return []
    if key not in (LAUNCHER, AT_ONCE):
        return [f"{key} is set by this command: leave it out"]
    if key == LAUNCHER and value not in ("basic", "joblib"):
        return [f"{key} must be basic or joblib, got {value!r}"]
    if key == AT_ONCE and not re.fullmatch("-1|[1-9][0-9]*", value):
        return [f"{key} must be how many at a time, or -1 for all cores, got {value!r}"]
    if key == AT_ONCE and f"{LAUNCHER}=joblib" not in others:
        return [f"{argument} does nothing without {LAUNCHER}=joblib"]
    return [] if sweep else [f"{argument} is for sweeps: add -m"]


def _experiment(
    arguments: Sequence[str], *, sweeps: bool
) -> tuple[dict[str, Any], dict[str, Any], bool, list[str]]:
    """Read what an experiment of conf/experiment sets, if one was asked for.

    Returns:
        The defaults, with the experiment's own values; the keys that it sweeps, each
        with its values as typed; whether it is a sweep; and what is wrong.
    """
    asked = [a.partition("=")[2] for a in arguments if a.startswith("experiment=")]
    if not asked:
        return defaults(), {}, False, []
    files = {path.stem: path for path in sorted(EXPERIMENTS.glob("*.yaml"))}
    if asked[-1] not in files or not sweeps:
        rule = f"must be {' or '.join(files)}" if sweeps else "is for pipeline.train"
        return defaults(), {}, False, [f"experiment {rule}, got {asked[-1]!r}"]
    stored = stored_in(files[asked[-1]])
    hydras = stored.pop("hydra", {})
    params = hydras.get("sweeper", {}).get("params", {})
    return defaults() | stored, params, hydras.get("mode") == "MULTIRUN", []


def _job(keys: type[Schema], values: dict[str, Any], swept: Iterable[str]) -> Job:
    problems = _problems(keys, values)
    known = values if problems else check(keys, values).model_dump()
    return Job({key: known[key] for key in swept}, known, problems)


def _problems(keys: type[Schema], values: dict[str, Any]) -> list[str]:
    try:
        check(keys, values)
    except Refused as error:
        return str(error).splitlines()
    return []


def quote(text: str) -> str:
    r"""Quote text for Hydra, which then hands it on letter by letter.

    Inside quotes Hydra reads a backslash as itself except before a quote, and
    OmegaConf reads ${...} as an interpolation unless a backslash stands before it.
    """
    text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)
    text = re.sub(r'(\\*)"', lambda found: found[1] * 2 + r"\"", text)
    text = re.sub(r"(\\+)\Z", lambda found: found[1] * 2, text)
    return f'"{text}"'


def _help(name: str, doc: str, keys: type[Schema], *, sweeps: bool) -> str:
    """Lay out the help of a stage from its docstring and the lines of config.yaml."""
    line = re.compile(r"^(\w+): *(.*?) +# (.*)$", re.MULTILINE)
    rows = [
        (f"{key}={value}", comment)
        for key, value, comment in line.findall((CONF / "config.yaml").read_text())
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
    print(printable(message), file=sys.stderr)
    sys.exit(status)
