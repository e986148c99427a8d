import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import ConfigError, cli
from pipeline.base import paths
from pipeline.base.text import folder_name
from pipeline.cli import Interval
from pipeline.cli.arguments import parse
from pipeline.cli.stages import from_python
from pipeline.core.dataset import DataFile
from pipeline.records.dataset_names import NAMES
from pipeline.sweeps.listing import list_jobs


def read(*arguments, stage="train"):
    return parse(arguments, getattr(cli, f"{stage.title()}Config"))


def jobs_of(command):
    return list_jobs(command, lambda name: DataFile(Path(name), name))


def jobs(*arguments):
    return jobs_of(read(*arguments))


def problems(*arguments, stage="train"):
    with pytest.raises(ConfigError) as error:
        read(*arguments, stage=stage)
    return str(error.value).split("\n")


LISTED = ", ".join([*NAMES, "an imported data set"])
DATASET = f"dataset must be {LISTED} or an existing folder"
TRAIN_ONLY = "only python -m pipeline.train accepts experiment"
INVALID = {
    "train hidden=0": "hidden must be at least 1, got 0",
    "train hidden=abc": "hidden must be an integer, got 'abc'",
    "train hidden='5'": "must be an integer, got '5', which is text: leave out the quo",
    "train hidden=007": "text: write a number such as 20 (the default is",
    "train lr=1.2.3": "got '1.2.3', which is text: write a number such as 20",
    "train lr='.5e-3'": "got '.5e-3', which is text: leave out the quotes (the default",
    "train -m seed=1,01": "got '01', which is text: write a number such as 20",
    "train -m=1": "-m/--multirun must have no value: leave out what follows it",
    "train resume='true'": "must be true or false, got 'true', which is text: leave",
    "export bits='8'": "all, got '8', which is text: leave out the quotes (the default",
    "train hidden=[1": "hidden has an invalid value '[1'",
    "train hidden=null": "hidden must have a value (the default is hidden=20)",
    "train hidden=[5,10]": "leave out the brackets: -m hidden=5,10",
    "train -m hidden=[5,10]": "leave out the brackets: -m hidden=5,10",
    "export bits=[8,4]": "bits=[8,4] is a list: for a sweep, leave out",
    "train hidden=" + "1" * 5000: "hidden has an invalid value '1111",
    "train 20": "'20' is not of the form key=value: did you mean hidden=20?",
    "train hiden=20": "`hiden` is not a setting: did you mean hidden?",
    "train lr=nan": "lr must be a finite number, got nan",
    "train lr=-1": "lr must be greater than 0, got -1 (the default is lr=0.001)",
    "train lr=${nokey}": "lr=${nokey} cannot be resolved: nokey is not a set",
    "train lr=${oc.env:HOME}": "lr=${oc.env:HOME} calls a resolver, which can read",
    "train hidden=${epochs} epochs=${hidden}": "cannot be resolved: it refers to itse",
    "train dataset=minst": "did you mean mnist?",
    "train dataset=MNIST": "did you mean mnist?",
    "train dataset=~nosuchuser/x": DATASET,
    "train dataset=" + "x" * 5000: DATASET,
    "train dataset=" + "x" * 300 + "-12345678": DATASET,
    "train dataset=mnist,digits": "has several values: add -m to run all of them",
    "train split=x": "split must be exercise or holdout, got 'x'",
    "train hidden": "hidden has no value: write hidden=value",
    "train ~hidden": "~hidden would delete a setting, but every setting needs a value:",
    "train ~hiden": "`hiden` is not a setting: did you mean hidden?",
    "train = hidden=5": "'=' is not of the form key=value: leave out spaces, as in ",
    "train --hidden=3": "unknown flag --hidden=3: settings have no dashes, and --help",
    "train ~bits": "`bits` is a setting of export, not of train: choose from dataset,",
    "train " + "x" * 300: "is not of the form key=value: did you mean dataset=xxx",
    "predict " + "how-are-you-" * 300: "is not of the form key=value: did you mean",
    "train --config-dir " + "x" * 300: "--config-dir must be an existing folder",
    "train -p": "unknown flag -p: settings have no dashes, and --help lists all flags",
    "train --config-path mine": "unknown flag --config-path: --config-dir adds",
    "train -cp x": "unknown flag --config-path: --config-dir adds a folder",
    "train -- hidden=5 --cfg job": "unknown flag --: leave it out",
    "train -c hydra": "--cfg must be job, got 'hydra'",
    "train --config-name tem": "--config-name must be config or hydra, got 'tem'",
    "train --config-dir=": "--config-dir must be an existing folder, got ''",
    "train --config-dir ~nosuchuser/x": "--config-dir must have a user name or /",
    "train digits": "not of the form key=value: did you mean dataset=digits?",
    "train experiment=x": "experiment must be hidden_sizes, learning_rates or search",
    "train experiment": "experiment has no value: write experiment=value",
    "train experiment=": "experiment must be hidden_sizes, learning_rates or search,",
    "train reproduce=a hidden=4": "hidden cannot be combined with reproduce",
    "train -m reproduce=a": "reproduce cannot be used in a sweep: leave out -m",
    "train -m lr=interval(0.1,1)": "a search needs the number of trials: add trials=40",
    "train -m lr=interval(0.1,1) trials=0": "trials must be at least 1",
    "train -m lr=0.1 trials=4": 'trials has no effect without an interval: add "hid',
    "train -m lr=interval(0,1) trials=4": "lr must be greater than 0, got 0",
    "train -m hidden=interval(4.5,9) trials=4": "must be an integer, got 4.5",
    "train -m hidden=interval(4,9.5) trials=4": "must be an integer, got 9.5",
    "train -m hidden=10,": "hidden has an invalid value '10,' (the default is hidden=2",
    "train -m dataset=mnist,": "dataset has an invalid value 'mnist,' (the default is",
    "evaluate sets=mnist,": "sets has an invalid value 'mnist,' (the default is",
    "evaluate sets=[mnist,,digits]": "sets has an invalid value '[mnist,,digits]' (",
    "evaluate sets=[mnist,digits": 'no ]: write "sets=[a,b]" or sets=a,b',
    "evaluate sets=mnist,digits]": 'no [: write "sets=[a,b]" or sets=a,b',
    "train -m split=choice()": "split has an invalid value 'choice()'",
    "train -m lr=interval(2,1) trials=4": "lr must be interval(low,high) with low < h",
    "train -m seed=tag(log,interval(0,9)) trials=4": "low > 0 for tag(log,...), got",
    "train -m hidden=interval(4,128),5": "hidden cannot combine an interval or a",
    "train -m hidden=5,range(10,30,10)": "cannot combine an interval or a range with",
    "train -m hidden=[5,range(10,30,10)]": "cannot combine an interval or a range wit",
    "train -m lr=0.1,glob(a)": "lr cannot combine an interval or a range with other va",
    "train -m seed=interval(0,9223372036854775807) trials=4": "seed must have an inte",
    "train -m seed=interval(1,50) trials=4": (
        "seed must not have an interval, got interval(1,50): seed=1,2,3 trains each"
    ),
    "train -m split=interval(0,1)": "split cannot be an interval: use split=a,b",
    "train -m workers=interval(1,2)": "has several values: give only one",
    "train -m seed=range(1,10000000000)": "at most 100,000 combinations: give fewer",
    "train -m lr=interval(1,2) seed=range(0,200) trials=501": "at most 100,000 combin"
    "ations: give fewer values of seed or fewer trials",
    "train -m lr=interval(1,2) trials=100001": "combinations: give fewer trials",
    "train -m seed=range(1,3,0)": "seed has an invalid value 'range(1,3,0)'",
    "train -m hydra/launcher=joblib": "use workers and executor to select where",
    "train -m +hydra.callbacks.x._target_=evil.Class": "cannot be set in this project",
    "train hydra.run.dir=x": "set the environment variable PIPELINE_OUTPUTS to",
    "train workers=2": "workers is a setting of sweeps: add -m",
    "train trials=5": 'a setting of searches: add -m and an interval such as "hid',
    "train hidden=interval(4,128)": "interval: add -m and trials=40 to start a search",
    "train -m workers=0": "workers must be at least 1, got 0",
    "train -m executor=x": "executor must be local or ray, got 'x'",
    "train -m resume=false": "has no effect in a sweep: use again=true",
    "train server=127.0.0.1:5000": "server must be a URL such",
    "train server=file:///etc": "server must be a URL such",
    "train server=http://": "server must be a URL such",
    "train server=http://[::1": "server must be a URL such",
    "train server=http://127.0.0.1:abc": "server must be a URL such",
    "train server=http://127.0.0.1:65536": "server must be a URL such",
    "sync server=http://127.0.0.1:0": "server must be a URL such",
    "train server=http://me:secret@h": "server must not contain a password",
    "train server=htp://me:secret@h": "server must be a URL such",
    "train server=http://h/\x1b[2J": "server must be a URL such",
    "train tracking=none server=http://h": "server has no effect with tracking=none",
    "train foo=3": "`foo` is not a setting of train: choose from dataset, split, ",
    "data hidden=40": "`hidden` is a setting of train, ",
    "data hiddenlayer=4": "`hiddenlayer` is not a setting of data: choose",
    "predict bits=4": "of export, not of predict: choose from run, model, images",
    "data dataset=mnist,digits": "dataset must be one data set, got 'mnist,digits'",
    "data -m": "only train and export accept -m",
    "export bits=8,4": "bits=8,4 has several values: add -m to run all of them",
    "export -m finetune=0,10": "finetune=0,10 has several values: give only one",
    "export sweep=a run=b": "run and sweep both select a network: leave out one",
    "export workers=2": "workers is a setting of sweeps: add -m",
    "export bits=all workers=0": "workers must be at least 1, got 0",
    "export experiment=hidden_sizes": TRAIN_ONLY,
    "predict photo.png": "did you mean images=photo.png?",
    "predict images=": "images must not be empty, got ''",
    "evaluate folder": "did you mean sets=folder?",
    "export bits=3": "bits must be 8, 4, 2, 1 or all, got 3 (the default is bits=8)",
    "export bits=true": "bits must be 8, 4, 2, 1 or all, got True",
    "export bits=1" + "0" * 20: "bits is too large, got 1000",
    "export bits=8.0": "bits must be 8, 4, 2, 1 or all, got 8.0",
    "export finetune=-1": "finetune must be at least 0, got -1",
    "export 4": "did you mean bits=4?",
    "inspect weight=layer_1[300,5] neuron=N11": "neuron and weight cannot be combined",
    "inspect arrays=true against=a": "arrays and against cannot be combined: use",
    "inspect image=3": "image requires neuron: add neuron=N11, or leave out image",
    "inspect integers=true": "integers requires neuron: add neuron=N11, or leave out",
    "inspect neuron=N11 integers=3": "integers must be true or false, got 3",
    "inspect run=a model=b": "run and model both select a network",
    "inspect arrays=true tracking=none": "tracking has no effect with arrays",
    "inspect neuron=N11 server=http://h": "server has no effect with neuron",
}


@pytest.mark.parametrize("command", INVALID, ids=lambda command: command[:40])
def test_an_invalid_argument_is_rejected_with_key_rule_and_value(command):
    stage, *arguments = command.split()
    (problem,) = problems(*arguments, stage=stage)
    assert INVALID[command] in problem and "secret@" not in problem


@pytest.mark.parametrize("url", ["http://a b", "http://h/?a b", "http://h/a\n"])
def test_the_url_of_a_server_must_not_contain_white_space(url):
    (problem,) = problems(f"server={url}")
    assert problem.startswith("server must be a URL such")


def test_a_decimal_comma_gets_the_remedy_of_a_decimal_point():
    first, second = problems("-m", "lr=0,001")
    assert "got 0" in first and "with a decimal point" in second


def test_a_part_of_a_value_with_spaces_needs_quotes():
    (problem,) = problems("student=a", "b", "course=x", stage="homework")
    assert problem == "'b' is not of the form key=value: " + (
        "quote a value that contains spaces"
    )


def test_each_part_of_a_setting_with_spaces_is_rejected():
    lacks_value, sign, value = problems("hidden", "=", "3")
    assert lacks_value == "hidden has no value: write hidden=value"
    assert sign.endswith("leave out spaces, as in hidden=20")
    assert value.endswith("did you mean hidden=3?")
    assert len(problems("-m", "hidden=5,", "10")) == 2
    for key, value in (("hidden", "40"), ("lr", "0.1"), ("dataset", "mnist")):
        assert any(
            line.endswith(f"remove the space after {key}=")
            for line in problems(f"{key}=", value)
        )
    with pytest.raises(ConfigError) as error:
        parse(["sets=[mnist,", "digits]"], cli.EvaluateConfig)
    assert error.value.problems[1].endswith("remove the spaces in the list")


def test_a_search_without_multirun_gets_only_remedies_that_work():
    for command, problem in {
        "hidden=interval(4,128)": "add -m and trials=40 to start a search",
        "hidden=interval(4,128) trials=5": "is an interval: add -m to start a search",
        "trials=5": 'add -m and an interval such as "hidden=interval(4,128)"',
    }.items():
        (line,) = problems(*command.split())
        assert line.endswith(problem)
    read("-m", "hidden=interval(4,128)", "trials=40")


def test_the_number_of_workers_of_a_cluster_is_rejected_before_anything_is_written(
    bare_project,
):
    text = "workers has no effect with executor=ray, .*: leave out workers"
    with pytest.raises(ConfigError, match=text):
        bare_project.sweep("train", "seed=1,2", "workers=2", "executor=ray")
    assert not bare_project.files()


def test_a_folder_whose_name_is_not_utf_8_is_rejected(tmp_path):
    folder = os.fsdecode(bytes(tmp_path) + b"/\xff")
    os.mkdir(folder)
    (problem,) = problems("-m", f"dataset={folder}")
    assert "dataset must be a folder whose name is valid UTF-8" in problem


def test_all_invalid_values_are_reported_at_once():
    lines = problems("hidden=0", "hiden=3", "seed=-1", "split=x")
    assert {line.split()[0] for line in lines} == {"`hiden`", "split", "hidden", "seed"}
    lines = problems("-m", "hidden=0,-1", "lr=-1", "seed=1,-2")
    keys = [line.split()[0] for line in lines]
    assert sorted(keys) == ["hidden", "hidden", "lr", "seed"]
    for words in ("hidden=5,0", "-m hidden=5,0 hiden=3", "-m hidden=5,0 trials=3"):
        _, size = problems(*words.split())
        assert size.startswith("hidden must be at least 1, got 0")
    trials, many = problems("-m", "trials=3", "seed=range(1,200000)")
    assert trials.startswith("trials has no effect without an interval")
    assert many.startswith("a sweep must have at most 100,000 combinations")
    others = ("hidden=5,6", "workers=1", "trials=9")
    lines = problems("experiment=x", "seed=-1", *others)
    assert [line.split()[0] for line in lines] == ["experiment", "seed"]


def test_a_command_prints_at_most_20_problems_and_how_many_more_there_are():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.train", "-m", "seed=range(-5000,0)"],
        capture_output=True,
        text=True,
    )
    title, *lines, more, end = done.stderr.splitlines()
    assert done.returncode == 2 and title.startswith("error: invalid settings")
    assert len(lines) == 20 and "got -5000" in lines[0] and "got -4981" in lines[19]
    assert more == "  and 4,980 more" and "--help" in end
    with pytest.raises(ConfigError) as error:
        read("-m", "seed=range(-5000,0)")
    assert len(error.value.problems) == 5000


@pytest.mark.parametrize(
    "word",
    ["hid\nden=3", "--hid\nden", "a\nb", "lr=${oc.env:A\nB}", "experiment='a\nb"],
)
def test_a_problem_is_reported_in_one_line_even_if_a_word_has_several(word):
    given, size = problems(word, "hidden=0")
    assert "\ufffd" in given or r"\n" in given
    assert size.startswith("hidden must be at least 1")


class Show(cli.schema.StageConfig):
    """A stage that has only some of the settings to which a rule applies."""

    image: int | None
    integers: bool
    executor: str


def test_a_rule_about_several_settings_applies_only_to_a_stage_that_has_them():
    words = ["image=3", "integers=true", "executor=ray"]
    config = parse(words, Show).config
    assert (config.image, config.integers, config.executor) == (3, True, "ray")


VALID = {
    "train hidden=40": 40,
    "train +hidden=40": 40,
    "train hidden=int(3.0)": 3,
    "train lr=1": 1,
    "train lr=1e-2": 0.01,
    "train resume=False": False,
    "train reproduce=null": None,
    "train reproduce='a b'": "a b",
    "train split='holdout'": "holdout",
    'train dataset="digits"': "digits",
    "evaluate sets=mnist,digits": ["mnist", "digits"],
    "evaluate sets=[mnist,digits]": ["mnist", "digits"],
    "evaluate sets=[\"mnist\",'digits']": ["mnist", "digits"],
    "predict images=0,1,2": "0,1,2",
    "predict images=a=b.png": "a=b.png",
    "predict images=a[1].png": "a[1].png",
    "predict images=$x.png": "$x.png",
    "predict images=ü, 1.png": "ü, 1.png",
}


@pytest.mark.parametrize("command", VALID)
def test_a_valid_value_is_accepted(command):
    stage, _, argument = command.partition(" ")
    parsed = read(argument, stage=stage)
    assert (
        getattr(parsed.config, argument.strip("+").partition("=")[0]) == VALID[command]
    )
    assert not (parsed.is_multirun or parsed.varied)


def test_the_last_one_of_repeated_settings_counts_as_in_hydra():
    assert read("hidden=5", "seed=2", "++hidden=7").config.hidden == 7
    assert [job.name for job in jobs("-m", "hidden=5,6", "hidden=7")] == [
        "hidden=7 seed=1"
    ]
    first, second = problems("hidden=[", "hidden=7", "seed=x")
    assert "hidden has an invalid value" in first and "seed must be" in second


@pytest.mark.parametrize(
    ("argument", "interval"),
    [
        ("hidden=interval(4,128)", Interval(4, 128, log=False)),
        ("hidden=interval(4.0,1e2)", Interval(4, 100, log=False)),
        ("batch_size=int(interval(8,256))", Interval(8, 256, log=False)),
        ("lr=tag(log,interval(1e-4,0.03))", Interval(0.0001, 0.03, log=True)),
    ],
)
def test_an_interval_has_the_numbers_of_its_key(argument, interval):
    key = argument.partition("=")[0]
    command = read("-m", argument, "seed=1,2", "trials=100")
    assert command.intervals == {key: interval}
    assert [each.values["seed"] for each in command.combinations] == [1, 2]
    assert isinstance(command.intervals[key].low, type(cli.defaults()[key]))


@pytest.mark.parametrize("before", ["-m", "--cfg"])
@pytest.mark.parametrize(
    "flag",
    ["--experimental-rerun=x.pickle", "--experimental-re=x", "--config-path=/", "-cp"],
)
def test_flags_that_run_code_are_rejected_even_as_the_value_of_another(before, flag):
    (problem,) = problems(before, flag)
    assert problem.startswith(("unknown flag -", "--cfg must be job, got "))


def test_cfg_job_prints_the_settings_of_the_stage_as_typed(bare_project):
    images = r"photo(1),a=b '[x]' \'${seed}.png"
    commands = {
        ("predict", "--cfg", "job", f"images={images}"): 0,
        ("train", "-m", "hidden=interval(4,8)", "trials=3", "--cfg=job"): 0,
        ("train", "-m", "hidden=-1,5", "lr=0.1", "--cfg=job"): 0,
        ("train", "experiment=learning_rates", "--cfg=job"): 0,
    }
    printed = bare_project.run_all(commands).stdout
    parts = re.split("^# (?=hidden|the first)", printed, flags=re.MULTILINE)
    single, search, swept, saved = parts
    assert yaml.safe_load(single) == {"run": None, "model": None, "images": images}
    assert search.startswith("hidden=interval(4,8): its lower bound is shown\n")
    assert yaml.safe_load(f"# {search}")["hidden"] == 4
    assert swept.startswith("the first valid combination of 2\n")
    values = yaml.safe_load(f"# {swept}")
    assert (values["hidden"], values["lr"]) == (5, 0.1)
    assert saved.splitlines()[1] == "# experiment=learning_rates"


def test_the_flag_for_sweeps_may_be_anywhere():
    command = read("-m", "hidden=5,6", "seed=1")
    assert command == read("hidden=5,6", "seed=1", "-m") and len(jobs_of(command)) == 2


def test_a_sweep_with_one_combination_varies_only_the_seed():
    command = read("-m", "hidden=7")
    assert command.is_multirun and command.varied == ["seed"]
    assert [job.varied_values for job in jobs_of(command)] == [{"seed": 1}]


def test_commas_separate_numbers_and_names_of_data_sets(tmp_path, monkeypatch):
    folder = tmp_path / "my set"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    command = read("-m", "hidden=5,10", "dataset=mnist,my set")
    given = [each.values for each in command.combinations]
    values = [(each["hidden"], each["dataset"]) for each in given]
    assert values == [*itertools.product([5, 10], ["mnist", str(folder)])]
    folders = [folder_name(job.varied_values) for job in jobs_of(command)]
    assert folders[0] == "hidden=5,dataset=mnist"
    assert len(set(folders)) == 4 and not any("/" in name for name in folders)


@pytest.mark.parametrize("setting", ["run_name='a\tb'", "dataset=./fold", "lr=1"])
def test_a_setting_that_is_normalized_is_not_varied_by_an_invalid_combination(
    setting, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    Path("fold").mkdir()
    command = read("-m", "hidden=0,20", setting)
    invalid, valid = command.combinations
    assert command.varied == ["hidden"] and invalid.error and not valid.error
    assert {**invalid.values, "hidden": 20} == valid.values


@pytest.mark.parametrize("value", ["abc", "5.5", "true"])
def test_a_value_of_a_sweep_with_another_type_is_rejected(value):
    low, problem = problems("-m", f"hidden=-1,5,{value}", "seed=1,2")
    assert low.startswith("hidden must be at least 1, got -1")
    assert problem.startswith("hidden must be an integer, got ")
    settings = {"hidden": [5, value], "seed": range(1, 3)}
    with pytest.raises(ConfigError) as error:
        from_python(cli.TrainConfig, settings, is_multirun=True)
    assert str(error.value) == problem


@pytest.mark.parametrize("value", [3, None, b"x", {1}])
def test_an_option_of_a_sweep_with_another_type_is_rejected(value):
    with pytest.raises(ConfigError, match="split must"):
        from_python(cli.TrainConfig, {"split": ["exercise", value]}, is_multirun=True)


def test_problems_are_in_the_order_of_the_settings_in_each_process():
    given = ["reproduce=a", "epochs=3", "seed=2", "lr=0.1", "hidden=4"]
    keys = [line.split()[0] for line in problems(*given)]
    assert keys == ["hidden", "seed", "epochs", "lr"]
    linked = [f"{key}=${{hidden}}" for key in ("batch_size", "seed", "epochs")]
    lines = problems("-m", "hidden=interval(4,8)", "trials=2", *linked)
    assert [line.split()[0] for line in lines] == ["seed", "epochs", "batch_size"]


@pytest.mark.parametrize("text", ["split=exercise,holdout", "dataset=mnist,digits"])
def test_text_from_python_has_the_values_that_it_has_on_the_command_line(text):
    settings = dict([text.split("=")])
    command = from_python(cli.TrainConfig, settings, is_multirun=True)
    assert jobs_of(command) == jobs("-m", text)
    with pytest.raises(ConfigError, match=f"{text} has several values: call sweep"):
        from_python(cli.TrainConfig, settings)


def test_a_search_over_the_seed_is_rejected_with_a_remedy_for_python():
    given = {"seed": "interval(1,50)", "hidden": "interval(4,8)", "trials": 4}
    remedy = r"seed=\[1, 2, 3\] trains each trial with these seeds$"
    with pytest.raises(ConfigError, match=rf"^seed must not have .*: {remedy}"):
        from_python(cli.TrainConfig, given, is_multirun=True)


def test_text_in_a_list_from_python_is_parsed_as_a_single_value():
    settings = {"lr": ["1e-2", 0.1], "hidden": "4,5"}
    swept = jobs_of(from_python(cli.TrainConfig, settings, is_multirun=True))
    pairs = [(job.values["hidden"], job.values["lr"]) for job in swept]
    assert pairs == [*itertools.product([4, 5], [0.01, 0.1])]
    with pytest.raises(ConfigError, match="lr has a list with several values in '1,2'"):
        from_python(cli.TrainConfig, {"lr": ["1,2"]}, is_multirun=True)


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("hidden_sizes", "hidden=5 seed=1", 15),
        ("learning_rates", "hidden=20 seed=1 lr=0.0001", 18),
    ],
)
def test_a_saved_sweep_has_keys_that_can_be_overridden(name, first, count):
    swept = jobs(f"experiment={name}")
    assert len(swept) == count and swept[0].name == first
    assert len(jobs(f"experiment={name}", "seed=1")) == count // 3


@pytest.fixture
def save_sweep(tmp_path, monkeypatch):
    """Return a function that saves a sweep in a copy of conf/, as in a wheel.

    The function returns the argument that selects the saved sweep.
    """
    shutil.copytree(paths.conf_dir(), tmp_path / "conf")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)

    def save(text):
        path = tmp_path / "conf" / "experiment" / "x.yaml"
        path.write_text(f"# @package _global_\n{text}\n")
        return "experiment=x"

    return save


EXTENDED = """
defaults: [hidden_sizes]
epochs: 3
workers: 2
hydra: {sweeper: {params: {seed: "range(1,3)"}}}
"""


def test_a_saved_sweep_may_extend_another_one_and_set_the_workers(save_sweep):
    command = read(save_sweep(EXTENDED), "lr=0.01")
    assert command.config.workers == 2 and command.config.epochs == 3
    names = [job.name for job in jobs_of(command)]
    assert len(names) == 10
    assert names[1] == "hidden=5 seed=2 epochs=3 lr=0.01"


def test_a_value_of_a_saved_sweep_that_is_overridden_is_not_read(save_sweep):
    argument = save_sweep(SWEEP % "hidden: '[1', seed: '1,2'")
    assert len(jobs(argument, "hidden=5")) == 2
    (problem,) = problems(argument)
    assert "x.yaml: hidden has an invalid value '[1'" in problem


SWEEP = "hydra: {mode: MULTIRUN, sweeper: {params: {%s}}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imags: 5", "x.yaml: `imags` is not a setting of train: choose from "),
        ("hidden: ${nokey}", "conf/experiment/x.yaml: hidden=${nokey} cannot be reso"),
        ("hidden: -1", "conf/experiment/x.yaml: hidden must be at least 1, got -1"),
        (SWEEP % "hidden: x y", "conf/experiment/x.yaml: hidden must be an integer"),
        (SWEEP % "hidden: '[1'", "conf/experiment/x.yaml: hidden has an invalid value"),
        (SWEEP % "hiden: 1", "x.yaml: `hiden` is not a setting: did you mean hidden?"),
        (SWEEP % "lr: '${x}'", "conf/experiment/x.yaml: lr=${x} cannot be resolved: "),
        ("workers: 2", "workers is a setting of sweeps: add -m"),
        ("hydra: {launcher: {n_jobs: 2}}", "x.yaml: hydra.launcher.n_jobs cannot be"),
        ("hydra: {run: {dir: /tmp}}", "set the environment variable PIPELINE_OUTPUTS"),
        (
            "hydra: {sweeper: {max_batch_size: 2}}",
            "hydra.sweeper.max_batch_size cannot",
        ),
        ("hidden: [", "x.yaml: line 3, column 1: while parsing a flow node, expec"),
        ("defaults: [nothing]", "Could not load 'experiment/nothing'"),
    ],
)
def test_an_invalid_saved_sweep_is_rejected_in_one_line(save_sweep, text, message):
    (problem,) = problems(save_sweep(text))
    assert message in problem


@pytest.mark.parametrize(
    "name", ["Photo (1) [x], ü=~#'1'", "1234e567", "null", "a${b}", "a,b", "'a'"]
)
def test_a_folder_is_taken_as_typed(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(jobs("-m", f"dataset={name}", "seed=1,2")) == 2
    assert read(f"dataset={name}").config.dataset == str(tmp_path / name)
    config = read(f"sets=[./{name}]", stage="evaluate").config
    assert config.sets == [str(tmp_path / name)]
