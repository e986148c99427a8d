"""A helper process: a second Python process that runs functions for this process.

Runs in the process that starts a helper process; the functions at the end run in the
helper process.

The helper process imports libraries that take seconds to import, while this process
works. The helper process is started as a command, because `multiprocessing` would need
a `__main__` guard in the script of the user. Unlike a worker of loky, the helper
process can run several calls at a time. If its parent is killed, the helper process
ends, and so do the processes that it has started.
"""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from pipeline import UserError
from pipeline.base.error_messages import AGAIN
from pipeline.base.paths import search_path
from pipeline.base.process import ONE_THREAD, limit_garbage_collection

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


class HelperKilled(UserError):
    """A helper process ended before it responded."""


class Channel:
    """A channel to a helper process; it runs calls one by one, in order of `submit`."""

    def __init__(
        self, name: str, connection: Connection, end: Callable[[], None]
    ) -> None:
        """Start a thread that sends requests and receives responses.

        Args:
            name: The name of the process.
            connection: The connection to a thread of the process.
            end: A function that ends the process. It is called if the process no longer
                responds.
        """
        self._name, self._connection, self._end = name, connection, end
        self._closing, self._is_closed = threading.RLock(), False
        self._calls = SimpleQueue[tuple[Future[Any], bytes] | None]()
        # The thread is a daemon, so that a call without a waiting caller does not delay
        # the exit.
        self._thread = threading.Thread(target=self._exchange, daemon=True)
        self._thread.start()

    def submit(
        self,
        function: Callable[Arguments, Value],
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> "Future[Value]":
        """Call a function of a module in the process, and return the future result.

        The arguments are copied now, so the caller may change them. A thread exchanges
        the messages, so an interrupt of the caller cannot separate a request from its
        response. If the function raises an error, the future raises the same error,
        whose last note is the traceback of the process. If the process ends in the
        meantime, the future raises `HelperKilled`.

        Raises:
            HelperKilled: After `close`.
            TypeError, AttributeError, PicklingError: If arguments cannot be sent.
        """
        request = pickle.dumps((function, arguments, keywords))
        future: Future[Value] = Future()
        with self._closing:  # a call after the None of `close` would get no response
            if self._is_closed:
                raise HelperKilled(f"{self._name} has ended")
            self._calls.put((future, request))
        return future

    def close(self) -> None:
        """Accept no more calls; calls without a response raise `HelperKilled`.

        The process must have ended.
        """
        with self._closing:
            self._is_closed = True
            self._calls.put(None)
        self._thread.join()

    def _exchange(self) -> None:
        """Send each request and receive its response, until the channel is closed."""
        with self._connection:
            while item := self._calls.get():
                future, request = item
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    result, error = self._response(request)
                # The future raises it, for example if the result cannot be unpickled.
                except Exception as failed:  # noqa: BLE001
                    failed.add_note(_traceback(failed))
                    result, error = None, failed
                if error:
                    future.set_exception(error)
                else:
                    future.set_result(result)

    def _response(self, request: bytes) -> tuple[Any, BaseException | None]:
        try:
            self._connection.send_bytes(request)
            response = self._connection.recv_bytes()
        except (EOFError, OSError):
            self._end()
            return None, HelperKilled(f"{self._name} was killed: {AGAIN}")
        result, error, text = pickle.loads(response)
        if error:
            error.add_note(text)
        return result, error


class HelperProcess:
    """A process that runs functions for this process.

    The helper ends when this process ends for any reason, even in the middle of a
    function. The processes that the function started end too, and their temporary
    files are removed. Ctrl-C interrupts only this process. Libraries use one thread, as
    in a command.

    Attributes:
        channels: The channels. Each has a thread in the process, so that a call in one
            channel does not wait for calls in another channel.
        submit: `Channel.submit` of the first channel.
    """

    def __init__(
        self, name: str, *, channels: int = 1, niceness: int = 0, quiet: bool = False
    ) -> None:
        """Start the process.

        Args:
            name: The name of the process in messages, such as "the recording process".
            channels: The number of channels.
            niceness: A positive value lowers the priority; at most 19.
            quiet: Whether to discard what the process prints.

        Raises:
            UserError: If the process cannot be started.
        """
        pipes = [Pipe() for _ in range(channels)]
        self._folder = tempfile.mkdtemp(prefix="pipeline-")
        descriptors = [other_end.fileno() for _, other_end in pipes]
        output = subprocess.DEVNULL if quiet else None
        module = [sys.executable, "-P", "-m", "pipeline.base.helper_process"]
        arguments = [self._folder, str(niceness), *map(str, descriptors)]
        try:
            self._process = subprocess.Popen(
                [*module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=descriptors,
                env=os.environ
                | ONE_THREAD
                | {"PYTHONPATH": search_path(), "TMPDIR": self._folder}
                | {"TTY_COMPATIBLE": "0"},  # no second progress bar
                start_new_session=True,
            )
        except BaseException as error:  # such as Ctrl-C
            for connection, _ in pipes:
                connection.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            if isinstance(error, OSError):
                message = f"{name} cannot be started: {error}"
                raise UserError(message) from None
            raise
        finally:
            # This process must close the other ends. Otherwise, if the helper process
            # is killed while it sends a result, this process would wait for the rest
            # forever.
            for _, other_end in pipes:
                other_end.close()
        self._ending, self._ended = threading.RLock(), False
        self.channels = [
            Channel(name, connection, self._end) for connection, _ in pipes
        ]
        self.submit = self.channels[0].submit

    def check_running(self) -> bool:
        """Return whether the process can still respond; `close` it if it has ended."""
        with self._ending:
            is_running = not self._ended and self._process.poll() is None
        if not is_running:
            self.close()
        return is_running

    def close(self) -> None:
        """End the process now; calls without a response raise `HelperKilled`."""
        self._end()
        for channel in self.channels:
            channel.close()

    def _end(self) -> None:
        """Kill the process and all processes that it started; remove their files."""
        with self._ending:
            if self._ended:  # another process may have the same ID now
                return
            self._ended = True
            with suppress(ProcessLookupError):  # all processes have ended
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            shutil.rmtree(self._folder, ignore_errors=True)


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


# The functions below run in the helper process.


def _serve(first: Connection, others: Sequence[Connection], folder: Path) -> None:
    """Respond to requests until the process that sends them ends."""
    for connection in (first, *others):  # not inherited by other programs
        os.set_inheritable(connection.fileno(), False)
    limit_garbage_collection()
    requests = SimpleQueue[bytes]()

    def receive() -> None:
        try:
            while True:
                requests.put(first.recv_bytes())
        except (EOFError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=receive, daemon=True).start()
    for connection in others:
        threading.Thread(target=_serve_channel, args=(connection,), daemon=True).start()
    while True:
        response = _respond(requests.get())
        with suppress(ConnectionError):  # `receive` notices the end too
            first.send_bytes(response)


def _serve_channel(connection: Connection) -> None:
    """Respond on another channel; `receive` notices when the parent ends."""
    with suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_respond(connection.recv_bytes()))


def _respond(request: bytes) -> bytes:
    """Call a function; return its result, or its error with the traceback."""
    try:
        function, arguments, keywords = pickle.loads(request)
        return pickle.dumps((function(*arguments, **keywords), None, ""))
    except BaseException as error:  # noqa: BLE001 - raised in the other process
        text = _traceback(error)
        try:
            pickle.loads(response := pickle.dumps((None, error, text)))
        except Exception:  # noqa: BLE001 - pickle runs the code of any error
            name = f"{type(error).__name__}: {error}"
            return pickle.dumps((None, RuntimeError(name), text))
        return response


if __name__ == "__main__":
    os.nice(int(sys.argv[2]))
    first, *others = (Connection(int(descriptor)) for descriptor in sys.argv[3:])
    _serve(first, others, Path(sys.argv[1]))
