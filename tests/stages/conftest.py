import os
import shutil

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def workspace(finished, tmp_path_factory):
    """A workspace with the trained network, its detector and MNIST."""
    outputs = tmp_path_factory.mktemp("stage") / "outputs"
    outputs.mkdir()
    shutil.copytree(finished.outputs / "train", outputs / "train")
    (outputs / "data").symlink_to(finished.outputs / "data")
    return type(finished)(outputs)


@pytest.fixture(scope="session")
def draw(mnist):
    """Return a function that saves a test image: large, off-center, black on white."""

    def save(row, path):
        image = Image.fromarray(255 - mnist.test.images[row])
        canvas = Image.new("L", (300, 200), 255)
        canvas.paste(image.resize((140, 140), Image.Resampling.BICUBIC), (130, 30))
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.save(path, "PNG")

    return save


@pytest.fixture(scope="session")
def digit_folder(tmp_path_factory, mnist, draw):
    """Ten test images; their names begin with their labels; one is not UTF-8."""
    folder = tmp_path_factory.mktemp("images") / "my digits"
    for row in range(10):
        draw(row, folder / f"{mnist.test.labels[row]} of {row}.png")
    (folder / "7 of 0.png").rename(folder / os.fsdecode(b"7\xff\n.png"))
    return folder
