import pytest

from pipeline.cli import Job, defaults
from pipeline.sweeps.driver import sweep_name
from pipeline.sweeps.outcomes import Outcome
from pipeline.sweeps.report import Setting, describe, group_by_setting


def job(**swept):
    return Job(swept, defaults() | swept, [])


def setting(*accuracies, **keys):
    outcomes = [
        Outcome(job(**keys, seed=seed), "", accuracy, 3985, 1.0)
        for seed, accuracy in enumerate(accuracies)
    ]
    return Setting(keys, outcomes)


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


def test_a_sweep_over_seeds_has_one_accuracy():
    assert summary(setting(0.9, 0.8)) == "all seeds: validation accuracy 85.00% ± 7.07"


def test_outcomes_are_grouped_by_all_swept_keys_except_the_seed():
    outcomes = [
        Outcome(job(hidden=hidden, seed=seed), "no memory" if seed == 3 else "")
        for hidden in (5, 8)
        for seed in (1, 2, 3)
    ]
    settings = group_by_setting(outcomes)
    assert [each.name for each in settings] == ["hidden=5", "hidden=8"]
    row = settings[0].row()
    assert row["trained"] == 2 and row["failed"] == "seed=3 failed: no memory"


def test_a_sweep_is_named_by_its_options_and_long_lists_are_shortened():
    jobs = [job(hidden=hidden, seed=seed) for hidden in range(1, 10) for seed in (1, 2)]
    assert sweep_name(jobs) == "hidden=1,2,…,9 seed=1,2"
