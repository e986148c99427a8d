"""MLflow's server in a thread, which depends on internals of MLflow.

Runs in the main process.

`tests/stages/test_ui.py` fails if a new release of MLflow changes these internals.
`mlflow_internals` contains the code that depends on other internals.
"""

import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn
from mlflow.utils import logging_utils
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import HTMLResponse

from pipeline import UserError

# Key in the browser's storage: whether the UI has opened the chat panel before.
ASSISTANT_KEY = "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"
# Key in the browser's storage: the mode of the UI. Without this entry, the mode is
# generative AI, even after a click on a run in a page whose URL has the mode.
WORKFLOW_KEY = "mlflow.workflowType_v1"


async def _for_training(request: Any, call_next: Any) -> Any:  # noqa: ANN401
    """Serve the UI's page in *Model training*, without the chat panel.

    At the first visit, MLflow would open the panel, which takes a quarter of a laptop's
    screen. The button of the panel remains, and so does a mode that the user selected.
    """
    response = await call_next(request)
    if request.url.path != "/" or response.status_code != 200:
        return response
    page = b"".join([part async for part in response.body_iterator])
    script = (
        f"localStorage.setItem('{ASSISTANT_KEY}', 'true');"
        f"localStorage['{WORKFLOW_KEY}'] ??= '\"machine_learning\"'"
    )
    page = page.replace(b"<head>", f"<head><script>{script}</script>".encode(), 1)
    del response.headers["content-length"]
    # All other headers are kept. They protect the page, for example from being framed.
    return HTMLResponse(page, headers=response.headers)


@contextmanager
def serving(uri: str, artifacts: str, listener: socket.socket) -> Iterator[None]:
    """Run MLflow's server in a thread until the block ends; wait until it responds.

    `mlflow ui` would start two more processes. This would take twice as long, and the
    two processes would remain if this process is killed. `uri` locates the database,
    and `artifacts` locates the artifacts of new experiments.

    Raises:
        UserError: If the server does not start.
    """
    from mlflow import server

    settings = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        server.BACKEND_STORE_URI_ENV_VAR: uri,
        server.ARTIFACT_ROOT_ENV_VAR: artifacts,
        server.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    with _environment(settings), _without_logging(), _running(listener):
        yield


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a block, and restore them when the block ends."""
    earlier = {name: os.environ[name] for name in settings if name in os.environ}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in settings:
            del os.environ[name]
        os.environ.update(earlier)


@contextmanager
def _without_logging() -> Iterator[None]:
    """Disable MLflow's log messages, in all threads, until the block ends."""
    logging_utils.disable_logging()
    try:
        yield
    finally:
        logging_utils.enable_logging()


@contextmanager
def _running(listener: socket.socket) -> Iterator[None]:
    """Run the server, which reads its settings from the environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's imports cause warnings
        from mlflow.server.fastapi_app import app
    app = BaseHTTPMiddleware(app, dispatch=_for_training)

    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    instance = uvicorn.Server(config)
    run = threading.Thread(target=instance.run, args=[[listener]], daemon=True)
    run.start()
    try:
        while run.is_alive() and not instance.started:
            time.sleep(0.02)
        if not instance.started:
            raise UserError("MLflow's server did not start")
        yield
    finally:
        instance.should_exit = True
        run.join()
