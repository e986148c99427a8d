"""The rules about several settings; `schema.py` has those about single ones."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.base.params import TRAINING_KEYS
from pipeline.base.paths import displayed
from pipeline.cli.command import Flags
from pipeline.cli.config import as_text
from pipeline.cli.default_values import defaults
from pipeline.cli.grid import Grid
from pipeline.cli.problems import located
from pipeline.cli.schema import Schema
from pipeline.cli.values import SweepValues, shorten

NETWORK_KEYS = ("run", "model", "sweep")  # at most one of them selects networks
QUESTION_KEYS = ("neuron", "weight", "arrays", "against")  # at most one of them
RECORDING_KEYS = ("server", "run_name", "experiment_name")


def broken_rules(grid: Grid, schema: Schema, flags: Flags) -> Iterator[str]:
    """Yield a problem for each rule that is broken, even if single values are invalid.

    Raises:
        ConfigError: If a reference to another setting is invalid.
    """
    first = next(grid.combinations())
    values = {key: first.get(key) for key in schema.model_fields}
    for key, example in schema.required.items():
        if values[key] is None:
            yield f"{key} is missing: add {example}"
    for keys, problem in _conflicts(values):
        paths = [grid.files[key] for key in keys if key in grid.files]
        yield located(problem, paths[0] if paths else None)
    reasons = _without_effect(values, schema, flags, is_sweep=grid.is_sweep)
    default_values = defaults()
    for key in [key for key in reasons if key in grid.given]:
        # A default, as in the output of --cfg job, asks for nothing; but `reproduce`
        # replaces even such a value.
        if key in TRAINING_KEYS or values[key] != default_values[key]:
            yield located(f"{key} {reasons[key]}", grid.files.get(key))
    for key, several in {**grid.swept, **grid.intervals}.items():
        if not grid.is_sweep:
            rule = f"{shorten(f'{key}={several}')} has several values"
            if isinstance(several, SweepValues) and len(several) == 1:
                rule = f"{shorten(f'{key}=[{several}]')} is a list"
            given = several if isinstance(several, SweepValues) else str(several)
            setting = shorten(f"{key}={given!r}")
            yield f"{rule}: {flags.remedy(setting, schema)}"
    if os.environ.get("DVC_STAGE"):  # DVC records conf/config.yaml and the command line
        for key, value in values.items():
            if key in grid.files and value != default_values[key]:
                place = f"{key}={as_text(value)} in {displayed(grid.files[key])}"
                rule = "differs from conf/config.yaml, the only file that DVC records"
                yield f"{place} {rule}: set it there"


def broken_rules_of_sweeps(grids: Sequence[Grid]) -> Iterator[str]:
    """Yield a problem unless each part of a sweep is a grid, or it is one search."""
    for grid in grids:
        trials = grid.values.get("trials")
        if grid.is_sweep and grid.intervals and trials is None:
            yield "trials, the number of suggestions, has no value: add trials=40"
        if grid.is_sweep and trials is not None and not grid.intervals:
            rule = "has no effect without an interval: add hidden=interval(4,128)"
            yield located(f"trials {rule}", grid.files.get("trials"))
    if len(grids) > 1 and any(grid.intervals for grid in grids):
        yield "a search cannot be joined with another sweep: run them separately"


def _conflicts(values: Mapping[str, Any]) -> Iterator[tuple[Sequence[str], str]]:
    """Yield the keys of settings that cannot be combined, and why."""
    networks = [key for key in NETWORK_KEYS if values.get(key)]
    questions = [key for key in QUESTION_KEYS if values.get(key)]
    if len(networks) > 1:
        names = " and ".join(networks[:2])
        yield networks, f"{names} both select a network: leave out one of them"
    if len(questions) > 1:
        rule = "cannot be combined: use only one"
        yield questions, f"{', '.join(questions)} {rule}"
    if values.get("image") is not None and not values["neuron"]:
        yield ["image"], "image requires neuron: add neuron=N11, or leave out image"
    if values.get("integers") and not values["neuron"]:
        rule = "requires neuron: add neuron=N11, or leave out integers"
        yield ["integers"], f"integers {rule}"
    if values.get("executor") == "ray" and values["workers"]:
        rule = "has no effect with executor=ray, which uses all cores of the nodes"
        yield ["workers", "executor"], f"workers {rule}: leave it out"


def _without_effect(
    values: Mapping[str, Any], schema: Schema, flags: Flags, *, is_sweep: bool
) -> dict[str, str]:
    """Return the settings that have no effect with these values, and why."""
    found: dict[str, str] = {}
    if values.get("tracking") == "none":
        found |= dict.fromkeys(RECORDING_KEYS, "has no effect with tracking=none")
    for key in filter(values.get, QUESTION_KEYS):
        why = f"has no effect with {key}, which records nothing"
        found |= dict.fromkeys(("tracking", "server"), why)
    if values.get("reproduce"):
        why = "cannot be combined with reproduce, which uses the value of the run"
        found |= dict.fromkeys(TRAINING_KEYS, why)
    if is_sweep:
        found |= schema.no_sweep
    elif values.get("bits") != "all" and not values.get("sweep"):
        in_call = "call sweep()" if schema.has_recorded_sweeps else "leave it out"
        remedy = in_call if flags.is_call else "add -m"
        found |= dict.fromkeys(schema.only_sweeps, f"is a setting of sweeps: {remedy}")
    return found
