"""Composes the files in conf/ in the way that Hydra documents, and adds given values.

A given value replaces the value of a file.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.base.text import command_line
from pipeline.cli.command import SAVED_SWEEPS, Overrides, Setting
from pipeline.cli.composition import Composition
from pipeline.cli.flags import Flags
from pipeline.cli.hydra_files import File, ordered_files
from pipeline.cli.hydra_internals import is_listed_twice, one_line, split_message
from pipeline.cli.overrides import read_arguments
from pipeline.cli.problems import as_text, reject
from pipeline.cli.schema import KEYS, SCHEMAS, Schema
from pipeline.cli.validation import explain_unknown_key


class SelectedFiles(NamedTuple):
    """The files that Hydra selects with one option of each group."""

    chosen: Mapping[str, str]  # the override of each group, such as team=a, or ""
    files: Sequence[File]  # later files take precedence
    options: Mapping[str, str]  # by group; `files` can choose options too


def compose_all(
    given: Overrides, schema: Schema, flags: Flags
) -> Iterator[Composition]:
    """Compose the files for each combination of the options of groups.

    For `train -m team=small,large hidden=5,6`, there are two compositions. In the
    first, hidden has the given values, and all other keys have the values of
    team/small.yaml or, if it does not contain them, of config.yaml.

    As in Hydra, a saved sweep in one of the files has arguments like a command line.
    They do not replace given ones. If they select options of groups, as in
    `team: small,large`, the files are selected again with each option.

    Args:
        given: What the user gives.
        schema: The schema of the stage.
        flags: The flags, which select the primary config and the folders.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    for selected in _select_each({}, given.groups, flags):
        files = selected.files
        is_multirun = _is_multirun(files, schema, flags)
        saved = _saved_sweep(files, given, schema, flags, is_multirun=is_multirun)
        settings = {**saved.settings, **given.settings}
        complete = [selected]
        if saved.groups:
            complete = [*_select_each(selected.chosen, saved.groups, flags)]
        for each in complete:
            yield _compose(each, settings, schema, is_multirun=is_multirun)


def _select_each(
    chosen: Mapping[str, str], groups: Mapping[str, Sequence[str]], flags: Flags
) -> Iterator[SelectedFiles]:
    """Select the files for each combination of the overrides in `groups`.

    The overrides in `chosen` are the same for all combinations.
    """
    for overrides in itertools.product(*groups.values()):
        yield _select({**chosen, **dict(zip(groups, overrides, strict=True))}, flags)


def _select(chosen: Mapping[str, str], flags: Flags) -> SelectedFiles:
    overrides = [*filter(None, chosen.values())]
    try:
        return SelectedFiles(chosen, *ordered_files(overrides, flags))
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(_explain(error, overrides, flags)) from None


def _compose(
    selected: SelectedFiles,
    settings: Mapping[str, Setting],
    schema: Schema,
    *,
    is_multirun: bool,
) -> Composition:
    """Return the values of the selected files, replaced by `settings`.

    The keys that a sweep can vary are first, as in the names of runs.
    """
    replaced = {**_settings(selected), **settings}
    order = dict.fromkeys([*schema.can_vary, *replaced])
    ordered = {key: replaced[key] for key in order if key in replaced}
    return Composition(schema, ordered, selected.options, is_multirun)


def _settings(selected: SelectedFiles) -> dict[str, Setting]:
    """Return the value of each key in the last file that has the key."""
    chosen = selected.chosen.items()
    groups = {key.partition("@")[0] for key, override in chosen if override}
    return {
        key: Setting(value, file.path, is_chosen=file.group in groups)
        for file in selected.files
        for key, value in file.values.items()
    }


def _is_multirun(files: Sequence[File], schema: Schema, flags: Flags) -> bool:
    """Return whether -m or a saved sweep starts a sweep, and check the stage."""
    modes = [file.hydra["mode"] for file in files if "mode" in file.hydra]
    starts_sweep = modes[-1:] == ["MULTIRUN"]
    if flags.multirun and not schema.can_vary:
        stages = " and ".join(each.stage for each in SCHEMAS if each.can_vary)
        raise ConfigError(f"only {stages} accept -m")
    if starts_sweep and not schema.has_recorded_sweeps:
        raise ConfigError(f"only {command_line('train')} accepts {SAVED_SWEEPS}")
    return flags.multirun or starts_sweep


def _saved_sweep(
    files: Sequence[File],
    given: Overrides,
    schema: Schema,
    flags: Flags,
    *,
    is_multirun: bool,
) -> Overrides:
    """Read the arguments of saved sweeps for the keys that are not in `given`.

    Without a sweep, only the keys are checked.

    Raises:
        ConfigError: If arguments are invalid.
    """
    saved = Overrides({}, {}, [])
    for key, (argument, path) in _saved_arguments(files).items():
        if key in given.settings or key in given.groups:
            continue
        if is_multirun:
            read = read_arguments([argument], schema, flags, path)
            saved.settings.update(read.settings)
            saved.groups.update(read.groups)
            saved.problems.extend(read.problems)
        elif key not in KEYS and flags.files_of_group(key) is None:
            saved.problems.append(explain_unknown_key(key, schema, path=path))
    reject(saved.problems)
    return saved


def _saved_arguments(files: Sequence[File]) -> dict[str, tuple[str, Path]]:
    """Return the last argument for each key, such as +seed=1,2, and its file."""
    arguments = dict[str, tuple[str, Path]]()
    for file in files:
        sweeper = file.hydra.get("sweeper") or {}
        for name, value in (sweeper.get("params") or {}).items():
            argument = f"{name}={as_text(value)}"
            arguments[str(name).lstrip("+")] = argument, file.path
    return arguments


def _explain(error: Exception, overrides: Sequence[str], flags: Flags) -> str:
    """Return the message for an error of Hydra, with the file that has the error.

    If the error contains no file, the message contains the primary config.
    """
    text = one_line(error)
    for override in overrides:
        group = re.split("[@=]", override.lstrip("+"))[0]
        if override.startswith("+") and is_listed_twice(group, text):
            return (
                f"{override} cannot be added, because {group} is already in the "
                f"defaults list: write {override[1:]}"
            )
    names, problem = split_message(text)
    found = map(flags.find, [*names, flags.config_name])
    path = next(filter(None, found), flags.folders[-1])
    return f"cannot compose {displayed(path)}: {problem}"
