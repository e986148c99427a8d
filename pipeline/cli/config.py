"""What a person may turn: type and bound of every number, and where files go.

A default stands in `conf/config.yaml`, a bound stands here, and neither stands anywhere
else. `commandline.py` reads what was typed, and `command.py` hands it to a stage.
"""

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.cli.paths import CONF_DIR, ROOT, outputs_dir
from pipeline.files import printable

DATASETS = ("mnist", "fashion_mnist", "digits")


def _dataset(value: str) -> str:
    """Accept a data set's name, or a folder, which becomes absolute."""
    if value in DATASETS:
        return value
    try:
        folder = Path(value).expanduser()
        if value and folder.is_dir():
            value = str(folder.resolve())
            if not re.search("[\ud800-\udfff]", value):
                return value
            raise ValueError("must be a folder whose name is UTF-8")
    except (OSError, RuntimeError):  # a name too long, a user who doesn't exist
        pass
    near = difflib.get_close_matches(value, DATASETS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    if "," in value:
        hint = " (to train on several, add -m)"
    raise ValueError(f"must be {', '.join(DATASETS)} or a folder that exists{hint}")


def _neurons(value: str) -> str:
    """Accept names of neurons; whether the network has them is seen later."""
    value = re.sub(" *, *", ",", value.lower()).replace("n", "N")
    name = "N[12][1-9][0-9]*"
    if not re.fullmatch(f"all|{name}(,{name})*", value):
        raise ValueError(
            "must be N11 (layer 1, neuron 1), N210 (layer 2, neuron 10: the digit 9), "
            "several with commas between, or all"
        )
    return value


def _weight(value: str) -> str:
    """Accept the place of a parameter; whether the network has it is seen later."""
    one, two = r"\[[0-9]+\]", r"\[[0-9]+, ?[0-9]+\]"
    if not re.fullmatch(rf"layer_[12](\.bias{one}|(\.kernel)?{two})", value):
        raise ValueError(
            "must be layer_1[300,5] (pixel 300 to neuron N16), layer_2[3,7] (neuron "
            "N14 to digit 7) or a bias, layer_1.bias[5]"
        )
    return value


def _server(value: str | None) -> str | None:
    """Accept a server's address; where none is given, that of the environment."""
    environment, told = os.environ.get("MLFLOW_TRACKING_URI", ""), ""
    if value is None and re.match("https?://", environment):
        value, told = environment, "(here MLFLOW_TRACKING_URI) "
    if value is None:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:  # of brackets that hold no address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{told}must be an address such as http://127.0.0.1:5000")
    if parts.username is not None:
        raise ValueError(
            f"{told}must hold no password, for runs record it: put it into "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return value


def _text(value: str) -> str:
    # Pydantic's own rule refuses names of files whose bytes are no text.
    if not value:
        raise ValueError("must not be empty")
    return value


Text = Annotated[str, AfterValidator(_text)]
Server = Annotated[str | None, AfterValidator(_server)]


class StageConfig(BaseModel):
    """Keys of conf/config.yaml that a stage reads, each with its type and bound."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class DataConfig(StageConfig):
    """What stage data reads from the configuration."""

    dataset: Annotated[str, AfterValidator(_dataset)]


class TrainConfig(DataConfig):
    """What stage train reads from the configuration."""

    split: Literal["exercise", "holdout"]
    hidden: int = Field(ge=1, le=10_000)
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=60_000)
    lr: float = Field(gt=0, le=100, allow_inf_nan=False)
    seed: int = Field(ge=0, lt=2**63)
    tracking: Literal["mlflow", "none"]
    server: Server
    resume: bool
    reproduce: Text | None

    def numbers(self) -> dict[str, Any]:
        """Return what shapes the network, without how it is trained and recorded."""
        return self.model_dump(include=set(HYPERPARAMETERS))


class ModelConfig(StageConfig):
    """What the stages that look at a trained network read from the configuration."""

    run: Text | None
    model: Text | None
    tracking: Literal["mlflow", "none"]
    server: Server


class EvaluateConfig(ModelConfig):
    """What stage evaluate reads from the configuration."""

    sets: list[Annotated[str, AfterValidator(_dataset)]] | None
    prepare: bool | None


class PredictConfig(ModelConfig):
    """What stage predict reads from the configuration."""

    images: int | Text


class InspectConfig(ModelConfig):
    """What stage inspect reads from the configuration."""

    neuron: Annotated[str, AfterValidator(_neurons)] | None
    image: int | Text | None
    weight: Annotated[str, AfterValidator(_weight)] | None
    arrays: bool
    against: Text | None


class SyncConfig(StageConfig):
    """What stage sync reads from the configuration."""

    server: Server


ConfigT = TypeVar("ConfigT", bound=StageConfig)
# Taken as typed: no number, list or interpolation is read from these.
TEXT_KEYS = {"dataset", "run", "reproduce", "model", "images"}
TEXT_KEYS |= {"neuron", "image", "weight", "against", "server"}
QUESTION_KEYS = ("neuron", "weight", "arrays", "against")  # to inspect, one at a time
LIST_KEYS = {"sets"}  # of text
HYPERPARAMETERS = ("hidden", "seed", "dataset", "split", "epochs", "batch_size", "lr")


@dataclass(frozen=True)
class RunContext:
    """Where a training writes, and what a sweep says of it."""

    folder: Path = field(default_factory=outputs_dir)
    tags: Mapping[str, str] = field(default_factory=dict)  # of its run
    name: str | None = None  # of its run; None for the usual one


class ConfigError(ValueError):
    """Values that break a rule, one line for each."""


def validate(keys: type[ConfigT], values: dict[str, Any]) -> ConfigT:
    """Check every value against the schema.

    Raises:
        Refused: With a line for each value that breaks a rule: key, value, rule and
            default.
    """
    lines = [
        explain_unknown_key(f"{key}=", keys) for key in values if key not in defaults()
    ]
    try:
        checked = keys.model_validate(values)
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            if problem["type"] == "missing":
                lines.append(f"{key} is missing: give it a value in conf/config.yaml")
                continue
            rule = problem["msg"].removeprefix("Value error, ")
            rule = rule.replace("Input should be", "must be")
            rule = rule.replace("String should have", "must have")
            lines.append(
                f"{key} {rule}, got {problem['input']!r} ({describe_default(key)})"
            )
    if values.get("run") and values.get("model"):
        lines.append("run and model name two networks: leave one out")
    if issubclass(keys, InspectConfig):
        asked = [key for key in QUESTION_KEYS if values.get(key)]
        if len(asked) > 1:
            lines.append(f"{', '.join(asked)} are different questions: ask one")
        if values.get("image") is not None and not values.get("neuron"):
            lines.append(
                "image is what a neuron reads: add neuron=N11, or leave it out"
            )
    if lines:
        raise ConfigError("\n".join(lines))
    return checked


def run_name(
    values: Mapping[str, Any], *, named: Iterable[str] = ("hidden", "seed")
) -> str:
    """Name a training by some keys, and by what else differs from the defaults."""
    usual, named = defaults(), {"hidden", "seed", *named}
    told = " ".join(
        f"{key}={values[key]}"
        for key in HYPERPARAMETERS
        if key in named or values[key] != usual[key]
    )
    return printable(told)


def source_hashes(stage: str) -> dict[str, str]:
    """Return the sha256 of each module that dvc.yaml names for a stage."""
    from omegaconf import OmegaConf

    chain = OmegaConf.to_container(OmegaConf.load(ROOT / "dvc.yaml"))
    assert isinstance(chain, dict)
    modules = [d for d in chain["stages"][stage]["deps"] if d.startswith("pipeline/")]
    return {m: hashlib.sha256((ROOT / m).read_bytes()).hexdigest() for m in modules}


def defaults() -> dict[str, Any]:
    """Return the values of conf/config.yaml."""
    return load_yaml(CONF_DIR / "config.yaml")


def load_yaml(path: Path) -> dict[str, Any]:
    """Return the values of a file in conf/.

    Raises:
        Refused: If it is no YAML, or names what isn't there.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return to_dict(OmegaConf.load(path))
    except (OmegaConfBaseException, YAMLError) as error:
        told = " ".join(str(error).split())
        raise ConfigError(f"{path} can't be read: {told}") from None


def as_yaml(values: BaseModel) -> str:
    """Return checked values as YAML, which conf/config.yaml could hold."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(values.model_dump()))


def to_dict(composed: object) -> dict[str, Any]:
    """Turn a configuration of OmegaConf's into a dictionary."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def describe_default(key: str) -> str:
    """Say what a key is where nothing else is typed."""
    value = defaults()[key]
    return (
        f"the default is {key}={value if isinstance(value, str) else json.dumps(value)}"
    )


def explain_unknown_key(argument: str, keys: type[StageConfig]) -> str:
    """Say why an argument names no key that the stage reads."""
    key, equals, _ = argument.partition("=")
    if not equals:
        return f"{argument!r} is not of the form key=value"
    bare = key.lstrip("+~-")
    if bare in keys.model_fields:
        return f"{argument!r}: write {bare}=value, with nothing before it"
    if bare in defaults():
        reads = ", ".join(keys.model_fields)
        return f"{bare} does nothing in this stage, which reads only {reads}"
    near = difflib.get_close_matches(bare, keys.model_fields, n=1)
    hint = f"did you mean {near[0]}?" if near else f"keys: {', '.join(defaults())}"
    return f"there is no key {bare!r}: {hint}"
