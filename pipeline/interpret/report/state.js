// The loaded model and the user's selection. Everything on the page follows from `model`
// and `state`; code that changes `state` then calls `show`.
//
// A part of the page is one script. It calls `onLoad(build)` and `onChange(update)`:
// `build()` runs once, when the model is loaded. `update(result, changed)` runs then and
// after each change: `result` is what `Network.classify` returns for the image; `changed`
// says which of `epoch`, `width`, `network` (either of them), `image`, `selection` and
// `interventions` are new (true or false).

const model = {}; // see `load`
const state = {
  image: null, digitCount: 1, drawn: true, // the image and the results of its preprocessing
  boxes: null, // of the digit on the board and in the image; null: the same place in both
  row: 0, // of the image in the gallery; null: a drawing
  epoch: 0, width: null, // in bits; null: the network in floating point
  layer: 1, neuron: 0,
  input: undefined, // of the selected parameter; null: the bias; undefined: none
  interventions: [],
};

const loadListeners = [], changeListeners = [];
const onLoad = (listener) => loadListeners.push(listener);
const onChange = (listener) => changeListeners.push(listener);

const currentResult = () => network().classify(state.image, state.interventions);

let displayed = {};
function show() {
  const { image, epoch, width, layer, neuron, input } = state, result = currentResult();
  const current = { epoch, width, image, selection: `${layer} ${neuron} ${input}`,
    interventions: JSON.stringify(state.interventions) };
  const changed = Object.fromEntries(Object.entries(current).map(
    ([name, value]) => [name, displayed[name] !== value]));
  changed.network = changed.epoch || changed.width;
  displayed = current;
  for (const listener of changeListeners) listener(result, changed);
}

function load({ tensors, metadata }) {
  const last = metadata.epochs.length - 1, hidden = tensors["layer_1.bias"].length;
  const networks = metadata.epochs.map((_, epoch) =>
    new Network(tensors, hidden, epoch === last ? null : epoch));
  const alwaysZero = new Set([...Array(PIXELS).keys()].filter((pixel) =>
    tensors.nonzero_rate[pixel] === 0));
  for (const each of networks) each.copyWeights(tensors.frozen, networks[last]); // exact
  const { activations } = tensors, maxOutput = largest(activations) || 1;
  Object.assign(networks[last], { activations, maxOutput });
  Object.assign(model, metadata, { tensors, hidden, networks, alwaysZero, last,
    integers: {}, hasHistory: last > 0,
    detector: "detector.means" in tensors ? { means: tensors["detector.means"],
      components: tensors["detector.components"], maxError: metadata.max_error,
      minMargin: metadata.min_margin } : null });
  state.epoch = last;
  state.interventions = Array.from({ length: hidden }, () => ({ ...NO_INTERVENTION }));
}

// The networks in floating point are those of the epochs; `integers` has one for each width.
const network = () => model.integers[state.width] ?? model.networks[state.epoch];
const floatNetwork = () => model.networks[model.last];
const finalNetwork = () => model.integers[state.width] ?? floatNetwork();
// Whether training never changed a weight of layer 1; `frozen` has a row for each neuron.
const isFrozen = (pixel, neuron) => model.tensors.frozen[neuron * PIXELS + pixel] === 1;
const nonzeroImages = (pixel) => // in which the pixel is above 0
  Math.round(model.tensors.nonzero_rate[pixel] * model.training_images);
const testImage = (row) =>
  model.tensors.images.subarray(row * PIXELS, (row + 1) * PIXELS);

// Select a neuron, or with an input one of its parameters, and show it in the panel.
function select(layer, neuron, input) {
  Object.assign(state, { layer, neuron, input });
  displayed.selection = null; // new even if it was selected, so that it is announced
  show();
  openPanel();
}

// Announce a text to screen readers, once the page has stopped changing. Of several texts,
// the last one is announced: `page.html` lists the parts in this order.
let announcement = null;
function announce(text) {
  clearTimeout(announcement);
  announcement = setTimeout(() => { $("announcement").textContent = text; }, 700);
}
