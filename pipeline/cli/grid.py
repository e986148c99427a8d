"""The values of all settings: from files, and as they are given."""

import itertools
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.cli.command import Interval
from pipeline.cli.composition import Composition
from pipeline.cli.config import explain_unknown_key
from pipeline.cli.problems import located, reject
from pipeline.cli.schema import KEYS, TEXT_KEYS, Schema
from pipeline.cli.source import NO_RESOLVER, calls_resolver, one_line
from pipeline.cli.values import SweepValues, parse_value


@dataclass(frozen=True)
class Grid:
    """The values of all settings; in a sweep, some have several.

    For `train -m hidden=5,10 lr=interval(0.001,0.1) trials=8`, `swept` has the values 5
    and 10 of hidden, `intervals` the interval of lr, and `values` trials=8 and all
    other settings, from the files. Its combinations are the two values of hidden, each
    with an end of the interval of lr; a search replaces this end by its suggestions.
    """

    values: Mapping[str, Any]  # of the keys with one value
    swept: Mapping[str, SweepValues]  # of the keys that a sweep varies
    intervals: Mapping[str, Interval]  # of the keys that a search varies
    files: Mapping[str, Path]  # by key: the file with the value, unless it is given
    choices: Mapping[str, str]  # by group
    given: Set[str]  # the keys that must have an effect
    is_sweep: bool

    def combinations(self, end: str = "low") -> Iterator[dict[str, Any]]:
        """Yield each combination of the swept values, with one end of each interval.

        Raises:
            ConfigError: If a reference names no key, or they form a cycle.
        """
        ends = {key: [getattr(x, end)] for key, x in self.intervals.items()}
        varied: dict[str, list[Any]] = {**self.swept, **ends}
        for row in itertools.product(*varied.values()):
            values = {**self.values, **dict(zip(varied, row, strict=True))}
            yield _resolve(values, self.files)


def merge(composed: Composition, given: Mapping[str, object], schema: Schema) -> Grid:
    """Replace the values of files by the values of a saved sweep, then by given ones.

    As in Hydra, a saved sweep applies only in a sweep. The keys that a sweep can vary
    are first, in the order of the names of its runs.

    Raises:
        ConfigError: If a key or a value of a saved sweep is invalid.
    """
    saved, problems = dict[str, object](), list[str]()
    for key, (word, path) in composed.saved.items():
        if key not in KEYS:
            problems.append(explain_unknown_key(key, schema, path))
        elif composed.is_sweep and key not in given:
            try:
                saved[key] = parse_value(key, word.partition("=")[2], schema)
            except ConfigError as error:
                problems += (located(x, path) for x in error.problems)
    reject(problems)
    files = {**composed.files, **{key: composed.saved[key].path for key in saved}}
    values = {**composed.values, **saved, **given}
    order = [key for key in (*schema.varied, *values) if key in values]
    ordered = {key: values[key] for key in order}
    swept = {k: x for k, x in ordered.items() if isinstance(x, SweepValues)}
    intervals = {k: x for k, x in ordered.items() if isinstance(x, Interval)}
    several = {**swept, **intervals}
    return Grid(
        values={key: x for key, x in ordered.items() if key not in several},
        swept=swept,
        intervals=intervals,
        files={key: path for key, path in files.items() if key not in given},
        choices=composed.choices,
        given={*saved, *given, *(composed.chosen & {*schema.model_fields})},
        is_sweep=composed.is_sweep,
    )


def _resolve(values: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Return values in which references, such as ${epochs}, are replaced.

    Text is taken as it is written.
    """
    references = {key for key, value in values.items() if "${" in str(value)}
    if references <= TEXT_KEYS:
        return dict(values)
    for key in references - TEXT_KEYS:
        if calls_resolver(str(values[key])):
            raise ConfigError(f"{key}={values[key]} {NO_RESOLVER}")
    others = {k: x for k, x in values.items() if k not in references & TEXT_KEYS}
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(others), resolve=True)
    except OmegaConfBaseException as error:
        key = str(error.full_key)
        message = f"{key}={values.get(key)} cannot be resolved: {one_line(error)}"
        raise ConfigError(located(message, files.get(key))) from None
    assert isinstance(resolved, dict)
    return {**values, **{str(key): value for key, value in resolved.items()}}
