// The loaded model and the user's selection. Everything on the page follows from
// `model` and `state`; code that changes `state` then calls `show`.

import { PIXELS, signed } from "display.js";

/**
 * What was loaded: the fields of `PageData` in page_data.py, and
 * @property {Object<string, TypedArray>} tensors  see `Tensors`
 * @property {Array<FloatNetwork|IntegerNetwork>} networks  one can be selected
 * @property {FloatNetwork} float  the final network in floating point
 * @property {number} last  its index in `networks`
 * @property {boolean} hasHistory  whether `networks` has earlier epochs
 *
 * @typedef {object} Tensors  each row by row; select_data in page.py makes them
 * @property layer_1.weight  (hidden, 784), the final network
 * @property layer_1.bias  (hidden)
 * @property layer_2.weight  (10, hidden)
 * @property layer_2.bias  (10)
 * @property epochs.layer_1.weight  (hidden, 784, epochs) and so on, in 16 bits
 * @property images  (n, 784), gray levels, with image_labels (n)
 * @property activations  (m, hidden) for test images, with labels (m)
 * @property frozen  (hidden, 784), 1: training never changed the weight
 * @property nonzero  (784), the training images in which the pixel is above 0
 * @property detector.means  (10, 784), with detector.components (10, k, 784)
 * @property 8bit.weights_1  and so on: the arrays of deploy/integers.py
 *
 * @typedef {object} Result  what `classify` of a network returns
 * @property pixels  (784), in [0, 1] or gray levels
 * @property hiddenSums  (hidden), biases included
 * @property hidden  (hidden), the outputs
 * @property logits  (10), the sums of layer 2
 * @property realLogits  (10), the real numbers that they stand for
 * @property probabilities  (10), in [0, 1]
 */
export const model = {};
export const state = {
  strokes: [], // the drawing, see `drawing.js`
  image: null, finding: "", // the image, and what makes it unsure, as in unsure.py
  transform: null, // how the board became the image; null: it is a test image
  row: 0, // the place of the image in the gallery; null: it is a drawing
  networkIndex: 0, // the place in `model.networks`: an epoch, or a bit width
  layer: 1, neuron: 0, // the selected neuron
  input: null, // the selected parameter: an input's number, or "bias"; null: none
  isOpen: false, // whether the panel of the selected neuron is open
  off: new Set(), // the hidden neurons that are switched off
};

export const network = () => model.networks[state.networkIndex];
export const currentResult = () => network().classify(state.image, state.off);

let parts = [], displayed = {};

// Show the state on the parts of the page, in their order. `update(result, changed)` of
// a part gets what `classify` returns for the image, and which of `network`, `final`
// (see `load`), `image`, `selection` and `off` are new.
export function show() {
  const { image, layer, neuron, input, off } = state, result = currentResult();
  const current = { network: network(), final: network().final, image,
    selection: `${layer} ${neuron} ${input}`, off: [...off].join() };
  const changed = Object.fromEntries(Object.entries(current).map(
    ([name, value]) => [name, displayed[name] !== value]));
  displayed = current;
  for (const part of parts) part.update?.(result, changed);
}

export const repaint = () => { displayed = {}; show(); };

// Build the parts in their order.
export function build(list) {
  parts = list;
  for (const part of parts) part.build?.();
}

// Select a neuron, or with an input one of its parameters; all parts show it.
export function select(layer, neuron, input = null) {
  Object.assign(state, { layer, neuron, input, isOpen: true });
  displayed.selection = null; // new even if it was selected, so that it is announced
  show();
}

// Whether training never changed a parameter; this is measured for weights of layer 1.
export const isFrozen = (layer, input, neuron) => layer === 1 && input !== "bias" &&
  model.tensors.frozen[neuron * PIXELS + input] === 1;
export const testImage = (row) =>
  model.tensors.images.subarray(row * PIXELS, (row + 1) * PIXELS);

// A number of the selected network as text, and with the color of its sign.
export const quantity = (value, decimals) => network().format(value, decimals);
export const signedQuantity = (value) => signed(value, quantity(value));

// Phrases for a class: its name, the name with the noun, and one image.
export const className = (label) => model.class_names[label];
export const isShort = (label) => className(label).length === 1;
export const classTitle = (label) =>
  (isShort(label) ? `${model.noun} ` : "") + className(label);
export const example = (label) => (isShort(label) ? "a " : "") + className(label);
