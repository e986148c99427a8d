"""The number of workers, which depends on the free memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import UserError
from pipeline.base import paths
from pipeline.execution.local import (
    MAIN_PROCESS_BYTES,
    WORKER_BYTES,
    choose_workers,
)

GB = 10**9
CGROUPS = Path("/sys/fs/cgroup")
# Moves itself into a control group, and prints how many workers it would start, or why
# it refuses to start any.
IN_GROUP = """
import os, sys
with open(sys.argv[1] + "/cgroup.procs", "w") as stream:
    stream.write(str(os.getpid()))
from pipeline import UserError
from pipeline.execution.local import LocalExecutor
try:
    executor = LocalExecutor.create(workers=None, tasks=1, task_bytes=0, module="sys")
    print(executor.workers)
except UserError as error:
    print(error)
"""


def test_workers_are_at_most_as_many_as_fit_into_the_memory():
    def choose(requested=None, *, tasks=99, free=1000 * GB):
        return choose_workers(requested=requested, tasks=tasks, task_bytes=0, free=free)

    cores = choose()
    assert cores >= 1
    assert choose(tasks=1) == 1
    assert choose(free=WORKER_BYTES) == 1
    assert choose(cores + 1) == cores + 1
    assert choose(cores + 1, tasks=1) == 1
    with pytest.raises(UserError, match=r"^workers must be at most 1, got 99: each"):
        choose(99, tasks=2, free=GB)


@pytest.mark.parametrize("requested", [None, 1])
def test_memory_for_less_than_one_worker_is_reported_in_one_line_with_a_remedy(
    requested,
):
    with pytest.raises(UserError) as error:
        choose_workers(requested=requested, tasks=9, task_bytes=GB, free=GB)
    assert str(error.value) == (
        "a worker needs 1.6 GB of memory, but only 1.0 GB is free: close other "
        "programs, or raise the memory limit of the container"
    )


@pytest.fixture
def limit_group():
    """Return a function that limits the memory of a real control group, in bytes."""
    is_old = (CGROUPS / "memory").is_dir()
    group = CGROUPS / ("memory" if is_old else "") / f"digits-{os.getpid()}"
    limit = "memory.limit_in_bytes" if is_old else "memory.max"

    def set_limit(size):
        try:
            group.mkdir(exist_ok=True)
            (group / limit).write_text(str(size))
        except OSError as error:
            pytest.skip(f"no control group can be created: {error}")
        return group

    yield set_limit
    if group.exists():
        group.rmdir()


@pytest.mark.parametrize(
    ("size", "printed"),
    [
        (300_000_000, "a worker needs 600 MB of memory, but only 0 kB is free"),
        # A worker would fit, but not together with the process that starts it.
        (
            WORKER_BYTES + MAIN_PROCESS_BYTES // 2,
            "a worker needs 600 MB of memory, but only",
        ),
        (WORKER_BYTES + MAIN_PROCESS_BYTES + 200_000_000, "1\n"),  # one worker fits
    ],
)
def test_a_container_needs_memory_for_a_worker_and_for_the_process_that_starts_it(
    limit_group, size, printed
):
    output = subprocess.check_output(
        [sys.executable, "-c", IN_GROUP, limit_group(size)],
        env=os.environ | {"PYTHONPATH": str(paths.ROOT)},
        text=True,
    )
    assert printed in output
