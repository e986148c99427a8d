"""The estimate of the time that a sweep takes."""

import heapq

import pytest

from pipeline.sweeps.progress import TimeLeft


def estimates(jobs, seconds, *, workers, recording=0.0, start=0.0):
    """Simulate a sweep; return the estimated end after each result, and the true one.

    Each of the jobs takes `seconds`. The process of the sweep takes `recording` seconds
    for each result, one after another. Each worker starts `start` seconds later than
    the one before.
    """
    running = [start * worker + seconds for worker in range(workers)]
    left, shown, free = TimeLeft(workers), [], 0.0
    for missing in reversed(range(jobs)):
        free = max(free, heapq.heappop(running)) + recording
        left.add(free)
        rest = left.seconds(missing, free)
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
