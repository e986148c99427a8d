"""A sweep, as a process, that is interrupted or killed and then run again."""

import re
import signal

import pytest

pytestmark = pytest.mark.fault

SETTINGS = ["dataset=digits", "seed=1,2,3,4,5,6,7,8,9", "epochs=9"]
SWEEP = ["train", "-m", *SETTINGS]
KILLED = "its worker was killed, possibly because memory ran out"


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
    # Killed workers are replaced, and their attempts stay visible.
    process, workers = start_workers(project, *SWEEP)
    assert any("val/accuracy" in line for line in process.stdout)
    for worker in workers:
        worker.kill()
    assert any("trying again" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert re.search(r"^stopped after [1-8] of 9 ", errors, re.M)
    interrupted, children = runs_of(sweep)
    assert interrupted.info.status == "KILLED"
    first = ids(children["FINISHED"])
    assert f"\n{len(first)}," in (sweep.folder / "sweep.csv").read_text()

    process, workers = start_workers(project, *SWEEP)
    assert any("val/accuracy" in line for line in process.stdout)
    workers[0].resume()
    process.kill()
    process.communicate()
    wait_for_end(workers)
    finished = ids(runs_of(sweep)[1]["FINISHED"])
    assert first < finished

    printed, error = sweep.run(*SETTINGS)
    assert not error and printed.count("val/accuracy") == 9 - len(finished)
    parent, children = runs_of(sweep)
    assert parent.info.status == "FINISHED"
    assert parent.info.run_id == interrupted.info.run_id
    seeds = [child.data.params["seed"] for child in children["FINISHED"]]
    assert sorted(seeds) == [*"123456789"]
    losses = [project.values(run, "val/loss") for run in children["FINISHED"]]
    assert {*map(len, losses)} == {9}
    assert finished < ids(children["FINISHED"])
    assert {run.data.tags["error"] for run in children["FAILED"]} == {KILLED}
    assert not children["KILLED"] and not children["RUNNING"]
    assert "\n9," in (sweep.folder / "sweep.csv").read_text()
