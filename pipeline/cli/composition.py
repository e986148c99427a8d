"""Composes the files in conf/ in the way that Hydra documents, and adds given values.

A given value replaces the value of a file.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.cli.command import SAVED_SWEEPS, Composition, Given, Options, Setting
from pipeline.cli.flags import ConfigFolders, Flags
from pipeline.cli.hydra_files import File, ordered_files
from pipeline.cli.hydra_internals import is_listed_twice, one_line, split_message
from pipeline.cli.overrides import read_arguments
from pipeline.cli.problems import WrongType, as_text, located, reject
from pipeline.cli.schema import KEYS, SCHEMAS, TEXT_KEYS, Schema
from pipeline.cli.validation import explain_unknown_key
from pipeline.cli.yaml_files import reject_resolver


def compose_all(given: Given, schema: Schema, flags: Flags) -> Iterator[Composition]:
    """Compose the files for each combination of the options of groups.

    Args:
        given: What the user gives.
        schema: The schema of the stage.
        flags: The flags, which select the primary config and the folders.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    for overrides in _each_combination(given.groups):
        yield from _compose(overrides, given, schema, flags)


def _each_combination(groups: Mapping[str, Options]) -> Iterator[dict[str, str]]:
    """Yield an override of each group, such as team=small, for each combination."""
    for row in itertools.product(*(each.overrides() for each in groups.values())):
        yield dict(zip(groups, row, strict=True))


def _compose(
    overrides: Mapping[str, str], given: Given, schema: Schema, flags: Flags
) -> Iterator[Composition]:
    """Compose the primary config with the overrides of groups, and add given values.

    A saved sweep in one of the files has arguments like a command line, which
    do not replace given ones. If they select options of other groups, the files are
    composed again with each of them: two times for `team: small,large`.
    """
    files, options, values = _merge_files([*filter(None, overrides.values())], flags)
    hydra = values.pop("hydra", None) or {}
    starts_sweep = hydra.get("mode") == "MULTIRUN"
    _check_stage(schema, flags, starts_sweep=starts_sweep)
    is_sweep = flags.multirun or starts_sweep
    replaced = {*overrides, *given.settings}
    arguments = {k: x for k, x in _saved_arguments(files).items() if k not in replaced}
    saved = _read_saved(arguments, schema, flags.folders, is_sweep=is_sweep)
    if saved.groups:
        for more in _each_combination(saved.groups):
            yield from _compose({**overrides, **more}, given, schema, flags)
        return
    in_files = _with_paths(values, files, overrides)
    settings = {**in_files, **saved.settings, **given.settings}
    # The keys that a sweep can vary are first, as in the names of runs.
    order = dict.fromkeys([*schema.can_vary, *settings])
    ordered = {key: settings[key] for key in order if key in settings}
    yield Composition(ordered, options, is_sweep)


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
    values: Mapping[str, Any], files: Sequence[File], overrides: Mapping[str, str]
) -> dict[str, Setting]:
    """Return merged values, each with the last file that has its key.

    The user chose the files of the groups in `overrides`.
    """
    groups = {key.partition("@")[0] for key, override in overrides.items() if override}
    paths = {key: file.path for file in files for key in file.values}
    chosen = {key for file in files if file.group in groups for key in file.values}
    return {
        key: Setting(value, paths[key], is_chosen=key in chosen)
        for key, value in values.items()
    }


def _saved_arguments(files: Sequence[File]) -> dict[str, tuple[str, Path]]:
    """Return each argument of a saved sweep, such as +seed=1,2, and its file, by key.

    Those of later files count.
    """
    arguments = dict[str, tuple[str, Path]]()
    for file in files:
        hydra = file.values.get("hydra") or {}
        sweeper = hydra.get("sweeper") or {}
        for name, value in (sweeper.get("params") or {}).items():
            key = str(name).lstrip("+")
            arguments[key] = f"{name}={as_text(value)}", file.path
    return arguments


def _check_stage(schema: Schema, flags: Flags, *, starts_sweep: bool) -> None:
    """Check that the stage can run a sweep, or a sweep that is saved in a file."""
    if flags.multirun and not schema.can_vary:
        stages = " and ".join(each.command_name() for each in SCHEMAS if each.can_vary)
        raise ConfigError(f"only {stages} accept -m")
    if starts_sweep and not schema.has_recorded_sweeps:
        raise ConfigError(f"only python -m pipeline.train accepts {SAVED_SWEEPS}")


def _read_saved(
    arguments: Mapping[str, tuple[str, Path]],
    schema: Schema,
    folders: ConfigFolders,
    *,
    is_sweep: bool,
) -> Given:
    """Read the arguments of a saved sweep; if this is no sweep, only check their keys.

    Raises:
        ConfigError: If arguments are invalid.
    """
    saved = Given({}, {}, [])
    for key, (argument, path) in arguments.items():
        if is_sweep:
            read = read_arguments([argument], schema, folders)
            for name, setting in read.settings.items():
                saved.settings[name] = setting._replace(path=path)
            saved.groups.update(read.groups)
            saved.problems.extend(located(each, path) for each in read.problems)
        elif key not in KEYS and folders.files_of_group(key) is None:
            saved.problems.append(explain_unknown_key(key, schema, path=path))
    reject(saved.problems)
    return saved


def resolve(values: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Replace references, such as ${epochs}, with the values of other keys.

    Values of text keys are not changed. `files` is for messages.

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
        message = f"{key}={values.get(key)} cannot be resolved: {one_line(error)}"
        raise WrongType(located(message, files.get(key))) from None
    assert isinstance(resolved, dict)
    return {**values, **{str(key): value for key, value in resolved.items()}}


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
