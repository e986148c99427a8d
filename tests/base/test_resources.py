from pathlib import Path

import psutil
import pytest

from pipeline import UserError
from pipeline.base.resources import check_space, free_memory

GB = 10**9
CGROUPS = Path("/sys/fs/cgroup")


def write(folder, **files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name.replace("memory_", "memory.")).write_text(f"{content}\n")


@pytest.fixture
def groups(tmp_path):
    """Return a function that writes the file with the groups of a process."""

    def groups(*lines):
        path = tmp_path / "cgroup"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return groups


def test_the_limit_of_a_group_counts_with_those_of_its_parents(groups, tmp_path):
    root = tmp_path / "root"
    stat = "anon 5\ninactive_file 20\nactive_file 3"
    write(root / "a", memory_max=1000, memory_current=400, memory_stat=stat)
    write(root / "a/b", memory_max="max", memory_current=390)
    write(root / "a/b/c", memory_max=900, memory_current=200)
    assert free_memory(groups("0::/a/b/c"), root) == 623
    (root / "a/b/c/memory.current").write_text("899\n")
    assert free_memory(groups("0::/a/b/c"), root) == 1
    (root / "a/b/c/memory.current").write_text("1000\n")
    assert free_memory(groups("0::/a/b/c"), root) == 0
    (root / "a/b/c/memory.current").write_text("")  # unknown: parents apply
    assert free_memory(groups("0::/a/b/c"), root) == 623


def test_a_container_with_version_1_sees_its_group_as_the_root(groups, tmp_path):
    stat = "inactive_file 1\ntotal_inactive_file 20\ntotal_active_file 3"
    write(
        tmp_path / "root/memory",
        memory_limit_in_bytes=1000,
        memory_usage_in_bytes=400,
        memory_stat=stat,
    )
    path = groups("5:cpu,cpuacct:/docker/1", "4:memory:/docker/1", "0::/docker/1")
    assert free_memory(path, tmp_path / "root") == 623


def test_without_a_group_the_memory_of_the_machine_counts(tmp_path):
    for root in (tmp_path, CGROUPS):
        free = free_memory(tmp_path / "missing", root)
        assert abs(free - psutil.virtual_memory().available) < GB


def test_results_that_do_not_fit_on_the_disk_are_rejected_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^it needs about 1,000,000,000") as rejected:
        check_space(10**18, tmp_path / "sweeps", what="it")
    assert "\n" not in str(rejected.value)
