"""Reads the words of a command line: choices of groups, and values of keys."""

import re
from collections.abc import Iterable, Sequence

from pipeline import ConfigError
from pipeline.cli.command import Flags
from pipeline.cli.config import describe_default, explain_unknown_key
from pipeline.cli.schema import KEYS, Schema
from pipeline.cli.source import describe_hydra
from pipeline.cli.values import parse_choices, parse_value, shorten


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
        if not equals and not name.startswith("~"):
            raise ConfigError(f"{key} has no value: write {key}=value")
        instead = None if flags.is_sweep else "add -m to run all of them"
        return key, parse_choices(word, names, remedy=instead)
    if name.startswith("~") and key in KEYS:
        rule = f"~{key} would delete a setting, but every setting needs a value"
        raise ConfigError(f"{rule}: leave it out ({describe_default(key)})")
    if key in schema.model_fields and not equals:
        raise ConfigError(f"{key} has no value: write {key}=value")
    if not equals and name == key:
        is_size = word.isdigit() and "hidden" in schema.model_fields
        meant = "hidden" if is_size else schema.main_key
        hint = f"did you mean {meant}={shorten(word)}?"
        raise ConfigError(f"{shorten(word)!r} is not of the form key=value; {hint}")
    if key not in schema.model_fields:
        raise ConfigError(explain_unknown_key(key, schema, groups=flags.groups))
    return key, parse_value(key, text, schema)


def _lacks_value(words: Sequence[str], word: str, schema: Schema) -> bool:
    """Return whether a word is a value, or an equals sign, of the key before it."""
    keys = schema.model_fields
    begun = re.fullmatch(r"(?:--?)?(\w+) ?(=?|=.*,)", " ".join(words))
    if not begun or begun[1] not in keys or word in keys:
        return False
    return bool(re.fullmatch("=?[^=-]*", word))
