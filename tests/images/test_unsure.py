import pytest

from pipeline.images.unsure import images_of, one_image


@pytest.mark.parametrize(
    ("name", "several", "one"),
    [("7", "7s", "a 7"), ("sneaker", "sneaker images", "sneaker")],
)
def test_phrases_for_images_have_the_digit_or_the_name_of_the_class(name, several, one):
    assert (images_of(name), one_image(name)) == (several, one)
