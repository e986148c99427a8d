"""The types of a parsed command line: flags, intervals, and a valid command.

Hydra is not imported, because --help reads the flags, too.
"""

import os
import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from pipeline import ConfigError
from pipeline.base.files import list_folder
from pipeline.base.paths import conf_dir, user_path
from pipeline.cli.schema import ConfigT, Schema


@dataclass(frozen=True)
class Interval:
    """The numbers from which a search suggests a value of a key."""

    low: int | float  # int if the values are integers
    high: int | float  # included
    log: bool  # whether the logarithm is distributed uniformly

    def __str__(self) -> str:
        """Return the interval as it is typed."""
        text = f"interval({self.low},{self.high})"
        return f"tag(log,{text})" if self.log else text


@dataclass(frozen=True)
class Flags:
    """The flags of a command line, or of a call from Python."""

    multirun: bool = False  # -m, or a call of `sweep`
    prints: bool = False  # --cfg job: only print the values
    name: str = "hydra"  # the primary config, conf/hydra.yaml
    folder: Path | None = None  # --config-dir
    is_call: bool = False  # from Python

    @property
    def folders(self) -> list[Path]:
        """The folders with settings."""
        return [conf_dir(), *([self.folder] if self.folder else [])]

    @property
    def paths(self) -> list[Path]:
        """The files and folders in these folders.

        Raises:
            UserError: If a folder cannot be read.
        """
        return [path for folder in self.folders for path in list_folder(folder)]

    @property
    def groups(self) -> list[str]:
        """The names of all groups, which are folders in these folders."""
        return sorted({path.name for path in self.paths if os.path.isdir(path)})

    def files_of_group(self, group: str) -> list[str] | None:
        """Return the names of the files of a group, such as sub/deep.

        It is None if there is no folder of this name.
        """
        if not re.fullmatch(r"[\w-]+(/[\w-]+)*", group):  # no path out of the folders
            return None
        # Unlike the method of a path, `isdir` raises no error if the name is too long.
        paths = [each / group for each in self.folders if os.path.isdir(each / group)]
        names = {
            file.relative_to(path).with_suffix("").as_posix()
            for path in paths
            for file in path.rglob("*.yaml")
        }
        return sorted(names) if paths else None

    def remedy(self, setting: str, schema: Schema) -> str:
        """Return what to do instead of several values outside a sweep."""
        if not self.is_call:
            return "add -m to run all of them"
        has_function = schema.has_recorded_sweeps
        return f"call sweep({setting})" if has_function else "give only one"


def read_flags(arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """Split a command line into its flags and all other words.

    Raises:
        ConfigError: If a flag is invalid.
        UserError: If a folder of configuration files cannot be read.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--resolve", action="store_true")  # --cfg always does this
    # Without a value, it is empty, which the rules below reject.
    for flag in ("--cfg", "-c"), ("--config-path", "-cp"), ("--config-dir", "-cd"):
        parser.add_argument(*flag, nargs="?", const="")
    parser.add_argument("--config-name", "-cn", default=Flags.name, nargs="?", const="")
    try:
        found, words = parser.parse_known_args(arguments)
    except ArgumentError as error:
        raise ConfigError(str(error)) from None
    if found.config_path is not None:
        remedy = "--config-dir adds a folder of configuration files"
        raise ConfigError(f"unknown flag --config-path: {remedy}")
    if found.cfg not in (None, "job"):
        raise ConfigError(f"--cfg must be job, got {found.cfg!r}")
    folder, text = None, found.config_dir
    if text is not None:
        folder = user_path(text, key="--config-dir").absolute()
        if not text or "://" in text or not os.path.isdir(folder):
            raise ConfigError(f"--config-dir must be an existing folder, got {text!r}")
    flags = Flags(found.multirun, found.cfg == "job", found.config_name, folder)
    names = sorted({path.stem for path in flags.paths if path.suffix == ".yaml"})
    if flags.name.removesuffix(".yaml") not in names:
        rule = f"--config-name must be {' or '.join(names)}"
        raise ConfigError(f"{rule}, got {flags.name!r}")
    return flags, words


@dataclass(frozen=True)
class Combination:
    """A value for each setting; a sweep has several combinations."""

    values: Mapping[str, Any]  # by key; invalid values are as they were given
    choices: Mapping[str, str]  # by group
    error: ConfigError | None = None  # why a value is invalid


@dataclass(frozen=True)
class Command(Generic[ConfigT]):
    """A valid command: what to run a stage or a sweep with."""

    config: ConfigT  # of the first valid combination
    combinations: Sequence[Combination]  # some can be invalid
    varied: Sequence[str] = ()  # the keys whose values differ between combinations
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # by key
    is_sweep: bool = False
    prints: bool = False  # see `Flags`
