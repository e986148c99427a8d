"""A composition, and the combinations of its values, each of which is checked."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.base.text import alternatives
from pipeline.cli.command import Combination, Interval, Setting, Several
from pipeline.cli.hydra_internals import one_line
from pipeline.cli.problems import WrongType, located
from pipeline.cli.schema import TEXT_KEYS, Schema
from pipeline.cli.validation import valid_values, validate
from pipeline.cli.values import MAX_VALUES
from pipeline.cli.yaml_files import reject_resolver
from pipeline.records.params import NO_OPTION


@dataclass(frozen=True)
class Composition:
    """The settings with one option of each config group.

    A sweep over a group has a composition for each option of the group; other commands
    have one composition.

    For `train -m hidden=5,10 lr=interval(0.001,0.1) trials=8`, hidden has two values,
    and lr has an interval. Each of the two combinations has a value of hidden and the
    lower bound of the interval, which a search replaces by its suggestions.
    """

    schema: Schema
    settings: Mapping[str, Setting]  # by key
    options: Mapping[str, str]  # by group
    is_multirun: bool

    @cached_property
    def paths(self) -> dict[str, Path]:
        """The file with the value of each key; keys of given values are missing."""
        return {key: x.path for key, x in self.settings.items() if x.path}

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """The intervals of the keys that a search varies."""
        values = {key: setting.value for key, setting in self.settings.items()}
        return {key: x for key, x in values.items() if isinstance(x, Interval)}

    @cached_property
    def first(self) -> Combination:
        """The first combination; the others are not listed."""
        return next(self._checked())

    @property
    def number(self) -> int:
        """The number of combinations; for a search, multiplied by its trials."""
        number = math.prod(len(setting.listed()) for setting in self.settings.values())
        trials = self.settings.get("trials", Setting(None)).value
        return number * trials if self.intervals and type(trials) is int else number

    @cached_property
    def combinations(self) -> list[Combination]:
        """All combinations, with the lower bound of each interval."""
        return [*self._checked()]

    def interval_problems(self) -> Iterator[str]:
        """Yield the problems of upper bounds, and of references to an interval.

        A search sets only the keys that have an interval, so no key may refer to them.
        """
        if not self.intervals:
            return
        highest = {
            key: self.settings[key]._replace(value=interval.high)
            for key, interval in self.intervals.items()
        }
        upper = replace(self, settings={**self.settings, **highest}).combinations
        others = [key for key in self.settings if key not in self.intervals]
        for low, high in zip(self.combinations, upper, strict=True):
            if high.error:
                yield from high.error.problems
            elif not low.error:
                for key in others:
                    if low.values.get(key) != high.values.get(key):
                        problem = (
                            f"{key} must not refer to a setting with an interval: "
                            "give it a value"
                        )
                        yield located(problem, self.paths.get(key))

    def _checked(self) -> Iterator[Combination]:
        """Yield each combination, with the lower bound of each interval."""
        values = [setting.listed() for setting in self.settings.values()]
        for row in itertools.product(*values):
            yield self._check(dict(zip(self.settings, row, strict=True)))

    def _check(self, values: Mapping[str, Any]) -> Combination:
        """Resolve the references of a combination, and validate its values."""
        try:
            values = _resolve(values, self.paths)
            valid = validate(self.schema, values, self.paths)
            return Combination(dict(valid), self.options)
        except ConfigError as error:
            keys = [key for key in self.schema.model_fields if key in values]
            as_given = {key: values[key] for key in keys}
            known = as_given | valid_values(self.schema, values)
            return Combination(known, self.options, error)


def _resolve(values: Mapping[str, Any], paths: Mapping[str, Path]) -> dict[str, Any]:
    """Replace references, such as ${epochs}, with the values of other keys.

    Values of text keys are not changed. `paths` is for messages.

    Raises:
        WrongType: If a referenced key does not exist, references form a cycle, or a
            resolver is called.
    """
    references = {key for key, value in values.items() if "${" in str(value)}
    if references <= TEXT_KEYS:
        return {**values}
    for key in references - TEXT_KEYS:
        reject_resolver(key, str(values[key]))
    others = {k: x for k, x in values.items() if k not in references & TEXT_KEYS}
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(others), resolve=True)
    except OmegaConfBaseException as error:
        key = str(error.full_key)
        message = f"{key}={values.get(key)} cannot be resolved: {_explain(error)}"
        raise WrongType(located(message, paths.get(key))) from None
    assert isinstance(resolved, dict)
    return {**values, **{str(key): value for key, value in resolved.items()}}


def _explain(error: OmegaConfBaseException) -> str:
    """Return why OmegaConf cannot resolve a reference, which it calls interpolation."""
    text = one_line(error)
    if missing := re.search("Interpolation key '(.*)' not found", text):
        return f"{missing[1]} is not a setting"
    return text.replace("Recursive interpolation detected", "it refers to itself")


def all_combinations(compositions: Sequence[Composition]) -> list[Combination]:
    """Return the combinations of all compositions."""
    return list(itertools.chain.from_iterable(x.combinations for x in compositions))


def varied_groups(compositions: Sequence[Composition]) -> dict[str, list[str]]:
    """Return the options of each group that has several; one can be `NO_OPTION`."""
    groups = dict.fromkeys(group for each in compositions for group in each.options)
    options = {
        group: [*dict.fromkeys(x.options.get(group, NO_OPTION) for x in compositions)]
        for group in groups
    }
    return {group: names for group, names in options.items() if len(names) > 1}


def invalid_values(compositions: Sequence[Composition]) -> list[str]:
    """Return the problems of values.

    If there are too many combinations to list them, this is the only problem.
    """
    if _are_too_many(compositions):
        return [_too_many(compositions)]
    errors = [combination.error for combination in all_combinations(compositions)]
    problems = [problem for error in errors if error for problem in error.problems]
    return problems + [x for each in compositions for x in each.interval_problems()]


def accepts_invalid_values(compositions: Sequence[Composition]) -> bool:
    """Return whether a command is accepted even if it has invalid values.

    A recorded sweep accepts a value that breaks a bound, or names something that does
    not exist: only the jobs with this value fail. It is rejected if a value has a wrong
    type, or if all combinations are invalid. A search and all other commands are
    rejected for each problem.
    """
    is_search = any(each.intervals for each in compositions)
    records_sweeps = compositions[0].schema.has_recorded_sweeps
    if is_search or not records_sweeps or _are_too_many(compositions):
        return False
    errors = [combination.error for combination in all_combinations(compositions)]
    return not all(errors) and not any(isinstance(x, WrongType) for x in errors)


def _are_too_many(compositions: Sequence[Composition]) -> bool:
    return sum(each.number for each in compositions) > MAX_VALUES


def _too_many(compositions: Sequence[Composition]) -> str:
    """Return the problem of a sweep with more than `MAX_VALUES` combinations."""
    settings = [item for each in compositions for item in each.settings.items()]
    keys = [key for key, each in settings if isinstance(each.value, Several)]
    names = ", ".join(dict.fromkeys([*keys, *varied_groups(compositions)]))
    remedies = [f"fewer values of {names}"] if names else []
    if any(each.intervals for each in compositions):
        remedies.append("fewer trials")
    return (
        f"a sweep must have at most {MAX_VALUES:,} combinations: "
        f"give {alternatives(remedies)}"
    )
