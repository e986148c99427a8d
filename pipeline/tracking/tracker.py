"""Lifecycle of a run, from its start to its copy on a server.

`Tracker.start_run` performs these steps. "Test:" gives the name of a test in
`tests/tracking/` that fails if the program does not perform the step as described.

1. A command that trains reads the commit and the uncommitted changes when it starts,
   because files can change later. The result is the `code` of the tracker.
   Test: "an edit after a training run has started".
2. `open_run` creates a run, or opens a run again. `open_run` acquires the lock of the
   run before it releases the lock of the store. Otherwise, another process would mark
   the run as KILLED (`store/locks.py`). Test: "a running run whose lock is free".
   If the run is resumed, the status and the error of its earlier end are removed.
   Test: "a run that ended early".
   If `open_run` fails after this, no caller has the run, so `open_run` closes the run.
   Test: "a run that cannot be opened has failed".
3. `Mirror.follow` copies the open run to the server, if there is one.
4. The caller's `with` block calls `run.submit`, which records data, perhaps later.
5. `run.wait` waits for the calls of `run.submit`, which can fail when the block has
   ended. Test: "a call that fails when the block has ended".
6. After an interrupt, the frames of a transaction are cleared, because the frames keep
   the database locked. Test: "an interrupt inside a transaction".
7. `close_run` sets the status and the error, then releases the run's lock. After an
   error or an interrupt, it then marks killed runs as KILLED, such as the incomplete
   children of this run. Test: "a child is complete or removed".
   This order prevents the deadlock that `base/locking.py` describes.
   If an error ended the run and the run cannot be closed, the first error is raised.
   Test: "a run that cannot be closed is never reported as finished".
8. `Mirror.finish` completes the copy, even after an error. This step is the last step,
   because the copy gets the status. Test: "results that an error ended".

`LocalTracker.reopen_run` adds results to a run that is closed: `_find_or_create`
returns the run. Steps 3 and 7 are skipped, because the status and the end time of the
run do not change.

`MlflowTracker` performs steps 2 and 7. With `HelperTracker`, a helper process performs
these steps and calls the functions of step 4.
"""

import gc
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from pipeline import UserError
from pipeline.base.tags import Status
from pipeline.execution.helper_process import Channel
from pipeline.tracking import provenance
from pipeline.tracking.copies.mirror import Mirror
from pipeline.tracking.interface import OpenRun, Params, Run, RunStart, Tags
from pipeline.tracking.provenance import CodeState

RunType = TypeVar("RunType", bound=OpenRun, covariant=True)


def final_status(error: BaseException) -> tuple[Status, str | None]:
    """Return the status of a run after an error, and the error; None if KILLED."""
    if isinstance(error, Exception):
        return Status.FAILED, f"{type(error).__name__}: {error}"
    return Status.KILLED, None


def end_transactions(error: BaseException) -> None:
    """Clear the frames of an interrupt, because open transactions lock the database."""
    if final_status(error)[0] == Status.KILLED:
        # Only the garbage collector frees Python's connections.
        traceback.clear_frames(error.__traceback__)
        gc.collect()


class Tracker(ABC, Generic[RunType]):
    """Opens and closes runs in a store; a server, if any, receives copies."""

    # A channel for copies to the server; None if copies need another process.
    copying_channel: Channel | None = None

    def __init__(
        self,
        store: Path,
        *,
        server: str | None = None,
        experiment: str | None = None,
        code: CodeState | None = None,
    ) -> None:
        """Keep the arguments, which `new_tracker` describes.

        `experiment` is None if runs are not recorded.
        """
        self.store, self.server, self.experiment = store, server, experiment
        self._code = code

    @property
    def code(self) -> CodeState:
        """The state of the code that runs record; see step 1."""
        self._code = self._code or provenance.code_state()
        return self._code

    @contextmanager
    def start_run(
        self, *, name: str, params: Params, tags: Tags, resume: str | None = None
    ) -> Iterator[RunType]:
        """Open a run, or resume the run with this id; close it when the block ends.

        The steps are in the docstring of this module. The final status is FINISHED,
        FAILED after an exception or `OpenRun.fail`, or KILLED after an interrupt.

        Raises:
            UserError, OSError: If data cannot be written to the store.
        """
        with self._mirror() as mirror:
            all_tags = dict(tags) | provenance.tags(self.code)
            start = RunStart(name, params, all_tags, self.code.diff, resume=resume)
            run = self.open_run(start)  # step 2
            if mirror:  # step 3
                mirror.follow(lambda: run.run_id)
            with self._recorded(run, mirror, partial(self.close_run, run)):
                yield run

    def _mirror(self) -> AbstractContextManager[Mirror | None]:
        """Return a context with a run's `Mirror`, or with None without a server."""
        if self.server is None:
            return nullcontext()
        return closing(Mirror(self.store, self.server, self.copying_channel))

    @contextmanager
    def _recorded(
        self,
        run: OpenRun,
        mirror: Mirror | None,
        close: Callable[[Status, str | None], str | None],
    ) -> Iterator[None]:
        """Record a run in the block, then close and copy the run: steps 4 to 8.

        `close` gets the status and the error, like `close_run`.
        """
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
            closed_id = close(status, error)  # step 7
            if mirror and closed_id:  # step 8
                is_killed = status == Status.KILLED
                run.copied = mirror.finish(closed_id, is_killed=is_killed)

    @abstractmethod
    def open_run(self, start: RunStart) -> RunType:
        """Create a run, or open a run again; `close_run` closes the run."""

    @abstractmethod
    def close_run(self, run: OpenRun, status: Status, error: str | None) -> str | None:
        """Close a run, record its error, if any, and return its id, if any.

        Raises:
            UserError, OSError: If a run cannot be marked FINISHED. For another status,
                a message is printed.
        """


class LocalTracker(Tracker[Run]):
    """Opens runs of this process."""

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
        with self._mirror() as mirror:
            if mirror:
                with suppress(UserError):  # `finish` tries again, and reports an error
                    mirror.start()  # its process imports MLflow during the block
            run = self._find_or_create(run_id, weights_sha256)
            with self._recorded(run, mirror, lambda *_: run.run_id):
                yield run

    @abstractmethod
    def _find_or_create(self, run_id: str | None, weights_sha256: str | None) -> Run:
        """Return the run of a network or sweep, or create it; see `reopen_run`."""
