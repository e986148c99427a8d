"""Copies closed runs to an MLflow server, and gives up when the server is too slow.

This module starts the copying process and waits for it; `mirror_copy` runs in that
process, which can be killed after a timeout. MLflow's own timeout applies to each read,
so a server that sends its response in small pieces never exceeds it, and a waiting
thread of MLflow would keep this process from ending.
"""

import json
import os
import re
import subprocess
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import unquote, urlsplit

from pipeline.files import printable
from pipeline.paths import PACKAGE, store_dir
from pipeline.terminal import command_line, status, wrap
from pipeline.tracking.interface import database_path, sqlite_uri
from pipeline.tracking.quiet import TELEMETRY

TIMEOUT = 15  # seconds by which a server may delay a stage
TIMEOUT_PER_RUN = 4  # seconds more per copied run, which takes 2 on two busy cores
REQUEST_TIMEOUT = 5  # seconds per read of MLflow's client while a stage waits
SYNC_TIMEOUT = 60  # seconds per file in `pipeline.sync`, where nothing else waits
IS_SERVER = re.compile("https?://", re.IGNORECASE)


def server_address(value: str | None) -> str | None:
    """Check the address of a server; the default is MLFLOW_TRACKING_URI.

    MLFLOW_TRACKING_URI can also be the address of the project's own store.

    Raises:
        ValueError: If it is any other address, or contains a password.
    """
    source = ""
    if value is None:
        value = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not IS_SERVER.match(value):
            # In a script that selects another store, MLflow itself sets the variable;
            # then the run goes to the project's store, and a message says so.
            if names_another_store(store_dir()) and "mlflow" not in sys.modules:
                store = sqlite_uri(database_path(store_dir()))
                raise ValueError(
                    "MLFLOW_TRACKING_URI must be an address such as "
                    f"http://127.0.0.1:5000 or that of the project's store, {store}"
                )
            return None
        source = "MLFLOW_TRACKING_URI "  # without its value: it may have a password
    try:
        parts = urlsplit(value)
    except ValueError:  # brackets without an IPv6 address
        parts = urlsplit("")
    if not IS_SERVER.match(value) or not parts.hostname:
        raise ValueError(f"{source}must be an address such as http://127.0.0.1:5000")
    if parts.username is not None:
        raise ValueError(
            f"{source}must not contain a password, because runs record the address: "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    return value


def names_another_store(folder: Path) -> bool:
    """Return whether MLFLOW_TRACKING_URI is a store other than the one in a folder."""
    value = os.environ.get("MLFLOW_TRACKING_URI", "")
    path = unquote(re.sub(r"^sqlite(\+pysqlite)?:///", "", value))
    is_own = Path(path).absolute() == database_path(folder)
    return bool(value) and not (is_own or IS_SERVER.match(value))


def mirror_run(folder: Path, server: str, run_id: str) -> None:
    """Copy a run and its children to a server; if that fails, print the remedy."""
    try:
        addresses = mirror_runs(folder, server, run_id=run_id)
    except (OSError, KeyboardInterrupt) as error:  # the local run is complete
        reason = f"({str(error) or 'stopped'}); to copy it later:"
        remedy = f"\n  {command_line('sync', server=server)}"
    else:
        if run_id in addresses:
            print(f"copy   {addresses[run_id]}")
            return
        reason = "because its copy was deleted on the server, or it is still running"
        remedy = ""
    print(wrap(f"run {run_id} was not copied {reason}") + remedy, file=sys.stderr)


def mirror_runs(
    folder: Path, server: str, *, run_id: str | None = None
) -> dict[str, str]:
    """Copy a run and its children, or all runs, to a server.

    A run that is already there unchanged is not sent again; an open run is skipped.

    Returns:
        The address of each run on the server, by the id of its original.

    Raises:
        OSError: If not all runs were copied in time; the message says why.
    """
    request_timeout = REQUEST_TIMEOUT if run_id else SYNC_TIMEOUT
    addresses: dict[str, str] = {}
    start = time.monotonic()
    timeout: float = TIMEOUT if run_id else SYNC_TIMEOUT
    reason = f"not done after {timeout} s"
    with (
        status(f"copying runs to {server}"),
        TemporaryFile() as errors,
        _copying_process(
            folder, server, run_id or "", request_timeout, errors
        ) as process,
    ):
        assert process.stdout
        try:
            while wait([process.stdout.fileno()], timeout):
                line = process.stdout.readline()
                if not line:
                    raise OSError(f"the copying process failed: {_last_line(errors)}")
                message = json.loads(line)
                if isinstance(message, str):
                    reason = message
                    break
                addresses |= message
                if run_id:  # the limit applies to all messages together
                    deadline = start + TIMEOUT + TIMEOUT_PER_RUN * len(addresses)
                    timeout = max(0, deadline - time.monotonic())
        finally:
            process.kill()
    if reason:
        raise OSError(f"{server} did not accept it: {reason}")
    return addresses


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").split("\n")
    return printable(next((line for line in reversed(lines) if line), "it was killed"))


def _copying_process(
    folder: Path, server: str, run_id: str, request_timeout: int, errors: IO[bytes]
) -> "subprocess.Popen[bytes]":
    """Start `mirror_copy`; it ends when its input ends, so also with this process.

    It is not a process of multiprocessing, which would run the user's script again.
    """
    command = [sys.executable, "-m", "pipeline.tracking.mirror_copy"]
    search_path = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        "PYTHONPATH": os.pathsep.join(search_path),
        TELEMETRY: "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(request_timeout),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a retry would create twice
    }
    return subprocess.Popen(
        [*command, str(folder), server, run_id],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        bufsize=0,  # so that `wait` sees every line
        start_new_session=True,  # Ctrl-C is for this process
    )
