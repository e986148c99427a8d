"""Addresses of the embedded store and of its files, as MLflow writes them.

This module does not import MLflow, which takes a second.
"""

from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

EXPERIMENT = "digits"


def sqlite_uri(database: Path) -> str:
    """Return the address of an SQLite file, with % and ? escaped.

    With a driver in the address, MLflow does not create a folder with %3F in its name.
    """
    quoted = str(database).replace("%", "%25").replace("?", "%3F")
    driver = "+pysqlite" if "%" in quoted else ""
    return f"sqlite{driver}:///{quoted}"


def path_from_uri(uri: str) -> Path:
    """Return the path of a `file:` address."""
    return Path(url2pathname(urlparse(uri).path))


def artifact_root(store: Path) -> str:
    """Return the address of the folder with the artifacts of all runs of a store."""
    return f"{(store / 'mlflow-artifacts').as_uri()}/{EXPERIMENT}"
