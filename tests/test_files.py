import os
import threading
import time

import pytest

from pipeline import files


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_file_that_fails_halfway_leaves_the_earlier_one(tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_text("earlier")
    with pytest.raises(RuntimeError), files.atomic_file(path) as written:
        written.write_text("half")
        raise RuntimeError
    assert path.read_text() == "earlier"
    assert names(tmp_path) == {"numbers.txt"}


def test_a_folder_takes_the_place_of_the_earlier_one_as_one(tmp_path):
    for number in ("1", "2"):
        with files.atomic_folder(tmp_path / "train") as folder:
            (folder / "a").write_text(number)
            (folder / f"only-{number}").write_text(number)
    assert names(tmp_path / "train") == {"a", "only-2"}
    assert names(tmp_path) == {"train", ".train.lock"}


def test_a_folder_that_fails_halfway_leaves_the_earlier_one(tmp_path):
    with files.atomic_folder(tmp_path / "train") as folder:
        (folder / "a").write_text("earlier")
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "train") as folder:
        (folder / "a").write_text("half")
        raise RuntimeError
    assert (tmp_path / "train" / "a").read_text() == "earlier"
    assert names(tmp_path) == {"train", ".train.lock"}


def test_a_swap_that_was_killed_between_its_renames_is_undone(tmp_path):
    (tmp_path / ".train.earlier").mkdir()  # what the kill leaves
    (tmp_path / ".train.earlier" / "a").write_text("earlier")
    with files.read_lock(tmp_path / "train"):
        assert (tmp_path / "train" / "a").read_text() == "earlier"


def test_a_swap_that_was_killed_after_its_renames_is_tidied(tmp_path):
    for name in ("train", ".train.earlier"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    with files.read_lock(tmp_path / "train"):
        assert (tmp_path / "train" / "a").read_text() == "train"
    assert names(tmp_path) == {"train", ".train.lock"}


def test_what_was_left_a_day_ago_is_tidied_and_nothing_younger(tmp_path):
    for name, age in ((".train.olderone", 90_000), (".train.ayounger", 60)):
        for left in (tmp_path / name, tmp_path / f"{name[:6]}.csv{name[6:]}"):
            left.touch() if ".csv" in left.name else left.mkdir()
            os.utime(left, (0, time.time() - age))
    with files.atomic_folder(tmp_path / "train"):
        pass
    with files.atomic_file(tmp_path / "train.csv") as written:
        written.touch()
    kept = {".train.ayounger", ".train.csv.ayounger", ".train.lock"}
    assert names(tmp_path) == {"train", "train.csv", *kept}


def test_whoever_waits_for_a_lock_says_so(tmp_path, capfd):
    entered = threading.Event()

    def second():
        with files.lock(tmp_path / "lock", waiting="waiting for the first"):
            entered.set()

    with files.lock(tmp_path / "lock", waiting=""):
        thread = threading.Thread(target=second)
        thread.start()
        said = ""
        while not said:
            said = capfd.readouterr().err
            time.sleep(0.01)
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set() and said == "waiting for the first\n"
