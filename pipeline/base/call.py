"""What a call from Python changes: the folder of its files, and whether it prints.

The values belong to the thread of the call, so that calls in several threads do not
disturb each other. A command uses the default values.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pipeline import ConfigError
from pipeline.base.call_folder import check_content, checked_folder, write_record
from pipeline.base.paths import outputs_dir

_folder: ContextVar[Path | None] = ContextVar("folder", default=None)
_stage: ContextVar[str | None] = ContextVar("stage", default=None)
_is_quiet: ContextVar[bool] = ContextVar("is_quiet", default=False)
_said: ContextVar[list[str] | None] = ContextVar("said", default=None)
_warnings: ContextVar[list[str]] = ContextVar("warnings")


@contextmanager
def call(
    *,
    folder: str | os.PathLike[str] | None = None,
    stage: str | None = None,
    quiet: bool = False,
) -> Iterator[None]:
    """Set the folder of the files and `quiet` for a block.

    Args:
        folder: The folder that was given to the call.
        stage: The stage that replaces this folder; None if its other files are kept.
        quiet: Whether nothing is printed.

    Raises:
        ConfigError: If `folder` cannot be written or replaced; see `checked_folder`.
    """
    path = None
    if folder is not None:
        path = checked_folder(folder, stage)
    tokens = _folder.set(path), _stage.set(stage), _is_quiet.set(quiet), _said.set([])
    try:
        with warnings_last():
            yield
    finally:
        _folder.reset(tokens[0])
        _stage.reset(tokens[1])
        _is_quiet.reset(tokens[2])
        _said.reset(tokens[3])


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


def prepare_replacement(folder: Path, new: Path) -> None:
    """Check the folder of this call before `new` replaces it, and record its content.

    Other folders belong to the project and need no record.

    Raises:
        ConfigError: If the folder contains other files, which are newer than the check
            at the start.
    """
    if folder == _folder.get() and (stage := _stage.get()):
        check_content(folder, stage)
        write_record(new, stage)


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
