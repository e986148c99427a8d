"""The settings of each stage as pydantic models, with their types and bounds.

The defaults are in `conf/config.yaml`. `validate` in `validation.py` applies these
models. Rules about several settings are in `rules.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pipeline.base.paths import data_dir
from pipeline.base.text import printable
from pipeline.cli.keywords import ExecutorName
from pipeline.core.hyperparameters import HyperparameterFields, Hyperparameters, Seed
from pipeline.records.dataset_names import name_or_folder
from pipeline.records.params import TRAINING_KEYS
from pipeline.records.student_ids import course_code, student_id
from pipeline.records.urls import experiment_variable, server_url

# The MLflow experiment without experiment_name and MLFLOW_EXPERIMENT_NAME.
UNNAMED_EXPERIMENT = "digits"


def _dataset(value: str) -> str:
    """Return the name of a data set, or the absolute path of a folder to import."""
    return name_or_folder(value, folder=data_dir())


def _bit_width(value: object) -> object:
    if type(value) not in (int, str):  # `Literal` would accept true as 1, and 8.0
        raise ValueError("must be 8, 4, 2, 1 or all")
    return value


DatasetName = Annotated[str, AfterValidator(_dataset)]
Server = Annotated[str | None, AfterValidator(server_url)]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[Text, AfterValidator(printable)]


class OnlyMultirun(str):
    """Marks a setting that only a multirun uses: a command with -m or a saved sweep."""


class RejectedByMultirun(str):
    """Marks a setting that a multirun rejects, and says why."""


def contains(annotation: object, kind: type) -> bool:
    """Return whether a type is `kind`, or a union that contains `kind`."""
    is_kind = kind in (annotation, get_origin(annotation))
    return is_kind or any(contains(part, kind) for part in get_args(annotation))


class StageConfig(BaseModel):
    """The settings of a stage: a subset of the keys of conf/config.yaml."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    stage: ClassVar[str]  # the name, which is also the name of the module
    main_key: ClassVar[str]  # suggested for a value without a key
    can_vary: ClassVar[Sequence[str]] = ()  # the keys that a sweep, -m, can vary
    # Whether a multirun is recorded as a sweep, which the function sweep() and files in
    # conf/experiment/ can start too. If a job fails, the other jobs run.
    has_recorded_sweeps: ClassVar[bool] = False
    required: ClassVar[Mapping[str, str]] = {}  # an example of each key with no default

    @classmethod
    def marked(cls, mark: type[str]) -> dict[str, str]:
        """Return the marks of a kind, such as `OnlyMultirun`, by key."""
        fields = cls.model_fields.items()
        return {k: x for k, f in fields for x in f.metadata if isinstance(x, mark)}

    @classmethod
    def has_several_results(cls, values: Mapping[str, Any]) -> bool:
        """Return whether the keys of `OnlyMultirun` also have an effect without -m."""
        return False


class DataConfig(StageConfig):
    """Settings of the data stage."""

    stage = "data"
    main_key = "dataset"
    dataset: DatasetName


class RecordedConfig(StageConfig):
    """Settings of all stages that record a run."""

    tracking: Literal["mlflow", "none"]
    server: Server

    @property
    def recorded_in(self) -> str | None:
        """The MLflow experiment of new runs; None with tracking=none.

        Only `tracker.py` tests whether it is None: see `Tracker.is_recorded`.
        """
        return None if self.tracking == "none" else self._experiment_name()

    def _experiment_name(self) -> str:
        return experiment_variable() or UNNAMED_EXPERIMENT


class CommonTrainConfig(RecordedConfig):
    """Settings of the train stage that all training runs of a sweep have in common."""

    run_name: Name | None
    experiment_name: Name | None
    workers: Annotated[int | None, Field(ge=1), OnlyMultirun()]
    executor: Annotated[ExecutorName, OnlyMultirun()]
    again: Annotated[bool, OnlyMultirun()]
    trials: Annotated[int | None, Field(ge=1), OnlyMultirun()]

    def _experiment_name(self) -> str:
        return self.experiment_name or super()._experiment_name()


class TrainConfig(CommonTrainConfig, DataConfig, HyperparameterFields):
    """Settings of the train stage."""

    stage = "train"
    can_vary = TRAINING_KEYS
    has_recorded_sweeps = True
    seed: Seed
    resume: Annotated[
        bool,
        RejectedByMultirun("has no effect in a sweep: use again=true to train again"),
    ]
    reproduce: Annotated[
        Text | None,
        RejectedByMultirun("cannot be used in a sweep: leave out -m or experiment"),
    ]

    @property
    def hyperparameters(self) -> Hyperparameters:
        """The settings that, together with the data, determine the weights."""
        return Hyperparameters(**dict(self))


class NetworkConfig(StageConfig):
    """Settings of all stages that load a trained network."""

    run: Text | None
    model: Text | None


class EvaluateConfig(NetworkConfig, RecordedConfig):
    """Settings of the evaluate stage."""

    stage = "evaluate"
    main_key = "sets"
    sets: list[DatasetName] | None
    prepare: bool | None


class PredictConfig(NetworkConfig):
    """Settings of the predict stage."""

    stage = "predict"
    main_key = "images"
    images: int | Text


class InspectConfig(NetworkConfig, RecordedConfig):
    """Settings of the inspect stage."""

    stage = "inspect"
    main_key = "neuron"
    neuron: Text | None
    image: int | Text | None
    integers: bool
    weight: Text | None
    arrays: bool
    against: Text | None


class ExportConfig(NetworkConfig, RecordedConfig):
    """Settings of the export stage."""

    stage = "export"
    main_key = "bits"
    can_vary = ("bits",)
    bits: Annotated[Literal[8, 4, 2, 1, "all"], BeforeValidator(_bit_width)]
    finetune: int | None = Field(ge=0, le=1000)
    sweep: Text | None
    workers: Annotated[int | None, Field(ge=1), OnlyMultirun()]

    @classmethod
    def has_several_results(cls, values: Mapping[str, Any]) -> bool:
        """Return whether all bit widths, or all networks of a sweep, are exported."""
        return values["bits"] == "all" or bool(values["sweep"])


class CourseConfig(DataConfig, HyperparameterFields):
    """Settings of the stages for homework; the student's ID determines the seed."""

    course: Annotated[str, AfterValidator(course_code)] | None

    def assigned(self) -> dict[str, Any]:
        """Return the hyperparameters of all students, without the seed."""
        return {key: getattr(self, key) for key in HyperparameterFields.model_fields}


class HomeworkConfig(CourseConfig):
    """Settings of the homework stage."""

    stage = "homework"
    main_key = "student"
    required = {"student": "student=<id>", "course": "course=<code>"}
    student: Annotated[str, AfterValidator(student_id)] | None
    check: bool


class GradeConfig(CourseConfig):
    """Settings of the grade stage."""

    stage = "grade"
    main_key = "submissions"
    required = {"submissions": "submissions=<folder>", "course": "course=<code>"}
    submissions: Text | None
    students: Text | None
    questions: list[Text] | None
    solutions: bool
    require: Literal["any", "assigned"]
    again: bool
    workers: int | None = Field(ge=1)


class SyncConfig(StageConfig):
    """Settings of the sync stage."""

    stage = "sync"
    main_key = "server"
    required = {"server": "server=http://... or set MLFLOW_TRACKING_URI=http://..."}
    server: Server
    run: Text | None


class UiConfig(StageConfig):
    """Settings of the ui stage."""

    stage = "ui"
    main_key = "run"
    run: Text | None
    browser: bool


ConfigT = TypeVar("ConfigT", bound=StageConfig)
Schema = type[StageConfig]


SCHEMAS: tuple[Schema, ...] = (
    DataConfig,
    TrainConfig,
    EvaluateConfig,
    PredictConfig,
    InspectConfig,
    ExportConfig,
    UiConfig,
    SyncConfig,
    HomeworkConfig,
    GradeConfig,
)
TYPES = {  # by key, of all stages
    key: field.annotation
    for schema in SCHEMAS
    for key, field in schema.model_fields.items()
}
KEYS = frozenset(TYPES)  # as in conf/config.yaml
# The keys with text or lists of text, whose values are taken as typed.
TEXT_KEYS = frozenset(
    k for k, x in TYPES.items() if contains(x, str) or contains(x, list)
)
