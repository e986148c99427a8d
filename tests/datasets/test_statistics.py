import shutil

import pytest

from pipeline import UserError
from pipeline.datasets import prepare, read_summary
from pipeline.datasets.statistics import summarize


def test_the_description_has_the_known_statistics_of_mnist(mnist):
    described = summarize(mnist, origin={})
    # 0.1307 and 0.3081 are the constants of PyTorch's MNIST example.
    assert described.pixels.mean == pytest.approx(0.1307, abs=5e-5)
    assert described.pixels.std == pytest.approx(0.3081, abs=5e-5)
    # Yann LeCun's files have these label counts.
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert (described.train.images, described.train.per_class) == (60_000, train)
    assert (described.test.images, described.test.per_class) == (10_000, test)
    unused = described.always_zero
    used = mnist.train.images.reshape(-1, 784).any(axis=0)
    assert len(unused) == 67 and not used[unused].any() and used.sum() == 784 - 67
    assert read_summary(mnist.file.path) == described


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_a_damaged_summary_is_reported_in_one_line_and_created_again(
    project, tmp_path, content
):
    data = shutil.copytree(project.outputs / "data", tmp_path / "data")
    path = data / "digits.json"
    created = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"^.*digits\.json is damaged: run the same"):
        read_summary(data / "digits.safetensors")
    prepare("digits", folder=data)
    assert path.read_bytes() == created
