import pytest

from pipeline.cli import defaults
from pipeline.sweeps.driver import sweep_name
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.outcomes import Outcome
from pipeline.sweeps.report import Setting, describe


def setting(*accuracies, **keys):
    job = Job.of(defaults() | keys, keys)
    return Setting(keys, [Outcome(job, "", value, 3985, 1.0) for value in accuracies])


def summary(*settings):
    return describe(settings, comparison="#/compare").splitlines()[0]


@pytest.mark.parametrize("count", [3, 500])
def test_the_description_fits_in_the_limit_of_mlflow(count):
    settings = [setting(0.9, hidden=hidden) for hidden in range(count)]
    text = describe(settings, comparison="#/compare-runs?" + "x" * 9000)
    assert len(text) < 8000  # MLflow truncates at 8,000 characters
    assert ("| " in text) == (count == 3)
    assert text.endswith("in `sweep/`.")
    short = describe(settings[:3], comparison="#/compare")
    assert "[Compare all training runs](#/compare)." in short


def test_settings_within_one_standard_deviation_of_the_best_are_named():
    settings = [
        setting(0.90, 0.92, lr=0.1),  # mean 0.91, standard deviation 0.0141
        setting(0.90, 0.90, lr=0.2),
        setting(0.85, 0.85, lr=0.3),
    ]
    assert summary(*settings) == (
        "best: lr=0.1, validation accuracy 91.00% ± 1.41; "
        "within one standard deviation: lr=0.2"
    )


def test_at_most_eight_close_settings_are_named():
    text = summary(*(setting(0.9, lr=lr) for lr in range(1, 12)))
    assert text.endswith("lr=8, lr=9, and 2 more")


def test_settings_with_different_validation_images_have_no_best():
    settings = [setting(0.9, split="exercise"), setting(0.8, split="holdout")]
    assert summary(*settings).startswith("no best setting: ")


def test_a_sweep_is_named_by_its_options_and_long_lists_are_shortened():
    swept = [{"hidden": h, "seed": s} for h in range(1, 10) for s in (1, 2)]
    jobs = [Job.of(defaults() | keys, keys) for keys in swept]
    assert sweep_name(jobs) == "hidden=1,2,…,9 seed=1,2"


@pytest.mark.parametrize("swept", ["dataset", "seed"])
def test_the_names_of_a_sweep_over_a_folder_contain_no_path(idx_folder, swept):
    job = Job.of(defaults() | {"dataset": str(idx_folder)}, [swept])
    for name in (job.name, job.folder, sweep_name([job]), *job.tags.values()):
        assert "/" not in name
    assert " dataset=my_digits-" in job.name and job.config.dataset == str(idx_folder)
