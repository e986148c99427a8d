import shutil

import pytest

from pipeline.datasets import REGISTRY, DatasetSpec
from pipeline.datasets.download import RawFiles
from pipeline.records.dataset_names import is_name, name_or_folder


def test_data_sets_have_a_hash_of_code_unless_their_files_have_known_hashes():
    for spec in REGISTRY.values():
        has_known_files = isinstance(getattr(spec.read, "__self__", None), RawFiles)
        assert has_known_files == (spec.reader_sha256 is None)


def test_a_name_is_that_of_a_registered_or_imported_data_set_and_not_a_folder(
    prepared_digits, tmp_path, monkeypatch
):
    for other in ("toys", "toys-0123456", "toys-01234567"):
        shutil.copy(prepared_digits / "digits.json", tmp_path / f"{other}.json")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toys-0123456").mkdir()
    for name in ("digits", "toys-01234567"):
        assert is_name(name)
        assert name_or_folder(name, folder=tmp_path) == name
    for folder in ("toys-0123456", "."):
        assert not is_name(folder)
        path = str((tmp_path / folder).resolve())
        assert name_or_folder(folder, folder=tmp_path) == path
    for unknown in ("toys", "toys-76543210"):
        with pytest.raises(ValueError, match="or an existing folder"):
            name_or_folder(unknown, folder=tmp_path)


TOYS = tuple(f"toy {letter}" for letter in "ABCDEFGHIJ")


def test_a_name_and_an_entry_are_all_that_a_new_data_set_needs(
    empty_project, few, register
):
    toys = DatasetSpec(
        "toys",
        read=lambda folder: (few.train, few.val),
        class_names=TOYS,
        noun="toy",
        plural="toys",
        preprocessed_as_mnist=False,
    )
    register(toys)
    workspace = empty_project("toys")
    stages = {
        "data": {"dataset": "toys"},
        "train": {"dataset": "toys", "epochs": 1},
        "evaluate": {"sets": ["toys"]},
        "predict": {"images": 0},
        "inspect": {},
    }
    printed = {stage: workspace.call(stage, **keys) for stage, keys in stages.items()}
    printed["worksheet"] = workspace.call("inspect", neuron="N28")
    label = TOYS[few.val.labels[0]]
    assert f"its label is {label} " in " ".join(printed["train"].split())
    assert f"toys test image 0: the network predicts {label} (" in printed["predict"]
    assert f"N28: neuron 8 of layer 2, for {TOYS[7]}" in printed["worksheet"]
    for stage in ("data", "predict", "inspect", "worksheet"):
        assert all(name in printed[stage] for name in TOYS)
    assert not [stage for stage, text in printed.items() if "digit" in text]
