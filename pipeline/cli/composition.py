"""Composes the files of conf/ as Hydra's documentation says."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.cli.command import Flags
from pipeline.cli.config import as_text
from pipeline.cli.hydra_files import find_file, ordered_files
from pipeline.cli.source import one_line
from pipeline.cli.values import Choices, parse_choices


class Saved(NamedTuple):
    """An override of a saved sweep."""

    word: str  # such as +seed=1,2
    path: Path  # the file with it


@dataclass(frozen=True)
class Composition:
    """The content of several files."""

    values: Mapping[str, Any]  # by key; references to other keys are not resolved
    files: Mapping[str, Path]  # by key: the file that sets it
    choices: Mapping[str, str] = field(default_factory=dict)  # by group
    chosen: frozenset[str] = frozenset()  # the keys in the files of chosen groups
    saved: Mapping[str, Saved] = field(default_factory=dict)  # used only in a sweep
    starts_sweep: bool = False  # hydra.mode: MULTIRUN
    is_sweep: bool = False  # the same, or -m


def compositions(groups: Mapping[str, Choices], flags: Flags) -> Iterator[Composition]:
    """Compose the files for each combination of choices of groups.

    A saved sweep can vary a group, too.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    for combination in itertools.product(*groups.values()):
        composed = compose([*filter(None, combination)], flags)
        saved = {key: x for key, x in composed.saved.items() if key not in groups}
        found = {key: flags.files_of_group(key) for key in saved}
        names = {key: files for key, files in found.items() if files is not None}
        if names and composed.is_sweep:
            fixed = {k: Choices([x]) for k, x in zip(groups, combination, strict=True)}
            varied = {k: parse_choices(saved[k].word, x) for k, x in names.items()}
            yield from compositions({**fixed, **varied}, flags)
        else:
            settings = {key: x for key, x in saved.items() if key not in names}
            yield replace(composed, saved=settings)


def compose(overrides: Sequence[str], flags: Flags) -> Composition:
    """Compose the primary config with choices of groups, such as team=small or ~team.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    groups = {re.split("[@=]", each.lstrip("+~"))[0] for each in overrides}
    try:
        files, choices = ordered_files(overrides, flags)
        merged = OmegaConf.merge(*(file.values for file in files))
    except ConfigError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(_explain(error, overrides, flags)) from None
    values: Any = OmegaConf.to_container(merged)
    starts_sweep = (values.get("hydra") or {}).get("mode") == "MULTIRUN"
    paths = {key: file.path for file in files for key in _saved(file.values)}
    chosen = (file.values for file in files if file.group in groups)
    return Composition(
        values={key: value for key, value in values.items() if key != "hydra"},
        files={key: file.path for file in files for key in file.values},
        choices=choices,
        chosen=frozenset(itertools.chain(*chosen)),
        saved={key: Saved(word, paths[key]) for key, word in _saved(values).items()},
        starts_sweep=starts_sweep,
        is_sweep=flags.is_sweep or starts_sweep,
    )


def _explain(error: Exception, overrides: Sequence[str], flags: Flags) -> str:
    """Return the message for an error of Hydra, with the file that it is about.

    If it names none, this is the primary config.
    """
    text = one_line(error)
    for override in overrides:
        group = re.split("[@=]", override.lstrip("+"))[0]
        if override.startswith("+") and f"Multiple values for {group}." in text:
            rule = f"{group} is already in the defaults list"
            return f"{override} cannot be added, because {rule}: write {override[1:]}"
    names = [*re.findall(r"\b[Ii]n '?([^':\s]+)", text), flags.name]
    found = (find_file(name, flags.folders) for name in names)
    path = next(filter(None, found), flags.folders[-1])
    problem = re.sub("^In '?[^':]+'?: ", "", text)
    return f"cannot compose {displayed(path)}: {problem}"


def _saved(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the overrides of a saved sweep by key, such as +seed=1,2 for seed."""
    params = ((values.get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    return {str(k).lstrip("+"): f"{k}={as_text(value)}" for k, value in params.items()}
