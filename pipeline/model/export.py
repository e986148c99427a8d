"""Exports networks as torch.export programs, in a process beside the training.

Importing torch.export takes two seconds, which this process would wait for at the end
of a training. The other process serves all trainings of this one, and ends with it.
"""

import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import SIDE, UserError
from pipeline.paths import ROOT

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_lock = threading.Lock()
_process: "subprocess.Popen[str] | None" = None


def prepare_export(hidden: int) -> None:
    """Let the process import torch.export and trace a network; this does not wait."""
    with _lock:
        _send({"hidden": hidden})


def export_network(network: Path, exported: Path, *, hidden: int) -> None:
    """Export a network to a file, which contains no pickle.

    The program maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10).

    Args:
        network: The network's safetensors file.
        exported: The file that is written, with the extension .pt2.
        hidden: The number of hidden neurons.

    Raises:
        UserError: If the process fails or is killed.
    """
    paths = {"network": str(network.resolve()), "exported": str(exported.resolve())}
    with _lock:
        process = _send({"hidden": hidden, **paths})
        assert process.stdout
        if not process.stdout.readline():
            _, errors = process.communicate()
            (*_, error) = ["its process was killed", *errors.splitlines()]
            raise UserError(f"{network} could not be exported: {error}")


def _send(request: dict[str, str | int]) -> "subprocess.Popen[str]":
    """Send a request to the process, which is started if necessary."""
    global _process
    if _process is None or _process.poll() is not None:
        _process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            start_new_session=True,  # Ctrl-C is for this process
        )
    assert _process.stdin
    _process.stdin.write(json.dumps(request) + "\n")
    _process.stdin.flush()
    return _process


@lru_cache(1)
def _trace(hidden: int) -> "ExportedProgram":
    """Return the program of a network, which does not depend on its weights."""
    import torch

    from pipeline.model.network import Network

    network = Network(hidden=hidden, generator=torch.Generator())
    module = torch.nn.Sequential(network, torch.nn.Softmax(dim=1)).eval()
    example = torch.zeros(
        2, SIDE, SIDE
    )  # a program for one image would accept only one
    any_number = {0: torch.export.Dim.AUTO}
    return torch.export.export(module, (example,), dynamic_shapes=(any_number,))


def _export(network: str, exported: str, hidden: int) -> None:
    import torch
    from safetensors.torch import load_file

    program = _trace(hidden)
    for name, tensor in load_file(network).items():
        program.state_dict[f"0.{name}"].data.copy_(tensor)
    torch.export.save(program, exported)


def _serve() -> None:
    """Answer requests, and end when the process that sends them ends."""
    os.nice(10)  # on busy cores, training comes first
    for line in sys.stdin:
        request = json.loads(line)
        if "network" in request:
            _export(**request)
            print("done", flush=True)
        else:
            _trace(**request)


if __name__ == "__main__":
    _serve()
