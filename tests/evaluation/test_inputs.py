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


@pytest.mark.parametrize(
    ("network", "steps"), [("mnist", 6), ("fashion_mnist", 1)], ids=["mnist", "fashion"]
)
def test_a_file_is_preprocessed_or_only_resized(mnist, tmp_path, network, steps):
    spec, path = datasets.spec(network), tmp_path / "a.png"
    for level, is_blank in ((0, True), (255, False)):
        pixels = np.zeros((56, 56), np.uint8)
        pixels[8:48, 26:32] = level
        Image.fromarray(pixels).save(path)
        image = read_input(str(path), mnist, prepare=spec.prepared_as_mnist)
        assert image.prepared.is_blank == is_blank
        assert ("it is blank" in image.describe(spec)) == is_blank
    assert len(image.prepared.steps) == steps
