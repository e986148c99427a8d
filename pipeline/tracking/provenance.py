"""The provenance of a run: code, command, user, machine and packages.

It describes this process; the data and the options of a run are recorded by its stage.
"""

import functools
import getpass
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_tags(extra: Mapping[str, str], lease: str) -> dict[str, str]:
    """Return the tags of a new run: its provenance, `extra` and its lease."""
    return {**tags(), **extra, "host": platform.node(), "claim": lease}


def tags() -> dict[str, str]:
    """Return code, user, machine and versions of this process as MLflow tags."""
    experiment = os.environ.get("DVC_EXP_NAME")
    return {
        **_git(),
        **({"dvc.experiment": experiment} if experiment else {}),
        "version.python": platform.python_version(),
        "version.torch": version("torch"),
        "processor": _processor(),
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "mlflow.source.name": shlex.join(["python", *sys.orig_argv[1:3]]),
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
    }


def packages() -> str:
    """Return the installed packages, one `name==version` per line."""
    installed = importlib.metadata.distributions()
    lines = {f"{package.metadata['Name']}=={package.version}" for package in installed}
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def _user() -> str:
    """Return the name of the user, or the number if the user has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def version(package: str) -> str:
    """Return the version of a package without its local part, such as +cpu."""
    return importlib.metadata.version(package).partition("+")[0]


def _git() -> dict[str, str]:
    """Return the commit, and whether the code differs from it."""
    options = {"cwd": ROOT, "stderr": subprocess.DEVNULL, "text": True}
    git = functools.partial(subprocess.check_output, **options)
    code = ["pipeline", "pyproject.toml"]
    try:
        commit = git(["git", "rev-parse", "HEAD"]).strip()
        dirty = git(["git", "status", "--porcelain", "--", *code])
    except (OSError, subprocess.CalledProcessError):
        return {"git.commit": "none"}
    return {
        "git.commit": commit,
        "git.dirty": str(bool(dirty)).lower(),
        "mlflow.source.git.commit": commit,
    }


def _processor() -> str:
    """Return the name of the processor; the last bits of the weights depend on it."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1] for line in lines if "model name" in line]
        return names[0].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
