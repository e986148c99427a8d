"""Searches: what Optuna suggests, and what is left of a search that was killed."""

import itertools
import json
import re
import signal
import statistics

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend, JournalStorage

from pipeline import UserError
from pipeline.cli import Interval, defaults
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.outcomes import Outcome
from pipeline.sweeps.search import Search

SPACE = {"hidden": Interval(4, 128, log=False), "lr": Interval(1e-4, 0.03, log=True)}


def jobs_with(*seeds):
    keys = ["hidden", "seed", "lr"]
    return [Job.of(defaults() | {"run_name": None, "seed": s}, keys) for s in seeds]


@pytest.fixture
def open_search(tmp_path):
    """A function that opens the search of a journal, as each new process does."""
    grid = jobs_with(3, 4)
    return lambda trials: Search(tmp_path / "search.log", grid, SPACE, trials)


def outcome(job, error=""):
    """An outcome that is best with 60 neurons."""
    accuracy = 1 - abs(job.values["hidden"] - 60) / 200
    return Outcome(job, error, accuracy + job.values["seed"] / 1000)


def trials(path):
    """Return the state, the values and the mean accuracy of each suggestion.

    Trials that failed have no values, because a process was killed, or repeated ones.
    """
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.load_study(study_name="search", storage=storage)
    suggested = [t for t in study.trials if t.params and t.state.name != "FAIL"]
    return [(trial.state.name, trial.params, trial.value) for trial in suggested]


def test_suggestions_are_in_their_intervals_short_and_depend_on_outcomes(open_search):
    search = open_search(40)
    for job in search.suggest():
        hidden, lr = job.values["hidden"], job.values["lr"]
        assert type(hidden) is int and 4 <= hidden <= 128 and 1e-4 <= lr <= 0.03
        assert not job.problems and f"hidden={hidden} seed=" in job.name
        assert float(f"{lr:.4g}") == lr  # the name of the run contains it
        search.add(outcome(job))
    distances = [abs(job.values["hidden"] - 60) for job in search.jobs[::2]]
    # The first ten are random; the mean distance of random numbers is 31.
    assert statistics.mean(distances[10:]) < 25


def test_a_search_continues_with_the_suggestions_that_are_open(open_search, tmp_path):
    search = open_search(5)
    jobs = [*itertools.islice(search.suggest(), 7)]
    for job in jobs[:5]:  # both seeds of the first two suggestions, one of the third
        search.add(outcome(job))
    search.add(outcome(jobs[5], error="its worker was killed"))
    with (tmp_path / "search.log").open("a") as journal:
        journal.write('{"op_code":4,"worker')  # killed while it wrote
    (tmp_path / "search.log.lock").symlink_to("anything")

    search = open_search(5)
    names = [job.name for job in search.jobs]
    assert names[:7] == [job.name for job in jobs] and len(names) == 8
    assert len(search.expected()) == 2  # one suggestion with two seeds
    for job in [*search.jobs, *search.suggest()]:  # MLflow has the first five
        search.add(outcome(job))
    states = trials(tmp_path / "search.log")
    assert [state for state, *_ in states] == ["COMPLETE"] * 5
    for _, values, mean in states:  # with two seeds
        assert mean == pytest.approx(1.0035 - abs(values["hidden"] - 60) / 200)

    assert not [*open_search(4).suggest()] and not open_search(5).expected()
    search = open_search(6)
    assert len(search.jobs) == 10 and len([*search.suggest()]) == 2


@pytest.mark.parametrize(
    ("key", "values"),
    # The learning rates are rounded to four digits on both sides of 0.001.
    [("hidden", [58, 59, 60, 61]), ("lr", [0.0009998, 0.0009999, 0.001, 0.001001])],
)
def test_no_suggestion_is_repeated_even_if_no_other_is_left(tmp_path, key, values):
    intervals = {key: Interval(values[0], values[-1], log=False)}
    search = Search(tmp_path / "search.log", jobs_with(1), intervals, 9)
    assert len(search.expected()) == 4
    for job in search.suggest():
        search.add(outcome(job))
    assert sorted(job.values[key] for job in search.jobs) == values


def test_a_search_with_an_invalid_combination_is_refused(tmp_path):
    with pytest.raises(UserError, match="needs valid values\n  seed must be greater"):
        Search(tmp_path / "search.log", jobs_with(1, -1), SPACE, 5)


def test_a_search_records_a_child_for_each_combination_and_grows(sweep):
    options = ("hidden=interval(4,64)", "seed=1,2")
    printed, _ = sweep.run(*options, "trials=2")
    assert printed.startswith("sweep hidden=4..64 seed=1,2 dataset=digits epochs=1\n")
    assert sweep.run(*options, "trials=2")[0].split("\n")[1] == (
        "this sweep is finished; again=true trains it again"
    )
    printed, _ = sweep.run(*options, "trials=3")
    assert "(6 of 6)" in printed and "(4 of 6)" not in printed
    (parent,), children = sweep.runs()
    assert parent.info.status == "FINISHED" and "hidden" not in parent.data.params
    suggested = trials(sweep.folder / "search.log")
    assert len(suggested) == 3
    for state, values, mean in suggested:
        key = str(values["hidden"])
        runs = [child for child in children if child.data.params["hidden"] == key]
        accuracies = [run.data.metrics["val/accuracy"] for run in runs]
        assert state == "COMPLETE" and mean == pytest.approx(sum(accuracies) / 2)


def test_the_estimate_counts_suggestions_though_the_ends_are_trained(sweep):
    sweep.run("hidden=4,64")
    printed, error = sweep.run("hidden=interval(4,64)", "trials=3")
    assert "3 training runs: about " in printed and not error


@pytest.mark.fault
def test_a_killed_search_continues_with_the_same_values(project, sweep, start_workers):
    options = ["hidden=interval(100,200)", "seed=1,2", "epochs=9", "trials=4"]
    command = ["-m", "dataset=digits", *options]
    process, workers = start_workers(project, "train", *command)
    assert any("(3 of 8)" in line for line in process.stdout)
    workers[0].resume()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    before = trials(sweep.folder / "search.log")
    assert "RUNNING" in {state for state, *_ in before}
    done = {run.info.run_id for run in sweep.runs()[1] if run.info.status == "FINISHED"}
    assert 3 <= len(done) < 8

    printed, _ = sweep.run(*options)
    assert f"({len(done) + 1} of 8)" in printed
    assert f"({len(done)} of 8)" not in printed
    (parent,), children = sweep.runs()
    assert parent.info.status == "FINISHED"
    assert {run.info.status for run in children} == {"FINISHED"}
    assert done < {run.info.run_id for run in children}
    after = trials(sweep.folder / "search.log")
    assert [values for _, values, _ in after[: len(before)]] == [b[1] for b in before]
    assert [state for state, *_ in after] == ["COMPLETE"] * 4
    settings = [run.data.tags["setting"] for run in children]
    assert len({*settings}) == len(settings) == 2 * len({str(v) for _, v, _ in after})
    rows = (sweep.folder / "results.jsonl").read_text().splitlines()
    assert sorted(json.loads(row)["setting"] for row in rows) == sorted(settings)
    assert re.search(r"\nbest: hidden=1\d\d, validation accuracy", printed)
