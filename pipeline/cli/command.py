"""The types of a parsed command line: flags, intervals, and a valid command.

Hydra is not imported, because --help reads the flags too.
"""

import os
from argparse import ArgumentError, ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from pipeline import ConfigError
from pipeline.base.paths import conf_dir, user_path
from pipeline.base.text import alternatives
from pipeline.cli.folders import ConfigFolders
from pipeline.cli.schema import ConfigT


@dataclass(frozen=True)
class Interval:
    """The numbers from which a search suggests a value of a key."""

    low: int | float  # int if the values are integers
    high: int | float  # included
    log: bool  # whether the search is on a logarithmic scale

    def bound(self, *, high: bool) -> int | float:
        """Return the upper or the lower bound."""
        return self.high if high else self.low

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
    is_call: bool = False  # whether this is a call from Python

    @property
    def folders(self) -> ConfigFolders:
        """The folders with settings."""
        return ConfigFolders([conf_dir(), *([self.folder] if self.folder else [])])


def read_flags(arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """Split a command line into its flags and all other arguments.

    Raises:
        ConfigError: If a flag is invalid.
        UserError: If a folder of configuration files cannot be read.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--resolve", action="store_true")  # --cfg always resolves
    # A flag without a value gets an empty text, which the rules below reject.
    for flag in ("--cfg", "-c"), ("--config-path", "-cp"), ("--config-dir", "-cd"):
        parser.add_argument(*flag, nargs="?", const="")
    parser.add_argument("--config-name", "-cn", default=Flags.name, nargs="?", const="")
    try:
        found, others = parser.parse_known_args(arguments)
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
    names = sorted(
        {path.stem for path in flags.folders.paths if path.suffix == ".yaml"}
    )
    if flags.name.removesuffix(".yaml") not in names:
        rule = f"--config-name must be {alternatives(names)}"
        raise ConfigError(f"{rule}, got {flags.name!r}")
    return flags, others


@dataclass(frozen=True)
class Combination:
    """A value for each setting; a sweep has several combinations."""

    values: Mapping[str, Any]  # by key; an invalid value is as it was given
    options: Mapping[str, str]  # by group
    error: ConfigError | None = None  # why a value is invalid


@dataclass(frozen=True)
class Command(Generic[ConfigT]):
    """A valid command, with which a stage or a sweep is run."""

    config: ConfigT  # the values of the first valid combination
    options: Mapping[str, str]  # the options of the same combination, by group
    combinations: Sequence[Combination]  # some can be invalid
    varied: Sequence[str] = ()  # the groups and keys that a sweep varies, or its seed
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # by key

    @property
    def is_sweep(self) -> bool:
        """Whether the command runs a sweep, perhaps with a single combination."""
        return bool(self.varied)
