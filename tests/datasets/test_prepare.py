import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
import pytest

from pipeline import UserError, datasets
from pipeline.base.files import file_sha256
from pipeline.base.source_code import ImportedCode
from pipeline.cli import DataConfig, validate
from pipeline.core.dataset import DataFile
from pipeline.datasets import DatasetSpec
from pipeline.datasets.prepare import find_complete
from pipeline.model.storage import load_network, save_network


def test_a_damaged_file_or_summary_is_reported_and_created_again(tmp_path, capfd):
    new = datasets.prepare("digits", folder=tmp_path)
    path = new.file.path
    assert new.is_new and new.file.sha256 == file_sha256(path)
    content = path.read_bytes()
    damaged = content[:100_000] + b"?" + content[100_001:]
    path.write_bytes(damaged)
    again = datasets.prepare("digits", folder=tmp_path)
    assert again == new
    path.write_bytes(damaged)
    assert datasets.load("digits", folder=tmp_path).file == new.file
    assert f"{path} must have the SHA-256 hash" in capfd.readouterr().err
    assert path.with_name("digits.safetensors.bad").read_bytes() == damaged
    assert path.read_bytes() == content
    incomplete = json.dumps({"sha256": file_sha256(path)})
    for damage in ("{", "[]", incomplete):
        path.with_suffix(".json").write_text(damage)
        assert datasets.prepare("digits", folder=tmp_path).is_new
        assert f"{path.with_suffix('.json')} is damaged" in capfd.readouterr().err
    known = datasets.prepare("digits", folder=tmp_path)
    assert known.file == new.file and not known.is_new


def test_each_reading_of_a_data_file_checks_its_hash(tmp_path):
    file = datasets.prepare("digits", folder=tmp_path).file
    assert file.read().file == find_complete(file.path).file == file
    file.path.write_bytes(b"?" + file.path.read_bytes()[1:])
    assert find_complete(file.path).file == file  # before the file is read
    with pytest.raises(UserError, match="replaced while this command was running"):
        file.read()
    assert datasets.prepare("digits", folder=tmp_path).is_new
    file.path.unlink()
    assert find_complete(file.path).file == file
    assert datasets.prepare("digits", folder=tmp_path).is_new


def test_the_summary_of_a_result_stays_if_the_files_change(tmp_path):
    prepared = datasets.prepare("digits", folder=tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    assert prepared.summary.train.images == 1500


def test_a_user_who_cannot_write_to_the_folder_uses_a_complete_data_set(
    request, tmp_path
):
    new = datasets.prepare("digits", folder=tmp_path / "shared").file
    incomplete = shutil.copytree(tmp_path / "shared", tmp_path / "incomplete")
    (incomplete / "digits-components.safetensors").unlink()
    for shared in (tmp_path / "shared", incomplete):
        shared.chmod(0o555)
    request.getfixturevalue("other_user")
    folder = Path("shared")
    known = datasets.prepare("digits", folder=folder).file
    assert (known.path, known.sha256) == (folder / new.path.name, new.sha256)
    with pytest.raises(UserError, match="and shared is not writable: its owner"):
        datasets.prepare("mnist", folder=folder)
    with pytest.raises(UserError, match="and incomplete is not writable: its owner"):
        datasets.load_components(new.sha256, "exercise", folder=Path("incomplete"))


COUNT_READS = """
import sys
from pathlib import Path
from pipeline import datasets

opened = []

def watch(event, arguments):
    if event == "open":
        opened.append(str(arguments[0]))

folder = Path(sys.argv[1])
sys.addaudithook(watch)
datasets.load("digits", folder=folder)
print(*(opened.count(str(folder / f"digits.{x}")) for x in ("safetensors", "json")))
"""


def test_loading_reads_the_file_of_images_and_the_summary_once(prepared_digits):
    command = [sys.executable, "-c", COUNT_READS, prepared_digits]
    assert subprocess.check_output(command, text=True) == "1 1\n"


def first_images(split, number, folder):
    return split.train, split.val.pick(slice(number))


def test_the_file_of_a_data_set_follows_the_code_that_reads_its_images(
    tmp_path, few, register
):
    code = tmp_path / "toys.py"

    def sizes(number):
        code.write_text(f"the first {number} test images")
        read = partial(first_images, few, number)
        sha256 = ImportedCode(datasets.upright.__file__, code).sha256
        register(DatasetSpec("toys", read=read, reader_sha256=sha256))
        data = datasets.prepare("toys", folder=tmp_path)
        return data.is_new, len(datasets.load("toys", folder=tmp_path).test)

    assert sizes(100) == (True, 100)
    assert sizes(100) == (False, 100)
    assert sizes(200) == (True, 200)
    assert not [*tmp_path.glob("*.bad")]


def test_data_sets_that_may_share_raw_files_are_read_one_after_the_other(
    tmp_path, few, register
):
    free = Lock()

    def read(folder):
        assert free.acquire(blocking=False)
        time.sleep(0.5)
        free.release()
        return few.train, few.val

    for name in ("first", "second"):
        register(DatasetSpec(name, read=read))
    with ThreadPoolExecutor() as pool:
        prepare = partial(datasets.prepare, folder=tmp_path)
        made = [*pool.map(prepare, ("first", "second"))]
    assert [each.is_new for each in made] == [True, True]


PREPARE_DIGITS = "datasets.prepare('digits', folder=Path(sys.argv[1])).is_new"
EDIT_A_MODULE = """
import sys
from pathlib import Path
from pipeline import datasets
path = Path(datasets.scikit_learn.__file__)
# The size changes: Python finds bytecode of edited code by its size and second only.
path.write_text(path.read_text().replace("1500", "1_400"))
"""


def test_images_of_code_that_was_edited_after_its_import_are_computed_again(
    clone_project, tmp_path
):
    root = clone_project(tmp_path / "clone").outputs.parent

    def python(code):
        return subprocess.check_output(
            [sys.executable, "-c", code, tmp_path / "data"],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
            text=True,
        )

    assert python(f"{EDIT_A_MODULE}print({PREPARE_DIGITS})") == "True\n"
    imports = "import sys; from pathlib import Path; from pipeline import datasets"
    assert python(f"{imports}; print({PREPARE_DIGITS})") == "True\n"
    path = tmp_path / "data" / "digits.safetensors"
    assert len(DataFile(path, file_sha256(path)).read().train) == 1400


@pytest.fixture
def imported(tmp_path):
    """Return a function that imports a folder as a command does, and loads the data."""

    def load(folder):
        path = datasets.prepare(str(folder), folder=tmp_path).file.path
        return datasets.load(path.stem, folder=tmp_path)

    return load


def test_a_folder_keeps_its_division_and_is_named_by_its_content(
    idx_folder, imported, tmp_path, few, write_idx
):
    data = imported(idx_folder)
    np.testing.assert_array_equal(data.train.images, few.train.images)
    np.testing.assert_array_equal(data.test.labels, few.val.labels)
    assert data.name.startswith("my_digits-")
    moved = shutil.copytree(idx_folder, tmp_path / "other" / "my digits")
    assert datasets.prepare(str(moved), folder=tmp_path).file == data.file
    write_idx(idx_folder / "t10k-labels-idx1-ubyte", few.val.labels[::-1].copy())
    changed = imported(idx_folder)
    np.testing.assert_array_equal(changed.test.labels, few.val.labels[::-1])
    assert changed.name != data.name


@pytest.mark.parametrize("name", ["a" * 235, "数" * 80])
def test_a_folder_with_a_long_name_is_imported_and_networks_name_it(
    idx_folder, imported, name, tmp_path, new_network, metadata_of
):
    data = imported(idx_folder.rename(idx_folder.with_name(name)))
    start, _, sha256 = data.name.rpartition("-")
    assert name.startswith(start) and len(start.encode()) > 90 and len(sha256) == 8
    recorded = metadata_of(hidden=3, dataset=data.name)
    save_network(tmp_path / "a.safetensors", new_network(3), recorded)
    _, metadata = load_network(tmp_path / "a.safetensors")
    assert metadata.dataset == data.name


def test_an_imported_data_set_no_longer_needs_its_folder(
    idx_folder, imported, tmp_path, monkeypatch
):
    data = imported(idx_folder)
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(tmp_path))
    (tmp_path / "data").symlink_to(tmp_path)
    for dataset in (str(idx_folder), data.name):
        assert validate(DataConfig, {"dataset": dataset}).dataset == dataset
    shutil.rmtree(idx_folder)
    plot = data.file.path.with_name(f"{data.name}-means.png")
    plot.unlink()
    assert not datasets.prepare(data.name, folder=tmp_path).is_new
    assert plot.exists()
    assert datasets.load(data.name, folder=tmp_path).file == data.file
    # A network trained elsewhere has a different name for the same images.
    other = datasets.load("other-01234567", folder=tmp_path, sha256=data.file.sha256)
    assert other.file == data.file
    rule = "training data, with the SHA-256 hash 00ff, got"
    with pytest.raises(UserError, match=rule):
        datasets.load(data.name, folder=tmp_path, sha256="00ff")
    with pytest.raises(UserError, match=r"has different images: run .*\n  00ff  a"):
        origin = {"a": "00ff"}
        datasets.load(data.name, folder=tmp_path, sha256="00ff", origin=origin)
    with pytest.raises(UserError, match=r"must be mnist, .* or an existing folder"):
        datasets.load(str(idx_folder), folder=tmp_path)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_lost_file_of_an_imported_data_set_is_imported_again(
    idx_folder, imported, tmp_path, damaged
):
    data = imported(idx_folder)
    content = data.file.path.read_bytes()
    if damaged:
        data.file.path.write_bytes(content[:-1] + b"?")
    else:
        data.file.path.unlink()
    with pytest.raises(UserError, match="a folder that contains these files") as lost:
        datasets.load(data.name, folder=tmp_path)
    text, *lines = str(lost.value).splitlines()
    assert (
        str(data.file.path) in text
        and "python -m pipeline.data dataset=<folder>" in text
    )
    files = sorted(idx_folder.iterdir())
    assert lines == [f"  {file_sha256(path)}  {path.name}" for path in files]
    assert imported(idx_folder).file.path == data.file.path
    assert data.file.path.read_bytes() == content


def test_the_summary_of_an_imported_data_set_from_a_different_version_is_replaced(
    idx_folder, imported, tmp_path
):
    data = imported(idx_folder)
    path = data.file.path.with_suffix(".json")
    content = path.read_text()
    shutil.rmtree(idx_folder)
    for field in ("always_zero", "pixels"):
        older = json.loads(content)
        del older[field]
        path.write_text(json.dumps(older))
        assert not datasets.prepare(data.name, folder=tmp_path).is_new
        assert path.read_text() == content


@pytest.mark.parametrize("content", ["", "{}", '{"sha256": "00"}'])
def test_an_imported_data_set_without_its_record_needs_its_folder(
    idx_folder, imported, tmp_path, content
):
    data = imported(idx_folder)
    data.file.path.with_suffix(".json").write_text(content)
    rule = f"^the origin of {data.name} is not known, so its folder must be given: run "
    with pytest.raises(UserError, match=f"{rule}.* dataset=<folder>$"):
        datasets.prepare(data.name, folder=tmp_path)
    again = datasets.prepare(str(idx_folder), folder=tmp_path)
    assert again.is_new and again.file == data.file


def test_a_folder_that_changes_while_it_is_read_is_not_imported(
    idx_folder, imported, tmp_path, few, write_idx, monkeypatch
):
    read = datasets.idx.read_folder

    def change_and_read(folder):
        write_idx(folder / "t10k-labels-idx1-ubyte", few.val.labels[::-1].copy())
        return read(folder)

    with monkeypatch.context() as patched:
        patched.setattr(datasets.idx, "read_folder", change_and_read)
        with pytest.raises(UserError, match="my digits was changed while it was read"):
            imported(idx_folder)
    assert not [*tmp_path.glob("my_digits*")]
    labels = imported(idx_folder).test.labels
    np.testing.assert_array_equal(labels, few.val.labels[::-1])


def test_the_last_seventh_of_a_single_pair_are_the_test_images(
    idx_folder, imported, few, write_idx
):
    for path in idx_folder.glob("t10k*"):
        path.unlink()
    data = imported(idx_folder)
    assert (len(data.train), len(data.test)) == (515, 85)  # 600 - 600 // 7
    write_idx(idx_folder / "train-images-idx3-ubyte", few.train.images[:6])
    write_idx(idx_folder / "train-labels-idx1-ubyte", few.train.labels[:6])
    with pytest.raises(UserError, match="must have at least 7 images, got 6"):
        imported(idx_folder)


def test_invalid_data_sets_are_rejected(idx_folder, imported, tmp_path, few, write_idx):
    write_idx(idx_folder / "train-images-idx3-ubyte", few.train.images[:, :16, :16])
    with pytest.raises(UserError, match="images of 28x28 pixels, got 16x16"):
        imported(idx_folder)
    assert not [*tmp_path.glob("my_digits*")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="must contain one pair of IDX files"):
        imported(tmp_path / "empty")
    for unknown in ("minst", "my_digits-01234567", "../a-01234567"):
        with pytest.raises(UserError, match=f"existing folder.*, got '{unknown}'"):
            imported(unknown)
        with pytest.raises(UserError, match="an imported data set or an existing"):
            validate(DataConfig, {"dataset": unknown})
