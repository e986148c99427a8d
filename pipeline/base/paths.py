"""The folders of settings and results, and paths that users give or read."""

import os
from pathlib import Path

from pipeline import ConfigError

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent  # the folder of a clone


def installed() -> bool:
    """Return whether this is an installed wheel, which contains conf/, not a clone."""
    return (PACKAGE / "conf").is_dir()


def conf_dir() -> Path:
    """Return the folder with the settings."""
    return (PACKAGE if installed() else ROOT) / "conf"


def project_dir() -> Path:
    """Return the clone, or the working directory if the project is installed.

    If DVC runs an experiment in a temporary copy of the clone, the result is the clone.
    In a stage of another DVC project, `DVC_ROOT` is the folder of that project, so it
    is not used.
    """
    if installed():
        return Path.cwd()
    root = Path(os.environ.get("DVC_ROOT") or ROOT)
    this_file = root / Path(__file__).resolve().relative_to(ROOT)
    return root if this_file.exists() else ROOT


def results_dir() -> Path:
    """Return the folder of the results of all stages: outputs/, or `PIPELINE_OUTPUTS`.

    In a temporary copy that DVC makes, it is outputs/ of the copy, from which DVC
    takes the results.
    """
    return _outputs_of(Path.cwd() if installed() else ROOT)


def store_dir() -> Path:
    """Return the folder of the store, the checkpoints and the sweeps.

    This is also outputs/ or `PIPELINE_OUTPUTS`. In a temporary copy that DVC makes, it
    is outputs/ of the clone, so that the files remain when DVC removes the copy.
    """
    return _outputs_of(project_dir())


def data_dir() -> Path:
    """Return the folder with the files of all data sets."""
    return results_dir() / "data"


def search_path() -> str:
    """Return a PYTHONPATH that lets another process find this package."""
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]
    return os.pathsep.join(filter(None, paths))


def displayed(path: Path) -> Path:
    """Return a path as commands print it: relative if in the working directory."""
    cwd = Path.cwd()
    return path.relative_to(cwd) if path.is_relative_to(cwd) else path


def existing_folder(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def user_path(path: str | os.PathLike[str], *, key: str) -> Path:
    """Return a path that a user gave; `~` and `~name` are the home folders of users.

    Raises:
        ConfigError: If the user does not exist, or the path has a null character. The
            message begins with `key`.
    """
    if "\0" in (text := str(path)):  # Python's own error is for programmers
        raise ConfigError(f"{key} must not contain a null character, got {text!r}")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{key} must have a user name or / after ~, got {path}"
        ) from None


def _outputs_of(project: Path) -> Path:
    outputs = os.environ.get("PIPELINE_OUTPUTS")
    if not outputs:
        return project / "outputs"
    return user_path(outputs, key="PIPELINE_OUTPUTS").resolve()
