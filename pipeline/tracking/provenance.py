"""The provenance of a run: code, command, user, machine and packages.

Runs in the main process and in the recorder.

This module describes the current process. Stages record the data and settings of runs.
"""

import functools
import getpass
import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from pipeline.base.git import git
from pipeline.base.paths import ROOT
from pipeline.base.terminal import warn
from pipeline.records.software import check_code, processor, torch_version
from pipeline.records.tags import (
    COMMAND_TAG,
    COMMIT_TAG,
    DIFF_TAG,
    DVC_TAG,
    HOST_TAG,
    MLFLOW_COMMIT_TAG,
    PROCESSOR_TAG,
    PROJECT_TAG,
    PROVENANCE_PREFIXES,
    PROVENANCE_TAGS,
    PYTHON_TAG,
    SOURCE_NAME_TAG,
    SOURCE_TYPE_TAG,
    TORCH_TAG,
    USER_TAG,
)

PROJECT = "digit-pipeline"  # as in pyproject.toml
# Files that can change a result. A process does not see later edits of the modules that
# it has imported, but each command reads the settings.
SETTINGS, MODULES = ("conf",), ("pipeline", "pyproject.toml")
NOTEBOOKS = ":(exclude)*.ipynb"  # a notebook changes when someone saves an answer
MAX_DIFF = 1_000_000  # characters
UNKNOWN_COMMIT = "unknown"
UNKNOWN_DIFF = "(unknown: git cannot read the changes)\n"
LEFT_OUT = "(left out, because git cannot add it: {})\n"


class CodeState(NamedTuple):
    """The code of a process, and the settings when the command started."""

    tags: Mapping[str, str]  # the commit and the versions
    diff: str  # see `code_diff`


def tags(code: CodeState) -> dict[str, str]:
    """Return command, user, machine and code of this process as MLflow tags.

    `code` is the `code_state` when the command started.
    """
    experiment = os.environ.get("DVC_EXP_NAME")
    return {
        **({DVC_TAG: experiment} if experiment else {}),
        HOST_TAG: platform.node(),
        PROCESSOR_TAG: processor(),
        COMMAND_TAG: _command_line(sys.orig_argv[1:]),
        SOURCE_NAME_TAG: _command_line(sys.orig_argv[1:3]),
        SOURCE_TYPE_TAG: "LOCAL",
        USER_TAG: _user(),
        **code.tags,
    }


def _command_line(arguments: Sequence[str]) -> str:
    """Return a command without bytes that are not UTF-8, which SQLite rejects."""
    return shlex.join(["python", *arguments]).encode(errors="replace").decode()


def tags_of(recorded: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a recorded run that describe its provenance."""
    return {
        key: value
        for key, value in recorded.items()
        if key in PROVENANCE_TAGS or key.startswith(PROVENANCE_PREFIXES)
    }


def code_state() -> CodeState:
    """Return the code of this process, and the settings as they are now.

    A command that trains calls this function when the command starts, because it reads
    its settings and hashes its modules at this time.
    """
    diff = code_diff()
    code_tags = {
        **_commit_tags(diff),
        PYTHON_TAG: platform.python_version(),
        TORCH_TAG: torch_version(),
        PROJECT_TAG: project_version(),
    }
    return CodeState(code_tags, diff)


@functools.cache
def packages() -> str:
    """Return the installed packages in the format of `pip install -r`.

    This project, packages that were installed from a folder, and local versions such as
    +cpu are omitted, because a package index does not have them.
    """
    versions: dict[str, str] = {}
    for package in importlib.metadata.distributions():
        # `package.metadata` would parse the whole file, which takes ten times as long.
        text = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
        fields = dict(re.findall("^(Name|Version): (.+)$", text, re.MULTILINE)[:2])
        is_folder = '"dir_info"' in (package.read_text("direct_url.json") or "")
        # An installation that was interrupted can lack fields.
        if len(fields) == 2 and fields["Name"] != PROJECT and not is_folder:
            # Python imports the first of two versions on the path.
            versions.setdefault(fields["Name"], fields["Version"])
    lines = [requirement(*package) for package in versions.items()]
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def code_diff() -> str:
    """Return the uncommitted changes to code and settings as a patch for git.

    New files are included. If git cannot add one, such as a nested repository without
    a commit, a line before the patch names it. The patch is empty if nothing has
    changed or there is no repository. After `MAX_DIFF` characters, it is truncated. If
    git fails, it only says that the changes are unknown.
    """
    parts = (_diff(SETTINGS), _modules_diff())
    diff = "".join(dict.fromkeys(parts))  # equal if both are unknown
    if len(diff) > MAX_DIFF:
        diff = f"{diff[:MAX_DIFF]}\n(truncated: {len(diff):,} characters)\n"
    return diff


@functools.cache
def _modules_diff() -> str:
    check_code()  # core must be what this process has imported
    return _diff(MODULES)


def _diff(names: Sequence[str]) -> str:
    # HEAD can be another commit, if a user commits while this process runs.
    if (commit := _commit()) is None:
        return ""
    if commit == UNKNOWN_COMMIT:
        return UNKNOWN_DIFF
    existing = [name for name in names if (ROOT / name).exists()]
    with tempfile.TemporaryDirectory() as folder:
        # New files are added to a temporary index; the user's index does not change.
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        read = git(ROOT, "read-tree", commit, **index)
        selected = ("--", *names, NOTEBOOKS)
        # An error does not end `add`, except for a path that does not exist;
        # `ls-files` lists what could not be added.
        options: tuple[str, ...] = ("--ignore-errors", "--intent-to-add", "--")
        if existing:
            git(ROOT, "add", *options, *existing, NOTEBOOKS, **index)
        options = ("--others", "--exclude-standard")
        left_out = git(ROOT, "ls-files", *options, *selected, **index)
        # Unlike `git diff`, `git diff-index` ignores settings of the user such as
        # diff.noprefix, with which `git apply` would not find the files.
        options = ("--patch", "--binary", "--no-ext-diff", "--no-textconv")
        diff = git(ROOT, "diff-index", *options, commit, *selected, **index)
    if read is None or left_out is None or diff is None:
        return UNKNOWN_DIFF
    return "".join(map(LEFT_OUT.format, left_out.splitlines())) + diff


@functools.cache
def _user() -> str:
    """Return the name of the user, or the number if the user has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def requirement(package: str, version: str) -> str:
    """Return a line of `packages`: local versions, such as 2.0+cpu, lose their end."""
    return f"{package}=={version.partition('+')[0]}"


@functools.cache
def project_version() -> str:
    """Return the version of this project.

    It is unknown if the project is not installed, but found with PYTHONPATH.
    """
    try:
        return importlib.metadata.version(PROJECT)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _commit_tags(diff: str) -> dict[str, str]:
    """Return the commit, and the hash of the changes that are not committed."""
    commit = _commit()
    if commit is None:
        return {COMMIT_TAG: "none"}
    content = diff.encode(errors="surrogateescape")  # the file code.diff
    tags = {
        COMMIT_TAG: commit,
        DIFF_TAG: sha256(content).hexdigest() if content else "none",
    }
    return tags if commit == UNKNOWN_COMMIT else {**tags, MLFLOW_COMMIT_TAG: commit}


@functools.cache
def _commit() -> str | None:
    """Return the commit; None if git does not track this package, or is missing.

    An installed package may be inside the repository of another project. The commit is
    `UNKNOWN_COMMIT` if git refuses to read the repository, such as that of another user
    in a container; a warning says so.
    """
    if git(ROOT, "ls-files", "--error-unmatch", "pipeline/__init__.py") is None:
        has_repository = (ROOT / ".git").exists() and shutil.which("git")
        if not has_repository or git(ROOT, "rev-parse", "--git-dir") is not None:
            return None
        warn(
            "git cannot read the repository of the code, so the commit and uncommitted "
            "changes are not recorded; this command says why:",
            remedy=shlex.join(["git", "-C", str(ROOT), "status"]),
        )
        return UNKNOWN_COMMIT
    commit = git(ROOT, "rev-parse", "HEAD")
    return commit.strip() if commit else None
