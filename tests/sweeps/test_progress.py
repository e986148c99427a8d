"""The estimate of the time that a sweep takes."""

import heapq
import time
from pathlib import Path

import pytest
from outcomes import outcome_of

from pipeline.cli import defaults
from pipeline.core.dataset import DataFile
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.progress import show_progress, time_left


def estimates(jobs, seconds, *, workers, recording=0.0, start=0.0):
    """Simulate a sweep; return the estimated end after each result, and the true one.

    Each of the jobs takes `seconds`. The main process takes `recording` seconds
    for each result, one after another. Each worker starts `start` seconds later than
    the one before.
    """
    running = [start * worker + seconds for worker in range(workers)]
    times, shown, free = [], [], 0.0
    for missing in reversed(range(jobs)):
        free = max(free, heapq.heappop(running)) + recording
        times.append(free)
        rest = time_left(times, free, missing=missing, workers=workers)
        shown.append(None if rest is None else free + rest)
        heapq.heappush(running, free + seconds)
    return shown, free


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("recording", [0.0, 2.0])
def test_the_end_is_estimated_from_the_pace_of_the_results(workers, start, recording):
    ends, end = estimates(80, 7.0, workers=workers, recording=recording, start=start)
    assert ends[:workers] == [None] * workers and None not in ends[workers:]
    assert all(abs(each - end) < 0.2 * end for each in ends[4 * workers :]), (ends, end)
    # After each round, in which each worker has ended a job, the estimate is exact.
    rounds = ends[2 * workers - 1 :: workers]
    assert rounds == pytest.approx([end] * (80 // workers - 1))


def test_jobs_that_need_no_training_are_not_part_of_the_time_that_is_left():
    data = DataFile(Path("mnist.safetensors"), "0" * 64)
    jobs = [
        Job(defaults() | {"seed": seed}, {}, ["seed"], known_data_file=data)
        for seed in range(2_000)
    ]
    jobs.append(Job(defaults() | {"seed": -1}, {}, ["seed"], error="invalid"))
    plan = Plan(jobs)
    with show_progress(plan, to_train=3, workers=1) as progress:

        def add(outcome):
            plan.add(outcome)
            progress.print_outcome(outcome)

        assert str(progress) == "0 of 2,001, 1 running"
        add(outcome_of(jobs[-1], 0.0))
        add(outcome_of(jobs[0], 0.9, reused=True))
        for job in jobs[1:3]:
            add(outcome_of(job, 0.9))
            time.sleep(0.5)  # 2,000 jobs take more than a quarter of an hour
        assert str(progress).startswith("4 of 2,001, 1 running, 1 failed, about 0:00:")
        add(outcome_of(jobs[3], 0.9))
        assert "5 of 2,001, 0 running" in str(progress)


def test_only_the_first_invalid_combinations_have_a_line(capsys):
    jobs = [
        Job(defaults() | {"seed": -seed}, {}, ["seed"], error="invalid")
        for seed in range(1, 1_024)
    ]
    plan = Plan(jobs)
    with show_progress(plan, to_train=0, workers=1) as progress:
        for job in jobs:
            plan.add(outcome := outcome_of(job, 0.0))
            progress.print_outcome(outcome)
        assert str(progress) == "1,023 of 1,023, 0 running, 1,023 failed"
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:20]] == [
        f"seed=-{seed}" for seed in range(1, 21)
    ]
    assert lines[20:] == ["and 1,003 more invalid  (1,023 of 1,023)"]
