"""Reads the words of a command line: flags, choices of groups, and values of keys."""

import os
import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Iterable, Sequence

from pipeline import ConfigError
from pipeline.cli.command import Flags
from pipeline.cli.config import describe_default, explain_unknown_key
from pipeline.cli.schema import KEYS, Schema
from pipeline.cli.source import describe_hydra
from pipeline.cli.values import Choices, parse_choices, parse_value, shorten
from pipeline.paths import user_path


def read_flags(arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """Split a command line into its flags and all other words.

    Raises:
        ConfigError: If a flag is invalid.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job"])
    parser.add_argument("--resolve", action="store_true")  # --cfg always resolves
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--config-name", "-cn", default=Flags.name)
    try:
        found, words = parser.parse_known_args(arguments)
    except ArgumentError as error:
        raise ConfigError(str(error)) from None
    folder, text = None, found.config_dir
    if text:
        folder = user_path(text, key="--config-dir").absolute()
        if "://" in text or not os.path.isdir(folder):
            raise ConfigError(f"--config-dir must be an existing folder, got {text!r}")
    if not re.fullmatch(r"[\w-]+(\.yaml)?", found.config_name):
        rule = "must be the name of a file in conf/ or --config-dir, not a path"
        raise ConfigError(f"--config-name {rule}, got {found.config_name!r}")
    return Flags(found.multirun, found.cfg == "job", found.config_name, folder), words


def join_spaced(words: Iterable[str], schema: Schema) -> list[list[str]]:
    """Return each word in a list, but `hidden = 20` or `hidden=5, 10` in one list."""
    joined: list[list[str]] = []
    for word in words:
        if joined and _lacks_value(joined[-1], word, schema):
            joined[-1].append(word)
        else:
            joined.append([word])
    return joined


def read_words(
    words: Sequence[str], schema: Schema, flags: Flags
) -> tuple[str, object]:
    """Return a key and its parsed value, or a group and its `Choices`.

    Args:
        words: One word; several are refused, see `join_spaced`.
        schema: The schema of the stage.
        flags: The flags of the command line.

    Raises:
        ConfigError: If it is neither.
    """
    word = " ".join(words)
    spaced = re.fullmatch(r"(?:--)?(\w+) ?[=:]? ?(.*)", word, re.DOTALL)
    is_spaced = len(words) > 1 or re.match(r"--|\w+:", word)
    if is_spaced and spaced and spaced[1] in schema.model_fields:
        rule = f"{word!r} is not of the form key=value"
        value = spaced[2].replace(", ", ",") or "value"
        raise ConfigError(f"{rule}: write {spaced[1]}={value}")
    if word.startswith("-"):
        remedy = "--help lists the settings"
        if re.match("--config-path|-cp", word):
            remedy = "--config-dir adds a folder of settings"
        raise ConfigError(f"unknown flag {word}: {remedy}")
    name, equals, text = word.partition("=")
    key = re.sub(r"^(\+\+|\+|~)", "", name)
    group, _, package = key.partition("@")
    if re.match("hydra([./]|$)", group) or re.match("hydra([.:]|$)", package):
        raise ConfigError(describe_hydra(key))
    names = flags.choices(group)
    if names is not None:
        return key, _read_choices(word, key, names, flags)
    if name.startswith("~") and key in KEYS:
        rule = f"~{key} would delete a setting, but every setting needs a value"
        raise ConfigError(f"{rule}: leave it out ({describe_default(key)})")
    if key in schema.model_fields and not equals:
        raise ConfigError(f"{key} has no value: write {key}=value")
    if not equals and name == key:
        hint = f"did you mean {schema.main_key}={shorten(word)}?"
        raise ConfigError(f"{shorten(word)!r} is not of the form key=value; {hint}")
    if key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(key, schema, groups=flags.groups))
    return key, parse_value(key, text, schema)


def _lacks_value(words: Sequence[str], word: str, schema: Schema) -> bool:
    """Return whether a word is a value, or an equals sign, of the key before it."""
    keys = schema.model_fields
    begun = re.fullmatch(r"(?:--)?(\w+) ?(=?|=.*,)", " ".join(words))
    if not begun or begun[1] not in keys or word in keys:
        return False
    return bool(re.fullmatch("=?[^=-]*", word))


def _read_choices(word: str, key: str, names: Sequence[str], flags: Flags) -> Choices:
    """Return the choices of a group, which has files with these names."""
    if "=" not in word and not word.startswith("~"):
        raise ConfigError(f"{key} has no value: write {key}=value")
    found = parse_choices(word)
    for choice in found:
        _, equals, name = choice.partition("=")
        if equals and name not in (*names, "null") and not name.startswith("["):
            rule = f"{key} must be {' or '.join(names)}"
            raise ConfigError(f"{rule}, got {name!r}")
    if len(found) > 1 and not flags.is_sweep:
        text = word.partition("=")[2]
        remedy = "add -m to run all of them"
        raise ConfigError(f"{key}={text} has several values: {remedy}")
    return found
