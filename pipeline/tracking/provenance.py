"""Where a run comes from: code, command, user, machine, packages."""

import getpass
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path


def tags() -> dict[str, str]:
    """Say what code, in whose hands, on what machine, makes a run, as MLflow's tags."""
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
    """List the installed packages, one `name==version` a line."""
    installed = importlib.metadata.distributions()
    lines = {f"{found.metadata['Name']}=={found.version}" for found in installed}
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def _user() -> str:
    """Return the user's name, or where the system knows none, the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def version(package: str) -> str:
    """Return a package's version as an index knows it: without its build."""
    return importlib.metadata.version(package).partition("+")[0]


def _git() -> dict[str, str]:
    """Return the commit and whether the code differs from it; nothing without git."""
    root = Path(__file__).resolve().parents[2]

    def git(*command: str) -> str:
        done = subprocess.run(
            ["git", *command], cwd=root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        dirty = git("status", "--porcelain", "--", "pipeline", "pyproject.toml")
    except (OSError, subprocess.CalledProcessError):
        return {"git.commit": "none"}
    return {
        "git.commit": commit,
        "git.dirty": str(bool(dirty)).lower(),
        "mlflow.source.git.commit": commit,
    }


def _processor() -> str:
    """Return the name of the processor, on which the last bits depend."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1] for line in lines if "model name" in line]
        return names[0].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
