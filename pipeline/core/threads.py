"""The settings of PyTorch while networks are trained.

The settings belong to the process, which may be a user's notebook, or to one of its
Python threads. Therefore, `one_thread` restores the previous settings. Processes that
belong to this project, such as commands and workers, also set
`base.process.ONE_THREAD`, which the libraries read when they are imported.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock, Thread
from typing import Any

import torch

_lock = Lock()
_blocks = 0  # open blocks, in all Python threads
_uses_onednn = True  # before the first block
_onednn: Any = torch.backends.mkldnn  # its type hints prevent assignments


@contextmanager
def one_thread() -> Iterator[None]:
    """Make PyTorch use one thread, which gives the same sums on any number of cores.

    Tensors are created on the CPU. Matrix products have the highest precision, because
    their precision affects the sums: autocast is disabled, and so is oneDNN, the
    library that computes products of a lower precision. Inference mode is disabled too,
    because autograd could not use tensors that are created in it.

    Blocks in several Python threads can overlap. Each Python thread has its own default
    device, autocast and inference mode, number of threads of PyTorch, and mode for
    denormal numbers, such as 1e-39. Each block restores them. oneDNN is disabled for
    the process, so the block that ends last restores it.
    """
    global _blocks, _uses_onednn
    with ExitStack() as stack:
        stack.enter_context(torch.autocast("cpu", enabled=False))
        stack.enter_context(torch.inference_mode(False))
        # With a default device, even the CPU, each call of PyTorch takes longer.
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        threads = torch.get_num_threads()
        flushes_denormal = not torch.tensor(1e-39, dtype=torch.float32).mul(1).item()
        with _lock:
            if _blocks == 0:
                _uses_onednn = _onednn.enabled
            _blocks += 1
        try:
            _onednn.enabled = False
            torch.set_flush_denormal(True)  # faster, with identical weights
            _set_threads(1)
            yield
        finally:
            torch.set_flush_denormal(flushes_denormal)
            with _lock:
                _blocks -= 1
                if _blocks == 0:
                    _onednn.enabled = _uses_onednn
            _set_threads(threads)


def _set_threads(number: int) -> None:
    """Set the number of threads of PyTorch for this Python thread only.

    `torch.set_num_threads` also sets the number with which other Python threads start
    to use PyTorch. Therefore, one new thread reads this number before the call, and
    another restores it afterward.
    """
    others: list[int] = []
    read = Thread(target=lambda: others.append(torch.get_num_threads()))
    restore = Thread(target=lambda: torch.set_num_threads(*others))
    with _lock:
        read.start()
        read.join()
        torch.set_num_threads(number)
        restore.start()
        restore.join()
