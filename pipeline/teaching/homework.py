"""The command `homework`: trains a student's network and writes the questions."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import UserError, datasets
from pipeline.base.call import results_dir
from pipeline.base.console import progress
from pipeline.base.files import atomic_folder, write_atomic
from pipeline.base.paths import MODEL_FILE, data_dir, displayed
from pipeline.base.printing import say
from pipeline.base.terminal import command_line, counted, next_steps
from pipeline.base.text import table
from pipeline.core.dataset import Dataset
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import TrainingState, fit, measure
from pipeline.core.network import Network
from pipeline.core.threads import one_thread
from pipeline.model import load_network, save_model
from pipeline.teaching.answers import FILE as ANSWERS_FILE
from pipeline.teaching.answers import Answers, new_answers, read_answers
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.questions import questions_for
from pipeline.teaching.variant import Variant

QUESTIONS_FILE = "questions.md"
FILES = (QUESTIONS_FILE, ANSWERS_FILE, MODEL_FILE)


@dataclass(frozen=True)
class Homework:
    """The homework of a student."""

    student: str
    seed: int  # of the network
    folder: Path  # with questions.md, answers.json and model.safetensors
    answers: Answers  # those in answers.json


def homework(
    student: str | None,
    course: str | None,
    dataset: str,
    settings: Mapping[str, Any],
    *,
    check: bool,
) -> Homework:
    """Write the homework of a student, or check the form of the answers."""
    assert student is not None and course is not None  # the schema requires them
    assignment = Assignment(course, dataset, settings)
    variant = assignment.variant(student)
    folder = results_dir(f"homework/{student}")
    if check or (folder / ANSWERS_FILE).exists():
        answers = _read_answers(folder, variant)
    else:
        answers = Answers(variant.student, variant.course, {})
    if check:
        _print_state(answers, assignment, folder)
    else:
        _write(student, assignment, folder)
    return Homework(student, variant.seed, folder, answers)


def _write(student: str, assignment: Assignment, folder: Path) -> None:
    """Write the files; the answers and the network stay if they exist."""
    file = datasets.prepare(assignment.dataset, folder=data_dir())
    dataset = Dataset.read(file.path)
    hyperparameters = assignment.hyperparameters(student)
    params = {"dataset": dataset.name, **dict(hyperparameters)}
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if MODEL_FILE in found:
        _check_network(folder / MODEL_FILE, params)
        trained = None
    else:
        say(f"training the network of {student} with seed {hyperparameters.seed}")
        trained = _train(dataset, hyperparameters)
    sheet = _question_sheet(student, assignment, dataset, folder)
    # A new folder is complete or absent, even if the process is killed.
    place = nullcontext(folder) if found else atomic_folder(folder, replace=False)
    with place as target:
        write_atomic(target / QUESTIONS_FILE, sheet.encode())
        if ANSWERS_FILE not in found:
            content = new_answers(assignment.variant(student))
            write_atomic(target / ANSWERS_FILE, content)
        if trained:
            network, margin = trained
            # The metadata of `train`, so that the files are byte-identical.
            about = params | {"data_sha256": dataset.sha256, "min_margin": margin}
            save_model(target / MODEL_FILE, network, about)
    if kept := [name for name in (ANSWERS_FILE, MODEL_FILE) if name in found]:
        verb = "existed and was" if len(kept) == 1 else "existed and were"
        say(f"{' and '.join(kept)} {verb} not changed")
    say(f"files  {displayed(folder)}/: {', '.join(FILES)}")
    check = _check_command(student, assignment.course)
    say(next_steps({check: "checks the form of the answers"}))


def _train(dataset: Dataset, hyperparameters: Hyperparameters) -> tuple[Network, float]:
    """Train without recording anything; return the network and its margin.

    On one thread, as `train` does, so that the weights are byte-identical.
    """
    split = dataset.training_split(hyperparameters)
    epochs = hyperparameters.epochs
    with one_thread():
        state = TrainingState.initial(hyperparameters)
        trained = fit(state, split, hyperparameters, epochs=range(1, epochs + 1))
        for _ in progress("training")(trained, total=epochs):
            pass
        _, margin = measure(state.network, split.train)
    return state.network, margin


def _check_network(path: Path, params: Mapping[str, Any]) -> None:
    """Raise a UserError unless this is the assigned network, by its metadata."""
    try:
        _, metadata = load_network(path)
    except UserError as error:
        raise UserError(f"{error}: delete it and run this command again") from None
    differ = [key for key in params if metadata.params.get(key) != params[key]]
    if differ:
        actual = " ".join(f"{key}={metadata.params.get(key)}" for key in differ)
        wanted = " ".join(f"{key}={params[key]}" for key in differ)
        raise UserError(
            f"{displayed(path)} was trained with {actual}, but this homework needs "
            f"{wanted}: if the course and the settings are correct, move the folder "
            "and run this command again"
        )


def _question_sheet(
    student: str, assignment: Assignment, dataset: Dataset, folder: Path
) -> str:
    """Return the content of questions.md."""
    topic = assignment.topic(student, dataset)
    hyperparameters = assignment.hyperparameters(student)
    settings = {"dataset": dataset.name, **dict(hyperparameters)}
    model = displayed(folder / MODEL_FILE)
    image, place = f"{topic.image}", f"{model}"
    numbered = enumerate(questions_for(topic.variant), start=1)
    environment = Environment(
        loader=PackageLoader("pipeline.teaching", ""),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("questions.txt").render(
        topic=topic,
        student=student,
        course=assignment.course,
        epochs=counted(hyperparameters.epochs, "epoch"),
        seed=hyperparameters.seed,
        dataset=dataset.name,
        model=model,
        data=displayed(dataset.path),
        check=_check_command(student, assignment.course),
        train=command_line("train", **{k: f"{v}" for k, v in settings.items()}),
        inspect=command_line(
            "inspect", neuron=topic.neuron_1, image=image, model=place
        ),
        predict=command_line("predict", images=image, model=place),
        groups=[
            (title, [*questions])
            for title, questions in groupby(numbered, lambda pair: pair[1].group)
        ],
    )


def _check_command(student: str, course: str) -> str:
    return command_line("homework", student=student, course=course, check="true")


def _read_answers(folder: Path, variant: Variant) -> Answers:
    """Read the answers of a student.

    Raises:
        UserError: If the file is missing, cannot be used as a whole, or belongs to
            another student or course.
    """
    path = folder / ANSWERS_FILE
    if not path.exists():
        raise UserError(f"{displayed(path)} is missing: leave out check=true")
    try:
        answers = read_answers(path.read_bytes())
    except UserError as error:  # its message begins with the name of the file
        raise UserError(f"{displayed(folder)}/{error}") from None
    if answers.student != variant.student:
        raise UserError(
            f"{displayed(path)}: id must be {variant.student}, got {answers.student}"
        )
    if problem := answers.course_problem(variant.course):
        raise UserError(f"{displayed(folder)}/{problem}")
    return answers


def _print_state(answers: Answers, assignment: Assignment, folder: Path) -> None:
    """Print which answers are missing or malformed."""
    questions = questions_for(assignment.variant(answers.student))
    names = [*dict.fromkeys([q.name for q in questions] + [*answers.problems])]
    values = {name: f"{value:.12g}" for name, value in answers.values.items()}
    found = values | dict(answers.problems)
    rows = [[name, found.get(name, "missing")] for name in names]
    say(table(["question", "answer"], rows, left=["question", "answer"]))
    correct = len(answers.values.keys() - answers.problems.keys())
    complete = f"{correct} of {counted(len(questions), 'answer')}"
    say(f"\nfile   {displayed(folder / ANSWERS_FILE)}")
    say(f"{complete} have the right form. Whether they are right is not checked.")
