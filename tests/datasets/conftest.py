import numpy as np
import pytest


def write_idx(path, array):
    header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
    path.write_bytes(header + array.tobytes())


@pytest.fixture
def idx_folder(tmp_path, few):
    """A folder with the few images as two IDX pairs."""
    folder = tmp_path / "my digits"
    folder.mkdir()
    for name, part in (("train", few.train), ("t10k", few.val)):
        write_idx(folder / f"{name}-images-idx3-ubyte", part.images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", part.labels)
    return folder
