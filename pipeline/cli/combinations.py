"""Lists the combinations of the values of a composition, and checks each of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from pipeline import ConfigError
from pipeline.base.text import alternatives
from pipeline.cli.command import (
    Combination,
    Composition,
    Several,
    options_by_group,
)
from pipeline.cli.composition import resolve
from pipeline.cli.problems import WrongType, located
from pipeline.cli.schema import Schema
from pipeline.cli.validation import valid_values, validate
from pipeline.cli.values import MAX_VALUES


def list_combinations(
    compositions: Sequence[Composition], schema: Schema
) -> list[Combination]:
    """Check and list all combinations; only one of each composition if `too_many`."""
    limit = 1 if too_many(compositions) else None
    return [
        combination
        for each in compositions
        for combination in islice(checked(each, schema), limit)
    ]


def too_many(compositions: Sequence[Composition]) -> list[str]:
    """Return a problem if a sweep has too many combinations to list them."""
    if sum(each.number() for each in compositions) <= MAX_VALUES:
        return []
    settings = [item for each in compositions for item in each.settings.items()]
    keys = [key for key, each in settings if isinstance(each.value, Several)]
    groups = options_by_group(compositions).items()
    keys += [group for group, options in groups if len(options) > 1]
    names = ", ".join(dict.fromkeys(keys))
    rule = f"a sweep must have at most {MAX_VALUES:,} combinations"
    remedies = [f"fewer values of {names}"] if names else []
    if any(each.intervals for each in compositions):
        remedies.append("fewer trials")
    return [f"{rule}: give {alternatives(remedies)}"]


def checked(composition: Composition, schema: Schema) -> Iterator[Combination]:
    """Check and yield all combinations, with the lower bound of each interval."""
    lows = composition.combinations(high=False)
    highs = composition.combinations(high=True)
    for low, high in zip(lows, highs, strict=True):
        combination = _check(low, composition, schema)
        if composition.intervals:
            checked_high = _check(high, composition, schema)
            combination = _check_interval(combination, checked_high, composition)
        yield combination


def _check(
    values: Mapping[str, Any], composition: Composition, schema: Schema
) -> Combination:
    """Resolve the references of a combination, and validate its values."""
    files, options = composition.files, composition.options
    try:
        values = resolve(values, files)
        return Combination(dict(validate(schema, values, files)), options)
    except ConfigError as error:
        given = {key: values[key] for key in schema.model_fields if key in values}
        known = {**given, **valid_values(schema, values)}
        return Combination(known, options, error)


def _check_interval(
    low: Combination, high: Combination, composition: Composition
) -> Combination:
    """Return the combination of the lower bounds, with the errors of both bounds.

    A search sets only the keys that have an interval, so no key may refer to them.
    """
    errors = [each.error for each in (low, high) if each.error]
    problems = [problem for error in errors for problem in error.problems]
    for key, setting in composition.settings.items():
        differs = low.values.get(key) != high.values.get(key)
        if differs and not setting.is_varied and not errors:
            rule = "must not refer to a setting with an interval: give it a value"
            problems.append(located(f"{key} {rule}", setting.path))
    error = ConfigError(*problems) if problems else None
    return replace(low, error=error)


def rejected_errors(
    combinations: Sequence[Combination],
    compositions: Sequence[Composition],
    schema: Schema,
) -> list[ConfigError]:
    """Return the errors of combinations for which a command is rejected.

    A recorded sweep accepts a value that breaks a bound, or names something that does
    not exist: only the jobs with this value fail. It is rejected if a value has a wrong
    type, or if all combinations are invalid. A search and all other commands are
    rejected for each error.
    """
    errors = [each.error for each in combinations if each.error]
    is_search = any(each.intervals for each in compositions)
    all_invalid = len(errors) == len(combinations)
    if is_search or all_invalid or not schema.has_recorded_sweeps:
        return errors
    return [error for error in errors if isinstance(error, WrongType)]
