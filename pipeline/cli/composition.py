"""Composes the files in conf/ in the way that Hydra documents, and adds given values.

A given value replaces the value of a file.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.cli.command import Flags
from pipeline.cli.config import as_text, explain_unknown_key
from pipeline.cli.folders import ConfigFolders
from pipeline.cli.given import Given
from pipeline.cli.hydra_files import File, ordered_files
from pipeline.cli.hydra_internals import is_listed_twice, one_line, split_message
from pipeline.cli.problems import collected, reject
from pipeline.cli.schema import KEYS, SCHEMAS, Schema
from pipeline.cli.settings import Part, Setting
from pipeline.cli.values import GroupOverrides, parse_group, parse_value

# The overrides of a saved sweep by key, such as +seed=1,2, each with its file.
SavedSweep = Mapping[str, tuple[str, Path]]


def compose_all(given: Given, schema: Schema, flags: Flags) -> Iterator[Part]:
    """Compose the files for each combination of options of groups.

    The values of a saved sweep replace the values of files, and given values replace
    both. If a saved sweep varies a group, such as `team: small,large`, the files are
    composed again with each of these options, as if the group were given.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    for row in itertools.product(*given.groups.values()):
        composed, saved = compose([*filter(None, row)], schema, flags)
        varied = _saved_groups(saved, given, flags.folders)
        if varied and composed.is_sweep:
            each = zip(given.groups, row, strict=True)
            fixed = {group: GroupOverrides([override]) for group, override in each}
            again = replace(given, groups={**fixed, **varied})
            yield from compose_all(again, schema, flags)
        else:
            yield _replace_values(composed, saved, given, schema, flags)


def compose(
    overrides: Sequence[str], schema: Schema, flags: Flags
) -> tuple[Part, SavedSweep]:
    """Compose the primary config with options of groups, such as team=small or ~team.

    Returns:
        The settings in files, and the saved sweep, which is used only in a sweep.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    files, options, values = _merge_files(overrides, flags)
    hydra = values.pop("hydra", None) or {}
    starts_sweep = hydra.get("mode") == "MULTIRUN"
    _check_stage(schema, flags, starts_sweep=starts_sweep)
    by_key = _with_paths(values, files, overrides)
    part = Part(by_key, options, flags.multirun or starts_sweep)
    paths = {key: x.path for x in files for key in _saved(x.values.get("hydra"))}
    return part, {key: (each, paths[key]) for key, each in _saved(hydra).items()}


def _merge_files(
    overrides: Sequence[str], flags: Flags
) -> tuple[list[File], dict[str, str], dict[str, Any]]:
    """Return the files that Hydra selects, the options of groups, and merged values."""
    try:
        files, options = ordered_files(overrides, flags)
        merged = OmegaConf.merge(*(file.values for file in files))
    except ConfigError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(_explain(error, overrides, flags)) from None
    values: Any = OmegaConf.to_container(merged)
    return files, options, values


def _with_paths(
    values: Mapping[str, Any], files: Sequence[File], overrides: Sequence[str]
) -> dict[str, Setting]:
    """Return merged values, each with the last file that has its key."""
    groups = {re.split("[@=]", each.lstrip("+~"))[0] for each in overrides}
    paths = {key: file.path for file in files for key in file.values}
    chosen = {key for file in files if file.group in groups for key in file.values}
    return {
        key: Setting(value, paths[key], is_wanted=key in chosen)
        for key, value in values.items()
    }


def _check_stage(schema: Schema, flags: Flags, *, starts_sweep: bool) -> None:
    """Check that the stage can run a sweep, or a sweep that is saved in a file."""
    if flags.multirun and not schema.can_vary:
        stages = " and ".join(each.command_name() for each in SCHEMAS if each.can_vary)
        raise ConfigError(f"only {stages} accept -m")
    if starts_sweep and not schema.has_recorded_sweeps:
        raise ConfigError("only python -m pipeline.train accepts experiment")


def _saved_groups(
    saved: SavedSweep, given: Given, folders: ConfigFolders
) -> dict[str, GroupOverrides]:
    """Return the groups that a saved sweep varies, unless their options are given."""
    return {
        group: parse_group(argument, names)
        for group, (argument, _) in saved.items()
        if group not in given.groups
        if (names := folders.files_of_group(group)) is not None
    }


def _replace_values(
    composed: Part, saved: SavedSweep, given: Given, schema: Schema, flags: Flags
) -> Part:
    """Replace the values of files with a saved sweep's values, then with given values.

    The keys that a sweep can vary are first, in the order in which they appear in the
    names of runs.
    """
    swept, problems = dict[str, Setting](), list[str]()
    for key, (argument, path) in saved.items():
        if flags.folders.files_of_group(key) is not None:
            continue
        if key not in KEYS:
            problems.append(explain_unknown_key(key, schema, path))
        elif composed.is_sweep and key not in given.settings:
            with collected(problems, path):
                value = parse_value(key, argument.partition("=")[2], schema)
                swept[key] = Setting(value, path)
    reject(problems)
    by_key = {**composed.by_key, **swept, **given.settings}
    order = dict.fromkeys([*schema.can_vary, *by_key])
    return replace(composed, by_key={k: by_key[k] for k in order if k in by_key})


def _explain(error: Exception, overrides: Sequence[str], flags: Flags) -> str:
    """Return the message for an error of Hydra, with the file that has the error.

    If the error contains no file, the message contains the primary config.
    """
    text = one_line(error)
    for override in overrides:
        group = re.split("[@=]", override.lstrip("+"))[0]
        if override.startswith("+") and is_listed_twice(group, text):
            rule = f"{group} is already in the defaults list"
            return f"{override} cannot be added, because {rule}: write {override[1:]}"
    names, problem = split_message(text)
    found = map(flags.folders.find, [*names, flags.name])
    path = next(filter(None, found), flags.folders.all[-1])
    return f"cannot compose {displayed(path)}: {problem}"


def _saved(hydra: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the overrides of a saved sweep by key, such as +seed=1,2 for seed."""
    params = ((hydra or {}).get("sweeper") or {}).get("params") or {}
    return {str(k).lstrip("+"): f"{k}={as_text(value)}" for k, value in params.items()}
