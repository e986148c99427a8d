import gzip
import json
import os

import numpy as np
import pytest

from pipeline import datasets
from pipeline.cli import config
from pipeline.datasets import download


@pytest.fixture
def folder(tmp_path, mnist):
    """A folder of data sets with the raw files of MNIST, and nothing made of them."""
    raw = download.raw_folder("mnist", tmp_path)
    raw.parent.mkdir(parents=True)
    home = mnist.path.parent
    assert download.fetch("mnist", home) == download.raw_folder("mnist", home)
    raw.symlink_to(download.raw_folder("mnist", home))
    return tmp_path


@pytest.fixture
def idx(tmp_path, few):
    """A folder with the few pictures as two IDX pairs."""
    place = tmp_path / "my digits"
    place.mkdir()
    for name, part in (("train", few.train), ("t10k", few.val)):
        write_idx(place / f"{name}-images-idx3-ubyte", part.images)
        write_idx(place / f"{name}-labels-idx1-ubyte", part.labels)
    return place


def write_idx(path, array):
    header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
    path.write_bytes(header + array.tobytes())


def test_mnist_has_the_label_counts_of_its_makers(mnist):
    assert np.bincount(mnist.train.labels).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    ]
    assert np.bincount(mnist.test.labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]


def test_summary_tells_what_is_known_of_mnist(mnist):
    found = datasets.summary(mnist.path)
    assert len(found["never_lit"]) == 67
    # 0.1307 and 0.3081 are the constants of PyTorch's MNIST example.
    assert found["pixels"]["mean"] == pytest.approx(0.1307, abs=5e-5)
    assert found["pixels"]["std"] == pytest.approx(0.3081, abs=5e-5)
    assert (found["train"]["images"], found["test"]["images"]) == (60_000, 10_000)
    assert found["sha256"] == mnist.sha256 == download.file_sha256(mnist.path)


def test_pixels_never_lit_are_zero_in_every_training_picture(mnist):
    never = datasets.summary(mnist.path)["never_lit"]
    lit = mnist.train.images.reshape(-1, 784).any(axis=0)
    assert not lit[never].any() and lit.sum() == 784 - 67


def test_exercise_watches_the_test_pictures(mnist):
    split = mnist.split("exercise")
    assert split.train is mnist.train and split.val is mnist.test


def test_holdout_watches_500_training_pictures_of_each_class_and_no_test_picture(mnist):
    split = mnist.split("holdout")
    assert np.bincount(split.val.labels).tolist() == [500] * 10
    assert len(split.train) == 55_000
    counts = np.bincount(split.train.labels) + np.bincount(split.val.labels)
    assert counts.tolist() == np.bincount(mnist.train.labels).tolist()
    together = np.concatenate([split.train.images, split.val.images]).reshape(
        60_000, 784
    )
    whole = mnist.train.images.reshape(60_000, 784)
    assert (together.sum(axis=0) == whole.sum(axis=0)).all()


def test_holdout_keeps_the_last_pictures_of_each_class(mnist):
    sevens = mnist.train.images[mnist.train.labels == 7]
    val = mnist.split("holdout").val
    np.testing.assert_array_equal(val.images[val.labels == 7], sevens[-500:])


def test_holdout_of_too_few_pictures_names_the_class(few, mnist):
    threes = np.flatnonzero(few.train.labels == 3)
    rows = np.setdiff1d(np.arange(600), threes[1:])
    short = datasets.Dataset(mnist.path, "", few.train.pick(rows), few.val)
    with pytest.raises(ValueError, match="has 1 of class 3"):
        short.split("holdout")


def test_digits_are_1500_and_297_pictures_in_the_box_of_mnists(tmp_path):
    found = datasets.load("digits", folder=tmp_path)
    assert (len(found.train), len(found.test)) == (1500, 297)
    assert found.train.images[:, 4:24, 4:24].max() == 255
    outside = found.train.images.copy()
    outside[:, 4:24, 4:24] = 0
    assert not outside.any()


def test_digits_stay_upright_and_keep_their_labels(tmp_path):
    from sklearn.datasets import load_digits

    found = datasets.load("digits", folder=tmp_path)
    original = load_digits()
    assert found.test.labels.tolist() == original.target[1500:].tolist()
    # Averaged over 2.5 x 2.5 pixels the enlarged picture resembles the 8x8 original.
    boxes = found.train.images[:, 4:24, 4:24].reshape(1500, 4, 5, 4, 5).mean((2, 4))
    small = original.images[:1500].reshape(1500, 4, 2, 4, 2).mean((2, 4))
    assert np.corrcoef(boxes.ravel(), small.ravel())[0, 1] > 0.98


def test_a_second_preparation_makes_nothing(folder):
    assert datasets.prepare("mnist", folder=folder)[1]
    before = {path: path.stat().st_mtime_ns for path in folder.glob("mnist*")}
    assert len(before) == 4  # pictures, summary, means, samples
    assert not datasets.prepare("mnist", folder=folder)[1]
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("mnist*")}


def test_the_file_of_mnist_has_the_same_bytes_wherever_it_is_made(folder, mnist):
    made = datasets.load("mnist", folder=folder)
    assert made.sha256 == mnist.sha256
    assert made.sha256.startswith("5a6202eef423d42d")  # safetensors 0.8, numpy 2.4


def test_a_flipped_byte_is_named_put_aside_and_mended(folder, capfd):
    path, _ = datasets.prepare("mnist", folder=folder)
    content = bytearray(path.read_bytes())
    content[1_000_000] ^= 1
    path.write_bytes(content)
    assert datasets.prepare("mnist", folder=folder) == (path, True)
    assert f"{path} has sha256" in capfd.readouterr().err
    assert path.with_name("mnist.safetensors.bad").read_bytes() == content
    assert datasets.summary(path)["sha256"] == download.file_sha256(path)


def test_a_folder_with_two_pairs_is_read_as_it_is(idx, tmp_path, few):
    found = datasets.load(str(idx), folder=tmp_path)
    np.testing.assert_array_equal(found.train.images, few.train.images)
    np.testing.assert_array_equal(found.test.labels, few.val.labels)
    assert found.name.startswith("my_digits-")


def test_gzipped_files_are_read_as_the_plain_ones(idx, tmp_path, few):
    for path in list(idx.iterdir()):
        with gzip.open(f"{path}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    found = datasets.load(str(idx), folder=tmp_path)
    np.testing.assert_array_equal(found.test.images, few.val.images)


def test_of_a_single_pair_the_last_seventh_is_watched(idx, tmp_path):
    for path in idx.glob("t10k*"):
        path.unlink()
    found = datasets.load(str(idx), folder=tmp_path)
    assert (len(found.train), len(found.test)) == (515, 85)  # 600 - 600 // 7


def test_a_single_pair_too_small_to_be_divided_is_refused(idx, tmp_path, few):
    for path in idx.glob("t10k*"):
        path.unlink()
    write_idx(idx / "train-images-idx3-ubyte", few.train.images[:6])
    write_idx(idx / "train-labels-idx1-ubyte", few.train.labels[:6])
    with pytest.raises(ValueError, match="has 6 pictures; it takes 7"):
        datasets.load(str(idx), folder=tmp_path)


@pytest.mark.parametrize("damage", ["{", "{}", "[]", ""])
def test_a_damaged_summary_is_named_and_made_anew(folder, capfd, damage):
    path, _ = datasets.prepare("mnist", folder=folder)
    path.with_suffix(".json").write_text(damage)
    assert datasets.prepare("mnist", folder=folder) == (path, True)
    assert f"{path.with_suffix('.json')} is damaged" in capfd.readouterr().err


def test_a_name_that_is_no_data_set_lists_those_that_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="'minst' is no folder, and none of"):
        datasets.load("minst", folder=tmp_path)


def test_changed_files_of_a_folder_are_read_anew(idx, tmp_path, few):
    datasets.load(str(idx), folder=tmp_path)
    write_idx(idx / "t10k-labels-idx1-ubyte", few.val.labels[::-1].copy())
    found = datasets.load(str(idx), folder=tmp_path)
    np.testing.assert_array_equal(found.test.labels, few.val.labels[::-1])


def test_folders_of_the_same_name_do_not_share_a_file(tmp_path):
    names = {datasets.file_name(str(tmp_path / part / "set")) for part in "ab"}
    assert len(names) == 2


def spoil(content, how):
    if how == "text":
        return b"not an IDX file at all"
    if how == "wrong type":
        return content[:2] + b"\x0d" + content[3:]
    if how == "wrong dimensions":
        return content[:3] + b"\x02" + content[4:]
    if how == "truncated":
        return content[:-1]
    if how == "trailing bytes":
        return content + b"\0"
    if how == "no pictures":
        return content[:4] + bytes(4) + content[8:16]
    if how == "overflow":
        return content[:4] + np.array([2**22, 2**21, 2**21], ">u4").tobytes()
    if how == "claims 4 billion":
        return content[:4] + b"\xff\xff\xff\xff" + content[8:]
    if how == "torn gzip":
        return gzip.compress(content)[:-40]
    return b""


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ("text", "starts with bytes 6e 6f 74 20; an IDX file"),
        ("wrong type", "starts with bytes 00 00 0d 03"),
        ("wrong dimensions", "starts with bytes 00 00 08 02"),
        ("truncated", "claims 470,400 bytes after its header, has 470,399"),
        ("trailing bytes", "claims 470,400 bytes after its header, has more"),
        ("claims 4 billion", "at most 1,000,000 pictures are read"),
        ("overflow", "at most 1,000,000 pictures are read"),
        ("no pictures", "claims 0 bytes"),
        ("torn gzip", "is no whole gzip file"),
        ("empty", "is empty"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_rule(idx, tmp_path, how, rule):
    path = idx / "train-images-idx3-ubyte"
    path.write_bytes(spoil(path.read_bytes(), how))
    with pytest.raises(ValueError, match=rule) as refused:
        datasets.load(str(idx), folder=tmp_path)
    assert str(path) in str(refused.value)
    assert not list(tmp_path.glob("my_digits*"))


def test_labels_out_of_range_are_refused_with_their_row(idx, tmp_path, few):
    labels = few.train.labels.copy()
    labels[41] = 10
    write_idx(idx / "train-labels-idx1-ubyte", labels)
    with pytest.raises(ValueError, match=r"has label 10 in row 41, not 0\.\.9"):
        datasets.load(str(idx), folder=tmp_path)


def test_counts_that_differ_are_refused(idx, tmp_path, few):
    write_idx(idx / "train-labels-idx1-ubyte", few.train.labels[:-1])
    with pytest.raises(ValueError, match=r"has 600 pictures, .* 599 labels"):
        datasets.load(str(idx), folder=tmp_path)


def test_pictures_of_another_size_are_refused(idx, tmp_path, few):
    write_idx(idx / "train-images-idx3-ubyte", few.train.images[:, :16, :16].copy())
    with pytest.raises(ValueError, match="pictures of 16x16, not 28x28"):
        datasets.load(str(idx), folder=tmp_path)


def test_a_folder_without_idx_files_says_what_is_looked_for(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="must hold one pair of IDX files"):
        datasets.load(str(tmp_path / "empty"), folder=tmp_path)


def test_the_configuration_knows_the_same_data_sets():
    assert set(config.DATASETS) == {*download.RAW_FILES, "digits"}


def test_summary_is_plain_json(mnist):
    shown = mnist.path.with_suffix(".json")
    assert json.loads(shown.read_text())["name"] == "mnist"


def test_fashion_mnist_is_read_where_debian_keeps_it(tmp_path):
    if not download.DEBIAN["fashion_mnist"].is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    found = datasets.load("fashion_mnist", folder=tmp_path)
    assert np.bincount(found.train.labels).tolist() == [6000] * 10


@pytest.mark.parametrize("shape", [(2**24, 1, 1), (1, 8192, 64)])
def test_an_idx_file_that_claims_more_than_fits_is_refused(tmp_path, shape):
    head = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in shape)
    (tmp_path / "x-idx3-ubyte").write_bytes(head)
    with pytest.raises(
        ValueError, match="at most 1,000,000 pictures are read, and 4,0"
    ):
        datasets.read_idx(tmp_path / "x-idx3-ubyte", dimensions=3)


def test_a_pipe_is_no_idx_file(tmp_path):
    os.mkfifo(tmp_path / "images-idx3-ubyte")
    (tmp_path / "labels-idx1-ubyte").write_bytes(b"")
    assert not [*datasets.pairs_of(tmp_path)]
    with pytest.raises(ValueError, match="is no file that can be read"):
        datasets.read_idx(tmp_path / "images-idx3-ubyte", dimensions=3)
