import os
import time

import pytest

from pipeline import UserError
from pipeline.base import files


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_an_incomplete_file_does_not_replace_the_previous_one(tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_text("previous")
    with pytest.raises(RuntimeError), files.atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "previous"
    assert names(tmp_path) == {"numbers.txt"}


def test_the_content_is_on_the_disk_before_a_file_or_folder_is_renamed(
    tmp_path, disk_steps
):
    path, folder = tmp_path / "numbers.txt", tmp_path / "train"
    files.write_atomic(path, b"1")
    with files.atomic_folder(folder) as temporary:
        (temporary / "a").write_text("1")
    flushed = (path, folder / "a", folder)  # a folder contains the names of its files
    numbers, *content = (("flush", each.stat().st_ino) for each in flushed)
    renamed = [("rename", each.stat().st_ino) for each in (path, folder)]
    assert disk_steps == [numbers, renamed[0], *content, renamed[1]]


def test_a_folder_replaces_all_files_of_the_previous_one_when_it_is_complete(tmp_path):
    for number in ("1", "2"):
        with files.atomic_folder(tmp_path / "train") as folder:
            (folder / "a").write_text(number)
            (folder / f"only-{number}").mkdir()
            (folder / f"only-{number}" / "b").write_text(number)
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "train") as folder:
        (folder / "a").write_text("half")
        raise RuntimeError
    assert names(tmp_path / "train") == {"a", "only-2"}
    assert (tmp_path / "train" / "a").read_text() == "2"
    assert names(tmp_path) == {"train"}


def test_a_link_stays_and_the_folder_that_it_names_is_replaced(tmp_path):
    (tmp_path / "big" / "train").mkdir(parents=True)
    link = tmp_path / "train"
    link.symlink_to(tmp_path / "big" / "train")
    for number in "12":
        with files.atomic_folder(link) as folder:
            (folder / "a").write_text(number)
        with files.folder_lock(link):
            assert (link / "a").read_text() == number
    assert link.is_symlink() and names(tmp_path) == {"train", "big"}
    assert names(tmp_path / "big") == {"train"}


def test_a_link_to_a_mount_point_is_rejected_before_the_results_are_computed(tmp_path):
    (tmp_path / "train").symlink_to("/proc")
    rejected = pytest.raises(UserError, match="/proc is a mount point, which cannot")
    with rejected, files.atomic_folder(tmp_path / "train"):
        raise AssertionError


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o077, 0o600, 0o700), (0o002, 0o664, 0o775)]
)
def test_files_and_folders_follow_the_umask(tmp_path, umask, file, folder):
    before = os.umask(umask)
    try:
        with files.atomic_file(tmp_path / "a") as path:
            path.write_text("")
        with files.atomic_folder(tmp_path / "b") as path:
            files.write_json(path / "c", {})
    finally:
        os.umask(before)
    modes = [(tmp_path / n).stat().st_mode & 0o777 for n in ("a", "b", "b/c")]
    assert modes == [file, folder, file]


def test_a_folder_does_not_replace_a_file(tmp_path):
    (tmp_path / "export").write_text("mine")
    with (
        pytest.raises(UserError, match="export is a file"),
        files.atomic_folder(tmp_path / "export"),
    ):
        raise AssertionError
    assert names(tmp_path) == {"export"}


PREVIOUS = ".train.pipeline-old"


@pytest.mark.parametrize("left", [{PREVIOUS}, {"train", PREVIOUS}])
def test_after_a_kill_at_a_rename_a_complete_folder_is_read(tmp_path, left):
    for name in left:  # killed between the renames, or after both
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    with files.folder_lock(tmp_path / "train"):
        assert (tmp_path / "train" / "a").read_text() == max(left)
    assert names(tmp_path) == {"train"}


def test_temporary_files_are_removed_after_a_day_and_not_before(tmp_path):
    ages = {"pipeline-new-old": 90_000, "pipeline-new-young": 60, "20261101": 90_000}
    for end, age in ages.items():
        for left in (tmp_path / f".train.{end}", tmp_path / f".train.csv.{end}"):
            left.touch() if ".csv" in left.name else left.mkdir()
            os.utime(left, (0, time.time() - age))
    with files.atomic_folder(tmp_path / "train"):
        pass
    with files.atomic_file(tmp_path / "train.csv") as temporary:
        temporary.touch()
    young = {".train.pipeline-new-young", ".train.csv.pipeline-new-young"}
    of_user = {".train.20261101", ".train.csv.20261101"}
    others = {*young, *of_user}
    assert names(tmp_path) == {"train", "train.csv", *others}
