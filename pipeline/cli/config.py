"""The configuration of a stage: defaults, experiments, validation, the name of a run.

`arguments.py` reads the command line; `schema.py` contains the types and bounds.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline import ConfigError
from pipeline.cli.schema import HYPERPARAMETERS, ConfigT, StageConfig
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
    from pipeline.tracking import provenance

    if installed():  # the working directory may be another project's
        return defaults()
    text = provenance.committed_text("conf/config.yaml", folder=project_dir())
    return {**defaults(), **parse_yaml(text or "", Path("HEAD:conf/config.yaml"))}


def parse_yaml(text: str, path: Path) -> dict[str, Any]:
    """Return the values of a file in conf/; a ConfigError names it if it is invalid."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return to_dict(OmegaConf.create(text))
    except (OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"cannot read {path}: {_one_line(error)}") from None


def experiments() -> dict[str, Path]:
    """Return the files in conf/experiment, by name."""
    return {path.stem: path for path in sorted(conf_dir().glob("experiment/*.yaml"))}


def read_experiment(name: str) -> tuple[dict[str, str], bool]:
    """Return the values of an experiment as typed, and whether it is a sweep.

    Raises:
        ConfigError: If it does not exist, Hydra cannot compose it, or it contains other
            settings of Hydra.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if name not in experiments():
        names = " or ".join(experiments())
        raise ConfigError(f"experiment must be {names}, got {name!r}")
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = compose("hydra", [f"experiment={name}"], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"cannot read {conf_dir()}: {_one_line(error)}") from None
    hydra, values = config.hydra, to_dict(config)
    del values["hydra"]
    path = experiments()[name]
    written = parse_yaml(path.read_text("utf-8"), path).get("hydra", {})
    if other := {*written, *written.get("sweeper", {})} - {"mode", "sweeper", "params"}:
        rule = "contains settings of Hydra that have no effect: remove"
        raise ConfigError(f"experiment={name} {rule} {', '.join(sorted(other))}")
    saved = {key: v for key, v in values.items() if v != defaults().get(key)}
    saved |= hydra.sweeper.params or {}
    texts = {str(key): as_text(value) for key, value in saved.items()}
    return texts, str(hydra.mode).endswith("MULTIRUN")


def _one_line(error: Exception) -> str:
    """Return the message of an error of Hydra or YAML without line breaks."""
    return " ".join(str(error).split())


def to_dict(config: object) -> dict[str, Any]:
    """Convert an OmegaConf configuration; reject ${...}, which DVC does not resolve."""
    from omegaconf import OmegaConf

    container = OmegaConf.to_container(config)
    assert isinstance(container, dict)
    values = {str(key): value for key, value in container.items()}
    for key, value in values.items():
        if isinstance(value, str) and "${" in value:
            raise ConfigError(f"{key}: {value} refers to a key: write its value")
    return values


def as_yaml(config: BaseModel) -> str:
    """Return a validated configuration in the format of conf/config.yaml."""
    import yaml

    return str(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def run_name(
    values: Mapping[str, Any], *, named: Iterable[str] = ("hidden", "seed")
) -> str:
    """Name a training run by `named` keys and those that differ from the defaults."""
    default_values, named = committed_defaults(), {"hidden", "seed", *named}
    parts = (
        f"{key}={values[key]}"
        for key in HYPERPARAMETERS
        if key in named or values[key] != default_values[key]
    )
    return printable(" ".join(parts))


def network_name(metadata: Mapping[str, Any], *, dataset: str, sha256: str) -> str:
    """Name a network on a page, which is shared: the name contains no path.

    Args:
        metadata: Of its file.
        dataset: The name of its data set.
        sha256: Of its weights.

    Returns:
        The name that `train` gave its run, or the start of the hash if the settings of
        the training are not recorded.
    """
    if "seed" not in metadata:
        return sha256[:8]
    return run_name({**defaults(), **metadata, "dataset": dataset})
