"""The copy of a run on a server, when the run is closed.

`mirror_copy` makes the copies, in a separate process.
"""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.files import printable
from pipeline.paths import search_path
from pipeline.terminal import command_line, status, wrap

TIMEOUT = 15  # seconds by which a server may delay the end of a stage


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
        reason = ""
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2].removeprefix("error: ")
            reason = printable(last) or "the process that copies it was killed"
    except subprocess.TimeoutExpired:
        reason = f"{server} took more than {TIMEOUT} s"
    except KeyboardInterrupt:  # the local run is complete
        reason = "stopped"
    if reason:
        message = wrap(
            f"the copy of run {run_id} is incomplete: {reason}; to copy the rest:"
        )
        print(
            f"{message}\n  {command_line('sync', server=server, run=run_id)}",
            file=sys.stderr,
        )
