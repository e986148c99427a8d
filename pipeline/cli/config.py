"""The configuration of a stage: defaults, experiments, validation, the name of a run.

`arguments.py` reads the command line; `schema.py` contains the types and bounds.
"""

import difflib
import json
import os
import struct
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline import ConfigError
from pipeline.cli.schema import TRAINING_KEYS, ConfigT, StageConfig
from pipeline.files import printable
from pipeline.paths import conf_dir, installed, project_dir


def validate(
    schema: type[ConfigT], values: Mapping[str, Any], *, given: Iterable[str] = ()
) -> ConfigT:
    """Check a value for each key of conf/config.yaml against the schema of a stage.

    Raises:
        ConfigError: If values are invalid; see `check`.
    """
    config, problems = check(schema, values, given)
    if config is None or problems:
        raise ConfigError("\n".join(message for _, message in problems))
    return config


def from_python(schema: type[ConfigT], settings: Mapping[str, Any]) -> ConfigT:
    """Check settings that were passed as arguments; all others have their defaults.

    They can be paths, and numbers of NumPy or PyTorch.

    Raises:
        ConfigError: If settings are invalid; see `check`.
    """
    settings = {key: _builtin(value) for key, value in settings.items()}
    return validate(schema, {**defaults(), **settings}, given=settings)


def _builtin(value: Any) -> Any:  # noqa: ANN401
    """Convert a path to text, and a number of NumPy or PyTorch to one of Python."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) != 0:
        return value
    number = value.item()
    if isinstance(number, float) and value.dtype.itemsize == 4:
        # The shortest text of the same float32: 0.001, not 0.0010000000474974513.
        candidates = (float(f"{number:.{digits}g}") for digits in range(6, 10))
        packed = struct.pack("f", number)
        return next((x for x in candidates if struct.pack("f", x) == packed), number)
    return number


def check(
    schema: type[ConfigT], values: Mapping[str, Any], given: Iterable[str]
) -> tuple[ConfigT | None, list[tuple[str, str]]]:
    """Return the configuration (None if a value is invalid) and the problems.

    Each problem is a key, and a message with the rule, the value and the default.
    The keys that are `given`, not defaults, must have an effect on this stage.
    """
    config = None
    unknown = ({*values} - {*defaults()}) | ({*given} - {*schema.model_fields})
    unknown_keys = [key for key in values if key in unknown]
    problems = [(key, explain_unknown_key(key, schema)) for key in unknown_keys]
    ignored = schema.ignored(values)
    problems += [(key, f"{key} {ignored[key]}") for key in given if key in ignored]
    try:
        config = schema.model_validate(dict(values))
    except ValidationError as error:
        # The last error for each value: those of int | Text begin with one for int.
        errors = {(e["loc"][0], str(e["input"])): e for e in error.errors()}
        problems += [(str(e["loc"][0]), _explain(e)) for e in errors.values()]
    problems += [("", message) for message in schema.conflicts(values)]
    return config, problems


def _explain(error: Mapping[str, Any]) -> str:
    key = str(error["loc"][0])
    if error["type"] == "missing":
        return f"{key} has no value: set it in conf/config.yaml"
    rule = str(error["msg"]).removeprefix("Value error, ")
    rule = rule.replace("Input should be", "must be")
    rule = rule.replace("String should have at least 1 character", "must not be empty")
    if "MLFLOW_TRACKING_URI" in rule:  # then the value is not that of the key
        return rule
    return f"{key} {rule}, got {error['input']!r} ({describe_default(key)})"


def describe_default(key: str) -> str:
    """Return a phrase for messages, such as "the default is hidden=20"."""
    return f"the default is {key}={as_text(defaults()[key])}"


def as_text(value: object) -> str:
    """Return a value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value)


def explain_unknown_key(key: str, schema: type[StageConfig]) -> str:
    """Explain why a key is not an option of the stage."""
    similarity = 0.8 if key in defaults() else 0.6  # image is an option elsewhere
    matches = difflib.get_close_matches(key, schema.model_fields, 1, similarity)
    if matches:
        return f"`{key}` is not an option; did you mean {matches[0]}?"
    options = ", ".join(schema.model_fields)
    return f"`{key}` is not an option of this stage; options: {options}"


@cache  # reading YAML takes 5 ms
def defaults() -> Mapping[str, Any]:
    """Return a read-only mapping with the values of conf/config.yaml."""
    path = conf_dir() / "config.yaml"
    return MappingProxyType(parse_yaml(path.read_text("utf-8"), path))


@cache
def committed_defaults() -> Mapping[str, Any]:
    """Return the committed values of conf/config.yaml, which `dvc exp run` edits."""
    if installed():  # the working directory may be another project's
        return defaults()
    name = "conf/config.yaml"
    try:
        command = ["git", "show", f"HEAD:./{name}"]
        shown = subprocess.run(command, cwd=project_dir(), capture_output=True)
    except OSError:  # there is no git
        return defaults()
    text = shown.stdout.decode(errors="replace")  # empty without a commit
    return {**defaults(), **parse_yaml(text, Path(f"HEAD:{name}"))}


def parse_yaml(text: str, path: Path) -> dict[str, Any]:
    """Return the values of a file in conf/; see `settings_file.parse`."""
    from pipeline.cli import settings_file  # OmegaConf takes 0.04 s, which --help saves

    return settings_file.parse(text, path)


def experiments() -> dict[str, Path]:
    """Return the files in conf/experiment, by name."""
    return {path.stem: path for path in sorted(conf_dir().glob("experiment/*.yaml"))}


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
        params: Of its training run; {} if they are not recorded.
        dataset: The name of its data set.
        sha256: Of its weights.

    Returns:
        The name that `train` gave its run, or the start of the hash.
    """
    return run_name({**params, "dataset": dataset}) if params else sha256[:8]
