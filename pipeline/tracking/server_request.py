"""Asks a server for the tags of a run, to explain why the store lacks the run.

Runs in the main process.

This module does not use MLflow's client. The import would take a second, and the client
would wait up to 20 minutes for a server that never responds, unless variables of the
whole process are changed.
"""

import json
import os
import re
from base64 import b64encode
from http.client import HTTPException
from urllib.request import Request, urlopen

from pipeline.base.urls import is_server

SERVER_SECONDS = 3  # maximum wait for a server


def tags_on(server: str, run_id: str) -> dict[str, str] | None:
    """Return the tags of the run with this id on a server; None without such a run."""
    if not re.fullmatch("[0-9a-f]{32}", run_id) or not is_server(server):
        return None
    url = f"{server.rstrip('/')}/api/2.0/mlflow/runs/get?run_id={run_id}"
    try:
        request = Request(url, headers=_credentials())
        with urlopen(request, timeout=SERVER_SECONDS) as response:
            tags = json.load(response)["run"]["data"].get("tags", ())
    # The URL may be invalid, or belong to a different kind of server.
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None
    return {tag["key"]: tag["value"] for tag in tags}


def _credentials() -> dict[str, str]:
    """Return the header with the user's token or password, which MLflow sends too."""
    keys = "USERNAME", "PASSWORD", "TOKEN"
    name, password, token = (os.environ.get(f"MLFLOW_TRACKING_{x}", "") for x in keys)
    if name and password:
        encoded = b64encode(f"{name}:{password}".encode()).decode()
        return {"Authorization": f"Basic {encoded}"}
    return {"Authorization": f"Bearer {token}"} if token else {}
