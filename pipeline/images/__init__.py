"""A user's image -> 28x28, prepared as in MNIST: reading, ink, preprocessing."""

from pipeline.images.preprocessing import PreparedImage, preprocess, resize_only
from pipeline.images.reading import (
    ImageEntry,
    ImageListing,
    list_images,
    read_image,
    relative_name,
)

__all__ = [
    "ImageEntry",
    "ImageListing",
    "PreparedImage",
    "list_images",
    "preprocess",
    "read_image",
    "relative_name",
    "resize_only",
]
