import json
import re

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save

from pipeline import UserError
from pipeline.base.tensors import tensors_sha256
from pipeline.cli import defaults
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.network import snapshot
from pipeline.model import load_history_files, load_trained_network, storage
from pipeline.training.run_names import network_name

TRAINED = {**defaults(), "hidden": 7, "split": "holdout", "epochs": 2}
HYPERPARAMETERS = Hyperparameters(**TRAINED)
METADATA = storage.Metadata(
    dataset="digits",
    data_sha256="0" * 64,
    hyperparameters=HYPERPARAMETERS,
    min_margin=0.25,
)


@pytest.fixture(scope="module")
def network(new_network):
    return new_network(7)


@pytest.fixture
def path(tmp_path, network):
    """The file of the network, in a folder without other files."""
    path = tmp_path / "model.safetensors"
    storage.save_network(path, network, METADATA)
    return path


def test_a_loaded_network_is_the_saved_one_and_has_no_run(path, network, few):
    trained, images = load_trained_network(path), few.val.images
    assert torch.equal(trained.network.logits(images), network.logits(images))
    assert trained.run_id is None and trained.metadata == METADATA
    assert trained.params == {"dataset": "digits", **dict(HYPERPARAMETERS)}


def test_the_header_of_a_network_is_read_as_it_was_written(tmp_path, network):
    path = tmp_path / "model.safetensors"
    storage.save_network(path, network, METADATA)
    assert storage.load_network(path)[1] == METADATA
    # Written out, because networks of earlier versions must stay readable.
    about = (
        f'{{"batch_size": 32, "data_sha256": "{"0" * 64}", "dataset": "digits", '
        '"epochs": 2, "hidden": 7, "lr": 0.001, "min_margin": 0.25, "seed": 1, '
        '"split": "holdout", "version": 1}'
    )
    assert path.read_bytes() == save(snapshot(network), {"about": about})


def test_a_network_without_metadata_has_the_defaults_of_the_exercise(path, network):
    storage.save_network(path, network)
    trained = load_trained_network(path)
    assert trained.metadata is None and trained.data_sha256 is None
    assert (trained.dataset, trained.split) == ("mnist", "exercise")
    assert trained.params == {}
    name = network_name(trained.params, dataset="mnist", sha256="0123456789")
    assert name == "01234567"


@pytest.mark.parametrize("missing", sorted(METADATA.header))
def test_incomplete_metadata_is_rejected_with_what_is_missing(path, network, missing):
    header = {key: x for key, x in METADATA.header.items() if key != missing}
    about = json.dumps({**header, "version": 1})
    path.write_bytes(save(snapshot(network), {"about": about}))
    rule = f"has invalid metadata: {missing} is missing: train the network again"
    with pytest.raises(UserError, match=rf"model\.safetensors {rule}$"):
        storage.load_network(path)


def test_a_loaded_network_can_be_in_a_set(path):
    content = {"run_id": None, "seconds": [0.5], "times": [0, 500]}
    path.with_name("run.json").write_text(json.dumps(content))
    first, second = load_trained_network(path), load_trained_network(path)
    assert len({first, first, second}) == 2


def test_equal_networks_have_equal_bytes_and_four_tensors(path, network):
    first = path.read_bytes()
    storage.save_network(path, network, METADATA)
    assert path.read_bytes() == first
    names = {f"layer_{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")}
    assert load_file(path).keys() == names


def test_the_sha256_of_a_network_is_that_of_its_tensors_not_of_its_metadata(
    path, network
):
    sha256 = load_trained_network(path).weights_sha256
    about = json.dumps({"a new key": "its value", "version": 1})
    path.write_bytes(save(snapshot(network), {"about": about}))
    assert load_trained_network(path).weights_sha256 == sha256
    tensors = snapshot(network)
    assert tensors_sha256(dict(reversed(tensors.items()))) == sha256
    bias = tensors["layer_2.bias"]
    for changed in (
        {"layer_2.bias": np.nextafter(bias, 1)},
        {"layer_2.bias": -bias * 0},  # -0.0 equals 0.0, but its bits differ
        {"layer_2.bias": bias.astype(np.float64)},
        {"layer_2.bias": bias.reshape(2, 5)},
        {"layer_2.bias": bias.view(np.int32)},
        {"another": bias},
    ):
        assert tensors_sha256(tensors | changed) != sha256


def test_a_missing_network_is_rejected_by_name(tmp_path):
    with pytest.raises(UserError, match=r"model\.safetensors is missing$"):
        storage.load_network(tmp_path / "other" / "model.safetensors")
    with pytest.raises(UserError, match="is not a safetensors file: it is a folder"):
        storage.load_network(tmp_path)


WHOLE = {**METADATA.header, "version": 1}
DAMAGED = {
    "another shape": ({"layer_1.bias": np.zeros(3, np.float32)}, "{}"),
    "NaN": ({"layer_2.bias": np.full(10, np.nan, np.float32)}, "{}"),
    "integers": ({"layer_1.bias": np.zeros(7, np.int32)}, "{}"),
    "a bias without axis": ({"layer_1.bias": np.array(1.0, np.float32)}, "{}"),
    "logits that overflow": ({"layer_1.bias": np.full(7, 3e38, np.float32)}, "{}"),
    "a setting out of bounds": ({}, json.dumps(WHOLE | {"epochs": -1})),
    "a setting of another type": ({}, json.dumps(WHOLE | {"lr": "x"})),
    "a data set that is not text": ({}, json.dumps(WHOLE | {"dataset": 1})),
    "a control character": ({}, json.dumps(WHOLE | {"dataset": "x\x1b[2J"})),
    "a data set that is a path": ({}, json.dumps(WHOLE | {"dataset": "../mnist"})),
    "a hash with a line break": (
        {},
        json.dumps(WHOLE | {"data_sha256": f"{'0' * 64}\nerror"}),
    ),
    "an empty hash": ({}, json.dumps(WHOLE | {"data_sha256": ""})),
    "hidden that differs": ({}, '{"hidden": 8, "version": 1}'),
    "a negative margin": ({}, json.dumps(WHOLE | {"min_margin": -0.1})),
    "metadata that are a list": ({}, "[]"),
    "metadata that are nested too deeply": ({}, "[" * 10_000),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_file_that_is_not_a_network_is_rejected_by_name(path, network, kind):
    tensors, about = DAMAGED[kind]
    path.write_bytes(save(snapshot(network) | tensors, {"about": about}))
    with pytest.raises(UserError, match=r"model\.safetensors") as rejected:
        storage.load_network(path)
    message = str(rejected.value)
    assert len(message) < 800 and message.isprintable()
    assert not re.search("Input should|String should|Field required", message)


@pytest.mark.parametrize("version", ['"version": 2, ', '"version": "1", ', ""])
def test_a_file_of_another_version_is_rejected_with_the_remedy(path, network, version):
    trained, content = load_trained_network(path), snapshot(network)
    for file, read in {
        path: lambda: storage.load_network(path),
        path.with_name("history.safetensors"): lambda: load_history_files(trained),
    }.items():
        file.write_bytes(save(content, {"about": f'{{{version}"seed": 1}}'}))
        rule = (
            "was written by a different version .* must be 1, got .*: create the file"
        )
        with pytest.raises(UserError, match=f"{file.name} {rule}"):
            read()


@pytest.mark.parametrize("content", ["[]", "{}", "", "run", '{"run_id": "a\'b"}'])
def test_a_damaged_run_json_is_rejected_by_name(path, content):
    path.with_name("run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json is damaged: .*; restore the files"):
        load_trained_network(path)


@pytest.mark.parametrize("name", ["run.json", "history.csv", "history.safetensors"])
def test_a_folder_in_the_place_of_a_file_is_an_error(path, name):
    path.with_name(name).mkdir()
    with pytest.raises(UserError, match=rf"{name} .*(folder|directory)"):
        load_history_files(load_trained_network(path))


def test_the_metrics_of_each_epoch_are_read_and_checked(path):
    trained = load_trained_network(path)
    assert load_history_files(trained).metrics is None
    table, history = "epoch,val/loss\n1,0.5\n2,0.25\n", path.with_name("history.csv")
    for written in (table, table + "\n", table.replace("\n", "\r\n")):
        history.write_text(written)
        assert load_history_files(trained).metrics == {"val/loss": [0.5, 0.25]}
    for text, error in [
        ("", "damaged"),
        (table + "3", "damaged"),
        (table.replace("0.5", "half"), "damaged: .*; restore the files"),
        (table + "3,0.1\n", "does not belong"),
        (table.replace("0.25", "nan"), "damaged: it contains NaN or infinity; restore"),
        (table.replace("0.25", "inf"), "damaged: it contains NaN or infinity"),
        ("epoch,val/loss,val/loss\n1,1,1\n2,1,1\n", "damaged: two columns .*; restore"),
        (table.replace("epoch", "step"), "damaged: it has no column epoch; restore"),
        ("epoch,val/loss\n", "damaged"),
    ]:
        history.write_text(text)
        with pytest.raises(UserError, match=rf"history\.csv .*{error}"):
            load_history_files(trained)
