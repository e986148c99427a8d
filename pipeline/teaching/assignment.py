"""What all students of a course are assigned: a training run, with a seed for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import datasets
from pipeline.base.params import params_of
from pipeline.core.dataset import Dataset
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.teaching.task import Topic
from pipeline.teaching.variant import Variant


@dataclass(frozen=True)
class Assignment:
    """The training run that the students of a course are assigned."""

    course: str
    dataset: str
    settings: Mapping[str, Any]  # the hyperparameters without the seed

    def variant(self, student: str) -> Variant:
        """Return the variant of a student; raise a ValueError if the id is invalid."""
        return Variant.of(student, self.course)

    def params(self, student: str) -> dict[str, Any]:
        """Return the params of the training run of a student."""
        seed = self.variant(student).seed
        return params_of({**self.settings, "dataset": self.dataset, "seed": seed})

    def hyperparameters(self, student: str) -> Hyperparameters:
        """Return the hyperparameters with the seed of a student."""
        return Hyperparameters(**self.params(student))

    def topic(self, student: str, dataset: Dataset) -> Topic:
        """Return what the questions of a student are about."""
        hidden, spec = self.settings["hidden"], datasets.spec(dataset.name)
        return Topic.of(self.variant(student), hidden, dataset.test, spec)
