"""The code of `core`, the version of PyTorch and the processor of this process.

With the settings and the data, they determine the results of a training run. This
module imports PyTorch only in `processor`, so that workers start quickly.
"""

import functools
import hashlib
import importlib.metadata
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import UserError, core
from pipeline.base.source_code import ImportedCode

# Fields of /proc/cpuinfo: the first three on x86, the others on ARM.
CPU_FIELDS = ("cpu family", "model", "stepping", "CPU implementer", "CPU part")
MEASURED_IMAGES = 32  # the columns of the products that identify a processor
FOLDER = Path(core.__file__).parent
CORE = ImportedCode(FOLDER)


class OtherSoftware(UserError):
    """The results of a process could differ from those of the program it works for.

    The two differ in the code of `core` or in the version of PyTorch.
    """


@dataclass(frozen=True)
class Software:
    """What determines the results of a training run, besides its settings and data.

    The version of NumPy is not included, because the results depend only on exact or
    correctly rounded results of NumPy, such as sorting, subtraction and square roots.
    One exception, the quantile in `core.margin`, is rounded to four decimal places.
    """

    code: str  # the hash of the code of `core`
    torch: str  # the version of PyTorch

    @classmethod
    def here(cls) -> "Software":
        """Return the software of this process."""
        return cls(CORE.sha256, torch_version())

    def check(self, worker: str, *, remedy: str) -> None:
        """Compare the software of this process with `self`, the software of another.

        `worker` names this process in the message, as in "node 10.0.0.2".

        Raises:
            OtherSoftware: If the software of the two processes differs.
        """
        here = Software.here()
        if here.torch != self.torch:
            raise OtherSoftware(
                f"{worker} has PyTorch {here.torch}, "
                f"but this program uses {self.torch}: {remedy}"
            )
        if here != self:
            raise OtherSoftware(
                f"{worker} has different code in {FOLDER} from this program: {remedy}"
            )


def check_code() -> None:
    """Check that the code of `core` has not changed since this process imported it.

    Raises:
        OtherSoftware: If a module was edited in between.
    """
    if CORE.was_edited():
        raise OtherSoftware(
            f"the code in {FOLDER} changed while this program was running: "
            "start it again"
        )


@functools.cache  # each call would parse the metadata of PyTorch
def torch_version() -> str:
    """Return the version of PyTorch with its local part, such as +cpu."""
    return importlib.metadata.version("torch")


@functools.cache
def processor() -> str:
    """Return the processor, the instructions of PyTorch, and a hash of its products.

    The last bits of the weights depend on all three. The name alone does not
    distinguish the processors of virtual machines. On ARM, Linux gives only numbers,
    and no name. The hash covers only matrix products with the shapes of training.
    Processors with equal texts could therefore still differ in other operations.
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
    return ", ".join([name, *details, f"products {_products_sha256()[:8]}"])


def _products_sha256() -> str:
    """Return a hash of matrix products, computed with the shapes of training steps.

    For matrix products, a library chooses instructions by the processor, the shapes and
    environment variables such as MKL_ENABLE_INSTRUCTIONS and MKL_CBWR. Therefore,
    the choice is measured. Networks with one neuron compute products of vectors.
    """
    import torch

    from pipeline.core.threads import one_thread

    generator = torch.Generator().manual_seed(0)
    draw = functools.partial(torch.rand, generator=generator, dtype=torch.float32)
    sha256 = hashlib.sha256()
    with one_thread():
        for hidden in (1, 20, 100):
            for neurons, inputs in ((hidden, core.PIXELS), (core.CLASSES, hidden)):
                weights, batch = draw(neurons, inputs), draw(inputs, MEASURED_IMAGES)
                slopes = draw(neurons, MEASURED_IMAGES)
                for product in (weights @ batch, weights.T @ slopes, slopes @ batch.T):
                    sha256.update(product.numpy().tobytes())
    return sha256.hexdigest()
