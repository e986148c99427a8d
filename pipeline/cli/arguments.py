"""Parses and validates a whole command line before anything runs.

Only some of Hydra's flags and settings are allowed, because others name classes to call
or files to unpickle.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.cli.config import (
    CONF_DIR,
    ConfigError,
    as_text,
    defaults,
    load_yaml,
    run_name,
    validate,
)
from pipeline.cli.overrides import SweepValues, make_override, parse_value
from pipeline.cli.schema import HYPERPARAMETERS, StageConfig

MULTIRUN = {"-m", "--multirun"}
FLAGS_WITH_VALUE = {"--cfg", "-c", "--info", "-i"}  # flags that take a value
INFO_FLAGS = FLAGS_WITH_VALUE | {"--hydra-help", "--version"}  # nothing is run
FLAGS = INFO_FLAGS | MULTIRUN | {"--resolve"}
LAUNCHER, N_JOBS = "hydra/launcher", "hydra.launcher.n_jobs"


@dataclass(frozen=True)
class Job:
    """One training of a sweep."""

    swept: dict[str, Any]  # the keys that the sweep varies
    values: dict[str, Any]  # of all keys, validated unless there are problems
    config: StageConfig | None  # None if there are problems
    problems: list[str]  # why it cannot be trained; empty if it can

    @classmethod
    def of(
        cls, schema: type[StageConfig], values: dict[str, Any], swept: Iterable[str]
    ) -> "Job":
        """Validate the values of a job."""
        config, problems = None, []
        try:
            config = validate(schema, values)
            values = values | config.model_dump()
        except ConfigError as error:
            problems = str(error).split("\n")
        return cls({key: values[key] for key in swept}, values, config, problems)

    @property
    def name(self) -> str:
        """The name of its run, such as "hidden=40 seed=2"."""
        return run_name(self.values, named=self.swept)

    @property
    def folder(self) -> str:
        """The name of its folder, such as "hidden=40,seed=2"."""
        name = ",".join(f"{key}={value}" for key, value in self.swept.items())
        safe = re.sub(r"[^\w=.,+-]", "_", name)[:100]
        if safe != name:
            safe += "-" + hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
        return safe

    @property
    def tags(self) -> dict[str, str]:
        """The keys that the sweep varies, as tags of its run."""
        return {key: str(value) for key, value in self.swept.items()}


@dataclass(frozen=True)
class ParsedCommand:
    """A valid command line."""

    overrides: list[str]  # for Hydra
    jobs: list[Job]  # of a sweep; empty for a single training run


def parse(
    arguments: Sequence[str], schema: type[StageConfig], *, sweeps: bool = False
) -> ParsedCommand:
    """Parse and validate a command line.

    If only some values of a sweep are invalid, the jobs with these values have
    problems, and the others are trained.

    Args:
        arguments: The command line without the program.
        schema: The options of the stage; other keys are errors.
        sweeps: Whether the stage can be swept.

    Raises:
        ConfigError: If it is invalid; the message has a line for each problem.
    """
    arguments, problems = _expand_experiment(arguments, sweeps=sweeps)
    flags, settings, pairs = _split_arguments(arguments)
    names = {flag.partition("=")[0] for flag in flags}  # --cfg of --cfg=job
    sweep = bool(MULTIRUN & names)
    if sweep and not sweeps:
        problems.append("-m is an option of python -m pipeline.train only")
    problems += _check_flags(names) + _check_settings(settings, sweep=sweep)
    keys = [pair.partition("=")[0] for pair in pairs]
    values, swept = {**defaults()}, {}
    for key, pair in zip(keys, pairs, strict=True):
        if keys.count(key) > 1:
            problems.append(f"{key} is given more than once: write {key}=a,b")
        try:
            value = parse_value(pair, schema, sweep=sweep)
        except ConfigError as error:
            problems.append(str(error))
            continue
        if isinstance(value, SweepValues):
            swept[key] = value
        else:
            values[key] = value
    if values["reproduce"] is not None:
        problems += _check_reproduce(keys, sweep=sweep)
    jobs = _combine(schema, values, swept)
    valid = [job for job in jobs if not job.problems]
    if not valid:
        problems += itertools.chain(*(job.problems for job in jobs))
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    if INFO_FLAGS & names:  # Hydra shows the configuration of one job
        flags = [flag for flag in flags if flag not in MULTIRUN]
        sweep, valid = False, valid[:1]
    overrides = [
        make_override(key, [job.values[key] for job in valid])
        if key in swept
        else make_override(key, [values[key]])
        for key in keys
    ]
    return ParsedCommand([*settings, *overrides, *flags], jobs if sweep else [])


def experiments() -> dict[str, Path]:
    """Return the files in conf/experiment, by name."""
    return {path.stem: path for path in sorted(CONF_DIR.glob("experiment/*.yaml"))}


def _expand_experiment(
    arguments: Sequence[str], *, sweeps: bool
) -> tuple[list[str], list[str]]:
    """Replace experiment=<name> with the arguments in its file in conf/experiment.

    Returns:
        The arguments, where the command line takes precedence over the file; and the
        problems.
    """
    names = [a.partition("=")[2] for a in arguments if a.startswith("experiment=")]
    typed = [a for a in arguments if not a.startswith("experiment=")]
    if not names:
        return typed, []
    if not sweeps:
        return typed, ["experiment is an option of python -m pipeline.train only"]
    files = experiments()
    if names[-1] not in files:
        return typed, [f"experiment must be {' or '.join(files)}, got {names[-1]!r}"]
    values = load_yaml(files[names[-1]])
    hydra = values.pop("hydra", {})
    values |= hydra.get("sweeper", {}).get("params", {})
    for argument in typed:
        values.pop(argument.partition("=")[0], None)
    pairs = [f"{key}={as_text(value)}" for key, value in values.items()]
    multirun = ["-m"] if hydra.get("mode") == "MULTIRUN" else []
    return [*pairs, *multirun, *typed], []


def _combine(
    schema: type[StageConfig], values: Mapping[str, Any], swept: Mapping[str, list[Any]]
) -> list[Job]:
    """Return a job for each combination of the swept values, without duplicates."""
    keys = [key for key in HYPERPARAMETERS if key in swept] or ["seed"]
    rows = itertools.product(*(swept.get(key, [values[key]]) for key in keys))
    settings = [{**values, **dict(zip(keys, row, strict=True))} for row in rows]
    jobs = [Job.of(schema, setting, keys) for setting in settings]
    return list({job.folder: job for job in jobs}.values())


def _split_arguments(
    arguments: Sequence[str],
) -> tuple[list[str], list[str], list[str]]:
    """Split arguments into flags, settings of Hydra and key=value pairs."""
    flags, settings, pairs = [], [], []
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        key = argument.partition("=")[0]
        is_flag = argument.startswith("-") and key.lstrip("-") not in defaults()
        if is_flag or previous in FLAGS_WITH_VALUE:
            flags.append(argument)
        elif key.lstrip("+").startswith(("hydra.", "hydra/")):
            settings.append(argument)
        else:
            pairs.append(argument)
    return flags, settings, pairs


def _check_flags(names: set[str]) -> list[str]:
    unknown = [name for name in sorted(names - FLAGS) if name.startswith("-")]
    problems = [f"unknown flag {name}: --help lists the options" for name in unknown]
    if "--resolve" in names and not names & INFO_FLAGS:
        problems.append("--resolve has no effect without --cfg job")
    return problems


def _check_settings(settings: Sequence[str], *, sweep: bool) -> list[str]:
    problems = []
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in (LAUNCHER, N_JOBS):
            problems.append(f"{key} is set by this command: leave it out")
        elif key == LAUNCHER and value not in ("basic", "joblib"):
            problems.append(f"{key} must be basic or joblib, got {value!r}")
        elif key == N_JOBS and not re.fullmatch("-1|[1-9][0-9]*", value):
            rule = "must be a number of processes, or -1 for all cores"
            problems.append(f"{key} {rule}, got {value!r}")
        elif key == N_JOBS and f"{LAUNCHER}=joblib" not in settings:
            problems.append(f"{setting} has no effect without {LAUNCHER}=joblib")
        elif not sweep:
            problems.append(f"{setting} is an option of sweeps: add -m")
    return problems


def _check_reproduce(keys: Sequence[str], *, sweep: bool) -> list[str]:
    rule = "cannot be combined with reproduce, which takes it from the run"
    problems = [f"{key} {rule}" for key in HYPERPARAMETERS if key in keys]
    if sweep:
        problems.append("reproduce takes one run: leave out -m or experiment")
    return problems
