import json
import signal
from dataclasses import replace

import numpy as np
import pytest

from pipeline import PartlyFailed, UserError
from pipeline.base.files import file_sha256
from pipeline.base.results_folder import ResultsFolder
from pipeline.cli import TrainConfig, from_python
from pipeline.core import optimizer
from pipeline.core.threads import one_thread
from pipeline.model import load_trained_network
from pipeline.records.software import CORE
from pipeline.tracking import Tracker, find_training_run, provenance, start_tracker
from pipeline.training.recorded_training import TrainCall
from pipeline.training.reproduction import (
    compare,
    load_data,
    read_original,
    reproduce,
)
from pipeline.training.train import train
from pipeline.training.training_files import read_training_run

DIGITS = {"dataset": "digits", "epochs": 2, "hidden": 8}


@pytest.fixture(scope="module")
def workspace(empty_project):
    """A workspace in which a network was trained."""
    workspace = empty_project("once")
    workspace.call("train", **DIGITS)
    return workspace


@pytest.fixture
def own_copy(workspace, tmp_path):
    """A copy of the workspace, whose run a test can edit."""
    return workspace.copy(tmp_path / "outputs")


def hashes(folder):
    return {path.name: file_sha256(path) for path in folder.iterdir()}


def test_a_run_is_reproduced_byte_for_byte(workspace):
    before = hashes(workspace.trained(""))
    trained = load_trained_network(workspace.trained("model.safetensors"))
    printed = workspace.call("train", reproduce=workspace.run_id())
    _, report = printed.split("\nreproduced byte for byte:\n")
    report, _, step = report.partition("\nnext   ")
    assert step.startswith(f"python -m pipeline.inspect run={workspace.run_id()[:8]} ")
    assert report.split() == [
        "recorded",
        trained.weights_sha256,
        "now",
        trained.weights_sha256,
    ]
    assert "despite these differences" not in printed
    after = hashes(workspace.outputs / "reproduce")
    assert {name for name in after if after[name] != before[name]} == {"run.json"}
    assert hashes(workspace.trained("")) == before
    again = workspace.client.get_run(workspace.run_id("reproduce"))
    assert again.info.status == "FINISHED"
    assert again.info.run_name == "hidden=8 seed=1 dataset=digits epochs=2 again"
    assert again.data.tags["reproduces"] == workspace.run_id()
    assert again.data.tags["reproduced"] == "true"


def test_a_recorded_run_with_damaged_metrics_is_rejected(own_copy):
    recorded = find_training_run(own_copy.run_id(), store=own_copy.outputs)
    path = recorded.network_path.with_name("metrics.json")
    content = path.read_bytes()
    for damaged in (content[:50], b"[]", b"{}"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"/metrics\.json is damaged: .*; restore"):
            read_training_run(recorded)


def test_a_damaged_summary_of_the_data_names_a_remedy(own_copy):
    recorded = find_training_run(own_copy.run_id(), store=own_copy.outputs)
    metadata = read_training_run(recorded).metadata
    path = recorded.artifacts / "data" / "digits.json"
    content = path.read_bytes()
    origin = {**json.loads(content), "origin": ["digits.csv"]}
    for damaged in (content[:50], b"[]", b"{}", json.dumps(origin).encode()):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"digits\.json is damaged: choose anoth"):
            load_data(recorded, metadata, own_copy.outputs / "data")
    path.unlink()  # only the message about a missing data set needs the summary
    dataset = load_data(recorded, metadata, own_copy.outputs / "data")
    assert dataset.name == "digits"


def test_the_report_says_if_the_code_of_the_original_run_is_not_known(own_copy):
    recorded = find_training_run(own_copy.run_id(), store=own_copy.outputs)
    path = recorded.artifacts / "code.json"
    content = path.read_bytes()
    for damaged in (content[:50], b"1"):
        path.write_bytes(damaged)
        printed = own_copy.call("train", reproduce=recorded.run_id)
        assert f"despite these differences:\n  code: {path} is damaged\n" in printed
    path.unlink()
    printed = own_copy.call("train", reproduce=recorded.run_id)
    assert "\n  code: not recorded in the original run\n" in printed


def test_ctrl_c_in_the_last_epoch_has_no_effect_because_training_has_finished(
    own_copy, capfd
):
    def press(epoch):
        if epoch.number == 2:
            signal.raise_signal(signal.SIGINT)

    printed = own_copy.call("train", reproduce=own_copy.run_id(), on_epoch=press)
    assert "reproduced byte for byte" in printed
    stderr = capfd.readouterr().err
    assert "not stopping, because this is the last epoch (press Ctrl-C" in stderr
    assert (
        own_copy.client.get_run(own_copy.run_id("reproduce")).info.status == "FINISHED"
    )


def test_different_code_gives_a_different_network_and_a_report(own_copy, monkeypatch):
    changed = CORE.hashes | {"optimizer.py": "another hash"}
    recorded = find_training_run(own_copy.run_id(), store=own_copy.outputs)
    (recorded.artifacts / "code.json").write_text(json.dumps(changed))
    monkeypatch.setattr(optimizer, "EPSILON", 1e-3)
    with pytest.raises(PartlyFailed, match="not reproduced:\n  recorded") as report:
        own_copy.call("train", reproduce=own_copy.run_id())
    text = f"{report.value}\n"
    trained = load_trained_network(own_copy.trained("model.safetensors"))
    assert trained.weights_sha256 in text
    assert f"now      {report.value.result.trained.weights_sha256}" in text
    assert "of 6,370 differ, " in text  # 784*8 + 8 + 8*10 + 10 weights
    assert "val/accuracy: " in text
    assert "code in pipeline/core: optimizer.py\n" in text
    again = own_copy.client.get_run(own_copy.run_id("reproduce"))
    assert again.data.tags["reproduced"] == "false"


def test_a_flipped_bit_in_the_data_is_repaired(own_copy):
    path = own_copy.outputs / "data" / "digits.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:50_000] + bytes([content[50_000] ^ 1]) + content[50_001:])
    printed = own_copy.call("train", reproduce=own_copy.run_id())
    assert "reproduced byte for byte" in printed
    assert path.read_bytes() == content
    assert path.with_name(f"{path.name}.bad").exists()


def test_different_data_is_rejected_with_the_names_of_the_changed_files(
    empty_project, few, idx_folder, write_idx
):
    project = empty_project("other data")
    project.call("train", dataset=str(idx_folder), epochs=1, hidden=3)
    (run,) = project.runs()
    name, folder = run.data.params["dataset"], project.outputs / "data"
    labels = idx_folder / "t10k-labels-idx1-ubyte"
    required = f"  {file_sha256(labels)}  {labels.name}"
    for file in folder.glob(f"{name}*"):
        file.unlink()
    write_idx(labels, np.roll(few.val.labels, 1))
    project.call("data", dataset=str(idx_folder))  # the same images, a different name
    with pytest.raises(UserError, match=f"{name}.safetensors is miss") as gone:
        project.call("train", reproduce=run.info.run_id)
    assert required in str(gone.value).splitlines()
    assert len(project.runs()) == 1
    write_idx(labels, few.val.labels)
    moved = idx_folder.rename(idx_folder.with_name("moved"))
    project.call("data", dataset=str(moved))  # a different name for the same file
    printed = project.call("train", reproduce=run.info.run_id)
    assert "reproduced byte for byte" in printed


def test_the_data_of_a_reproduction_is_only_looked_for_in_the_given_folder(
    empty_project, idx_folder, tmp_path
):
    project = empty_project("another folder")
    project.call("train", dataset=str(idx_folder), epochs=1, hidden=3)
    (run,) = project.runs()
    for file in (project.outputs / "data").glob(f"{run.data.params['dataset']}*"):
        file.rename(tmp_path / file.name)
    with project.captured() as printed, one_thread():
        cfg = from_python(TrainConfig, {"reproduce": run.info.run_id}).config
        tracker = Tracker(project.outputs, server=None, experiment=cfg.recorded_in)
        original = read_original(cfg, tracker)
        results = ResultsFolder("reproduce", None)
        call = TrainCall(cfg, {}, tracker, repr, results, original)
        reproduce(call, data_folder=tmp_path)
    assert "reproduced byte for byte" in printed.getvalue()


def test_the_report_compares_the_patch_of_the_run_that_was_trained(
    empty_project, clone_project, use_repository, worker, tmp_path
):
    settings = clone_project(tmp_path / "clone").outputs.parent / "conf/config.yaml"
    committed = settings.read_text()

    def edit(comment):
        settings.write_text(committed + comment)
        use_repository(tmp_path / "clone")

    project = empty_project("patches")
    sweep = [f"{key}={value}" for key, value in DIGITS.items()]
    edit("# of the single run\n")
    project.call("train", seed=1, **DIGITS)
    edit("# of the sweep\n")
    project.sweep("train", "seed=1,2", "workers=1", *sweep)
    runs = {run.info.run_id: run.data.tags for run in project.runs()}
    (copy,) = (run for run, tags in runs.items() if "reused_from" in tags)
    (child,) = (run for run, tags in runs.items() if tags.get("seed") == "2")
    single = runs[copy]["reused_from"]
    comments = {single: "# of the single run\n", child: "# of the sweep\n"}
    comments[copy] = comments[single]
    for comment in ("", *comments.values()):
        edit(comment)
        for run_id, own in comments.items():
            with project.captured():
                recorded = find_training_run(run_id, store=project.outputs)
                training = read_training_run(recorded)
                now = provenance.tags(provenance.code_state())
                report = compare(recorded, training, training, now)
            assert ("uncommitted code" in report) == (comment != own)


@pytest.mark.parametrize("tracking", ["mlflow", "none"])
def test_the_report_compares_the_code_with_which_the_command_started(
    empty_project, clone_project, use_repository, tmp_path, tracking
):
    settings = clone_project(tmp_path / "clone").outputs.parent / "conf/config.yaml"
    use_repository(tmp_path / "clone")
    project = empty_project("edited")
    project.call("train", **DIGITS)
    values = {"reproduce": project.run_id(), "tracking": tracking}
    command = from_python(TrainConfig, values)
    start = {"server": None, "experiment": command.config.recorded_in}
    with (
        project.captured() as printed,
        start_tracker(project.outputs, **start) as tracker,
    ):
        settings.write_text(f"{settings.read_text()}# an edit\n")
        train(command, tracker)
    assert "reproduced byte for byte" in printed.getvalue()
    assert "uncommitted code" not in printed.getvalue()


def test_the_report_names_another_processor_and_another_patch(own_copy):
    for tag, value in {"processor": "Z80", "git.diff": "another patch"}.items():
        own_copy.client.set_tag(own_copy.run_id(), tag, value)
    recorded = find_training_run(own_copy.run_id(), store=own_copy.outputs)
    training = read_training_run(recorded)
    now = provenance.tags(provenance.code_state())
    report = compare(recorded, training, training, now)
    assert report.startswith("reproduced byte for byte:\n  recorded ")
    assert "\ndespite these differences:\n  " in report
    assert f"\n  processor: Z80, now {now['processor']}" in report
    changed = "uncommitted code (SHA-256 hash of code.diff): another patch, now "
    assert f"\n  {changed}" in report


def test_the_report_also_counts_weights_that_differ_only_in_the_sign_of_a_zero(
    own_copy,
):
    run = find_training_run(own_copy.run_id(), store=own_copy.outputs)
    training = read_training_run(run)
    positive, negative = (
        replace(training, epochs=[*training.epochs[:-1], replace(last, tensors=zeros)])
        for last in [training.last]
        for zero in (0.0, -0.0)
        for zeros in [{**last.tensors, "layer_2.bias": np.full(10, zero, np.float32)}]
    )
    with pytest.raises(PartlyFailed, match=r"weights: 10 of [\d,]+ differ, by 0 at m"):
        compare(run, positive, negative, run.tags)
    assert compare(run, positive, positive, run.tags).startswith("reproduced byte for")
