"""A sweep, as a process, that is interrupted or killed and then run again."""

import re
import signal

import pytest

pytestmark = pytest.mark.fault

SWEEP = ["train", "-m", "dataset=digits", "seed=1,2,3,4,5,6,7,8,9", "epochs=9"]
STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
KILLED = "its worker was killed, perhaps because memory ran out"


def runs_of(sweep):
    """Return the parent, and the children by status."""
    (parent,), children = sweep.runs()
    statuses = ("FINISHED", "FAILED", "KILLED", "RUNNING")
    return parent, {s: [c for c in children if c.info.status == s] for s in statuses}


def ids(runs):
    return {run.info.run_id for run in runs}


def test_a_sweep_that_is_interrupted_or_killed_trains_only_the_missing_jobs(
    project, sweep, start_workers, wait_for_end
):
    finished, parents = set(), set()
    for stop, status in STATUSES.items():
        process, workers = start_workers(project, *SWEEP)
        assert any("val/accuracy" in line for line in process.stdout)
        workers[0].resume()
        process.send_signal(stop)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == status, errors
        wait_for_end(workers)
        before, (parent, children) = finished, runs_of(sweep)
        parents.add(parent.info.run_id)
        finished = ids(children["FINISHED"])
        assert before < finished and not children["FAILED"]
        if stop != signal.SIGKILL:
            assert parent.info.status == "KILLED"
        if stop == signal.SIGINT:
            assert re.search(r"^stopped after [1-8] of 9 ", errors, re.M)

    # Killed workers are replaced, and their attempts stay visible.
    process, workers = start_workers(project, *SWEEP)
    first = next(line for line in process.stdout if "val/accuracy" in line)
    for worker in workers:
        worker.kill()
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and "trying again" in printed, errors
    assert (first + printed).count("val/accuracy") == 9 - len(finished)
    parent, children = runs_of(sweep)
    assert parent.info.status == "FINISHED"
    assert parents == {parent.info.run_id}
    seeds = [child.data.params["seed"] for child in children["FINISHED"]]
    assert sorted(seeds) == [*"123456789"]
    losses = [project.values(run, "val/loss") for run in children["FINISHED"]]
    assert {*map(len, losses)} == {9}
    assert finished < ids(children["FINISHED"])
    assert {run.data.tags["error"] for run in children["FAILED"]} == {KILLED}
    assert not children["KILLED"] and not children["RUNNING"]
    assert "\n9," in (sweep.folder / "sweep.csv").read_text()
