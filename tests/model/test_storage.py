import json
import os

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save

from pipeline.model import Network, load_trained_model, storage


def network(hidden=7):
    return Network(hidden=hidden, generator=torch.Generator().manual_seed(1))


def test_a_loaded_network_is_the_saved_one_and_has_no_run(tmp_path, few):
    path, saved = tmp_path / "model.safetensors", network()
    sha256 = storage.save_model(path, saved, {"seed": 1})
    trained = load_trained_model(path)
    images = few.val.images
    assert torch.equal(trained.network.logits(images), saved.logits(images))
    assert (trained.run_id, trained.sha256) == (None, sha256)
    assert trained.metadata == {"seed": 1, "hidden": 7}


def test_equal_networks_have_equal_bytes_with_four_tensors_and_sorted_json(tmp_path):
    metadata = {"seed": 1, "lr": 0.001, "dataset": "Zürich"}
    paths = [tmp_path / name for name in ("a", "b", "c")]
    assert len({storage.save_model(path, network(), metadata) for path in paths}) == 1
    assert paths[0].read_bytes() == paths[2].read_bytes()
    with safe_open(paths[0], "np") as stored:
        names = {f"layer_{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")}
        assert {*stored.keys()} == names
        (about,) = stored.metadata().values()
    written = {**metadata, "hidden": 7, "version": storage.VERSION}
    assert [*json.loads(about).items()] == sorted(written.items())


def test_the_sha256_of_a_network_is_that_of_its_tensors_not_of_its_metadata(tmp_path):
    paths = [tmp_path / name for name in ("a", "b")]
    options = {"seed": 1}, {"seed": 1, "a new key": "its value"}
    hashes = {
        storage.save_model(path, network(), metadata)
        for path, metadata in zip(paths, options, strict=True)
    }
    assert paths[0].read_bytes() != paths[1].read_bytes()
    assert {load_trained_model(path).sha256 for path in paths} == hashes
    tensors = storage.snapshot(network())
    assert hashes == {storage.tensors_sha256(dict(reversed(tensors.items())))}
    bias = tensors["layer_2.bias"]
    for changed in (
        np.nextafter(bias, 1),
        -bias * 0,  # -0.0 equals 0.0, but is another value
        bias.astype(np.float64),
        bias.reshape(2, 5),
        bias.view(np.int32),
    ):
        assert storage.tensors_sha256(tensors | {"layer_2.bias": changed}) not in hashes
    assert storage.tensors_sha256({**tensors, "another": bias}) not in hashes


def test_a_missing_network_is_refused_with_the_command_that_creates_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"python -m pipeline\.train creates"):
        storage.load_network(tmp_path / "train" / "model.safetensors")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing$"):
        storage.load_network(tmp_path / "other" / "model.safetensors")
    with pytest.raises(ValueError, match="is not a safetensors file: it is a folder"):
        storage.load_network(tmp_path)


DAMAGED = {
    "another shape": ({"layer_1.bias": np.zeros(3, np.float32)}, "{}"),
    "NaN": ({"layer_2.bias": np.full(10, np.nan, np.float32)}, "{}"),
    "a bias without axis": ({"layer_1.bias": np.array(1.0, np.float32)}, "{}"),
    "logits that overflow": ({"layer_1.bias": np.full(7, 3e38, np.float32)}, "{}"),
    "epochs as text": ({}, '{"epochs": "abc", "version": 1}'),
    "hidden that differs": ({}, '{"hidden": 8, "version": 1}'),
    "metadata that are a list": ({}, "[]"),
    "metadata that are nested too deeply": ({}, "[" * 10_000),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_file_that_is_not_a_network_is_refused_by_name(tmp_path, kind):
    tensors, about = DAMAGED[kind]
    content = save(storage.snapshot(network()) | tensors, {"about": about})
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.safetensors") as refused:
        storage.load_network(tmp_path / "x.safetensors")
    assert len(str(refused.value)) < 800


@pytest.mark.parametrize("version", ['"version": 2, ', '"version": "1", ', ""])
def test_a_file_of_another_version_is_refused_with_the_remedy(tmp_path, version):
    path = tmp_path / "x.safetensors"
    about = {"about": f'{{{version}"seed": 1}}'}
    path.write_bytes(save(storage.snapshot(network()), about))
    rule = r"x\.safetensors was written by another version .* must be 1, got .*train"
    with pytest.raises(ValueError, match=rule):
        storage.load_network(path)
    with pytest.raises(ValueError, match=rule):
        storage.load_detector(path, network="a hash")
    path = path.replace(tmp_path / "history.safetensors")
    storage.save_model(tmp_path / "model.safetensors", network(), {})
    with pytest.raises(ValueError, match=rule.replace("x", "history", 1)):
        _ = load_trained_model(tmp_path / "model.safetensors").history


@pytest.mark.parametrize("content", ["[]", "{}", "", "run", '{"run_id": "a\'b"}'])
def test_a_damaged_run_json_is_refused_by_name(tmp_path, content):
    storage.save_model(tmp_path / "model.safetensors", network(), {})
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        load_trained_model(tmp_path / "model.safetensors")


def test_the_metrics_of_each_epoch_are_read_and_checked(tmp_path):
    storage.save_model(tmp_path / "model.safetensors", network(), {"epochs": 2})
    table, path = "epoch,val/loss\n1,0.5\n2,0.25\n", tmp_path / "history.csv"

    def read():
        return load_trained_model(tmp_path / "model.safetensors").curves

    assert read() == {}
    path.write_text(table)
    assert read() == {"val/loss": [0.5, 0.25]}
    for text, error in [
        ("", "damaged"),
        (table + "3", "damaged"),
        (table.replace("0.5", "half"), "damaged"),
        (table + "3,0.1\n", "does not belong"),
        (table.replace("0.25", "nan"), "does not belong"),
        ("epoch,val/loss\n", "damaged"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"history\.csv .*{error}"):
            read()


def test_a_named_pipe_beside_a_network_is_not_read(tmp_path):
    storage.save_model(tmp_path / "model.safetensors", network(), {})
    os.mkfifo(tmp_path / "run.json")
    os.mkfifo(tmp_path / "history.safetensors")
    os.mkfifo(tmp_path / "history.csv")
    trained = load_trained_model(tmp_path / "model.safetensors")
    assert trained.run_id is None and trained.curves == {}
    with pytest.raises(
        ValueError, match=r"history\.safetensors is not a safetensors file"
    ):
        _ = trained.history
