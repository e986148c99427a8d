// The loaded model and the user's selection. Everything on the page follows from `model`
// and `state`; code that changes `state` then calls `show`.

const model = {}; // see `load`
const state = {
  image: null, digitCount: 1, drawn: true, // the image and the results of its preprocessing
  row: 0, // of the image in the gallery; null: a drawing
  epoch: 0, layer: 1, neuron: 0, input: null, // null: the bias
  interventions: [],
};

function load({ tensors, metadata }) {
  const last = metadata.epochs.length - 1, hidden = tensors["layer_1.bias"].length;
  const networks = metadata.epochs.map((_, epoch) =>
    new Network(tensors, hidden, epoch === last ? null : epoch));
  const alwaysZero = new Set([...Array(PIXELS).keys()].filter((pixel) =>
    tensors.nonzero_rate[pixel] === 0));
  for (const each of networks) each.copyWeights(alwaysZero, networks[last]); // exact
  Object.assign(model, metadata, { tensors, hidden, networks, alwaysZero, last,
    hasHistory: last > 0,
    detector: "detector.means" in tensors ? { means: tensors["detector.means"],
      components: tensors["detector.components"], maxError: metadata.max_error,
      minMargin: metadata.min_margin } : null });
  state.epoch = last;
  state.interventions = Array.from({ length: hidden }, () => ({ ...NO_INTERVENTION }));
}

const network = () => model.networks[state.epoch];
const finalNetwork = () => model.networks[model.last];
const testImage = (row) =>
  model.tensors.images.subarray(row * PIXELS, (row + 1) * PIXELS);

function select(layer, neuron, input = null) {
  Object.assign(state, { layer, neuron, input });
  show();
  announce(input === null
    ? `${$("t-sum").textContent}: ${$("equation").lastChild.textContent}`
    : `${$("t-parameter").textContent}. ${$("parameter-text").textContent}`);
}

// Tell a screen reader, once the page has stopped changing.
let announcement = null;
function announce(text) {
  clearTimeout(announcement);
  announcement = setTimeout(() => { $("announcement").textContent = text; }, 700);
}
