"""The settings of PyTorch while networks are trained.

The settings belong to the process, which may be a user's notebook, or to one of its
Python threads. Therefore, `one_thread` restores the previous settings. Processes that
belong to this project, such as commands and workers, also set
`base.process.ONE_THREAD`, which the libraries read when they are imported.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Thread

import torch

_lock = Lock()
_blocks = 0  # open blocks, in all Python threads
_precision = "highest"  # of matrix products, before the first block


@contextmanager
def one_thread() -> Iterator[None]:
    """Make PyTorch use one thread, which gives the same sums on any number of cores.

    Matrix products get the highest precision, because their precision affects the sums.

    Blocks in several Python threads can overlap. Each Python thread has its own number
    of threads of PyTorch, and its own mode for denormal numbers, such as 1e-39. Each
    block restores both. The precision belongs to the process, so the block that ends
    last restores it.
    """
    global _blocks, _precision
    threads = torch.get_num_threads()
    flushes_denormal = not torch.tensor(1e-39, dtype=torch.float32).mul(1).item()
    with _lock:
        if _blocks == 0:
            _precision = torch.get_float32_matmul_precision()
        _blocks += 1
    try:
        torch.set_float32_matmul_precision("highest")
        torch.set_flush_denormal(True)  # faster, with identical weights
        _set_threads(1)
        yield
    finally:
        torch.set_flush_denormal(flushes_denormal)
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                torch.set_float32_matmul_precision(_precision)
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
