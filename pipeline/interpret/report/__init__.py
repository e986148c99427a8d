"""The report page: one HTML file that shows every parameter of a trained network.

The page computes in the browser and sends no request, so it opens from disk and in the
sandboxed frame in which MLflow shows artifacts. It does not train or change a network.

`page_data` says what Python gives to the page. `page` selects it and fills the
templates; `curve` computes the plots of the learning curve. A good order to read the
scripts:

- page.js: starts the page. It reads the data, makes the networks, and builds the parts
  of the page, in the order in which they are updated.
- model.js: `model`, what was loaded, and `state`, what the user selected. What changes
  `state` then calls `show`, which updates all parts.
- networks.js: computes as Python does. display.js: elements, numbers, colors.
- drawing.js: the drawing area and the test images, which set the image in `state`.
- neurons.js: the tiles of layer 1 and the bars of layer 2; also, updated later, the
  prediction and the effect of neurons that are switched off.
- panel.js: the sum of the selected neuron, and the softmax.
- parameter.js: the weights of the neuron as an image, and the selected parameter.
- selectors.js: the epochs or the bit widths and the search, which are the first parts,
  and the learning curve.
- connections.js: the lines between neurons, after the elements that they connect.
- tour.js: the tour, last, because it points at all other parts; tour_steps.js defines
  its steps.
"""

from pipeline.interpret.report.page import PAGE_FILE, reason_for_no_page, render
from pipeline.interpret.report.page_data import BitWidthData, PageIntegers
