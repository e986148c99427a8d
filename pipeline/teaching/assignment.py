"""The assignment of a course: a training run, with a seed for each student."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import datasets
from pipeline.base.text import distinct_file_name
from pipeline.core.dataset import Dataset
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.records.params import differing_params, params_of
from pipeline.records.software import torch_version
from pipeline.teaching.answer_inputs import QuestionValues
from pipeline.teaching.variant import Variant
from pipeline.training.training_run import TrainingRun
from pipeline.training.unrecorded_training import Track, train_unrecorded


def pytorch() -> str:
    """Return the version of PyTorch without its local part, as a course names it.

    The local part, such as +cpu, is the same for all downloads of one kind.
    """
    return torch_version().partition("+")[0]


@dataclass(frozen=True)
class Assignment:
    """The training run that the students of a course are assigned."""

    course: str  # the normalized code
    dataset: str
    settings: Mapping[str, Any]  # the hyperparameters without the seed

    @property
    def folder_name(self) -> str:
        """The name of the course's folder; each course code has a folder of its own."""
        return distinct_file_name(self.course, allowed=" @+")

    def variant(self, student: str) -> Variant:
        """Return the variant of a student; raise a ValueError if the ID is invalid."""
        return Variant.of(student, self.course)

    def params(self, student: str) -> dict[str, Any]:
        """Return the params of the training run of a student."""
        seed = self.variant(student).seed
        return params_of({**self.settings, "dataset": self.dataset, "seed": seed})

    def other_settings(self, student: str, recorded: Mapping[str, Any]) -> str:
        """Return the recorded params of a network that differ from the assigned params.

        The result is empty if all params are equal or no params are recorded.
        """
        return differing_params(recorded, self.params(student))[0] if recorded else ""

    def hyperparameters(self, student: str) -> Hyperparameters:
        """Return the hyperparameters with the seed of a student."""
        return Hyperparameters(**self.params(student))

    def train(
        self, student: str, dataset: Dataset, *, track: Track | None = None
    ) -> TrainingRun:
        """Train the network of a student; see `train_unrecorded`."""
        hyperparameters = self.hyperparameters(student)
        return train_unrecorded(dataset, hyperparameters=hyperparameters, track=track)

    def question_values(self, student: str, dataset: Dataset) -> QuestionValues:
        """Return the numbers and names in the questions of a student."""
        hidden, spec = self.settings["hidden"], datasets.spec(dataset.name)
        return QuestionValues.of(self.variant(student), hidden, dataset.test, spec)
