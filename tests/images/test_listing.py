import csv
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from pipeline import UserError
from pipeline.images import list_images, read_image


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 10)).save(path, "PNG")


def test_a_file_of_any_name_is_listed_with_its_label(tmp_path):
    names = ["7\n.png", '7".png', "7😀.png", "-7.png", "=7+1.png", "7\u2028,'.png"]
    put(tmp_path, os.fsdecode(b"7\xff.png"), *names)
    listing = list_images(tmp_path)
    assert listing.labels == [7] * 7
    assert {read_image(path).shape for path in listing.images} == {(10, 20)}
    with (tmp_path / "labels.csv").open("w", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "label"), *((n, 7) for n in names)])
    listing = list_images(tmp_path)
    assert listing.files[:-1] == names and listing.labels == [7] * 6 + [None]


def test_labels_come_from_folders_or_from_the_first_number_of_a_name(tmp_path):
    put(tmp_path, "folders/3/a.png", "folders/7/b.png")
    assert list_images(tmp_path / "folders").labels == [3, 7]
    names = ["IMG_2026.png", "my_2_of_9.png", "none.png", "notes.txt"]
    put(tmp_path / "names", *names)
    listing = list_images(tmp_path / "names")
    assert (
        listing.labels == [None, 2, None]
        and "number in each file name" in listing.description
    )
    assert list_images(tmp_path / "names" / names[1]).labels == [2]
    (tmp_path / "names" / names[1]).unlink()
    description = list_images(tmp_path / "names").description
    assert description == "the names of the files contain no labels"


def test_images_without_a_label_are_listed(tmp_path):
    put(tmp_path, "3/a.png", "5.png", "6.png")
    assert list_images(tmp_path).labels == [3, None, None]
    (tmp_path / "labels.csv").write_text("file,label\n5.png,5\n3/a.png,?\n")
    listing = list_images(tmp_path)
    assert listing.files == ["5.png", "3/a.png", "6.png"] and not listing.problems
    assert listing.labels == [5, None, None]


TABLES = {
    "file,label\na.png,7\n": [],
    "path;digit\na.png;7\n": [],
    "File, Label\na.png,7\n": [],
    "file\tlabel\na.png\t7\n": [],
    "file,label\n a.png,7\n": [],
    "file,label\na.png,12\n": ["line 2: the label must be 0 to 9, got '12'"],
    "file,label\na.png\n": ["line 2: the label must be 0 to 9, got ''"],
    "file name,label\n,\na.png,7\n": [],
    "file,label\n\na.png,7\nb.png,7\n": ["line 4: b.png is missing"],
    "file,label\n/etc/passwd,7\n": ["must be in the folder, got '/etc/passwd'"],
    "file,label\na.png,7\n./a.png,8\n": ["line 3: a.png is listed twice: list each"],
}


@pytest.mark.parametrize("content", TABLES)
def test_labels_csv_is_read_and_bad_rows_are_reported_by_line(tmp_path, content):
    put(tmp_path, "a.png")
    (tmp_path / "labels.csv").write_text(content)
    listing = list_images(tmp_path)
    problems = [*listing.problems, *listing.label_problems]
    for problem, expected in zip(problems, TABLES[content], strict=True):
        assert expected in problem and "labels.csv" in problem
    good = re.findall(r"^ ?a\.png[,;\t]7$", content, re.MULTILINE)
    assert [label for label in listing.labels if label] == [7] * len(good)


INVALID_TABLES = [b"", b"\xff\xfe", b"a,b\n1,2\n", b"\x00\x00", b"file,label\n"]
INVALID_TABLES += [b"file,label\n" + b"a,1\n" * 100_001]


@pytest.mark.parametrize("content", INVALID_TABLES, ids=range(len(INVALID_TABLES)))
def test_an_invalid_labels_csv_is_rejected(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"labels\.csv (must|cannot be|is not UTF-8)"):
        list_images(tmp_path)


def test_paths_without_images_are_rejected(tmp_path):
    with pytest.raises(UserError, match="contains no images"):
        list_images(tmp_path)
    put(tmp_path, "sevens/7.png")
    with pytest.raises(UserError, match=": only subfolders 0 to 9 are searched"):
        list_images(tmp_path)
    (tmp_path / "labels.csv").touch()
    os.truncate(tmp_path / "labels.csv", 2**31)  # sparse: needs no disk space
    with pytest.raises(UserError, match=r"labels\.csv must be a regular file of at m"):
        list_images(tmp_path)


@pytest.mark.usefixtures("other_user")
def test_an_unreadable_folder_is_a_problem_and_the_others_are_listed():
    put(Path(), "3/a.png", "5/b.png")
    Path("5").chmod(0)
    listing = list_images(Path())
    assert listing.labels == [3]
    assert listing.problems == ["5 cannot be read: Permission denied"]
    with pytest.raises(UserError, match=r"^5 cannot be read: Permission denied$"):
        list_images(Path("5"))
    (inside,) = list_images(Path("5/b.png")).images
    with pytest.raises(UserError, match=r"^5/b.png cannot be read: Permission denied"):
        read_image(inside)


def test_images_are_picked_in_the_order_of_their_rows(tmp_path):
    put(tmp_path, "1.png", "2.png")
    listing = list_images(tmp_path)
    for rows in ([1, 0], [1], [0, 1]):
        picked = listing.pick(rows, problems=["one problem"])
        assert picked.labels == [row + 1 for row in rows]
        assert [path.name for path in picked.images] == list(picked.files)
        assert picked.files == [f"{label}.png" for label in picked.labels]
        assert picked.problems == ["one problem"]
