import pytest


@pytest.fixture
def idx_folder(tmp_path, few, write_idx):
    """A folder with 600 training and 300 test images as two pairs of IDX files."""
    folder = tmp_path / "my digits"
    folder.mkdir()
    for name, part in (("train", few.train), ("t10k", few.val)):
        write_idx(folder / f"{name}-images-idx3-ubyte", part.images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", part.labels)
    return folder
