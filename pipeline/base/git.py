"""Calls git, which may be missing."""

import os
import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str, **environment: str) -> str | None:
    """Return the output of git in a folder; None if git fails or is missing.

    Bytes that are not UTF-8, such as letters in Latin-1, become surrogates:
    `errors="surrogateescape"` restores the original bytes.
    """
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        ).stdout.decode(errors="surrogateescape")
    except (OSError, subprocess.CalledProcessError):
        return None
