"""Composes the configuration of a command with Hydra, and parses Hydra's values."""

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.cli.config import located
from pipeline.cli.source import (
    NO_RESOLVER,
    File,
    calls_resolver,
    one_line,
    searched,
)
from pipeline.cli.values import MAX_VALUES, Interval, SweepValues, shorten, unreadable
from pipeline.paths import conf_dir, displayed

PRIMARY = "hydra"  # conf/hydra.yaml, unless --config-name names another file
_lock = threading.RLock()  # Hydra's compose API has one state for all threads


@dataclass(frozen=True)
class Composition:
    """The configuration that Hydra composes of several files.

    `arguments` replaces values by those of the command line; then a value can be
    `SweepValues` or an `Interval`.
    """

    values: Mapping[str, Any]  # by key; references to other keys are not resolved
    files: Mapping[str, Path]  # by key: the file that sets it
    given: frozenset[str]  # the keys that must have an effect: those of chosen groups
    params: Mapping[str, Any]  # hydra.sweeper.params: the values of a saved sweep
    is_sweep: bool  # hydra.mode

    @property
    def swept(self) -> dict[str, SweepValues]:
        """The values of each key that a sweep varies."""
        return {k: x for k, x in self.values.items() if isinstance(x, SweepValues)}

    @property
    def intervals(self) -> dict[str, Interval]:
        """The interval of each key that a search varies."""
        return {k: x for k, x in self.values.items() if isinstance(x, Interval)}

    def settings(self, end: str = "low") -> Iterator[dict[str, Any]]:
        """Yield each combination of the swept values, with one end of each interval.

        Raises:
            ConfigError: If a reference names no key, or they form a cycle.
        """
        ends = {key: [getattr(x, end)] for key, x in self.intervals.items()}
        varied: dict[str, list[Any]] = {**self.swept, **ends}
        for row in itertools.product(*varied.values()):
            values = {**self.values, **dict(zip(varied, row, strict=True))}
            yield _resolve(values, self.files)


def compose(
    overrides: tuple[str, ...] = (), *, name: str = PRIMARY, folder: Path | None = None
) -> Composition:
    """Compose conf/hydra.yaml, or the file `name`, as Hydra's documentation says.

    Args:
        overrides: Choices of groups, such as experiment=search or ~team.
        name: The name of the primary file.
        folder: Another folder with settings, in addition to conf/.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    conf = conf_dir()
    if folder:  # it can contain many other files, so it is not compared
        return _compose(overrides, name, (conf, folder))
    content = tuple((path, path.read_bytes()) for path in sorted(conf.rglob("*.yaml")))
    return _compose_once(overrides, name, (conf,), content)


def _compose(
    overrides: tuple[str, ...],
    name: str,
    folders: tuple[Path, ...],
    content: object = None,  # of all files; if it is the same, so is the result
) -> Composition:
    try:
        with _lock, searched(folders) as files, _initialized():
            config = hydra_compose(name, [*overrides], return_hydra_config=True)
    except ConfigError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        message = f"cannot compose {displayed(folders[-1])}: {one_line(error)}"
        raise ConfigError(message) from None
    values = OmegaConf.to_container(config)
    assert isinstance(values, dict)
    hydra = values.pop("hydra")
    groups = {override.strip("+~").partition("=")[0] for override in overrides}
    chosen = [file.values for file in files if file.group in groups]
    params = hydra["sweeper"]["params"] or {}
    return Composition(
        values={str(key): value for key, value in values.items()},
        files=_origins(values, files),
        given=frozenset(itertools.chain(*chosen)),
        params=params,
        is_sweep=str(hydra["mode"]).endswith("MULTIRUN"),
    )


_compose_once = lru_cache(_compose)  # Hydra takes 35 ms


@contextmanager
def _initialized() -> Iterator[None]:
    """Initialize Hydra, also in a program that uses it itself."""
    state = GlobalHydra.instance()
    other, state.hydra = state.hydra, None
    try:
        # `initialize` would read the source of all callers, which takes 10 ms.
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = other


def _origins(values: Mapping[Any, Any], files: Sequence[File]) -> dict[str, Path]:
    """Return the file that sets each key: the last one with its value."""
    origins: dict[str, Path] = {}
    for file in files:
        origins |= dict.fromkeys([*file.values, file.group], file.path)
    for file in files:  # Hydra loads some files before those that they override
        origins |= {k: file.path for k, x in file.values.items() if values.get(k) == x}
    for file in files:
        sweeper = (file.values.get("hydra") or {}).get("sweeper") or {}
        origins |= dict.fromkeys(sweeper.get("params") or {}, file.path)
    return origins


def _resolve(values: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Return values in which references, such as ${epochs}, are replaced."""
    if not any("${" in str(value) for value in values.values()):
        return dict(values)
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(dict(values)), resolve=True)
    except OmegaConfBaseException as error:
        key = str(error.full_key)
        message = f"{key}={values.get(key)} cannot be resolved: {one_line(error)}"
        raise ConfigError(located(message, files.get(key))) from None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def parse_choice(word: str) -> list[str]:
    """Return the choices of a group, each as an override: team=a,b gives two.

    Raises:
        ConfigError: If Hydra cannot parse it.
    """
    try:
        override = OverridesParser.create().parse_override(word)
        if not override.is_sweep_override():
            return [word]
        prefix = word.partition("=")[0]
        return [f"{prefix}={choice}" for choice in override.sweep_string_iterator()]
    except (HydraException, NotImplementedError, ValueError) as error:
        key = word.partition("=")[0]
        reason = f"{shorten(word)} cannot be read ({one_line(error)})"
        raise ConfigError(f"{reason}: write {key}=a,b") from None


def parse_number(key: str, text: str, *, integer: bool) -> object:
    """Parse a number, a switch, a range, an interval, a word or a reference."""
    if calls_resolver(text):
        raise ConfigError(f"{key}={text} {NO_RESOLVER}")
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
        value, is_sweep = override.value(), override.is_sweep_override()
        if isinstance(value, RangeSweep):
            value.shuffle = False  # it would list all numbers of the range
        several = is_sweep and not isinstance(value, IntervalSweep)
        numbers = override.sweep_iterator() if several else iter([value])
        parsed = [*itertools.islice(numbers, MAX_VALUES + 1)]
    except (HydraException, NotImplementedError, ValueError):
        # Python raises ValueError for range(1,3,0) and for numbers with 5,000 digits.
        raise unreadable(key, text) from None
    if isinstance(value, IntervalSweep):
        ends = float(value.start or 0), float(value.end or 0)
        # Hydra has converted the numbers of interval(4,128) to float.
        low, high = (int(x) if integer and x.is_integer() else x for x in ends)
        if low < high and (not value.tags or (value.tags == {"log"} and low > 0)):
            return Interval(low, high, log=bool(value.tags))
        rule = "must be interval(low,high) with low < high; tag(log,...) needs low > 0"
        raise ConfigError(f"{key} {rule}, got {shorten(text)}")
    values = SweepValues(getattr(value, "text", value) for value in parsed)
    if not values:  # range(3,1)
        raise unreadable(key, text)
    return values if is_sweep else values[0]
