"""The command `sync`: copies recorded runs to a server.

Runs in the main process.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import closing
from pathlib import Path

from pipeline import PartlyFailed, UserError
from pipeline.base.helper_process import HelperProcess
from pipeline.base.paths import store_dir
from pipeline.base.progress import progress
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.tracking.copies.copier import (
    COPYING_PROCESS,
    CopyStatus,
    copy_run,
    describe_failed,
    mark_killed_runs,
    runs_in_order,
)
from pipeline.tracking.runs import MAX_LISTED_RUNS, find_run
from pipeline.tracking.store.database import RecordedRun, runs_to_copy
from pipeline.tracking.store.locks import store_lock, wait_for_copies
from pipeline.tracking.store.mlflow_calls import import_mlflow
from pipeline.tracking.store.sqlite import require_store

RUN_SECONDS = 120  # the limit for a run, which has up to 10 MB


def sync(server: str, *, run: str | None) -> dict[str, str]:
    """Copy runs that are missing on a server, and print the results.

    Returns:
        A dictionary that maps the ID of each run to the URL of its copy.

    Raises:
        PartlyFailed: If the server rejected some runs. All other runs are copied first,
            and `error.result` has the URLs of their copies.
        UserError: If nothing has been recorded yet, if the run `run` does not exist or
            was not copied, or if the server does not respond.
    """
    store = store_dir()
    require_store(store)
    run_id = find_run(run, store=store, server=server).run_id if run else None
    with closing(HelperProcess(COPYING_PROCESS, quiet=True)) as helper:
        helper.submit(import_mlflow).result()
        with store_lock(store):
            helper.submit(mark_killed_runs, store).result()
        shown = progress(f"copying runs to {server}")
        done = {
            recorded.run_id: status
            for recorded in shown(runs_in_order(store, run_id))
            if (status := _copy_run(helper, store, server, recorded))
        }
    runs = [each for each in runs_to_copy(store, run_id) if each.run_id in done]
    say(f"copies on {server}")
    for experiment in sorted({each.experiment for each in runs}):
        own = [each for each in runs if each.experiment == experiment]
        say("\n".join(_report(experiment, own, done)))
    urls = {key: status.url for key, status in done.items() if status.url}
    if failed := describe_failed(done, server):
        raise PartlyFailed(failed, urls)
    if run_id:
        if run_id not in done:
            raise UserError(f"run {run_id} was deleted")
        if run_id not in urls:
            raise UserError(f"run {run_id} was skipped: {done[run_id].reason}")
        say(f"copy   {urls[run_id]}")
    return urls


def _copy_run(
    helper: HelperProcess, store: Path, server: str, recorded: RecordedRun
) -> CopyStatus | None:
    """Copy a run in the helper process.

    Raises:
        UserError: If the server does not respond or is too slow.
    """
    # The helper process, which can outlive this process, must hold the lock itself. It
    # prints nothing, and stops waiting after a while. Therefore, this process waits.
    wait_for_copies(store)
    call = helper.submit(copy_run, store, server, recorded, seconds=RUN_SECONDS / 2)
    wait([call], RUN_SECONDS)
    if not call.done():
        raise UserError(f"the server did not respond within {RUN_SECONDS} s")
    return call.result()


def _report(
    experiment: str, runs: Sequence[RecordedRun], done: Mapping[str, CopyStatus]
) -> Iterator[str]:
    """Yield the number of runs of each kind, and why runs have no complete copy."""
    states = Counter(done[each.run_id].state for each in runs)
    without = [each for each in runs if not done[each.run_id].url]
    counts = {
        "copied": states["copied"],
        "already complete": states["complete"],
        "skipped": states["running"] + states["deleted"],
        "failed": states["failed"],
    }
    numbers = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    yield f"{experiment}: {numbers}"
    for recorded in without[:MAX_LISTED_RUNS]:
        text = f"{recorded.label}: {done[recorded.run_id].reason}"
        yield wrap(text, indent=4, start="  ")
    if len(without) > MAX_LISTED_RUNS:
        yield f"  and {len(without) - MAX_LISTED_RUNS:,} more"
