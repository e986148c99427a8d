"""Tracking that records nothing, for `tracking=none`.

It has the methods of `interface` and shares no code with the MLflow implementation.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class NullRun:
    """A run that accepts everything and keeps nothing."""

    id = None
    label = "the training"

    def _discard(self, *values: object, **options: object) -> None:
        """Do nothing."""

    log_metrics = log_image = log_text = log_files = log_table = _discard
    log_model = log_dataset = set_tags = describe = reconcile = children = _discard

    def child_tags(self) -> dict[str, str]:
        """Return no tags."""
        return {}

    def comparison_link(self) -> str:
        """Return an empty link."""
        return ""

    def viewing_hint(self) -> str:
        """Say that nothing was recorded."""
        return "run    not recorded (tracking=none)\n"


class NullTracker:
    """A tracker without a store."""

    @contextmanager
    def start_run(self, **options: object) -> Iterator[NullRun]:
        """Open a run that keeps nothing."""
        yield NullRun()

    reopen_run = start_run

    def finished_run(self, *, lease: str) -> None:
        """Return None, because no run is recorded."""

    def leases(self, prefix: str) -> list[str]:
        """Return no leases."""
        return []
