import random
import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from pipeline import config
from pipeline.config import Data, Look, Refused, Train, check, defaults, quote, read


def problems(*arguments, keys=Train):
    return read(list(arguments), keys)[1]


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
        "tracking": "mlflow",
        "resume": True,
    }
    assert check(Train, defaults()).model_dump() | {"run": None} == defaults()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("hidden=0", "hidden must be greater than or equal to 1, got 0"),
        ("hidden=-3", "hidden must be greater than or equal to 1, got -3"),
        ("hidden=abc", "hidden must be a valid integer, got 'abc'"),
        ("hidden=20.0", "hidden must be a valid integer, got 20.0"),
        ("hidden=true", "hidden must be a valid integer, got True"),
        ("hidden=", "hidden must be a valid integer, got ''"),
        ("hidden=null", "hidden must be a valid integer, got None"),
        ("hidden=[1", "hidden can't be read from '[1'"),
        ("hiden=20", "there is no key 'hiden': did you mean hidden?"),
        ("epochs=0", "epochs must be greater than or equal to 1, got 0"),
        ("lr=nan", "lr must be a finite number, got nan"),
        ("lr=inf", "lr must be a finite number, got inf"),
        ("lr=-1", "lr must be greater than 0, got -1"),
        ("batch_size=0", "batch_size must be greater than or equal to 1, got 0"),
        ("batch_size=70000", "batch_size must be less than or equal to 60000, got"),
        ("dataset=foo", "dataset must be mnist, fashion_mnist, digits or a folder"),
        ("dataset=minst", "did you mean mnist?"),
        ("dataset=", "dataset must be mnist, fashion_mnist, digits or a folder"),
        ("dataset=~nosuchuser/x", "dataset must be mnist, fashion_mnist, digits or"),
        ("dataset=" + "x" * 5000, "dataset must be mnist, fashion_mnist, digits or"),
        ("split=x", "split must be 'exercise' or 'holdout', got 'x'"),
        ("seed=-1", "seed must be greater than or equal to 0, got -1"),
        ("hidden=5,10", "hidden=5,10 are several values: add -m"),
        ("+hidden=3", "write hidden=value"),
        ("--hidden=3", "write hidden=value, with nothing before it"),
        ("dataset=mnist,digits", "a folder that exists (to train on several, add -m)"),
        ("~hidden", "'~hidden' is not of the form key=value"),
        ("hidden", "'hidden' is not of the form key=value"),
    ],
)
def test_a_bad_value_is_refused_with_key_rule_and_value(argument, message):
    (found,) = problems(argument)
    assert message in found


def test_a_refusal_ends_with_the_default():
    assert problems("lr=-1")[0].endswith("(the default is lr=0.001)")


def test_all_bad_values_are_named_at_once():
    found = problems("hidden=0", "hiden=3", "seed=-1", "split=x")
    assert [line.split()[0] for line in found] == ["there", "split", "hidden", "seed"]


def test_a_stage_refuses_keys_that_it_would_ignore():
    (found,) = problems("hidden=40", keys=Data)
    assert found == "hidden does nothing in this stage, which reads only dataset"


@pytest.mark.parametrize(
    ("argument", "value"),
    [("hidden=40", 40), ("lr=1", 1.0), ("lr=1e-2", 0.01), ("split=holdout", "holdout")],
)
def test_a_good_value_passes(argument, value):
    overrides, found = read([argument], Train)
    assert (overrides, found) == ([argument], [])
    key, _, _ = argument.partition("=")
    assert getattr(check(Train, defaults() | {key: value}), key) == value


def test_a_key_that_no_one_knows_is_refused_in_experiments_too():
    with pytest.raises(Refused, match="there is no key 'hiden'"):
        check(Train, defaults() | {"hiden": 3})


def test_hydras_own_settings_pass():
    arguments = ["--cfg", "job", "hydra/launcher=basic", "hydra.sweep.dir=x"]
    assert read(arguments, Train) == (arguments, [])


def test_a_comma_sweeps_where_a_number_or_a_data_set_is_meant(tmp_path, monkeypatch):
    (tmp_path / "my set").mkdir()
    monkeypatch.chdir(tmp_path)
    overrides, found = read(["-m", "hidden=5,10", "dataset=mnist,my set"], Train)
    assert overrides == ["-m", "hidden=5,10", 'dataset="mnist","my set"']
    assert not found


def test_every_value_of_a_sweep_is_checked_before_the_first_is_trained():
    found = problems("-m", "hidden=5,0,10", "dataset=mnist,foo", "lr=-1", "seed=1,x")
    values = [re.search(r"got (\S+)", line)[1] for line in found]
    assert values == ["0", "'foo'", "'x'", "-1"]


@pytest.mark.parametrize(
    "name", ["Photo (1) [x], ü=~#'1'", "1234e567", "null", "a${b}"]
)
def test_a_folder_is_taken_as_typed(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    (override,), found = read([f"dataset={name}"], Train)
    assert not found
    value = OverridesParser.create().parse_override(override).value()
    composed = OmegaConf.create({"dataset": value})
    assert check(Data, {"dataset": composed.dataset}).dataset == str(tmp_path / name)


def test_quoted_text_comes_back_letter_by_letter():
    parser = OverridesParser.create()
    draw = random.Random(1)
    alphabet = "\\\"'${}a, =\n[]()~#:ü*"
    texts = ["".join(draw.choices(alphabet, k=draw.randint(1, 9))) for _ in range(500)]
    for text in [*texts, "1234e567", "true", " lead", "trail ", "C:\\dir\\", "\\${x}"]:
        value = parser.parse_override(f"key={quote(text)}").value()
        assert OmegaConf.create({"key": value}).key == text


def test_every_default_carries_its_unit_or_reason():
    for line in (config.CONF / "config.yaml").read_text().splitlines():
        assert line.startswith("#") or len(line.split(" # ")[1]) > 10


def test_every_line_of_the_configuration_is_in_the_schema():
    assert set(defaults()) == {*Train.model_fields, *Look.model_fields}


def test_paths_are_the_projects_own():
    assert Path(__file__).resolve().parent.parent == config.ROOT
