"""The rules about several settings; `schema.py` defines those about single settings."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.base.paths import displayed
from pipeline.base.text import shortened
from pipeline.cli.command import Interval, Setting, Several
from pipeline.cli.composition import Composition, varied_groups
from pipeline.cli.default_values import defaults
from pipeline.cli.flags import Flags
from pipeline.cli.problems import as_text, located
from pipeline.cli.schema import OnlyMultirun, RejectedByMultirun, Schema
from pipeline.cli.validation import valid_values
from pipeline.records.params import TRAINING_KEYS

NETWORK_KEYS = ("run", "model", "sweep")  # at most one of these selects networks
DETAIL_KEYS = ("neuron", "weight", "arrays", "against")  # at most one can be set
INTERVAL = '"hidden=interval(4,128)"'  # for messages; the shell needs the quotes
RECORDING_KEYS = ("server", "run_name", "experiment_name")


def broken_rules(compositions: Sequence[Composition], flags: Flags) -> Iterator[str]:
    """Yield a problem for each rule that is broken, even if single values are invalid.

    For each composition, the rules are checked for its first combination.
    """
    for each in compositions:
        first = each.first.values
        values = {key: first.get(key) for key in each.schema.model_fields}
        changed = _changed_settings(values, each)
        yield from _missing(first, each.schema)
        yield from _conflicts(values, each)
        yield from _without_effect(values, changed, each, flags)
        yield from _unrecorded_by_dvc(values, changed)
        if not each.is_multirun:
            yield from _several_values(values, each, flags)
    yield from _rules_of_multirun(compositions, flags)


def _changed_settings(
    values: Mapping[str, Any], composition: Composition
) -> dict[str, Setting]:
    """Return the settings of the stage that are not the defaults."""
    default_values = defaults()
    return {
        key: setting
        for key, setting in composition.settings.items()
        # Validation can change a value: server=null becomes the URL in a variable.
        if key in values and default_values[key] not in (setting.value, values[key])
    }


def _missing(values: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    """Yield a problem for each required setting that is not given."""
    valid = valid_values(schema, values) if schema.required else {}
    for key, example in schema.required.items():
        if key in valid and valid[key] is None:
            yield f"{key} is missing: add {example}"


def _conflicts(values: Mapping[str, Any], composition: Composition) -> Iterator[str]:
    """Yield a problem for settings that cannot be combined."""
    for keys, problem in _conflicting_keys(values):
        found = (composition.paths[key] for key in keys if key in composition.paths)
        yield located(problem, next(found, None))


def _conflicting_keys(
    values: Mapping[str, Any],
) -> Iterator[tuple[Sequence[str], str]]:
    """Yield the keys of settings that cannot be combined, and why."""
    networks = [key for key in NETWORK_KEYS if values.get(key)]
    details = [key for key in DETAIL_KEYS if values.get(key)]
    if len(networks) > 1:
        names = " and ".join(networks[:2])
        yield networks, f"{names} both select a network: leave out one of them"
    if len(details) > 1:
        *others, last = details
        names = f"{', '.join(others)} and {last}"
        yield details, f"{names} cannot be combined: use only one of them"
    lacks_neuron = "neuron" in values and not values["neuron"]
    if lacks_neuron and values.get("image") is not None:
        yield ["image"], "image requires neuron: add neuron=N11, or leave out image"
    if lacks_neuron and values.get("integers"):
        problem = "integers requires neuron: add neuron=N11, or leave out integers"
        yield ["integers"], problem
    if values.get("executor") == "ray" and values.get("workers"):
        yield (
            ["workers", "executor"],
            "workers has no effect with executor=ray, "
            "which uses all cores of the nodes: leave out workers",
        )


def _without_effect(
    values: Mapping[str, Any],
    changed: Mapping[str, Setting],
    composition: Composition,
    flags: Flags,
) -> Iterator[str]:
    """Yield a problem for each chosen setting that has no effect.

    A value that equals the default changes nothing, so it is accepted (the output of
    --cfg job contains all defaults). `reproduce` replaces even such a value, so the
    value is rejected there.
    """
    reasons = _ineffective_keys(values, composition, flags)
    for key, setting in composition.settings.items():
        has_no_effect = key in values and key in reasons
        changes_value = key in TRAINING_KEYS or key in changed
        if has_no_effect and changes_value and setting.is_chosen:
            yield located(f"{key} {reasons[key]}", setting.path)


def _ineffective_keys(
    values: Mapping[str, Any], composition: Composition, flags: Flags
) -> dict[str, str]:
    """Return the keys that have no effect with these values, and why."""
    found = dict[str, str]()
    if values.get("tracking") == "none":
        found |= dict.fromkeys(RECORDING_KEYS, "has no effect with tracking=none")
    for key in filter(values.get, DETAIL_KEYS):
        why = f"has no effect with {key}, which records nothing"
        found |= dict.fromkeys(("tracking", "server"), why)
    if values.get("reproduce"):
        why = "cannot be combined with reproduce, which uses the value of the run"
        found |= dict.fromkeys(TRAINING_KEYS, why)
    if composition.is_multirun:
        return found | _rejected_by_multirun(composition.schema, flags)
    if composition.schema.has_several_results(values):
        return found
    return found | _keys_of_multirun(composition, flags)


def _rejected_by_multirun(schema: Schema, flags: Flags) -> dict[str, str]:
    """Return the keys that a sweep rejects, and why."""
    found = schema.marked(RejectedByMultirun)
    if flags.is_call:
        found["reproduce"] = "cannot be used in a sweep: call train()"
    return found


def _keys_of_multirun(composition: Composition, flags: Flags) -> dict[str, str]:
    """Return the keys that only a sweep can have, and how to start a sweep."""
    schema = composition.schema
    remedy = "add -m"
    example = f"and an interval such as {INTERVAL}"
    if flags.is_call:
        remedy = "call sweep()" if schema.has_recorded_sweeps else "leave it out"
        example = "with an interval such as hidden='interval(4,128)'"
    found = dict.fromkeys(
        schema.marked(OnlyMultirun), f"is a setting of sweeps: {remedy}"
    )
    if "trials" in found:
        found["trials"] = f"is a setting of searches: {remedy} {example}"
    if composition.intervals:  # the problem about the interval has the same remedy
        found.pop("trials", None)
    return found


def _unrecorded_by_dvc(
    values: Mapping[str, Any], changed: Mapping[str, Setting]
) -> Iterator[str]:
    """Yield a problem for each value in a file that DVC does not record.

    DVC records conf/config.yaml and the command line.
    """
    for key, setting in changed.items():
        if os.environ.get("DVC_STAGE") and setting.path:
            yield (
                f"{key}={as_text(values[key])} in {displayed(setting.path)} differs "
                "from conf/config.yaml, the only file that DVC records: set it there"
            )


def _several_values(
    values: Mapping[str, Any], composition: Composition, flags: Flags
) -> Iterator[str]:
    """Yield a problem for each setting that only a sweep or a search can have."""
    for key, setting in composition.settings.items():
        if isinstance(setting.value, Several):
            yield _has_several(key, setting.value, composition.schema, flags)
        if isinstance(setting.value, Interval):
            has_trials = values.get("trials") is not None
            yield _has_interval(key, setting.value, flags, has_trials=has_trials)


def _has_interval(
    key: str, interval: Interval, flags: Flags, *, has_trials: bool
) -> str:
    """Return the message about a setting that has an interval outside a sweep."""
    remedy = "add -m" if has_trials else "add -m and trials=40"
    if flags.is_call:
        trials = "trials=..." if has_trials else "trials=40"
        remedy = f"call sweep({key}={str(interval)!r}, {trials})"
    return f"{key}={interval} is an interval: {remedy} to start a search"


def _has_several(name: str, values: list[Any], schema: Schema, flags: Flags) -> str:
    """Return the message about a key or a group with several values without a sweep."""
    text = Several(values)
    rule = f"{shortened(f'{name}={text}')} has several values"
    if len(values) == 1:
        rule = f"{shortened(f'{name}=[{text}]')} is a list"
    remedy = "add -m to run all of them"
    if flags.is_call:
        argument = shortened(f"{name}={values!r}")
        has_function = schema.has_recorded_sweeps
        remedy = f"call sweep({argument})" if has_function else "give only one"
    return f"{rule}: {remedy}"


def _rules_of_multirun(
    compositions: Sequence[Composition], flags: Flags
) -> Iterator[str]:
    """Yield a problem unless all compositions are grids, or there is one search.

    A search cannot be combined with a grid or another search. It does not suggest
    seeds: it would report the mean of networks that differ only in their seed.
    """
    if not all(each.is_multirun for each in compositions):
        for group, options in varied_groups(compositions).items():
            yield _has_several(group, options, compositions[0].schema, flags)
    multiruns = [each for each in compositions if each.is_multirun]
    for each in multiruns:
        trials = each.settings.get("trials", Setting(None))
        if interval := each.intervals.get("seed"):
            example = "seed=[1, 2, 3]" if flags.is_call else "seed=1,2,3"
            problem = (
                f"seed must not have an interval, got {interval}: "
                f"{example} trains each trial with these seeds"
            )
            yield located(problem, each.paths.get("seed"))
        if each.intervals and trials.value is None:
            yield "a search needs the number of trials: add trials=40"
        if not each.intervals and trials.value is not None:
            problem = f"trials has no effect without an interval: add {INTERVAL}"
            yield located(problem, trials.path)
    if len(compositions) > 1 and any(each.intervals for each in compositions):
        yield "a search cannot be combined with another sweep: run them separately"
