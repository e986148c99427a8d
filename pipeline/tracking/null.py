"""Runs with tracking=none, which accept all data and record nothing."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pipeline.tracking.interface import Run, RunStart


def _discard(run: Run, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
    pass


class NullRun(Run):
    """A run that records nothing, and is its own child."""

    run_id = None
    label = "the training run"
    artifacts = None
    submit = log_points = log_image = log_text = log_files = log_model = _discard
    log_dataset = set_tags = describe = add_links = add_results = _discard
    fail_child = delete_unfinished_children = close = _discard

    def viewing_hint(self) -> str:
        return "run    not recorded (tracking=none)\n"

    def link(self, text: str, page: str) -> str:
        return text

    def child(
        self, start: RunStart, *, end: int | None = None
    ) -> AbstractContextManager[Run]:
        return nullcontext(self)

    def reopen_child(self, run_id: str) -> Run:
        return self

    def compare_children(self, params: object) -> dict[str, str]:
        return {}
