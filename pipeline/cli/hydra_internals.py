"""Everything that depends on internals of Hydra: the files of a composition, in order.

Hydra can change these in any release. `tests/cli/test_hydra_internals.py` fails if it
does.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from hydra import version
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf

from pipeline import ConfigError
from pipeline.base.paths import displayed

MAX_LOADS = 20  # most loads of a file in a composition without a cycle
_BASE_LOCK = Lock()  # Hydra has one version base for all threads
# Returns the values of a file, and the package of its header.
Read = Callable[[Path], tuple[dict[str, Any], str | None]]


class File(NamedTuple):
    """A file of a composition."""

    path: Path
    group: str
    package: str  # "" is that of all settings
    content: DictConfig


class _ConfFolder(FileConfigSource):
    """A folder of YAML files, which are read by a function of ours."""

    def __init__(self, folder: Path, read: Read) -> None:
        super().__init__("conf", f"file://{os.path.normpath(folder)}")
        self._read = read

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file; the result has its path.

        Raises:
            ConfigError: If it is outside of the folder.
        """
        folder, name = Path(self.path), self._normalize_file_name(config_path)
        path = Path(os.path.normpath(folder / name))
        if not path.is_relative_to(folder):
            place = f"outside of {displayed(folder)}, the folder of settings"
            raise ConfigError(f"{name} is {place}: remove it")
        values, package = self._read(path)
        config = OmegaConf.create(values)
        return ConfigResult(self.provider, str(path), config, {"package": package})


class _Files(CachingConfigRepository):
    """The files that Hydra loads; it would follow a cycle of them without an end."""

    def __init__(self, folders: Sequence[Path], read: Read) -> None:
        repository = ConfigRepository(ConfigSearchPathImpl())
        repository.sources = [_ConfFolder(folder, read) for folder in folders]
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


def header_package(text: str) -> str | None:
    """Return the package in the header of a file, such as `# @package _global_`.

    Raises:
        ValueError: If the header is invalid.
    """
    package: str | None = ConfigSource._get_header_dict(text[:512])["package"]
    return package


def ordered_files(
    overrides: Sequence[str], *, name: str, folders: Sequence[Path], read: Read
) -> tuple[list[File], dict[str, str]]:
    """Return the files in Hydra's order, and the choice of each group.

    Args:
        overrides: Choices of groups, such as team=small or ~team.
        name: The name of the primary file.
        folders: Where the files are; the first one that has a file is used.
        read: Reads a file.

    Raises:
        ConfigError: If defaults lists form a cycle.
        HydraException: If a file is missing or the choices are invalid.
    """
    files = _Files(folders, read)
    choices = OverridesParser.create().parse_overrides([*overrides])
    base = version.VersionBase.instance()
    with _BASE_LOCK:  # the version whose rules count; a caller can use other ones
        before = base.version_base
        version.setbase("1.3")
        try:
            defaults = create_defaults_list(
                repo=files,
                config_name=name,
                overrides_list=choices,
                prepend_hydra=False,
                skip_missing=False,
            )
        finally:
            base.version_base = before
    ordered = []
    for default in defaults.defaults:
        loaded = files.load_config(str(default.config_path))
        assert loaded and isinstance(loaded.config, DictConfig)
        group = str(default.config_path).rpartition("/")[0]
        file = File(Path(loaded.path), group, default.package or "", loaded.config)
        ordered.append(file)
    # Hydra records the same as hydra.runtime.choices.
    known = defaults.overrides.known_choices.items()
    return ordered, {k.partition("@")[0]: name for k, name in known if name}
