import gzip
import os

import numpy as np
import pytest

from pipeline import UserError
from pipeline.datasets import image_label_pairs, read_idx, read_pair

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def sizes(*numbers):
    return np.array(numbers, ">u4").tobytes()


# 470,400 = 600 * 28 * 28, the bytes of the images.
DAMAGE = {
    "HTML": (lambda c: b"<html>", "is an HTML page"),
    "ZIP": (lambda c: b"PK\3\4", r"is a ZIP archive .*: unpack it first"),
    "LFS": (lambda c: b"version https://git-lfs", "is a Git LFS pointer"),
    "wrong type": (
        lambda c: c[:2] + b"\x0d" + c[3:],
        "with the bytes 00 00 0d 03",
    ),
    "header": (lambda c: c[:9], "it ends within its header"),
    "truncated": (lambda c: c[:-1], "must have 470,400 bytes .*, got 470,399"),
    "trailing": (lambda c: c + b"\0", "must have 470,400 bytes .*, got more"),
    "4 billion": (lambda c: c[:4] + b"\xff" * 4 + c[8:], "4,294,967,295 x 28 x 28"),
    "many": (lambda c: c[:4] + sizes(1_000_001, 1, 1), "at most 1,000,000 images"),
    "wide": (lambda c: c[:4] + sizes(1, 8192, 28), "4,096 pixels per side.* 1 x 8,192"),
    "large": (lambda c: c[:4] + sizes(2**15, 2**10, 2**10), "1 to 536,870,912 bytes"),
    "no image": (lambda c: c[:4] + sizes(0, 28, 28), ", got 0 x 28 x 28"),
    "torn gzip": (lambda c: gzip.compress(c)[:-40], "is not a complete gzip file"),
    "empty": (lambda c: b"", "is empty"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_rejected_with_its_name_and_the_rule(idx_folder, kind):
    change, rule = DAMAGE[kind]
    path = idx_folder / IMAGES
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=rule) as rejected:
        read_idx(path, dimensions=3)
    assert str(path) in str(rejected.value)


def test_labels_that_do_not_match_the_images_are_rejected(idx_folder, few, write_idx):
    labels = few.train.labels.copy()
    labels[41] = 10
    write_idx(idx_folder / LABELS, labels)
    with pytest.raises(UserError, match="from 0 to 9, got 10 in row 41"):
        read_pair(idx_folder / IMAGES, idx_folder / LABELS)
    write_idx(idx_folder / LABELS, labels[:-1])
    with pytest.raises(UserError, match="got 600 images and 599 labels"):
        read_pair(idx_folder / IMAGES, idx_folder / LABELS)


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "images-idx3-ubyte")
    (tmp_path / "labels-idx1-ubyte").write_bytes(b"")
    assert not [*image_label_pairs(tmp_path)]
    with pytest.raises(UserError, match="is not a regular file"):
        read_idx(tmp_path / "images-idx3-ubyte", dimensions=3)
