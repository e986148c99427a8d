"""Exports networks as torch.export programs, in a process alongside training.

The first export takes two seconds, which would delay the end of a training run. The
other process serves all training runs of this process, and exits with it.
"""

import io
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file
from torch import Tensor
from torch.export import ExportedProgram

from pipeline import UserError
from pipeline.base.error_messages import AGAIN
from pipeline.base.helper_process import HelperProcess
from pipeline.core import PIXELS, SIDE
from pipeline.core.network import Network, network_from

_lock = threading.Lock()
_exporter: HelperProcess | None = None


def start_exporter(hidden: int) -> None:
    """Make the other process import torch.export and trace a network; do not wait."""
    _running_exporter().submit(_start, hidden)


def export_network(path: Path, exported: Path, *, hidden: int) -> None:
    """Export a network from its safetensors file to a .pt2 file, without pickle.

    The program maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10).

    The other process imports the code of the network later than this process.
    Therefore, the results of the program are compared with the results of the network
    in this process.

    Raises:
        HelperKilled: If the other process is killed.
        UserError: If the results differ, because the code was edited in between.
    """
    paths = path.resolve(), exported.resolve()
    results = _running_exporter().submit(_export, *paths, hidden).result()
    expected = network_from(load_arrays(path))(_example()).softmax(dim=1)
    if not np.allclose(results, expected.detach(), atol=1e-5):
        exported.unlink()
        raise UserError(
            "the exported program and the network compute different probabilities, "
            f"because the code was edited while the command was running: {AGAIN}"
        )


def _running_exporter() -> HelperProcess:
    """Return the other process; start it if it is not running."""
    global _exporter
    with _lock:
        if _exporter is None or not _exporter.check_running():
            # The end of a training run waits for the process, so the process must not
            # starve on busy cores, but training has the higher priority. The process is
            # quiet, because libraries may print something.
            name = "the process that runs torch.export"
            _exporter = HelperProcess(name, niceness=5, quiet=True)
        return _exporter


def _example() -> Tensor:
    """Return pixels (2, 28, 28).

    A program that is traced with one image accepts only one image.
    """
    return torch.linspace(0, 1, 2 * PIXELS).view(2, SIDE, SIDE)


# The functions below run in the other process.


@lru_cache(1)
def _trace(hidden: int) -> ExportedProgram:
    """Return the program of a network, which does not depend on its weights."""
    network = Network(hidden=hidden, generator=torch.Generator())
    module = torch.nn.Sequential(network, torch.nn.Softmax(dim=1)).eval()
    any_number = {0: torch.export.Dim.AUTO}
    return torch.export.export(module, (_example(),), dynamic_shapes=(any_number,))


def _start(hidden: int) -> None:
    _trace(hidden)


def _export(path: Path, exported: Path, hidden: int) -> np.ndarray:
    """Export a network; return the results of the program for the example."""
    program = _trace(hidden)
    for name, tensor in load_file(path).items():
        program.state_dict[f"0.{name}"].data.copy_(tensor)
    content = io.BytesIO()  # PyTorch ends the process if the disk is full
    torch.export.save(program, content)
    exported.write_bytes(content.getvalue())
    results: Tensor = program.module()(_example())
    return results.detach().numpy()
