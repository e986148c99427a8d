"""The estimate of the time that a sweep takes."""

import heapq

import pytest

from pipeline.cli import defaults
from pipeline.datasets import DataFile
from pipeline.sweeps.estimate import TimeLeft
from pipeline.sweeps.jobs import Job, Outcome


@pytest.fixture(scope="module")
def data(mnist):
    return DataFile(mnist.path, mnist.sha256)


def estimates(jobs, seconds, *, workers, recording=0.0, start=0.0):
    """Simulate a sweep; return the estimated and the true end after each result.

    A worker trains a job in `seconds` of it. The process of the sweep takes `recording`
    seconds for each result, one after another. Each worker starts `start` seconds later
    than the one before.
    """
    waiting, running = list(jobs), []
    for worker in range(workers):
        job = waiting.pop(0)
        heapq.heappush(running, (worker * start + seconds(job), worker, job))
    left, shown, free = TimeLeft(jobs, workers), [], 0.0
    assert left.seconds(0.0) is None
    while running:
        now, worker, job = heapq.heappop(running)
        free = max(free, now) + recording
        left.add(Outcome(job, seconds=seconds(job)), free)
        shown.append(free + left.seconds(free))
        if waiting:
            job = waiting.pop(0)
            heapq.heappush(running, (free + seconds(job), worker, job))
    return shown, free


def jobs_of(data, **keys):
    """Return a job for each of the hidden sizes and seeds."""
    settings = [{}]
    for key, values in keys.items():
        settings = [{**each, key: value} for each in settings for value in values]
    return [Job(defaults() | x, {}, [*keys], data_file=data) for x in settings]


def sizes(job):
    """Return about the measured times of 20 epochs: 2.4 s for 5, 7.5 s for 80."""
    return 2 + 0.068 * job.values["hidden"]


def uneven(job):
    return sizes(job) * (0.8 + 0.1 * (int(job.identity[:8], 16) % 5))


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("seconds", [sizes, uneven])
def test_the_end_is_estimated_from_the_first_result_on(data, workers, start, seconds):
    jobs = jobs_of(data, hidden=[5, 10, 20, 40, 80], seed=[1, 2, 3])
    ends, end = estimates(jobs, seconds, workers=workers, start=start)
    longest = max(map(seconds, jobs))
    assert all(abs(each - end) <= longest + 0.2 * end for each in ends), (ends, end)


def test_results_that_wait_for_their_recording_determine_the_pace(data):
    jobs = jobs_of(data, seed=range(60))
    ends, end = estimates(jobs, lambda job: 0.1, workers=8, recording=0.2)
    assert ends[9:] == pytest.approx([end] * 51, rel=0.05)
