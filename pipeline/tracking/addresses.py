"""Addresses of the embedded store and of the files in it, as MLflow writes them.

This module does not import MLflow, so that processes can import it at no cost.
"""

import shlex
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

EXPERIMENT = "digits"


def sqlite_uri(database: Path) -> str:
    """Return the address of an SQLite file, in which % and ? are escaped.

    With a driver in the address, MLflow does not create a folder with %3F in its name.
    """
    quoted = str(database).replace("%", "%25").replace("?", "%3F")
    driver = "+pysqlite" if "%" in quoted else ""
    return f"sqlite{driver}:///{quoted}"


def path_from_uri(uri: str) -> Path:
    """Return the path of a `file:` address of the embedded store."""
    return Path(url2pathname(urlparse(uri).path))


def artifact_root(store: Path) -> str:
    """Return the address of the folder with the artifacts of all runs of a store."""
    return f"{(store / 'mlflow-artifacts').as_uri()}/{EXPERIMENT}"


def ui_command(store: Path) -> str:
    """Return the shell command that starts MLflow's UI on a store."""
    uri = shlex.quote(sqlite_uri(store / "mlflow.db"))
    return (
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 "
        f"--backend-store-uri {uri}"
    )
