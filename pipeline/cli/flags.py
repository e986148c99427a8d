"""The flags of a command line, and the folders with settings that they select.

Hydra is not imported, because --help imports this module.
"""

import os
import re
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import ConfigError
from pipeline.base.files import list_folder
from pipeline.base.paths import conf_dir, user_path
from pipeline.base.text import alternatives


@dataclass(frozen=True)
class Flags:
    """The flags of a command line, or of a call from Python.

    They select the folders with settings: conf/, and --config-dir if it is given.
    """

    multirun: bool = False  # -m, or a call to `sweep`
    prints_settings: bool = False  # --cfg job, which runs nothing
    config_name: str = "hydra"  # the primary config, conf/hydra.yaml
    config_dir: Path | None = None
    is_call: bool = False  # whether this is a call from Python

    @property
    def folders(self) -> list[Path]:
        """The folders with settings."""
        return [conf_dir(), *([self.config_dir] if self.config_dir else [])]

    @property
    def entries(self) -> list[Path]:
        """The files and subfolders in the folders with settings.

        Raises:
            UserError: If a folder cannot be read.
        """
        return [path for folder in self.folders for path in list_folder(folder)]

    @property
    def groups(self) -> list[str]:
        """The names of all groups, without those in subfolders of groups."""
        names = {path.name for path in self.entries}
        return sorted(x for x in names if self.files_of_group(x) is not None)

    def files_of_group(self, group: str) -> list[str] | None:
        """Return the names of the files of a group, such as sub/deep.

        The result is None if there is no group of this name.
        """
        if not re.fullmatch(r"[\w-]+(/[\w-]+)*", group):  # no path out of the folders
            return None
        # Unlike `Path.is_dir`, `isdir` raises no error if the name is too long.
        paths = [each / group for each in self.folders if os.path.isdir(each / group)]
        names = {
            file.relative_to(path).with_suffix("").as_posix()
            for path in paths
            for file in path.rglob("*.yaml")
        }
        return sorted(names) if paths else None

    def find(self, name: str) -> Path | None:
        """Return the file with a name, such as team/small, in the first folder."""
        for each in self.folders:
            folder = os.path.normpath(each)
            path = os.path.normpath(f"{folder}/{name.removesuffix('.yaml')}.yaml")
            if os.path.isfile(path) and Path(path).is_relative_to(folder):
                return Path(path)
        return None


def read_flags(arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """Split a command line into its flags and all other arguments.

    Raises:
        ConfigError: If a flag is invalid.
        UserError: If a folder of settings cannot be read.
    """
    found, others = _parse(arguments)
    folder = None
    if (text := found.config_dir) is not None:
        folder = user_path(text, key="--config-dir").absolute()
        if not text or "://" in text or not os.path.isdir(folder):
            raise ConfigError(f"--config-dir must be an existing folder, got {text!r}")
    flags = Flags(found.multirun, found.cfg == "job", found.config_name, folder)
    names = sorted({x.stem for x in flags.entries if x.suffix == ".yaml"})
    if flags.config_name.removesuffix(".yaml") not in names:
        raise ConfigError(
            f"--config-name must be {alternatives(names)}, got {flags.config_name!r}"
        )
    return flags, others


def _parse(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Return the values of the flags, and all other arguments.

    Raises:
        ConfigError: If a flag is unknown, or must have another value.
    """
    if "--" in arguments:  # everything after it would be a setting, even --cfg
        raise ConfigError("unknown flag --: leave it out")
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--resolve", action="store_true")  # --cfg always resolves
    # A flag without a value gets an empty text, which is rejected.
    for flag in ("--cfg", "-c"), ("--config-path", "-cp"), ("--config-dir", "-cd"):
        parser.add_argument(*flag, nargs="?", const="")
    parser.add_argument(
        "--config-name", "-cn", default=Flags.config_name, nargs="?", const=""
    )
    try:
        found, others = parser.parse_known_args(arguments)
    except ArgumentError as error:
        raise ConfigError(
            f"{error.argument_name} must have no value: leave out what follows it"
        ) from None
    if found.config_path is not None:
        raise ConfigError(
            "unknown flag --config-path: --config-dir adds a folder of settings"
        )
    if found.cfg not in (None, "job"):
        raise ConfigError(f"--cfg must be job, got {found.cfg!r}")
    return found, others
