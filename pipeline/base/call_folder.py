"""The folder that was given to a call from Python, which the call writes or replaces.

A stage replaces a folder only if nothing in it would be lost: it must be new, empty or
written by an earlier call of the same stage.
"""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from pipeline import ConfigError
from pipeline.base.paths import existing_folder, outputs_dir, user_path

# In a folder of a call: the stage that wrote it, and what it contains.
RECORD = ".files.json"


def checked_folder(folder: str | os.PathLike[str], stage: str | None) -> Path:
    """Return the folder of a call, before anything runs.

    Args:
        folder: The folder that was given to the call.
        stage: The stage that replaces it; None if its other files are kept.

    Raises:
        ConfigError: If the folder cannot be written, replaced or created, or contains
            more than what `stage` wrote.
    """
    if not os.fspath(folder):  # it would be the working directory
        raise ConfigError("folder must not be empty: give a path, or leave it out")
    # A link remains, and the folder that it leads to is replaced.
    path = Path(os.path.realpath(user_path(folder, key="folder")))
    # Files or folders are created in this one, or in a new one below it.
    existing = existing_folder(path.parent if stage else path)
    if not existing.is_dir() or (path.exists() and not path.is_dir()):
        raise ConfigError(f"folder must not be a file or be inside a file, got {path}")
    if stage:
        kept: dict[str, str | Path] = {
            "the working directory": os.curdir,
            "the folder of all results": outputs_dir(),
        }
        for name, folder_kept in kept.items():
            if Path(os.path.realpath(folder_kept)).is_relative_to(path):
                rule = f"folder must not be or contain {name}"
                raise ConfigError(f"{rule}, got {path}: use another folder")
        if os.path.ismount(path):
            rule = "folder must not be a mount point, which cannot be replaced"
            raise ConfigError(f"{rule}, got {path}: use a folder in it")
        check_content(path, stage)
    try:
        os.rmdir(tempfile.mkdtemp(dir=existing))  # also asks the file system
    except OSError as error:
        rule = f"folder must be writable, got {path}"
        raise ConfigError(f"{rule}: {existing}: {error.strerror}") from None
    return path


def check_content(folder: Path, stage: str) -> None:
    """Raise a ConfigError if a folder contains more than what `stage` wrote."""
    writer, recorded = stage, set[str]()
    with suppress(OSError, ValueError, TypeError, KeyError):  # it may be another file
        record = json.loads((folder / RECORD).read_bytes())
        writer, recorded = record["stage"], {RECORD, *record["files"]}
    others = sorted(_content(folder) - recorded)
    if others or writer != stage:
        found = f"contains {others[0]!r}" if others else f"{writer}() has written"
        raise ConfigError(
            f"folder must be new, empty or written by an earlier call of {stage}(), "
            f"got {folder}, which {found}: use another folder"
        )


def write_record(folder: Path, stage: str) -> None:
    """Record in a folder its content, and the stage that wrote it."""
    record = {"stage": stage, "files": sorted(_content(folder))}
    (folder / RECORD).write_text(json.dumps(record))


def _content(folder: Path) -> set[str]:
    """Return the relative paths of all files and folders; none if it is missing."""
    if not folder.exists():
        return set()

    def fail(error: OSError) -> None:  # by default, a folder would seem to be empty
        raise error

    return {
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, folders, names in os.walk(folder, onerror=fail)
        for name in (*folders, *names)
    }
