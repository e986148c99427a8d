"""What Hydra's documentation promises, tried with groups that a user could add."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from inspect import signature
from pathlib import Path

import hydra
import pytest
import yaml
from omegaconf import OmegaConf
from outcomes import outcome_of

from pipeline import ConfigError, cli
from pipeline.__main__ import STAGES
from pipeline.base import files, paths
from pipeline.cli import selected_files
from pipeline.cli.arguments import parse
from pipeline.cli.flags import Flags, read_flags
from pipeline.cli.overrides import read_arguments
from pipeline.cli.reserved_names import ARGUMENTS, COLUMNS, TAGS
from pipeline.cli.schema import KEYS
from pipeline.cli.stages import from_python, help_text
from pipeline.core.dataset import DataFile
from pipeline.deploy import sizes
from pipeline.sweeps.listing import list_jobs
from pipeline.sweeps.naming import sweep_key, sweep_name
from pipeline.sweeps.networks import read_networks
from pipeline.train import sweep, train

FILES = {
    "conf/hydra.yaml": "defaults: [config, team: null, experiment: null, _self_]",
    "conf/team/small.yaml": "# @package _global_\nhidden: 10\nserver: http://small",
    "conf/team/large.yaml": "# @package _global_\nhidden: 100\nserver: http://large",
    "conf/team/wide.yaml": "# @package _global_\nhidden: 100\nepochs: ${hidden}",
    "conf/team/nopackage.yaml": "hidden: 10",
    "conf/team/sub/deep.yaml": "# @package _global_\nhidden: 11\nserver: http://deep",
    "conf/team/sub/nopackage.yaml": "hidden: 10",
    "conf/other/seed.yaml": "# @package _global_\nseed: 9",
    "conf/team/empty.yaml": "",
    "conf/team/mark.yaml": "\ufeff# @package _global_\nhidden: 12\nserver: http://x",
    "mine/two.yaml": "defaults: [config, team: large, override team: small, _self_]",
    "mine/own.yaml": "defaults: [config, /other/seed, _self_]\nepochs: 2",
    "mine/more.yaml": "defaults: [hydra, _self_]\nepochs: 3",
    "mine/other/late.yaml": "# @package _global_\nseed: 5",
}


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """Return a function that writes files in a copy of conf/; {} adds none."""
    shutil.copytree(paths.conf_dir(), tmp_path / "conf")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    monkeypatch.chdir(tmp_path)

    def write(files):
        for name, text in {**FILES, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    write({})
    return write


def read(*arguments, schema=cli.TrainConfig):
    return parse(arguments, schema)


def values(*arguments):
    command = read(*arguments)
    return {key: getattr(command.config, key) for key in ("hidden", "epochs", "seed")}


def problem(*arguments, **options):
    with pytest.raises(ConfigError) as error:
        read(*arguments, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


def table():
    """Return the rows of the table of Hydra's features in conf/README.md."""
    text = (paths.ROOT / "conf" / "README.md").read_text()
    rows = re.findall(r"^\| .*? \| `(.*?)` \| (works|rejected)(.*?) \|$", text, re.M)
    assert len(rows) > 20
    return rows


@pytest.mark.parametrize(("command", "verdict", "remedy"), table())
def test_each_row_of_the_table_of_features(conf, command, verdict, remedy):
    if verdict == "works":
        assert read(*shlex.split(command)).config
        return
    *_, instead = re.findall("`(.*?)`", remedy) or [""]
    assert instead in problem(*shlex.split(command))


@pytest.mark.parametrize(
    ("arguments", "hidden", "epochs", "seed"),
    [
        ("team=small", 10, 20, 1),
        ("team=small hidden=7", 7, 20, 1),
        ("team=small ~team", 20, 20, 1),
        ("team=large team=small", 10, 20, 1),
        ("team=empty", 20, 20, 1),
        ("team=mark", 12, 20, 1),
        ("team=sub/deep", 11, 20, 1),
        ("+team/sub=deep", 11, 20, 1),
        ("+other=seed", 20, 20, 9),
        ("team=wide", 100, 100, 1),
        ("team=wide hidden=30", 30, 30, 1),
        ("epochs=${hidden}", 20, 20, 1),
        ("--config-dir mine --config-name two", 10, 20, 1),
        ("-cd mine -cn own.yaml", 20, 2, 9),
        ("--config-dir mine +other=late", 20, 20, 5),
        ("--config-dir conf/../mine +other=late", 20, 20, 5),
        ("--config-dir mine --config-name more team=large", 100, 3, 1),
    ],
)
def test_files_are_composed_as_hydra_documents(conf, arguments, hidden, epochs, seed):
    expected = {"hidden": hidden, "epochs": epochs, "seed": seed}
    assert values(*shlex.split(arguments)) == expected


def test_the_values_and_the_options_are_those_that_hydra_composes(conf, tmp_path):
    settings = "hidden: ${seed}\nhydra: {sweeper: {params: {lr: '1,2'}}}"
    conf({"conf/team/x.yaml": f"{GLOBAL}defaults: [sub/deep, small]\n{settings}"})
    overrides = ["team=x", "+other=seed"]
    flags, schema = Flags(), cli.TrainConfig
    given = read_arguments(overrides, schema, flags)
    (ours,) = selected_files.compose_all(given, schema, flags)
    (swept,) = selected_files.compose_all(given, schema, Flags(multirun=True))
    with hydra.initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
        theirs = hydra.compose("hydra", overrides, return_hydra_config=True)
    values = OmegaConf.to_container(theirs)
    composed = values.pop("hydra")
    assert {key: setting.value for key, setting in ours.settings.items()} == values
    word, path = f"lr={composed['sweeper']['params']['lr']}", Path("conf/team/x.yaml")
    lr = read_arguments([word], schema, flags).settings["lr"]
    saved = {"lr": lr._replace(path=path.absolute())}
    assert swept.settings == {**ours.settings, **saved}
    assert ours.options.items() <= composed["runtime"]["choices"].items()
    assert ours.paths["hidden"].name == "x.yaml"
    assert ours.paths["seed"].parent.name == "other"


def test_a_file_in_the_defaults_list_counts_in_every_command_and_in_python(
    conf, empty_project
):
    listed = "defaults: [config, team: small, _self_]"
    conf({"conf/hydra.yaml": f"{listed}\nseed: 6\nserver: null\ntracking: none"})
    assert values() == {"hidden": 10, "epochs": 20, "seed": 6}
    assert read(schema=cli.EvaluateConfig).config.tracking == "none"
    with empty_project("python").captured():
        trained = train(dataset="digits", epochs=1)
    assert trained.run_id is None
    assert (trained.hyperparameters.hidden, trained.hyperparameters.seed) == (10, 6)


def jobs_of(command):
    return list_jobs(command, lambda name: DataFile(Path(name), name))


def names(*arguments):
    return [job.name for job in jobs_of(read(*arguments))]


def test_help_lists_the_options_of_all_groups(conf):
    flags, _ = read_flags(["--help", "--config-dir", "mine"])
    lines = help_text("", cli.PredictConfig, flags).splitlines()
    start = lines.index("Config groups; group=option selects a file of a group:")
    assert lines[start + 1] == "  other: late, seed"
    team = "  team: empty, large, mark, nopackage, small, sub/deep, sub/nopackage, wide"
    assert lines[start + 2] == team and not lines[start + 3]


def test_help_with_a_folder_of_settings_does_not_import_hydra(conf):
    command = "-X importtime -m pipeline.predict --config-dir mine --help"
    done = subprocess.run(
        [sys.executable, *command.split()],
        env=os.environ | {"PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
    )
    assert "\n  other: late\n" in done.stdout and "hydra" not in done.stderr


def test_each_option_of_a_group_is_composed_and_multiplies_the_sweep(conf):
    team = ["-m", "team=small,large", "server=http://x"]
    assert names(*team) == [
        "team=small hidden=10 seed=1",
        "team=large hidden=100 seed=1",
    ]
    nested = ["-m", "team=small,sub/deep", "server=http://x"]
    assert names(*nested) == [
        "team=small hidden=10 seed=1",
        "team=sub/deep hidden=11 seed=1",
    ]
    assert len(names(*team, "seed=1,2,3")) == 6
    # The teams are equal in all settings.
    assert names(*team, "hidden=5,6") == [
        "team=large,small hidden=5 seed=1",
        "team=large,small hidden=6 seed=1",
    ]
    assert (
        "server must have one value in a sweep, got http://small with team=small and "
        "http://large with team=large: add server= with one of them"
    ) in problem(*team[:2])


def test_null_selects_no_option_of_a_group_and_glob_all_that_match(conf):
    conf({"conf/hydra.yaml": "defaults: [config, team: small, experiment: null]"})
    assert values("team=null", "experiment=null", "+other=null")["hidden"] == 20
    assert names("-m", "team=small,null", "server=null") == [
        "team=small hidden=10 seed=1",
        "team=null hidden=20 seed=1",
    ]
    assert names("-m", "experiment=glob(*s,exclude=h*)") == names(
        "experiment=learning_rates"
    )
    assert "hidden_sizes, learning_rates or search" in problem(
        "-m", "experiment=glob(x*)"
    )
    # These files say that they are sweeps.
    assert names("experiment=glob(*s)") == names("-m", "experiment=glob(*s)")


def test_a_group_has_the_same_options_in_python(conf):
    assert from_python(cli.TrainConfig, {"team": "small"}).config.hidden == 10
    settings = {"team": ["small", "wide", None], "server": None, "epochs": 3}
    swept = jobs_of(from_python(cli.TrainConfig, settings, is_multirun=True))
    assert [job.values["hidden"] for job in swept] == [10, 100, 20]
    saved = jobs_of(
        from_python(cli.TrainConfig, {"experiment": "hidden_sizes"}, is_multirun=True)
    )
    assert saved == jobs_of(read("experiment=hidden_sizes"))
    for settings, message in {
        "file": ({"team": "tiny"}, "team must be empty, large"),
        "type": ({"team": 3}, "team must be empty, large, .*, got '3'"),
        "name": ({"tem": "small"}, "`tem` is not a setting: did you mean team?"),
        "several": ({"team": ["small", "wide"]}, r"several values: call sweep\(team="),
        "sweep": (
            {"experiment": "search"},
            r"^experiment=search starts a sweep: call sweep\(\)$",
        ),
    }.values():
        with pytest.raises(ConfigError, match=message):
            from_python(cli.TrainConfig, settings)


def test_the_options_of_a_command_include_those_of_defaults_lists(conf):
    extended = f"{GLOBAL}defaults: [hidden_sizes, override /team: small]"
    conf({"conf/experiment/x.yaml": extended})
    for arguments, options in {
        "seed=1": [{}],
        "team=small": [{"team": "small"}],
        "team=small ~team": [{}],
        "+team@_global_=sub/deep": [{"team": "sub/deep"}],
        "--config-dir mine --config-name two": [{"team": "small"}],
        "-m team=small,null server=null": [{"team": "small"}, {}],
        "experiment=x seed=1 hidden=5 server=null": [
            {"experiment": "x", "team": "small"}
        ],
    }.items():
        command = read(*shlex.split(arguments))
        assert [each.options for each in command.combinations] == options
        assert command.options == options[0]


def test_the_groups_of_a_job_have_the_same_order_in_each_process(conf):
    groups = ["beds", "cats", "ants", "dogs", "apes", "cows", "bees"]
    conf({f"conf/{group}/x.yaml": GLOBAL for group in groups})
    command = read("-m", *(f"+{group}=x" for group in groups))
    (job,) = jobs_of(command)
    assert [*job.options] == [*command.options]  # the order of the columns of a result


def test_the_option_of_a_group_is_a_tag_and_a_param_of_each_run(
    conf, empty_project, worker
):
    conf({"conf/hydra.yaml": "defaults: [config, team: null, _self_]"})
    project = empty_project("groups")
    settings = {"dataset": "digits", "epochs": 1, "server": None, "quiet": True}
    with project.captured():
        trained = train(team="small", **settings)
        swept = sweep(team=["small", "wide", None], **settings)
        equal = sweep(team=["small", "empty"], hidden=10, **settings)
        settings = {"reproduce": trained.run_id, "server": None, "quiet": True}
        reproduced = train(team="empty", **settings)
    data = project.client.get_run(trained.run_id).data
    assert data.tags["team"] == data.params["team"] == "small"
    assert project.client.get_run(reproduced.run_id).data.tags["team"] == "empty"
    parent = project.client.get_run(swept.run_id).data
    assert parent.tags["team"] == "null,small,wide"
    assert parent.tags["swept"] == "team,hidden"
    children = [project.client.get_run(each.run_id) for each in swept.outcomes]
    assert [(c.data.tags.get("team"), c.data.tags["hidden"]) for c in children] == [
        ("small", "10"),
        ("wide", "100"),
        ("null", "20"),
    ]
    assert [c.data.params["team"] for c in children] == ["small", "wide", "null"]
    assert all(child.data.tags["kind"] == "training" for child in children)
    rows = [(row["team"], row["hidden"]) for row in swept.rows()]
    assert rows == [("small", 10), ("wide", 100), ("null", 20)]
    assert "kind" not in swept.rows()[0]  # the same option in each training run
    of_user = [str(swept.run_id), *(each.info.run_id for each in children)]
    for number, run_id in enumerate(of_user):  # a tag of a user is not a group
        project.client.set_tag(run_id, "reviewer", f"{number}")
    _, networks = read_networks(str(swept.run_id), store=project.outputs)
    assert [each.varied_values for each in networks] == [
        {"team": "null", "hidden": 20},
        {"team": "small", "hidden": 10},
        {"team": "wide", "hidden": 100},
    ]
    (row,) = project.read(equal.folder / "sweep.csv")
    assert (row["team"], row["trained"]) == ("empty,small", "1")


def test_the_columns_of_all_tables_are_reserved_names(empty_project, worker):
    project = empty_project("columns")
    with project.captured():
        swept = sweep(dataset="digits", epochs=1, hidden=[5, 6], quiet=True)
    row, *_ = project.read(swept.folder / "sweep.csv")
    shown = re.findall(r"(\w+)=", repr(swept.outcomes[0]))
    columns = {*swept.rows()[0], *row, *shown, *sizes.COLUMNS}
    names = {name for name in columns if name.isidentifier()}  # possible group names
    assert names <= KEYS | TAGS | COLUMNS


def test_the_keywords_of_all_functions_are_reserved_names():
    modules = {stage: importlib.import_module(f"pipeline.{stage}") for stage in STAGES}
    functions = [sweep, *(getattr(module, x) for x, module in modules.items())]
    parameters = [x for each in functions for x in signature(each).parameters.values()]
    names = {x.name for x in parameters if x.kind is x.KEYWORD_ONLY}
    assert names - {"experiment"} == ARGUMENTS


def test_an_outcome_of_a_group_with_any_name_has_a_representation(conf):
    conf({"conf/item/a.yaml": f"{GLOBAL}hidden: 5"})
    job, _ = jobs_of(read("-m", "+item=a,null"))
    text = repr(outcome_of(job, 0.9))
    assert text.startswith("TrainedOutcome(item='a', hidden=5, val_accuracy=")


def test_a_setting_that_refers_to_a_swept_one_is_varied_too(conf):
    assert read("-m", "hidden=5,6", "epochs=${hidden}").varied == ["hidden", "epochs"]
    linked = problem("-m", "hidden=5,6", "workers=${hidden}")
    assert "workers must have one value in a sweep, got 5 and 6: add workers=" in linked
    for epochs in ("${hidden}", "3,${hidden}"):
        given = "hidden=interval(5,6)", f"epochs={epochs}", "trials=2"
        rule = "epochs must not refer to a setting with an interval"
        assert rule in problem("-m", *given)


def test_references_are_resolved_for_each_setting_of_a_sweep(conf):
    assert names("-m", "hidden=5,6", "epochs=${hidden}") == [
        "hidden=5 seed=1 epochs=5",
        "hidden=6 seed=1 epochs=6",
    ]
    assert names("-m", "team=wide", "hidden=5,6", "epochs=2,${hidden}") == [
        "hidden=5 seed=1 epochs=2",
        "hidden=5 seed=1 epochs=5",
        "hidden=6 seed=1 epochs=2",
        "hidden=6 seed=1 epochs=6",
    ]


def test_several_saved_sweeps_are_one_sweep_but_searches_cannot_be_combined(conf):
    joined = names("-m", "experiment=hidden_sizes,learning_rates")
    sizes, rates = names("experiment=hidden_sizes"), names("experiment=learning_rates")
    assert len(joined) == len({*joined}) == 15 + 18 - 3  # three are in both
    assert {*joined} >= {*rates} and len(sizes) == 15
    error = problem("-m", "experiment=hidden_sizes,search")
    assert "a search cannot be combined with another sweep" in error


@pytest.mark.parametrize(
    "words",
    [
        "team=small,wide +other=seed,null epochs=1,2",
        "team=small,large hidden=5,-1 seed=1,-2",  # equal teams, invalid values
        "experiment=hidden_sizes,learning_rates",
        "lr=interval(0.1,0.2) hidden=interval(4,8) trials=3",
    ],
)
def test_the_order_of_groups_options_and_values_is_not_part_of_the_sweep_key(
    conf, words
):
    def identify(given):
        command = read("-m", "server=http://x", *given)
        jobs = jobs_of(command)
        tags = {frozenset(job.tags.items()) for job in jobs}
        arguments = {"recorded_in": "digits", "again": False}
        return sweep_key(jobs, command.intervals, **arguments), tags

    given = words.split()
    reverse = []
    for key, text in (word.split("=") for word in reversed(given)):
        several = [text] if "(" in text else text.split(",")
        reverse.append(f"{key}={','.join(reversed(several))}")
    assert reverse != given and identify(reverse) == identify(given)
    assert identify([*given, "batch_size=10"])[0] != identify(given)[0]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("hidden=5,6 seed=1,2", "hidden=5,6 seed=1,2"),
        ("+other=seed,null hidden=5,6", "other=seed,null hidden=5,6 seed=9,1 (4 comb"),
        ("team=small,wide epochs=1", "team=small,wide hidden=10,100 epochs=1 (2 comb"),
        (
            "team=small,wide hidden=5 epochs=1",
            "team=small,wide seed=1 hidden=5 epochs=1",
        ),
        ("experiment=hidden_sizes,learning_rates", "hidden=5,10,20,40,80 seed=1,2,3 "),
    ],
)
def test_the_name_of_a_sweep_says_if_some_combinations_are_not_trained(
    conf, words, name
):
    jobs = jobs_of(read("-m", "server=http://x", *words.split()))
    found = sweep_name(jobs)
    assert found.startswith(name) and (found == name or f" ({len(jobs)} comb" in found)


def test_a_saved_sweep_can_vary_a_group(conf):
    sweep = "hydra: {mode: MULTIRUN, sweeper: {params: {team: 'small,wide'}}}"
    conf({"conf/experiment/x.yaml": f"# @package _global_\nserver: null\n{sweep}"})
    assert names("experiment=x", "server=null", "epochs=3") == [
        "team=small hidden=10 seed=1 epochs=3",
        "team=wide hidden=100 seed=1 epochs=3",
    ]
    reverse = names("experiment=x", "server=null", "team=wide,small")  # without -m
    assert [name.split()[0] for name in reverse] == ["team=wide", "team=small"]
    sweep = "hydra: {mode: MULTIRUN, sweeper: {params: {+other: 'seed', ++lr: '1,2'}}}"
    conf({"conf/experiment/x.yaml": f"# @package _global_\n{sweep}"})
    assert names("experiment=x") == [
        "hidden=20 seed=9 lr=1.0",
        "hidden=20 seed=9 lr=2.0",
    ]
    assert names("experiment=x", "lr=3", "seed=2") == ["hidden=20 seed=2 lr=3.0"]


def test_only_the_files_that_the_user_selects_are_saved_sweeps_as_in_hydra(conf):
    params = "hydra: {sweeper: {params: {%s}}}"
    conf(
        {
            "conf/experiment/x.yaml": GLOBAL + params % "team: 'x,small'",
            "conf/team/x.yaml": GLOBAL + "server: null\n" + params % "seed: '3,4'",
        }
    )
    assert names("-m", "experiment=x", "server=null") == [
        "team=x hidden=20 seed=1",
        "team=small hidden=10 seed=1",
    ]
    assert len(names("-m", "team=x")) == 2


def test_a_value_in_a_chosen_file_that_another_file_replaces_is_not_rejected(conf):
    listed = "defaults: [config, team: null, _self_]\nworkers: 2"
    conf({"conf/hydra.yaml": listed, "conf/team/x.yaml": f"{GLOBAL}workers: 3"})
    assert read("team=x").config.workers == 2


GLOBAL = "# @package _global_\n"
BAD_FILES = {
    "evil/__init__.py is not run": (
        {"mine/evil.yaml": "hydra: {searchpath: [pkg://evil]}"},
        "--config-dir mine --config-name evil",
        "mine/evil.yaml: hydra.searchpath cannot be set in this project: use --config",
    ),
    "secrets": (
        {"conf/team/x.yaml": GLOBAL + "run_name: x\nhidden: ${oc.env:HOME}"},
        "team=x",
        "conf/team/x.yaml: ${oc.env:HOME} calls a resolver, which can read secrets",
    ),
    "a hidden resolver": (
        {"conf/team/x.yaml": GLOBAL + "hidden: ${${seed}:HOME}"},
        "team=x",
        "calls a resolver",
    ),
    "a class": (
        {"conf/team/x.yaml": GLOBAL + "hidden: [{_target_: os.system}]"},
        "team=x",
        "conf/team/x.yaml: _target_ names a class to call: remove it",
    ),
    "a tag of YAML": (
        {"conf/team/x.yaml": GLOBAL + "hidden: !!python/name:os.system"},
        "team=x",
        "conf/team/x.yaml: line 2, column 9: could not determine a constructor",
    ),
    "the package of Hydra": (
        {"conf/team/x.yaml": "# @package hydra.job\nenv_copy: [HOME]"},
        "team=x",
        "conf/team/x.yaml: hydra.job cannot be set",
    ),
    "a package that ends with Hydra": (
        {"conf/team/x.yaml": "# @package _global_.hydra\nverbose: true"},
        "team=x",
        "conf/team/x.yaml: _global_.hydra cannot be set",
    ),
    "a primary config that is missing": (
        {},
        "--config-name own",
        "--config-name must be config or hydra, got 'own'",
    ),
    "a launcher": (
        {"conf/team/x.yaml": GLOBAL + "defaults: [override /hydra/launcher: x]"},
        "team=x",
        "/hydra/launcher cannot be set in this project: use workers and",
    ),
    "a reference in config.yaml": (
        {"conf/config.yaml": "hidden: ${epochs}"},
        "seed=1",
        "config.yaml: hidden: ${epochs} refers to another setting, which DVC does not",
    ),
    "a file outside of the folder": (
        {"conf/team/x.yaml": GLOBAL + "defaults: [../../x]", "x.yaml": "hidden: 9"},
        "team=x",
        "cannot compose conf/team/x.yaml: Could not load 'team/../../x'",
    ),
    "an option without the default values": (
        {
            "conf/own.yaml": "defaults: [team: full, _self_]",
            "conf/team/full.yaml": GLOBAL + "defaults: [/config]",
            "conf/team/partial.yaml": GLOBAL + "hidden: 9",
        },
        "--config-name own team=partial",
        "the primary config (--config-name) lacks the default values: add the line",
    ),
    "an option of a sweep without the default values": (
        {
            "conf/own.yaml": "defaults: [team: full, _self_]",
            "conf/team/full.yaml": GLOBAL + "defaults: [/config]",
            "conf/team/partial.yaml": GLOBAL + "hidden: 9",
        },
        "-m --config-name own team=full,partial",
        "the primary config (--config-name) lacks the default values: add the line",
    ),
    "a missing file": (
        {"conf/hydra.yaml": "defaults: [config, team: tiny, _self_]"},
        "seed=1",
        "cannot compose conf/hydra.yaml: Could not find 'team/tiny' Available options "
        "in 'team': empty large mark nopackage small sub/deep sub/nopackage wide",
    ),
    "a folder in a defaults list": (
        {"conf/team/x.yaml": GLOBAL + "defaults: [/team]"},
        "team=x",
        "cannot compose conf/team/x.yaml: Could not load 'team'",
    ),
    "a defaults list that is none": (
        {"conf/team/x.yaml": GLOBAL + "defaults: team"},
        "team=x",
        "cannot compose conf/team/x.yaml: Invalid defaults list in 'team/x'",
    ),
    "a cycle": (
        {"conf/team/x.yaml": GLOBAL + "hidden: ${epochs}\nepochs: ${hidden}"},
        "team=x",
        "hidden=${epochs} cannot be resolved: it refers to itself",
    ),
    "groups that list each other": (
        {
            "conf/team/a.yaml": GLOBAL + "defaults: [small, b]",
            "conf/team/b.yaml": GLOBAL + "defaults: [a]",
        },
        "team=a",
        "the defaults lists of conf/team/a.yaml and conf/team/b.yaml form a cycle",
    ),
    "a saved sweep that lists itself": (
        {"conf/experiment/x.yaml": GLOBAL + "defaults: [x]"},
        "experiment=x",
        "the defaults lists of conf/experiment/x.yaml form a cycle: remove",
    ),
    "two primary configs": (
        {
            "mine/a.yaml": "defaults: [b, _self_]",
            "mine/b.yaml": "defaults: [a, _self_]",
        },
        "--config-dir mine --config-name a.yaml",
        "the defaults lists of mine/a.yaml and mine/b.yaml form a cycle: remove",
    ),
    "two types": (
        {"conf/team/x.yaml": GLOBAL + "hidden: {a: 1}"},
        "team=x",
        "conf/team/x.yaml: hidden must be an integer, got {'a': 1}",
    ),
    "a binary": (
        {"conf/team/x.yaml": bytes(range(256))},
        "team=x",
        "conf/team/x.yaml must be text in UTF-8",
    ),
    "a list": (
        {"conf/team/x.yaml": "- 1"},
        "team=x",
        "conf/team/x.yaml must contain lines such as hidden: 20",
    ),
    "a number": (
        {"conf/team/x.yaml": "3"},
        "team=x",
        "conf/team/x.yaml must contain lines such as hidden: 20",
    ),
    "a mistyped group": ({}, "tem=x", "`tem` is not a setting: did you mean team?"),
    "a mistyped group of saved sweeps": ({}, "experment=x", "did you mean experiment?"),
    "a mistyped key": (
        {"conf/team/x.yaml": GLOBAL + "hiden: 40"},
        "team=x",
        "conf/team/x.yaml: `hiden` is not a setting: did you mean hidden?",
    ),
    "a group as a value": (
        {"conf/team/x.yaml": GLOBAL + "team: small"},
        "team=x",
        "conf/team/x.yaml: `team` is a group, not a setting: select one of its files "
        "in a defaults list: - team: <file>",
    ),
    "no package": (
        {},
        "team=nopackage",
        "nopackage.yaml: its package must be _global_, got team: add '# @package _glob",
    ),
    "a key with the name of a folder": (
        {"conf/team/x.yaml": GLOBAL + "conf: 1"},
        "team=x",
        "conf/team/x.yaml: `conf` is not a setting of train: choose from ",
    ),
    "another package": (
        {},
        "+team@other=small",
        "conf/team/small.yaml: its package must be _global_, got other: add '# @pack",
    ),
    "an invalid value of a saved sweep": (
        {"conf/team/x.yaml": GLOBAL + "hydra: {sweeper: {params: {hidden: '-1,-1'}}}"},
        "-m team=x seed=1",
        "conf/team/x.yaml: hidden must be at least 1, got -1",
    ),
    "an invalid value": (
        {"conf/team/x.yaml": GLOBAL + "hidden: 0"},
        "team=x",
        "conf/team/x.yaml: hidden must be at least 1, got 0",
    ),
    "a mistyped key of a saved sweep": (
        {"conf/team/x.yaml": GLOBAL + "hydra: {sweeper: {params: {hiden: '5,6'}}}"},
        "team=x",
        "conf/team/x.yaml: `hiden` is not a setting: did you mean hidden?",
    ),
    "a group that is added twice": (
        {},
        "+experiment=search",
        "+experiment=search cannot be added, because experiment is already in the "
        "defaults list: write experiment=search",
    ),
    "a group that the primary config does not list": (
        {},
        "other=seed",
        "cannot compose conf/hydra.yaml: Could not override 'other'",
    ),
    "another folder": ({}, "--config-dir nodir", "existing folder, got 'nodir'"),
    "a URL": ({}, "--config-dir pkg://os", "existing folder, got 'pkg://os'"),
    "a path": (
        {},
        "--config-name ../conf/hydra",
        "--config-name must be config or hydra, got '../conf/hydra'",
    ),
    "no package in a subfolder": (
        {},
        "team=sub/nopackage",
        "nopackage.yaml: its package must be _global_, got team: add '# @package _glob",
    ),
    "an option outside of the folder": (
        {"x.yaml": "hidden: 9"},
        "team=../../x",
        "nopackage, small, sub/deep, sub/nopackage or wide, got '../../x'",
    ),
    "a list of options": (
        {},
        "-m +team=[small,wide],large",
        "+team=[small,wide],large selects a list of files: add a file to the group",
    ),
    "a list of options in a defaults list": (
        {"conf/team/x.yaml": GLOBAL + "defaults: [override /other: [seed]]"},
        "team=x",
        "conf/team/x.yaml: override /other selects a list of files: add a file to",
    ),
    "an absolute option": ({}, "team=/etc/x", "team must be empty, large"),
    "a folder": ({}, "/tmp", "'/tmp' is not of the form key=value: did you mean data"),
    "an unknown option": ({}, "team=tiny", "team must be empty, large, mark"),
    "several options": ({}, "team=small,large", "has several values: add -m to run"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_rejected_in_one_line(conf, kind):
    files, arguments, message = BAD_FILES[kind]
    conf({"evil/__init__.py": "raise SystemExit", **files})
    text = problem(*shlex.split(arguments))
    assert message in text
    assert os.environ["HOME"] not in text


def test_an_unknown_data_set_in_a_sweep_is_a_problem_only_of_its_jobs():
    jobs = jobs_of(read("-m", "dataset=mnist,nodata,digits,nodata"))
    assert [bool(job.error) for job in jobs] == [False, True, False]


@pytest.mark.parametrize("arguments", [["lr=-1"], ["lr=x"], ["-m", "lr=0,-1"]])
def test_a_default_that_is_missing_is_reported(conf, arguments):
    text = (paths.conf_dir() / "config.yaml").read_text()
    conf({"conf/config.yaml": re.sub(r"(?m)^lr:.*\n", "", text)})
    assert problem(*arguments).startswith("conf/config.yaml: lacks the line `lr:`, but")


def test_all_problems_of_a_file_and_of_the_command_line_are_reported_at_once(conf):
    settings = "launcher: {n_jobs: 2}, run: {dir: x}, sweeper: {n_trials: 3}"
    text = f"defaults: [override /hydra/output: x]\nhydra: {{{settings}}}"
    conf({"conf/team/x.yaml": f"{GLOBAL}{text}\nhidden: ${{oc.env:HOME}}"})
    with pytest.raises(ConfigError) as error:
        read("team=x", "seed=-1", "hiden=3")
    unknown, *lines, seed = str(error.value).split("\n")
    assert unknown.startswith("`hiden` is not") and seed.startswith("seed must be")
    assert all(line.startswith("conf/team/x.yaml: ") for line in lines)
    assert [line.split()[1] for line in lines] == [
        "/hydra/output",
        "hydra.launcher.n_jobs",
        "hydra.run.dir",
        "hydra.sweeper.n_trials",
        "${oc.env:HOME}",
    ]


def test_the_values_of_a_sweep_count_only_in_a_sweep(conf):
    params = "hydra: {sweeper: {params: {hidden: '5,6', team: 'small,wide'}}}"
    conf({"conf/hydra.yaml": f"defaults: [config, team: null, _self_]\n{params}"})
    with pytest.raises(ConfigError, match="epochs must be"):
        train(epochs=0, quiet=True)  # not a sweep
    assert values("seed=2") == {"hidden": 20, "epochs": 20, "seed": 2}
    assert len(names("-m", "server=null")) == 4
    mode = "hydra: {mode: MULTIRUN, sweeper: {params: {hidden: '5,6'}}}"
    conf({"conf/hydra.yaml": f"defaults: [config, team: null, _self_]\n{mode}"})
    assert len(names("seed=2")) == 2
    with pytest.raises(ConfigError, match=r"starts a sweep: call sweep\(\)"):
        train(seed=2, quiet=True)


def test_text_is_literal_in_files_and_on_the_command_line(conf):
    conf({"conf/team/x.yaml": GLOBAL + r"run_name: \${a} ${seed}"})
    assert read("team=x").config.run_name == r"\${a} ${seed}"
    assert read(r"run_name=\${a} ${seed}").config.run_name == r"\${a} ${seed}"


def test_a_problem_is_reported_in_one_line_even_if_a_key_in_a_file_has_several(conf):
    conf({"conf/team/x.yaml": f'{GLOBAL}"hid\\nden": 3\n"hydra.a\\nb": 1'})
    with pytest.raises(ConfigError) as error:
        read("team=x", "hidden=0")
    lines = error.value.problems
    assert all(line.startswith(("conf/team/x.yaml: ", "hidden must")) for line in lines)


def test_dvc_rejects_values_that_it_does_not_record(conf, monkeypatch):
    conf({"conf/hydra.yaml": "defaults: [config, team: small, _self_]"})
    assert read("server=null").config.hidden == 10
    monkeypatch.setenv("DVC_STAGE", "train")
    with pytest.raises(ConfigError) as error:
        read("seed=2")
    assert str(error.value).split("\n") == [
        f"{value} in conf/team/small.yaml differs from conf/config.yaml, the only file "
        "that DVC records: set it there"
        for value in ("hidden=10", "server=http://small")
    ]


def test_compositions_in_several_threads_do_not_disturb_each_other(conf):
    found, threads = {}, []
    for name in ("small", "large") * 5:
        action = lambda name=name: found.setdefault(name, []).append(  # noqa: E731
            values(f"team={name}")["hidden"]
        )
        threads.append(threading.Thread(target=action))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert found == {"small": [10] * 5, "large": [100] * 5}


def test_a_program_that_uses_hydra_itself_is_not_disturbed(conf, tmp_path):
    from hydra import compose, initialize_config_dir, version

    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.yaml").write_text("x: 1")
    with initialize_config_dir(str(tmp_path / "app"), version_base="1.2"):
        assert values("team=small")["hidden"] == 10
        assert str(version.getbase()) == "1.2"
        config = compose("main", return_hydra_config=True)
    sources = yaml.safe_dump([dict(s) for s in config.hydra.runtime.config_sources])
    assert config.x == 1 and "conf://" not in sources


def test_values_that_are_the_defaults_are_accepted_where_others_have_no_effect(conf):
    printed = files.as_yaml(dict(read("hidden=5").config))  # the output of --cfg job
    conf({"conf/experiment/printed.yaml": f"{GLOBAL}{printed}"})
    assert read("experiment=printed").config.hidden == 5
    assert read("tracking=none", "server=null").config.tracking == "none"
    assert read("workers=null", "again=false").config.workers is None
    with pytest.raises(ConfigError, match="hidden cannot be combined with reproduce"):
        read("reproduce=1234", "hidden=20")


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ("workers: 2", "-m team=x executor=ray seed=1,2", "workers has no effect with"),
        ("workers: 2", "team=x", "workers is a setting of sweeps: add -m"),
        ("trials: 2", "-m team=x seed=1,2", "trials has no effect without an inter"),
        ("tracking: none\nserver: http://h", "team=x", "server has no effect with"),
    ],
)
def test_a_rule_about_two_settings_names_the_file_of_the_setting(
    conf, settings, arguments, message
):
    conf({"conf/team/x.yaml": f"{GLOBAL}{settings}"})
    text = problem(*shlex.split(arguments))
    assert text.startswith(f"conf/team/x.yaml: {message}")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("dataset", "setting"),
        ("reused_from", "tag"),
        ("seconds", "column"),
        ("quiet", "keyword"),
    ],
)
def test_a_group_with_a_reserved_name_is_rejected(conf, tmp_path, name, what):
    conf({f"conf/{name}/tiny.yaml": f"{GLOBAL}hidden: 5\n"})
    (tmp_path / "another").mkdir()
    message = rf"^a group must not have the name of a {what}.* folder {name} in conf$"
    with pytest.raises(ConfigError, match=message):
        read("epochs=1", f"--config-dir={tmp_path / 'another'}")


def test_a_hidden_folder_is_not_a_group(conf):
    conf({"conf/.ipynb_checkpoints/small.yaml": "hidden: 10"})
    assert ".ipynb_checkpoints" not in Flags().groups and "team" in Flags().groups
