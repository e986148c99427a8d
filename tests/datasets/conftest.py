import numpy as np
import pytest


@pytest.fixture(scope="session")
def write_idx():
    """A function that writes an array as an IDX file."""

    def write(path, array):
        header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
        path.write_bytes(header + array.tobytes())

    return write


@pytest.fixture
def idx_folder(tmp_path, few, write_idx):
    """A folder with 600 training and 300 test images as two pairs of IDX files."""
    folder = tmp_path / "my digits"
    folder.mkdir()
    for name, part in (("train", few.train), ("t10k", few.val)):
        write_idx(folder / f"{name}-images-idx3-ubyte", part.images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", part.labels)
    return folder
