"""The types of a command: given values, compositions, combinations, and the command.

Hydra is not imported, because --help imports this module.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, cast

from pipeline import ConfigError
from pipeline.base.params import NO_OPTION
from pipeline.cli.problems import as_text
from pipeline.cli.schema import ConfigT

SAVED_SWEEPS = "experiment"  # the config group whose options are saved sweeps


@dataclass(frozen=True)
class Interval:
    """The numbers from which a search suggests a value of a key."""

    low: int | float  # int if the values are integers
    high: int | float  # included
    log: bool  # whether the search is on a logarithmic scale

    def bound(self, *, high: bool) -> int | float:
        """Return the upper or the lower bound."""
        return self.high if high else self.low

    def __str__(self) -> str:
        """Return the interval as it is typed."""
        text = f"interval({self.low},{self.high})"
        return f"tag(log,{text})" if self.log else text


class Several(list[Any]):
    """The values of a key that a sweep varies."""

    def __str__(self) -> str:
        """Return the values as they are typed."""
        return ",".join(map(as_text, self))


class Setting(NamedTuple):
    """A setting as it was given: its value, not yet validated."""

    value: Any  # one value, `Several` values, or an `Interval`
    path: Path | None = None  # the file with the value; None if the value was given
    # Whether the user gave the value, or chose the file with a group.
    is_chosen: bool = True

    @property
    def is_varied(self) -> bool:
        """Whether a sweep or a search varies the key."""
        return isinstance(self.value, Several | Interval)

    def values(self, *, high: bool = False) -> Sequence[Any]:
        """Return all values; of an interval, return one bound."""
        if isinstance(self.value, Interval):
            return [self.value.bound(high=high)]
        return self.value if isinstance(self.value, Several) else [self.value]


class Options(NamedTuple):
    """The options of a config group; a sweep can have several."""

    key: str  # as it is typed: team, +team, +team@_global_ or ~team
    names: tuple[str, ...]  # of files of the group, or `NO_OPTION`

    def overrides(self) -> list[str]:
        """Return an override for each option: team=a, ~team, or "" for none."""
        is_deleted, is_added = (self.key.startswith(prefix) for prefix in "~+")
        nothing = self.key if is_deleted else "" if is_added else f"~{self.key}"
        return [nothing if x == NO_OPTION else f"{self.key}={x}" for x in self.names]


class Given(NamedTuple):
    """The arguments of a user or of a saved sweep."""

    settings: dict[str, Setting]  # by key
    groups: dict[str, Options]  # by group, perhaps with a package: team@_global_
    problems: list[str]  # of the arguments that cannot be read


@dataclass(frozen=True)
class Composition:
    """The settings with one option of each config group.

    A sweep over a group has a composition for each option of the group; other commands
    have one composition.

    For `train -m hidden=5,10 lr=interval(0.001,0.1) trials=8`, hidden has two values,
    and lr has an interval. Each of the two combinations has a value of hidden and a
    bound of the interval, which a search replaces by its suggestions.
    """

    settings: Mapping[str, Setting]  # by key
    options: Mapping[str, str]  # by group
    is_sweep: bool

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file with the value of each key; keys of given values are missing."""
        return {key: x.path for key, x in self.settings.items() if x.path}

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """The intervals of the keys that a search varies."""
        values = ((key, each.value) for key, each in self.settings.items())
        return {key: x for key, x in values if isinstance(x, Interval)}

    def combinations(self, *, high: bool = False) -> Iterator[dict[str, Any]]:
        """Yield each combination of the values, with one bound of each interval."""
        values = [each.values(high=high) for each in self.settings.values()]
        for row in itertools.product(*values):
            yield dict(zip(self.settings, row, strict=True))

    def number(self) -> int:
        """Return the number of combinations; for a search, multiplied by its trials."""
        number = math.prod(len(each.values()) for each in self.settings.values())
        trials = self.settings.get("trials", Setting(None)).value
        return number * trials if self.intervals and type(trials) is int else number


def options_by_group(compositions: Sequence[Composition]) -> dict[str, list[str]]:
    """Return the different options of each group; some can be `NO_OPTION`."""
    groups = dict.fromkeys(group for each in compositions for group in each.options)
    return {
        group: [*dict.fromkeys(x.options.get(group, NO_OPTION) for x in compositions)]
        for group in groups
    }


@dataclass(frozen=True)
class Combination:
    """A value for each key; a sweep has several combinations."""

    # By key, validated. If there is an error, an invalid value is as it was given.
    values: Mapping[str, Any]
    options: Mapping[str, str]  # by group
    error: ConfigError | None = None  # why a value is invalid


@dataclass(frozen=True)
class Command(Generic[ConfigT]):
    """A valid command, with which a stage or a sweep is run."""

    schema: type[ConfigT]
    combinations: Sequence[Combination]  # at least one is valid
    is_sweep: bool  # perhaps with a single combination
    varied: Sequence[str]  # the groups and keys that a sweep varies
    intervals: Mapping[str, Interval]  # by key
    prints: bool  # --cfg job: only print `config`
    # Gets the results of a call from Python, and was empty. The folder is not a
    # setting, so `config` does not contain it.
    folder: Path | None = None

    @cached_property
    def config(self) -> ConfigT:
        """The values of the first valid combination."""
        config = self.schema.model_construct(**self._first_valid.values)
        return cast(ConfigT, config)

    @property
    def options(self) -> Mapping[str, str]:
        """The options of the first valid combination, by group."""
        return self._first_valid.options

    @property
    def _first_valid(self) -> Combination:
        return next(each for each in self.combinations if not each.error)
