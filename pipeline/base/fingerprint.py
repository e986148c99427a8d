"""The fingerprint of a training run: a hash of what determines its results.

The results are the weights, the metrics, and the margin below which a prediction is
unsure. On the same type of processor, equal fingerprints mean byte-identical weights.
This module imports PyTorch only in `processor`, so that workers start quickly.
"""

import functools
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from pipeline import UserError, core
from pipeline.base.files import json_sha256
from pipeline.base.source_code import code_sha256
from pipeline.core.hyperparameters import Hyperparameters

# Fields of /proc/cpuinfo: the first three on x86, the others on ARM.
CPU_FIELDS = ("cpu family", "model", "stepping", "CPU implementer", "CPU part")
FOLDER = Path(core.__file__).parent


class OtherSoftware(UserError):
    """A process could compute other results than the program that it works for.

    The two differ in the code of `core` or in the version of PyTorch.
    """


@dataclass(frozen=True)
class Software:
    """What determines the results of a training run, besides its settings and data.

    The version of NumPy is not included, because the results depend only on exact or
    correctly rounded results of NumPy, such as sorting, subtraction and square roots.
    One exception, the quantile in `core.margin`, is rounded to four decimals.
    """

    code: str  # the hash of the code of `core`; see `code_hashes`
    torch: str  # the version of PyTorch

    @classmethod
    def here(cls) -> "Software":
        """Return the software of this process."""
        return cls(json_sha256(code_hashes()), torch_version())

    def check(self, worker: str, *, remedy: str) -> None:
        """Compare the software of this process with `self`, that of another process.

        `worker` names this process in the message, as in "node 10.0.0.2".

        Raises:
            OtherSoftware: If the software of the two processes differs.
        """
        here = Software.here()
        if here.torch != self.torch:
            rule = f"has PyTorch {here.torch}, but this program uses {self.torch}"
            raise OtherSoftware(f"{worker} {rule}: {remedy}")
        if here != self:
            rule = f"has different code in {FOLDER} from this program"
            raise OtherSoftware(f"{worker} {rule}: {remedy}")


def fingerprint(hyperparameters: Hyperparameters, data_sha256: str) -> str:
    """Return the fingerprint of a training run, 32 hexadecimal digits.

    The fingerprint depends on the hyperparameters, the sha256 of the data file and the
    `Software` of this process. It does not depend on the name of the data set.
    """
    software = astuple(Software.here())
    content = [hyperparameters.model_dump(), data_sha256, *software]
    return json_sha256(content)[:32]


@functools.cache
def code_hashes() -> dict[str, str]:
    """Return the sha256 of the code of each module of `core`, by file name.

    `source_code` says which parts of the code do not count. A call takes 30 ms.
    """
    return _hash_modules(_imported())


def check_code() -> None:
    """Check that the code has not changed since this process imported it.

    Raises:
        OtherSoftware: If a module was edited in between.
    """
    modules = _read_modules()
    if modules != _imported() and _hash_modules(modules) != code_hashes():
        rule = f"the code in {FOLDER} changed while this program was running"
        raise OtherSoftware(f"{rule}: start it again")


@functools.cache
def _imported() -> dict[str, bytes]:
    return _read_modules()


def _read_modules() -> dict[str, bytes]:
    # Editors create hidden files.
    return {path.name: path.read_bytes() for path in sorted(FOLDER.glob("[!.]*.py"))}


def _hash_modules(modules: Mapping[str, bytes]) -> dict[str, str]:
    return {name: code_sha256(source) for name, source in modules.items()}


@functools.cache  # each call would parse the metadata of PyTorch, in 1 ms
def torch_version() -> str:
    """Return the version of PyTorch with its local part, such as +cpu."""
    return importlib.metadata.version("torch")


@functools.cache
def processor() -> str:
    """Return the processor, and the instructions that PyTorch uses.

    The last bits of the weights depend on both. The name alone does not distinguish the
    processors of virtual machines. On ARM, Linux gives only numbers, and no name.
    """
    import torch  # takes a second

    fields: dict[str, str] = {}
    with suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or platform.processor() or platform.machine()
    details = [f"{key} {fields[key]}" for key in CPU_FIELDS if key in fields]
    details.append(torch.backends.cpu.get_cpu_capability())
    if products := os.environ.get("MKL_CBWR"):  # the variant of matrix products
        details.append(f"MKL_CBWR={products}")
    return ", ".join([name, *details])


_imported()  # now, because a process does not see later edits of its modules
