import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Never,
    SupportsFloat,
    SupportsIndex,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
import pytest
import torch

from pipeline import ConfigError, UserError, __main__, cli
from pipeline.base import paths
from pipeline.cli import yaml_files
from pipeline.cli.arguments import parse
from pipeline.cli.default_values import defaults
from pipeline.cli.flags import Flags
from pipeline.cli.keywords import (
    CourseKeywords,
    HyperparameterKeywords,
    SweptT,
    SweptValues,
)
from pipeline.cli.schema import (
    SCHEMAS,
    EvaluateConfig,
    OnlyMultirun,
    RejectedByMultirun,
    TrainConfig,
)
from pipeline.cli.stages import from_python, help_text
from pipeline.cli.validation import validate
from pipeline.cli.yaml_files import read
from pipeline.train import sweep
from pipeline.training.run_names import _unnamed_values
from pipeline.ui import ui

STAGES = {schema.stage: schema for schema in SCHEMAS}


def test_the_defaults_are_valid_and_each_key_is_a_setting_of_a_stage():
    options = {}
    for schema in STAGES.values():
        options |= validate(schema, defaults()).model_dump()
    assert options == defaults()


@pytest.mark.parametrize("text", ["hidden: [", "hidden: ${epochs}"])
def test_a_default_that_cannot_be_read_is_reported(text, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    path = tmp_path / "conf" / "config.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml: (hidden: .* refers)?"):
        read(path)


def test_a_file_of_a_group_can_have_the_name_of_the_defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("hidden: ${epochs}")
    assert read(path) == ({"hidden": "${epochs}"}, None)


def test_a_file_is_parsed_again_only_if_it_has_changed(tmp_path, monkeypatch):
    shutil.copytree(paths.conf_dir(), tmp_path / "conf")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    path, parse_file, parsed = paths.conf_dir() / "config.yaml", yaml_files.parse, []

    def count(text, path):
        parsed.append(path)
        return parse_file(text, path)

    monkeypatch.setattr(yaml_files, "parse", count)
    for lr in (0.5, 0.25):
        path.write_text(re.sub("(?m)^lr: .*", f"lr: {lr}", path.read_text()))
        command = parse(["-m", "seed=1,2,3", "hidden=0,5"], TrainConfig)
        messages = [str(each.error) for each in command.combinations if each.error]
        assert len(messages) == 3 and "the default is hidden=20" in messages[0]
        assert command.config.lr == lr
    assert parsed.count(path) == 2


def test_an_invalid_folder_of_outputs_is_reported_in_the_same_line_by_each_stage(
    bare_project,
):
    commands = dict.fromkeys([("train",), ("predict",), ("ui", "browser=false")], None)
    place = {"PIPELINE_OUTPUTS": "~nosuchuser/x"}
    lines = bare_project.run_all(commands, **place).stderr.splitlines()
    rule = "PIPELINE_OUTPUTS must have a user name or / after ~, got ~nosuchuser/x"
    assert [line for line in lines if "PIPELINE" in line] == [f"  {rule}"] * 3


@pytest.mark.parametrize("stage", STAGES)
def test_help_has_each_setting_with_its_default_and_fits_80_columns(stage):
    module = importlib.import_module(f"pipeline.{stage}")
    name = f"python -m pipeline.{stage}"
    text = help_text(module.__doc__, STAGES[stage], Flags())
    assert text.startswith(
        f"{name} [key=value ...]\n\n{module.__doc__.splitlines()[0]}"
    )
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    for key in STAGES[stage].model_fields:
        assert any(option.partition("=")[0] == key for option in options)
    words = " ".join(text.split())
    for key in STAGES[stage].required:
        rule = ", unless MLFLOW_TRACKING_URI is the URL of a server"
        assert f" {key} required{rule if key == 'server' else ''}: " in words
    saved_sweeps = "\n  experiment: hidden_sizes, learning_rates, search\n"
    assert (saved_sweeps in text) == (stage == "train")
    assert max(map(len, text.splitlines())) <= 80


def test_the_help_of_a_stage_explains_a_setting_for_this_stage_only():
    network, all_runs = "the network in outputs/train/", "all runs"
    listed = "the list of the runs of one experiment"
    train, grade = "train all combinations again", "grade all submissions again"
    comments = {
        "run": dict.fromkeys(["evaluate", "predict", "inspect", "export"], network)
        | {"sync": all_runs, "ui": listed},
        "again": {"train": train, "grade": grade},
    }
    for stage, schema in STAGES.items():
        text = " ".join(help_text("", schema, Flags()).split())
        for key, texts in comments.items():
            shown = {x for x in texts.values() if f": {x}" in text}
            assert shown == ({texts[stage]} if key in schema.model_fields else set())
        assert not any(f"({x})" in text for x in ("sync", "ui", "train"))
    for function, shown in ((ui, listed), (sweep, train)):
        assert f": {shown}" in " ".join(function.__doc__.split())


def test_help_names_a_file_that_cannot_be_read_as_other_commands_do(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    file = tmp_path / "conf" / "config.yaml"

    def message(function, *arguments):
        with pytest.raises(UserError) as error:
            function(*arguments)
        return str(error.value)

    def both_messages():
        given = "", TrainConfig, Flags()
        return {message(help_text, *given), message(read, file)}

    missing = "conf/config.yaml cannot be read: No such file or directory"
    assert both_messages() == {missing}
    file.write_bytes(b"\xff")
    assert both_messages() == {"conf/config.yaml must be text in UTF-8"}


def test_a_folder_of_settings_that_cannot_be_read_is_reported(other_user, monkeypatch):
    for name in ("ROOT", "PACKAGE"):  # another user may not be able to read the clone
        monkeypatch.setattr(paths, name, Path())
    for folder, mode in {"conf": 0o755, "mine": 0o300}.items():
        Path(folder).mkdir(mode)
    for find in (lambda x: x.groups, lambda x: x.entries):
        with pytest.raises(UserError, match=r"^mine cannot be read: Perm"):
            find(Flags(config_dir=Path("mine")))


INTEGER, NUMBER = int | SupportsIndex, float | SupportsFloat
# The types that a call accepts in addition to the type of a setting.
WIDER = {str: [os.PathLike[str]], int: [SupportsIndex], float: [SupportsFloat]}


def types_of(annotations, keys, swept=()):
    """Return the members of the union that each key accepts, without bounds.

    In place of `SweptT`, hyperparameters accept `swept`.
    """
    hints = get_type_hints(annotations)
    types = {
        key: {*get_args(hints[key])}
        if get_origin(hints[key]) in (Union, UnionType)
        else {hints[key]}
        for key in keys
    }
    return {
        k: x - {SweptT} | {*(swept if SweptT in x else ())} for k, x in types.items()
    }


def test_only_a_sweep_accepts_several_values_of_hyperparameters():
    for call, values in (
        (cli.TrainKeywords, Never),
        (CourseKeywords, Never),
        (cli.SweepKeywords, SweptValues),
    ):
        assert call.__orig_bases__[0] == HyperparameterKeywords[values]


def test_the_keywords_of_a_call_have_the_names_and_the_types_of_the_schema():
    for stage, schema in STAGES.items():
        keywords = getattr(cli, f"{stage.title()}Keywords")
        only_commands = schema.marked(OnlyMultirun) if stage == "train" else ()
        keys = {*schema.model_fields} - {*only_commands}
        assert {*keywords.__annotations__} == keys
        types, accepted = types_of(schema, keys), types_of(keywords, keys)
        for key in keys:
            others = {Iterable[INTEGER], cli.Array} if key == "images" else set()
            if key == "sets":  # a list, or text as on the command line
                types[key] = {str, Iterable[str | os.PathLike[str]], NoneType}
            wider = {each for kind in types[key] for each in WIDER.get(kind, ())}
            assert types[key] <= accepted[key] <= types[key] | wider | others
            assert accepted[key] >= wider - {os.PathLike[str]}


def test_the_keywords_of_a_sweep_accept_one_value_several_or_text():
    rejected = {*cli.TrainConfig.marked(RejectedByMultirun)}
    keys = {*cli.TrainConfig.model_fields} - rejected
    assert {*cli.SweepKeywords.__annotations__} == keys
    swept = {*get_args(SweptValues)}
    types = types_of(cli.TrainConfig, keys)
    accepted = types_of(cli.SweepKeywords, keys, swept)
    for key, kinds in types.items():
        wider = {each for kind in kinds for each in WIDER.get(kind, ())}
        is_hyperparameter = key in cli.TrainConfig.can_vary
        if not is_hyperparameter:
            wider -= {os.PathLike[str]}
        assert accepted[key] == kinds | wider | (swept if is_hyperparameter else set())
    assert swept == {str, Iterable[INTEGER | NUMBER | str | os.PathLike[str]]}


def test_a_call_of_sweep_that_reproduces_a_run_gets_a_remedy_for_calls():
    rule = r"^reproduce cannot be used in a sweep: call train\(\)$"
    with pytest.raises(ConfigError, match=rule):
        from_python(TrainConfig, {"reproduce": "a"}, is_multirun=True)


def test_a_call_reports_the_problems_of_its_settings_and_of_its_folder(tmp_path):
    (tmp_path / "notes").touch()
    with pytest.raises(ConfigError) as error:
        from_python(TrainConfig, {"hidden": 0, "epochz": 3}, tmp_path)
    starts = [problem.split()[0] for problem in error.value.problems]
    assert starts == ["`epochz`", "hidden", "folder"]


class Five:
    """A number of another library."""

    def __index__(self):
        return 5


def test_a_keyword_can_be_a_number_of_any_type_and_becomes_an_int_or_a_float():
    values = {"hidden": Five(), "lr": [Decimal("-1"), Fraction(1, 2), Decimal("0.1")]}
    command = from_python(TrainConfig, values, is_multirun=True)
    assert [each.values["lr"] for each in command.combinations] == [-1.0, 0.5, 0.1]
    assert {type(each.values["lr"]) for each in command.combinations} == {float}
    assert [bool(each.error) for each in command.combinations] == [True, False, False]
    assert type(from_python(TrainConfig, {"hidden": Five()}).config.hidden) is int
    for lr in (Fraction(10**5000), Decimal("sNaN")):
        with pytest.raises(ConfigError, match=r"^lr cannot .* got a (Frac|Decimal)"):
            from_python(TrainConfig, {"lr": lr})
    with pytest.raises(ConfigError, match=r"hidden must be an integer, got 5\.0"):
        from_python(TrainConfig, {"hidden": Decimal(5)})


@pytest.mark.parametrize("array", [np.array, torch.tensor])
def test_a_keyword_can_be_an_array_without_axes_but_not_one_with_two(array):
    assert from_python(TrainConfig, {"hidden": array(5)}).config.hidden == 5
    assert from_python(TrainConfig, {"lr": array(0.5)}).config.lr == 0.5
    command = from_python(
        TrainConfig, {"hidden": array(5), "seed": array([1])}, is_multirun=True
    )
    assert (command.config.hidden, command.config.seed) == (5, 1)
    with pytest.raises(ConfigError, match=r"hidden=.* is a list: call sweep"):
        from_python(TrainConfig, {"hidden": array([[5, 6]])})
    with pytest.raises(ConfigError, match="hidden must be an integer, got"):
        from_python(TrainConfig, {"hidden": array([[5, 6]])}, is_multirun=True)
    with pytest.raises(ConfigError, match=r"workers must be an integer, got \[1, "):
        from_python(TrainConfig, {"workers": array([1, 2])})


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_a_number_of_any_precision_has_the_value_that_is_printed(kind):
    pytorch = torch.tensor(0.001, dtype=getattr(torch, kind))
    for number in (getattr(np, kind)(0.001), pytorch):
        assert from_python(TrainConfig, {"lr": number}).config.lr == 0.001


def test_a_name_that_is_not_a_stage_is_rejected_with_a_list_of_the_stages(capsys):
    with pytest.raises(SystemExit) as ending:
        __main__.main(["trian", "hidden=5"])
    printed = capsys.readouterr()
    message = "error: `trian` is not a stage. The stages are:\npython -m pipeline.data "
    assert ending.value.code == 2 and message in printed.err and not printed.out


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (
            "inspect --help",
            0,
            "python -m pipeline.inspect [key=value ...]\n\nExplains ",
        ),
        ("--help train", 0, "python -m pipeline.train [key=value ...]\n\nTrains "),
        ("train --help --cfg x", 0, "python -m pipeline.train [key=value ...]\n\n"),
        ("train hiden=5", 2, "did you mean hidden?\n  see python -m pipeline.train --"),
    ],
)
def test_a_stage_runs_as_an_argument_of_pipeline(words, status, text):
    command = [sys.executable, "-m", "pipeline", *words.split()]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == status and text in done.stdout + done.stderr


def test_a_setting_is_rejected_without_an_import_of_numpy(empty_project):
    project = empty_project("rejected")
    command = [sys.executable, "-X", "importtime", "-m", "pipeline.train"]
    done = subprocess.run(
        [*command, "dataset=digits", "hidden=0"],
        env=os.environ | {"PIPELINE_OUTPUTS": str(project.outputs)},
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
    )
    assert "hidden must be at least 1" in done.stderr and "hydra" in done.stderr
    assert "numpy" not in done.stderr


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_the_stages_are_listed_in_80_columns(words, capsys):
    __main__.main(words)
    lines = capsys.readouterr().out.splitlines()
    stages = [line.split()[2].partition(".")[2] for line in lines if "-m" in line]
    assert stages == [*STAGES] == [*__main__.STAGES]
    assert max(map(len, lines)) <= 80


def test_a_stage_that_is_started_as_a_file_says_how_to_start_it(tmp_path):
    command = [sys.executable, str(paths.PACKAGE / "train.py"), "hidden=5"]
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "error: run this stage with python -m pipeline.train\n"


def test_the_default_server_is_the_tracking_uri_of_the_environment(monkeypatch):
    address = "https://example.org"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert validate(TrainConfig, defaults()).server == address
    local = "http://127.0.0.1:5000"
    assert validate(TrainConfig, defaults() | {"server": local}).server == local


def test_sync_needs_a_server_and_the_tracking_uri_may_be_the_store(
    empty_project, monkeypatch
):
    project = empty_project("uri", store=False, digits=False)
    missing = "server is missing: add server=http://... or set MLFLOW_TRACKING_URI"
    for url, rule in {
        "": missing,
        f"sqlite:///{project.outputs / 'mlflow.db'}": missing,
        "postgresql://me:secret@host/x": missing,
        "http://me:secret@host": "MLFLOW_TRACKING_URI must not contain a password",
    }.items():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with pytest.raises(ConfigError, match=rf"^{re.escape(rule)}") as error:
            project.call("sync")
        assert "secret" not in str(error.value)
    assert not project.files()


@pytest.mark.parametrize("committed", ["hidden: [", "20", "", "hidden: 5"])
def test_a_broken_committed_file_does_not_change_the_names_of_runs(
    committed, tmp_path, monkeypatch
):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    path = tmp_path / "conf" / "config.yaml"
    path.parent.mkdir()
    path.write_text(committed)
    for command in (["init", "-q"], ["add", "conf"], ["commit", "-qm", "settings"]):
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)
    place = tmp_path / Path(paths.__file__).relative_to(paths.ROOT)
    place.parent.mkdir(parents=True)
    place.touch()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))  # the clone whose commit is read
    expected = defaults() | ({"hidden": 5} if "5" in committed else {})
    assert _unnamed_values.__wrapped__() == expected


def test_a_setting_or_a_variable_names_the_experiment_of_recorded_runs(monkeypatch):
    def recorded_in(stage, **values):
        return from_python(stage, values).config.recorded_in

    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    assert recorded_in(TrainConfig) == recorded_in(EvaluateConfig) == "digits"
    assert recorded_in(TrainConfig, experiment_name="a team") == "a team"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "others")
    assert recorded_in(TrainConfig) == recorded_in(EvaluateConfig) == "others"
    assert recorded_in(TrainConfig, experiment_name="a team") == "a team"
    assert recorded_in(TrainConfig, tracking="none") is None
