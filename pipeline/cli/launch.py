"""Calls a stage through Hydra: once, or once for each job of a sweep.

Hydra composes `conf/` and starts the workers of a sweep; it neither logs nor reports
errors.
"""

import io
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import UserError, files
from pipeline.cli.arguments import Job, ParsedCommand
from pipeline.cli.config import CONF_DIR, outputs_dir, to_dict
from pipeline.cli.overrides import quote
from pipeline.cli.schema import StageConfig
from pipeline.terminal import ignore_broken_pipe

# Errors caused by values, files, the network or a training run that diverges. Others
# are errors of the program: they keep their traceback.
USER_ERRORS = (UserError, FloatingPointError, OSError)
LaunchJobs = Callable[[Path, Mapping[str, str]], None]  # in a folder, with these tags


@dataclass(frozen=True)
class RunContext:
    """Where a training run writes, and what a sweep adds to its run."""

    folder: Path = field(default_factory=outputs_dir)
    tags: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None  # of the run; None for the usual name


def call_with_hydra(
    function: Callable[[dict[str, Any]], None], overrides: Sequence[str]
) -> None:
    """Compose the configuration and call the function; in a sweep, once per job."""
    import hydra

    errors: list[Exception] = []

    def job(config: object) -> None:
        try:
            function(to_dict(config))
        except USER_ERRORS as error:  # Hydra would print its own message
            errors.append(error)

    sys.argv = [sys.argv[0], *overrides]
    main = hydra.main(
        version_base="1.3", config_path=str(CONF_DIR), config_name="hydra"
    )
    main(job)()
    if errors:
        raise errors[0]


def launch_jobs(
    function: Callable[..., None],
    schema: type[StageConfig],
    command: ParsedCommand,
    folder: Path,
    tags: Mapping[str, str],
) -> None:
    """Train the jobs of a sweep, except those that have already ended.

    A job that ends leaves a file `done` in its folder, or `error.txt` with the reason.
    While it trains, its process holds `lock`, and the file `begun` exists. Hydra gets
    the values of the valid jobs only.

    Raises:
        BrokenExecutor: If the system killed a worker.
    """
    swept = list(command.jobs[0].swept)
    launcher = os.getpid()

    def run(values: dict[str, Any]) -> None:
        job = Job.of(schema, values, swept)
        target = folder / job.folder
        all_tags = {**tags, **job.tags, "setting": job.name}
        context = RunContext(target, all_tags, job.name)
        waiting = f"waiting for another process, which is training {job.name}"
        lock = files.lock(target / "lock", waiting=waiting)
        try:
            with exit_if_launcher_ends(launcher), lock:
                if any((target / name).exists() for name in ("done", "error.txt")):
                    return
                (target / "begun").touch()
                with redirect_stdout(io.StringIO()):  # the sweep prints one line
                    function(job.config, context)
                (target / "done").touch()
        except Exception as error:  # any error ends this job, but not the sweep
            reason, details = str(error), ""
            if not reason or not isinstance(error, USER_ERRORS):
                reason = f"{type(error).__name__}: {error}"
                details = traceback.format_exc()
            record_failure(target, f"{' '.join(reason.split())}\n{details}")

    folders = [f"hydra.sweep.dir={quote(str(folder))}", "hydra.sweep.subdir=."]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise its own errors as well
    call_with_hydra(run, [*folders, *command.overrides])


def record_failure(folder: Path, reason: str) -> None:
    """Write the reason why a job failed into its folder, unless it already has one."""
    if not (folder / "error.txt").exists():
        with files.atomic_file(folder / "error.txt") as path:
            path.write_text(reason)


_training = threading.Lock()


@contextmanager
def exit_if_launcher_ends(launcher: int) -> Iterator[None]:
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
