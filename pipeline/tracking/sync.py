"""The command `sync`: copies recorded runs to a server."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import closing
from functools import partial
from pathlib import Path

from pipeline import UserError
from pipeline.base.paths import store_dir
from pipeline.base.printing import say
from pipeline.base.terminal import wrap
from pipeline.execution.helper_process import HelperProcess
from pipeline.tracking.copies.order import CopyStatus, copy_in_order
from pipeline.tracking.copies.process import (
    COPIER,
    copy_run,
    import_mlflow,
    mark_killed_runs,
)
from pipeline.tracking.runs import MAX_LISTED, find_run
from pipeline.tracking.store.database import RecordedRun, runs_to_copy
from pipeline.tracking.store.locks import server_lock, store_lock
from pipeline.tracking.store.sqlite import require_store

RUN_SECONDS = 120  # the limit for a run, which has up to 10 MB
SKIPPED = {
    "running": "it is still running",
    "deleted": "its copy was deleted on the server, where you can restore it",
}


def sync(server: str, *, run: str | None) -> dict[str, str]:
    """Copy runs that are missing on a server, and print what was done with each.

    Returns:
        The URL of each copy by the id of the original.

    Raises:
        UserError: If nothing has been recorded yet, there is no such run, it was not
            copied, or the server does not accept the copies.
    """
    store = store_dir()
    require_store(store)
    run_id = find_run(run, store=store, server=server).run_id if run else None
    with closing(HelperProcess(COPIER, quiet=True)) as helper:
        helper.submit(import_mlflow).result()
        with store_lock(store):
            helper.submit(mark_killed_runs, store).result()
        copy = partial(_copy_run, helper, store, server)
        done = copy_in_order(store, server, run_id, copy)
    runs = [each for each in runs_to_copy(store, run_id) if each.run_id in done]
    say(f"copies on {server}")
    for experiment in sorted({each.experiment for each in runs}):
        own = [each for each in runs if each.experiment == experiment]
        say("\n".join(_report(experiment, own, done)))
    if run_id:
        copied = done.get(run_id)
        if copied is None:
            raise UserError(f"run {run_id} was deleted")
        if not copied.url:
            raise UserError(f"run {run_id} was skipped: {SKIPPED[copied.state]}")
        say(f"copy   {copied.url}")
    return {run_id: copied.url for run_id, copied in done.items() if copied.url}


def _copy_run(
    helper: HelperProcess, store: Path, server: str, recorded: RecordedRun
) -> CopyStatus | None:
    """Copy a run in the helper process.

    Raises:
        UserError: If the server does not respond or is too slow.
    """
    with server_lock(store):
        pass  # waits without a limit, and says so; `copy_run` gets the lock then
    call = helper.submit(copy_run, store, server, recorded, seconds=RUN_SECONDS / 2)
    wait([call], RUN_SECONDS)
    if not call.done():
        raise UserError(f"the server did not respond within {RUN_SECONDS} s")
    return call.result()


def _report(
    experiment: str, runs: Sequence[RecordedRun], done: Mapping[str, CopyStatus]
) -> Iterator[str]:
    """Yield the number of runs of each kind, and why runs were skipped."""
    states = Counter(done[each.run_id].state for each in runs)
    skipped = [each for each in runs if done[each.run_id].state in SKIPPED]
    counts = {"copied": states["copied"], "already complete": states["complete"]}
    counts["skipped"] = len(skipped)
    numbers = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    yield f"{experiment}: {numbers}"
    for recorded in skipped[:MAX_LISTED]:
        reason = SKIPPED[done[recorded.run_id].state]
        yield wrap(f"{recorded.label}: {reason}", indent=4, start="  ")
    if len(skipped) > MAX_LISTED:
        yield f"  and {len(skipped) - MAX_LISTED:,} more"
