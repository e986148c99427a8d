import json
import os
import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from pipeline.cli.arguments import ParsedCommand, parse
from pipeline.cli.config import (
    ConfigError,
    defaults,
    load_yaml,
    validate,
)
from pipeline.cli.overrides import quote as quote_override
from pipeline.cli.schema import DataConfig, TrainConfig


def problems(*arguments, keys=TrainConfig):
    return parse(list(arguments), keys).problems


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
        ("hidden=[1", "hidden has an invalid value '[1'"),
        ("hiden=20", "`hiden` is not an option; did you mean hidden?"),
        ("epochs=0", "epochs must be greater than or equal to 1, got 0"),
        ("lr=nan", "lr must be a finite number, got nan"),
        ("lr=inf", "lr must be a finite number, got inf"),
        ("lr=-1", "lr must be greater than 0, got -1"),
        ("batch_size=0", "batch_size must be greater than or equal to 1, got 0"),
        ("batch_size=70000", "batch_size must be less than or equal to 60000, got"),
        (
            "dataset=foo",
            "dataset must be mnist, fashion_mnist, digits or an existing folder",
        ),
        ("dataset=minst", "did you mean mnist?"),
        (
            "dataset=",
            "dataset must be mnist, fashion_mnist, digits or an existing folder",
        ),
        ("dataset=~nosuchuser/x", "dataset must be mnist, fashion_mnist, digits or"),
        ("dataset=" + "x" * 5000, "dataset must be mnist, fashion_mnist, digits or"),
        ("split=x", "split must be 'exercise' or 'holdout', got 'x'"),
        ("seed=-1", "seed must be greater than or equal to 0, got -1"),
        ("hidden=5,10", "hidden=5,10 has several values: add -m"),
        ("+hidden=3", "must be written hidden=value, without a prefix"),
        ("--hidden=3", "must be written hidden=value, without a prefix"),
        ("dataset=mnist,digits", "an existing folder (add -m to train on several)"),
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
    assert [line.split()[0] for line in found] == ["`hiden`", "split", "hidden", "seed"]


def test_a_stage_refuses_keys_that_it_would_ignore():
    (found,) = problems("hidden=40", keys=DataConfig)
    assert found == "`hidden` is not an option of this stage; options: dataset"


@pytest.mark.parametrize(
    ("argument", "value"),
    [("hidden=40", 40), ("lr=1", 1.0), ("lr=1e-2", 0.01), ("split=holdout", "holdout")],
)
def test_a_good_value_passes(argument, value):
    found = parse([argument], TrainConfig)
    assert (found.overrides, found.problems) == ([argument], [])
    key, _, _ = argument.partition("=")
    assert getattr(validate(TrainConfig, defaults() | {key: value}), key) == value


def test_what_hydra_can_be_asked_passes():
    arguments = ["--cfg", "job", "--resolve"]
    assert parse(arguments, TrainConfig) == ParsedCommand(arguments, [], [])


@pytest.mark.parametrize(
    "argument",
    [
        "+hydra.callbacks.x._target_=evil.Class",
        "hydra.launcher._target_=evil.Class",
        "hydra.job.chdir=true",
        "++hydra/launcher=joblib",
        "hydra/sweeper=evil",
        "--experimental-rerun=evil.pickle",
        "--experimental-re=evil.pickle",
        "--config-dir=/tmp",
        "-cn",
    ],
)
def test_nothing_else_of_hydras_is_let_through(argument):
    (found,) = sweep("-m", "seed=1,2", argument).problems
    assert "is set by this command" in found or "unknown flag" in found


@pytest.mark.parametrize("asked", ["--info", "-i", "--cfg", "-c", "--hydra-help"])
@pytest.mark.parametrize(
    "option", ["--experimental-rerun=evil.pickle", "--config-dir=/tmp", "-cn", "-cp"]
)
def test_no_option_hides_behind_one_that_takes_a_word(asked, option):
    assert "unknown flag -" in parse([asked, option], TrainConfig).problems[0]


def test_what_hydra_only_answers_is_no_sweep():
    for flag in (["--cfg", "job"], ["--cfg=job"]):
        found = sweep("-m", "hidden=5,6", *flag)
        assert found == ParsedCommand(["hidden=5", *flag], [], [])  # its first job


@pytest.mark.parametrize("place", range(3))
def test_a_flag_may_stand_anywhere(place):
    arguments = ["hidden=5,6", "seed=1"]
    arguments.insert(place, "-m")
    found = sweep(*arguments)
    assert found.overrides == ["hidden=5,6", "seed=1", "-m"] and len(found.jobs) == 2


def sweep(*arguments):
    return parse(list(arguments), TrainConfig, sweeps=True)


def test_a_comma_sweeps_where_a_number_or_a_data_set_is_meant(tmp_path, monkeypatch):
    (tmp_path / "my set").mkdir()
    monkeypatch.chdir(tmp_path)
    found = sweep("-m", "hidden=5,10", "dataset=mnist,my set")
    assert found.overrides == ["hidden=5,10", 'dataset="mnist","my set"', "-m"]
    assert not found.problems
    assert [job.swept for job in found.jobs] == [
        {"hidden": hidden, "dataset": dataset}
        for hidden in (5, 10)
        for dataset in ("mnist", str(tmp_path / "my set"))
    ]
    folders = [job.folder for job in found.jobs]
    assert folders[0] == "hidden=5,dataset=mnist"
    assert len(set(folders)) == 4 and not any("/" in name for name in folders)


def test_a_bad_value_of_a_sweep_is_a_problem_of_its_jobs_alone():
    found = sweep("-m", "hidden=5,-1", "seed=1,2", "epochs=3")
    assert not found.problems
    assert [job.name for job in found.jobs if job.problems] == [
        f"hidden=-1 seed={seed} epochs=3" for seed in (1, 2)
    ]
    assert "got -1" in found.jobs[-1].problems[0]


def test_a_sweep_without_a_good_setting_is_refused_whole():
    assert len(sweep("-m", "hidden=0,-1").problems) == 2
    assert len(sweep("-m", "hidden=5,10", "lr=-1").problems) == 1


def test_bad_values_of_several_keys_are_all_named_at_once():
    found = sweep("-m", "hidden=0,-1", "lr=-1", "seed=1,-2").problems
    assert {line.split(" (")[0] for line in found} == {
        "hidden must be greater than or equal to 1, got 0",
        "hidden must be greater than or equal to 1, got -1",
        "lr must be greater than 0, got -1",
        "seed must be greater than or equal to 0, got -2",
    }


def test_values_in_quotes_are_what_they_say_and_others_values_are_refused():
    jobs = sweep("-m", "split='holdout',exercise").jobs
    assert json.dumps([job.swept["split"] for job in jobs]) == '["holdout", "exercise"]'
    found = sweep("-m", "hidden=5,${epochs}").jobs
    assert [bool(job.problems) for job in found] == [False, True]


def test_a_file_of_conf_that_is_no_yaml_is_named(tmp_path):
    for text in ("hidden: [", "hidden: ${hiden}", "hidden:\t3\n\tx: 1"):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"cannot read .*x\.yaml: "):
            load_yaml(tmp_path / "x.yaml")


def test_a_folder_whose_name_is_no_text_is_refused(tmp_path):
    folder = os.fsdecode(bytes(tmp_path) + b"/\xff")
    os.mkdir(folder)
    (found,) = sweep("-m", f"dataset={folder}").problems
    assert "dataset must be a folder whose name is valid UTF-8" in found


def test_the_order_of_keys_and_values_makes_no_other_job():
    one = sweep("-m", "hidden=5,8", "seed=1,2").jobs
    other = sweep("-m", "seed=2,1", "hidden=8,5").jobs
    assert {job.folder for job in one} == {job.folder for job in other}


def test_null_is_nothing_where_nothing_is_the_default():
    assert parse(["reproduce=null"], TrainConfig).problems == []
    assert parse(["reproduce=null"], TrainConfig).overrides == ["reproduce=null"]


def test_a_swept_key_is_always_in_the_name():
    jobs = sweep("-m", "lr=0.001,0.01").jobs
    assert [j.name for j in jobs] == [f"hidden=20 seed=1 lr={x}" for x in (0.001, 0.01)]


def test_the_same_setting_twice_is_one_job():
    assert [job.name for job in sweep("-m", "hidden=5,5,6").jobs] == [
        "hidden=5 seed=1",
        "hidden=6 seed=1",
    ]


def test_a_sweep_of_one_training_is_a_sweep():
    (job,) = sweep("-m", "hidden=5").jobs
    assert job.swept == {"seed": 1}


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [("hidden_sizes", "hidden=5 seed=1", 15), ("learning_rates", None, 18)],
)
def test_an_experiment_is_a_sweep_that_is_ready_to_run(name, first, count):
    found = sweep(f"experiment={name}")
    assert not found.problems and len(found.jobs) == count
    assert first in (None, found.jobs[0].name)
    fewer = sweep(f"experiment={name}", "seed=1")
    assert len(fewer.jobs) == count // 3


TWO = "hydra.launcher.n_jobs=2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment=x"], "experiment must be hidden_sizes or learning_rates, got"),
        (["reproduce=a", "hidden=4"], "hidden cannot be combined with reproduce"),
        (["reproduce="], "reproduce must not be empty"),
        (["-m", "hidden=5,6", "hidden=7"], "hidden is given more than once"),
        (["-m", "hidden=5,6", "hydra/launcher=ray"], "must be basic or joblib, got"),
        (["hydra/launcher=joblib"], "is an option of sweeps: add -m"),
        (["-m", "hydra.sweep.dir=x"], "hydra.sweep.dir is set by this command"),
        (["-m", "hydra.launcher.n_jobs=many"], "or -1 for all cores, got 'many'"),
        (["-m", "lr=interval(0,1)"], "lr has an invalid value 'interval(0,1)'"),
        (["-m", "hidden=range(3,1)"], "hidden has an invalid value 'range(3,1)'"),
        (["-m", "seed=range(1,3,0)"], "seed has an invalid value 'range(1,3,0)'"),
        (["hidden=" + "1" * 5000], "hidden has an invalid value '1111"),
        (
            ["-m", "hidden=5,6", TWO],
            "n_jobs=2 has no effect without hydra/launcher=job",
        ),
        (
            ["-m", "hidden=5,6", "--resolve"],
            "--resolve has no effect without --cfg job",
        ),
        (
            ["-m", "reproduce=a,b"],
            "reproduce=a,b has several values: give only one",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, message):
    assert message in "\n".join(sweep(*arguments).problems)


def test_only_trainings_are_swept():
    assert (
        "-m is an option of python -m pipeline.train only"
        in problems("-m", "dataset=mnist,digits")[0]
    )


@pytest.mark.parametrize(
    "name", ["Photo (1) [x], ü=~#'1'", "1234e567", "null", "a${b}", "a,b"]
)
def test_a_folder_is_taken_as_typed(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert sweep("-m", f"dataset={name}", "seed=1,2").problems == []
    found = parse([f"dataset={name}"], TrainConfig)
    (override,) = found.overrides
    assert not found.problems
    value = OverridesParser.create().parse_override(override).value()
    composed = OmegaConf.create({"dataset": value})
    assert validate(DataConfig, {"dataset": composed.dataset}).dataset == str(
        tmp_path / name
    )


def test_quoted_text_comes_back_letter_by_letter():
    parser = OverridesParser.create()
    draw = random.Random(1)
    alphabet = "\\\"'${}a, =\n[]()~#:ü*"
    texts = ["".join(draw.choices(alphabet, k=draw.randint(1, 9))) for _ in range(500)]
    for text in [*texts, "1234e567", "true", " lead", "trail ", "C:\\dir\\", "\\${x}"]:
        value = parser.parse_override(f"key={quote_override(text)}").value()
        assert OmegaConf.create({"key": value}).key == text
