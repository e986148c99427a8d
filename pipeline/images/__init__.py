"""A user's images of any size and kind -> 28x28 pixels, preprocessed as in MNIST.

`listing` finds the images, and `preparing` prepares them one by one, with `preprocess`
or `resize`; `prepare_for` in `evaluation` then straightens them, if the network was
trained on upright images. Each image that is preprocessed passes through these steps;
`preprocess` in `preprocessing` calls those after the first:

1. `reading` turns the file into gray levels.
2. `sheet` removes what lies around the sheet of paper, in a photograph.
3. `ink` separates ink from paper: the fraction of light that each pixel absorbs. Images
   with a side of more than 64 pixels count as photographs, in which light and noise
   vary.
4. `digit` finds the strokes of the digit. For a small digit in a large photograph,
   steps 3 and 4 are repeated with its surroundings, in more detail.
5. `form` scales the strokes to a box of 20x20 pixels, adjusts their width, and centers
   them; `digit` then judges whether they can be one digit.

The constants of the steps are in `constants`, and the rules that make a prediction
unsure in `unsure`.
"""

from pipeline.images.listing import ImageSet, Kind, list_images
from pipeline.images.preparing import PreparedImages, prepare
from pipeline.images.preprocessing import preprocess
from pipeline.images.reading import read_image
