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

from hydra import version
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import ConfigError
from pipeline.cli.command import Flags
from pipeline.cli.config import as_text, choices
from pipeline.cli.source import ConfFolder, one_line
from pipeline.cli.values import Choices, parse_choices
from pipeline.paths import displayed

MAX_LOADS = 20  # of one file in a composition without a cycle; usually it is one


class _Files(CachingConfigRepository):
    """The files that Hydra loads; it would follow a cycle of them without an end."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Look for files in these folders."""
        repository = ConfigRepository(ConfigSearchPathImpl())
        repository.sources = [ConfFolder("conf", f"file://{x}") for x in folders]
        super().__init__(repository)
        self._loaded: list[str] = []

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return the content of a file; refuse one that lists itself."""
        name = config_path.removesuffix(".yaml")
        self._loaded.append(name)
        if self._loaded.count(name) > MAX_LOADS:
            latest = self._loaded[::-1]
            cycle = [*dict.fromkeys(latest[: latest.index(name, 1)])]
            files = " → ".join(f"{each}.yaml" for each in [name, *cycle[::-1]])
            raise ConfigError(
                f"the defaults lists of these files form a cycle: {files}; remove one "
                "of their entries"
            )
        return super().load_config(config_path)


@dataclass(frozen=True)
class Composition:
    """The content of several files."""

    values: Mapping[str, Any]  # by key; references to other keys are not resolved
    files: Mapping[str, Path]  # by key: the file that sets it
    chosen: frozenset[str] = frozenset()  # the keys in the files of chosen groups
    saved: Mapping[str, str] = field(default_factory=dict)  # those of a saved sweep
    starts_sweep: bool = False  # hydra.mode: MULTIRUN
    is_sweep: bool = False  # the same, or -m


def compositions(groups: Mapping[str, Choices], flags: Flags) -> Iterator[Composition]:
    """Compose the files for each combination of choices of groups.

    A saved sweep can vary a group, too.

    Raises:
        ConfigError: If a file cannot be read, or contains more than settings.
    """
    for combination in itertools.product(*groups.values()):
        composed = compose(combination, flags)
        saved = {k: text for k, text in composed.saved.items() if k not in groups}
        varied = {
            key: parse_choices(f"{key}={text}")
            for key, text in saved.items()
            if choices(key, flags.folders) is not None
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
    merged, files, saving = OmegaConf.create(), dict[str, Path](), dict[str, Path]()
    chosen = set[str]()
    try:
        for path, group, package, config in _ordered_files(overrides, flags):
            keys = [package.partition(".")[0]] if package else [*map(str, config)]
            files |= dict.fromkeys(keys, path)
            if group in groups:
                chosen |= {*keys}
            params = OmegaConf.select(config, "hydra.sweeper.params") or {}
            saving |= dict.fromkeys(map(str, params), path)
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
    saved = {str(key): as_text(value) for key, value in params.items()}
    return Composition(
        values={str(key): value for key, value in values.items()},
        files=files | {key: saving[key] for key in saved},
        chosen=frozenset(chosen),
        saved=saved,
        starts_sweep=starts_sweep,
        is_sweep=is_sweep,
    )


def _ordered_files(
    overrides: Sequence[str], flags: Flags
) -> Iterator[tuple[Path, str, str, DictConfig]]:
    """Yield the path, group, package and content of each file in Hydra's order."""
    version.setbase("1.3")
    files = _Files(flags.folders)
    defaults = create_defaults_list(
        repo=files,
        config_name=flags.name,
        overrides_list=OverridesParser.create().parse_overrides([*overrides]),
        prepend_hydra=False,
        skip_missing=False,
    )
    for default in defaults.defaults:
        loaded = files.load_config(str(default.config_path))
        assert loaded and isinstance(loaded.config, DictConfig)
        group = str(default.config_path).rpartition("/")[0]
        yield Path(loaded.path), group, default.package or "", loaded.config
