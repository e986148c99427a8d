"""The settings of PyTorch while networks are trained.

The settings belong to the process, which may be a user's notebook, or to one of its
Python threads. Therefore, `one_thread` restores the previous settings. Processes that
belong to this project, such as commands and workers, also set
`base.process.ONE_THREAD`, which the libraries read when they are imported.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
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
        torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # 10% faster, with identical weights
    try:
        yield
    finally:
        torch.set_flush_denormal(flushes_denormal)
        torch.set_num_threads(threads)
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                torch.set_float32_matmul_precision(_precision)
