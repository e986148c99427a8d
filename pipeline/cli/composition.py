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
from pipeline.cli.combinations import Composition
from pipeline.cli.command import SAVED_SWEEPS, Overrides, Setting
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
    `team: small,large`, the files are composed again with each option.

    Args:
        given: What the user gives.
        schema: The schema of the stage.
        flags: The flags, which select the primary config and the folders.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    for selected in _each_combination(given.groups):
        files, _ = _select(selected, flags)
        is_sweep = _is_sweep(files, schema, flags)
        replaced = {*selected, *given.settings}
        saved = _saved_sweep(files, replaced, schema, flags, is_sweep=is_sweep)
        settings = {**saved.settings, **given.settings}
        for more in _each_combination(saved.groups):
            yield _compose({**selected, **more}, settings, schema, flags, is_sweep)


def _compose(
    selected: Mapping[str, str],
    settings: Mapping[str, Setting],
    schema: Schema,
    flags: Flags,
    is_sweep: bool,
) -> Composition:
    """Compose the selected files, and replace values of files with `settings`.

    The keys that a sweep can vary are first, as in the names of runs.
    """
    files, options = _select(selected, flags)
    all_settings = {**_settings(files, selected), **settings}
    order = dict.fromkeys([*schema.can_vary, *all_settings])
    ordered = {key: all_settings[key] for key in order if key in all_settings}
    return Composition(schema, ordered, options, is_sweep)


def _each_combination(groups: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Yield an override of each group, such as team=small, for each combination."""
    for row in itertools.product(*groups.values()):
        yield dict(zip(groups, row, strict=True))


def _select(
    overrides: Mapping[str, str], flags: Flags
) -> tuple[list[File], dict[str, str]]:
    """Return the files that Hydra selects, in order, and the options of groups."""
    words = [*filter(None, overrides.values())]
    try:
        return ordered_files(words, flags)
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(_explain(error, words, flags)) from None


def _settings(
    files: Sequence[File], overrides: Mapping[str, str]
) -> dict[str, Setting]:
    """Return the value of each key in the last file that has the key.

    The user chose the files of the groups in `overrides`.
    """
    groups = {key.partition("@")[0] for key, override in overrides.items() if override}
    return {
        key: Setting(value, file.path, is_chosen=file.group in groups)
        for file in files
        for key, value in file.values.items()
    }


def _is_sweep(files: Sequence[File], schema: Schema, flags: Flags) -> bool:
    """Return whether -m or a saved sweep starts a sweep, and check the stage."""
    modes = [file.hydra["mode"] for file in files if "mode" in file.hydra]
    starts_sweep = modes[-1:] == ["MULTIRUN"]
    if flags.multirun and not schema.can_vary:
        stages = " and ".join(each.command_name() for each in SCHEMAS if each.can_vary)
        raise ConfigError(f"only {stages} accept -m")
    if starts_sweep and not schema.has_recorded_sweeps:
        raise ConfigError(f"only python -m pipeline.train accepts {SAVED_SWEEPS}")
    return flags.multirun or starts_sweep


def _saved_sweep(
    files: Sequence[File],
    replaced: set[str],
    schema: Schema,
    flags: Flags,
    *,
    is_sweep: bool,
) -> Overrides:
    """Read the arguments of saved sweeps, such as +seed=1,2.

    Arguments for the keys in `replaced`, which the user has set, are ignored. Arguments
    in later files take precedence. Without a sweep, only the keys are checked.

    Raises:
        ConfigError: If arguments are invalid.
    """
    arguments = dict[str, tuple[str, Path]]()  # by key
    for file in files:
        sweeper = file.hydra.get("sweeper") or {}
        for name, value in (sweeper.get("params") or {}).items():
            key = str(name).lstrip("+")
            arguments[key] = f"{name}={as_text(value)}", file.path
    saved = Overrides({}, {}, [])
    for key in [key for key in arguments if key not in replaced]:
        argument, path = arguments[key]
        if is_sweep:
            read = read_arguments([argument], schema, flags, path)
            saved.settings.update(read.settings)
            saved.groups.update(read.groups)
            saved.problems.extend(read.problems)
        elif key not in KEYS and flags.files_of_group(key) is None:
            saved.problems.append(explain_unknown_key(key, schema, path=path))
    reject(saved.problems)
    return saved


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
