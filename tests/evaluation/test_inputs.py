import numpy as np
import pytest
from PIL import Image

from pipeline import datasets
from pipeline.evaluation import read_input, read_inputs


def test_indices_select_test_images_or_are_refused_with_the_key(mnist):
    single = read_input("3", mnist, prepare=True)
    _, listed = read_inputs("3,0, 12", lambda: mnist, prepare=True)
    for row, image in zip((3, 3, 0, 12), (single, *listed), strict=True):
        assert image.name == f"mnist test image {row}"
        assert image.label == mnist.test.labels[row]
        np.testing.assert_array_equal(image.prepared.image, mnist.test.images[row])
    for index in ("-1", "10000"):
        with pytest.raises(ValueError, match=r"^image must be 0 to 9999, .* or a file"):
            read_input(index, mnist, prepare=True)
        with pytest.raises(ValueError, match=r"^images must be 0 to 9999, .* folder"):
            read_inputs(f"0,{index}", lambda: mnist, prepare=True)


def test_a_file_is_preprocessed_or_only_resized(mnist, tmp_path):
    path = tmp_path / "7.png"
    Image.fromarray(255 - mnist.test.images[0]).resize((56, 56)).save(path)
    preprocessed = read_input(str(path), mnist, prepare=True).prepared
    resized = read_input(str(path), mnist, prepare=False).prepared
    assert preprocessed.image[0, 0] == 0 and resized.image[0, 0] == 255
    assert preprocessed.digit_count == 1 and list(resized.steps) == ["resized"]


@pytest.mark.parametrize("network", ["mnist", "fashion_mnist"])
def test_an_image_without_ink_is_described_as_blank(mnist, tmp_path, network):
    spec = datasets.spec(network)
    for level, is_blank in ((0, True), (255, False)):
        pixels = np.zeros((28, 28), np.uint8)
        pixels[4:24, 13:16] = level
        Image.fromarray(pixels).save(tmp_path / "a.png")
        path = str(tmp_path / "a.png")
        image = read_input(path, mnist, prepare=spec.prepared_as_mnist)
        assert image.prepared.is_blank == is_blank
        assert ("it is blank" in image.describe(spec)) == is_blank
