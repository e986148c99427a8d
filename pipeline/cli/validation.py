"""The settings of a stage: validation, and messages about single settings.

`schema.py` contains the types and bounds.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from pipeline import ConfigError
from pipeline.base.error_messages import broken_rule
from pipeline.base.text import alternatives, shortened
from pipeline.cli.default_values import defaults
from pipeline.cli.problems import WrongType, as_text, located
from pipeline.cli.schema import KEYS, SCHEMAS, TEXT_KEYS, ConfigT, StageConfig
from pipeline.records.urls import WholeMessage

# Texts that Hydra would read as numbers or Booleans without quotes, and texts that only
# look like numbers: Hydra reads 007 as text.
QUOTED = r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[+-]?\d+)?|true|false"
NUMBER = r"[+-]?[\d.,]+(e[+-]?\d+)?"


def validate(
    schema: type[ConfigT],
    values: Mapping[str, Any],
    paths: Mapping[str, Path] | None = None,
) -> ConfigT:
    """Check the type and the bounds of each value of a stage.

    Args:
        schema: The schema of the stage.
        values: A value for each key of the schema; other keys are ignored.
        paths: For messages, the file with the value of each key that was not given.

    Raises:
        WrongType: If a value is missing, or its type is wrong for its key.
        ConfigError: If values are invalid. Each problem states the key, the rule, the
            value, and where the value comes from.
    """
    try:
        return schema.model_validate(dict(values))
    except ValidationError as error:
        errors = _error_of_each_value(error)
        has_wrong_type = any(_is_wrong_type(each, schema) for each in errors)
        kind = WrongType if has_wrong_type else ConfigError
        raise kind(*(_explain(each, schema, paths or {}) for each in errors)) from None


def _error_of_each_value(error: ValidationError) -> list[Mapping[str, Any]]:
    """Return an error for each invalid value, which can be an item of a list.

    For a union, pydantic has an error for each type. Only the last one is returned: for
    int | Text, the error about the text.
    """
    errors = dict[tuple[object, ...], Mapping[str, Any]]()
    for each in error.errors():
        key, *path = each["loc"]  # ("sets", 2), or ("images", "int") in a union
        errors[(key, *(x for x in path if isinstance(x, int)))] = each
    return [*errors.values()]


def valid_values(schema: type[ConfigT], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the validated values of all keys with a valid value."""
    try:
        return dict(schema.model_validate(dict(values)))
    except ValidationError as error:
        invalid = {str(each["loc"][0]) for each in error.errors()}
    replaced = {key: value for key, value in defaults().items() if key in invalid}
    with suppress(ValidationError):  # a default in an edited file may be invalid
        config = schema.model_validate({**values, **replaced})
        return {key: value for key, value in config if key not in invalid}
    return {}


def _is_wrong_type(error: Mapping[str, Any], schema: type[ConfigT]) -> bool:
    """Return whether a value is missing or has a wrong type; bounds are not checked."""
    if error["type"] == "literal_error":
        allowed = get_args(schema.model_fields[error["loc"][0]].annotation)
        return type(error["input"]) not in map(type, allowed)
    return error["type"] == "missing" or str(error["type"]).endswith("_type")


def _explain(
    error: Mapping[str, Any], schema: type[StageConfig], paths: Mapping[str, Path]
) -> str:
    key = str(error["loc"][0])
    if error["type"] == "missing":
        return (  # the same for all keys
            "the primary config (--config-name) lacks the default values: "
            "add the line `defaults: [config, _self_]`"
        )
    rule = broken_rule(error)
    if isinstance(error.get("ctx", {}).get("error"), WholeMessage):
        return rule
    value = error["input"]
    message = f"{key} {rule}, got {shortened(repr(value))}"
    if key not in TEXT_KEYS and isinstance(value, str):
        message += _remedy(value, integer="integer" in rule)
    if value is None:  # written null in a file or a command
        message = f"{key} must have a value"
    if key in paths:
        return located(message, paths[key])
    return message if key in schema.required else f"{message} ({describe_default(key)})"


def _remedy(text: str, *, integer: bool) -> str:
    """Return a remedy if the text looks like a number or a Boolean; otherwise ""."""
    if re.fullmatch(QUOTED, text, re.IGNORECASE):
        return ", which is text: leave out the quotes"
    if re.fullmatch(NUMBER, text, re.IGNORECASE):
        decimal = "" if integer else " or, with a decimal point, 0.001"
        return f", which is text: write a number such as 20{decimal}"
    return ""


def describe_default(key: str) -> str:
    """Return a phrase for messages, such as "the default is hidden=20"."""
    return f"the default is {key}={as_text(defaults()[key])}"


def explain_unknown_key(
    key: str,
    schema: type[StageConfig],
    groups: Iterable[str] = (),
    path: Path | None = None,
) -> str:
    """Explain why a key is not a setting of the stage.

    Args:
        key: The given key.
        schema: The schema of the stage.
        groups: The config groups, whose names a user can take for settings.
        path: The file that contains the key, if any.
    """
    if key in groups:
        problem = (
            f"`{key}` is a group, not a setting: "
            f"select one of its files in a defaults list: - {key}: <file>"
        )
        return located(problem, path)
    # `image` is a setting of another stage, so a low limit would suggest it.
    similarity = 0.8 if key in KEYS else 0.6
    names = [*schema.model_fields, *groups]
    matches = difflib.get_close_matches(key, names, 1, similarity)
    if matches:
        return located(f"`{key}` is not a setting: did you mean {matches[0]}?", path)
    stages = [x.stage for x in SCHEMAS if key in x.model_fields]
    what = f"a setting of {alternatives(stages)}, not" if stages else "not a setting"
    settings = ", ".join(each for each in defaults() if each in schema.model_fields)
    return located(f"`{key}` is {what} of {schema.stage}: choose from {settings}", path)
