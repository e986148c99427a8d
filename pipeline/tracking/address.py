"""The address of the MLflow server that gets copies of the runs."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.paths import store_dir


def server_address(value: str | None) -> str | None:
    """Check the address of a server; the default is MLFLOW_TRACKING_URI.

    This variable may also be the address of the project's own store, as for MLflow.

    Raises:
        ValueError: If it is another address, or contains a password.
    """
    source = ""
    if value is None:
        value = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not value or _is_store(value):
            return None
        source = "MLFLOW_TRACKING_URI "  # without its value: it may have a password
    try:
        parts = urlsplit(value)
    except ValueError:  # brackets without an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        rule = "must be an address such as http://127.0.0.1:5000"
        if source:
            store = f"sqlite:///{store_dir()}/mlflow.db"
            rule = f"{rule} or that of the project's store, {store}"
        raise ValueError(source + rule)
    if parts.username is not None:
        raise ValueError(
            f"{source}must not contain a password, because runs record the address: "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    return value


def _is_store(address: str) -> bool:
    path = re.sub(r"^sqlite(\+pysqlite)?:///", "", address)
    return Path(unquote(path)).absolute() == store_dir() / "mlflow.db"
