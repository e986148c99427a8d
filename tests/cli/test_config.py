from pathlib import Path

import pytest

from pipeline.cli import paths
from pipeline.cli.config import (
    ConfigError,
    defaults,
    run_name,
    source_hashes,
    validate,
)
from pipeline.cli.schema import (
    EvaluateConfig,
    InspectConfig,
    PredictConfig,
    TrainConfig,
)


def test_the_defaults_are_those_of_the_exercise():
    assert defaults() == {
        "dataset": "mnist",
        "split": "exercise",
        "hidden": 20,
        "epochs": 20,
        "batch_size": 32,
        "lr": 0.001,
        "seed": 1,
        "run": None,
        "model": None,
        "sets": None,
        "prepare": None,
        "images": 0,
        "neuron": None,
        "image": None,
        "weight": None,
        "arrays": False,
        "against": None,
        "reproduce": None,
        "tracking": "mlflow",
        "server": None,
        "resume": True,
    }
    for keys in (TrainConfig, EvaluateConfig, InspectConfig, PredictConfig):
        known = validate(keys, defaults()).model_dump()
        assert known == {key: defaults()[key] for key in known}


def test_a_key_that_no_one_knows_is_refused_in_experiments_too():
    with pytest.raises(ConfigError, match="there is no key 'hiden'"):
        validate(TrainConfig, defaults() | {"hiden": 3})


def test_a_training_is_named_by_hidden_seed_and_what_is_unusual():
    assert run_name(defaults()) == "hidden=20 seed=1"
    unusual = defaults() | {"hidden": 40, "lr": 0.01, "tracking": "none"}
    assert run_name(unusual) == "hidden=40 seed=1 lr=0.01"


def test_the_code_of_a_stage_is_what_dvc_yaml_names():
    known = source_hashes("train")
    assert {"pipeline/loop.py", "pipeline/train.py"} <= set(known)
    assert not {path for path in known if not path.startswith("pipeline/")}
    assert {len(sha256) for sha256 in known.values()} == {64}


def test_every_default_carries_its_unit_or_reason():
    for line in (paths.CONF_DIR / "config.yaml").read_text().splitlines():
        assert line.startswith("#") or len(line.split(" # ")[1]) > 10


def test_every_line_of_the_configuration_is_in_the_schema():
    read = {
        key
        for keys in (TrainConfig, EvaluateConfig, InspectConfig, PredictConfig)
        for key in keys.model_fields
    }
    assert set(defaults()) == read


def test_paths_are_the_projects_own():
    assert Path(__file__).resolve().parent.parent == paths.ROOT
