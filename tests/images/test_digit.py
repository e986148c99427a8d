import numpy as np
import pytest

from pipeline.images.digit import compare_ring, find_flat, ring_around

Y, X = np.mgrid[:20, :20]
BLOB = np.hypot(Y - 10, X - 10) <= 4
INK = np.where(BLOB, 0.3, 0).astype(np.float32)


def stroke():
    """Return a stroke darker than its paper; a blur then halves the difference."""
    return np.where(BLOB, 80, 200).astype(np.uint8)


def ramp():
    """Return shaded paper that becomes lighter slowly: its ink ends without an edge."""
    return (200 - 3 * X).astype(np.uint8)


def stroke_in_shadow():
    """Return a stroke that is joined to shaded paper on its right."""
    return np.where(X > 10, 140, stroke()).astype(np.uint8)


@pytest.mark.parametrize(
    ("draw", "is_flat"), [(stroke, False), (ramp, True), (stroke_in_shadow, True)]
)
def test_ink_that_ends_without_an_edge_is_flat(draw, is_flat):
    found = find_flat(draw(), INK, BLOB)
    np.testing.assert_array_equal(found, BLOB if is_flat else np.zeros_like(BLOB))


def test_only_the_flat_one_of_two_blobs_is_found():
    levels, ink = np.hstack([stroke(), ramp()]), np.hstack([INK, INK])
    found = find_flat(levels, ink, ink > 0)
    np.testing.assert_array_equal(found, np.hstack([np.zeros_like(BLOB), BLOB]))


def test_the_ring_is_four_pixels_away_and_knows_the_nearest_pixel_of_a_blob():
    blobs = np.zeros((20, 40), bool)
    blobs[10, [10, 30]] = True
    ring, (rows, columns) = ring_around(blobs)
    y, x = np.nonzero(ring)
    distances = np.hypot(y - rows, x - columns)
    assert (rows == 10).all() and {*columns} == {10, 30}
    assert distances.min() > 3.5 and distances.max() < 4.5
    assert ring[6, 10] and ring[10, 34] and not ring[10, 20]


def test_the_ring_is_compared_only_where_the_ink_ends():
    ring, nearest = ring_around(BLOB)
    ink = np.where(X < 10, INK, 0.3).astype(np.float32)  # another stroke on the right
    is_end, has_edge = compare_ring(stroke(), ink, ring, nearest)
    np.testing.assert_array_equal(is_end, np.nonzero(ring)[1] < 10)
    assert has_edge[is_end].all()
