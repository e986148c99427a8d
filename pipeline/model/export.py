"""Exports networks as torch.export programs, in a process beside the training.

Importing torch.export takes two seconds, which this process would wait for at the end
of a training. The other process serves all trainings of this one, and ends with it.
"""

import io
import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import SIDE, UserError
from pipeline.paths import search_path

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_lock = threading.Lock()
_process: "subprocess.Popen[str] | None" = None


def prepare_export(hidden: int) -> None:
    """Let the process import torch.export and trace a network; this does not wait."""
    _request({"hidden": hidden})


def export_network(network: Path, exported: Path, *, hidden: int) -> None:
    """Export a network from its safetensors file to a .pt2 file, without pickle.

    The program maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10).

    Raises:
        UserError: If the process fails or is killed.
    """
    paths = {"network": str(network.resolve()), "exported": str(exported.resolve())}
    if error := _request({"hidden": hidden, **paths}, is_answered=True):
        raise UserError(f"{network} could not be exported: {error}")


def _request(request: dict[str, str | int], *, is_answered: bool = False) -> str:
    """Send a request to the process, which is started if necessary.

    Returns:
        Why an answered request failed; "" if it did not.
    """
    global _process
    with _lock:
        if _process is None or _process.poll() is not None:
            _process = _start()
        process = _process
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            if not is_answered:
                return ""
            if answer := process.stdout.readline():
                return str(json.loads(answer))
            process.communicate()
            if process.returncode < 0:
                return "its process was killed"
            return f"its process ended with status {process.returncode}"
        except BaseException:  # such as Ctrl-C
            process.kill()  # the next request would get the answer to this one
            process.communicate()  # waits for its end, and closes the pipes
            raise


def _start() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pipeline.model.export"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": search_path()},
        start_new_session=True,  # Ctrl-C is for this process
    )


@lru_cache(1)
def _trace(hidden: int) -> "ExportedProgram":
    """Return the program of a network, which does not depend on its weights."""
    import torch

    from pipeline.model.network import Network

    network = Network(hidden=hidden, generator=torch.Generator())
    module = torch.nn.Sequential(network, torch.nn.Softmax(dim=1)).eval()
    # A program that is traced with one image would accept only one.
    example = torch.zeros(2, SIDE, SIDE)
    any_number = {0: torch.export.Dim.AUTO}
    return torch.export.export(module, (example,), dynamic_shapes=(any_number,))


def _export(network: str, exported: str, hidden: int) -> None:
    import torch
    from safetensors.torch import load_file

    program = _trace(hidden)
    for name, tensor in load_file(network).items():
        program.state_dict[f"0.{name}"].data.copy_(tensor)
    content = io.BytesIO()  # PyTorch ends the process if the disk is full
    torch.export.save(program, content)
    Path(exported).write_bytes(content.getvalue())


def _serve() -> None:
    """Answer requests, and end when the process that sends them ends."""
    os.nice(10)  # on busy cores, training comes first
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print something
    for line in sys.stdin:
        request = json.loads(line)
        if "network" not in request:
            _trace(**request)
            continue
        error = ""
        try:
            _export(**request)
        except Exception as exception:  # the other process reports it
            error = f"{type(exception).__name__}: {exception}"
        print(json.dumps(error), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
