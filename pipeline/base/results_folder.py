"""The folder of a call from Python, and where the results of a call or command go.

The folder belongs to the thread of the call, so that calls in several threads do not
disturb each other. A command has no such folder.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path

from pipeline import ConfigError
from pipeline.base.files import atomic_folder
from pipeline.base.paths import existing_folder, outputs_dir, user_path
from pipeline.base.terminal import output

_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def call(
    *, folder: str | os.PathLike[str] | None = None, quiet: bool = False
) -> Iterator[None]:
    """Set the folder of a call for a block, and print nothing in it if `quiet`.

    Raises:
        ConfigError: If the call cannot write to `folder`; see `_check_folder`.
    """
    path = None if folder is None else _check_folder(folder)
    token = _folder.set(path)
    try:
        with output(quiet=quiet):
            yield
    finally:
        _folder.reset(token)


def _check_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the path of the folder of a call; a link is followed.

    Raises:
        ConfigError: If the folder is not new or empty, or cannot be replaced, read or
            written.
    """
    # An empty path means the working directory.
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        rule = f"folder must be a path, got {folder!r:.40}"
        raise ConfigError(f"{rule}: use a path, or leave out folder")
    path = Path(os.path.realpath(user_path(folder, key="folder")))
    try:
        _check_place(path)
    except OSError as error:
        rule = f"folder must be accessible, got {path}"
        raise ConfigError(f"{rule}: {error.strerror}") from None
    return path


def _check_place(path: Path) -> None:
    """Check that new results can be written to a path.

    Raises:
        ConfigError: If new results cannot be written there.
        OSError: If the path or a folder above cannot be accessed.
    """
    parent = existing_folder(path.parent)
    if not parent.is_dir() or (path.exists() and not path.is_dir()):
        raise ConfigError(f"folder must not be a file or be inside a file, got {path}")
    kept = {
        "the working directory": Path.cwd(),
        "the folder of all results": outputs_dir(),
    }
    for name, each in kept.items():
        if Path(os.path.realpath(each)).is_relative_to(path):
            rule = f"folder must not be or contain {name}"
            raise ConfigError(f"{rule}, got {path}: use another folder")
    if os.path.ismount(path):
        rule = "folder must not be a mount point, which cannot be replaced"
        raise ConfigError(f"{rule}, got {path}: use a folder in it")
    if path.exists() and (found := os.listdir(path)):
        rule = f"folder must be new or empty, got {path}, which contains {found[0]!r}"
        raise ConfigError(f"{rule}: use another folder, or delete {found[0]!r}")
    for place in (parent, existing_folder(path)):
        try:
            os.rmdir(tempfile.mkdtemp(dir=place))  # also asks the file system
        except OSError as error:
            rule = f"folder must be writable, got {path}"
            raise ConfigError(f"{rule}: {place}: {error.strerror}") from None


def check_callback(name: str, function: object) -> None:
    """Raise a ConfigError, before anything runs, unless `function` can be called."""
    if not (function is None or callable(function)):
        raise ConfigError(f"{name} must be a function, got {function!r:.40}")


# `folder` is not a setting, so `cfg` does not contain it. Only the modules of commands
# call the following functions; all other modules take folders as arguments.


def own_folder() -> Path | None:
    """Return the folder that was given to this call, if any."""
    return _folder.get()


def results_dir(name: str) -> Path:
    """Return the folder of this call, by default outputs/<name>."""
    return own_folder() or outputs_dir() / name


def lasting_dir(name: str, artifacts: Path | None) -> Path:
    """Return the folder with the files of this call, which no other call replaces.

    This is the folder that was given to the call. If no folder was given and the files
    are recorded, it is a folder in the `artifacts` of a run. Otherwise, it is
    outputs/<name>, which the next call replaces.
    """
    if own_folder() or artifacts is None:
        return results_dir(name)
    return artifacts / name


def new_results(folder: Path) -> AbstractContextManager[Path]:
    """Yield a temporary folder for the results of this call; see `atomic_folder`.

    A folder that was given to this call was empty. Files that another program has added
    since then are not replaced.
    """
    return atomic_folder(folder, replace=folder != own_folder())
