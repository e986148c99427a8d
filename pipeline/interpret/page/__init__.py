"""The interactive page: one HTML file that shows every parameter of a trained network.

The page computes in the browser and sends no request, so it opens from disk and in the
sandboxed frame in which MLflow shows artifacts. It does not train or change a network.

`page_data` defines the data that Python gives to the page. `rendering` selects the data
and fills the templates. `curve` computes the plots of the learning curve, and
`integer_data` selects the data of a quantized network. `recording` writes and records
the page.

There are two kinds of page. epoch_page.html and bit_width_page.html extend page.html.
`PageKind` in `rendering` defines the differences between the kinds in Python, and
`start` in page.js selects the parts by `PageData.kind`.

Read the scripts in this order:

- page.js starts the page: it reads the data, creates the networks, and builds the parts
  of the page, in the order in which the parts are updated.
- model.js contains `model`, the loaded data, and `state`, the selection of the user.
  Only the function `change` changes `state`. It then updates all parts.
- networks.js repeats the computations of Python for networks and the detector, and
  drawing.js repeats the computations for drawings.
- display.js displays elements, numbers and colors for all parts.

The parts, one subject in each file:

- input_image.js: the image, which is a drawing or a test image.
- selectors.js: the selection of the network, by epoch or by bit width.
- neurons.js: the tiles of layer 1, and the bars of layer 2.
- connections.js: the lines to and from the selected neuron.
- prediction.js: the prediction, why it is unsure, and the accuracy.
- search.js: the search for a neuron, a parameter or a pixel by its name.
- panel.js: the sum of the selected neuron, and the softmax.
- parameter.js: the weights of the neuron as an image, and the selected parameter.
- tour.js: the tour, which points at all other parts.
"""

from pipeline.interpret.page.recording import record_page
from pipeline.interpret.page.rendering import PAGE_FILE, render_page
