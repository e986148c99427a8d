"""Where a store is: its database mlflow.db, and its artifacts in mlflow-artifacts/."""

import re
import shlex
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from pipeline.records.urls import is_server, tracking_uri


def database_path(store: Path) -> Path:
    """Return the path of the database of the store in a folder."""
    return store / "mlflow.db"


def artifact_root(store: Path) -> str:
    """Return the URI of the folder with the artifacts of all experiments."""
    return (store / "mlflow-artifacts").as_uri()


def path_from_uri(uri: str) -> Path:
    """Return the path of a `file:` URI."""
    return Path(url2pathname(urlparse(uri).path))


def sqlite_uri(database: Path) -> str:
    """Return the URI of an SQLite file, with % and ? escaped.

    A driver in the URI keeps MLflow from creating a folder with %3F in its name.
    """
    quoted = str(database).replace("%", "%25").replace("?", "%3F")
    driver = "+pysqlite" if "%" in quoted else ""
    return f"sqlite{driver}:///{quoted}"


def mlflow_command(store: Path, arguments: str) -> str:
    """Return a shell command that runs MLflow on the store."""
    uri = shlex.quote(sqlite_uri(database_path(store)))
    return f"MLFLOW_TRACKING_URI={uri} mlflow {arguments}"


def names_another_store(store: Path) -> bool:
    """Return whether MLFLOW_TRACKING_URI is the URL of a store in another folder."""
    value = tracking_uri()
    if not value or is_server(value):
        return False
    path = unquote(re.sub(r"^sqlite(\+pysqlite)?:///", "", value))
    return Path(path).resolve() != database_path(store).resolve()
