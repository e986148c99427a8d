"""The homework stage: its files, what it keeps, and the check of the answers."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline import ConfigError, UserError, datasets
from pipeline.base.paths import project_dir
from pipeline.base.tensors import read_tensors, tensors_sha256, write_tensors
from pipeline.homework import homework
from pipeline.model import load_network, save_network
from pipeline.teaching import homework as command
from pipeline.teaching.answer_inputs import AnswerInputs
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.questions import QUESTIONS

STUDENT = {"student": "Ana.Ruiz", "course": "embedded 2026"}
# This training run takes 0.1 s.
SETTINGS = {**STUDENT, "dataset": "digits", "hidden": 5, "epochs": 1}
ARGUMENTS = [f"{key}={value}" for key, value in SETTINGS.items()]
FOLDER = "homework/embedded 2026/ana.ruiz"
COUNT = len(QUESTIONS)
NO_POINTS = "Missing and malformed answers get no points"
FILES = {f"{FOLDER}/{x}" for x in ("questions.md", "answers.json", "model.safetensors")}
# The process is killed when it has written the first two files.
KILLED = """
import os, signal
from pipeline import model
model.save_network = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""
NO_MLFLOW = "import sys; sys.modules['mlflow'] = None"  # an import raises an error


@pytest.fixture(scope="module")
def written(empty_project):
    """A workspace with the homework of a student, and what the command printed."""
    workspace = empty_project("homework", store=False)
    return workspace, workspace.call("homework", **SETTINGS)


@pytest.fixture
def workspace(written, tmp_path):
    """A copy of the workspace of `written`."""
    return copied(written[0], tmp_path / "outputs")


def copied(workspace, outputs):
    """Copy a workspace without creating a store in it."""
    shutil.copytree(workspace.outputs, outputs)
    return type(workspace)(outputs)


def questions(workspace):
    return (workspace.outputs / FOLDER / "questions.md").read_text()


def fill_in(workspace, **answers):
    path = workspace.outputs / FOLDER / "answers.json"
    stored = json.loads(path.read_text())
    stored["answers"] |= answers
    path.write_text(json.dumps(stored))
    return path.read_bytes()


def test_the_homework_consists_of_three_files_and_nothing_is_recorded(written):
    workspace, printed = written
    others = {name for name in workspace.hashes(".") if not name.startswith("data/")}
    assert others == FILES
    assert "training the network of ana.ruiz with seed 217407399" in printed
    stored = workspace.read(f"{FOLDER}/answers.json")
    assert (stored["id"], stored["course"]) == ("ana.ruiz", "embedded 2026")
    assert {*stored["answers"].values()} == {None}
    names = re.findall(r"^\*\*\d+\. `(\w+)`\*\*", questions(workspace), re.MULTILINE)
    assert names == [*stored["answers"]] and len(names) == COUNT


def test_other_users_cannot_read_the_homework(written):
    assert (written[0].outputs / FOLDER).stat().st_mode & 0o77 == 0


def test_the_commands_in_the_questions_work_and_train_the_same_network(workspace):
    lines = re.findall(r"^python -m pipeline\.(.*)$", questions(workspace), re.M)
    commands = [shlex.split(line) for line in lines]
    assert [stage for stage, *_ in commands] == ["train", "inspect", "predict"]
    commands[0].append("tracking=none")
    old = workspace.outputs.parents[0]
    moved = [
        tuple(
            f"model={workspace.outputs / FOLDER}/model.safetensors"
            if word.startswith("model=")
            else word
            for word in command
        )
        for command in commands
    ]
    done = workspace.run_all(dict.fromkeys(moved, 0), cwd=old)
    tensors, about = read_tensors(workspace.outputs / FOLDER / "model.safetensors")
    torch = about.pop("torch")  # recorded only by `homework`, like the hash
    assert about.pop("weights_sha256") == tensors_sha256(tensors)
    assert torch == version("torch").partition("+")[0]
    write_tensors(workspace.outputs / "trained", tensors, about)
    network = (workspace.outputs / "trained").read_bytes()
    assert workspace.trained("model.safetensors").read_bytes() == network
    neuron = re.search(r"inspect neuron=(N1\d+) image=(\d+)", questions(workspace))
    assert f"{neuron[1]}: neuron" in done.stdout
    assert f"digits test image {neuron[2]}" in done.stdout
    assert "shows the history" not in done.stdout  # saved without the history


def test_the_program_in_the_questions_reads_the_network_and_the_images(written):
    workspace, _ = written
    (program,) = re.findall(r"```python\n(.*?)```", questions(workspace), re.DOTALL)
    names = {}
    exec(program, names)
    assert names["kernel_1"].shape == (784, 5) and names["bias_2"].shape == (10,)
    assert names["images"].dtype == np.uint8 and len(names["labels"]) == 297


def test_a_path_in_the_home_folder_does_not_contain_the_name_of_the_user(
    workspace, tmp_path, monkeypatch
):
    # A student who sets PIPELINE_OUTPUTS may have such a path.
    monkeypatch.setenv("HOME", f"{tmp_path}")
    workspace.call("homework", **SETTINGS)
    text = questions(workspace)
    assert "read the files in Python, in any folder." in text
    assert f"{tmp_path}" not in text
    assert text.count(f"~/outputs/{FOLDER}/model.safetensors") == 3
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(program, names)
    assert len(names["labels"]) == 297
    (line,) = re.findall(r"^python -m pipeline\.predict (.*)$", text, re.MULTILINE)
    settings = dict(word.split("=", 1) for word in shlex.split(line))
    assert settings["model"].startswith("~") and workspace.call("predict", **settings)


def test_the_paths_in_the_questions_are_valid_in_every_folder(monkeypatch):
    # On a shared computer, the working directory is the folder of the project.
    root = project_dir()
    for home, begin in ((root.parent, f"~/{root.name}"), (root / "x", f"{root}")):
        monkeypatch.setenv("HOME", f"{home}")
        path = command._portable(root / "outputs" / FOLDER)
        assert path == f"{begin}/outputs/{FOLDER}"


def test_a_second_call_keeps_the_answers_and_the_network(workspace):
    filled = fill_in(workspace, logit=1.5)
    before = workspace.hashes(FOLDER)
    (workspace.outputs / FOLDER / "questions.md").unlink()
    printed = workspace.call("homework", **SETTINGS)
    assert "kept   answers.json, model.safetensors" in printed
    assert "training" not in printed
    assert workspace.hashes(FOLDER).keys() == before.keys()
    path = workspace.outputs / FOLDER / "answers.json"
    assert path.read_bytes() == filled


def test_a_missing_network_is_trained_again_next_to_the_answers(workspace):
    filled, before = fill_in(workspace, logit=1.5), workspace.hashes(FOLDER)
    path = workspace.outputs / FOLDER / "model.safetensors"
    path.unlink()
    assert "training" in workspace.call("homework", **SETTINGS)
    name = f"{FOLDER}/model.safetensors"
    assert workspace.hashes(FOLDER)[name] == before[name]
    assert path.with_name("answers.json").read_bytes() == filled


def test_the_homework_of_another_course_has_its_own_folder(workspace):
    before = workspace.hashes(FOLDER)
    other, keys = "homework/another/ana.ruiz", {**SETTINGS, "course": "Another"}
    workspace.call("homework", **keys)
    assert workspace.hashes(FOLDER) == before
    texts = [workspace.read(f"{folder}/answers.json") for folder in (FOLDER, other)]
    assert [text["course"] for text in texts] == ["embedded 2026", "another"]
    words = " ".join(workspace.call("homework", **keys, check=True).split())
    assert f"{COUNT} of {COUNT} answers are missing" in words
    assert "ID ana.ruiz, course another, trained with" in words


def test_files_of_another_course_in_the_folder_of_a_course_are_not_replaced(workspace):
    other = "homework/another/ana.ruiz"
    shutil.copytree(workspace.outputs / FOLDER, workspace.outputs / other)
    before = workspace.hashes(other)
    for check in (False, True):
        message = f"{other}/answers.json is for the course embedded 2026, not another:"
        with pytest.raises(
            UserError, match=rf"{message}.*; if .* rename the homework folder"
        ):
            workspace.call("homework", **{**SETTINGS, "course": "Another"}, check=check)
    path = workspace.outputs / other / "answers.json"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError, match="was trained with seed=217407399, but this"):
        workspace.call("homework", **{**SETTINGS, "course": "another"})
    path.write_bytes(content)
    assert workspace.hashes(other) == before
    with pytest.raises(UserError, match="epochs=1, but this homework needs epochs=2"):
        workspace.call("homework", **{**SETTINGS, "epochs": 2})
    assert workspace.hashes(other) == before


@pytest.mark.parametrize(
    "typed", [{"course": "embeded 2026"}, {"student": "anna.ruiz"}, {"course": "room"}]
)
def test_the_check_of_a_missing_homework_names_the_most_similar_one(workspace, typed):
    other = workspace.outputs / "homework/other/eva"
    shutil.copytree(workspace.outputs / FOLDER, other)
    found = f"is missing: there is homework in .*{FOLDER}"
    problem = rf"{found} \(2 folders contain homework\): if it is yours, correct"
    with pytest.raises(UserError, match=problem):
        workspace.call("homework", **{**SETTINGS, **typed}, check=True)
    shutil.rmtree(other)
    with pytest.raises(UserError, match=f"{found}: if it is yours, correct"):
        workspace.call("homework", **{**SETTINGS, **typed}, check=True)


def test_a_damaged_network_is_reported_with_a_remedy(workspace):
    (workspace.outputs / FOLDER / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="delete it and run this command again"):
        workspace.call("homework", **SETTINGS)


def test_the_questions_do_not_depend_on_the_weights(workspace, written, tmp_path):
    longer = copied(written[0], tmp_path / "other")
    for name in FILES:
        (longer.outputs / name).unlink()
    longer.call("homework", **{**SETTINGS, "epochs": 2})
    texts = [
        re.findall(r"^\*\*\d+\..*$", questions(each), re.MULTILINE)
        for each in (workspace, longer)
    ]
    assert texts[0] == texts[1] and len(texts[0]) == COUNT


def test_the_check_prints_the_command_that_writes_the_file_to_submit(
    workspace, tmp_path
):
    rule = "Upload only `homework.zip`"
    students = (project_dir() / "pipeline/teaching/STUDENTS.md").read_text("utf-8")
    assert rule in questions(workspace) and rule in students
    # Without an answer, there is nothing to submit.
    assert "zipfile" not in workspace.call("homework", **SETTINGS, check=True)
    fill_in(workspace, logit=1.5)
    printed = workspace.call("homework", **SETTINGS, check=True)
    command = re.search(r"python -m (zipfile .*)", printed)
    assert command, printed
    subprocess.run(
        [sys.executable, "-m", *shlex.split(command[1])], cwd=tmp_path, check=True
    )
    with zipfile.ZipFile(tmp_path / "homework.zip") as archive:
        assert {Path(name).name for name in archive.namelist()} >= {
            Path(x).name for x in FILES
        }
    # On a shared computer, each terminal begins with this line.
    (line,) = re.findall(r"^cd && .*PIPELINE_OUTPUTS.*$", students, re.MULTILINE)
    script = f"{line.rpartition(' && ')[2]} && {shlex.quote(sys.executable)} -m "
    (tmp_path / "homework.zip").unlink()
    subprocess.run(["sh", "-c", script + command[1]], cwd=tmp_path, check=True)
    assert (tmp_path / "homework.zip").stat().st_mode & 0o777 == 0o600


@pytest.mark.fault
def test_the_weight_with_which_students_test_their_computers_is_the_documented_one(
    empty_project,
):
    folder = project_dir() / "pipeline/teaching"
    students = (folder / "STUDENTS.md").read_text("utf-8")
    workspace = empty_project("example", store=False)
    workspace.call("homework", student="ana.ruiz", course="embedded-2026")
    (line,) = re.findall(r'^python -c "(.*load_file.*)"$', students, re.MULTILINE)
    printed = subprocess.run(
        [sys.executable, "-c", line],
        cwd=workspace.outputs.parent,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (begin,) = re.findall(r"number does not begin with `(.*?)`", students)
    assert printed.startswith(begin)
    # The same weight is the worked example for instructors.
    example = f'types `"weight_of_pixel": {float(printed):.5f}`'
    assert example in (folder / "README.md").read_text("utf-8")


def test_answers_that_an_editor_has_renamed_are_kept(workspace):
    filled = fill_in(workspace, logit=1.5)
    path = workspace.outputs / FOLDER / "answers.json"
    renamed = path.rename(path.with_name("answers.json.txt"))
    printed = workspace.call("homework", **SETTINGS)
    assert "kept   answers.json.txt, model.safetensors" in printed
    assert renamed.read_bytes() == filled and not path.exists()
    path.write_bytes(filled)
    printed = workspace.call("homework", **SETTINGS)
    assert "kept   answers.json, answers.json.txt, model.safetensors" in printed


def test_the_check_says_which_answers_are_missing_or_malformed(workspace):
    malformed = {"upper_half": "3,5", "switched_off": float("nan"), "parameters": 0.5}
    fill_in(workspace, logit=1.5, **malformed, unknown=1)
    before = workspace.hashes(FOLDER)
    printed = workspace.call("homework", **SETTINGS, check=True)
    assert re.search(r"^logit +1\.5$", printed, re.MULTILINE)
    words = " ".join(printed.split())
    rule = "must be a number without a comma, such as 54096 or 3.5"
    assert f'upper_half {rule}, got "3,5"' in words
    assert "switched_off must be a number below 1e308, got nan" in words
    assert "parameters must be a whole number of at least 0, got 0.5" in words
    assert re.search(r"^unknown +is not the name of a question$", printed, re.M)
    assert printed.count(" missing\n") == COUNT - 4
    rule = "This command does not check whether answers are correct."
    text = f"{COUNT - 4} of {COUNT} answers are missing, 3 are malformed. {NO_POINTS}"
    assert f"{text}. {rule}" in words
    assert workspace.hashes(FOLDER) == before


@pytest.mark.parametrize(
    ("missing", "malformed", "text"),
    [
        (0, 0, f"All {COUNT} answers are well-formed"),
        (1, 0, f"1 of {COUNT} answers is missing. {NO_POINTS}"),
        (0, 2, f"2 of {COUNT} answers are malformed. {NO_POINTS}"),
        (3, 1, f"3 of {COUNT} answers are missing, 1 is malformed. {NO_POINTS}"),
    ],
)
def test_the_check_counts_the_answers_that_are_missing_and_malformed(
    workspace, missing, malformed, text
):
    names = [question.name for question in QUESTIONS]
    given = [None] * missing + ["x"] * malformed
    given += [1] * (COUNT - len(given))
    fill_in(workspace, **dict(zip(names, given, strict=True)))
    words = " ".join(workspace.call("homework", **SETTINGS, check=True).split())
    assert f"answers.json {text}. This command does not check whether answers" in words
    assert ("python -m zipfile -c homework.zip" in words) == (not malformed)
    assert ("next correct the malformed answers" in words) == bool(malformed)


def test_the_check_shows_the_settings_in_the_file_of_the_network(workspace):
    words = " ".join(workspace.call("homework", **SETTINGS, check=True).split())
    begin = "contains the weights that homework wrote, and records the"
    text = f"model.safetensors {begin} assigned settings: (.*?)[.] This command"
    (shown,) = re.findall(text, words)
    assert {"dataset=digits", "hidden=5", "epochs=1", "seed=217407399"} < {
        *shown.split()
    }
    assert (
        "so it cannot determine whether the weights are exactly the assigned ones."
        in words
    )


def test_the_check_names_answers_with_fewer_decimals_than_they_need(workspace):
    assert "not a whole number to 5 decimal places" in questions(workspace)
    rounded = {"sum_of_neuron": 6.25, "weight_of_pixel": -0.1, "brighter_pixel": 2e-3}
    others = {"logit": 1.251, "upper_half": 0, "scaled_layer": 100, "misclassified": 3}
    fill_in(workspace, **rounded, **others, log_of_ratio="2,0")
    words = " ".join(workspace.call("homework", **SETTINGS, check=True).split())
    text = r"These answers may be rounded too much: (.*?)\. With fewer dec"
    (named,) = re.findall(text, words)
    assert set(named.split(", ")) == {
        "sum_of_neuron needs 3 decimal places",
        "weight_of_pixel needs 4 decimal places",
        "brighter_pixel needs 5 decimal places",
    }
    fill_in(workspace, **dict.fromkeys(rounded, 0.12345))
    words = workspace.call("homework", **SETTINGS, check=True)
    assert "may be rounded too much" not in words
    rule = "only if the result is exactly 0, not if it is rounded to 0"
    zero = f"The answer 0 is correct {rule}: (.*?)[.] "
    (named,) = re.findall(zero, " ".join(words.split()))
    assert named == "upper_half"
    fill_in(workspace, upper_half=None, misclassified=0, logit=-0.0, scaled_layer=0)
    words = " ".join(workspace.call("homework", **SETTINGS, check=True).split())
    (named,) = re.findall(zero, words)
    assert set(named.split(", ")) == {"logit", "scaled_layer"}
    fill_in(workspace, logit=None, scaled_layer=None)
    assert "The answer 0" not in workspace.call("homework", **SETTINGS, check=True)


def test_the_check_does_not_say_whether_an_answer_is_correct(workspace):
    settings = {"hidden": 5, "split": "exercise", "epochs": 1, "batch_size": 128}
    course = Assignment(STUDENT["course"], "digits", {**settings, "lr": 0.001})
    data = datasets.load("digits", folder=workspace.outputs / "data")
    network = read_tensors(workspace.outputs / FOLDER / "model.safetensors")[0]
    inputs = AnswerInputs.of(
        course.question_values("ana.ruiz", data), network, data.test
    )
    (question,) = (each for each in QUESTIONS if each.name == "scaled_layer")
    (right,) = question.solution(inputs).correct
    for decimals in (2, 5):  # rounding to 2 decimal places is too coarse
        typed = [round(right, decimals), round(right + 2, decimals)]
        assert [question.grade(x, inputs).kind == "full" for x in typed] == [
            decimals == 5,
            False,
        ]
        printed = []
        for answer in typed:
            fill_in(workspace, scaled_layer=answer)
            shown = workspace.call("homework", **SETTINGS, check=True)
            assert ("may be rounded too much: " in shown) == (decimals == 2)
            printed.append(re.sub(r"(?m)^(scaled_layer +)[\d.]+$", r"\1", shown))
        assert printed[0] == printed[1]
    fill_in(workspace, weights_for_small_images=1, scaled_layer=1)
    wrong = workspace.call("homework", **SETTINGS, check=True)
    fill_in(workspace, weights_for_small_images=1, scaled_layer=7)
    assert workspace.call("homework", **SETTINGS, check=True) == wrong.replace(
        "scaled_layer               1", "scaled_layer               7"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", r"ana.ruiz/answers.json is not JSON"),
        ('{"id": 3,5}', r"ana.ruiz/answers.json is not JSON: write numbers as"),
        ('{"id": "b", "answers": {}}', "id must be ana.ruiz, got b"),
        (None, r"answers.json is missing: run the command without check=true"),
    ],
)
def test_a_file_that_cannot_be_used_is_reported_in_one_line(
    workspace, content, problem
):
    path = workspace.outputs / FOLDER / "answers.json"
    path.write_text(content) if content else path.unlink()
    with pytest.raises(UserError, match=problem) as error:
        workspace.call("homework", **SETTINGS, check=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "settings", "problem"),
    [
        (None, {}, "ana.ruiz cannot be graded: model.safetensors is missing; run the"),
        (b"garbage", {}, "model.safetensors is damaged: copy it again; otherwise, del"),
        ("same", {"hidden": 4}, "its network has 5 hidden neurons instead of 4; run"),
        (
            "same",
            {"epochs": 2},
            "needs epochs=2: add epochs=1 if this was assigned; if",
        ),
        ("same", {"lr": 0.1}, "trained with lr=0.001, but this homework needs lr=0.1"),
        ("another", {}, "seed=1, but this homework needs seed=217407399: if the cou"),
        ("edited", {}, "is not the file that homework wrote: if its weights were edit"),
        ("saved", {}, "delete it and run the command without check=true, which trains"),
    ],
)
def test_the_check_says_what_is_wrong_with_the_network_after_the_answers(
    workspace, content, settings, problem
):
    fill_in(workspace, logit=1.5)
    path = workspace.outputs / FOLDER / "model.safetensors"
    if content == "another":
        network, metadata = load_network(path)
        other = metadata.hyperparameters.model_copy(update={"seed": 1})
        other = metadata.model_copy(update={"hyperparameters": other})
        save_network(path, network, other)
    elif content in ("edited", "saved"):
        tensors, about = read_tensors(path)
        tensors["layer_1.weight"][2] = 0.0
        write_tensors(path, tensors, about if content == "edited" else {})
    elif content != "same":
        path.write_bytes(content) if content else path.unlink()
    before = workspace.hashes(FOLDER)
    with (
        workspace.captured() as printed,
        pytest.raises(UserError, match=problem) as error,
    ):
        homework(**{**SETTINGS, **settings}, check=True)
    assert "\n" not in str(error.value)
    text = f"{COUNT - 1} of {COUNT} answers are missing. {NO_POINTS}"
    assert text in printed.getvalue()
    assert workspace.hashes(FOLDER) == before


def test_the_version_of_pytorch_that_trained_the_network_is_reported(workspace):
    installed = version("torch").partition("+")[0]
    path = workspace.outputs / FOLDER / "model.safetensors"
    tensors, about = read_tensors(path)
    notice = f"trained with PyTorch 2.0.1, but {installed} is installed now"
    for recorded in (installed, "2.0.1"):
        write_tensors(path, tensors, {**about, "torch": recorded})
        words = " ".join(workspace.call("homework", **SETTINGS, check=True).split())
        asked = "ID ana.ruiz, course embedded 2026, trained with PyTorch"
        assert f"{asked} {recorded}: check that these values are correct." in words
        assert (notice in words) == (recorded != installed)
    words = " ".join(workspace.call("homework", **SETTINGS).split())
    assert notice in words and "kept answers.json, model.safetensors" in words
    path.unlink()  # the answers are kept
    printed = " ".join(workspace.call("homework", **SETTINGS).split())
    assert f"with seed 217407399 and PyTorch {installed}" in printed
    assert notice not in printed and read_tensors(path)[1] == about
    write_tensors(path, tensors, {key: about[key] for key in about if key != "torch"})
    words = " ".join(workspace.call("homework", **SETTINGS, check=True).split())
    assert "ID ana.ruiz, course embedded 2026: check that these values are c" in words


def test_the_message_asks_the_student_to_delete_one_of_two_answer_files(workspace):
    path = workspace.outputs / FOLDER / "answers.json"
    second = path.with_name("answers (1).json")
    second.write_bytes(fill_in(workspace, logit=1.5))
    fill_in(workspace, logit=2)
    problem = (
        r"graded: answers \(1\).json, answers.json; delete all but the one to submit$"
    )
    with pytest.raises(UserError, match=problem):
        workspace.call("homework", **SETTINGS, check=True)
    path.unlink()
    # `grade` reads this name, too.
    assert "logit" in workspace.call("homework", **SETTINGS, check=True)
    third = second.rename(path.with_name("answers_1.json"))
    problem = r"answers.json is missing: rename answers_1.json to answers.json$"
    with pytest.raises(UserError, match=problem):
        workspace.call("homework", **SETTINGS, check=True)
    third.rename(path)
    assert "logit" in workspace.call("homework", **SETTINGS, check=True)


@pytest.fixture(scope="module")
def killed(written, tmp_path_factory):
    """A workspace in which the command was killed, run again, and its answers checked.

    Also returns what the last two commands printed.
    """
    workspace = copied(written[0], tmp_path_factory.mktemp("killed") / "outputs")
    shutil.rmtree(workspace.outputs / FOLDER)
    workspace.run("homework", *ARGUMENTS, status=-9, before=KILLED)
    assert not (workspace.outputs / FOLDER).exists()
    (check,) = re.findall(r"python -m pipeline\.(homework .*check=true)", written[1])
    commands = {("homework", *ARGUMENTS): 0, tuple(shlex.split(check)): 0}
    return workspace, workspace.run_all(commands, before=NO_MLFLOW).stdout


def test_after_a_kill_there_is_no_half_written_homework_and_the_command_works(killed):
    workspace, _ = killed
    assert {*workspace.hashes(FOLDER)} == FILES


def test_the_printed_check_has_the_assigned_settings_and_finds_no_problem(killed):
    workspace, printed = killed
    (line,) = re.findall(r"python -m pipeline\.(homework .*check=true)", printed)
    assert line in questions(workspace)
    assert {"dataset=digits", "hidden=5", "epochs=1"} < {*line.split()}
    assert "lr=" not in line
    assert f"\n{COUNT} of {COUNT} answers are missing. {NO_POINTS}.\n" in printed


def test_a_call_returns_the_folder_and_the_answers(workspace, tmp_path):
    with workspace.captured() as printed:
        result = homework(**SETTINGS, folder=tmp_path / "mine", quiet=True)
    assert printed.getvalue() == ""
    assert (result.student, result.seed) == ("ana.ruiz", 217407399)
    assert {path.name for path in result.folder.iterdir()} == {
        name.rpartition("/")[2] for name in FILES
    }
    assert len(result.answers.missing) == COUNT
    assert (
        load_file(result.folder / "model.safetensors").keys()
        == load_file(workspace.outputs / FOLDER / "model.safetensors").keys()
    )


def test_the_student_and_the_course_are_required():
    with pytest.raises(ConfigError) as error:
        homework(student="ana.ruiz")
    assert error.value.problems == ["course is missing: add course=<code>"]
    with pytest.raises(ConfigError, match="student must have 1 to 64 characters"):
        homework(student="../ana", course="a")
