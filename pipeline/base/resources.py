"""The free memory of this machine or of its container, and the space of its disks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from pipeline import UserError
from pipeline.base.error_messages import AGAIN
from pipeline.base.paths import existing_folder
from pipeline.base.text import format_bytes

# For each version of Linux control groups: the folder of a group below the root, the
# file with its limit, the file with its use, and the start of names in memory.stat.
VERSIONS = {
    "": ("", "memory.max", "memory.current", ""),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
}


def check_memory(size: int, *, free: int, what: str) -> None:
    """Check that `size` bytes of memory are free.

    Raises:
        UserError: If `what` needs more memory than is free.
    """
    if size > free:
        raise UserError(
            f"{what} needs {format_bytes(size)} of memory, but only "
            f"{format_bytes(free)} is free: close other programs, or raise the memory "
            "limit of the container"
        )


def check_space(size: int, folder: Path, *, what: str) -> None:
    """Check the free space of the disk that contains a folder.

    Raises:
        UserError: If less than the `size` bytes that `what` needs is free.
    """
    free = shutil.disk_usage(existing_folder(folder)).free
    if size > free:
        raise UserError(
            f"{what} needs about {format_bytes(size)} of disk space, but only "
            f"{format_bytes(free)} is free in {folder}: delete files, or set "
            f"PIPELINE_OUTPUTS to a folder on a larger disk, then {AGAIN}"
        )


def on_same_disk(one: Path, other: Path) -> bool:
    """Return whether two folders, which need not exist, are on the same disk."""
    first, second = (existing_folder(each).stat().st_dev for each in (one, other))
    return first == second


def free_memory(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return the free bytes of this machine, or of the container if that is less.

    Files that the system has cached count as free.

    Args:
        groups: The file that lists the control groups of this process.
        root: Where control groups are mounted.
    """
    free: int = psutil.virtual_memory().available
    return max(0, min([free, *_free_of_groups(groups, root)]))


def _free_of_groups(groups: Path, root: Path) -> Iterator[int]:
    """Yield the free bytes of each group of this process that has a limit.

    A container may see its own group as the root, but read the group's path on the
    host.
    """
    lines = groups.read_text().splitlines() if groups.exists() else []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers not in VERSIONS:
            continue
        mount, maximum, current, prefix = VERSIONS[controllers]
        group = root / mount / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root / mount):
                break
            limit, used = _read(folder / maximum), _read(folder / current)
            if limit.isdecimal() and used.isdecimal():
                stat = dict(map(str.split, _read(folder / "memory.stat").splitlines()))
                cached = ("inactive_file", "active_file")
                freed = sum(int(stat.get(prefix + name, 0)) for name in cached)
                yield int(limit) - int(used) + freed


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""
