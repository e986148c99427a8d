"""A small course on the data set digits: one epoch takes milliseconds."""

import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline import datasets
from pipeline.core.dataset import Dataset
from pipeline.core.network import network_from
from pipeline.model import save_network
from pipeline.records.file_names import MODEL_FILE
from pipeline.teaching.answer_inputs import AnswerInputs
from pipeline.teaching.answers import FILE
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.grading import Assigned
from pipeline.teaching.homework_metadata import HomeworkMetadata
from pipeline.teaching.questions import QUESTIONS

COURSE = "embedded 2026"
SETTINGS = {
    "hidden": 5,
    "split": "exercise",
    "epochs": 1,
    "batch_size": 128,
    "lr": 0.001,
}


@dataclass
class Course:
    """The assignment of a course, and what its students do."""

    data: Dataset
    settings: dict[str, Any] = field(default_factory=lambda: dict(SETTINGS))

    @property
    def assignment(self):
        return Assignment(COURSE, self.data.name, self.settings)

    @property
    def keys(self):
        """The settings of `grade`."""
        return {"course": COURSE, "dataset": self.data.name, **self.settings}

    def train(self, student, **others):
        """Return the network of a student, possibly trained with other settings."""
        settings = {**self.settings, **others}
        assignment = Assignment(COURSE, self.data.name, settings)
        return assignment.train(student, self.data).last.tensors

    def assigned(self, student):
        before, last = self.assignment.train(student, self.data).epochs[-2:]
        return Assigned(last.tensors, before.tensors)

    def inputs(self, student, network):
        return AnswerInputs.of(
            self.assignment.question_values(student, self.data), network, self.data.test
        )

    def solve(self, student, network):
        """Return the correct answers."""
        inputs = self.inputs(student, network)
        return {
            question.name: question.solution(inputs).correct[0]
            for question in QUESTIONS
        }

    def write(
        self, folder, student, answers=None, network=None, *, stated=None, torch=None
    ):
        """Write a submission with these answers, by default with the assigned network.

        Its ID is that of the student, or another text. Its network can record a
        version of PyTorch.
        """
        folder.mkdir(parents=True)
        names = [question.name for question in QUESTIONS]
        content = {
            "id": stated or student,
            "course": COURSE,
            "answers": dict.fromkeys(names) | (answers or {}),
        }
        (folder / FILE).write_text(json.dumps(content))
        network = self.train(student) if network is None else network
        written = network_from(network)
        assigned = self.assignment.hyperparameters(student)
        metadata = HomeworkMetadata(
            dataset=self.data.name,
            data_sha256=self.data.file.sha256,
            hyperparameters=assigned.model_copy(update={"hidden": written.hidden}),
            min_margin=0.25,
            torch=torch,
        )
        save_network(folder / MODEL_FILE, written, metadata)
        return folder


@pytest.fixture(scope="session")
def pack():
    """Return a function that writes the files of a folder to a zip file."""

    def write(folder, path, *, prefix=""):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"{prefix}{file.name}")
        return path

    return write


@pytest.fixture(scope="session")
def course(prepared_digits):
    return Course(datasets.load("digits", folder=prepared_digits))


@pytest.fixture(scope="session")
def valid(course, tmp_path_factory):
    """A valid submission, as a folder, which tests copy."""
    folder = tmp_path_factory.mktemp("valid") / "ana"
    return course.write(folder, "ana", {"parameters": 1, "logit": -2.5})
