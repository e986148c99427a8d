"""The command `sync`: copies recorded runs to a server."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pipeline import UserError
from pipeline.call import say
from pipeline.paths import store_dir
from pipeline.terminal import wrap
from pipeline.tracking.database import RecordedRun, runs_to_copy
from pipeline.tracking.locks import store_lock
from pipeline.tracking.mirror_copy import Copied, CopiedRuns, copy_runs
from pipeline.tracking.mlflow_client import open_store
from pipeline.tracking.quiet import quiet
from pipeline.tracking.runs import MAX_LISTED, find_run
from pipeline.tracking.store import require_store
from pipeline.tracking.tracker import experiment_of

SKIPPED = {
    "running": "it is still running",
    "deleted": "its copy was deleted on the server; restore it there",
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
    client = open_store(store, experiment_of(None))
    with quiet():
        with store_lock(store):
            client.mark_killed_runs()
        done = copy_runs(CopiedRuns(client, server, has_limit=True), run_id)
    runs = [run for run in runs_to_copy(store, run_id) if run.run_id in done]
    say(f"copies on {server}")
    for experiment in sorted({run.experiment for run in runs}):
        own = [run for run in runs if run.experiment == experiment]
        say("\n".join(_report(experiment, own, done)))
    if run_id:
        copied = done[run_id]
        if not copied.url:
            raise UserError(f"run {run_id} was skipped: {SKIPPED[copied.state]}")
        say(f"copy   {copied.url}")
    return {run_id: copied.url for run_id, copied in done.items() if copied.url}


def _report(
    experiment: str, runs: Sequence[RecordedRun], done: Mapping[str, Copied]
) -> Iterator[str]:
    """Yield the number of runs of each kind, and why runs were skipped."""
    states = Counter(done[run.run_id].state for run in runs)
    skipped = [run for run in runs if done[run.run_id].state in SKIPPED]
    counts = {"copied": states["copied"], "already complete": states["complete"]}
    counts["skipped"] = len(skipped)
    numbers = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    yield f"{experiment}: {numbers}"
    for run in skipped[:MAX_LISTED]:
        reason = SKIPPED[done[run.run_id].state]
        yield wrap(f"{run.label}: {reason}", indent=4, start="  ")
    if len(skipped) > MAX_LISTED:
        yield f"  and {len(skipped) - MAX_LISTED:,} more"
