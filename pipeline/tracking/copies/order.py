"""Copies runs to a server one by one, and reports the result for each run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.base.console import progress
from pipeline.base.tags import PARENT_TAG, REUSED_TAG
from pipeline.tracking.store.database import RecordedRun, runs_to_copy


class CopyStatus(NamedTuple):
    """The result of copying a run."""

    state: Literal["copied", "complete", "running", "deleted", "failed"]
    url: str = ""  # the URL of the copy, if the copy is complete
    reason: str = ""  # why there is no complete copy


RUNNING = CopyStatus("running", reason="it is still running")
DELETED = CopyStatus(
    "deleted", reason="its copy was deleted on the server, where you can restore it"
)


def copy_in_order(
    store: Path,
    server: str,
    run_id: str | None,
    copy: Callable[[RecordedRun], CopyStatus | None],
) -> dict[str, CopyStatus]:
    """Copy a run and its children, or all runs, to a server.

    `copy` copies a run and returns None if the run was deleted.

    Returns:
        The status of each run that was not deleted, by the id; `run_id` is last.
    """
    runs = runs_to_copy(store, run_id)
    # Parents are last, because a description links to the copies of children. A run
    # that reuses another run comes after it, because a tag refers to the copy of the
    # reused run. Both runs can have the same start.
    parents = {recorded.tags.get(PARENT_TAG) for recorded in runs}
    runs.sort(key=lambda x: (x.run_id in parents, x.start, REUSED_TAG in x.tags))
    return {
        recorded.run_id: copied
        for recorded in progress(f"copying runs to {server}")(runs)
        if (copied := copy(recorded))
    }


def describe_failed(done: Mapping[str, CopyStatus], server: str) -> str:
    """Return how many runs the server rejected, and the first reason; "" if none."""
    failed = [key for key, each in done.items() if each.state == "failed"]
    if not failed:
        return ""
    count = f"{len(failed)} of {len(done)} runs were not copied"
    return f"{count} to {server}; the first: run {failed[0]}: {done[failed[0]].reason}"
