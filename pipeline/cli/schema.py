"""The options of every stage as pydantic models, with their types and bounds.

The defaults are in `conf/config.yaml`; `config.validate` applies these models.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipeline.paths import store_dir

# Options that determine the weights of a training run, in the order of its name.
HYPERPARAMETERS = ("hidden", "seed", "dataset", "split", "epochs", "batch_size", "lr")
# Options whose text is taken as typed: it is not parsed as a number, list or ${...}.
TEXT_KEYS = {"dataset", "run", "reproduce", "model", "images"}
TEXT_KEYS |= {"neuron", "image", "weight", "against", "server"}
LIST_KEYS = {"sets"}  # lists of text
QUESTION_KEYS = ("neuron", "weight", "arrays", "against")  # at most one of them


def _dataset(value: str) -> str:
    """Accept the name of a data set, or a folder, which becomes absolute."""
    from pipeline.datasets import REGISTRY  # NumPy takes 0.1 s, which --help saves

    if value in REGISTRY:
        return value
    try:
        folder = Path(value).expanduser()
        if value and folder.is_dir():
            value = str(folder.resolve())
            if not re.search("[\ud800-\udfff]", value):
                return value
            raise ValueError("must be a folder whose name is valid UTF-8")
    except (OSError, RuntimeError):  # the name is too long, or its ~user does not exist
        pass
    matches = difflib.get_close_matches(value, REGISTRY, n=1)
    hint = f" (did you mean {matches[0]}?)" if matches else ""
    if "," in value:
        hint = " (add -m to train on several)"
    raise ValueError(f"must be {', '.join(REGISTRY)} or an existing folder{hint}")


def _neurons(value: str) -> str:
    """Accept neuron names; whether the network has these neurons is checked later."""
    value = re.sub(" *, *", ",", value.lower()).replace("n", "N")
    name = "N[12][1-9][0-9]*"
    if not re.fullmatch(f"all|{name}(,{name})*", value):
        raise ValueError(
            "must be N11 (layer 1, neuron 1), N210 (layer 2, neuron 10: the digit 9), "
            "several separated by commas, or all"
        )
    return value


def _weight(value: str) -> str:
    """Accept the index of a parameter; whether it is in range is checked later."""
    vector, matrix = r"\[[0-9]+\]", r"\[[0-9]+, ?[0-9]+\]"
    if not re.fullmatch(rf"layer_[12](\.bias{vector}|(\.kernel)?{matrix})", value):
        raise ValueError(
            "must be layer_1[300,5] (pixel 300 to neuron N16), layer_2[3,7] (neuron "
            "N14 to digit 7) or a bias, layer_1.bias[5]"
        )
    return value


def _server(value: str | None) -> str | None:
    """Accept the address of a server; the default is MLFLOW_TRACKING_URI.

    This variable may also be the address of the project's own store, as for MLflow.
    """
    source = ""
    if value is None:
        value = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not value or _is_store(value):
            return None
        source = "MLFLOW_TRACKING_URI "  # without its value: it may have a password
    try:
        parts = urlsplit(value)
    except ValueError:  # brackets without an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        rule = "must be an address such as http://127.0.0.1:5000"
        if source:
            rule += (
                f" or that of the project's store, sqlite:///{store_dir()}/mlflow.db"
            )
        raise ValueError(source + rule)
    if parts.username is not None:
        raise ValueError(
            f"{source}must not contain a password, because runs record the address: "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    return value


def _is_store(address: str) -> bool:
    """Whether an address is that of the project's own store."""
    path = re.sub(r"^sqlite(\+pysqlite)?:///", "", address)
    return Path(unquote(path)).absolute() == store_dir() / "mlflow.db"


def _not_empty(value: str) -> str:
    # Pydantic's min_length refuses file names that are not valid UTF-8.
    if not value:
        raise ValueError("must not be empty")
    return value


DatasetName = Annotated[str, AfterValidator(_dataset)]
Text = Annotated[str, AfterValidator(_not_empty)]
Server = Annotated[str | None, AfterValidator(_server)]


class StageConfig(BaseModel):
    """The options of a stage: a subset of the keys of conf/config.yaml."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    main_key: ClassVar[str] = "server"  # suggested for a value without a key

    @classmethod
    def conflicts(cls, values: Mapping[str, Any]) -> list[str]:
        """Return which values cannot be combined, one message each.

        It is no validator of the model, because pydantic skips these if a value is
        invalid, and a command reports all problems at once.
        """
        return []

    @classmethod
    def ignored(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the options that have no effect with these values, and why."""
        reason = "has no effect with tracking=none"
        return {"server": reason} if values.get("tracking") == "none" else {}


class DataConfig(StageConfig):
    """Options of the stage data."""

    main_key = "dataset"
    dataset: DatasetName


class RecordedConfig(StageConfig):
    """Options of all stages that record a run."""

    tracking: Literal["mlflow", "none"]
    server: Server


class TrainConfig(DataConfig, RecordedConfig):
    """Options of the stage train."""

    split: Literal["exercise", "holdout"]
    hidden: int = Field(ge=1, le=10_000)
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=60_000)
    lr: float = Field(gt=0, le=100, allow_inf_nan=False)
    seed: int = Field(ge=0, lt=2**63)
    resume: bool
    reproduce: Text | None

    @classmethod
    def ignored(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """Refuse hyperparameters together with those of a recorded run."""
        reason = "cannot be combined with reproduce, which takes it from the run"
        reproduced = HYPERPARAMETERS if values.get("reproduce") else ()
        return super().ignored(values) | dict.fromkeys(reproduced, reason)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the options that determine the weights."""
        return self.model_dump(include=set(HYPERPARAMETERS))


class ModelConfig(StageConfig):
    """Options of all stages that load a trained network."""

    run: Text | None
    model: Text | None

    @classmethod
    def conflicts(cls, values: Mapping[str, Any]) -> list[str]:
        """Refuse two networks."""
        if values.get("run") and values.get("model"):
            return ["run and model both select a network: leave out one of them"]
        return []


class EvaluateConfig(ModelConfig, RecordedConfig):
    """Options of the stage evaluate."""

    main_key = "sets"
    sets: list[DatasetName] | None
    prepare: bool | None


class PredictConfig(ModelConfig):
    """Options of the stage predict."""

    main_key = "images"
    images: int | Text


class InspectConfig(ModelConfig, RecordedConfig):
    """Options of the stage inspect."""

    main_key = "neuron"
    neuron: Annotated[str, AfterValidator(_neurons)] | None
    image: int | Text | None
    weight: Annotated[str, AfterValidator(_weight)] | None
    arrays: bool
    against: Text | None

    @classmethod
    def conflicts(cls, values: Mapping[str, Any]) -> list[str]:
        """Refuse two networks, two questions, and an image without a question."""
        messages = super().conflicts(values)
        questions = [key for key in QUESTION_KEYS if values.get(key)]
        if len(questions) > 1:
            joined = ", ".join(questions)
            messages.append(f"{joined} cannot be combined: use one of them")
        if values.get("image") is not None and not values.get("neuron"):
            rule = "image is an input of neurons: add neuron=N11, or leave it out"
            messages.append(rule)
        return messages

    @classmethod
    def ignored(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """Refuse the options of recording with a question, which records nothing."""
        for key in QUESTION_KEYS:
            if values.get(key):
                reason = f"has no effect with {key}, which records nothing"
                return dict.fromkeys(("tracking", "server"), reason)
        return super().ignored(values)


class SyncConfig(StageConfig):
    """Options of the stage sync."""

    server: Server


ConfigT = TypeVar("ConfigT", bound=StageConfig)
