"""The copying process of a run, which runs the functions of `copies.copier`.

Runs in the main process.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path

from pipeline import UserError
from pipeline.base.helper_process import Channel, HelperKilled, HelperProcess
from pipeline.base.progress import busy
from pipeline.base.terminal import say, warn
from pipeline.base.text import command_line, printable
from pipeline.tracking.copies.copier import COPYING_PROCESS, copy_with_children
from pipeline.tracking.store.mlflow_calls import import_mlflow

FINISH_SECONDS = 15  # maximum wait for the copy at the end of a command
ANSWER_SECONDS = 1  # part of this wait, for the response of the copying process
FIRST_SECONDS = 2  # before the first copy of an open run
COPY_SECONDS = 3  # interval between the starts of two copies of an open run
WAIT_SECONDS = 2  # maximum wait for the lock, in each copy of an open run
# The copying process gets less time than training, which uses all cores in a sweep.
NICENESS = 5


class CopyingProcess:
    """Copies one run, and the children of a sweep, to a server in another process."""

    def __init__(
        self, store: Path, server: str, channel: Channel | None = None
    ) -> None:
        """Start the process, which does not import MLflow yet.

        Args:
            store: The folder of the store.
            server: The URL of the server.
            channel: A channel to another process that imports MLflow, which is then the
                copying process. The caller closes this process.
        """
        self._store, self._server, self._channel = store, server, channel
        self._ended, self._is_idle = threading.Event(), channel is None
        self._helper: HelperProcess | None = None
        if channel is None:
            with suppress(UserError, OSError):  # `finish` tries again, with a message
                self._start()

    def _start(self) -> None:
        self._helper = HelperProcess(COPYING_PROCESS, niceness=NICENESS, quiet=True)
        self._channel = self._helper.channels[0]

    def warm_up(self) -> None:
        """Import MLflow in the process, without waiting."""
        self._is_idle = False
        if self._channel:
            self._channel.submit(import_mlflow)

    def follow(self, run_id: Callable[[], str | None]) -> None:
        """Copy an open run every three seconds; `run_id` waits until the run is open.

        The first copy is made two seconds after the run was opened, because each copy
        slows down training: a short run is copied once before its end. The workers of a
        sweep start during this time. This method ignores errors, because `finish`
        repeats everything that is missing.
        """

        def repeat() -> None:
            try:
                opened = str(run_id())
            except Exception:  # noqa: BLE001 - the `OpenRun` raises it too
                return
            self._ended.wait(FIRST_SECONDS)
            with suppress(HelperKilled):  # `finish` reports it
                while not self._ended.is_set():
                    now = time.monotonic()
                    call = self._copy(opened, now + WAIT_SECONDS, is_open=True)
                    call.exception()
                    self._ended.wait(now + COPY_SECONDS - time.monotonic())

        if self._channel:
            threading.Thread(target=repeat, daemon=True).start()

    def finish(self, run_id: str, *, is_killed: bool = False) -> bool:
        """Copy a closed run, and return whether the copy is complete.

        This method prints the URL of the copy, or why the copy is incomplete and a
        remedy. If an interrupt ended the run before the copying process had imported
        MLflow, nothing is copied.

        The process is killed after a timeout. MLflow's own timeout applies to each
        read, so a server that responds in small pieces would never exceed that timeout.
        """
        self._ended.set()
        if is_killed and self._is_idle:
            return False
        try:
            if self._channel is None:
                self._start()
            with busy(f"copying the run to {self._server}"):
                # The process responds in time, even if the process waits for a lock.
                deadline = time.monotonic() + FINISH_SECONDS - ANSWER_SECONDS
                call = self._copy(run_id, deadline, is_open=False)
                wait([call], FINISH_SECONDS)
            if call.done():
                say(f"copy   {call.result()}")
                return True
            reason = f"{self._server} took more than {FINISH_SECONDS} s"
        except HelperKilled:
            reason = f"{COPYING_PROCESS} was killed"
        except KeyboardInterrupt:  # the local run is complete
            reason = "interrupted"
        except UserError as error:
            reason = printable(str(error))
        except Exception as error:  # noqa: BLE001 - the local run is complete
            text = " ".join(str(error).split())
            reason = printable(f"{type(error).__name__}: {text[:300]}")
        remedy = command_line("sync", server=self._server, run=run_id)
        warn(
            f"the copy of run {run_id} is incomplete: {reason}. To copy the rest, run:",
            remedy=remedy,
        )
        return False

    def close(self) -> None:
        """End the process that this object started."""
        self._ended.set()
        if self._helper:
            self._helper.close()

    def _copy(self, run_id: str, deadline: float, *, is_open: bool) -> "Future[str]":
        assert self._channel
        self._is_idle = False
        arguments = self._store, self._server, run_id, deadline
        return self._channel.submit(copy_with_children, *arguments, is_open=is_open)
