"""Lifecycle of a run, from its start to its copy on a server.

Runs in the main process.

`Tracker.start_run` performs these steps. "Test:" gives the name of a test in
`tests/tracking/` that fails if the program does not perform the step as described.

1. A command that trains reads the commit and the uncommitted changes when it starts,
   because files can change later. The result is the `code` of the tracker.
   Test: "an edit after a training run has started".
2. `RunOpener.start_run` creates a run, or resumes a run. It acquires the lock of the
   run before it releases the lock of the store. Otherwise, another process would mark
   the run as KILLED (`store/locks.py`). Test: "a running run whose lock is free".
   If the run is resumed, the status and the error of its earlier end are removed.
   Test: "a run that ended early".
   If `start_run` fails after this, no caller has the run, so it closes the run.
   Test: "a run that cannot be opened has failed".
3. `Copier.follow` copies the open run to the server, if there is one.
4. The caller's `with` block calls `run.submit`, which records data, perhaps later.
5. `run.wait` waits for the calls of `run.submit`, which can fail when the block has
   ended. Test: "a call that fails when the block has ended".
6. After an interrupt, the frames of a transaction are cleared, because the frames keep
   the database locked. Test: "an interrupt inside a transaction".
7. `ParentRun.close` sets the status and the error, then releases the run's lock. After
   an error or an interrupt, it then marks killed runs as KILLED, such as the incomplete
   children of this run. Test: "a child is complete or removed".
   This order prevents the deadlock that `base/locking.py` describes.
   If an error ended the run and the run cannot be closed, the first error is raised.
   Test: "a run that cannot be closed is never reported as finished".
8. `Copier.finish` completes the copy, even after an error. This step is the last step,
   because the copy gets the status. Test: "results that an error ended".

`reopen_run` adds results to a run that is closed, which `RunOpener.reopen_run` finds.
Step 3 is skipped, and so is step 7, because the status and the end time of the run do
not change.

The steps are the same for both trackers. A `LocalTracker` records runs in this process.
A `HelperTracker` (see `recorder`) records one run in the recording process, which then
performs steps 2 and 7 and calls the functions of step 4.
"""

import gc
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import (
    AbstractContextManager,
    closing,
    contextmanager,
    nullcontext,
)
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pipeline.base.process import disable_telemetry
from pipeline.base.progress import busy
from pipeline.base.tags import Status
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.base.urls import database_path, names_another_store
from pipeline.execution.helper_process import Channel
from pipeline.tracking import provenance
from pipeline.tracking.copier import Copier
from pipeline.tracking.interface import (
    OpenRun,
    Params,
    Run,
    RunStart,
    Tags,
    final_status,
)
from pipeline.tracking.provenance import CodeState
from pipeline.tracking.store.sqlite import require_store

if TYPE_CHECKING:  # importing MLflow takes a second
    from pipeline.tracking.run_opener import RunOpener

AnyRun = TypeVar("AnyRun", bound=OpenRun, covariant=True)


def end_transactions(error: BaseException) -> None:
    """Clear the frames of an interrupt, because open transactions lock the database."""
    if final_status(error)[0] == Status.KILLED:
        # Only the garbage collector frees Python's connections.
        traceback.clear_frames(error.__traceback__)
        gc.collect()


class Tracker(ABC, Generic[AnyRun]):
    """Opens runs, and closes and copies each run when its block ends.

    Attributes:
        store: The folder of the store.
        server: The URL of the server that receives copies; None if there is none.
        experiment: The experiment of new runs; None if runs are not recorded.
    """

    # The channel to a process that copies runs; None if each copy starts a process.
    _copying_channel: Channel | None = None

    def __init__(
        self,
        store: Path,
        *,
        server: str | None,
        experiment: str | None,
        code: CodeState | None = None,
    ) -> None:
        """Keep the arguments, which `new_tracker` describes."""
        self.store, self.experiment, self._code = store, experiment, code
        self.server = server if experiment else None

    @property
    def code(self) -> CodeState:
        """The state of the code that runs record; see step 1."""
        self._code = self._code or provenance.code_state()
        return self._code

    @contextmanager
    def start_run(
        self, *, name: str, params: Params, tags: Tags, resume: str | None = None
    ) -> Iterator[AnyRun]:
        """Open a run, or resume the run with this id; close it when the block ends.

        The steps are in the docstring of this module. The final status is FINISHED,
        FAILED after an exception or `OpenRun.fail`, or KILLED after an interrupt.

        Raises:
            UserError, OSError: If data cannot be written to the store.
        """
        with self._copier() as copier:
            all_tags = dict(tags) | provenance.tags(self.code)
            start = RunStart(name, params, all_tags, self.code.diff, resume=resume)
            run = self._start_run(start)  # step 2
            if copier:  # step 3
                copier.follow(lambda: run.run_id)
            with self._recorded(run, copier):
                yield run

    @abstractmethod
    def _start_run(self, start: RunStart) -> AnyRun:
        """Create or resume a run in the process that records it."""

    def _copier(self) -> AbstractContextManager[Copier | None]:
        """Return a context with a run's `Copier`, or with None without a server."""
        if self.server is None:
            return nullcontext()
        return closing(Copier(self.store, self.server, self._copying_channel))

    @contextmanager
    def _recorded(self, run: OpenRun, copier: Copier | None) -> Iterator[None]:
        """Record a run in the block, then close and copy the run: steps 4 to 8."""
        try:
            yield
            run.wait()  # step 5
            error = run.failure
            status = Status.FAILED if error else Status.FINISHED
        except BaseException as exception:
            status, error = final_status(exception)
            if isinstance(run, Run):  # a run of this process
                end_transactions(exception)  # step 6
            raise
        finally:
            closed_id = run.close(status, error)  # step 7
            if copier and closed_id:  # step 8
                is_killed = status == Status.KILLED
                run.copied = copier.finish(closed_id, is_killed=is_killed)


class LocalTracker(Tracker[Run]):
    """Records runs in this process."""

    @cached_property
    def opener(self) -> "RunOpener":
        """Opens the runs; making it imports MLflow and opens the store."""
        assert self.experiment
        disable_telemetry()
        with busy("importing MLflow"):
            from pipeline.tracking.run_opener import RunOpener
        return RunOpener(self.store, self.experiment)

    def _start_run(self, start: RunStart) -> Run:
        return self.opener.start_run(start) if self.experiment else Run()

    @contextmanager
    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str | None
    ) -> Iterator[Run]:
        """Open the run that trained a network, to add results.

        The status and the end time of the run do not change. The run is found by the
        hash of its weights. If several runs have these weights, the run `run_id` is
        used or, if it is not among them, the newest run. If no run has these weights,
        as in a fresh clone, a run is created and a message is printed. A sweep has no
        weights, so it is found by its id. A server gets a copy when the block ends.
        """
        with self._copier() as copier:
            if copier:
                copier.prepare()  # its process imports MLflow during the block
            run = Run()
            if self.experiment:
                run = self.opener.reopen_run(run_id, weights_sha256)
            with self._recorded(run, copier):
                yield run


def check_store(store: Path) -> None:
    """Reject an unusable store; print a message if a variable selects another store."""
    if database_path(store).exists():
        require_store(store)
    if names_another_store(store):
        other = "the store of MLFLOW_TRACKING_URI or mlflow.set_tracking_uri"
        say(wrap(f"runs are recorded in {database_path(store)}, not in {other}"))


def new_tracker(
    store: Path,
    *,
    server: str | None,
    experiment: str | None,
    code: CodeState | None = None,
) -> LocalTracker:
    """Return a tracker that records in this process.

    The store in the folder `store` is opened now, so that an unusable store is rejected
    before any work. If there is no store, the first run creates it. A server receives
    copies of the runs. New runs belong to `experiment`; if it is None, runs are not
    recorded. The runs record `code`. If `code` is None, the state of the code is read
    when a run needs it.

    Raises:
        UserError, OSError: If the store cannot be used.
    """
    tracker = LocalTracker(store, server=server, experiment=experiment, code=code)
    if experiment:
        check_store(store)
        _ = tracker.opener  # imports MLflow
    return tracker
