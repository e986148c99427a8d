"""What a training run needs is compared with what this machine has."""

import pytest

from pipeline import UserError
from pipeline.training import size

LARGEST = {"hidden": 10_000, "epochs": 10_000, "dataset": "digits"}


def test_a_training_run_that_needs_too_much_memory_is_rejected_before_it_is_recorded(
    project,
):
    with pytest.raises(
        UserError, match=r"^the training run needs 1,2[0-9.]+ GB of mem"
    ):
        project.call("train", **LARGEST)
    assert not project.runs() and not (project.outputs / "checkpoints").exists()


def test_a_training_run_that_needs_too_much_disk_space_is_rejected_in_the_same_way(
    project, monkeypatch
):
    monkeypatch.setattr(size, "free_memory", lambda: 10**19)
    monkeypatch.setattr(size, "weight_history_bytes", lambda _: 10**18)
    with pytest.raises(UserError, match=r"^the training run needs about") as error:
        project.call("train", **LARGEST)
    assert f" is free in {project.outputs}: delete files" in str(error.value)
    assert not project.runs() and not (project.outputs / "checkpoints").exists()


@pytest.mark.parametrize(("tracking", "copies"), [("none", 2), ("mlflow", 3)])
def test_each_copy_of_the_weight_history_needs_space(
    project, monkeypatch, tracking, copies
):
    monkeypatch.setattr(size, "free_memory", lambda: 10**19)
    monkeypatch.setattr(size, "weight_history_bytes", lambda _: 10**18)
    needed = f"needs about {copies},000,000,000.0 GB of disk space"
    with pytest.raises(UserError, match=needed):
        project.call("train", dataset="digits", tracking=tracking)
