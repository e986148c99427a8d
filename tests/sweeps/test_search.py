"""Searches: what Optuna suggests, and what is left of a search that was killed."""

import itertools
import re
import signal
import statistics
from pathlib import Path

import optuna
import pytest
from outcomes import outcome_of

from pipeline import ConfigError
from pipeline.cli import Interval, TrainConfig, defaults, from_python
from pipeline.core.dataset import DataFile
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.networks import read_networks
from pipeline.sweeps.search import Search

SPACE = {"hidden": Interval(4, 128, log=False), "lr": Interval(1e-4, 0.03, log=True)}


def jobs_with(*seeds):
    data, keys = DataFile(Path("mnist.safetensors"), "0" * 64), ["hidden", "seed", "lr"]
    jobs = []
    for seed in seeds:
        jobs.append(Job(defaults() | {"seed": seed}, {}, keys, known_data_file=data))
    return jobs


def open_search(trials, recorded=()):
    """Open a search, as each new process does, after jobs that are recorded."""
    params = [{key: str(x) for key, x in job.params.items()} for job in recorded]
    return Search(jobs_with(3, 4), SPACE, trials, params)


def outcome(job, error=None):
    """Return an outcome that is best with 60 neurons."""
    accuracy = 1 - abs(job.values["hidden"] - 60) / 200 + job.values["seed"] / 1000
    return outcome_of(job, accuracy, error)


def states(search):
    """Return the state and the mean accuracy of each trial, by its values."""
    return {
        tuple(trial.params.values()): (trial.state.name, trial.value)
        for trial in search.study.trials
        if trial.state != optuna.trial.TrialState.FAIL  # repeated values
    }


def test_a_search_prints_nothing_and_keeps_the_verbosity_of_optuna(capfd):
    before = optuna.logging.get_verbosity()
    search = open_search(3)
    for job in search.suggest():
        search.add(outcome(job))
    assert optuna.logging.get_verbosity() == before <= optuna.logging.INFO
    assert not "".join(capfd.readouterr())


def test_suggestions_are_in_their_intervals_short_and_depend_on_outcomes():
    search = open_search(40)
    for job in search.suggest():
        hidden, lr = job.values["hidden"], job.values["lr"]
        assert type(hidden) is int and 4 <= hidden <= 128 and 1e-4 <= lr <= 0.03
        assert not job.error and f"hidden={hidden} seed=" in job.name
        assert float(f"{lr:.4g}") == lr  # as in the name of the run
        search.add(outcome(job))
    # Optuna knows the values that are trained, as in a search that is continued.
    assert {*states(search)} == {
        tuple(job.values[key] for key in SPACE) for job in search.jobs
    }
    distances = [abs(job.values["hidden"] - 60) for job in search.jobs[::2]]
    # The first ten are random; the mean distance of random numbers is 31.
    assert statistics.mean(distances[10:]) < 25


def test_a_search_continues_with_the_trials_that_are_open():
    search = open_search(5)
    jobs = [*itertools.islice(search.suggest(), 7)]
    # Children record both seeds of the first two trials and one of the third.
    finished = [outcome(job) for job in jobs[:5]]

    search = open_search(5, recorded=jobs[:5])
    for each in finished:
        search.add(each)
    known = [job.fingerprint for job in search.jobs]
    assert known == [job.fingerprint for job in jobs[:6]]
    assert [state for state, _ in states(search).values()] == [
        *("COMPLETE", "COMPLETE", "RUNNING")
    ]
    # Two trials with two seeds.
    assert len(search.stand_ins) == 4
    assert len(search.missing) == 1
    search.add(outcome(search.jobs[5], error="its worker was killed"))
    assert [state for state, _ in states(search).values()][2] == "RUNNING"
    for job in [search.jobs[5], *search.suggest()]:
        search.add(outcome(job))
    assert len(search.jobs) == 10
    for (hidden, _), (state, mean) in states(search).items():  # with two seeds
        assert state == "COMPLETE"
        assert mean == pytest.approx(1.0035 - abs(hidden - 60) / 200)

    recorded = search.jobs
    again = open_search(4, recorded)
    assert not [*again.suggest()] and not open_search(5, recorded).stand_ins
    search = open_search(6, recorded)
    assert len(search.jobs) == 10 and len([*search.suggest()]) == 2


def test_a_trial_whose_children_were_deleted_is_forgotten():
    search = open_search(3)
    jobs = [*search.suggest()]
    search = open_search(3, recorded=[*jobs[:2], jobs[4]])  # trial 2 is missing
    assert [job.fingerprint for job in search.jobs] == [
        job.fingerprint for job in (*jobs[:2], *jobs[4:])
    ]
    assert len([*search.suggest()]) == 2


@pytest.mark.parametrize(
    ("key", "low", "high", "values"),
    [
        ("hidden", 58, 61, [58, 59, 60, 61]),
        # Learning rates are rounded to four digits, on both sides of 0.001.
        ("lr", 0.0009998, 0.001001, [0.0009998, 0.0009999, 0.001, 0.001001]),
        ("lr", 0.10006, 0.10034, [0.1001, 0.1002, 0.1003]),
        ("lr", 0.10006, 0.10008, [0.10008]),
        ("lr", 0.10003, 0.10006, [0.10003, 0.10006]),
    ],
)
def test_a_search_ends_when_all_values_were_suggested_without_repetitions(
    key, low, high, values
):
    search = Search(jobs_with(1), {key: Interval(low, high, log=False)}, 9)
    assert len(search.stand_ins) == len(values)
    for job in search.suggest():
        search.add(outcome(job))
    assert sorted(job.values[key] for job in search.jobs) == values
    assert search.ended == search.total


def test_a_search_suggests_all_values_even_if_random_numbers_rarely_meet_one():
    low = 0.10004999999  # is suggested instead of 0.1, in one of 25 million cases
    intervals = {"lr": Interval(low, 0.1003, log=False)}
    search = Search(jobs_with(1), intervals, 9)
    for job in search.suggest():
        search.add(outcome(job))
    values = sorted(job.values["lr"] for job in search.jobs)
    assert values == [low, 0.1001, 0.1002, 0.1003]
    assert search.ended == search.total == 4
    # The next command sees a finished search.
    recorded = [{"lr": str(job.values["lr"])} for job in search.jobs]
    again = Search(jobs_with(1), intervals, 9, recorded)
    assert not [*again.suggest()] and again.total == 4


@pytest.mark.parametrize("low", [0.0, 0.01])
def test_a_search_over_an_interval_with_many_numbers_has_all_its_trials(low):
    search = Search(jobs_with(1), {"lr": Interval(low, 0.9, log=False)}, 40)
    assert len(search.stand_ins) == 40
    values = {job.values["lr"] for job in search.suggest()}
    assert len(values) == 40 and low <= min(values) and max(values) <= 0.9


def test_a_search_with_an_invalid_combination_is_rejected():
    given = {"hidden": "interval(4,64)", "seed": [1, -1], "trials": 5}
    with pytest.raises(ConfigError, match=r"^seed must be at least"):
        from_python(TrainConfig, given, is_multirun=True)


def test_a_search_records_a_child_for_each_combination_and_grows(sweep):
    options = ("hidden=interval(4,64)", "seed=1,2")
    first, _ = sweep.run(*options, "trials=2")
    assert first.startswith("sweep hidden=4..64 seed=1,2 dataset=digits epochs=1\n")
    assert sweep.run(*options, "trials=2")[0].split("\n")[1] == (
        "this sweep is finished: again=true trains it again"
    )
    printed, _ = sweep.run(*options, "trials=3")
    assert "(6 of 6)" in printed and "(4 of 6)" not in printed
    assert "this sweep is finished" in sweep.run(*options, "trials=2")[0]
    (parent,), children = sweep.runs()
    assert parent.info.status == "FINISHED" and "hidden" not in parent.data.params
    sizes = [child.data.params["hidden"] for child in children]
    assert len({*sizes}) == 3 and all(sizes.count(size) == 2 for size in sizes)
    models = sweep.workspace.client.search_logged_models(["1"])
    best = [re.search(r"inspect run=(\w+)", each)[1] for each in (first, printed)]
    assert {each.source_run_id[:8] for each in models} == {*best}
    rows = sweep.workspace.read(sweep.folder / "sweep.csv")
    for row in rows:
        runs = [run for run in children if run.data.params["hidden"] == row["hidden"]]
        accuracies = [run.data.metrics["val/accuracy"] for run in runs]
        mean = statistics.mean(accuracies)
        assert float(row["val/accuracy"]) == float(f"{mean:.4g}")


def test_a_search_of_all_values_is_finished_for_the_next_command(sweep):
    options = ("lr=interval(0.0009998,0.001001)", "trials=9")
    printed, _ = sweep.run(*options)
    assert "(4 of 4)" in printed
    assert "this sweep is finished" in sweep.run(*options)[0]
    assert len(sweep.runs()[1]) == 4


@pytest.mark.parametrize("edited", ["two", "77"])
def test_a_tag_that_was_edited_changes_neither_a_search_nor_its_networks(sweep, edited):
    options = ("hidden=interval(4,64)", "trials=2")
    sweep.run(*options)
    (parent,), (child, _) = sweep.runs()
    sweep.workspace.client.set_tag(child.info.run_id, "hidden", edited)
    assert "this sweep is finished" in sweep.run(*options)[0]
    assert len(sweep.runs()[1]) == 2
    store = sweep.workspace.outputs
    _, networks = read_networks(parent.info.run_id, store=store)
    sizes = [each.file.network.hidden for each in networks]
    assert [each.varied_values["hidden"] for each in networks] == sorted(sizes)


def test_a_search_that_reuses_runs_suggests_each_trial_after_the_previous_ended(
    sweep, monkeypatch
):
    sweep.run("hidden=4,5,6")
    ask, ended = Search._ask, []

    def ask_later(search, sampler):
        ended.append(search.ended)
        return ask(search, sampler)

    monkeypatch.setattr(Search, "_ask", ask_later)
    printed, _ = sweep.run("hidden=interval(4,6)", "trials=3")
    assert printed.count("reused  (") == 3 and {*ended} == {0, 1, 2}


def test_the_estimate_bounds_trials_though_the_ends_are_trained(sweep):
    sweep.run("hidden=4,64")
    printed, error = sweep.run("hidden=interval(4,64)", "trials=3")
    assert "3 training runs need " in printed and not error


@pytest.mark.fault
def test_a_terminated_search_continues_with_the_same_values(
    project, sweep, start_workers
):
    options = ["hidden=interval(100,200)", "seed=1,2", "epochs=9", "trials=4"]
    command = ["-m", "dataset=digits", *options]
    process, workers = start_workers(project, "train", *command)
    assert any("(3 of 8)" in line for line in process.stdout)
    workers[0].resume()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    done = {run.info.run_id for run in sweep.runs()[1] if run.info.status == "FINISHED"}
    assert 3 <= len(done) < 8
    rows = sweep.workspace.read(sweep.folder / "sweep.csv")
    assert sum(int(row["trained"]) for row in rows) == len(done)

    printed, _ = sweep.run(*options)
    assert f"({len(done) + 1} of 8)" in printed
    assert f"({len(done)} of 8)" not in printed
    (parent,), children = sweep.runs()
    assert parent.info.status == "FINISHED"
    assert {run.info.status for run in children} == {"FINISHED"}
    assert done < {run.info.run_id for run in children}
    params = [run.data.params for run in children]
    settings = [(each["hidden"], each["seed"]) for each in params]
    assert len({*settings}) == len(settings) == 8
    assert len({hidden for hidden, _ in settings}) == 4
    assert re.search(r"\nbest: hidden=1\d\d, validation accuracy", printed)
