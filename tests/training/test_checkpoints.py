import numpy as np
import pytest
import torch

from pipeline.model.network import Network
from pipeline.training import checkpoints
from pipeline.training.checkpoints import EpochState, open_checkpoint
from pipeline.training.loop import Adam, fit


def begun(seed=1):
    generator = torch.Generator().manual_seed(seed)
    network = Network(hidden=20, generator=generator)
    return network, Adam(network, lr=0.001), generator


def train(split, network, adam, generator, epochs):
    return fit(
        network,
        adam,
        train=split.train,
        val=split.val,
        epochs=epochs,
        batch_size=32,
        generator=generator,
    )


def interrupted(folder, split, *, after):
    """Train, and be interrupted when so many epochs are kept."""
    with (
        pytest.raises(KeyboardInterrupt),
        open_checkpoint(folder, "d", resume=True) as ours,
    ):
        network, adam, generator = begun()
        ours.keep(EpochState.now(network), adam, generator)
        for epoch in train(split, network, adam, generator, range(1, after + 1)):
            ours.keep(EpochState.now(network, epoch), adam, generator)
        raise KeyboardInterrupt


def folders(checkpoints):
    return [path for path in checkpoints.glob("*/*") if path.is_dir()]


def test_a_training_that_is_carried_on_ends_with_the_same_bits(tmp_path, few):
    whole, adam, generator = begun()
    history = list(train(few, whole, adam, generator, range(1, 5)))
    interrupted(tmp_path, few, after=2)
    with open_checkpoint(tmp_path, "d", resume=True) as ours:
        network, adam, generator = begun(seed=9)  # all of it is replaced
        moments = ours.restore(network, adam, generator)
        rest = list(train(few, network, adam, generator, range(3, 5)))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert [moment.epoch for moment in moments] == [0, 1, 2]
    metrics = [moment.metrics for moment in moments[1:]] + [e.metrics for e in rest]
    assert metrics == [epoch.metrics for epoch in history]


def test_the_epochs_before_are_remembered_exactly(tmp_path, few):
    interrupted(tmp_path, few, after=1)
    network, adam, generator = begun()
    initial = network.layer_1.weight.detach().numpy().copy()
    with open_checkpoint(tmp_path, "d", resume=True) as ours:
        first, _ = ours.restore(network, adam, generator)
    np.testing.assert_array_equal(first.tensors["layer_1.weight"], initial)
    assert first.metrics == {} and first.time > 0


def test_the_folder_goes_when_the_training_is_finished(tmp_path, few):
    interrupted(tmp_path, few, after=1)
    assert len(folders(tmp_path)) == 1
    with open_checkpoint(tmp_path, "d", resume=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_beside_a_living_training_a_new_one_begins(tmp_path, few):
    with open_checkpoint(tmp_path, "d", resume=True) as one:
        with open_checkpoint(tmp_path, "d", resume=True) as two:
            assert one.folder != two.folder
            assert two.restore(*begun()) == []
        assert one.folder.exists() and not two.folder.exists()


def test_trainings_of_other_numbers_are_left_alone(tmp_path, few):
    interrupted(tmp_path, few, after=1)
    with open_checkpoint(tmp_path, "e", resume=True) as ours:
        assert ours.restore(*begun()) == []
    assert len(folders(tmp_path)) == 1


def test_of_several_dead_trainings_the_furthest_is_carried_on(tmp_path, few):
    with open_checkpoint(tmp_path, "d", resume=True):
        interrupted(tmp_path, few, after=2)
    interrupted_folder = folders(tmp_path)[0]
    (interrupted_folder.parent / "another").mkdir()
    with open_checkpoint(tmp_path, "d", resume=True) as ours:
        assert ours.folder == interrupted_folder
    assert [path.name for path in folders(tmp_path)] == ["another"]


def test_resume_false_forgets_what_was_killed(tmp_path, few):
    interrupted(tmp_path, few, after=1)
    before = folders(tmp_path)
    with open_checkpoint(tmp_path, "d", resume=False) as ours:
        assert ours.restore(*begun()) == []
        assert folders(tmp_path) == [ours.folder] != before


def test_what_a_training_reached_before_it_failed_is_kept(tmp_path):
    with (
        pytest.raises(FloatingPointError),
        open_checkpoint(tmp_path, "d", resume=True) as ours,
    ):
        ours.keep(EpochState.now(begun()[0]), *begun()[1:])
        raise FloatingPointError
    with open_checkpoint(tmp_path, "d", resume=True) as ours:
        assert [m.epoch for m in ours.restore(*begun())] == [0]


def test_an_epoch_without_its_state_was_not_reached(tmp_path, few):
    interrupted(tmp_path, few, after=1)
    (folder,) = folders(tmp_path)
    # What a kill between the two files of epoch 2 leaves.
    (folder / "epoch-00002.safetensors").write_bytes(b"")
    with open_checkpoint(tmp_path, "d", resume=True) as ours:
        moments = ours.restore(*begun())
    assert [moment.epoch for moment in moments] == [0, 1]


def cut(content):
    return content[:100]


def with_a_flipped_bit(content):
    return content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:]


@pytest.mark.parametrize("name", ["state", "epoch-00001"])
@pytest.mark.parametrize("damaged", [cut, with_a_flipped_bit])
def test_a_damaged_file_is_refused_with_the_remedy(tmp_path, few, name, damaged):
    interrupted(tmp_path, few, after=2)
    path = folders(tmp_path)[0] / f"{name}.safetensors"
    path.write_bytes(damaged(path.read_bytes()))
    with (
        pytest.raises(ValueError, match=r"is damaged .* resume=false starts anew"),
        open_checkpoint(tmp_path, "d", resume=True) as ours,
    ):
        ours.restore(*begun())
    with open_checkpoint(tmp_path, "d", resume=False) as ours:
        assert ours.restore(*begun()) == []


def test_a_training_that_was_being_forgotten_is_not_carried_on(tmp_path, few):
    interrupted(tmp_path, few, after=1)
    (folder,) = folders(tmp_path)
    folder.rename(tmp_path / ".forgotten")  # where a kill may leave it
    with open_checkpoint(tmp_path, "d", resume=True) as ours:
        assert ours.folder.name != folder.name and ours.restore(*begun()) == []
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_digests_tell_numbers_apart_and_not_their_order():
    one = checkpoints.training_digest({"hidden": 20, "lr": 0.001})
    assert one == checkpoints.training_digest({"lr": 0.001, "hidden": 20})
    assert one != checkpoints.training_digest({"hidden": 21, "lr": 0.001})
