"""The table, the plot and the description of a sweep, and its progress."""

import re

import pytest

from pipeline import UserError
from pipeline.cli import defaults
from pipeline.sweeps.estimate import BEST_BYTES, Estimate, TimeLeft, estimate
from pipeline.sweeps.identity import sweep_name
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.outcomes import Outcome
from pipeline.sweeps.report import describe, select_rows, summarize
from pipeline.sweeps.settings import best_trade_offs, group_by_setting


def outcome(accuracy, error="", parameters=3985, **keys):
    job = Job.of(defaults() | keys, keys)
    return Outcome(job, error, accuracy, parameters, 1.0, None)


def settings(key, *accuracies, parameters=lambda value: 3985):
    """Return the settings of pairs: the value of a key, and its accuracies."""
    return group_by_setting(
        outcome(accuracy, parameters=parameters(value), **{key: value, "seed": seed})
        for value, values in accuracies
        for seed, accuracy in enumerate(values, start=1)
    )


@pytest.mark.parametrize("count", [3, 2000])
def test_the_description_has_the_best_rows_that_fit_in_the_limit_of_mlflow(count):
    rows = settings("hidden", *((h, [h / 2000]) for h in range(1, count + 1)))
    text = describe(rows, comparison="#/charts")
    assert len(text) < 8000  # MLflow truncates at 8,000 characters
    shown = [int(row) for row in re.findall(r"^\| (\d+)&", text, re.MULTILINE)]
    assert shown == [*range(count, count - len(shown), -1)]
    more = re.findall(r"and ([\d,]+) more in `sweep/sweep.csv`", text)
    assert more == ([f"{count - len(shown):,}"] if count > 3 else [])
    assert text.endswith("in `sweep/`.") and "side by side](#/charts)" in text


@pytest.mark.parametrize("failed", [0, 1, 7, 30])
def test_the_table_in_the_terminal_has_the_best_settings_and_those_that_failed(failed):
    trained = [outcome(1 - h / 100, hidden=h) for h in range(1, 26)]
    invalid = [outcome(0.0, "why", hidden=-h) for h in range(1, failed + 1)]
    rows = select_rows(group_by_setting(trained + invalid))
    shown = min(failed, 10)
    best = [*range(1, 21 - shown)]
    assert [row.keys["hidden"] for row in rows[: len(best)]] == best
    assert [bool(row.failed) for row in rows] == [False] * len(best) + [True] * shown


def test_the_smallest_setting_within_one_standard_deviation_of_the_best_is_named():
    # The best has the mean 0.91 and the standard deviation 0.0141.
    close = [(9, [0.90, 0.92]), (8, [0.90, 0.90]), (7, [0.85, 0.85])]
    assert summarize(settings("lr", *close)) == (
        "best: lr=9.0, validation accuracy 91.00% ± 1.41"
    )
    sizes = settings("hidden", *close, parameters=lambda hidden: 1000 * hidden)
    assert summarize(sizes) == (
        "best: hidden=9, validation accuracy 91.00% ± 1.41; "
        "the smallest within one standard deviation: hidden=8 (8,000 parameters)"
    )


def test_settings_with_different_validation_images_have_no_best():
    rows = settings("split", ("exercise", [0.9]), ("holdout", [0.8]))
    assert summarize(rows).startswith("no best setting: ")


def test_no_smaller_or_equal_network_is_as_accurate_as_a_best_trade_off():
    import random

    random = random.Random(1)
    pairs = [(random.randint(1, 40), random.randint(1, 30) / 100) for _ in range(300)]
    rows = group_by_setting(
        outcome(accuracy, parameters=size, lr=1 + n)
        for n, (size, accuracy) in enumerate(pairs)
    )
    front = [(row.parameters, row.accuracy) for row in best_trade_offs(rows)]
    expected = {
        (size, accuracy)
        for size, accuracy in pairs
        if not any(
            s <= size and a >= accuracy for s, a in pairs if (s, a) != (size, accuracy)
        )
    }
    assert front == sorted(expected) and len(front) > 3
    assert best_trade_offs(settings("lr", (0.1, [0.9]), (0.2, [0.8]))) == []


def test_a_sweep_is_named_by_its_options_and_long_lists_are_shortened():
    swept = [{"hidden": h, "seed": s} for h in range(1, 10) for s in (1, 2)]
    jobs = [Job.of(defaults() | keys, keys) for keys in swept]
    assert sweep_name(jobs) == "hidden=1,2,…,9 seed=1,2"


@pytest.mark.parametrize("swept", ["dataset", "seed"])
def test_the_names_of_a_sweep_over_a_folder_contain_no_path(idx_folder, swept):
    job = Job.of(defaults() | {"dataset": str(idx_folder)}, [swept])
    for name in (job.name, job.folder, sweep_name([job]), *job.tags.values()):
        assert "/" not in name
    assert " dataset=my_digits-" in job.name and job.values["dataset"] == str(
        idx_folder
    )


def test_a_sweep_that_does_not_fit_on_the_disk_is_refused_in_one_line(tmp_path):
    expected = Estimate(1, 1, 1.0, bytes=10**18, images={})
    with pytest.raises(UserError, match="needs about 1,000,000,000") as refused:
        expected.check_space(tmp_path / "sweeps")
    assert "\n" not in str(refused.value)
    reused = estimate([], [outcome(0.9, hidden=5).job], {}, workers=1)
    assert reused.count == 0 and reused.bytes > BEST_BYTES


def test_no_time_is_left_after_trainings_that_were_not_expected():
    job = outcome(0.9, hidden=5).job  # the files of a run that it reuses are damaged
    left = TimeLeft(estimate([], [job], {"mnist": 60_000}, workers=1))
    left.add(job)
    assert left.seconds() == 0
