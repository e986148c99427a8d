"""The configuration of a stage: defaults, validation, messages, the name of a run.

`schema.py` contains the types and bounds.
"""

import difflib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline import ConfigError
from pipeline.cli.schema import KEYS, TRAINING_KEYS, ConfigT, StageConfig
from pipeline.paths import conf_dir, displayed, installed, project_dir
from pipeline.text import printable


class WrongType(ConfigError):
    """A value whose type is wrong for its key, such as hidden=abc."""


def validate(
    schema: type[ConfigT],
    values: Mapping[str, Any],
    files: Mapping[str, Path] | None = None,
    choices: Mapping[str, str] | None = None,
) -> ConfigT:
    """Check the type and the bounds of each value of a stage.

    Args:
        schema: The schema of the stage.
        values: A value for each of its keys; others are ignored.
        files: The file with the value of each key that is not given, for messages.
        choices: Those of groups.

    Raises:
        WrongType: If the type of a value is wrong for its key.
        ConfigError: If values are invalid. Each line of the message states the key, the
            rule, the value, and where the value comes from.
    """
    try:
        config = schema.model_validate(dict(values))
    except ValidationError as error:
        # The last error for each value: for int | Text, the first error is about int.
        errors = {(e["loc"][0], str(e["input"])): e for e in error.errors()}
        message = "\n".join(_explain(each, files or {}) for each in errors.values())
        if any(each["type"].endswith("_type") for each in errors.values()):
            raise WrongType(message) from None
        raise ConfigError(message) from None
    config._choices = dict(choices or {})
    return config


def _explain(error: Mapping[str, Any], files: Mapping[str, Path]) -> str:
    key = str(error["loc"][0])
    if error["type"] == "missing":
        rule = "set it in conf/config.yaml, and list config in defaults:"
        return f"{key} has no value: {rule}"
    rule = str(error["msg"]).removeprefix("Value error, ")
    rule = rule.replace("Input should be", "must be")
    rule = rule.replace("String should have at least 1 character", "must not be empty")
    if "MLFLOW_TRACKING_URI" in rule:  # the variable, not the key, has the value
        return rule
    value = error["input"]
    message = f"{key} {rule}, got {value!r}"
    if value is None:  # in a file or a command, it is null
        message = f"{key} must have a value"
    if key in files:
        return located(message, files[key])
    return f"{message} ({describe_default(key)})"


def describe_default(key: str) -> str:
    """Return a phrase for messages, such as "the default is hidden=20"."""
    return f"the default is {key}={as_text(defaults()[key])}"


def as_text(value: object) -> str:
    """Return a value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def explain_unknown_key(
    key: str,
    schema: type[StageConfig],
    path: Path | None = None,
    *,
    groups: Iterable[str] = (),
) -> str:
    """Explain why a key is not a setting of the stage.

    Args:
        key: What was given.
        schema: The schema of the stage.
        path: The file with the key, if it is in one.
        groups: What else could be meant.
    """
    if path and key in path.parent.parts:  # Hydra's default for the files of a group
        line = "# @package _global_"
        return located(f"`{key}` is not a setting: add the line {line!r}", path)
    similarity = 0.8 if key in KEYS else 0.6  # image is a setting elsewhere
    names = [*schema.model_fields, *groups]
    matches = difflib.get_close_matches(key, names, 1, similarity)
    if matches:
        return located(f"`{key}` is not a setting; did you mean {matches[0]}?", path)
    settings = ", ".join(schema.model_fields)
    rule = f"`{key}` is not a setting of this stage; its settings: {settings}"
    return located(rule, path)


def located(message: str, path: Path | None) -> str:
    """Return the message of a problem, with the file that it is in, if any."""
    return f"{displayed(path)}: {message}" if path else message


def refuse(problems: Iterable[str]) -> None:
    """Raise a ConfigError with a line for each problem, if there is one."""
    if lines := [*dict.fromkeys(problems)]:
        raise ConfigError("\n".join(lines))


def defaults() -> dict[str, Any]:
    """Return the values of conf/config.yaml.

    Raises:
        ConfigError: If it cannot be read, or lacks settings.
    """
    from pipeline.cli.source import read  # Hydra takes 0.1 s, which --help saves

    path = conf_dir() / "config.yaml"
    values, _ = read(path)
    rule = "lacks the line `{}:`, but every setting needs a default"
    refuse(located(rule.format(key), path) for key in KEYS if key not in values)
    return values


@cache  # git takes 5 ms, and each training run of a sweep has a name
def committed_defaults() -> Mapping[str, Any]:
    """Return the committed values of conf/config.yaml, which `dvc exp run` edits."""
    from pipeline.cli.source import parse

    if installed():  # the working directory may be another project's
        return defaults()
    name = "conf/config.yaml"
    try:
        command = ["git", "show", f"HEAD:./{name}"]
        shown = subprocess.run(command, cwd=project_dir(), capture_output=True)
    except OSError:  # there is no git
        return defaults()
    text = shown.stdout.decode(errors="replace")  # empty without a commit
    try:
        return {**defaults(), **parse(text, Path(f"HEAD:{name}"))}
    except ConfigError:  # a broken file was committed, and names do not need it
        return defaults()


def params_of_dvc() -> dict[str, Any]:
    """Return the data set and the hyperparameters of conf/config.yaml, by key.

    Without DVC, which runs a stage with the network of these values, there are none.
    """
    if not os.environ.get("DVC_STAGE"):
        return {}
    values = defaults()
    return {key: values[key] for key in TRAINING_KEYS}


def as_yaml(config: BaseModel) -> str:
    """Return a validated configuration in the format of conf/config.yaml."""
    import yaml  # takes 0.01 s, which --help saves

    return str(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def run_name(
    values: Mapping[str, Any], *, named: Iterable[str] = ("hidden", "seed")
) -> str:
    """Name a training run by `named` keys and those that differ from the defaults."""
    default_values, named = committed_defaults(), {"hidden", "seed", *named}
    parts = (
        f"{key}={values[key]}"
        for key in TRAINING_KEYS
        if key in named or values[key] != default_values[key]
    )
    return printable(" ".join(parts))


def network_name(params: Mapping[str, Any], *, dataset: str, sha256: str) -> str:
    """Name a network on a page, which is shared: the name contains no path.

    Args:
        params: The params of its training run; {} if they are not recorded.
        dataset: The name of its data set.
        sha256: The sha256 of its weights.

    Returns:
        The name that `train` gave its run, or the start of the hash.
    """
    return run_name({**params, "dataset": dataset}) if params else sha256[:8]
