"""The folder of a call from Python, and where the results of a call or command go."""

import os
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import ConfigError
from pipeline.base.files import atomic_folder
from pipeline.base.paths import existing_folder, results_dir, user_path
from pipeline.base.text import shortened


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the path of the folder of a call; a link is followed.

    Raises:
        ConfigError: If the folder is not new or empty, or cannot be replaced, read or
            written.
    """
    # An empty path means the working directory.
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        raise ConfigError(
            f"folder must be a path, got {shortened(repr(folder))}: "
            "use a path, or leave out folder"
        )
    path = Path(os.path.realpath(user_path(folder, key="folder")))
    try:
        _check_place(path)
    except OSError as error:
        raise ConfigError(
            f"folder must be accessible, got {path}: {error.strerror}"
        ) from None
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
        "the folder of all results": results_dir(),
    }
    for name, each in kept.items():
        if Path(os.path.realpath(each)).is_relative_to(path):
            raise ConfigError(
                f"folder must not be or contain {name}, got {path}: use another folder"
            )
    if os.path.ismount(path):
        raise ConfigError(
            f"folder must not be a mount point, which cannot be replaced, got {path}: "
            "use a folder in it"
        )
    if path.exists() and (found := os.listdir(path)):
        raise ConfigError(
            f"folder must be new or empty, got {path}, which contains {found[0]!r}: "
            f"use another folder, or delete {found[0]!r}"
        )
    for place in (parent, existing_folder(path)):
        try:
            os.rmdir(tempfile.mkdtemp(dir=place))  # also asks the file system
        except OSError as error:
            raise ConfigError(
                f"folder must be writable, got {path}: {place}: {error.strerror}"
            ) from None


@dataclass(frozen=True)
class ResultsFolder:
    """Where the results of a call or command go."""

    name: str  # such as evaluate
    given: Path | None  # see `Command.folder`
    # Read once, because a callback can change the working directory or a variable.
    outputs: Path = field(default_factory=results_dir)

    @property
    def path(self) -> Path:
        """The folder that was given to the call, by default outputs/<name>."""
        return self.given or self.outputs / self.name

    def new(self) -> AbstractContextManager[Path]:
        """Yield a temporary folder for the results; see `atomic_folder`.

        A folder that was given to the call was empty. Files that another program has
        added since then are not replaced.
        """
        return atomic_folder(self.path, replace=self.given is None)

    def lasting_folder(self, artifacts: Path | None, *, recorded_as: str = "") -> Path:
        """Return a folder with the results: if possible, one that no call replaces.

        This is the folder that was given to the call. If no folder was given and the
        results are recorded, it is the folder `recorded_as`, by default <name>, in the
        `artifacts` of a run. Otherwise, it is outputs/<name>, which the next call
        replaces.
        """
        if self.given or artifacts is None:
            return self.path
        return artifacts / (recorded_as or self.name)
