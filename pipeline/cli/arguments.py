"""What was typed: read, and checked all of it, before anything is started.

Hydra's own parser reads the values. What of Hydra's own can be asked for, and which
jobs a sweep has, is decided here.
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
    HYPERPARAMETERS,
    LIST_KEYS,
    TEXT_KEYS,
    ConfigError,
    StageConfig,
    defaults,
    describe_default,
    explain_unknown_key,
    load_yaml,
    run_name,
    validate,
)
from pipeline.cli.paths import CONF_DIR

EXPERIMENTS = CONF_DIR / "experiment"
SWEEP = {"-m", "--multirun"}
WITH_WORD = {"--cfg", "-c", "--info", "-i"}  # options with a word behind them
INFORM = WITH_WORD | {"--hydra-help", "--version"}  # Hydra answers, and runs nothing
# Nothing else of Hydra's: others name classes, or files that it would unpickle.
OPTIONS = INFORM | SWEEP | {"--resolve"}
LAUNCHER, AT_ONCE = "hydra/launcher", "hydra.launcher.n_jobs"


@dataclass(frozen=True)
class Job:
    """One setting of a sweep."""

    swept: dict[str, Any]  # the keys that the sweep varies
    values: dict[str, Any]  # all keys, checked unless there are problems
    problems: list[str]  # why it can't be trained, if it can't

    @classmethod
    def of(
        cls, keys: type[StageConfig], values: dict[str, Any], swept: Iterable[str]
    ) -> "Job":
        """Check the values of a job."""
        problems = _problems(keys, values)
        known = values if problems else validate(keys, values).model_dump()
        return cls({key: known[key] for key in swept}, known, problems)

    @property
    def name(self) -> str:
        """What people call it, and its run."""
        return run_name(self.values, named=self.swept)

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
class ParsedCommand:
    """What was typed, understood."""

    overrides: list[str]  # for Hydra
    problems: list[str]  # a line for everything that is wrong
    jobs: list[Job]  # of a sweep; none where one training was asked for


def parse(
    arguments: Sequence[str], keys: type[StageConfig], *, sweeps: bool = False
) -> ParsedCommand:
    """Turn what was typed into what Hydra understands, and say what can't be.

    Keys that the stage doesn't read are refused rather than ignored. A bad value among
    several of a sweep is a problem of its jobs alone, unless all of them have one.

    Args:
        arguments: The command line, without the program.
        keys: The schema of the stage.
        sweeps: Whether the stage can be swept.
    """
    values, params, sweep, problems = _experiment(arguments, sweeps=sweeps)
    sweep |= bool(SWEEP & {*arguments})
    if sweep and not sweeps:
        problems.append("-m is for python -m pipeline.train: only trainings are swept")
    options, settings, pairs = _split_arguments(arguments)
    problems += _wrong_options(options)
    problems += _wrong_settings(settings, sweep=sweep)
    names = [pair.partition("=")[0] for pair in pairs]
    kept = [f"{key}={value}" for key, value in params.items() if key not in names]
    words = [*settings]
    several: dict[str, list[Any]] = {}
    for pair in [*kept, *pairs]:
        key = pair.partition("=")[0]
        try:
            word, found = _parse_override(pair, keys, sweep=sweep)
            if names.count(key) > 1 and pair.startswith(f"{key}="):
                raise ConfigError(f"{key} is there twice: give it once, as {key}=a,b")
        except ConfigError as error:
            problems.append(str(error))
            continue
        words.append(word)
        if isinstance(found, SweepValues):
            several[key] = found.values
        else:
            values[key] = found
    problems += _problems(keys, values)
    for key, row in several.items():
        wrong = [_problems(keys, {**defaults(), key: value}) for value in row]
        problems += itertools.chain(*wrong) if all(wrong) else ()
    if values["reproduce"] is not None:
        problems += [
            f"{key} does nothing beside reproduce, which takes it from the run"
            for key in HYPERPARAMETERS
            if key in names
        ]
        if sweep:
            problems.append("reproduce takes one run: leave out -m or experiment")
    jobs: list[Job] = []
    if sweep and INFORM & _bare(options):  # it is answered for the first job
        options = [option for option in options if option not in SWEEP]
        words = [word for word in words if word.partition("=")[0] not in several]
        words += [_word(key, row[:1]) for key, row in several.items()]
    elif sweep and not problems:
        jobs = _jobs(keys, values, several)
        if all(job.problems for job in jobs):
            problems += itertools.chain(*(job.problems for job in jobs))
    if problems:
        return ParsedCommand([], [*dict.fromkeys(problems)], [])
    return ParsedCommand([*words, *options], [], jobs)


def _split_arguments(
    arguments: Sequence[str],
) -> tuple[list[str], list[str], list[str]]:
    """Divide arguments into Hydra's options, Hydra's settings and our key=value."""
    options, settings, pairs = [], [], []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        key = argument.partition("=")[0]
        is_option = argument.startswith("-") and key.lstrip("-") not in defaults()
        if is_option or before in WITH_WORD:
            options.append(argument)
        elif key == "experiment" or key.lstrip("+").startswith(("hydra.", "hydra/")):
            settings.append(argument)
        else:
            pairs.append(argument)
    return options, settings, pairs


def _bare(options: Iterable[str]) -> set[str]:
    """Return options without what may be joined to them, as in --cfg=job."""
    return {option.partition("=")[0] for option in options}


def _wrong_options(options: Sequence[str]) -> list[str]:
    wrong = [
        f"there is no option {option.partition('=')[0]}: --help lists what there is"
        for option in options
        if option.startswith("-") and not _bare([option]) <= OPTIONS  # no word behind
    ]
    if "--resolve" in options and not _bare(options) & INFORM:
        wrong.append("--resolve is for --cfg job")
    return wrong


def _wrong_settings(settings: Sequence[str], *, sweep: bool) -> list[str]:
    wrong = []
    for setting in settings:
        key, _, value = setting.partition("=")
        if key == "experiment":
            continue
        if key not in (LAUNCHER, AT_ONCE):
            wrong.append(f"{key} is set by this command: leave it out")
        elif key == LAUNCHER and value not in ("basic", "joblib"):
            wrong.append(f"{key} must be basic or joblib, got {value!r}")
        elif key == AT_ONCE and not re.fullmatch("-1|[1-9][0-9]*", value):
            wrong.append(
                f"{key} must be how many at a time, or -1 for all cores, got {value!r}"
            )
        elif key == AT_ONCE and f"{LAUNCHER}=joblib" not in settings:
            wrong.append(f"{setting} does nothing without {LAUNCHER}=joblib")
        elif not sweep:
            wrong.append(f"{setting} is for sweeps: add -m")
    return wrong


@dataclass(frozen=True)
class SweepValues:
    """The values of a key that a sweep varies."""

    values: list[Any]


def _parse_override(
    pair: str, keys: type[StageConfig], *, sweep: bool
) -> tuple[str, object]:
    """Read a key=value.

    Text is taken as typed, with its brackets, dollars and umlauts; in a sweep, commas
    divide it unless it is a folder. Numbers and switches are read as Hydra does.

    Returns:
        The word for Hydra, and what it says.

    Raises:
        Refused: If it can't be read, or not here.
    """
    key, equals, value = pair.partition("=")
    if not equals or key not in keys.model_fields:
        raise ConfigError(explain_unknown_key(pair, keys))
    found: object
    if key in LIST_KEYS:
        inner = value[1:-1] if value[:1] + value[-1:] == "[]" else value
        parts = [inner] if os.path.isdir(inner) else inner.split(",")
        parts = [part.strip() for part in parts if part.strip() not in ("", "null")]
        if "," in inner and not parts:
            raise _unreadable(pair)
        quoted = f"{key}=[{','.join(map(quote_override, parts))}]"
        return (quoted, parts) if parts else (f"{key}=null", None)
    if key in TEXT_KEYS:
        if value == "null" and defaults()[key] is None:
            return pair, None
        together = not sweep or Path(value).expanduser().is_dir()
        parts = [value] if together else value.split(",")
        word, found = _word(key, parts), SweepValues(parts) if parts[1:] else value
    else:
        word, found = pair, _parsed(pair)
    if isinstance(found, SweepValues) and not sweep:
        raise ConfigError(f"{pair} are several values: add -m to train each")
    if isinstance(found, SweepValues) and key not in HYPERPARAMETERS:
        raise ConfigError(f"{pair} are several values: it takes one")
    return word, found


def _parsed(pair: str) -> object:
    """Read a number, a switch or one of a few words as Hydra does.

    Raises:
        Refused: If Hydra can't read it, or not count it, as interval(0,1).
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    def text(value: object) -> object:
        return getattr(value, "text", value)  # of what stands in quotes

    try:
        override = OverridesParser.create().parse_override(pair)
        if not override.is_sweep_override():
            return text(override.value())
        found = SweepValues([text(each) for each in override.sweep_iterator()])
    except (HydraException, NotImplementedError, ValueError):
        # The last is Python's, of range(1,3,0) and of numbers with 5,000 digits.
        raise _unreadable(pair) from None
    if not found.values:  # as of range(3,1)
        raise _unreadable(pair)
    return found


def _unreadable(pair: str) -> ConfigError:
    key, _, value = pair.partition("=")
    shown = value if len(value) < 80 else f"{value[:80]}..."
    return ConfigError(f"{key} can't be read from {shown!r} ({describe_default(key)})")


def _word(key: str, values: Iterable[Any]) -> str:
    """Write a key and its values as Hydra reads them."""
    told = (
        quote_override(value) if key in TEXT_KEYS else str(value) for value in values
    )
    return f"{key}={','.join(told)}"


def _jobs(
    keys: type[StageConfig], values: Mapping[str, Any], several: Mapping[str, list[Any]]
) -> list[Job]:
    """Combine the values of a sweep, each combination once."""
    swept = [key for key in HYPERPARAMETERS if key in several] or ["seed"]
    combined = itertools.product(*(several.get(key, [values[key]]) for key in swept))
    jobs = [
        Job.of(keys, {**values, **dict(zip(swept, row, strict=True))}, swept)
        for row in combined
    ]
    return [*{each.folder: each for each in jobs}.values()]


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
    stored = load_yaml(files[asked[-1]])
    hydras = stored.pop("hydra", {})
    params = hydras.get("sweeper", {}).get("params", {})
    return defaults() | stored, params, hydras.get("mode") == "MULTIRUN", []


def _problems(keys: type[StageConfig], values: dict[str, Any]) -> list[str]:
    try:
        validate(keys, values)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def quote_override(text: str) -> str:
    r"""Quote text for Hydra, which then hands it on letter by letter.

    Inside quotes Hydra reads a backslash as itself except before a quote, and
    OmegaConf reads ${...} as an interpolation unless a backslash stands before it.
    """
    text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)
    text = re.sub(r'(\\*)"', lambda found: found[1] * 2 + r"\"", text)
    text = re.sub(r"(\\+)\Z", lambda found: found[1] * 2, text)
    return f'"{text}"'
