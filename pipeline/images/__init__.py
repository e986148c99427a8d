"""A user's images of any size and kind -> 28x28 pixels, preprocessed as in MNIST.

An image passes through these steps: `listing` finds it, `reading` turns its file into
gray levels, `sheet` removes what lies around the paper, `ink` separates ink from paper,
`digit` finds and judges the digit, and `preprocessing` puts it in MNIST's form.
`preparing` does all of them for a set of images. The constants of the steps are in
`constants`.
"""

from pipeline.images.listing import ImageSet, list_images
from pipeline.images.preparing import PreparedImages, prepare
from pipeline.images.preprocessing import preprocess
from pipeline.images.reading import read_image
