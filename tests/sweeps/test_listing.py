"""The jobs of a sweep, its ID and its name."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from pipeline import datasets
from pipeline.base.text import folder_name
from pipeline.cli import Interval, TrainConfig, from_python
from pipeline.cli.arguments import parse
from pipeline.core.dataset import DataFile
from pipeline.sweeps.listing import list_jobs
from pipeline.sweeps.naming import sweep_key, sweep_name


def unread(name):
    """Return the file of a data set, which no test reads."""
    return DataFile(Path(name), name)


def jobs(*arguments):
    return list_jobs(parse(arguments, TrainConfig), unread)


@pytest.mark.parametrize("setting", ["hidden={}5{}", "dataset={}digits{}"])
def test_a_sweep_with_one_value_of_a_key_has_the_same_id_however_it_is_given(setting):
    ids = {
        sweep_key(jobs("-m", given, "seed=1,-2"), {}, recorded_in=None, again=False)
        for given in (setting.format("", ""), setting.format("choice(", ")"))
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("lr=0.001,0.01", ["hidden=20 seed=1 lr=0.001", "hidden=20 seed=1 lr=0.01"]),
        ("hidden=5,5,6", ["hidden=5 seed=1", "hidden=6 seed=1"]),  # one job each
        ("hidden=range(5,7)", ["hidden=5 seed=1", "hidden=6 seed=1"]),
        ("dataset=choice('digits')", ["hidden=20 seed=1 dataset=digits"]),
        ("split='holdout'", ["hidden=20 seed=1 split=holdout"]),  # without quotes
    ],
)
def test_a_sweep_has_a_job_for_each_value_with_all_swept_keys_in_its_name(
    arguments, names
):
    assert [job.name for job in jobs("-m", arguments)] == names


def test_a_value_of_a_sweep_that_breaks_a_bound_is_a_problem_only_of_its_jobs():
    swept = jobs("-m", "hidden=-1,5", "seed=1,2")
    names = {job.name for job in swept if job.error}
    assert names == {f"hidden=-1 seed={seed}" for seed in (1, 2)}
    assert "got -1" in swept[0].error


def test_a_sweep_is_named_by_its_settings_and_long_lists_are_shortened():
    swept = jobs("-m", "hidden=range(1,10)", "seed=1,2")
    assert sweep_name(swept) == "hidden=1,2,…,9 seed=1,2"


def test_the_name_of_a_search_says_which_intervals_have_a_logarithmic_scale():
    names = [
        sweep_name(jobs("-m", "seed=1"), {"lr": Interval(0.001, 0.1, log=log)})
        for log in (False, True)
    ]
    assert names == ["seed=1 lr=0.001..0.1", "seed=1 lr=log(0.001..0.1)"]


@pytest.mark.parametrize("seeds", [[1], [1, 2], [1, -1]])
def test_the_jobs_of_a_sweep_over_a_folder_contain_no_path(
    empty_project, idx_folder, seeds
):
    copy = shutil.copytree(idx_folder, idx_folder.with_name("copy") / idx_folder.name)
    project = empty_project("names", store=False)
    settings = {"dataset": [idx_folder, copy], "seed": seeds}
    prepare = partial(datasets.prepare, folder=project.outputs / "data")
    with project.captured():
        command = from_python(TrainConfig, settings, is_multirun=True)
        swept = list_jobs(command, lambda name: prepare(name).file)
    assert [bool(job.error) for job in swept] == [seed < 0 for seed in seeds]
    assert swept[0].data_file.path.stem == swept[0].values["dataset"]
    for job in swept:
        for name in (job.name, folder_name(job.varied_values), *job.tags.values()):
            assert "/" not in name
    assert sweep_name(swept).count("my_digits-") == 1
    assert " dataset=my_digits-" in job.name


def test_an_invalid_job_has_values_and_an_error():
    command = from_python(
        TrainConfig, {"hidden": [0, 5], "run_name": "mine"}, is_multirun=True
    )
    invalid, valid = list_jobs(command, unread)
    assert invalid.error.startswith("hidden must") and not valid.error
    hidden = [job.varied_values["hidden"] for job in (invalid, valid)]
    assert hidden == [0, 5]
    assert valid.values["run_name"] is None  # the setting names the sweep
