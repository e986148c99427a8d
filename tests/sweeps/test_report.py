"""The table, the plot and the description of a sweep, and its progress."""

import csv
import re
import shutil
import time
from pathlib import Path

import pytest
from outcomes import outcome_of
from PIL import Image

from pipeline import UserError, datasets
from pipeline.base import csv_files
from pipeline.cli import TrainConfig, defaults, from_python
from pipeline.cli.arguments import parse
from pipeline.core.dataset import DataFile
from pipeline.sweeps import report
from pipeline.sweeps.configurations import (
    Configuration,
    best_configuration,
    best_trade_offs,
    group_by_configuration,
    why_no_best,
)
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.listing import list_jobs
from pipeline.sweeps.naming import sweep_name
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.report_text import description_text, select_rows, summarize
from pipeline.sweeps.result import SweepResult
from pipeline.tracking.open_run import UnrecordedRun

NOT_RECORDED = UnrecordedRun()
DATA = DataFile(Path("mnist.safetensors"), "0" * 64)


def outcome(accuracy, error=None, options=None, **keys):
    options = options or {}
    job = Job(defaults() | keys, options, [*options, *keys], known_data_file=DATA)
    return outcome_of(job, accuracy, error)


def prepare_in(project):
    """Return a function that prepares a data set in the folder of a project."""
    folder = project.outputs / "data"
    return lambda name: datasets.prepare(name, folder=folder).file


def configurations(key, *accuracies):
    """Return the configurations of pairs: the value of a key, and its accuracies."""
    return group_by_configuration(
        outcome(accuracy, **{key: value, "seed": seed})
        for value, values in accuracies
        for seed, accuracy in enumerate(values, start=1)
    )


def test_a_row_of_the_table_has_at_most_three_errors_and_the_csv_file_all():
    many = [outcome(0.9, error=f"got -{seed}", seed=-seed) for seed in range(1, 1_006)]
    (configuration,) = group_by_configuration([*many, outcome(0.9, seed=1)])
    table = description_text([configuration])
    assert "seed=-1005 failed: got -1005; " in table
    assert table.count("got -") == 3 and "; and 1,002 other errors |" in table
    assert configuration.row()["failed"].count("got -") == 1_005


def test_updates_of_the_report_take_a_twentieth_of_the_time_at_most(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(report, "UPDATE_SECONDS", 0.0)
    plan = Plan([outcome(0.9, hidden=hidden).job for hidden in (5, 6)])
    plan.add(outcome(0.9, hidden=5))
    updated = report.Report(NOT_RECORDED, tmp_path, plan, title="title")
    updated.update()
    begin = time.monotonic()
    updated._next_update = begin
    updated.update()
    end = time.monotonic()
    # The update itself takes slightly less time than the call.
    assert updated._next_update - end > 18 * (end - begin)


def test_a_report_is_not_updated_in_the_first_seconds(tmp_path):
    report.Report(NOT_RECORDED, tmp_path, Plan([]), title="title").update()
    assert not [*tmp_path.iterdir()]


def test_a_search_that_ends_before_its_first_suggestion_reports_its_error(tmp_path):
    started = report.Report(NOT_RECORDED, tmp_path, Plan([]), title="title")
    with pytest.raises(UserError, match="no worker"), started.written_on_error():
        raise UserError("no worker can be started")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("count", [3, 2000])
def test_the_description_has_the_best_rows_that_fit_in_the_limit_of_mlflow(count):
    rows = configurations("hidden", *((h, [h / 2000]) for h in range(1, count + 1)))
    text = description_text(rows)
    assert len(text) < 7300  # with the links, MLflow truncates at 8,000 characters
    shown = [int(row) for row in re.findall(r"^\| (\d+)&", text, re.MULTILINE)]
    assert shown == [*range(count, count - len(shown), -1)]
    more = re.findall(r"and ([\d,]+) more in `sweep.csv`", text)
    assert more == ([f"{count - len(shown):,}"] if count > 3 else [])
    # MLflow hides all but the first lines.
    assert text.startswith("| hidden&emsp;|") and "\n\nbest: hidden=" in text


@pytest.mark.parametrize("failed", [0, 1, 7, 30])
def test_the_table_in_the_terminal_has_the_best_configurations_and_those_that_failed(
    failed,
):
    trained = [outcome(1 - h / 100, hidden=h) for h in range(1, 26)]
    invalid = [outcome(0.0, "why", hidden=-h) for h in range(1, failed + 1)]
    rows = select_rows(group_by_configuration(trained + invalid))
    shown = min(failed, 10)
    best = [*range(1, 21 - shown)]
    assert [row.varied_values["hidden"] for row in rows[: len(best)]] == best
    assert [bool(row.failed) for row in rows] == [False] * len(best) + [True] * shown


def test_the_smallest_within_one_standard_deviation_of_the_best_is_reported():
    # The best has the mean 0.91 and the standard deviation 0.0141.
    close = [(9, [0.90, 0.92]), (8, [0.90, 0.90]), (7, [0.85, 0.85])]
    assert summarize(configurations("lr", *close)) == (
        "best: lr=9, validation accuracy 91.00% ± 1.41"
    )
    assert summarize(configurations("hidden", *close)) == (
        "best: hidden=9, validation accuracy 91.00% ± 1.41; "
        "the smallest configuration within one standard deviation of it: "
        "hidden=8 (6,370 parameters)"
    )


def test_a_configuration_with_failed_seeds_is_the_best_only_if_all_have_some():
    failed = [outcome(0.0, "diverged", hidden=5, seed=seed) for seed in (2, 3)]
    first = [outcome(0.97, hidden=5, seed=1), *failed]
    second = [outcome(0.96, hidden=10, seed=seed) for seed in (1, 2, 3)]
    third = [outcome(0.98, hidden=20, seed=seed) for seed in (1, 2, 3)]
    rows = group_by_configuration([*first, *second])
    assert [row.varied_values["hidden"] for row in rows] == [10, 5]
    assert summarize(rows) == "best: hidden=10, validation accuracy 96.00% ± 0.00"
    result = SweepResult([*first, *second], Path("folder"), run_id=None)
    assert result.best.job.values["hidden"] == 10
    front = best_trade_offs(group_by_configuration([*first, *second, *third]))
    assert [row.varied_values["hidden"] for row in front] == [10, 20]
    assert summarize(group_by_configuration(first)) == (
        "best: hidden=5, validation accuracy 97.00% (1 of 3 seeds)"
    )
    seeds = [outcome(0.9, seed=1), outcome(0.9, seed=2), outcome(0.0, "why", seed=3)]
    assert summarize(group_by_configuration(seeds)) == (
        "validation accuracy 90.00% ± 0.00 (2 of 3 seeds)"
    )


def test_a_report_of_a_sweep_that_runs_ranks_no_mean_without_all_seeds_as_best(
    tmp_path,
):
    keys = [{"hidden": h, "seed": seed} for h in (5, 10, 20) for seed in (1, 2, 3)]
    plan = Plan([outcome(0.0, **each).job for each in keys])

    def reported():
        report.Report(NOT_RECORDED, tmp_path, plan, title="title").write()
        _, rows = csv_files.read_csv(tmp_path / "sweep.csv")
        running = group_by_configuration(plan.outcomes, plan.missing)
        assert (best_configuration(running) is None) == bool(why_no_best(running))
        return [(row["hidden"], row["trained"]) for _, row in rows], summarize(running)

    assert reported()[1] == "no best configuration: no training run finished"
    plan.add(outcome(0.99, hidden=5, seed=1))
    rows, text = reported()
    assert rows == [("5", "1"), ("10", "0"), ("20", "0")]
    assert (
        text == "no best configuration: no configuration has networks of all seeds yet"
    )
    for seed in (1, 2, 3):
        plan.add(outcome(0.9, hidden=10, seed=seed))
    rows, text = reported()
    assert rows == [("10", "3"), ("5", "1"), ("20", "0")]
    assert text == "best: hidden=10, validation accuracy 90.00% ± 0.00"


def test_the_plot_of_a_sweep_that_runs_has_the_pareto_front_of_its_table(tmp_path):
    keys = [{"hidden": h, "split": s} for s in ("exercise", "holdout") for h in (5, 10)]
    plan = Plan([outcome(0.0, **each).job for each in keys])
    for hidden in (5, 10):
        plan.add(outcome(0.9 + hidden / 1000, hidden=hidden, split="exercise"))
    running = group_by_configuration(plan.outcomes, plan.missing)
    report.write_files(tmp_path, running, title="title")
    with (tmp_path / "sweep.csv").open(newline="") as table:
        assert {row["Pareto front"] for row in csv.DictReader(table)} == {"False"}
    plots = [
        report.plot(running, front, title="title")
        for front in ([], [each for each in running if each.trained])
    ]
    with Image.open(tmp_path / "sweep.png") as written:
        same = [written.tobytes() == each.tobytes() for each in plots]
    assert same == [True, False]


def test_outcomes_are_in_the_order_of_their_values_not_of_completion():
    outcomes = [outcome(0.9, hidden=hidden) for hidden in (6, 3, 9)]
    plan = Plan(each.job for each in outcomes)
    for each in reversed(outcomes):
        plan.add(each)
    assert plan.outcomes == outcomes


def test_a_mean_needs_several_seeds():
    one, other = outcome(0.9, seed=1), outcome(0.8, seed=2)
    assert summarize(group_by_configuration([one])) == "validation accuracy 90.00%"
    assert summarize(group_by_configuration([one, other])) == (
        "all seeds: validation accuracy 85.00% ± 7.07"
    )


def test_options_of_a_group_are_configurations_and_not_averaged_like_seeds():
    groups = ("a", "b,c")  # the options b and c have equal values
    teams = [outcome(0.9, options={"team": names}, seed=1) for names in groups]
    teams.append(outcome(0.8, options={"team": "d"}, seed=2))
    assert sweep_name([each.job for each in teams]) == (
        "team=a,b,c,d seed=1,2 (3 combinations)"
    )
    rows = [
        (row["team"], row["trained"])
        for row in map(Configuration.row, group_by_configuration(teams))
    ]
    assert rows == [("a", 1), ("b,c", 1), ("d", 1)]
    assert teams[1].job.name == "team=b,c hidden=20 seed=1"


def test_configurations_with_different_validation_images_have_no_best():
    outcomes = outcome(0.9, split="exercise"), outcome(0.8, split="holdout")
    rows = group_by_configuration(outcomes)
    assert summarize(rows) == "no best configuration: the validation images differ"
    result = SweepResult(outcomes, Path("folder"), run_id=None)
    assert result.best is None
    with pytest.raises(UserError, match="the validation images differ"):
        result.load_best()


@pytest.mark.parametrize(
    "names", [["digits"], "choice(digits)", "digits,digits", "digits,didgits", "{},{}"]
)
def test_equal_validation_images_have_a_best_network_whatever_they_are_called(
    empty_project, idx_folder, names
):
    copy = shutil.copytree(idx_folder, idx_folder.with_name("copy") / idx_folder.name)
    project = empty_project("equal_images", store=False)
    if isinstance(names, str):
        dataset = f"dataset={names.format(idx_folder, copy)}"
        command = parse(["-m", "hidden=5,6", dataset], TrainConfig)
    else:
        command = from_python(
            TrainConfig, {"hidden": [5, 6], "dataset": names}, is_multirun=True
        )
    with project.captured():
        jobs = list_jobs(command, prepare_in(project))
    outcomes = [outcome_of(job, 0.9) for job in jobs]
    result = SweepResult(outcomes, Path("folder"), run_id=None)
    assert result.best and result.best.job.values["hidden"] == 5
    assert summarize(group_by_configuration(outcomes)).startswith("best: hidden=5")


def test_no_smaller_or_equal_network_is_as_accurate_as_one_on_the_pareto_front():
    import random

    random = random.Random(1)
    pairs = [(random.randint(1, 40), random.randint(1, 30) / 100) for _ in range(300)]
    rows = group_by_configuration(
        outcome(accuracy, hidden=size, lr=1.0 + n)
        for n, (size, accuracy) in enumerate(pairs)
    )
    best = best_trade_offs(rows)
    front = [(row.varied_values["hidden"], row.accuracy) for row in best]
    expected = {
        (size, accuracy)
        for size, accuracy in pairs
        if not any(
            s <= size and a >= accuracy for s, a in pairs if (s, a) != (size, accuracy)
        )
    }
    assert front == sorted(expected) and len(front) > 3
    assert best_trade_offs(configurations("lr", (0.1, [0.9]), (0.2, [0.8]))) == []
