import itertools
import os
import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from pipeline.cli.arguments import ParsedCommand, parse
from pipeline.cli.config import ConfigError, validate
from pipeline.cli.overrides import quote
from pipeline.cli.schema import DataConfig, TrainConfig
from pipeline.datasets import REGISTRY


def sweep(*arguments):
    return parse(arguments, TrainConfig, sweeps=True)


def problems(*arguments, schema=TrainConfig, sweeps=True):
    with pytest.raises(ConfigError) as error:
        parse(arguments, schema, sweeps=sweeps)
    return str(error.value).split("\n")


DATASET = f"dataset must be {', '.join(REGISTRY)} or an existing folder"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("hidden=0", "hidden must be greater than or equal to 1, got 0"),
        ("hidden=abc", "hidden must be a valid integer, got 'abc'"),
        ("hidden=20.0", "hidden must be a valid integer, got 20.0"),
        ("hidden=[1", "hidden has an invalid value '[1'"),
        ("hidden=" + "1" * 5000, "hidden has an invalid value '1111"),
        ("hiden=20", "`hiden` is not an option; did you mean hidden?"),
        ("lr=nan", "lr must be a finite number, got nan"),
        ("lr=-1", "lr must be greater than 0, got -1 (the default is lr=0.001)"),
        ("batch_size=70000", "batch_size must be less than or equal to 60000, got"),
        ("dataset=minst", "did you mean mnist?"),
        ("dataset=~nosuchuser/x", DATASET),
        ("dataset=" + "x" * 5000, DATASET),
        ("dataset=mnist,digits", "an existing folder (add -m to train on several)"),
        ("split=x", "split must be 'exercise' or 'holdout', got 'x'"),
        ("reproduce=", "reproduce must not be empty"),
        ("hidden=5,10", "hidden=5,10 has several values: add -m"),
        ("+hidden=3", "must be written hidden=value, without a prefix"),
        ("hidden", "'hidden' is not of the form key=value"),
        ("experiment=x", "experiment must be hidden_sizes or learning_rates, got"),
        ("reproduce=a hidden=4", "hidden cannot be combined with reproduce"),
        ("-m reproduce=a,b", "reproduce=a,b has several values: give only one"),
        ("-m hidden=5,6 hidden=7", "hidden is given more than once"),
        ("-m lr=interval(0,1)", "lr has an invalid value 'interval(0,1)'"),
        ("-m seed=range(1,3,0)", "seed has an invalid value 'range(1,3,0)'"),
        ("-m hydra.sweep.dir=x", "hydra.sweep.dir is set by this command"),
        ("-m hydra/launcher=ray", "must be basic or joblib, got"),
        ("hydra/launcher=joblib", "is an option of sweeps: add -m"),
        ("-m hydra.launcher.n_jobs=many", "or -1 for all cores, got 'many'"),
        ("-m hydra.launcher.n_jobs=2", "no effect without hydra/launcher=joblib"),
        ("-m --resolve", "--resolve has no effect without --cfg job"),
    ],
)
def test_an_invalid_argument_is_refused_with_key_rule_and_value(arguments, message):
    (problem,) = problems(*arguments.split())
    assert message in problem


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("hidden=40", "`hidden` is not an option of this stage; options: dataset"),
        ("-m dataset=mnist,digits", "-m is an option of python -m pipeline.train only"),
    ],
)
def test_other_stages_refuse_options_of_training(arguments, message):
    problem = problems(*arguments.split(), schema=DataConfig, sweeps=False)[0]
    assert problem == message


def test_a_folder_whose_name_is_not_utf_8_is_refused(tmp_path):
    folder = os.fsdecode(bytes(tmp_path) + b"/\xff")
    os.mkdir(folder)
    (problem,) = problems("-m", f"dataset={folder}")
    assert "dataset must be a folder whose name is valid UTF-8" in problem


def test_all_invalid_values_are_reported_at_once():
    lines = problems("hidden=0", "hiden=3", "seed=-1", "split=x")
    assert [line.split()[0] for line in lines] == ["`hiden`", "split", "hidden", "seed"]
    lines = problems("-m", "hidden=0,-1", "lr=-1", "seed=1,-2")
    keys = [line.split()[0] for line in lines]
    assert sorted(keys) == ["hidden", "hidden", "lr", "seed"]


@pytest.mark.parametrize(
    ("argument", "override"),
    [
        *(("hidden=40", "hidden=40"), ("lr=1", "lr=1"), ("lr=1e-2", "lr=0.01")),
        *(("resume=False", "resume=false"), ("reproduce=null", "reproduce=null")),
        *(("split='holdout'", 'split="holdout"'), ("seed=2", "seed=2")),
    ],
)
def test_a_valid_value_is_accepted(argument, override):
    assert sweep(argument) == ParsedCommand([override], [])


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
def test_flags_and_settings_of_hydra_that_can_run_code_are_refused(argument):
    (problem,) = problems("-m", "seed=1,2", argument)
    assert "is set by this command" in problem or "unknown flag" in problem


@pytest.mark.parametrize("before", ["--info", "-i", "--cfg", "-c", "--hydra-help"])
@pytest.mark.parametrize(
    "flag", ["--experimental-rerun=evil.pickle", "--config-dir=/tmp", "-cn", "-cp"]
)
def test_a_flag_is_not_read_as_the_value_of_the_flag_before_it(before, flag):
    assert "unknown flag -" in problems(before, flag)[0]


@pytest.mark.parametrize("flags", [["--cfg", "job", "--resolve"], ["--cfg=job"]])
def test_cfg_job_prints_the_configuration_of_the_first_job_of_a_sweep(flags):
    assert sweep(*flags) == ParsedCommand(flags, [])
    command = sweep("-m", "hidden=5,6", *flags)
    assert command == ParsedCommand(["hidden=5", *flags], [])


def test_the_flag_for_sweeps_may_be_anywhere():
    command = sweep("-m", "hidden=5,6", "seed=1")
    assert command == sweep("hidden=5,6", "seed=1", "-m") and len(command.jobs) == 2


def test_commas_separate_numbers_and_names_of_data_sets(tmp_path, monkeypatch):
    folder = tmp_path / "my set"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    command = sweep("-m", "hidden=5,10", "dataset=mnist,my set")
    assert command.overrides == ["hidden=5,10", f'dataset="mnist","{folder}"', "-m"]
    swept = [tuple(job.swept.values()) for job in command.jobs]
    assert swept == [*itertools.product([5, 10], ["mnist", str(folder)])]
    folders = [job.folder for job in command.jobs]
    assert folders[0] == "hidden=5,dataset=mnist"
    assert len(set(folders)) == 4 and not any("/" in name for name in folders)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("lr=0.001,0.01", ["hidden=20 seed=1 lr=0.001", "hidden=20 seed=1 lr=0.01"]),
        ("hidden=5,5,6", ["hidden=5 seed=1", "hidden=6 seed=1"]),  # one job each
        ("hidden=5", ["hidden=5 seed=1"]),
        ("split='holdout'", ["hidden=20 seed=1 split=holdout"]),  # without quotes
    ],
)
def test_a_sweep_has_a_job_for_each_value_with_all_swept_keys_in_its_name(
    arguments, names
):
    assert [job.name for job in sweep("-m", arguments).jobs] == names


def test_an_invalid_value_of_a_sweep_is_a_problem_of_its_jobs_only():
    jobs = sweep("-m", "hidden=5,-1,${epochs}", "seed=1,2", "epochs=3").jobs
    assert [job.name for job in jobs if job.problems] == [
        f"hidden={hidden} seed={seed} epochs=3"
        for hidden in (-1, "${epochs}")  # the value of another key is no number
        for seed in (1, 2)
    ]
    assert "got -1" in jobs[2].problems[0]


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("hidden_sizes", "hidden=5 seed=1", 15),
        ("learning_rates", "hidden=20 seed=1 lr=0.0001", 18),
    ],
)
def test_an_experiment_is_a_sweep_whose_keys_can_be_overridden(name, first, count):
    jobs = sweep(f"experiment={name}").jobs
    assert len(jobs) == count and jobs[0].name == first
    assert len(sweep(f"experiment={name}", "seed=1").jobs) == count // 3


@pytest.mark.parametrize(
    "name", ["Photo (1) [x], ü=~#'1'", "1234e567", "null", "a${b}", "a,b"]
)
def test_a_folder_is_taken_as_typed(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(sweep("-m", f"dataset={name}", "seed=1,2").jobs) == 2
    (override,) = sweep(f"dataset={name}").overrides
    value = OverridesParser.create().parse_override(override).value()
    composed = OmegaConf.create({"dataset": value})
    folder = validate(DataConfig, {"dataset": composed.dataset}).dataset
    assert folder == str(tmp_path / name)


def test_hydra_and_omegaconf_return_quoted_text_unchanged():
    parser = OverridesParser.create()
    draw = random.Random(1)
    alphabet = "\\\"'${}a, =\n[]()~#:ü*"
    texts = ["".join(draw.choices(alphabet, k=draw.randint(1, 9))) for _ in range(500)]
    for text in [*texts, "1234e567", "true", " lead", "trail ", "C:\\dir\\", "\\${x}"]:
        value = parser.parse_override(f"key={quote(text)}").value()
        assert OmegaConf.create({"key": value}).key == text
