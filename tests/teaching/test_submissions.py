"""Submissions are not trusted: each is read, or one line says what is wrong."""

import os
import pickle
import shutil
import socket
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import numpy as safetensors

from pipeline.base.tensors import read_tensors, write_tensors
from pipeline.model.storage import MAX_NETWORK_BYTES
from pipeline.records.file_names import MODEL_FILE
from pipeline.teaching.answers import FILE
from pipeline.teaching.assignment import Assignment
from pipeline.teaching.submissions import (
    DAMAGED,
    Entry,
    Submission,
    read_submission,
    read_submissions,
)
from pipeline.teaching.submitted_files import MAX_ENTRIES, MAX_ZIP_BYTES

ASSIGNMENT = Assignment("embedded 2026", "digits", {"hidden": 5})
ESCAPE = "\x1b[2J\n<b>=cmd\x07"


@pytest.fixture
def place(tmp_path):
    """The folder of all submissions."""
    path = tmp_path / "all"
    path.mkdir()
    return path


@pytest.fixture
def copy(valid, place):
    """Return a function that copies the valid submission."""
    return lambda name="ana": shutil.copytree(valid, place / name)


@pytest.fixture
def new_zip(valid, place):
    """Return a function that writes entries, and the valid files, to a zip file."""

    def write(*entries, files=True, name="ana.zip"):
        with zipfile.ZipFile(place / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for info, content in entries:
                archive.writestr(info, content)
            for file in valid.iterdir() if files else ():
                archive.write(file, file.name)
        return place / name

    return write


def problem(path):
    """Return what is wrong with a submission; it must be one short printable line."""
    entry = read_submission([path], ASSIGNMENT)
    assert entry.place.isprintable()
    if isinstance(entry, Submission):
        return ""
    assert entry.problem and entry.problem.isprintable() and len(entry.problem) <= 300
    return entry.problem


def test_folders_and_zip_files_are_read_as_learning_platforms_nest_them(
    valid, copy, place, pack
):
    copy("a folder")
    shutil.copytree(valid, place / "Ana Ruiz_12_file" / "homework" / "ana")
    pack(valid, place / "flat.zip")
    pack(valid, place / "nested.ZIP", prefix="homework/ana/")
    pack(valid, place / "from windows.zip", prefix="homework\\ana\\")
    (place / "moodle_34").mkdir()
    pack(valid, place / "moodle_34" / "ana.zip", prefix="ana/")
    with zipfile.ZipFile(place / "double.zip", "w") as archive:
        archive.write(place / "nested.ZIP", "one/nested.zip")
        archive.writestr("__MACOSX/one/._nested.zip", "resources")
    (place / ".DS_Store").touch()
    submissions = read_submissions(place, ASSIGNMENT)
    assert len(submissions) == 7
    expected = read_submission([valid], ASSIGNMENT)
    for each in submissions:
        assert (each.student, each.sha256) == ("ana", expected.sha256)
        assert each.answers.numbers == {"parameters": 1, "logit": -2.5}
        assert each.recorded["epochs"] == 1


@pytest.mark.parametrize("name", ["Answers (1).json", "answers.JSON", "answers_1.txt"])
def test_answers_with_another_name_are_reported(copy, pack, place, name):
    folder = copy()
    (folder / FILE).rename(folder / name)
    expected = f"answers.json is missing; it has {name}"
    assert problem(folder) == problem(pack(folder, place / "ben.zip")) == expected
    (folder / name).rename(folder / FILE)
    (folder / MODEL_FILE).rename(folder / "Model(2).safetensors")
    expected = "model.safetensors is missing; it has Model(2).safetensors"
    assert problem(folder) == expected
    os.truncate(folder / "Model(2).safetensors", 2**40)  # it is not read
    assert problem(folder) == expected
    pack(copy("right"), folder / "homework.zip")
    (folder / FILE).rename(folder / name)
    assert problem(folder) == ""


@pytest.mark.parametrize(
    ("added", "end"),
    [(" (1)", ""), ("(2)", ""), ("-1", ""), ("", ".txt"), (" (1)", ".txt")],
)
def test_what_a_browser_or_an_editor_adds_to_a_name_does_not_matter_without_other_files(
    copy, pack, place, added, end
):
    folder, expected = copy(), read_submission([copy("other")], ASSIGNMENT)
    name = FILE.replace(".", f"{added}.") + end
    (folder / FILE).rename(folder / name)
    model = folder / (MODEL_FILE.replace(".", f"{added}.") + end)
    (folder / MODEL_FILE).rename(model)
    for path in (folder, pack(folder, place / "ben.zip")):
        assert read_submission([path], ASSIGNMENT).sha256 == expected.sha256
    model.rename(folder / MODEL_FILE)
    (folder / FILE).write_bytes((folder / name).read_bytes())
    assert problem(folder) == ""  # copies count once
    (folder / FILE).write_bytes((folder / name).read_bytes() + b"\n")
    both = ", ".join(sorted([name, FILE]))
    expected = f"it has 2 files named answers.json, but only one can be graded: {both}"
    assert problem(folder) == expected
    os.truncate(folder / name, 10**9)
    assert problem(folder) == f"{name} has more than 100,000 bytes"


def test_identical_zip_files_and_folders_count_once(copy, pack, place, tmp_path):
    folder, expected = copy(), read_submission([copy("other")], ASSIGNMENT)
    pack(folder, tmp_path / "lee.zip")
    for path in [*folder.iterdir()]:
        path.unlink()
    for name in ("lee.zip", "lee (1).zip"):
        shutil.copy(tmp_path / "lee.zip", folder / name)
    found = read_submission([folder], ASSIGNMENT)
    assert found.sha256 == expected.sha256
    shutil.copytree(place / "other", folder / "unpacked" / "a")
    shutil.copytree(place / "other", folder / "unpacked" / "b")
    assert problem(folder / "unpacked") == problem(folder) == ""
    (folder / "unpacked" / "b" / "questions.md").write_text("another version")
    assert "2 files named answers.json" in problem(folder / "unpacked")
    shutil.rmtree(folder / "unpacked")
    pack(place / "other", folder / "lee (1).zip", prefix="x/")
    assert problem(folder) == ""
    (place / "other" / MODEL_FILE).unlink()
    pack(place / "other", folder / "lee (1).zip")
    assert "2 files named answers.json" in problem(folder)


def test_of_the_folders_of_several_courses_only_that_of_this_course_is_read(
    copy, place
):
    both, expected = place / "both", read_submission([copy()], ASSIGNMENT)
    own, room = both / "embedded-2026" / "ana", both / "room" / "ana"
    for folder in (own, room):
        shutil.copytree(place / "ana", folder)
    answers = (own / FILE).read_text()
    (room / FILE).write_text(answers.replace(ASSIGNMENT.course, "room"))
    (room / MODEL_FILE).write_bytes(b"")
    assert read_submission([both], ASSIGNMENT).sha256 == expected.sha256
    several = "it has 2 files named answers.json"
    for other in (answers, answers[1:]):  # for the same course, or damaged
        (room / FILE).write_text(other)
        assert problem(both).startswith(several)
    for folder in (own, room):
        (folder / FILE).write_text(answers.replace(ASSIGNMENT.course, "room"))
    assert problem(both).startswith(several)


def test_a_zip_file_next_to_loose_files_counts_as_a_folder_does(copy, pack, place):
    folder, complete = copy(), copy("other")
    (complete / "questions.md").write_text("1")
    pack(complete, folder / "homework.zip")
    assert problem(folder) == ""  # it contains copies
    (folder / FILE).write_text('{"id": "ana", "answers": {}}')
    assert problem(folder) == (
        "it has 2 files named answers.json, but only one can be graded: answers.json, "
        "homework.zip/answers.json"
    )
    (folder / FILE).unlink()
    found = read_submission([folder], ASSIGNMENT)
    assert found.sha256 == read_submission([complete], ASSIGNMENT).sha256
    (folder / "homework.zip").write_bytes(b"no zip")
    assert "homework.zip is a damaged zip file" in problem(folder)


def test_a_folder_without_the_files_says_what_it_contains(place):
    (place / "ana").mkdir()
    (place / "ana" / "homework.rar").touch()
    expected = "answers.json is missing: the folder contains homework.rar"
    assert problem(place / "ana") == expected
    for number in range(99):
        (place / "ana" / f"{ESCAPE}{number}").touch()
    assert problem(place / "ana").startswith(expected[:-12])


def test_an_empty_zip_file_says_so(place):
    (place / "ana").mkdir()
    for path in (place / "ana" / "homework.zip", place / "ben.zip"):
        zipfile.ZipFile(path, "w").close()
        found = problem(path if path.parent == place else path.parent)
        assert found.startswith(f"{path.name} is an empty zip file")


def test_questions_alone_are_not_a_submission_and_hide_no_zip_file(copy, pack, place):
    (place / "ben").mkdir()
    (place / "ben" / "questions.md").write_text("1")
    expected = "answers.json is missing: the folder contains questions.md"
    assert problem(place / "ben") == expected
    assert read_submission([place / "ben"], ASSIGNMENT).is_empty
    pack(copy(), place / "ben" / "homework.zip")
    assert problem(place / "ben") == ""


def test_long_ids_that_differ_at_the_end_have_different_pages():
    pages = {Entry("", "\u5b66" * 63 + end).feedback for end in "ab"}
    assert len(pages) == 2 and all(len(page.encode()) < 255 for page in pages)
    assert Entry("", "ana.ruiz+1@b").feedback == "ana.ruiz+1@b.html"


def test_other_files_next_to_the_answers_do_not_matter(copy):
    folder = copy()
    (folder / "notes.ipynb").write_text("not JSON")
    (folder / "setup.py").write_text("raise SystemExit")
    (folder / "broken.zip").write_bytes(b"no zip")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "outside").symlink_to("/")
    assert problem(folder) == ""


def test_only_folders_and_zip_files_are_read(place):
    (place / "answers.json").write_text("{}")
    os.mkfifo(place / "pipe.zip")
    (place / "link").symlink_to(place)
    (place / "empty").mkdir()
    assert [problem(path) for path in sorted(place.iterdir())] == [
        "it is neither a folder nor a zip file",
        "answers.json is missing: the folder contains nothing",
        "it is a link",
        "it is a device or another special file",
    ]


@pytest.mark.parametrize("name", [FILE, MODEL_FILE])
def test_links_and_special_files_are_not_opened(copy, name, tmp_path, monkeypatch):
    folder = copy()
    path = folder / name
    shutil.move(path, tmp_path / name)
    path.symlink_to(tmp_path / name)
    assert problem(folder) == f"{name} is a link"
    path.unlink()
    os.mkfifo(path)
    special = f"{name} is a device or another special file"
    assert problem(folder) == special
    path.unlink()
    monkeypatch.chdir(folder)  # the path of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        assert problem(folder) == special


def test_files_are_found_in_linked_folders_only_under_their_real_name(copy, place):
    copy()
    (place / "eve").mkdir()
    (place / "eve" / "homework").symlink_to(place / "ana")
    expected = "answers.json is missing: the folder contains homework"
    assert problem(place / "eve") == expected


def test_a_zip_file_with_several_submissions_is_reported_with_the_remedy(copy, place):
    for name in ("all/ana", "all/ben"):
        (copy(name) / "questions.md").write_text(name)
    path = shutil.make_archive(f"{place / 'all'}", "zip", place / "all")
    remedy = "; if it contains several submissions, unzip it"
    assert problem(Path(path)).endswith(f"ben/answers.json{remedy}")
    assert remedy not in problem(place / "all")  # a student's folder


def test_neither_of_two_files_with_the_same_name_is_used(copy, place):
    folder = copy()
    shutil.copytree(folder, folder / "old")
    shutil.copytree(folder, folder / "older", ignore=shutil.ignore_patterns("old*"))
    for name in ("old", "older"):
        (folder / name / "questions.md").write_text(name)
    (folder / "older").rename(place / "older")
    assert problem(folder) == (
        "it has 2 files named answers.json, but only one can be graded: answers.json, "
        "old/answers.json"
    )
    (place / "older").rename(folder / "older")
    assert problem(folder) == (
        "it has 3 files named answers.json, but only one can be graded, such as "
        "answers.json, old/answers.json"
    )
    shutil.rmtree(folder / "older")
    (folder / "old" / FILE).unlink()
    assert problem(folder) == ""  # the network next to the answers counts
    (folder / MODEL_FILE).unlink()
    assert problem(folder) == "model.safetensors is missing"


@pytest.mark.parametrize(
    "path",
    ["../answers.json", "/etc/answers.json", "a/../../b", "..\\b", "C:\\b", "C:b"],
)
def test_paths_outside_a_zip_file_are_reported(new_zip, path):
    assert problem(new_zip((path, "{}"))) == f"it contains the path {path}"


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (stat.S_IFLNK, "a link"),
        (stat.S_IFIFO, "a device or another special file"),
        (stat.S_IFCHR, "a device or another special file"),
    ],
)
def test_links_and_devices_in_a_zip_file_are_not_read(new_zip, mode, kind):
    info = zipfile.ZipInfo("a/answers.json")
    info.external_attr = (mode | 0o777) << 16
    assert problem(new_zip((info, "/etc/passwd"))) == f"answers.json is {kind}"


def test_a_file_that_expands_to_many_bytes_is_not_read_to_its_end(new_zip):
    bomb = new_zip((FILE, bytes(100_000_000)), files=False)
    assert bomb.stat().st_size < 400_000
    tracemalloc.start()
    assert problem(bomb) == "answers.json has more than 100,000 bytes"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_file_that_is_longer_than_its_zip_file_says_is_not_read(new_zip):
    path = new_zip((FILE, bytes(1_000_000)), files=False)
    content = path.read_bytes()
    size = struct.pack("<L", 1_000_000)
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, struct.pack("<L", 10)))
    assert "damaged zip file" in problem(path)


def test_zip_files_in_zip_files_have_limits(new_zip, valid, place, pack):
    large = new_zip(("a.zip", bytes(MAX_ZIP_BYTES + 1)), files=False)
    assert problem(large) == "a.zip has more than 100,000,000 bytes"
    half = bytes(MAX_ZIP_BYTES // 2) + b"no zip"
    entries = [(f"{number}.zip", half) for number in range(3)]
    assert "damaged zip file" in problem(new_zip(*entries, files=False))
    content = pack(valid, place / "0.zip").read_bytes()
    for depth in range(2, 5):
        new_zip(("inner.zip", content), files=False, name=f"{depth}.zip")
        content = (place / f"{depth}.zip").read_bytes()
    assert problem(place / "3.zip") == ""
    message = "its zip files are nested more than 3 deep"
    assert problem(place / "4.zip") == message


def list_of_files(count):
    """Return a zip file that lists the file `a` several times."""
    values = [0] * 11 + [1] + [0] * 6  # only the name has a length
    listed = count * (struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", *values) + b"a")
    shown = min(count, 0xFFFF)
    values = 0, 0, shown, shown, len(listed), 0, 0
    return listed + struct.pack("<4s4H2LH", b"PK\5\6", *values)


def test_a_zip_file_with_a_million_entries_is_not_listed(place):
    listed = list_of_files(1_000_000)
    (place / "a.zip").write_bytes(listed)
    tracemalloc.start()
    assert problem(place / "a.zip") == "it has too many files"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 70_000_000  # the file itself has 47 million bytes
    (place / "b.zip").write_bytes(list_of_files(3_000))
    assert problem(place / "b.zip") == f"it has more than {MAX_ENTRIES:,} files"


def test_a_folder_with_too_many_files_is_not_read(copy):
    folder = copy()
    for number in range(MAX_ENTRIES):
        (folder / f"{number}").touch()
    assert problem(folder) == f"it has more than {MAX_ENTRIES:,} files"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_without_a_limit_is_not_expanded(new_zip, method):
    info = zipfile.ZipInfo(FILE)
    info.compress_type = method
    message = "answers.json uses an unsupported compression method: zip it again"
    assert problem(new_zip((info, bytes(100)))) == message


def test_an_encrypted_zip_file_is_reported(new_zip):
    path = new_zip((FILE, "{}"), files=False)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    assert problem(path) == "answers.json is encrypted"


def test_a_sparse_file_of_a_gigabyte_is_not_read_to_its_end(copy):
    for name, limit in ((MODEL_FILE, MAX_NETWORK_BYTES), (FILE, 100_000)):
        folder = copy(name)
        os.truncate(folder / name, 2**30)
        assert problem(folder) == f"{name} has more than {limit:,} bytes"


def test_names_that_control_the_terminal_are_made_printable(valid, place):
    shutil.copytree(valid, place / ESCAPE / ESCAPE)
    shutil.copytree(valid, place / os.fsdecode(b"\xff\n"))
    for path in [*place.iterdir()]:
        assert problem(path) == ""
    shutil.copytree(valid, place / ESCAPE / "old")
    (place / ESCAPE / "old" / "questions.md").touch()
    assert "2 files named answers.json" in problem(place / ESCAPE)


class Evil:
    def __reduce__(self):
        return os._exit, (1,)


def test_a_file_that_is_not_a_network_is_reported_in_one_line(copy):
    folder = copy()
    network = safetensors.load_file(folder / MODEL_FILE)
    name, shape = "layer_2.bias", network["layer_2.bias"].shape
    large = np.full_like(network["layer_1.bias"], 3e38)
    files = {
        "pickled": pickle.dumps(Evil()),
        "empty": b"",
        "truncated": (folder / MODEL_FILE).read_bytes()[:-10],
        "long header": struct.pack("<Q", 2**40),
        "shape": safetensors.save({**network, name: np.zeros(7, np.float32)}),
        "name": safetensors.save({**network, ESCAPE: np.zeros(7, np.float32)}),
        "NaN": safetensors.save({**network, name: np.full(shape, np.nan, np.float32)}),
        "large": safetensors.save({**network, "layer_1.bias": large}),
        "type": safetensors.save({**network, name: np.zeros(shape, np.int32)}),
    }
    other, (tensors, about) = folder / "other", read_tensors(folder / MODEL_FILE)
    write_tensors(other, tensors, {**about, "torch": ESCAPE})
    files["version of PyTorch"] = other.read_bytes()
    other.unlink()
    damaged = {"pickled", "empty", "long header", "truncated"}
    for kind, content in files.items():
        (folder / MODEL_FILE).write_bytes(content)
        assert problem(folder).startswith(MODEL_FILE)
        assert (problem(folder) == DAMAGED) == (kind in damaged)
        # The answers can be read.
        assert read_submission([folder], ASSIGNMENT).student == "ana"


def test_metadata_of_a_different_size_is_reported_with_both_sizes(copy):
    folder = copy()
    write_tensors(
        folder / MODEL_FILE, safetensors.load_file(folder / MODEL_FILE), {"hidden": 20}
    )
    assert problem(folder) == (
        "model.safetensors has invalid metadata: hidden is 20, but its weights are "
        "those of 5 hidden neurons"
    )


def test_a_network_of_a_different_size_is_rejected_when_it_is_read(course, place):
    folder = course.write(place / "ana", "ana", {}, course.train("ana", hidden=4))
    assert problem(folder) == "its network has 4 hidden neurons instead of 5"
    assert not hasattr(read_submission([folder], ASSIGNMENT), "network")


def test_answers_that_cannot_be_used_are_reported_in_one_line(copy):
    folder = copy()
    good = '{"id": "ana", "course": "embedded 2026", "answers": {}}'
    for content in (
        "",
        "[]",
        "[" * 50_000,
        '{"id": "ana", "answers": {"logit": 3,5}}',
        '{"id": "ana", "answers": {"logit": 1, "logit": 2}}',
        '{"id": "=cmd|\' /C calc\'!A0", "answers": {}}',
        '{"id": "<script>alert(1)</script>", "answers": {}}',
        '{"id": "../../ana", "answers": {}}',
        '{"id": ["ana"], "answers": {}}',
    ):
        (folder / FILE).write_text(content)
        assert problem(folder).startswith("answers.json"), content
    (folder / FILE).write_text(good)
    assert problem(folder) == ""


@settings(
    max_examples=int(os.environ.get("FUZZ", "100")),
    deadline=None,
    derandomize="FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=6
    ),
    end=st.integers(0, 100),
)
def test_a_damaged_zip_file_is_read_or_reported_in_one_line(packed, edits, end):
    content = bytearray(packed.read_bytes())
    for position, new in edits:
        # Half of the edits are in the list of files at the end.
        start = len(content) - 400 if position < 0.5 else 0
        at = start + int((position * 2 % 1) * (len(content) - start))
        content[at : at + len(new)] = new
    damaged = packed.with_name("damaged.zip")
    damaged.write_bytes(content[: len(content) - end] if end < 50 else content)
    problem(damaged)


@pytest.fixture(scope="module")
def packed(valid, tmp_path_factory, pack):
    """The path of a zip file with the zip file of a valid submission."""
    folder = tmp_path_factory.mktemp("packed")
    inner, outer = pack(valid, folder / "a.zip"), folder / "packed.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "a.zip")
        archive.writestr("other", "text")
    return outer
