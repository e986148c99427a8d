"""Copies closed runs to an MLflow server, and gives up when the server is too slow.

This module starts the copying process and waits for it; `mirror_copy` runs in that
process, which can be killed after a timeout. MLflow's own timeout applies to each read,
so a server that sends its response in small pieces never exceeds it, and a waiting
thread of MLflow would keep this process from ending.
"""

import multiprocessing
import os
import re
import shlex
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.paths import store_dir

TIMEOUT = 15  # seconds by which a server may delay a stage
TIMEOUT_PER_RUN = 4  # seconds more per copied run, which takes 2 on two busy cores
REQUEST_TIMEOUT = 5  # seconds per read of MLflow's client while a stage waits
SYNC_TIMEOUT = 60  # seconds per file in `pipeline.sync`, where nothing else waits


def server_address(value: str | None) -> str | None:
    """Check the address of a server; the default is MLFLOW_TRACKING_URI.

    MLFLOW_TRACKING_URI can also be the address of the project's own store.

    Raises:
        ValueError: If it is any other address, or contains a password.
    """
    source = ""
    if value is None:
        value = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not value or _is_store(value):
            return None
        source = "MLFLOW_TRACKING_URI "  # without its value: it may have a password
    try:
        parts = urlsplit(value)
    except ValueError:  # brackets without an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        rule = "must be an address such as http://127.0.0.1:5000"
        if source:
            store = f"sqlite:///{store_dir()}/mlflow.db"
            rule = f"{rule} or that of the project's store, {store}"
        raise ValueError(source + rule)
    if parts.username is not None:
        raise ValueError(
            f"{source}must not contain a password, because runs record the address: "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    return value


def _is_store(address: str) -> bool:
    path = re.sub(r"^sqlite(\+pysqlite)?:///", "", address)
    return Path(unquote(path)).absolute() == store_dir() / "mlflow.db"


def mirror_run(folder: Path, server: str, run_id: str) -> None:
    """Copy a run and its children to a server; if that fails, print the remedy."""
    try:
        addresses = mirror_runs(folder, server, run_id=run_id)
    except (OSError, KeyboardInterrupt) as error:  # the local run is complete
        message = (
            f"({str(error) or 'stopped'}); to copy it later: "
            f"python -m pipeline.sync server={shlex.quote(server)}"
        )
    else:
        if run_id in addresses:
            print(f"copy   {addresses[run_id]}")
            return
        message = "because its copy was deleted on the server, or it is still running"
    print(f"run {run_id} was not copied {message}", file=sys.stderr)


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
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    request_timeout = REQUEST_TIMEOUT if run_id else SYNC_TIMEOUT
    arguments = (folder, server, run_id, request_timeout, sender)
    process = spawn.Process(target=_copying_process, args=arguments, daemon=True)
    process.start()
    sender.close()
    addresses: dict[str, str] = {}
    start = time.monotonic()
    timeout: float = TIMEOUT if run_id else SYNC_TIMEOUT
    reason = f"not done after {timeout} s"
    try:
        while receiver.poll(timeout):
            message = receiver.recv()
            if isinstance(message, str):
                reason = message
                break
            addresses |= message
            if run_id:  # the limit applies to all messages together
                deadline = start + TIMEOUT + TIMEOUT_PER_RUN * len(addresses)
                timeout = max(0, deadline - time.monotonic())
    except EOFError:
        reason = "the copying process ended early"
    finally:
        process.kill()
        process.join()
    if reason:
        raise OSError(f"{server} did not accept it: {reason}")
    return addresses


def _copying_process(
    folder: Path, server: str, run_id: str | None, timeout: int, parent: Connection
) -> None:
    """Send what `copy_runs` yields, and at the end why it failed, or ""."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(timeout)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # a retry would create twice
    from pipeline.tracking.mirror_copy import copy_runs, describe_error

    try:
        for addresses in copy_runs(folder, server, run_id):
            parent.send(addresses)
        parent.send("")
    except Exception as error:  # MLflow's client can raise anything
        parent.send(describe_error(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    os._exit(1)
