"""Addresses of MLflow servers, and the copy of a run when it is closed.

`mirror_copy` makes the copies, in a separate process.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.files import printable
from pipeline.paths import search_path, store_dir
from pipeline.terminal import command_line, status, wrap
from pipeline.tracking.interface import database_path, sqlite_uri

TIMEOUT = 15  # seconds by which a server may delay the end of a stage
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
    """Copy a closed run and its children to a server, or print why not and what to do.

    The copying process can be killed after a timeout. MLflow's own timeout applies to
    each read, so a server that answers in small pieces would never exceed it.
    """
    environment = {
        "PYTHONPATH": search_path(),
        "PIPELINE_OUTPUTS": str(folder),
        "MLFLOW_TRACKING_URI": server,
    }
    try:
        with status(f"copying the run to {server}"):
            done = subprocess.run(
                [sys.executable, "-P", "-m", "pipeline.sync", f"run={run_id}"],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT,
                start_new_session=True,  # Ctrl-C is for this process
            )
        print(done.stdout, end="")
        lines = done.stderr.strip().split("\n") if done.returncode else [""]
        reason = printable(lines[-1].removeprefix("error: "))
    except subprocess.TimeoutExpired:
        reason = f"{server} took more than {TIMEOUT} s"
    except KeyboardInterrupt:  # the local run is complete
        reason = "stopped"
    if reason:
        message = wrap(
            f"the copy of run {run_id} is incomplete: {reason}; to copy the rest:"
        )
        print(f"{message}\n  {command_line('sync', server=server)}", file=sys.stderr)
