import contextlib
import hashlib
import os

import numpy as np
import pytest
import torch

from pipeline import UserError
from pipeline.cli import defaults
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import TrainingState, fit
from pipeline.training.checkpoints import CheckpointKey, _pack, _unpack, open_checkpoint
from pipeline.training.size import weight_history_bytes

CONTEXT = {"processor": "Z80", "experiment": None}


def hyperparameters(**changed):
    return Hyperparameters(**defaults() | {"epochs": 5, **changed})


def new_state(seed=1):
    return TrainingState.initial(hyperparameters(seed=seed))


def train(split, state, epochs):
    return fit(state, split, hyperparameters(), epochs=epochs)


def open_new(store, *, seed=1, fingerprint="one", context=CONTEXT, resume=True):
    key = CheckpointKey(store, fingerprint, context)
    return open_checkpoint(key, new_state(seed), resume=resume)


@contextlib.contextmanager
def killed(store, state):
    """Open a checkpoint, and leave it as a killed process does."""
    key = CheckpointKey(store, "one", CONTEXT)
    with (
        pytest.raises(KeyboardInterrupt),
        open_checkpoint(key, state, resume=True) as checkpoint,
    ):
        yield checkpoint
        raise KeyboardInterrupt


def interrupt(store, split, *, after):
    """Train until the process is killed after this epoch; return its folder."""
    state = new_state()
    with killed(store, state) as checkpoint:
        for epoch in train(split, state, range(1, after + 1)):
            checkpoint.save(epoch)
    return checkpoint.folder


def restored_epochs(store):
    with killed(store, new_state()) as checkpoint:
        return [epoch.number for epoch in checkpoint.epochs]


def unfinished(store):
    return sorted(path for path in store.glob("checkpoints/*/*") if path.is_dir())


def test_a_resumed_training_run_ends_with_the_same_bits(tmp_path, few):
    whole = new_state()
    expected = list(train(few, whole, range(1, 6)))
    interrupt(tmp_path, few, after=2)
    metrics = []
    for epochs in ((3, 4), (5,)):  # interrupted and resumed twice
        state = new_state(seed=9)  # the whole state is replaced
        with killed(tmp_path, state) as checkpoint:
            restored = [*checkpoint.epochs]
            assert [epoch.number for epoch in restored] == list(range(epochs[0]))
            for epoch in train(few, state, epochs):
                checkpoint.save(epoch)
                metrics.append(epoch.metrics)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(state.network.state_dict()[name], tensor)
    metrics = [epoch.metrics for epoch in restored[1:3]] + metrics
    assert metrics == [epoch.metrics for epoch in expected]


def test_the_epochs_are_restored_and_then_removed_with_its_folder(tmp_path, few):
    path = interrupt(tmp_path, few, after=1)
    assert unfinished(tmp_path) == [path]
    initial = new_state().network.layer_1.weight.detach().numpy()
    with open_new(tmp_path, seed=9) as checkpoint:
        assert checkpoint.folder == path and checkpoint.id == path.name
        first, last = checkpoint.epochs
    np.testing.assert_array_equal(first.tensors["layer_1.weight"], initial)
    assert (first.number, first.metrics) == (0, {}) and 0 < first.time <= last.time
    assert last.number == 1 and last.seconds > 0
    assert os.listdir(tmp_path / "checkpoints") == []


def test_an_epoch_is_on_the_disk_before_the_state_that_includes_it(
    tmp_path, few, disk_steps
):
    state = new_state()
    with killed(tmp_path, state) as checkpoint:
        (epoch,) = train(few, state, [1])
        disk_steps.clear()
        checkpoint.save(epoch)
        saved = [(checkpoint.folder / x).stat().st_ino for x in ("epochs", "state")]
    epochs, content = saved
    steps = [("flush", epochs), ("flush", content), ("rename", content)]
    assert disk_steps == steps


def test_a_running_training_run_is_not_resumed(tmp_path):
    with open_new(tmp_path) as one:
        with open_new(tmp_path) as other:
            assert one.folder != other.folder
            assert len(other.epochs) == 1
        assert unfinished(tmp_path) == [one.folder]


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({"fingerprint": "another"}, False),
        ({"context": CONTEXT | {"processor": "another"}}, False),
        ({"context": CONTEXT | {"experiment": "another"}}, False),
        ({"context": CONTEXT | {"options": {"team": "small"}}}, False),
        ({"context": dict(reversed(CONTEXT.items()))}, True),
    ],
)
def test_only_an_equal_training_run_is_resumed(tmp_path, few, changed, is_same):
    path = interrupt(tmp_path, few, after=1)
    with open_new(tmp_path, **changed) as checkpoint:
        assert (checkpoint.folder == path) is is_same
    assert path.exists() is not is_same


def test_the_saved_bytes_are_those_of_the_checkpoint_that_would_be_resumed(
    tmp_path, few
):
    key = CheckpointKey(tmp_path, "one", CONTEXT)
    assert key.saved_bytes() == 0 and not [*tmp_path.iterdir()]
    with open_new(tmp_path):
        assert key.saved_bytes() == 0  # the training run is not killed
    folder = interrupt(tmp_path, few, after=2)
    assert key.saved_bytes() == (folder / "epochs").stat().st_size
    history = weight_history_bytes(hyperparameters(epochs=2))
    assert history < key.saved_bytes() < history + 3000
    other = CheckpointKey(tmp_path, "one", CONTEXT | {"experiment": "another"})
    assert other.saved_bytes() == 0


def test_the_killed_training_run_with_the_most_epochs_is_resumed(tmp_path, few):
    with killed(tmp_path, new_state()) as shortest:
        longest = interrupt(tmp_path, few, after=2)
    (shortest.folder.parent / "killed while it was created").mkdir()
    with open_new(tmp_path) as checkpoint:
        assert checkpoint.folder == longest
        assert len(unfinished(tmp_path)) == 2
    assert shortest.folder in unfinished(tmp_path)


@pytest.mark.parametrize("tail", [b"", b"part of a record", None])
def test_an_epoch_without_its_state_is_trained_again(tmp_path, few, tail):
    path = interrupt(tmp_path, few, after=1) / "epochs"
    epochs = path.read_bytes()
    # The state after a kill that follows a partial or complete append of a record.
    path.write_bytes(epochs + (epochs[-70_000:] if tail is None else tail))
    state = new_state()
    with killed(tmp_path, state) as checkpoint:
        assert [epoch.number for epoch in checkpoint.epochs] == [0, 1]
        for epoch in train(few, state, (2,)):
            checkpoint.save(epoch)
    assert path.read_bytes().startswith(epochs)
    assert restored_epochs(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("name", ["state", "epochs"])
def test_a_damaged_file_is_rejected_with_the_remedy(tmp_path, few, name):
    folder = interrupt(tmp_path, few, after=2)
    content = bytearray((folder / name).read_bytes())
    content[-1000] ^= 1  # test_fuzz.py has every other kind of damage
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"/{name} is damaged: resume=false starts"):
        restored_epochs(tmp_path)
    with open_new(tmp_path, resume=False) as checkpoint:
        assert len(checkpoint.epochs) == 1
        assert unfinished(tmp_path) == [checkpoint.folder] != [folder]


def edit(folder, *, state=None, tensors=None, epoch=None):
    """Edit the values of the state or of each epoch, and correct the hashes."""
    records = (folder / "epochs").read_bytes()
    ((saved, values),) = _unpack((folder / "state").read_bytes()[32:])
    if epoch:
        records = b"".join(_pack(x, epoch(y)) for x, y in _unpack(records))
        sha256 = hashlib.sha256(records).hexdigest()
        values["epochs"] = {"size": len(records), "sha256": sha256}
        (folder / "epochs").write_bytes(records)
    content = _pack(tensors(saved) if tensors else saved, {**values, **(state or {})})
    (folder / "state").write_bytes(hashlib.sha256(content).digest() + content)


NO_EPOCH = {"size": 0, "sha256": hashlib.sha256().hexdigest()}
OTHER_VERSIONS = [
    {"state": {"epochs": {}}},
    {"state": {"epochs": NO_EPOCH}},
    {"state": {"epochs": 3}},
    {"tensors": lambda tensors: {}},
    {"tensors": lambda tensors: {name: x[:-1] for name, x in tensors.items()}},
    {"epoch": lambda values: {**values, "learning_rate": 0.001}},
]


@pytest.mark.parametrize("edits", OTHER_VERSIONS)
def test_a_checkpoint_of_another_version_is_rejected_with_the_remedy(
    tmp_path, few, edits
):
    folder = interrupt(tmp_path, few, after=1)
    edit(folder)
    assert restored_epochs(tmp_path) == [0, 1]
    edit(folder, **edits)
    with pytest.raises(UserError, match=rf"{folder.name} is damaged: resume=false st"):
        restored_epochs(tmp_path)


@pytest.mark.parametrize("size", [0, 40])
@pytest.mark.parametrize("resume", [True, False])
def test_a_checkpoint_whose_context_is_unknown_is_not_used(tmp_path, few, size, resume):
    unknown = interrupt(tmp_path, few, after=2)
    context = unknown / "context.json"
    context.write_bytes(context.read_bytes()[:size])
    with open_new(tmp_path, resume=resume) as checkpoint:
        assert len(checkpoint.epochs) == 1
    assert unfinished(tmp_path) == [unknown]
    known = interrupt(tmp_path, few, after=1)  # with fewer epochs
    with open_new(tmp_path) as checkpoint:
        assert checkpoint.folder == known


def test_files_of_other_programs_among_checkpoints_are_left_alone(tmp_path, few):
    path = interrupt(tmp_path, few, after=1)
    for folder in (path.parent, path.parents[1]):
        (folder / ".DS_Store").touch()
    with open_new(tmp_path) as checkpoint:
        assert checkpoint.folder == path
    assert os.listdir(path.parent) == [".DS_Store"] and not path.exists()


def test_a_folder_that_was_being_removed_is_not_resumed(tmp_path, few):
    path = interrupt(tmp_path, few, after=1)
    left = tmp_path / "checkpoints" / f".removed-{path.name}"  # the name after a kill
    path.rename(left)
    with open_new(tmp_path) as checkpoint:
        assert checkpoint.folder != path and len(checkpoint.epochs) == 1
    assert os.listdir(tmp_path / "checkpoints") == []
