"""A user's image of any size and kind -> 28x28, preprocessed as in MNIST."""

from pipeline.images.ink import Levels
from pipeline.images.listing import ImageEntry, ImageListing, list_images
from pipeline.images.preprocessing import PreparedImage, preprocess, resize_only
from pipeline.images.reading import read_image
