import numpy as np

from pipeline import datasets


def test_digits_are_1500_and_297_upright_images_in_the_20_pixel_box(tmp_path):
    from sklearn.datasets import load_digits  # slow: only for this test

    digits, original = datasets.load("digits", folder=tmp_path), load_digits()
    assert (len(digits.train), len(digits.test)) == (1500, 297)
    assert digits.test.labels.tolist() == original.target[1500:].tolist()
    border = np.ones((28, 28), bool)
    border[4:24, 4:24] = False
    assert not digits.train.images[:, border].any()
    assert digits.train.images.max() == 255
    # Averaged over the same areas, the enlarged images resemble the 8x8 originals.
    boxes = digits.train.images[:, 4:24, 4:24].reshape(1500, 4, 5, 4, 5).mean((2, 4))
    small = original.images[:1500].reshape(1500, 4, 2, 4, 2).mean((2, 4))
    assert np.corrcoef(boxes.ravel(), small.ravel())[0, 1] > 0.98
