"""The types of the keywords of each stage, for calls from Python.

The schemas have the bounds of the same settings; `tests/cli/test_config.py` compares
both.
"""

# Each type is written twice, because mypy and editors cannot read generated types: here
# for the keyword of a call, and in `schema` for the field of `cfg`. The two can differ,
# because a call accepts paths, arrays and, in a sweep, several values.

import os
from collections.abc import Iterable
from typing import (
    Any,
    Generic,
    Literal,
    Never,
    Protocol,
    SupportsFloat,
    SupportsIndex,
    TypedDict,
    TypeVar,
    runtime_checkable,
)

from pipeline.core.hyperparameters import SplitName

ExecutorName = Literal["local", "ray"]
PathText = str | os.PathLike[str]
# Numbers of Python, NumPy, PyTorch and others; `overrides` converts them.
Integer = int | SupportsIndex
Number = float | SupportsFloat
# What a sweep accepts besides one value: several values, or text such as
# "interval(4,128)".
SweptValues = str | Iterable[Integer | Number | PathText]
SweptT = TypeVar("SweptT")  # `SweptValues` in a sweep, `Never` in all other calls


@runtime_checkable
class Array(Protocol):
    """A NumPy array, a PyTorch tensor, or another object that NumPy can convert."""

    def __array__(self) -> Any: ...  # noqa: ANN401, D105


class DataKeywords(TypedDict, total=False):
    """Keywords of `data`."""

    dataset: PathText


class RecordedKeywords(TypedDict, total=False):
    """Keywords of all stages that record a run."""

    tracking: Literal["mlflow", "none"]
    server: str | None


class NewRunKeywords(RecordedKeywords, total=False):
    """Keywords of `train` and `sweep`, without the data and the hyperparameters."""

    run_name: str | None
    experiment_name: str | None


class HyperparameterKeywords(TypedDict, Generic[SweptT], total=False):
    """The data set and the hyperparameters, without the seed."""

    dataset: PathText | SweptT
    hidden: Integer | SweptT
    split: SplitName | SweptT
    epochs: Integer | SweptT
    batch_size: Integer | SweptT
    lr: Number | SweptT


class TrainKeywords(HyperparameterKeywords[Never], NewRunKeywords, total=False):
    """Keywords of `train`."""

    seed: Integer
    resume: bool
    reproduce: str | None


class SweepKeywords(HyperparameterKeywords[SweptValues], NewRunKeywords, total=False):
    """Keywords of `sweep`."""

    seed: Integer | SweptValues
    workers: Integer | None
    executor: ExecutorName
    again: bool
    trials: Integer | None


class NetworkKeywords(TypedDict, total=False):
    """Keywords of all stages that load a network."""

    run: str | None
    model: PathText | None


class EvaluateKeywords(NetworkKeywords, RecordedKeywords, total=False):
    """Keywords of `evaluate`."""

    sets: PathText | Iterable[PathText] | None
    prepare: bool | None


class PredictKeywords(NetworkKeywords, total=False):
    """Keywords of `predict`."""

    images: Integer | PathText | Iterable[Integer] | Array


class InspectKeywords(NetworkKeywords, RecordedKeywords, total=False):
    """Keywords of `inspect`."""

    neuron: str | None
    image: Integer | PathText | None
    integers: bool
    weight: str | None
    arrays: bool
    against: PathText | None


class ExportKeywords(NetworkKeywords, RecordedKeywords, total=False):
    """Keywords of `export`."""

    bits: Literal[8, 4, 2, 1, "all"]
    finetune: Integer | None
    sweep: str | None
    workers: Integer | None


class CourseKeywords(HyperparameterKeywords[Never], total=False):
    """Keywords of the stages for homework; the student's ID determines the seed."""

    course: str | None


class HomeworkKeywords(CourseKeywords, total=False):
    """Keywords of `homework`."""

    student: str | None
    check: bool


class GradeKeywords(CourseKeywords, total=False):
    """Keywords of `grade`."""

    submissions: PathText | None
    students: PathText | None
    questions: list[str] | None
    solutions: bool
    require: Literal["any", "assigned"]
    again: bool
    workers: Integer | None


class SyncKeywords(TypedDict, total=False):
    """Keywords of `sync`."""

    server: str | None
    run: str | None


class UiKeywords(TypedDict, total=False):
    """Keywords of `ui`."""

    run: str | None
    browser: bool
