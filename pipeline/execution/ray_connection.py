"""Finds a Ray cluster, and collects the code that is sent to the cluster.

This module does not import Ray, because Ray reads its settings during the import.
`PROBE` is the program of a second process.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

from pipeline import UserError
from pipeline.base.paths import PACKAGE
from pipeline.base.progress import busy

CONNECT_SECONDS = 18  # the limit for a reply from the cluster; Ray itself waits 20 s
MAX_PORT = 65_535
DEFAULTS = {  # Ray's settings in the environment of this process
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # print no messages of nodes
    "RAY_USAGE_STATS_ENABLED": "0",
    # After the head is lost, Ray ends this process, by default only after 60 s.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}
# A program that connects as `RayExecutor` does. Ray can end the process of the program,
# and prints many lines.
PROBE = """
import sys, ray
print("imported", file=sys.stderr, flush=True)
try:
    ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
except Exception as error:
    sys.exit("error: " + " ".join(str(error).split()))
"""
ERROR = "error: "
# Patterns of lines that Ray prints if a connection fails, each with its meaning.
REASONS = {
    "no authentication token|authentication token (is|was)": "its token is missing "
    "here or differs: copy ~/.ray/auth_token from the head to this machine, and set "
    "RAY_AUTH_MODE=token",
    "Failed to connect to socket": "this machine is not a node of the cluster: run "
    "`ray start --block --address={address} --num-cpus=0` on it first",
}


def set_defaults() -> None:
    """Set the defaults of Ray's settings, before Ray is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def ray_address() -> tuple[str, int]:
    """Return the host and the port in RAY_ADDRESS.

    Raises:
        UserError: If the variable is missing, or not of the form host:port.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    found = re.fullmatch(r"([^/]+):([0-9]{1,5})", address)
    if not found or int(found[2]) > MAX_PORT:
        raise UserError(
            "executor=ray needs RAY_ADDRESS: it must be host:port of the head of a "
            f"Ray cluster, such as 10.0.0.1:6379, got {address!r}"
        )
    return found[1].strip("[]"), int(found[2])


def find_cluster() -> str:
    """Return RAY_ADDRESS, the address of a cluster to which this process can connect.

    Raises:
        UserError: If no cluster can be used at the address.
    """
    place, address = ray_address(), os.environ["RAY_ADDRESS"]
    try:
        socket.create_connection(place, timeout=3).close()
    except (OSError, UnicodeError) as error:
        raise UserError(_no_cluster(address, str(error))) from None
    with busy(f"connecting to the Ray cluster at {address}"):
        _probe(address)
    return address


def _probe(address: str) -> None:
    """Connect in another process first, because Ray ends a process if this fails."""
    probe = [sys.executable, "-c", PROBE, address]
    with subprocess.Popen(
        probe, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        timer = threading.Timer(CONNECT_SECONDS, process.kill)
        timer.daemon = True
        reason = None
        assert process.stderr
        for line in process.stderr:
            if line == "imported\n":
                timer.start()
            if reason := reason or find_reason(line, address):
                process.kill()
        timer.cancel()
    if process.returncode:
        reason = reason or "the head of the cluster does not respond"
        raise UserError(_no_cluster(address, reason))


def find_reason(line: str, address: str) -> str | None:
    """Return why a connection failed, if a line that `PROBE` printed says so."""
    for pattern, reason in REASONS.items():
        if re.search(pattern, line, re.IGNORECASE):
            return reason.format(address=address)
    return line.removeprefix(ERROR).strip() if line.startswith(ERROR) else None


def _no_cluster(address: str, reason: str) -> str:
    return f"no Ray cluster can be used at RAY_ADDRESS={address}: {reason}"


def copy_sources(folder: Path) -> None:
    """Copy the source files of this package to a folder."""
    for path in PACKAGE.rglob("[!.]*.py"):
        target = folder / path.relative_to(PACKAGE.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
