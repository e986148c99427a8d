"""What a call from Python changes: the folder of its files, and whether it prints.

The values belong to the thread of the call, so that calls in several threads do not
disturb each other. A command uses the default values.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pipeline import ConfigError
from pipeline.base.paths import existing_folder, outputs_dir, user_path

_folder: ContextVar[Path | None] = ContextVar("folder", default=None)
_is_quiet: ContextVar[bool] = ContextVar("is_quiet", default=False)
_said: ContextVar[list[str] | None] = ContextVar("said", default=None)
_warnings: ContextVar[list[str]] = ContextVar("warnings")


@contextmanager
def call(
    *, folder: str | os.PathLike[str] | None = None, quiet: bool = False
) -> Iterator[None]:
    """Set the folder that was given to the call, and `quiet`, for a block.

    Raises:
        ConfigError: If the call cannot write to `folder`; see `_check_folder`.
    """
    path = None if folder is None else _check_folder(folder)
    tokens = _folder.set(path), _is_quiet.set(quiet), _said.set([])
    try:
        with warnings_last():
            yield
    finally:
        _folder.reset(tokens[0])
        _is_quiet.reset(tokens[1])
        _said.reset(tokens[2])


def _check_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the path of the folder of a call; a link is followed.

    Raises:
        ConfigError: If it is not new or empty, or cannot be replaced or written.
    """
    if not os.fspath(folder):  # an empty path means the working directory
        raise ConfigError("folder must not be empty: give a path, or leave it out")
    path = Path(os.path.realpath(user_path(folder, key="folder")))
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
        raise ConfigError(f"{rule}: use another folder, or remove it")
    for place in (parent, existing_folder(path)):
        try:
            os.rmdir(tempfile.mkdtemp(dir=place))  # also asks the file system
        except OSError as error:
            rule = f"folder must be writable, got {path}"
            raise ConfigError(f"{rule}: {place}: {error.strerror}") from None
    return path


@contextmanager
def warnings_last() -> Iterator[None]:
    """Print the warnings of a block at its end, where a user sees them."""
    warnings: list[str] = []
    token = _warnings.set(warnings)
    try:
        yield
    finally:
        _warnings.reset(token)
        for text in warnings:
            warn(text)


def warn(text: str) -> None:
    """Print a warning at the end of this call or command; see `warnings_last`.

    It begins with "warning: ".
    """
    warnings = _warnings.get(None)
    if is_quiet():
        return
    if warnings is not None:
        warnings.append(text)
    else:
        sys.stdout.flush()  # in a file with both, the warning is last
        print(text, file=sys.stderr)


def check_callback(name: str, function: object) -> None:
    """Raise a ConfigError unless this is a function or None, before anything runs."""
    if not (function is None or callable(function)):
        raise ConfigError(f"{name} must be a function, got {function!r:.40}")


def said() -> str:
    """Return what this call has passed to `say` so far; "" in a command."""
    return "".join(_said.get() or ())


def is_quiet() -> bool:
    """Return whether this call prints nothing."""
    return _is_quiet.get()


# `folder` is not a setting, so it is not in `cfg`. Only the modules of commands look it
# up with these functions; all others take folders as arguments.


def own_folder() -> Path | None:
    """Return the folder that was given to this call, if any."""
    return _folder.get()


def results_dir(name: str) -> Path:
    """Return the folder of this call, by default outputs/<name>."""
    return own_folder() or outputs_dir() / name


def lasting_dir(name: str, artifacts: Path | None) -> Path:
    """Return the folder with the files of this call, which no other call replaces.

    It is the folder that was given to this call or, if they are recorded, one of the
    `artifacts` of a run. Otherwise, it is outputs/<name>, which the next call replaces.
    """
    if own_folder() or artifacts is None:
        return results_dir(name)
    return artifacts / name


def say(*values: object, sep: str = " ", end: str = "\n", **options: Any) -> None:  # noqa: ANN401
    """Print values as `print` does, unless the call is quiet."""
    if (texts := _said.get()) is not None and "file" not in options:
        texts.append(sep.join(map(str, values)) + end)
    if not is_quiet():
        print(*values, sep=sep, end=end, **options)
