"""The clock of everything that is recorded."""

from time import time_ns


def now() -> int:
    """Return the time in milliseconds since 1970, as MLflow stores it."""
    return time_ns() // 1_000_000
