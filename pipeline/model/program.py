"""Exports networks as torch.export programs, in a process alongside training.

Importing torch.export takes two seconds, which this process would wait for at the end
of a training run. The other process serves all training runs of this one.
"""

import io
import threading
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.export import ExportedProgram

from pipeline.core import SIDE
from pipeline.core.network import Network
from pipeline.execution.helper_process import HelperProcess

_lock = threading.Lock()
_exporter: HelperProcess | None = None


def prepare_export(hidden: int) -> None:
    """Let the process import torch.export and trace a network; this does not wait."""
    _running_exporter().submit(_prepare, hidden)


def export_network(network: Path, exported: Path, *, hidden: int) -> None:
    """Export a network from its safetensors file to a .pt2 file, without pickle.

    The program maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10).

    Raises:
        HelperKilled: If the process is killed.
    """
    exporter = _running_exporter()
    exporter.submit(_export, network.resolve(), exported.resolve(), hidden).result()


def _running_exporter() -> HelperProcess:
    """Return the process; start it if it does not run."""
    global _exporter
    with _lock:
        if _exporter is None or not _exporter.check_running():
            # The end of a training run waits for the process, so it must not starve on
            # busy cores. Libraries may print something.
            name = "the process that runs torch.export"
            _exporter = HelperProcess(name, niceness=2, quiet=True)
        return _exporter


# The functions below run in the other process.


@lru_cache(1)
def _trace(hidden: int) -> ExportedProgram:
    """Return the program of a network, which does not depend on its weights."""
    network = Network(hidden=hidden, generator=torch.Generator())
    module = torch.nn.Sequential(network, torch.nn.Softmax(dim=1)).eval()
    # A program that is traced with one image would accept only one.
    example = torch.zeros(2, SIDE, SIDE)
    any_number = {0: torch.export.Dim.AUTO}
    return torch.export.export(module, (example,), dynamic_shapes=(any_number,))


def _prepare(hidden: int) -> None:
    _trace(hidden)


def _export(network: Path, exported: Path, hidden: int) -> None:
    program = _trace(hidden)
    for name, tensor in load_file(network).items():
        program.state_dict[f"0.{name}"].data.copy_(tensor)
    content = io.BytesIO()  # PyTorch ends the process if the disk is full
    torch.export.save(program, content)
    exported.write_bytes(content.getvalue())
