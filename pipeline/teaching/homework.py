"""The command `homework`: trains a student's network and writes the questions."""

import os
import shlex
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline import UserError, datasets
from pipeline.base.files import atomic_folder, write_atomic
from pipeline.base.paths import data_dir, displayed, results_dir
from pipeline.base.progress import progress
from pipeline.base.results_folder import ResultsFolder
from pipeline.base.tables import table
from pipeline.base.terminal import say
from pipeline.base.text import command_line, counted, next_steps, printable, wrap
from pipeline.cli import HomeworkConfig, defaults
from pipeline.core.dataset import Dataset
from pipeline.model import load_network, save_network
from pipeline.records.file_names import MODEL_FILE
from pipeline.records.params import differing_params
from pipeline.teaching.answers import FILE as ANSWERS_FILE
from pipeline.teaching.answers import Answers, new_answers, read_answers
from pipeline.teaching.assignment import Assignment, pytorch
from pipeline.teaching.homework_metadata import HomeworkMetadata
from pipeline.teaching.question import MAX_DECIMALS
from pipeline.teaching.questions import questions_for
from pipeline.teaching.submissions import (
    DAMAGED,
    ONE_COUNTS,
    Rejected,
    read_submission,
)
from pipeline.teaching.submitted_files import QUESTIONS_FILE, original_name
from pipeline.teaching.templates import fill_template
from pipeline.teaching.variant import Variant

WITHOUT_CHECK = "run the command without check=true"
MOVE_AWAY = (
    "if the course code and the settings are correct, rename the homework folder and "
    f"{WITHOUT_CHECK}"
)


@dataclass(frozen=True)
class Homework:
    """The homework of a student."""

    student: str
    seed: int  # the seed of the network
    folder: Path  # with questions.md, answers.json and model.safetensors
    answers: Answers  # in answers.json


def homework(cfg: HomeworkConfig, folder: Path | None) -> Homework:
    """Write the homework of a student, or check its files.

    `folder` is the argument `folder` of a call from Python; see `Command.folder`.
    """
    assert cfg.student and cfg.course  # `required` in its schema
    assignment = Assignment(cfg.course, cfg.dataset, cfg.assigned())
    variant = assignment.variant(cfg.student)
    own = f"homework/{assignment.folder_name}/{cfg.student}"
    folder = ResultsFolder(own, folder).path
    answers = Answers(variant.student, variant.course, {})
    if cfg.check or _answer_files(folder):
        answers = _read_answers(folder, variant)
    if cfg.check:
        _print_state(answers, variant, folder)
        _check_submission(folder, assignment, variant)
        if any(
            question.name in answers.problems for question in questions_for(variant)
        ):
            say("next   correct the malformed answers, then run this command again")
        elif answers.numbers:
            archive = f"-c homework.zip {shlex.quote(str(displayed(folder)))}"
            command = f"python -m zipfile {archive}"
            say(next_steps({command: "writes the file that you submit"}))
    else:
        _write(variant, assignment, folder)
    return Homework(variant.student, variant.seed, folder, answers)


def _write(variant: Variant, assignment: Assignment, folder: Path) -> None:
    """Write the files, and keep answers and a network that exist."""
    dataset = datasets.load(assignment.dataset, folder=data_dir())
    params = assignment.params(variant.student)
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if MODEL_FILE in found:
        _check_network(folder / MODEL_FILE, params)
        trained = None
    else:
        say(
            f"training the network of {variant.student} with seed {variant.seed} and "
            f"PyTorch {pytorch()}"
        )
        track = progress("training")
        trained = assignment.train(variant.student, dataset, track=track)
    questions = _questions(assignment, dataset, variant, folder)
    kept = [path.name for path in _answer_files(folder)]
    # A new folder is complete or absent, even if the process is killed.
    opened = nullcontext(folder) if found else atomic_folder(folder, replace=False)
    with opened as target:
        if not found:
            target.chmod(0o700)  # no other user can read the answers
        write_atomic(target / QUESTIONS_FILE, questions.encode())
        if not kept:
            write_atomic(target / ANSWERS_FILE, new_answers(variant))
        if trained:
            metadata = HomeworkMetadata.of(trained)
            save_network(target / MODEL_FILE, trained.network, metadata)
    if kept := [*kept, *({MODEL_FILE} & found)]:
        say(f"kept   {', '.join(kept)}")
    say(f"files  {displayed(folder)}/: {QUESTIONS_FILE}, {ANSWERS_FILE}, {MODEL_FILE}")
    checks = "checks the files before you submit them"
    say(next_steps({_check_command(assignment, variant): checks}))


def _check_network(path: Path, params: Mapping[str, Any]) -> None:
    """Raise a UserError if a network does not have the assigned network's metadata."""
    try:
        _, metadata = load_network(path, HomeworkMetadata)
    except UserError as error:
        raise UserError(f"{error}: delete it and run this command again") from None
    _check_params(path, metadata.params if metadata else {}, params)
    assert metadata, "without metadata, the params differ"
    _print_other_torch(metadata.torch or "")


def _check_submission(folder: Path, assignment: Assignment, variant: Variant) -> None:
    """Print the values that determine the assigned network.

    Raises:
        UserError: If the homework cannot be graded, if its network was trained with
            other settings, or if `homework` did not write this network.
    """
    found = read_submission([folder.resolve()], assignment)
    torch = "" if isinstance(found, Rejected) else found.torch
    known = f"ID {variant.student}, course {variant.course}"
    known += f", trained with PyTorch {torch}" if torch else ""
    say(wrap(f"{known}: check that these values are correct."))
    _print_other_torch(torch)
    if isinstance(found, Rejected):
        remedy = WITHOUT_CHECK
        if ONE_COUNTS in found.problem:
            remedy = "delete all but the one to submit"
        if found.problem == DAMAGED:
            remedy = f"otherwise, delete it and {WITHOUT_CHECK}"
        raise UserError(
            f"{displayed(folder)} cannot be graded: {found.problem}; {remedy}"
        )
    if assignment.other_settings(variant.student, found.recorded):
        params = assignment.params(variant.student)
        _check_params(folder / MODEL_FILE, found.recorded, params)
    if not (found.is_as_written and found.recorded):
        raise UserError(
            f"{displayed(folder / MODEL_FILE)} is not the file that homework wrote: if "
            "its weights were edited, the answers about the network get no points; "
            f"delete it and {WITHOUT_CHECK}, which trains it again"
        )
    settings = " ".join(f"{key}={value}" for key, value in found.recorded.items())
    say(
        wrap(
            f"{MODEL_FILE} contains the weights that homework wrote, and records the "
            f"assigned settings: {settings}. This command does not train the assigned "
            "network, so it cannot determine whether the weights are exactly the "
            "assigned ones.",
            indent=0,
        )
    )


def _print_other_torch(torch: str) -> None:
    """Print a notice if a network records a version that is not installed now."""
    if torch and torch != pytorch():
        notice = (
            f"the network in {MODEL_FILE} was trained with PyTorch {torch}, but "
            f"{pytorch()} is installed now: if your instructor specified {pytorch()}, "
            f"rename the homework folder and {WITHOUT_CHECK}; compute the answers "
            "again with the new network"
        )
        say(wrap(notice, indent=0))


def _check_params(
    path: Path, recorded: Mapping[str, Any], params: Mapping[str, Any]
) -> None:
    """Raise a UserError if a network's file records different params."""
    actual, wanted = differing_params(recorded, params)
    if wanted:
        # A student cannot set the seed.
        forgotten = recorded.get("seed") == params["seed"]
        remedy = f"add {actual} if this was assigned; " if forgotten else ""
        raise UserError(
            f"the network in {displayed(path)} was trained with {actual}, but this "
            f"homework needs {wanted}: {remedy}{MOVE_AWAY}"
        )


def _questions(
    assignment: Assignment, dataset: Dataset, variant: Variant, folder: Path
) -> str:
    """Return the content of questions.md."""
    values, model = (
        assignment.question_values(variant.student, dataset),
        folder / MODEL_FILE,
    )
    params = {k: f"{v}" for k, v in assignment.params(variant.student).items()}
    path, image = _portable(model), f"{values.image}"
    numbered = enumerate(questions_for(variant), start=1)
    return fill_template(
        "questions.txt",
        values=values,
        params=params,
        epochs=counted(int(params["epochs"]), "epoch"),
        model=path,
        data=_portable(dataset.file.path),
        check=_check_command(assignment, variant),
        decimals=MAX_DECIMALS,
        train=command_line("train", **params),
        inspect=command_line(
            "inspect", neuron=values.neuron_1, image=image, model=path
        ),
        predict=command_line("predict", images=image, model=path),
        groups=[
            (title, [*questions])
            for title, questions in groupby(numbered, lambda pair: pair[1].group)
        ],
    )


def _portable(path: Path) -> str:
    """Return a path that is valid in every folder, with `~` for the home folder.

    A path with `~` contains no user name, which students would submit. Only paths
    outside the home folder are absolute.
    """
    home = Path(os.path.expanduser("~")).resolve()  # no error if the folder is unknown
    if path.is_relative_to(home):
        return f"~/{path.relative_to(home).as_posix()}"
    return f"{path}"


def _check_command(assignment: Assignment, variant: Variant) -> str:
    """Return the check command, with all settings that differ from their defaults."""
    default, assigned = defaults(), assignment.params(variant.student)
    others = {
        key: f"{assigned[key]}"
        for key in ("dataset", *assignment.settings)
        if assigned[key] != default[key]
    }
    about = {"student": variant.student, "course": variant.course}
    return command_line("homework", **about, **others, check="true")


def _read_answers(folder: Path, variant: Variant) -> Answers:
    """Read the answers of a student.

    Raises:
        UserError: If the file is missing, cannot be used as a whole, or belongs to
            another student or course.
    """
    path = folder / ANSWERS_FILE
    if not path.exists():
        path = next(iter(_answer_files(folder)), path)
    if not path.exists():
        names = [printable(x.name) for x in sorted(folder.glob("answers*"))]
        remedy = WITHOUT_CHECK
        if names:
            remedy = f"rename {names[0]} to {ANSWERS_FILE}"
        elif other := _other_homework(folder):
            remedy = (
                f"{other}: if it is yours, correct the course code or the ID; "
                f"otherwise, {WITHOUT_CHECK}"
            )
        raise UserError(f"{displayed(path)} is missing: {remedy}")
    try:
        answers = read_answers(path.read_bytes())
    except UserError as error:  # which begins with the name of the file
        raise UserError(f"{displayed(folder)}/{error}") from None
    if answers.student != variant.student:
        raise UserError(
            f"{displayed(path)}: id must be {variant.student}, got {answers.student}"
        )
    if problem := answers.course_problem(variant.course):
        raise UserError(f"{displayed(folder)}/{problem}; {MOVE_AWAY}")
    return answers


def _answer_files(folder: Path) -> list[Path]:
    """Return all files that `grade` reads as answers.json, with their real names."""
    files = sorted(folder.glob("answers*"))
    return [path for path in files if original_name(path) == ANSWERS_FILE]


def _other_homework(folder: Path) -> str:
    """Return which homework folder has the most similar name, if one is missing."""
    found = (results_dir() / "homework").glob(f"*/*/{ANSWERS_FILE}")
    names = [] if folder.exists() else [f"{displayed(x.parent)}" for x in found]
    similar = get_close_matches(f"{displayed(folder)}", names, n=1, cutoff=0)
    number = f" ({len(names)} folders contain homework)" * (len(names) > 1)
    return "".join(f"there is homework in {name}{number}" for name in similar)


def _print_state(answers: Answers, variant: Variant, folder: Path) -> None:
    """Print which answers are missing, malformed or possibly rounded too much."""
    questions, given = questions_for(variant), answers.numbers
    names = [*dict.fromkeys([q.name for q in questions] + [*answers.problems])]
    found = {name: f"{number:.12g}" for name, number in given.items()}
    found |= answers.problems
    rows = [[name, found.get(name, "missing")] for name in names]
    say(table(["question", "answer"], rows, left=["question", "answer"]))
    say(f"\nfile   {displayed(folder / ANSWERS_FILE)}")
    lines = fill_template(
        "check.txt",
        questions=questions,
        given=given,
        missing=len(answers.missing),
        malformed=sum(q.name in answers.problems for q in questions),
        zeros=[q.name for q in questions if not (q.form.whole or given.get(q.name, 1))],
        coarse=[q for q in questions if q.is_coarse(given.get(q.name, 0.0))],
    )
    for line in filter(None, lines.splitlines()):
        say(wrap(line, indent=0))
