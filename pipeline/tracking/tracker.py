"""Lifecycle of a run: open it, copy it to a server, and close it.

`start_run` opens a new run or resumes one; `reopen_run` adds results to one that is
closed. The classes are abstract: `MlflowTracker` opens the runs of MLflow,
`RemoteTracker` one in a helper process, and `NullTracker` those that record nothing.
"""

import gc
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Generic, TypeVar

from pipeline.tracking import provenance
from pipeline.tracking.copies.mirror import Mirror
from pipeline.tracking.interface import LocalRun, OpenRun, Params, Run, Tags
from pipeline.tracking.store.tags import Status

RunType = TypeVar("RunType", bound=OpenRun, covariant=True)


def final_status(error: BaseException) -> tuple[Status, str]:
    """Return the status of a run after an error, and its text; "" for KILLED."""
    if isinstance(error, Exception):
        return Status.FAILED, f"{type(error).__name__}: {error}"
    return Status.KILLED, ""


@dataclass(frozen=True)
class RunStart:
    """What is recorded when a run is opened."""

    name: str
    params: Params
    tags: Tags  # with the `process_tags` of the process that trains
    code: provenance.CodeState  # of this process
    time: int  # in milliseconds since 1970
    resume: str | None  # the id of the run that is opened again; None for a new one


class Tracker(ABC, Generic[RunType]):
    """Opens and closes runs in a store; a server, if any, receives copies."""

    store: Path
    server: str | None = None

    @contextmanager
    def start_run(
        self, *, name: str, params: Params, tags: Tags, resume: str | None = None
    ) -> Iterator[RunType]:
        """Open a run, or resume the run with this id; close it when the block ends.

        Its final status is FINISHED, FAILED after an exception, or KILLED after an
        interrupt. Tags with its provenance are added. A server gets a copy while the
        run is open and when it is closed.

        Raises:
            UserError, OSError: If the store cannot be written to.
        """
        with self._mirror() as mirror:
            all_tags = dict(tags) | provenance.process_tags()
            now = time_ns() // 1_000_000
            start = RunStart(name, params, all_tags, self.code, now, resume)
            run = self.open_run(start)
            if mirror:
                mirror.follow(lambda: run.run_id)
            with self._recorded(run, mirror, partial(self.close_run, run)):
                yield run

    def _mirror(self) -> AbstractContextManager[Mirror | None]:
        """Return the copy of a run on the server, if there is one, as a context."""
        if self.server is None:
            return nullcontext()
        return closing(Mirror(self.store, self.server))

    @contextmanager
    def _recorded(
        self,
        run: OpenRun,
        mirror: Mirror | None,
        close: Callable[[Status, str], str | None],
    ) -> Iterator[None]:
        """Record a run in the block, then close it and complete its copy.

        `close` gets the status and the error, like `close_run`. The steps have this
        order; the tests that are named are in `tests/tracking/`.
        """
        status, error = Status.FINISHED, ""
        try:
            yield
            # 1. The last calls in the helper process can fail, too. See `test_remote`:
            # "a call that fails when the block has ended".
            run.wait()
        except BaseException as exception:
            status, error = final_status(exception)
            if status == Status.KILLED and isinstance(run, Run):  # of this process
                # 2. The frames of an interrupted transaction keep the database locked,
                # and only the garbage collector frees Python's connections, so `close`
                # could not write. See `test_mlflow_tracker`: "an interrupt inside a
                # transaction".
                traceback.clear_frames(exception.__traceback__)
                gc.collect()
            raise
        finally:
            closed_id = close(status, error)
            # 3. The copy is completed last, because it gets the status, and after an
            # error, too. See `test_mirror`: "results that an error ended".
            if mirror and closed_id:
                run.copied = mirror.finish(closed_id, is_killed=status == Status.KILLED)

    @property
    def code(self) -> provenance.CodeState:
        """The code of this process, which a run records."""
        return provenance.code_state()

    @abstractmethod
    def open_run(self, start: RunStart) -> RunType:
        """Create a run, or open one again; `close_run` closes it."""

    @abstractmethod
    def close_run(self, run: OpenRun, status: Status, error: str) -> str | None:
        """Close a run and record its error, if any; return the id if it has one.

        Raises:
            UserError, OSError: If a run cannot be marked FINISHED. For another status,
                a message is printed.
        """


class LocalTracker(Tracker[LocalRun]):
    """Opens runs of this process."""

    @contextmanager
    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str | None
    ) -> Iterator[LocalRun]:
        """Open the run that trained a network, to add results; its status and end stay.

        The run is found by the hash of its weights. If there are several such runs,
        `run_id` is used, or else the newest. If there is none, as in a fresh clone, a
        run is created and a message is printed. A sweep has no weights: it is found by
        its id. A server gets a copy when the block ends.
        """
        with self._mirror() as mirror:
            if mirror:
                mirror.start()  # meanwhile, its process imports MLflow
            run = self._reopen(run_id, weights_sha256)
            with self._recorded(run, mirror, lambda *_: run.run_id):
                yield run

    @abstractmethod
    def _reopen(self, run_id: str | None, weights_sha256: str | None) -> LocalRun:
        """Return the run of a network or sweep, or create it; see `reopen_run`."""
