"""Exports networks as torch.export programs, in a process beside the training.

Importing torch.export takes two seconds, which this process would wait for at the end
of a training. The other process serves all trainings of this one, and ends with it.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline import SIDE, UserError
from pipeline.paths import search_path

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_lock = threading.Lock()
_process: "tuple[subprocess.Popen[str], IO[str]] | None" = None  # and its messages


def prepare_export(hidden: int) -> None:
    """Let the process import torch.export and trace a network; this does not wait."""
    with _request({"hidden": hidden}):
        pass


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
    with _request({"hidden": hidden, **paths}) as (process, messages):
        assert process.stdout
        if process.stdout.readline():
            return
        process.wait()
        messages.seek(0)
        (*_, error) = ["its process was killed", *messages.read().splitlines()]
        raise UserError(f"{network} could not be exported: {error}")


@contextmanager
def _request(
    request: dict[str, str | int],
) -> "Iterator[tuple[subprocess.Popen[str], IO[str]]]":
    """Send a request to the process, which is started if necessary.

    After an error or Ctrl-C, the process is killed: the next request would get the
    answer to this one.
    """
    global _process
    with _lock:
        if _process is None or _process[0].poll() is not None:
            _process = _start()
        process, _ = _process
        try:
            assert process.stdin
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            yield _process
        except BaseException:
            _process = None
            process.kill()
            process.wait()
            raise


def _start() -> "tuple[subprocess.Popen[str], IO[str]]":
    # Nobody reads the messages while the process works, so a pipe could become full.
    messages = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pipeline.model.export"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=messages,
        text=True,
        env=os.environ | {"PYTHONPATH": search_path(), "PYTHONWARNINGS": "ignore"},
        start_new_session=True,  # Ctrl-C is for this process
    )
    return process, messages


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
