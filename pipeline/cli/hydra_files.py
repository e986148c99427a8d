"""The files with settings, in the order in which Hydra composes them.

Hydra reads the files through a plugin, `CheckedFiles`, which checks each file before
Hydra uses it. `selected_files` merges them, because `hydra.compose` takes ten times
as long and does not say which file a value comes from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from pipeline import ConfigError
from pipeline.base.paths import displayed
from pipeline.cli.flags import Flags
from pipeline.cli.hydra_internals import DefaultsCycle, list_files
from pipeline.cli.problems import located, reject
from pipeline.cli.yaml_files import read


class File(NamedTuple):
    """A file of a composition."""

    path: Path
    group: str
    values: dict[str, Any]  # by key
    hydra: dict[str, Any]  # the mode and the arguments of a saved sweep
    listed: list[Any]  # the defaults list


class CheckedFiles(ConfigSource):
    """The YAML files of some folders; the first folder that has a file is used."""

    def __init__(self, flags: Flags) -> None:
        """Create the source; `load_config` reads the files."""
        super().__init__(provider="", path=f"{self.scheme()}://")
        self.flags = flags
        self.loaded: dict[str, File] = {}  # by name, such as team/small

    @staticmethod
    def scheme() -> str:
        """Return how the search path of Hydra names this class."""
        return "settings"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file; raise a ConfigError if it contains more than settings."""
        path = self.flags.find(config_path)
        assert path
        values, package = read(path)
        listed = values.pop("defaults", [])
        hydra = values.pop("hydra", None) or {}
        group = config_path.rpartition("/")[0]
        self.loaded[config_path] = File(path, group, values, hydra, listed)
        # Hydra needs only the parts of a file that select other files.
        config = OmegaConf.create({"defaults": listed})
        return ConfigResult(self.provider, str(path), config, {"package": package})

    def is_config(self, config_path: str) -> bool:
        """Return whether there is a file of this name."""
        return bool(self.flags.find(config_path))

    def is_group(self, config_path: str) -> bool:
        """Return whether there is a group of this name."""
        return self.flags.files_of_group(config_path) is not None

    def list(self, config_path: str, results_filter: object) -> list[str]:
        """Return the names of the files of a group, for messages."""
        return self.flags.files_of_group(config_path) or []

    def available(self) -> bool:
        """Return whether the folders exist."""
        return True


def ordered_files(
    overrides: Sequence[str], flags: Flags
) -> tuple[list[File], dict[str, str]]:
    """Return the files in the order of Hydra, and the option of each group.

    Args:
        overrides: Options of groups, such as team=small or ~team.
        flags: The flags, which select the primary config and the folders.

    Raises:
        ConfigError: If a file or package is invalid, or defaults lists form a cycle.
        HydraException: If a file is missing or the options are invalid.
    """
    source = CheckedFiles(flags)
    try:
        listed, options = list_files(flags.config_name, overrides, source)
    except DefaultsCycle:
        raise ConfigError(_describe_cycle([*source.loaded.values()])) from None
    found = [
        (source.loaded[name], package)
        for name, package in listed
        if name in source.loaded
    ]
    line = "# @package _global_"  # the default is the name of the group
    reject(
        located(f"its package must be _global_, got {package}: add {line!r}", file.path)
        for file, package in found
        if package and (file.values or file.hydra)
    )
    return [file for file, _ in found], options


def _describe_cycle(loaded: Sequence[File]) -> str:
    """Return a message with the files of a cycle, and possibly some other files."""
    text = str([each.listed for each in loaded])
    paths = {x.path: None for x in loaded if x.listed and x.path.stem in text}
    names = " and ".join(str(displayed(path)) for path in paths)
    return f"the defaults lists of {names} form a cycle: remove one of their entries"
