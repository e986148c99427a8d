"""A network that a command has selected does not change while the command runs."""

import shutil

import pytest
import torch

from pipeline import UserError
from pipeline.base.paths import store_dir
from pipeline.core.network import Dense
from pipeline.model import (
    load_detector,
    load_history_files,
    load_trained_network,
    locked_network,
    select_network,
)
from pipeline.records.file_names import MODEL_FILE
from pipeline.train import sweep


def test_a_training_run_that_ends_after_the_selection_does_not_change_it(empty_project):
    project = empty_project("selected", store=False)
    keys = {"dataset": "digits", "epochs": 2, "tracking": "none"}
    project.call("train", hidden=8, **keys)
    with (
        project.captured(),
        locked_network(run=None, model=None, store=store_dir()) as trained,
    ):
        histories = load_history_files(trained)
    project.call("train", hidden=5, **keys)
    assert histories.weights["layer_1.weight"].shape == (3, 8, 784)
    detector = load_detector(trained, folder=project.outputs / "data")
    assert detector.components.means.shape == (10, 784)


def test_a_missing_network_is_rejected_with_the_command_that_creates_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(tmp_path))
    with pytest.raises(UserError, match=r"run python -m pipeline\.train$"):
        select_network(run=None, model=None, store=tmp_path)


def test_dvc_gets_no_results_of_a_network_with_other_settings(
    empty_project, monkeypatch
):
    project = empty_project("replaced", store=False)
    keys = {"dataset": "digits", "epochs": 1, "tracking": "none"}
    project.call("train", hidden=8, **keys)
    monkeypatch.setenv("DVC_STAGE", "evaluate")
    rule = (
        "was trained with hidden=8 dataset=digits epochs=1, but conf/config.yaml has "
        "hidden=20 dataset=mnist epochs=20: another command has replaced the network; "
        "run the same DVC command with --force"
    )
    for stage in ("evaluate", "inspect", "export"):
        with pytest.raises(UserError, match=f"{rule}$"):
            project.call(stage, tracking="none")
        assert not (project.outputs / stage).exists()
    model = str(project.trained(MODEL_FILE))
    project.call("inspect", model=model, arrays=True)  # model= accepts any network
    with pytest.raises(UserError, match=r"^model must be an existing file, got "):
        project.call("inspect", model=f"{model}.old", arrays=True)


def test_stages_that_assume_two_layers_reject_others(finished):
    trained = load_trained_network(finished.outputs / "train" / MODEL_FILE)
    assert trained.require_two_layers() is trained
    trained.network.layer_3 = Dense(10, 10, generator=torch.Generator())
    with pytest.raises(UserError, match=r"3 layers \(784 -> 20 -> 10 -> 10\).*two"):
        trained.require_two_layers()


def test_a_network_that_replaced_the_recorded_one_is_rejected_by_all_stages(
    project, worker
):
    with project.captured():
        result = sweep(dataset="digits", epochs=1, hidden=5, seed=[1, 2])
    best = result.best
    (other,) = (each for each in result.outcomes if each is not best)
    runs, recorded = len(project.runs()), load_trained_network(best.network_path)
    shutil.copyfile(other.network_path, best.network_path)
    found = load_trained_network(best.network_path)
    hashes = f"{recorded.weights_sha256}, got {found.weights_sha256}"
    rule = rf"model\.safetensors must .*{best.run_id}.*weights.sha256 {hashes}: "
    own = str(other.network_path)
    with project.captured(), pytest.raises(UserError, match=rule):
        result.load_best()
    for read in (
        lambda: project.call("evaluate", run=best.run_id),
        lambda: project.call("inspect", model=own, against=best.run_id),
        lambda: project.call("export", sweep=result.run_id),
        lambda: project.call("train", reproduce=best.run_id),
    ):
        with pytest.raises(UserError, match=rule):
            read()
    assert len(project.runs()) == runs
