"""Composes the files in conf/ in the way that Hydra documents, and adds given values.

A given value replaces the value of a file.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

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
    for overrides in _choices(given.groups):
        files, options = _select(overrides, flags)
        is_multirun = _is_multirun(files, schema, flags)
        saved = _saved_sweep(files, given, schema, flags, is_multirun=is_multirun)
        for added in _choices(saved.groups):
            chosen = {**overrides, **added}
            if added:
                files, options = _select(chosen, flags)
            settings = {**_settings(files, chosen), **saved.settings, **given.settings}
            # The keys that a sweep can vary are first, as in the names of runs.
            order = dict.fromkeys([*schema.can_vary, *settings])
            ordered = {key: settings[key] for key in order if key in settings}
            yield Composition(schema, ordered, options, is_multirun)


def _choices(groups: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Yield each combination of one override for each group; without groups, {}."""
    for overrides in itertools.product(*groups.values()):
        yield dict(zip(groups, overrides, strict=True))


def _select(
    chosen: Mapping[str, str], flags: Flags
) -> tuple[list[File], dict[str, str]]:
    """Return the files that Hydra selects, in its order, and the option of each group.

    The files can select options too. An override can be ""; see `Overrides`.
    """
    overrides = [*filter(None, chosen.values())]
    try:
        return ordered_files(overrides, flags)
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(_explain(error, overrides, flags)) from None


def _settings(files: Sequence[File], chosen: Mapping[str, str]) -> dict[str, Setting]:
    """Return the value of each key in the last file that has the key."""
    groups = {group.partition("@")[0] for group, x in chosen.items() if x}
    return {
        key: Setting(value, file.path, is_chosen=file.group in groups)
        for file in files
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
