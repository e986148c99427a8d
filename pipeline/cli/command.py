"""The types of a command: overrides, combinations of values, and the command.

Hydra is not imported, because --help imports this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, cast

from pipeline import ConfigError
from pipeline.cli.problems import as_text
from pipeline.cli.schema import ConfigT

SAVED_SWEEPS = "experiment"  # the config group whose options are saved sweeps


@dataclass(frozen=True)
class Interval:
    """The numbers that a search can suggest for a key."""

    low: int | float  # int if the values are integers
    high: int | float  # included
    log: bool  # whether the search is on a logarithmic scale

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

    def listed(self) -> Sequence[Any]:
        """Return all values; of an interval, return the lower bound."""
        if isinstance(self.value, Interval):
            return [self.value.low]
        return self.value if isinstance(self.value, Several) else [self.value]


class Overrides(NamedTuple):
    """The arguments of a user or of a saved sweep."""

    settings: dict[str, Setting]  # by key
    # For Hydra, an override for each option, such as team=a or ~team, or "" for none.
    groups: dict[str, list[str]]  # by group, possibly with a package: team@_global_
    problems: list[str]  # one for each argument that cannot be read


@dataclass(frozen=True)
class Combination:
    """A value for each key; a sweep has several combinations."""

    # By key, validated. If there is an error, an invalid value is as it was given.
    values: Mapping[str, Any]
    options: Mapping[str, str]  # by group
    error: ConfigError | None = None  # why a value is invalid


@dataclass(frozen=True)
class Command(Generic[ConfigT]):
    """A valid command: the input of a stage or a sweep."""

    schema: type[ConfigT]
    combinations: Sequence[Combination]  # at least one is valid
    is_multirun: bool  # -m or a saved sweep; possibly with a single combination
    varied: Sequence[str]  # the groups and keys that a sweep varies, at least one key
    intervals: Mapping[str, Interval]  # by key
    prints_settings: bool  # --cfg job: print `config` instead of running the stage
    # The folder for the results of a call from Python, which was new or empty when the
    # call began. It is not a setting, so `config` does not contain it.
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
