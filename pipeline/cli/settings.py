"""The settings of a command: the value of each key, and where it is from."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.cli.command import Interval
from pipeline.cli.hydra_internals import one_line
from pipeline.cli.problems import located
from pipeline.cli.schema import TEXT_KEYS
from pipeline.cli.source import reject_resolver
from pipeline.cli.values import SweepValues


class Setting(NamedTuple):
    """The value of a key, not yet validated."""

    value: Any  # one value, `SweepValues` or an `Interval`
    path: Path | None = None  # the file with the value; None if the value was given
    # Whether the user gave the value or chose its file. If so, it must have an effect.
    is_wanted: bool = True


@dataclass(frozen=True)
class Part:
    """A part of a command: the values of all settings with one option of each group.

    A sweep over a group has a part for each option of the group; other commands have
    one part. In a sweep, a setting can have several values.

    For `train -m hidden=5,10 lr=interval(0.001,0.1) trials=8`, `several` has the two
    values of hidden and the interval of lr. Each of the two combinations has a value of
    hidden and a bound of the interval. A search replaces the bound with suggestions.
    """

    by_key: Mapping[str, Setting]
    options: Mapping[str, str]  # by group
    is_sweep: bool

    def value(self, key: str) -> Any:  # noqa: ANN401
        """Return the value of a key, in which references are not resolved, or None."""
        return self.by_key[key].value if key in self.by_key else None

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file with the value of each key; keys of given values are missing."""
        return {key: x.path for key, x in self.by_key.items() if x.path}

    @cached_property
    def several(self) -> dict[str, SweepValues | Interval]:
        """The values of the keys that a sweep or a search varies."""
        values = ((key, setting.value) for key, setting in self.by_key.items())
        return {k: x for k, x in values if isinstance(x, SweepValues | Interval)}

    @property
    def lists(self) -> dict[str, SweepValues]:
        """The values of the keys that have a list of values."""
        return {k: x for k, x in self.several.items() if isinstance(x, SweepValues)}

    @property
    def intervals(self) -> dict[str, Interval]:
        """The intervals of the keys that a search varies."""
        return {k: x for k, x in self.several.items() if isinstance(x, Interval)}

    def combinations(self, *, high: bool = False) -> Iterator[dict[str, Any]]:
        """Yield each combination of the values, with one bound of each interval.

        Raises:
            ConfigError: If a referenced key does not exist, or references form a cycle.
        """
        values = {key: setting.value for key, setting in self.by_key.items()}
        varied = [
            [x.bound(high=high)] if isinstance(x, Interval) else x
            for x in self.several.values()
        ]
        for row in itertools.product(*varied):
            yield self._resolve(values | dict(zip(self.several, row, strict=True)))

    def _resolve(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values with references, such as ${epochs}, replaced.

        Values of text keys are not changed.
        """
        references = {key for key, value in values.items() if "${" in str(value)}
        if references <= TEXT_KEYS:
            return values
        for key in references - TEXT_KEYS:
            reject_resolver(key, str(values[key]))
        others = {k: x for k, x in values.items() if k not in references & TEXT_KEYS}
        try:
            resolved = OmegaConf.to_container(OmegaConf.create(others), resolve=True)
        except OmegaConfBaseException as error:
            key = str(error.full_key)
            message = f"{key}={values.get(key)} cannot be resolved: {one_line(error)}"
            raise ConfigError(located(message, self.files.get(key))) from None
        assert isinstance(resolved, dict)
        return values | {str(key): value for key, value in resolved.items()}
