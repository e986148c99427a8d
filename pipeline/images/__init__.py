"""A user's images of any size and kind -> 28x28 pixels, preprocessed as in MNIST.

`listing` finds the images, and `preprocessed_images` preprocesses them one by one. The
steps are in `reading`, `sheet`, `ink`, `digit` and `form`, in this order. `scene`
determines what is known about a photograph before the search for a digit, and
`preprocessing` performs the search. The table "An image" in .github/DESIGN.md describes
the steps. `constants` contains the numbers of the steps, and `unsure` contains the
rules that make a prediction unsure.
"""

from pipeline.images.listing import ImageKind, ImageSet, list_images
from pipeline.images.preprocessed_images import PreprocessedImages, preprocess_images
from pipeline.images.preprocessing import preprocess
from pipeline.images.reading import read_image
