import pytest

from pipeline.datasets import REGISTRY, DatasetSpec

TOYS = tuple(f"toy {letter}" for letter in "ABCDEFGHIJ")


def test_an_entry_is_all_that_a_new_data_set_needs(empty_project, few, monkeypatch):
    toys = DatasetSpec(
        "toys",
        read=lambda folder: (few.train, few.val),
        class_names=TOYS,
        noun="toy",
        plural="toys",
        prepared_as_mnist=False,
    )
    monkeypatch.setitem(REGISTRY, "toys", toys)
    workspace = empty_project("toys")
    stages = {
        "data": {"dataset": "toys"},
        "train": {"dataset": "toys", "epochs": 1},
        "evaluate": {"sets": ["toys"]},
        "predict": {"images": 0},
        "inspect": {},
    }
    printed = {stage: workspace.call(stage, **keys) for stage, keys in stages.items()}
    label = TOYS[few.val.labels[0]]
    assert f"its label is {label}\n" in printed["train"]
    assert f"toys test image 0: The network says {label} (" in printed["predict"]
    for stage in ("data", "predict", "inspect"):
        assert all(name in printed[stage] for name in TOYS)
    assert not [stage for stage, text in printed.items() if "digit" in text]


def test_an_entry_without_ten_class_names_is_refused():
    with pytest.raises(ValueError, match="toys must have 10 class names, has 9"):
        DatasetSpec("toys", read=lambda folder: None, class_names=TOYS[:9])
