"""A server of MLflow as a process."""

import contextlib
import os
import socket
import subprocess
import sys
import time


class Server:
    """A real MLflow server on the loopback interface, as a process that can be killed.

    `mlflow server` would import MLflow only to start the same process.
    """

    def __init__(self, folder, store=None):
        from mlflow.server import constants

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        store = store or f"sqlite:///{folder / 'server.db'}"
        self.command = [
            *(sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app"),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            # By default, the server closes a connection that is idle for 5 s, possibly
            # while a process on a busy machine sends its next request.
            *("--timeout-keep-alive", "600"),
        ]
        self.settings = {
            constants.BACKEND_STORE_URI_ENV_VAR: store,
            constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
            constants.ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
            constants.SERVE_ARTIFACTS_ENV_VAR: "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        self.start()

    def start(self):
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                self.command,
                env=os.environ | self.settings,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(1200):
            assert self.process.poll() is None, "the server ended"
            if self.answers("/health") == 200:
                return
            time.sleep(0.1)
        raise AssertionError("the server never answered")

    def answers(self, path):
        """Return the HTTP status of the response; None if there is none."""
        import requests

        with contextlib.suppress(requests.RequestException):
            return requests.get(self.url + path, timeout=30).status_code

    def kill(self):
        self.process.kill()
        self.process.wait()
