"""The configuration of a stage: files, defaults, validation and output folders.

It does not read the command line; `arguments.py` does, and `schema.py` has the bounds.
"""

import difflib
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from pipeline import UserError
from pipeline.cli.schema import HYPERPARAMETERS, ConfigT, StageConfig
from pipeline.files import printable

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ROOT = Path(__file__).resolve().parents[2]
CONF_DIR = ROOT / "conf"


def outputs_dir() -> Path:
    """Return the folder that all stages write to: outputs/, or `PIPELINE_OUTPUTS`."""
    return _outputs_of(ROOT)


def store_dir() -> Path:
    """Return the folder of MLflow's store, the checkpoints and the sweeps.

    It is `outputs_dir()`, unless DVC runs an experiment in a temporary copy of the
    project; then it is outputs/ of the project itself, so that these files remain.
    """
    return _outputs_of(Path(os.environ.get("DVC_ROOT") or ROOT))


def _outputs_of(project: Path) -> Path:
    outputs = os.environ.get("PIPELINE_OUTPUTS")
    return Path(outputs).expanduser().resolve() if outputs else project / "outputs"


class ConfigError(UserError):
    """Invalid values; the message has one line for each."""


def validate(schema: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
    """Check all values against the schema of a stage.

    Args:
        schema: The options of the stage.
        values: A value for each key of conf/config.yaml.

    Raises:
        ConfigError: If values are invalid. Each line names the key, the rule, the value
            and the default.
    """
    unknown = [key for key in values if key not in defaults()]
    lines = [explain_unknown_key(f"{key}=", schema) for key in unknown]
    try:
        config = schema.model_validate(dict(values))
    except ValidationError as error:
        lines += map(_explain, error.errors())
    lines += schema.conflicts(values)
    if lines:
        raise ConfigError("\n".join(lines))
    return config


def _explain(error: "ErrorDetails") -> str:
    key = str(error["loc"][0])
    if error["type"] == "missing":
        return f"{key} has no value: set it in conf/config.yaml"
    rule = error["msg"].removeprefix("Value error, ")
    rule = rule.replace("Input should be", "must be")
    rule = rule.replace("String should have", "must have")
    if "MLFLOW_TRACKING_URI" in rule:  # then the value is not that of the key
        return f"{key} {rule}"
    return f"{key} {rule}, got {error['input']!r} ({describe_default(key)})"


def describe_default(key: str) -> str:
    """Return a phrase for messages, such as "the default is hidden=20"."""
    return f"the default is {key}={as_text(defaults()[key])}"


def as_text(value: object) -> str:
    """Return a value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def explain_unknown_key(argument: str, schema: type[StageConfig]) -> str:
    """Explain why an argument does not set an option of the stage."""
    key, equals, _ = argument.partition("=")
    if not equals:
        return f"{argument!r} is not of the form key=value"
    name = key.lstrip("+~-")
    if name in schema.model_fields:
        return f"{argument!r} must be written {name}=value, without a prefix"
    matches = difflib.get_close_matches(name, schema.model_fields, n=1)
    if matches and name not in defaults():
        return f"`{name}` is not an option; did you mean {matches[0]}?"
    options = ", ".join(schema.model_fields)
    return f"`{name}` is not an option of this stage; options: {options}"


@cache  # reading YAML takes 5 ms, and a sweep needs the defaults for each job
def defaults() -> Mapping[str, Any]:
    """Return a read-only mapping with the values of conf/config.yaml."""
    return MappingProxyType(load_yaml(CONF_DIR / "config.yaml"))


def load_yaml(path: Path) -> dict[str, Any]:
    """Return the values of a file in conf/.

    Raises:
        ConfigError: If it is not valid YAML, or refers to a missing key.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return to_dict(OmegaConf.load(path))
    except (OmegaConfBaseException, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot read {path}: {reason}") from None


def to_dict(config: object) -> dict[str, Any]:
    """Convert a configuration of OmegaConf to a dictionary, interpolations resolved."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def as_yaml(config: BaseModel) -> str:
    """Return a validated configuration in the format of conf/config.yaml."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(config.model_dump()))


def run_name(
    values: Mapping[str, Any], *, named: Iterable[str] = ("hidden", "seed")
) -> str:
    """Name a training run by `named` keys and hyperparameters that are not defaults."""
    default_values, named = defaults(), {"hidden", "seed", *named}
    parts = (
        f"{key}={values[key]}"
        for key in HYPERPARAMETERS
        if key in named or values[key] != default_values[key]
    )
    return printable(" ".join(parts))
