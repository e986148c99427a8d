"""Serves MLflow's UI to this machine.

MLflow is imported inside these functions, because it takes a second.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.tracking.backend import open_existing_store
from pipeline.tracking.interface import database_path, sqlite_uri
from pipeline.tracking.quiet import quiet

PORT = 5000  # unless another program uses it


@contextmanager
def serve_ui(folder: Path, *, run: str | None) -> Iterator[str]:
    """Serve MLflow's UI until the block ends.

    Yields the address of a page as soon as the server answers. It is the page of `run`,
    which is an id, the start of an id, or a name; or, if `run` is None, the list of the
    runs in `Store.displayed_experiment`.

    Raises:
        UserError: If nothing has been recorded yet, or there is no such run.
        OSError: If the database cannot be read, or the server does not start.
    """
    store = open_existing_store(folder)
    from pipeline.tracking import mlflow_internals, pages
    from pipeline.tracking.store import artifact_root

    if run is None:
        experiment = store.displayed_experiment()
        page = pages.list_page(experiment.experiment_id, experiment.tags)
    else:
        info = store.client.get_run(store.find(run).run_id).info
        page = pages.run_page(info.experiment_id, info.run_id)
    with quiet(), _listen() as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/{page}"
        database = sqlite_uri(database_path(folder))
        with mlflow_internals.serving(database, artifact_root(folder), listener):
            yield address


def _listen() -> socket.socket:
    """Return a socket that listens on `PORT` or, if it is taken, on a free one."""
    try:
        return socket.create_server(("127.0.0.1", PORT))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))
