import numpy as np
import pytest
import torch

from pipeline.model import Network
from pipeline.training import Adam, fit, open_checkpoint, training_digest


def new_training(seed=1):
    generator = torch.Generator().manual_seed(seed)
    network = Network(hidden=20, generator=generator)
    return network, Adam(network, lr=0.001), generator


def train(split, training, epochs):
    network, adam, generator = training
    return fit(
        network,
        adam,
        train=split.train,
        val=split.val,
        epochs=epochs,
        batch_size=32,
        generator=generator,
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints" / "digest"


def interrupt(folder, split, *, after):
    """Train in a process that ends after this epoch; return its checkpoint."""
    training = new_training()
    with (
        pytest.raises(KeyboardInterrupt),
        open_checkpoint(folder, *training, resume=True) as checkpoint,
    ):
        checkpoint.save()
        for epoch in train(split, training, range(1, after + 1)):
            checkpoint.save(epoch)
        raise KeyboardInterrupt
    return checkpoint.folder


def restored_epochs(folder, *, resume=True):
    with (
        pytest.raises(KeyboardInterrupt),
        open_checkpoint(folder, *new_training(), resume=resume) as checkpoint,
    ):
        restored = checkpoint.restore()
        raise KeyboardInterrupt
    return [state.epoch for state in restored]


def unfinished(folder):
    return sorted(path for path in folder.parent.glob("*/*") if path.is_dir())


def test_a_resumed_training_ends_with_the_same_bits(folder, few):
    whole = new_training()
    expected = list(train(few, whole, range(1, 6)))
    interrupt(folder, few, after=2)
    metrics = []
    for epochs in ((3, 4), (5,)):  # it is interrupted and resumed twice
        training = new_training(seed=9)  # all of it is replaced
        with (
            pytest.raises(KeyboardInterrupt),
            open_checkpoint(folder, *training, resume=True) as checkpoint,
        ):
            restored = checkpoint.restore()
            assert [state.epoch for state in restored] == list(range(epochs[0]))
            for epoch in train(few, training, epochs):
                checkpoint.save(epoch)
                metrics.append(epoch.metrics)
            raise KeyboardInterrupt
    for name, tensor in whole[0].state_dict().items():
        assert torch.equal(training[0].state_dict()[name], tensor)
    metrics = [state.metrics for state in restored[1:3]] + metrics
    assert metrics == [epoch.metrics for epoch in expected]


def test_the_history_is_restored_exactly(folder, few):
    interrupt(folder, few, after=1)
    initial = new_training()[0].layer_1.weight.detach().numpy()
    with open_checkpoint(folder, *new_training(seed=9), resume=True) as checkpoint:
        first, last = checkpoint.restore()
    np.testing.assert_array_equal(first.tensors["layer_1.weight"], initial)
    assert first.metrics == {} and first.seconds == 0 < first.time <= last.time
    assert last.seconds > 0


def test_the_folder_is_removed_when_the_training_is_finished(folder, few):
    path = interrupt(folder, few, after=1)
    assert unfinished(folder) == [path]
    with open_checkpoint(folder, *new_training(), resume=True):
        pass
    assert [path.name for path in folder.parent.iterdir()] == [".lock"]


def test_a_running_training_is_not_resumed(folder):
    with open_checkpoint(folder, *new_training(), resume=True) as one:
        one.save()
        with open_checkpoint(folder, *new_training(), resume=True) as other:
            assert one.folder != other.folder and one.lease != other.lease
            assert other.restore() == []
        assert unfinished(folder) == [one.folder]


def test_the_lease_is_the_folder_below_the_store(folder):
    with open_checkpoint(folder, *new_training(), resume=True) as checkpoint:
        assert folder.parent.parent / checkpoint.lease == checkpoint.folder


def test_a_training_with_another_digest_is_not_resumed(folder, few):
    interrupt(folder, few, after=1)
    with open_checkpoint(folder.parent / "other", *new_training(), resume=True) as new:
        assert new.restore() == []
    assert len(unfinished(folder)) == 1


def test_the_killed_training_with_the_most_epochs_is_resumed(folder, few):
    with (
        pytest.raises(KeyboardInterrupt),
        open_checkpoint(folder, *new_training(), resume=True) as shortest,
    ):
        shortest.save()
        longest = interrupt(folder, few, after=2)
        raise KeyboardInterrupt
    (folder / "killed before its first epoch").mkdir()
    with open_checkpoint(folder, *new_training(), resume=True) as checkpoint:
        assert checkpoint.folder == longest
    assert shortest.folder in unfinished(folder)


def test_resume_false_removes_killed_trainings(folder, few):
    before = interrupt(folder, few, after=1)
    with open_checkpoint(folder, *new_training(), resume=False) as checkpoint:
        assert checkpoint.restore() == []
        assert unfinished(folder) == [checkpoint.folder] != [before]


@pytest.mark.parametrize("tail", [b"", b"part of a record", None])
def test_an_epoch_without_its_state_is_trained_again(folder, few, tail):
    path = interrupt(folder, few, after=1) / "history"
    history = path.read_bytes()
    # What a kill leaves after it appended a part or the whole of a record.
    path.write_bytes(history + (history[-70_000:] if tail is None else tail))
    assert restored_epochs(folder) == [0, 1]
    training = new_training()
    with (
        pytest.raises(KeyboardInterrupt),
        open_checkpoint(folder, *training, resume=True) as checkpoint,
    ):
        checkpoint.restore()
        for epoch in train(few, training, (2,)):
            checkpoint.save(epoch)
        raise KeyboardInterrupt
    assert path.read_bytes().startswith(history)
    assert restored_epochs(folder) == [0, 1, 2]


def test_a_training_killed_before_its_first_state_starts_again(folder, few):
    path = interrupt(folder, few, after=0)
    (path / "state").unlink()
    training = new_training()
    with (
        pytest.raises(KeyboardInterrupt),
        open_checkpoint(folder, *training, resume=True) as checkpoint,
    ):
        assert checkpoint.restore() == []
        checkpoint.save()
        raise KeyboardInterrupt
    assert restored_epochs(folder) == [0]


def cut(content):
    return content[:100]


def with_a_flipped_bit(content):
    return content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:]


@pytest.mark.parametrize("name", ["state", "history"])
@pytest.mark.parametrize("damage", [cut, with_a_flipped_bit, None])
def test_a_damaged_file_is_refused_with_the_remedy(folder, few, name, damage):
    path = interrupt(folder, few, after=2) / name
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    elif name == "history":
        path.unlink()
    else:  # without a state, nothing was saved
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"/{name} is damaged: resume=false starts"):
        restored_epochs(folder)
    assert restored_epochs(folder, resume=False) == []


def test_a_folder_that_was_being_removed_is_not_resumed(folder, few):
    path = interrupt(folder, few, after=1)
    path.rename(folder.parent / ".removed")  # where a kill may leave it
    with open_checkpoint(folder, *new_training(), resume=True) as checkpoint:
        assert checkpoint.folder != path and checkpoint.restore() == []
    assert [path.name for path in folder.parent.iterdir()] == [".lock"]


def test_the_digest_depends_on_the_values_and_not_on_their_order():
    digest = training_digest({"hidden": 20, "lr": 0.001})
    assert digest == training_digest({"lr": 0.001, "hidden": 20})
    assert digest != training_digest({"hidden": 21, "lr": 0.001})
