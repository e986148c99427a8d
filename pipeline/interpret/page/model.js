// The loaded model and the user's selection. Everything on the page follows from
// `model` and `state`. After `build`, only `change` changes the state.

import { BIAS, PIXELS, readColors, signed } from "display.js";

/**
 * The loaded data: the fields of `PageData` in page_data.py, and the fields below. A
 * field or tensor from Python has a name with underscores, such as class_names.
 *
 * @property {Object<string, TypedArray>} tensors  see `Tensors`
 * @property {Array<FloatNetwork|IntegerNetwork>} networks  the user selects one
 * @property {FloatNetwork} trained  the network after the last epoch
 * @property {number} trainedIndex  the index of `trained` in `networks`
 * @property {Detector} detector  checks predictions of `trained`; null if there is none
 * @property {boolean} hasEarlierEpochs  whether `networks` has earlier epochs
 *
 * @typedef {object} Tensors  each row by row; select_data in rendering.py returns them
 * @property layer_1.weight  (hidden, 784), after the last epoch
 * @property layer_1.bias  (hidden)
 * @property layer_2.weight  (10, hidden)
 * @property layer_2.bias  (10)
 * @property epochs.layer_1.weight  (hidden, 784, epochs) and so on, rounded to 16 bits
 * @property images  (n, 784), gray levels, with image_labels (n)
 * @property activations  (m, hidden) for test images, with labels (m)
 * @property frozen.layer_1.weight  (hidden, 784) and so on, 1: training never changed
 *   the parameter; without a weight history, there is only this array
 * @property images_with_ink  (784), the training images in which the pixel is above 0
 * @property detector.means  (10, 784), with detector.components (10, k, 784)
 * @property 8bit.weights_1  and so on: the arrays of integers/integer_network.py
 *
 * @typedef {object} ShownImage  a new one for each image or drawing
 * @property image  (784), gray levels
 * @property {string} finding  why the prediction is unsure, as in unsure.py
 * @property strokes  the drawing, see drawing.js; empty for a test image
 * @property {number} stray  the number of strokes that are ignored
 * @property transform  from the board to the image; null for a test image
 * @property index  the index of a test image in the gallery; null for a drawing
 *
 * @typedef {object} Result  the result of `classify` of a network
 * @property pixels  (784), in [0, 1] or gray levels
 * @property hiddenSums  (hidden), including the biases
 * @property outputs  (hidden), the outputs of layer 1
 * @property logits  (10), the sums of layer 2
 * @property realLogits  (10), the real numbers that the logits represent
 * @property probabilities  (10), in [0, 1]
 * @property first  the class with the highest probability, and second
 */
export const model = {};
export const state = {
  shown: null, // the image that is classified, see `ShownImage`
  networkIndex: 0, // an index in `model.networks`: an epoch, or a bit width
  layer: 1, neuron: 0, // the selected neuron
  input: null, // the selected parameter: an input's number, or BIAS; null: none
  isOpen: false, // whether the panel of the selected neuron is open
  off: new Set(), // the hidden neurons that are switched off
  hasLines: false, // whether lines show the products of the selected neuron
  isEpochFixed: false, // whether a step of the tour needs the selected epoch
};

export const network = () => model.networks[state.networkIndex];
export const currentResult = () => network().classify(state.shown.image, state.off);

let parts = [], displayed = {}, isUpdating = false;

/**
 * Change fields of `state`, then call `update(result, changed)` of each part in order.
 * A part displays the state and never calls `change` in `update`. Fields get new
 * values. For example, `off` gets a new set, because `changed` compares identities.
 *
 * @param {object} fields  such as { neuron: 3 }
 *
 * @typedef {object} Changed  the changes, so that a part displays only new values
 * @property {boolean} network  the selected network
 * @property {boolean} evaluated  `evaluated` of the selected network, see networks.js
 * @property {boolean} image
 * @property {boolean} off
 * @property {boolean} selection  the neuron or parameter: new, or selected again
 */
export function change(fields) {
  if (isUpdating) throw Error("a part called change in update");
  Object.assign(state, fields);
  const current = { network: network(), evaluated: network().evaluated,
    image: state.shown.image, off: state.off };
  const changed = Object.fromEntries(Object.entries(current).map(
    ([name, value]) => [name, displayed[name] !== value]));
  changed.selection = "neuron" in fields || "input" in fields;
  displayed = current;
  const result = currentResult();
  isUpdating = true;
  try {
    for (const part of parts) part.update?.(result, changed);
  } finally {
    isUpdating = false;
  }
}

// Display everything again, in the colors of the style sheet.
export const repaint = () => { readColors(); displayed = {}; change({}); };

// Build the parts in order; `fields` are the first values of fields of `state`.
export function build(list, fields) {
  parts = list;
  Object.assign(state, fields);
  for (const part of parts) part.build?.();
}

// Select a neuron. With an input, also select the parameter of this input.
export const select = (layer, neuron, input = null) =>
  change({ layer, neuron, input, isOpen: true });

// Whether training never changed a parameter.
export function isFrozen(layer, input, neuron) {
  const isBias = input === BIAS;
  const marks = model.tensors[`frozen.layer_${layer}.${isBias ? "bias" : "weight"}`];
  return marks?.[isBias ? neuron : neuron * network().inputs(layer) + input] === 1;
}

export const testImage = (index) =>
  model.tensors.images.subarray(index * PIXELS, (index + 1) * PIXELS);

// A number of the selected network as text, and with the color of its sign.
export const quantity = (value, decimals) => network().format(value, decimals);
export const signedQuantity = (value) => signed(value, quantity(value));

// A class: its name, and the name with the noun.
export const className = (label) => model.class_names[label];
export const isShort = (label) => className(label).length === 1;
export const classTitle = (label) => model.class_titles[label];
