"""Steps of a run, from its start to its copy on a server.

Runs in the main process.

`Tracker.start_run` performs these steps. "Test:" gives the name of a test in
`tests/tracking/` that fails if the program does not perform the step as described.

1. `read_code` reads the commit and the uncommitted changes. A command that trains calls
   it when it starts, because files can change later.
   Test: "an edit after a training run has started".
2. `recorder.create_or_resume` creates a run, or resumes a run. It acquires the lock of
   the run before it releases the lock of the store. Otherwise, another process would
   mark the run as KILLED (`store/locks.py`). Test: "a running run whose lock is free".
   If the run is resumed, the status and the error of its earlier end are removed.
   Test: "a run that ended early". The incomplete children of a sweep are deleted.
   Test: "a child is complete or removed".
   If the function fails after this, it closes the run, because no caller can.
   Test: "a run that cannot be opened has failed".
3. `CopyingProcess.follow` copies the open run to the server, if there is one.
4. The caller's `with` block calls `run.record`, which records data, asynchronously if
   there is a recording process.
5. `run.wait` waits for these calls, which can fail when the block has
   ended. Test: "a call that fails when the block has ended".
6. After an interrupt, the stack frames of a transaction are cleared, because the frames
   keep the database locked. Test: "an interrupt inside a transaction".
7. `recorder.end` sets the status and the error, then releases the run's lock.
   After an error or an interrupt, it then marks killed runs as KILLED, such as the
   incomplete children of this run. Test: "a child is complete or removed".
   This order prevents the deadlock that `base/locking.py` describes.
   If an error ended the run and the run cannot be closed, the first error is raised.
   Test: "a run that cannot be closed is never reported as finished".
8. `CopyingProcess.finish` completes the copy, even after an error. This is the last
   step, because the copy gets the status. Test: "results before an error".

`reopen_run` adds results to a run that is closed, which `recorder.find_or_create`
finds. Step 3 is skipped, and so is step 7, because the status and the end time of the
run do not change.

Steps 2 and 7 and the functions of step 4 run in the recorder: the recording process of
`start_tracker`, or the main process if there is none.
"""

import gc
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
)
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.helper_process import HelperProcess
from pipeline.base.terminal import is_quiet
from pipeline.records.tags import Status
from pipeline.tracking import provenance, recorder
from pipeline.tracking.copying_process import CopyingProcess
from pipeline.tracking.messages import announce_store
from pipeline.tracking.open_run import (
    RECORDING_PROCESS,
    OpenRun,
    ThisProcess,
    UnrecordedRun,
)
from pipeline.tracking.provenance import CodeState
from pipeline.tracking.run_data import Params, RunStart, Tags, final_status
from pipeline.tracking.store.database import RecordedRun, tagged_runs
from pipeline.tracking.store.location import database_path
from pipeline.tracking.store.sqlite import require_store

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun

# The copying to a server takes half a second of CPU time, and a server on this machine
# takes as much. On two cores, both would delay training without a lower priority.
COPYING_NICENESS = 3


def end_transactions(error: BaseException) -> None:
    """Clear the frames of an interrupt, because open transactions lock the database."""
    if final_status(error)[0] == Status.KILLED:
        # Only the garbage collector frees Python's connections.
        traceback.clear_frames(error.__traceback__)
        gc.collect()


class Tracker:
    """Opens runs, and closes and copies each run when its block ends.

    Attributes:
        store: The folder of the store.
        experiment: The experiment of new runs; None if runs are not recorded.
    """

    def __init__(
        self,
        store: Path,
        *,
        server: str | None,
        experiment: str | None,
        helper: HelperProcess | None = None,
    ) -> None:
        """Keep the arguments; nothing is opened yet.

        `helper` is the recording process, with a second channel for copies. Without
        `helper`, runs are recorded in this process.
        """
        self.store, self.experiment, self._helper = store, experiment, helper
        self._process = helper or ThisProcess()
        self._server = server if self.is_recorded else None
        self._code: CodeState | None = None

    @property
    def is_recorded(self) -> bool:
        """Whether runs are recorded; otherwise, open runs drop all data."""
        return self.experiment is not None

    def tagged_runs(self, key: str, values: Iterable[str]) -> list[RecordedRun]:
        """Return the `tagged_runs` that a run can continue or reuse, if recorded."""
        return tagged_runs(self.store, key, values) if self.is_recorded else []

    def read_code(self) -> CodeState:
        """Return the state of the code that runs record, as the first call reads it."""
        self._code = self._code or provenance.code_state()
        return self._code

    def open_store(self) -> None:
        """Import MLflow and open the store, to reject an unusable store before work.

        If there is no store, the first run creates it.

        Raises:
            UserError, OSError: If the store cannot be used.
        """
        if not self.is_recorded:
            return
        if database_path(self.store).exists():
            require_store(self.store)
        announce_store(self.store)
        call = self._process.submit(recorder.warm_up, self.store)
        if self._helper is None:  # otherwise, the run that is opened has the error
            call.result()

    @contextmanager
    def start_run(
        self,
        *,
        name: str,
        params: Params,
        tags: Tags,
        time: int,
        resume: str | None = None,
    ) -> Iterator[OpenRun]:
        """Open a run, or resume the run with this ID; close it when the block ends.

        The steps are in the docstring of this module. The final status is FINISHED,
        FAILED after an exception or `OpenRun.fail`, or KILLED after an interrupt.

        Raises:
            UserError, OSError: If data cannot be written to the store.
        """
        with self._copying() as copying:
            code = self.read_code()
            all_tags = dict(tags) | provenance.tags(code)
            start = RunStart(name, params, all_tags, time, code.diff, resume)
            run = self._open(partial(recorder.create_or_resume, start=start))  # step 2
            if copying:  # step 3
                copying.follow(lambda: run.run_id)
            with self._recorded(run, copying):
                yield run

    @contextmanager
    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str | None
    ) -> Iterator[OpenRun]:
        """Open the run that trained a network, to add results.

        The status and the end time of the run do not change. The run is found by the
        hash of its weights. If several runs have these weights, the run `run_id` is
        used or, if it is not among them, the newest run. If no run has these weights,
        as in a fresh clone, a run is created and a message is printed. A sweep has no
        weights, so it is found by its ID. A server gets a copy when the block ends.
        """
        with self._copying() as copying:
            if copying:
                copying.warm_up()  # during the block
            found = partial(
                recorder.find_or_create, run_id=run_id, weights_sha256=weights_sha256
            )
            run = self._open(found)
            with self._recorded(run, copying):
                yield run

    def _open(self, opening: "Callable[[Path, str], MlflowRun]") -> OpenRun:
        """Open a run with a function of `recorder`, if runs are recorded."""
        if self.experiment is None:
            return UnrecordedRun()
        return OpenRun(self._process, opening, self.store, self.experiment)

    def copy(self, run_id: str) -> bool | None:
        """Copy a closed run and its children to the server; see `OpenRun.copied`."""
        with self._copying() as copying:
            return copying.finish(run_id) if copying else None

    def _copying(self) -> AbstractContextManager[CopyingProcess | None]:
        """Return a context with a `CopyingProcess`, or with None without a server."""
        if self._server is None:
            return nullcontext()
        # The recording process copies the run too, because it imports MLflow.
        channel = self._helper.channels[1] if self._helper else None
        return closing(CopyingProcess(self.store, self._server, channel))

    @contextmanager
    def _recorded(self, run: OpenRun, copying: CopyingProcess | None) -> Iterator[None]:
        """Record a run in the block, then close and copy the run: steps 4 to 8."""
        try:
            yield
            run.wait()  # step 5
            error = run.failure
            status = Status.FAILED if error else Status.FINISHED
        except BaseException as exception:
            status, error = final_status(exception)
            if self._helper is None:  # this process has the transactions
                end_transactions(exception)  # step 6
            raise
        finally:
            closed_id = run.close(status, error)  # step 7
            if copying and closed_id:  # step 8
                is_killed = status == Status.KILLED
                run.copied = copying.finish(closed_id, is_killed=is_killed)


def new_tracker(store: Path, *, server: str | None, experiment: str | None) -> Tracker:
    """Return a tracker that records in this process, and open its store.

    The store in the folder `store` is opened now, so that an unusable store is rejected
    before any work. A server receives copies of the runs. New runs belong to
    `experiment`; if it is None, runs are not recorded.

    Raises:
        UserError, OSError: If the store cannot be used.
    """
    tracker = Tracker(store, server=server, experiment=experiment)
    tracker.open_store()
    return tracker


@contextmanager
def start_tracker(
    store: Path, *, server: str | None, experiment: str | None
) -> Iterator[Tracker]:
    """Start a recording process, which records runs and exits when the block ends.

    Importing MLflow, opening the store and writing to it take three seconds of a
    training run. A thread would save no time, because it would hold the interpreter
    lock. If this process has already imported MLflow, another process would save no
    time and is not started. `new_tracker` describes the arguments.
    """
    with ExitStack() as stack:
        helper = None
        if experiment is not None and "mlflow" not in sys.modules:
            niceness = COPYING_NICENESS if server else 0
            helper = HelperProcess(
                RECORDING_PROCESS, channels=2, niceness=niceness, quiet=is_quiet()
            )
            stack.callback(helper.close)
        tracker = Tracker(store, server=server, experiment=experiment, helper=helper)
        tracker.open_store()
        tracker.read_code()  # while the process imports MLflow
        yield tracker
