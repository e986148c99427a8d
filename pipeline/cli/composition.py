"""Composes the files of conf/ as Hydra's documentation says.

Hydra finds the files and their order. Its public function `compose` is not used: it has
one state for all threads, and composes the settings of Hydra, too, which takes 40 ms.
"""

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
from pipeline.cli.hydra_internals import ordered_files
from pipeline.cli.source import one_line, read
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
            if (names := flags.choices(key)) is not None
        }
        if varied:
            fixed = {k: Choices([x]) for k, x in zip(groups, combination, strict=True)}
            yield from compositions({**fixed, **varied}, flags)
        else:
            yield replace(composed, saved=saved)


def compose(overrides: Sequence[str], flags: Flags) -> Composition:
    """Compose the primary file with choices of groups, such as team=small or ~team.

    As in Hydra, a saved sweep counts only in a sweep.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    groups = {re.split("[@=]", each.lstrip("+~"))[0] for each in overrides}
    merged, setting, saving = OmegaConf.create(), dict[str, Path](), dict[str, Path]()
    chosen = set[str]()
    try:
        files, choices = ordered_files(
            overrides, name=flags.name, folders=flags.folders, read=read
        )
        for path, group, package, config in files:
            keys = [package.partition(".")[0]] if package else [*map(str, config)]
            setting |= dict.fromkeys(keys, path)
            if group in groups:
                chosen |= {*keys}
            params = OmegaConf.select(config, "hydra.sweeper.params") or {}
            saving |= dict.fromkeys((str(key).lstrip("+") for key in params), path)
            if not config:
                continue  # the package of a group would be a key
            if package:
                OmegaConf.update(merged, package, config)
            else:
                merged.merge_with(config)
    except ConfigError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        message = f"cannot compose {displayed(flags.folders[-1])}: {one_line(error)}"
        raise ConfigError(message) from None
    values = OmegaConf.to_container(merged)
    assert isinstance(values, dict)
    hydra = values.pop("hydra", None) or {}
    starts_sweep = hydra.get("mode") == "MULTIRUN"
    is_sweep = flags.is_sweep or starts_sweep
    params = (hydra.get("sweeper") or {}).get("params") or {} if is_sweep else {}
    saved = {
        str(key).lstrip("+"): f"{key}={as_text(value)}" for key, value in params.items()
    }
    return Composition(
        values={str(key): value for key, value in values.items()},
        files=setting | {key: saving[key] for key in saved},
        choices=choices,
        chosen=frozenset(chosen),
        saved=saved,
        starts_sweep=starts_sweep,
        is_sweep=is_sweep,
    )
