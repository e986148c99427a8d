"""The command `ui`: serves MLflow's UI to this machine.

Runs in the main process.
"""

import socket
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pipeline import UserError
from pipeline.base.paths import displayed, store_dir
from pipeline.base.progress import busy
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.records.urls import experiment_variable
from pipeline.tracking import ui_server
from pipeline.tracking.runs import find_run
from pipeline.tracking.store import mlflow_internals, pages
from pipeline.tracking.store.client import StoreClient, open_store
from pipeline.tracking.store.location import artifact_root, database_path, sqlite_uri
from pipeline.tracking.store.mlflow_calls import using_mlflow
from pipeline.tracking.store.sqlite import require_store

PORT = 5000  # unless another program uses this port
# MLflow's message is above the list of runs, and looks like a warning.
SHARED_VIEW = """MLflow shows a message that this is a shared view. You can close the
message: it only means that changes to the columns are not saved."""


def ui(*, run: str | None, browser: bool) -> None:
    """Start the server, open the browser, and wait for Ctrl-C."""
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        with busy("starting MLflow's UI"):
            url = stack.enter_context(serve_ui(store_dir(), run=run))
        say(f"{url}\nPress Ctrl-C to stop.", flush=True)
        if mlflow_internals.VIEW_QUERY in url:
            say(wrap(SHARED_VIEW, indent=0), flush=True)
        if browser and not webbrowser.open(url):
            say("no browser was found: open this URL in a browser", flush=True)
        threading.Event().wait()


@contextmanager
def serve_ui(store: Path, *, run: str | None) -> Iterator[str]:
    """Serve MLflow's UI until the block ends.

    As soon as the server responds, the function yields the URL of a page: the page of
    `run`, which is an ID, a prefix of an ID, or a name. If `run` is None, the page is
    the list of the runs; see `newest_list`.

    Raises:
        UserError: If nothing has been recorded yet, if the run does not exist, if the
            database cannot be read, or if the server does not start.
    """
    require_store(store)
    with using_mlflow(store, "read"):
        client = open_store(store)
        if run is None:
            page = newest_list(client)
        else:
            run_id = find_run(run, store=store).run_id
            info = client.get_run(run_id).info
            page = pages.run_page(info.experiment_id, info.run_id)
    with _listen() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/{page}"
        database = sqlite_uri(database_path(store))
        with ui_server.serving(database, artifact_root(store), listener):
            yield url


def newest_list(client: StoreClient) -> str:
    """Return the URL of the list of the runs of one experiment.

    The experiment is MLFLOW_EXPERIMENT_NAME or, by default, the newest run's. The
    default of new runs, `RecordedConfig.recorded_in`, is not used here, because the
    newest run can be in an experiment that `experiment_name` has named.

    Raises:
        UserError: If there is no such experiment, or no run.
    """
    database = displayed(database_path(client.store))
    if name := experiment_variable():
        names = {each.name: each for each in client.search_experiments()}
        if name not in names:
            raise UserError(
                f"MLFLOW_EXPERIMENT_NAME must be an experiment of {database}, "
                f"got {name!r}: choose from {', '.join(names)}"
            )
        experiment = names[name]
    elif newest := client.newest_experiment():
        experiment = newest
    else:
        raise UserError(f"{database} has no runs: train a network first")
    return pages.list_page(experiment.experiment_id, experiment.tags)


def _listen() -> socket.socket:
    """Return a socket that listens on `PORT` or, if that is in use, on a free port."""
    try:
        return socket.create_server(("127.0.0.1", PORT))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))
