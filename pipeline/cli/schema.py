"""The settings of each stage as pydantic models, with their types and bounds.

The defaults are in `conf/config.yaml`; `config.validate` applies these models.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipeline.core.hyperparameters import Hyperparameters
from pipeline.files import printable
from pipeline.urls import server_url

# Settings that determine the weights of a training run, in the order in its name. Add
# a new hyperparameter at the end.
FIRST_KEYS = ("hidden", "seed", "dataset")
TRAINING_KEYS = tuple(dict.fromkeys([*FIRST_KEYS, *Hyperparameters.model_fields]))
QUESTION_KEYS = ("neuron", "weight", "arrays", "against")  # at most one of them


def _dataset(value: str) -> str:
    from pipeline.datasets import name_or_folder  # NumPy takes 0.1 s: not for --help

    return name_or_folder(value)


DatasetName = Annotated[str, AfterValidator(_dataset)]
Server = Annotated[str | None, AfterValidator(server_url)]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[Text, AfterValidator(printable)]


def contains(annotation: object, kind: type) -> bool:
    """Return whether a type is str or list, or a union with it."""
    is_kind = kind in (annotation, get_origin(annotation))
    return is_kind or any(contains(part, kind) for part in get_args(annotation))


class StageConfig(BaseModel):
    """The settings of a stage: a subset of the keys of conf/config.yaml."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    main_key: ClassVar[str] = "server"  # suggested for a value without a key
    no_sweep: ClassVar[Mapping[str, str]] = {}  # keys that a sweep refuses, and why
    only_sweeps: ClassVar[Iterable[str]] = ()  # keys that only a sweep uses
    varied: ClassVar[Iterable[str]] = ()  # keys that -m can vary
    networks: ClassVar[Iterable[str]] = ()  # keys that select networks

    @classmethod
    def conflicts(cls, values: Mapping[str, Any]) -> list[str]:
        """Return a message for each conflict, even if single values are invalid."""
        messages = []
        if len(given := [key for key in cls.networks if values.get(key)]) > 1:
            names = " and ".join(given[:2])
            messages.append(f"{names} both select a network: leave out one of them")
        if values.get("executor") == "ray" and values.get("workers"):
            rule = "has no effect with executor=ray, which uses all cores of the nodes"
            messages.append(f"workers {rule}: leave it out")
        return messages

    @classmethod
    def ignored(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the settings that have no effect with these values, and why."""
        reasons = dict.fromkeys(cls.only_sweeps, "is a setting of sweeps: add -m")
        if values.get("tracking") == "none":
            keys = ("server", "run_name", "experiment_name")
            reasons |= dict.fromkeys(keys, "has no effect with tracking=none")
        return reasons


class DataConfig(StageConfig):
    """Settings of the data stage."""

    main_key = "dataset"
    dataset: DatasetName


class RecordedConfig(StageConfig):
    """Settings of all stages that record a run."""

    tracking: Literal["mlflow", "none"]
    server: Server

    @property
    def is_tracked(self) -> bool:
        """Whether MLflow records a run."""
        return self.tracking != "none"


class TrainConfig(DataConfig, RecordedConfig, Hyperparameters):
    """Settings of the train stage."""

    varied = TRAINING_KEYS
    no_sweep = {
        "reproduce": "takes one run: leave out -m or experiment",
        "resume": "has no effect in a sweep: use again=true to train again",
    }
    only_sweeps = ("workers", "executor", "again", "trials")
    run_name: Name | None
    experiment_name: Name | None
    resume: bool
    reproduce: Text | None
    workers: int | None = Field(ge=1)
    executor: Literal["local", "ray"]
    again: bool
    trials: int | None = Field(ge=1)

    @classmethod
    def ignored(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """Refuse hyperparameters with reproduce, which has those of a recorded run."""
        reason = "cannot be combined with reproduce, which uses the value of the run"
        reproduced = TRAINING_KEYS if values.get("reproduce") else ()
        return super().ignored(values) | dict.fromkeys(reproduced, reason)

    def hyperparameters(self) -> Hyperparameters:
        """Return the settings that, together with the data, determine the weights."""
        return Hyperparameters(**dict(self))


class ModelConfig(StageConfig):
    """Settings of all stages that load a trained network."""

    networks: ClassVar[Iterable[str]] = ("run", "model")
    run: Text | None
    model: Text | None


class EvaluateConfig(ModelConfig, RecordedConfig):
    """Settings of the evaluate stage."""

    main_key = "sets"
    sets: list[DatasetName] | None
    prepare: bool | None


class PredictConfig(ModelConfig):
    """Settings of the predict stage."""

    main_key = "images"
    images: int | Text


class InspectConfig(ModelConfig, RecordedConfig):
    """Settings of the inspect stage."""

    main_key = "neuron"
    neuron: Text | None
    image: int | Text | None
    integers: bool
    weight: Text | None
    arrays: bool
    against: Text | None

    @classmethod
    def conflicts(cls, values: Mapping[str, Any]) -> list[str]:
        """Refuse two networks, two questions, and settings of neuron without it."""
        messages = super().conflicts(values)
        questions = [key for key in QUESTION_KEYS if values.get(key)]
        if len(questions) > 1:
            messages.append(f"{', '.join(questions)} cannot be combined: use only one")
        if values.get("image") is not None and not values.get("neuron"):
            messages.append("image needs a neuron: add neuron=N11, or leave it out")
        if values.get("integers") and not values.get("neuron"):
            messages.append("integers needs a neuron: add neuron=N11, or leave it out")
        return messages

    @classmethod
    def ignored(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """Refuse the settings of recording with a question, which records nothing."""
        for key in filter(values.get, QUESTION_KEYS):
            reason = f"has no effect with {key}, which records nothing"
            return dict.fromkeys(("tracking", "server"), reason)
        return super().ignored(values)


class ExportConfig(ModelConfig, RecordedConfig):
    """Settings of the export stage."""

    main_key = "bits"
    varied = ("bits",)
    only_sweeps = ("workers",)
    networks = ("run", "model", "sweep")
    bits: Literal[8, 4, 2, 1, "all"]
    finetune: int | None = Field(ge=0, le=1000)
    sweep: Text | None
    workers: int | None = Field(ge=1)

    @classmethod
    def ignored(cls, values: Mapping[str, Any]) -> dict[str, str]:
        """Accept the settings of sweeps for several exports without -m, too."""
        reasons = super().ignored(values)
        if values.get("bits") == "all" or values.get("sweep"):
            reasons = {k: x for k, x in reasons.items() if k not in cls.only_sweeps}
        return reasons


class SyncConfig(StageConfig):
    """Settings of the sync stage."""

    server: Server
    run: Text | None


class UiConfig(StageConfig):
    """Settings of the ui stage."""

    main_key = "run"
    run: Text | None
    browser: bool


ConfigT = TypeVar("ConfigT", bound=StageConfig)
Schema = type[StageConfig]


def text_keys(schema: Schema) -> set[str]:
    """Return the keys of a schema and its subclasses with text or lists of text."""
    keys = {
        key
        for key, field in schema.model_fields.items()
        if contains(field.annotation, str) or contains(field.annotation, list)
    }
    return keys.union(*map(text_keys, schema.__subclasses__()))


TEXT_KEYS = frozenset(text_keys(StageConfig))  # Hydra does not parse their values
