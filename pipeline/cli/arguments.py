"""Parses and validates a whole command line before anything runs.

It also decides which of Hydra's flags and settings are allowed, because others name
classes to call or files to unpickle.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.cli.config import ConfigError, defaults, find_problems, load_yaml
from pipeline.cli.jobs import Job, combine
from pipeline.cli.overrides import SweepValues, make_override, parse_override
from pipeline.cli.paths import CONF_DIR
from pipeline.cli.schema import HYPERPARAMETERS, StageConfig

EXPERIMENTS = CONF_DIR / "experiment"
MULTIRUN = {"-m", "--multirun"}
WITH_WORD = {"--cfg", "-c", "--info", "-i"}  # flags that are followed by a word
SHOW_ONLY = WITH_WORD | {"--hydra-help", "--version"}  # Hydra answers and runs nothing
FLAGS = SHOW_ONLY | MULTIRUN | {"--resolve"}
LAUNCHER, N_JOBS = "hydra/launcher", "hydra.launcher.n_jobs"


@dataclass(frozen=True)
class ParsedCommand:
    """A command line after parsing and validation."""

    overrides: list[str] = field(default_factory=list)  # for Hydra
    problems: list[str] = field(default_factory=list)  # one line for each error
    jobs: list[Job] = field(default_factory=list)  # of a sweep; none of one training


def parse(
    arguments: Sequence[str], schema: type[StageConfig], *, sweeps: bool = False
) -> ParsedCommand:
    """Parse and validate a command line.

    Keys that are not options of the stage are errors. If only some values of a sweep
    are invalid, the jobs with these values have problems, and the command has none.

    Args:
        arguments: The command line without the program.
        schema: The options of the stage.
        sweeps: Whether the stage can be swept.
    """
    values, params, sweep, problems = _read_experiment(arguments, sweeps=sweeps)
    sweep |= bool(MULTIRUN & {*arguments})
    if sweep and not sweeps:
        problems.append("-m is an option of python -m pipeline.train only")
    flags, settings, pairs = _split_arguments(arguments)
    problems += _check_flags(flags) + _check_settings(settings, sweep=sweep)
    typed = [pair.partition("=")[0] for pair in pairs]
    added = [f"{key}={value}" for key, value in params.items() if key not in typed]
    overrides = [*settings]
    swept: dict[str, list[Any]] = {}
    for pair in [*added, *pairs]:
        key = pair.partition("=")[0]
        try:
            override, value = parse_override(pair, schema, sweep=sweep)
        except ConfigError as error:
            problems.append(str(error))
            continue
        overrides.append(override)
        if typed.count(key) > 1:
            problems.append(f"{key} is given more than once: write {key}=a,b")
        if isinstance(value, SweepValues):
            swept[key] = value.values
        else:
            values[key] = value
    problems += find_problems(schema, values) + _check_swept(schema, swept)
    if values["reproduce"] is not None:
        problems += _check_reproduce(typed, sweep=sweep)
    jobs: list[Job] = []
    if sweep and SHOW_ONLY & _names(flags):  # Hydra shows the first job
        flags = [flag for flag in flags if flag not in MULTIRUN]
        overrides = [each for each in overrides if each.partition("=")[0] not in swept]
        overrides += [make_override(key, row[:1]) for key, row in swept.items()]
    elif sweep and not problems:
        jobs = combine(schema, values, swept)
        if all(job.problems for job in jobs):
            problems += itertools.chain(*(job.problems for job in jobs))
    if problems:
        return ParsedCommand(problems=list(dict.fromkeys(problems)))
    return ParsedCommand(overrides=[*overrides, *flags], jobs=jobs)


def _read_experiment(
    arguments: Sequence[str], *, sweeps: bool
) -> tuple[dict[str, Any], dict[str, Any], bool, list[str]]:
    """Read the experiment in conf/experiment that the command line selects, if any.

    Returns:
        The defaults, updated by the experiment; the text of the values of each key that
        it sweeps; whether it is a sweep; and the problems.
    """
    selected = [a.partition("=")[2] for a in arguments if a.startswith("experiment=")]
    if not selected:
        return defaults(), {}, False, []
    files = {path.stem: path for path in sorted(EXPERIMENTS.glob("*.yaml"))}
    name = selected[-1]
    if not sweeps:
        problem = "experiment is an option of python -m pipeline.train only"
        return defaults(), {}, False, [problem]
    if name not in files:
        problem = f"experiment must be {' or '.join(files)}, got {name!r}"
        return defaults(), {}, False, [problem]
    values = load_yaml(files[name])
    hydra = values.pop("hydra", {})
    params = hydra.get("sweeper", {}).get("params", {})
    return defaults() | values, params, hydra.get("mode") == "MULTIRUN", []


def _split_arguments(
    arguments: Sequence[str],
) -> tuple[list[str], list[str], list[str]]:
    """Split arguments into flags, settings of Hydra and key=value pairs."""
    flags, settings, pairs = [], [], []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        key = argument.partition("=")[0]
        is_flag = argument.startswith("-") and key.lstrip("-") not in defaults()
        if is_flag or before in WITH_WORD:
            flags.append(argument)
        elif key == "experiment" or key.lstrip("+").startswith(("hydra.", "hydra/")):
            settings.append(argument)
        else:
            pairs.append(argument)
    return flags, settings, pairs


def _names(flags: Iterable[str]) -> set[str]:
    """Return flags without the word that may be joined to them, as in --cfg=job."""
    return {flag.partition("=")[0] for flag in flags}


def _check_flags(flags: Sequence[str]) -> list[str]:
    problems = [
        f"unknown flag {flag.partition('=')[0]}: --help lists the options"
        for flag in flags
        if flag.startswith("-") and not _names([flag]) <= FLAGS
    ]
    if "--resolve" in flags and not _names(flags) & SHOW_ONLY:
        problems.append("--resolve has no effect without --cfg job")
    return problems


def _check_settings(settings: Sequence[str], *, sweep: bool) -> list[str]:
    problems = []
    for setting in settings:
        key, _, value = setting.partition("=")
        if key == "experiment":
            continue
        if key not in (LAUNCHER, N_JOBS):
            problems.append(f"{key} is set by this command: leave it out")
        elif key == LAUNCHER and value not in ("basic", "joblib"):
            problems.append(f"{key} must be basic or joblib, got {value!r}")
        elif key == N_JOBS and not re.fullmatch("-1|[1-9][0-9]*", value):
            problems.append(
                f"{key} must be a number of processes, or -1 for all cores, "
                f"got {value!r}"
            )
        elif key == N_JOBS and f"{LAUNCHER}=joblib" not in settings:
            problems.append(f"{setting} has no effect without {LAUNCHER}=joblib")
        elif not sweep:
            problems.append(f"{setting} is an option of sweeps: add -m")
    return problems


def _check_swept(schema: type[StageConfig], swept: dict[str, list[Any]]) -> list[str]:
    """Return the problems of each key whose swept values are all invalid."""
    problems: list[str] = []
    for key, row in swept.items():
        lines = [find_problems(schema, defaults() | {key: value}) for value in row]
        if all(lines):
            problems += itertools.chain(*lines)
    return problems


def _check_reproduce(typed: Sequence[str], *, sweep: bool) -> list[str]:
    problems = [
        f"{key} cannot be combined with reproduce, which takes it from the run"
        for key in HYPERPARAMETERS
        if key in typed
    ]
    if sweep:
        problems.append("reproduce takes one run: leave out -m or experiment")
    return problems
