"""The setting `server`, whose default is MLFLOW_TRACKING_URI, and MLflow's variables.

MLFLOW_TRACKING_URI can be the URL of a server or of a store. No function here opens a
connection.
"""

import os
import re
from urllib.parse import urlsplit

from pipeline.base.text import printable


class WholeMessage(ValueError):
    """A message that must not show the value, because it may contain a password."""


def is_server(uri: str) -> bool:
    """Return whether a URI belongs to a server, and not to a store."""
    return bool(re.match("https?://", uri, re.IGNORECASE))


def tracking_uri() -> str:
    """Return the value of MLFLOW_TRACKING_URI; "" if it is not set."""
    return os.environ.get("MLFLOW_TRACKING_URI", "")


def experiment_variable() -> str | None:
    """Return MLFLOW_EXPERIMENT_NAME; None if it is not set.

    Control characters are replaced, as in the setting `experiment_name`.
    """
    return printable(os.environ.get("MLFLOW_EXPERIMENT_NAME", "")) or None


def server_url(value: str | None) -> str | None:
    """Return the URL of a server, by default the URL in MLFLOW_TRACKING_URI.

    The default is None if the variable is not set or is the URL of a store.

    Raises:
        ValueError: If the URL is invalid, or contains a password.
    """
    if value is not None:
        return _checked(value)
    value = tracking_uri()
    if is_server(value):
        return _checked(value, variable="MLFLOW_TRACKING_URI")
    return None


def _checked(value: str, *, variable: str = "") -> str:
    """Return the URL of a server, from the setting `server` or from a variable."""
    name = variable or "server"
    try:
        parts = urlsplit(value)
        is_one_word = value.isprintable() and " " not in value
        valid = is_one_word and is_server(value) and parts.hostname and parts.port != 0
    except ValueError:  # brackets without an IPv6 address, or an invalid port
        valid = False
    if not valid:
        rule = "must be a URL such as http://127.0.0.1:5000"
        if variable or "@" in value:
            raise WholeMessage(f"{name} {rule}")
        raise ValueError(rule)
    if parts.username is not None:
        raise WholeMessage(
            f"{name} must not contain a password, because runs record the URL: "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    return value
