"""Trains the jobs of a sweep, one after another or several at a time.

`jobs.py` combines the values into jobs; `state.py` finds the missing ones.
"""

import io
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cache, partial
from pathlib import Path

from pipeline import files
from pipeline.process import USER_ERRORS
from pipeline.sweeps.jobs import Job
from pipeline.terminal import ignore_broken_pipe


def launch_jobs(
    function: Callable[..., object],
    jobs: Sequence[Job],
    folder: Path,
    tags: Mapping[str, str],
) -> None:
    """Train the valid jobs of a sweep, except those that have already ended.

    A job that ends leaves a file `done` in its folder, or `error.txt` with the reason.
    While it trains, its process holds `lock`, and the file `begun` exists.

    Args:
        function: Trains one job, given its configuration and a `RunContext`.
        jobs: All jobs; those with problems are ignored.
        folder: The folder of the sweep.
        tags: The tags of each run.

    Raises:
        BrokenExecutor: If the system killed a worker.
    """
    run = partial(_run_job, function, folder, tags, os.getpid())
    valid = [job for job in jobs if not job.problems]
    for job in valid:
        run(job)


def _run_job(
    function: Callable[..., object],
    folder: Path,
    tags: Mapping[str, str],
    launcher: int,
    job: Job,
) -> None:
    from pipeline.training import RunContext

    target = folder / job.folder
    tags = {**tags, **job.tags, "setting": job.name}
    context = RunContext(target / "train", tags, job.name)
    waiting = f"waiting for another process, which is training {job.name}"
    lock = files.lock(target / "lock", waiting=waiting)
    try:
        with _exit_if_launcher_ends(launcher), lock:
            if any((target / name).exists() for name in ("done", "error.txt")):
                return
            (target / "begun").touch()
            with redirect_stdout(io.StringIO()):  # the sweep prints one line
                function(job.config, context)
            (target / "done").touch()
    except Exception as error:  # any error ends this job, but not the sweep
        reason, details = " ".join(str(error).split()), ""
        if not reason or not isinstance(error, USER_ERRORS):
            reason = f"{type(error).__name__}: {reason}"
            details = traceback.format_exc()
        record_failure(target, f"{reason}\n{details}")


def record_failure(folder: Path, reason: str) -> None:
    """Write the reason why a job failed into its folder, unless it already has one."""
    if not (folder / "error.txt").exists():
        with files.atomic_file(folder / "error.txt") as path:
            path.write_text(reason)


_training = threading.Lock()


@contextmanager
def _exit_if_launcher_ends(launcher: int) -> Iterator[None]:
    """Train in this process, which exits afterwards if its launcher was killed.

    Otherwise joblib's workers would wait for more work forever.
    """
    if os.getpid() != launcher:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher handles Ctrl-C
        _watch_launcher(launcher)
    with _training:
        yield


@cache
def _watch_launcher(launcher: int) -> None:
    ignore_broken_pipe()  # a killed launcher no longer reads the pipe

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        with _training:
            os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
