"""The stages as functions, which scripts and notebooks call."""

import copy
import json
import os
import pickle
import pydoc
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import ConfigError, PartlyFailed, UserError, cli, datasets
from pipeline.base import paths
from pipeline.data import data
from pipeline.evaluate import evaluate
from pipeline.export import export
from pipeline.grade import grade
from pipeline.homework import homework
from pipeline.inspect import inspect
from pipeline.predict import predict
from pipeline.sync import sync
from pipeline.tracking import find_run
from pipeline.train import sweep, train
from pipeline.ui import ui

CONFIG = paths.conf_dir() / "config.yaml"
SETTINGS = {"dataset": "digits", "epochs": 1, "hidden": 5}
FUNCTIONS = (data, evaluate, export, inspect, predict, sweep, sync, train, ui)


@pytest.fixture(scope="module")
def project(empty_project, worker):
    """A workspace that the functions of this process use, with a trained network."""
    project = empty_project("functions")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PIPELINE_OUTPUTS", str(project.outputs))
        epochs = []
        trained = train(**SETTINGS, quiet=True, on_epoch=epochs.append)
        assert [epoch.number for epoch in epochs] == [1]
        assert trained.metrics["val/accuracy"] == epochs[0].metrics["val/accuracy"]
        yield project


CALLS = {
    data: {"dataset": "digits"},
    train: {**SETTINGS, "seed": 2, "tracking": "none"},
    sweep: {**SETTINGS, "seed": [1, 2]},
    evaluate: {"sets": ["digits"]},
    predict: {"images": 0},
    inspect: {"neuron": "N11"},
    export: {"bits": 8},
}


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_a_quiet_call_prints_nothing_and_writes_to_the_folder(
    project, function, tmp_path, capfd
):
    before = project.hashes("train")
    options = {} if function is data else {"folder": tmp_path / "own"}
    result = function(**CALLS[function], **options, quiet=True)
    assert capfd.readouterr() == ("", "")
    if options:
        assert result.folder == tmp_path / "own" and any(result.folder.iterdir())
        assert [*tmp_path.iterdir()] == [result.folder]
        assert project.hashes("train") == before
    with pytest.raises(FrozenInstanceError):
        result.folder = None


WRITING = [function for function in CALLS if function is not data]


@pytest.mark.parametrize("function", WRITING, ids=lambda function: function.__name__)
def test_a_folder_that_cannot_be_one_is_rejected_before_anything_is_run(
    function, tmp_path, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(tmp_path / "outputs"))
    (tmp_path / "file").touch()
    for folder, rule in {
        tmp_path / "file": "must not be a file or be inside a file",
        tmp_path / "file" / "a" / "b": "must not be a file or be inside a file",
        "~nosuchuser/x": "must have a user name or /",
        "": "must be a path, got ''",
        3: "must be a path, got 3",
        "a\0b": "must not contain a null character, got ",
    }.items():
        with pytest.raises(ConfigError, match=f"^folder {rule}"):
            function(**CALLS[function], folder=folder)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("function", WRITING, ids=lambda function: function.__name__)
def test_a_folder_that_cannot_be_replaced_is_rejected_before_anything_is_run(
    function, tmp_path, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(tmp_path / "outputs"))
    for name in ("work", "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine" / "notes").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    working = "must not be or contain the working directory"
    rejected = {
        "/proc/new": "must be writable, got /proc/new: /proc: ",
        "/proc": "must not be a mount point",
        ".": working,
        "..": working,
        tmp_path / "outputs": "must not be or contain the folder of all results",
        tmp_path / "mine": "must be new or empty, got .*mine, which contains 'notes': ",
    }
    for folder, rule in rejected.items():
        with pytest.raises(ConfigError, match=f"^folder {rule}"):
            function(**CALLS[function], folder=folder)
    assert {path.name for path in tmp_path.rglob("*")} == {"work", "mine", "notes"}


@pytest.mark.parametrize("function", WRITING, ids=lambda function: function.__name__)
def test_a_folder_that_the_user_cannot_access_is_rejected(function, other_user):
    for name, mode in {"closed": 0o000, "hidden": 0o300}.items():
        Path(name).mkdir(mode)
    for folder in ("closed", "hidden", "closed/new", "closed/new/folder", "x" * 300):
        rule = "folder must be accessible, got .*: (Permission denied|File name too)"
        with pytest.raises(ConfigError, match=rule):
            function(**CALLS[function], folder=folder)


def test_an_empty_folder_is_replaced_and_a_link_to_it_remains(project, tmp_path):
    folder, link = tmp_path / "mine", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    assert predict(**CALLS[predict], folder=link, quiet=True).folder == folder
    assert link.is_symlink() and (folder / "predictions.json").exists()


def test_a_function_that_is_called_after_an_epoch_can_call_recorded_stages(project):
    evaluations = []
    train(
        **SETTINGS,
        seed=3,
        on_epoch=lambda _: evaluations.append(evaluate(sets=["digits"], quiet=True)),
        quiet=True,
    )
    (evaluation,) = evaluations
    run = find_run(evaluation.run_id, store=project.outputs)
    assert run.status == "FINISHED"


def test_a_resumed_training_run_calls_on_epoch_with_all_of_its_epochs(project):
    class Stop(BaseException):
        """Ends a training run after its second epoch."""

    before, after = [], []

    def stop(epoch):
        before.append(copy.deepcopy(epoch))
        for tensor in epoch.tensors.values():
            tensor[:] = 0  # has no effect on the training run
        if epoch.number == 2:
            raise Stop

    settings = {**SETTINGS, "seed": 4, "epochs": 3, "quiet": True}
    with pytest.raises(Stop):
        train(**settings, on_epoch=stop)
    result = train(**settings, on_epoch=after.append)
    assert [epoch.number for epoch in after] == [1, 2, 3]
    for same in (before, result.epochs[1:]):
        for epoch, other in zip(after, same, strict=False):
            assert epoch.metrics == other.metrics
            for name, tensor in other.tensors.items():
                assert epoch.tensors[name].tobytes() == tensor.tobytes()


def test_a_file_that_is_added_during_a_call_is_kept(project, tmp_path):
    with pytest.raises(OSError, match="not empty"):
        train(
            **CALLS[train],
            folder=tmp_path,
            on_epoch=lambda epoch: (tmp_path / "mine.txt").write_text("mine"),
            quiet=True,
        )
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_suggested_commands_name_the_network_in_the_folder(
    project, tmp_path, capsys
):
    train(**CALLS[train], folder=tmp_path / "own")
    printed, model = capsys.readouterr().out, f"model={tmp_path}/own/model.safetensors"
    for command in ("evaluate", "predict images=0", "inspect"):
        assert f"python -m pipeline.{command} {model}\n" in printed


def test_the_printed_paths_are_those_of_the_folder(project, tmp_path, capsys):
    for function, plot in ((evaluate, "scores.png"), (predict, "preprocessing.png")):
        folder = tmp_path / function.__name__
        function(**CALLS[function], folder=folder)
        printed = capsys.readouterr().out
        assert f"plot   {folder / plot}\nfiles  {folder}\n" in printed
    for name in ("new", "finished"):
        folder = tmp_path / name
        sweep(**SETTINGS | {"seed": [1, 4]}, folder=folder)
        assert f"files  {folder}/sweep.png and sweep.csv\n" in capsys.readouterr().out


def test_the_results_have_what_the_commands_print(project):
    evaluation = evaluate(sets=["digits"], quiet=True)
    assert evaluation.metrics == project.read("evaluate/metrics.json")
    assert evaluation.run_id == project.run_id()
    assert evaluation.folder.parts[-3:] == (evaluation.run_id, "artifacts", "evaluate")
    assert len(predict(images=[0, 1], quiet=True).predictions) == 2
    predictions = predict(images=0, quiet=True).predictions
    assert predictions.records() == project.read("predict/predictions.json")
    assert "N11" in inspect(neuron="N11", quiet=True).text
    (exported,) = export(quiet=True).exported
    assert asdict(exported.report) == project.read("export/report.json")


def test_sets_can_be_text_or_any_sequence(project):
    for sets in ("digits", (name for name in ["digits"])):
        assert [*evaluate(sets=sets, quiet=True).metrics] == ["digits"]
    for folder in (paths.ROOT / "nosuch", [paths.ROOT / "nosuch"]):
        with pytest.raises(ConfigError, match=r"sets must be .* folder, got"):
            evaluate(sets=folder, quiet=True)


def test_the_remedies_are_those_of_python():
    for settings, message in {
        "several": ({"hidden": [5, 6]}, "several values: call sweep(hidden=[5, 6])"),
        "list": ({"lr": [1]}, "lr=[1] is a list: call sweep(lr=[1])"),
        "text": ({"seed": "range(1,3)"}, "call sweep(seed=[1, 2])"),
        "none": ({"epochs": None}, "epochs must have a value (the default is epochs="),
        "sweep": ({"workers": 2}, "workers is a setting of sweeps: call sweep()"),
        "interval": (
            {"hidden": "interval(4,8)"},
            "is an interval: call sweep(hidden='interval(4,8)', trials=40) to start a",
        ),
        "trials": ({"trials": 4}, "searches: call sweep() with an interval such as hi"),
    }.values():
        with pytest.raises(ConfigError) as error:
            train(**settings, quiet=True)
        assert message in str(error.value)
    with pytest.raises(ConfigError, match="bits=8,4 has several values: give only one"):
        export(bits=[8, 4], quiet=True)


def test_all_problems_of_a_call_are_reported_at_once():
    for settings, rule in {
        "number": ({"seed": range(10**9)}, "at most 100,000 combinations"),
        "value": ({"lr": [-1]}, "lr must be greater than 0, got -1"),
        "dict": ({"lr": {0.1: 1}}, "lr must be a number, got {0.1: 1}"),
    }.values():
        with pytest.raises(ConfigError) as error:
            sweep(hiden=[1], hidden=[], **settings, quiet=True)
        unknown, empty, last = str(error.value).split("\n")
        assert unknown == "`hiden` is not a setting: did you mean hidden?"
        assert empty.startswith("hidden has no value") and rule in last


def test_a_path_with_a_null_character_is_rejected():
    for function, key in ((evaluate, "sets"), (sweep, "dataset"), (predict, "model")):
        with pytest.raises(ConfigError, match=rf"^{key} must .*, got '~a\\x00b'"):
            function(**{key: "~a\0b"}, quiet=True)


def test_no_value_reads_the_environment(monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    reference = "${oc.env:SECRET}"
    for value in (reference, [reference], (reference,), {"a": [reference]}):
        with pytest.raises(ConfigError, match="calls a resolver") as caught:
            train(resume=value)
        assert "hunter2" not in str(caught.value)


def test_a_number_that_cannot_be_printed_is_rejected():
    with pytest.raises(ConfigError, match=r"^hidden must have at most 1,000 bits"):
        train(hidden=10**5000)


def test_a_result_is_shown_with_its_metrics_in_a_short_text(project):
    trained = train(**SETTINGS, quiet=True)
    swept = sweep(**SETTINGS | {"seed": [1, 2]}, quiet=True)
    evaluation, predicted = evaluate(quiet=True), predict(images=0, quiet=True)
    accuracy = float(f"{trained.metrics['val/accuracy']:.4g}")
    assert repr(trained).startswith(f"TrainResult(val_accuracy={accuracy}, train_acc")
    assert f", run_id='{trained.run_id}', folder={trained.folder!r})" in repr(trained)
    best = "TrainedOutcome(seed="
    assert repr(swept).startswith(f"SweepResult(trained=2, failed=0, best={best}")
    assert "Evaluation(accuracy={'digits': 0." in repr(evaluation)
    for result in (
        *(trained, trained.epochs[1], evaluation),
        *(predicted, predicted.predictions),
        *(swept, swept.outcomes[0]),
        export(tracking="none", quiet=True),
    ):
        assert len(repr(result)) < 400 and "array" not in repr(result)
        assert result in (copy.deepcopy(result), result)  # compares the copy too


@pytest.mark.parametrize(
    "function", [*CALLS, sync, homework, grade], ids=lambda each: each.__name__
)
def test_the_help_of_a_function_has_the_settings_that_its_keywords_have(function):
    stage = function.__name__.title()
    keywords = getattr(cli, f"{stage}Keywords").__annotations__
    required = getattr(cli, f"{stage}Config", cli.TrainConfig).required
    text = pydoc.plain(pydoc.render_doc(function))
    found = re.findall(r"^ {6}(\w+)(=\S+)? +(\w.*)$", text, re.M)
    listed = {key: comment for key, _, comment in found}
    assert {*listed} == {*keywords}
    assert {key for key, default, _ in found if not default} == {*required}
    name = "train" if function is sweep else function.__name__
    # In `null (sync): all runs`, the parentheses contain the stages.
    other = rf"; \w+ \((?!(\w+, )*{name}\b)[a-z, ]+\): [^;]*"
    for key, comment in re.findall(r"^(\w+): .* # (.*)", CONFIG.read_text(), re.M):
        comment = re.sub(other, "", f"; {comment}").removeprefix("; ")
        comment = re.sub(r"(\w) \([a-z, ]+\): ", r"\1: ", comment)
        unless = ", unless MLFLOW_TRACKING_URI is the URL of a server"
        rule = f"required{unless if key == 'server' else ''}"
        text = f"{rule}: {comment}" if key in required else comment
        assert text.startswith(listed.get(key, ""))


def test_the_help_of_each_function_lists_all_errors():
    partly = {train, sweep, evaluate, predict, export, sync}  # see pipeline/README.md
    trains = {train, homework}  # a sweep raises a PartlyFailed
    for function in (*FUNCTIONS, homework, grade):
        expected = {"ConfigError", "UserError", "OSError"}
        expected |= {"PartlyFailed"} if function in partly else set()
        expected |= {"FloatingPointError"} if function in trains else set()
        _, _, errors = function.__doc__.partition("\nRaises:\n")
        errors, _, _ = errors.partition("\n\n")
        titles = re.findall(r"^    (\w.*?): ", errors, re.MULTILINE)
        assert {*", ".join(titles).split(", ")} == expected, function


def test_predict_accepts_pixels_as_an_array_or_a_tensor(project):
    pixels = datasets.load("digits", folder=project.outputs / "data").test.images[:3]
    inputs = pixels, torch.from_numpy(pixels.copy()), np.arange(3), [0, 1, 2], pixels[0]
    found = []
    for images in inputs:
        predict(images=images, quiet=True)
        records = project.read("predict/predictions.json")
        found.append([record["probabilities"] for record in records])
    assert len(found[0]) == 3 and found[0] == found[1] == found[2] == found[3]
    assert found[4] == found[0][:1]
    assert len(predict(images=np.array(1), quiet=True).predictions) == 1
    lists = [pixels[0], pixels[1]], [True, False]
    for images in (*lists, None, 0.5, np.array(0.5), b"12", bytearray(b"12")):
        with pytest.raises(ConfigError, match="images must be indices of test images"):
            predict(images=images, quiet=True)
    with pytest.raises(ConfigError, match=r"got Image: np\.asarray.* converts"):
        predict(images=Image.fromarray(pixels[0]), quiet=True)
    with pytest.raises(ConfigError, match="at least one image, got none"):
        predict(images=pixels[:0], quiet=True)
    for images, got in {
        "one": (pixels[0].ravel(), r"uint8 with \(784,\)"),
        "bfloat16": (torch.from_numpy(pixels).bfloat16(), "torch.bfloat16"),
        "mask": (np.array([True, False]), r"bool with \(2,\)"),
    }.values():
        with pytest.raises(ConfigError, match=rf"shape \(n, 28, 28\), got {got}.*: "):
            predict(images=images, quiet=True)


def test_a_sweep_is_a_data_frame_with_the_best_network(project, few):
    outcomes = []
    result = sweep(
        dataset="digits",
        epochs=1,
        hidden=[2, np.int64(20)],
        seed=range(1, 3),
        on_result=outcomes.append,
        quiet=True,
    )
    frame = result.to_frame()
    assert [*zip(frame["hidden"], frame["seed"], strict=True)] == [
        *((2, 1), (2, 2), (20, 1), (20, 2))
    ]
    assert {outcome.run_id for outcome in outcomes} == {*frame["run_id"]}
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert types["hidden"] == types["seed"] == types["epochs"] == "int64"
    assert types["parameters"] == "Int64"
    loss = "with_final_weights/train_loss"
    assert types["val/accuracy"] == types[loss] == "float64"
    assert [*frame["status"]] == ["FINISHED"] * 4 and not any(frame["error"])
    for row, outcome in zip(result.rows(), result.outcomes, strict=True):
        metrics = json.loads((outcome.network_path.parent / "metrics.json").read_text())
        assert {*metrics} >= {"val/loss", "train/accuracy", loss}
        assert metrics.items() <= row.items()
    best = result.load_best()
    assert best.network.hidden == 20
    assert best.network.predict(few.val.images).shape == (len(few.val), 10)
    again = sweep(dataset="digits", epochs=1, hidden=[2, 20], seed=[1, 2], quiet=True)
    assert again.run_id == result.run_id
    assert [*map(list, again.rows())] == [*map(list, result.rows())]  # the same columns
    assert again.to_frame().equals(frame)  # even if the store has the results


def test_the_epochs_of_a_training_run_are_a_data_frame(project):
    trained = train(**SETTINGS | {"epochs": 2}, tracking="none", quiet=True)
    frame = trained.to_frame()
    assert frame.to_dict("list") == {"epoch": [1, 2], **trained.history}
    assert [*frame["epoch"]] == [1, 2] and str(frame["epoch"].dtype) == "int64"
    assert frame["val/accuracy"].iloc[-1] == trained.metrics["val/accuracy"]
    table = project.trained("history.csv").read_text().splitlines()
    assert table[0].split(",") == [*frame]


def test_the_error_of_a_failed_sweep_has_the_other_results_and_the_reasons(project):
    with pytest.raises(UserError, match="4 of 6 training runs failed") as error:
        sweep(**SETTINGS | {"hidden": [0, 5, -1], "seed": [1, 2]}, quiet=True)
    # Two seeds of each invalid size: equal errors are one line.
    _, *reasons = str(error.value).split("\n  ")
    rule = "hidden must be at least 1"
    for reason, size in zip(reasons, (0, -1), strict=True):
        assert f"hidden={size} seed=1" in reason
        assert f" and 1 more: {rule}, got {size}" in reason
    result = pickle.loads(pickle.dumps(error.value)).result  # as from a process pool
    assert result.run_id and result.load_best().network.hidden == 5
    frame = result.to_frame()
    trained = frame[frame["error"] == ""]
    assert [*trained["hidden"]] == [5, 5] and all(trained["val/accuracy"] > 0)
    failed = frame[frame["error"] != ""]
    columns = ["val/accuracy", "parameters", "seconds"]
    assert len(failed) == 4 and failed[columns].isna().all().all()
    for outcome in result.outcomes:
        numbers = {outcome.accuracy, outcome.seconds}
        assert (numbers == {None}) == bool(outcome.error)
        assert None not in numbers or outcome.error
    for row in result.rows():
        values = {row[column] for column in columns}
        assert (values == {None}) == bool(row["error"]) == (None in values)
    ids = {outcome.run_id for outcome in result.outcomes}
    assert all(find_run(each, store=project.outputs).status for each in ids)
    with pytest.raises(UserError) as again:  # an invalid job is recorded once
        sweep(**SETTINGS | {"hidden": [0, 5, -1], "seed": [1, 2]}, quiet=True)
    assert {outcome.run_id for outcome in again.value.result.outcomes} == ids
    with pytest.raises(UserError, match="2 of 2 training runs failed") as error:
        sweep(**SETTINGS, batch_size=[1501, 1502], quiet=True)  # 1,500 images
    frame = error.value.result.to_frame()
    assert frame["val/accuracy"].dtype == frame["seconds"].dtype == float
    with pytest.raises(UserError, match="no best network: no training run finished"):
        error.value.result.load_best()


def test_an_error_of_on_result_keeps_its_result_and_those_of_the_sweep(project):
    def fail(_):
        raise PartlyFailed("one of two test sets cannot be read", "an evaluation")

    earlier = {*project.outputs.glob("sweeps/*/sweep.csv")}
    with pytest.raises(PartlyFailed, match="one of two test sets") as error:
        sweep(**SETTINGS | {"seed": [5, 6]}, on_result=fail, quiet=True)
    assert error.value.result == "an evaluation"
    (table,) = {*project.outputs.glob("sweeps/*/sweep.csv")} - earlier
    assert [row["trained"] for row in project.read(table)] == ["1"]


def test_a_sweep_with_a_folder_is_continued_by_the_same_call(project, tmp_path):
    folder = tmp_path / "new" / "folder"
    settings = SETTINGS | {"seed": [1, 3], "folder": folder, "quiet": True}

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(**settings, on_result=stop)
    again = sweep(**settings)
    assert again.folder == folder and len(again.rows()) == 2
    first = sweep(**settings | {"folder": None})
    assert again.run_id == first.run_id
    for name in ("sweep.csv", "sweep.png"):
        assert (folder / name).read_bytes() == (first.folder / name).read_bytes()
    with pytest.raises(UserError, match=r"^on_result must not call sweep\(\): "):
        sweep(**SETTINGS | {"seed": [1, 3]}, on_result=lambda _: sweep(hidden=[2, 3]))


def test_a_search_and_invalid_settings_of_a_sweep(project):
    result = sweep(**SETTINGS | {"hidden": "interval(2,9)"}, trials=2, quiet=True)
    assert len(result.rows()) == 2
    for settings, message in {
        "hidden": ({"hidden": [0, -1]}, "hidden must be at least 1"),
        "key": ({"hiden": [1, 2]}, "`hiden` is not a setting: did you mean hidden"),
        "empty": ({"hidden": []}, "hidden has no value: give at least one"),
        "callback": ({"on_result": 3}, "on_result must be a function, got 3"),
        "resume": ({"resume": False}, "resume has no effect in a sweep: use again="),
    }.values():
        with pytest.raises(ConfigError, match=message):
            sweep(**settings, quiet=True)


SEEDED = """
import random
random.seed(1)
state = random.getstate()
from pipeline.data import data
data(dataset="digits", quiet=True)
assert random.getstate() == state
"""


def test_a_call_leaves_the_random_generator_of_its_caller_alone(empty_project):
    # In a new process, because an import draws a random number.
    places = {"PIPELINE_OUTPUTS": str(empty_project("seeded").outputs)}
    places["PYTHONPATH"] = str(paths.ROOT)
    command = [sys.executable, "-c", SEEDED]
    subprocess.run(command, env=os.environ | places, check=True)
