"""Reads the words of a command line: flags, choices of groups, and values of keys."""

import re
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import ConfigError
from pipeline.cli.composition import PRIMARY, parse_choice
from pipeline.cli.config import (
    choices,
    defaults,
    describe_default,
    explain_unknown_key,
)
from pipeline.cli.schema import Schema
from pipeline.cli.source import describe_hydra
from pipeline.paths import conf_dir

PREFIX = re.compile(r"\+\+|\+|~")  # of an override; see Hydra's documentation


@dataclass
class Words:
    """The words of a command line."""

    flags: Namespace
    texts: dict[str, str] = field(default_factory=dict)  # values by key, as typed
    groups: dict[str, list[str]] = field(default_factory=dict)  # overrides by group
    problems: list[str] = field(default_factory=list)
    lacks_group: bool = False  # whether the choice of a group is invalid

    @property
    def is_sweep(self) -> bool:
        """Whether this is a sweep: an invalid choice of an experiment, too."""
        return self.flags.multirun or self.lacks_group

    @property
    def folders(self) -> list[Path]:
        """The folders with settings."""
        return [conf_dir(), *([self.flags.config_dir] if self.flags.config_dir else [])]


def read_words(arguments: Sequence[str], schema: Schema) -> Words:
    """Read a command line; its values are not parsed yet.

    Raises:
        ConfigError: If a flag is invalid.
    """
    flags, rest = _parse_flags(arguments)
    words = Words(flags)
    for word in _join(rest, schema, words.problems):
        try:
            _read(word, schema, words)
        except ConfigError as error:
            words.problems.append(str(error))
    return words


def _read(word: str, schema: Schema, words: Words) -> None:
    """Add a word to the others."""
    name, equals, text = word.partition("=")
    prefix = PREFIX.match(name)
    key = name.removeprefix(prefix[0]) if prefix else name
    group, _, package = key.partition("@")
    names = choices(group, words.folders)
    if word.startswith("-"):
        remedy = "--help lists the settings"
        if re.match("--config-path|-cp", word):
            remedy = "--config-dir adds a folder of settings"
        raise ConfigError(f"unknown flag {word}: {remedy}")
    if re.match("hydra([./]|$)", group) or re.match("hydra([.:]|$)", package):
        raise ConfigError(describe_hydra(key))
    if key in words.texts or key in words.groups:
        raise ConfigError(f"{key} is given more than once: give it once")
    if names is not None:
        _read_choice(word, key, text, names, words)
    elif prefix and prefix[0] == "~" and key in defaults():
        rule = f"~{key} would delete a setting, but every setting needs a value"
        raise ConfigError(f"{rule}: leave it out ({describe_default(key)})")
    elif key in schema.model_fields and equals:
        words.texts[key] = text
    elif key in schema.model_fields:
        raise ConfigError(f"{key} has no value: write {key}=value")
    elif equals or prefix:
        raise ConfigError(explain_unknown_key(key, schema))
    else:
        hint = f"did you mean {schema.main_key}={word}?"
        raise ConfigError(f"{word!r} is not of the form key=value; {hint}")


def _read_choice(
    word: str, key: str, text: str, names: Sequence[str], words: Words
) -> None:
    """Add the choice of a group, which has files with these names."""
    try:
        if "=" not in word and not word.startswith("~"):
            raise ConfigError(f"{key} has no value: write {key}=value")
        overrides = parse_choice(word)
        chosen = [each.partition("=")[2] for each in overrides]
        for name in chosen if "=" in word else ():
            if name not in (*names, "null") and not name.startswith("["):
                rule = f"{key} must be {' or '.join(names)}"
                raise ConfigError(f"{rule}, got {name!r}")
    except ConfigError:
        words.lacks_group = True
        raise
    if len(overrides) > 1 and not words.flags.multirun:
        remedy = "add -m to run all of them"
        raise ConfigError(f"{key}={text} has several values: {remedy}")
    words.groups[key] = overrides


def _join(words: Sequence[str], schema: Schema, problems: list[str]) -> list[str]:
    """Return the words, without `hidden = 20` and --hidden 20, which get a problem."""
    rest, remaining = list[str](), [*words]
    while remaining:
        taken = [remaining.pop(0)]
        key, _, text = taken[0].lstrip("-").partition("=")
        while not text and remaining and re.fullmatch("=?[^=-]*", remaining[0]):
            is_joined = taken[-1].endswith("=") or remaining[0].startswith("=")
            if not is_joined and not taken[0].startswith("-"):
                break  # the next word does not belong to a key without a value
            taken.append(remaining.pop(0))
            text = taken[-1].removeprefix("=")
        is_spaced = len(taken) > 1 or taken[0].startswith("--")
        if key in schema.model_fields and is_spaced:
            rule = f"{' '.join(taken)!r} is not of the form key=value"
            problems.append(f"{rule}: write {key}={text or 'value'}")
        else:
            rest += taken
    return rest


def _parse_flags(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Split a command line into flags and all other words."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job"])
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--config-name", "-cn", default=PRIMARY)
    try:
        flags, rest = parser.parse_known_args(arguments)
    except ArgumentError as error:
        raise ConfigError(str(error)) from None
    if text := flags.config_dir:
        flags.config_dir = Path(text).expanduser().absolute()
        if "://" in text or not flags.config_dir.is_dir():
            raise ConfigError(f"--config-dir must be an existing folder, got {text!r}")
    if not re.fullmatch(r"[\w-]+(\.yaml)?", flags.config_name):
        rule = "must be the name of a file in conf/ or --config-dir, not a path"
        raise ConfigError(f"--config-name {rule}, got {flags.config_name!r}")
    return flags, rest
