"""Composes the files of conf/ as Hydra's documentation says."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.cli.command import Flags
from pipeline.cli.config import as_text
from pipeline.cli.hydra_files import ordered_files
from pipeline.cli.source import one_line
from pipeline.cli.values import Choices, parse_choices


@dataclass(frozen=True)
class Composition:
    """The content of several files."""

    values: Mapping[str, Any]  # by key; references to other keys are not resolved
    files: Mapping[str, Path]  # by key: the file that sets it
    choices: Mapping[str, str] = field(default_factory=dict)  # by group
    chosen: frozenset[str] = frozenset()  # the keys in the files of chosen groups
    # The overrides of a saved sweep by key, such as +seed=1,2.
    saved: Mapping[str, str] = field(default_factory=dict)
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
        saved = {k: word for k, word in composed.saved.items() if k not in groups}
        varied = {
            key: parse_choices(word, names)
            for key, word in saved.items()
            if (names := flags.files_of_group(key)) is not None
        }
        if varied:
            fixed = {k: Choices([x]) for k, x in zip(groups, combination, strict=True)}
            yield from compositions({**fixed, **varied}, flags)
        else:
            yield replace(composed, saved=saved)


def compose(overrides: Sequence[str], flags: Flags) -> Composition:
    """Compose the primary file with choices of groups, such as team=small or ~team.

    As in Hydra, a saved sweep applies only in a sweep.

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
        message = f"cannot compose {displayed(flags.folders[-1])}: {one_line(error)}"
        raise ConfigError(message) from None
    values: Any = OmegaConf.to_container(merged)
    starts_sweep = (values.get("hydra") or {}).get("mode") == "MULTIRUN"
    is_sweep = flags.is_sweep or starts_sweep
    saved = _saved(values) if is_sweep else {}
    setting = {key: file.path for file in files for key in file.values}
    saving = {key: file.path for file in files for key in _saved(file.values)}
    chosen = (file.values for file in files if file.group in groups)
    return Composition(
        values={key: value for key, value in values.items() if key != "hydra"},
        files=setting | {key: saving[key] for key in saved},
        choices=choices,
        chosen=frozenset(itertools.chain(*chosen)),
        saved=saved,
        starts_sweep=starts_sweep,
        is_sweep=is_sweep,
    )


def _saved(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the overrides of a saved sweep by key, such as +seed=1,2 for seed."""
    params = ((values.get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    return {str(k).lstrip("+"): f"{k}={as_text(value)}" for k, value in params.items()}
