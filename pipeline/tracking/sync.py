"""The command `sync`: copies recorded runs to a server."""

from pipeline import UserError
from pipeline.call import say
from pipeline.paths import store_dir
from pipeline.tracking.locks import store_lock
from pipeline.tracking.mirror_copy import CopiedRuns, copy_runs
from pipeline.tracking.mlflow_client import open_store
from pipeline.tracking.quiet import quiet
from pipeline.tracking.runs import find_run
from pipeline.tracking.store import require_store
from pipeline.tracking.tracker import experiment_of


def sync(server: str, *, run: str | None) -> dict[str, str]:
    """Copy the missing runs, print the URL of the copy or their number, and return all.

    Raises:
        UserError: If nothing has been recorded yet, there is no such run, or the server
            does not accept the copy.
    """
    store = store_dir()
    require_store(store)
    run_id = find_run(run, store=store).run_id if run else None
    client = open_store(store, experiment_of(None))
    with quiet():
        with store_lock(store):
            client.mark_killed_runs()
        copies = CopiedRuns(client, server, has_limit=True)
        urls = copy_runs(copies, run_id)
    if run_id is None:
        say(f"runs on {server}, identical to the local ones: {len(urls)}")
    elif run_id in urls:
        say(f"copy   {urls[run_id]}")
    else:
        raise UserError(f"run {run_id} is still running, or its copy was deleted")
    return urls
