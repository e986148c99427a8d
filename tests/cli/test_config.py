import pytest

from pipeline.cli import config
from pipeline.cli.command import help_text
from pipeline.cli.config import CONF_DIR, ConfigError, defaults, load_yaml, validate
from pipeline.cli.schema import (
    EvaluateConfig,
    InspectConfig,
    PredictConfig,
    SyncConfig,
    TrainConfig,
)

SCHEMAS = [TrainConfig, EvaluateConfig, InspectConfig, PredictConfig, SyncConfig]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_defaults_are_valid_for_every_stage(schema):
    values = validate(schema, defaults()).model_dump()
    assert values == {key: defaults()[key] for key in values}


def test_every_key_of_the_configuration_is_an_option_of_a_stage():
    assert {*defaults()} == {key for schema in SCHEMAS for key in schema.model_fields}


def test_every_default_has_a_comment_with_its_meaning():
    for line in (CONF_DIR / "config.yaml").read_text().splitlines():
        assert line.startswith("#") or len(line.split(" # ")[1]) > 10


@pytest.mark.parametrize("text", ["hidden: [", "hidden: ${hiden}"])
def test_a_file_of_conf_that_is_not_yaml_is_named(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"cannot read .*x\.yaml: "):
        load_yaml(tmp_path / "x.yaml")


def test_help_has_each_option_with_its_default_and_comment():
    text = help_text("python -m pipeline.train", "Trains.", TrainConfig, sweeps=True)
    assert text.startswith("python -m pipeline.train [key=value ...]\n\nTrains.\n")
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    for key in TrainConfig.model_fields:
        assert any(option.startswith(f"{key}=") for option in options)
    assert "hidden_sizes or learning_rates" in text
    assert max(map(len, text.splitlines())) <= 88


def test_outputs_can_be_moved_and_outlive_the_copy_of_a_dvc_experiment(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", "")  # the same as unset
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert config.outputs_dir() == config.store_dir() == config.ROOT / "outputs"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert config.outputs_dir() == config.ROOT / "outputs"
    assert config.store_dir() == tmp_path / "outputs"
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(tmp_path / "x"))
    assert config.outputs_dir() == config.store_dir() == tmp_path / "x"


@pytest.mark.parametrize(
    "server",
    ["127.0.0.1:5000", "file:///etc", "http://", "http://[::1", "http://me:x@h"],
)
def test_a_server_that_is_not_an_address_or_has_a_password_is_refused(server):
    rule = "must not contain a password" if "@" in server else "must be an address such"
    with pytest.raises(ConfigError, match=rule):
        validate(TrainConfig, defaults() | {"server": server})


def test_the_default_server_is_the_tracking_uri_of_the_environment(monkeypatch):
    address = "https://example.org"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert validate(TrainConfig, defaults()).server == address
    local = "http://127.0.0.1:5000"
    assert validate(TrainConfig, defaults() | {"server": local}).server == local
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host")
    with pytest.raises(ConfigError, match=r"\(from MLFLOW_TRACKING_URI\) must not con"):
        validate(TrainConfig, defaults())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///outputs/mlflow.db")
    assert validate(SyncConfig, defaults()).server is None
