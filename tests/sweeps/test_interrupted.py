"""Sweeps, as processes, that are interrupted or killed and then run again."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault

LONG = ["train", "-m", "dataset=digits", "seed=1,2,3,4,5,6", "epochs=9", "workers=2"]


def workers_of(pid):
    """Return the ids of the workers of a sweep."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {p: Path("/proc", p, "cmdline").read_bytes() for p in children}
    return [int(p) for p, command in commands.items() if b"spawn_main" in command]


def check_finished(sweep, children):
    """Check that each seed has one child, whose training is complete."""
    assert sorted(child.data.params["seed"] for child in children) == [*"123456"]
    assert {child.info.status for child in children} == {"FINISHED"}
    assert {len(sweep.workspace.losses(child)) for child in children} == {9}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_sweep_trains_only_the_missing_settings(project, sweep, stop):
    process = project.start(*LONG, PYTHONUNBUFFERED="1")
    assert any("(2 of 6)" in line for line in process.stdout)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, 143, -9)
    limit = time.monotonic() + 30  # 2 s on an idle machine
    while any(Path("/proc", str(pid)).exists() for pid in workers):
        assert time.monotonic() < limit
        time.sleep(0.1)
    (before,), children = sweep.runs()
    finished = {run.info.run_id for run in children if run.info.status == "FINISHED"}
    assert len(finished) >= 2
    if stop != signal.SIGKILL:
        assert before.info.status == "KILLED"
    if stop == signal.SIGINT:
        assert re.search(r"^stopped after [2-5] of 6 ", errors, re.M)

    again = project.run(*LONG).stdout
    assert again.count("val/accuracy") == 6 - len(finished)
    (parent,), children = sweep.runs()
    assert parent.info.run_id == before.info.run_id
    assert parent.info.status == "FINISHED"
    check_finished(sweep, children)
    assert finished <= {child.info.run_id for child in children}
    assert "\n6," in (sweep.folder / "sweep.csv").read_text()


def test_killed_workers_are_replaced_and_their_attempts_stay_visible(project, sweep):
    process = project.start(*LONG, PYTHONUNBUFFERED="1")
    assert any("(1 of 6)" in line for line in process.stdout)
    for pid in workers_of(process.pid):
        os.kill(pid, signal.SIGKILL)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "trying again" in printed
    (parent,), children = sweep.runs()
    assert parent.info.status == "FINISHED"
    reason = "its worker was killed; is there enough memory?"
    failed = [run for run in children if run.info.status == "FAILED"]
    assert failed and {run.data.tags["error"] for run in failed} == {reason}
    check_finished(sweep, [run for run in children if run not in failed])
