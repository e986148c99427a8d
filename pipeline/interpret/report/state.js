// The loaded model, the user's selection, and helpers for elements, numbers, names and
// colours. Everything on the page follows from `model` and `state`; code that changes
// `state` then calls `show`.

const $ = (id) => document.getElementById(id);

const model = {}; // see `load`
const state = {
  image: null, digitCount: 1, drawn: true, // the image and the results of its preprocessing
  row: 0, // of the image in the gallery; null: a drawing
  epoch: 0, layer: 1, neuron: 0, input: null, // null: the bias
  interventions: [],
};

function load({ tensors, metadata }) {
  const { hidden, epochs, detector } = metadata, last = epochs.length - 1;
  const networks = epochs.map((_, epoch) =>
    new Network(tensors, hidden, epoch === last ? null : epoch));
  const alwaysZero = new Set(metadata.always_zero);
  for (const each of networks) each.copyWeights(alwaysZero, networks[last]); // exact
  Object.assign(model, { ...metadata, tensors, networks, alwaysZero, last,
    hasHistory: last > 0,
    detector: detector && { ...detector, means: tensors["detector.means"],
      components: tensors["detector.components"] } });
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

// --- Elements -----------------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const result = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) result.addEventListener(name.slice(2), value);
    else result.setAttribute(name, value);
  }
  result.append(...children);
  return result;
}

function svg(tag, attributes, ...children) {
  const result = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) result.setAttribute(name, value);
  result.append(...children);
  return result;
}

function setCurrent(button, isCurrent) {
  if (isCurrent) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

// --- Numbers and names ----------------------------------------------------------------

const DECIMALS = 4;
const MINUS = "−";

const number = (value, decimals = DECIMALS) =>
  (value < 0 ? MINUS : "") + Math.abs(value).toLocaleString("en", {
    minimumFractionDigits: decimals, maximumFractionDigits: decimals });
const rounded = (value) => Number(value.toFixed(DECIMALS));
const percent = (share, decimals = 1) => `${(100 * share).toFixed(decimals)}\u00a0%`;
const integer = (value) => value.toLocaleString("en");
const plural = (count, noun) => `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
// A float16 has three significant decimal digits.
const approximate = (value) => `about ${value < 0 ? MINUS : ""}` +
  Number(Math.abs(value).toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 9 });
const signed = (value) => element("span",
  { class: value < 0 ? "minus" : "plus" }, number(value));

const neuronName = (layer, neuron) => `N${layer}${neuron + 1}`;
const inputName = (layer, input) => (layer === 1 ? `pixel ${input}` : neuronName(1, input));
const parameterName = (layer, input, neuron) => (input === null
  ? `layer_${layer}.bias[${neuron}]` : `layer_${layer}[${input},${neuron}]`);
const rowAndColumn = (pixel) => `row ${Math.floor(pixel / SIDE)}, column ${pixel % SIDE}`;

// --- Colours --------------------------------------------------------------------------

let colours;
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => style.getPropertyValue(name).trim().slice(1)
    .replace(/^(.)(.)(.)$/, "$1$1$2$2$3$3").match(/../g).map((two) => parseInt(two, 16));
  colours = Object.fromEntries(
    ["positive", "negative", "zero", "untrained", "muted", "selected"]
      .map((name) => [name, rgb(`--${name}`)]));
}

const grey = (level) => [level, level, level];
function diverging(value) {
  const strength = Math.min(Math.abs(value), 1);
  const full = value < 0 ? colours.negative : colours.positive;
  return colours.zero.map((zero, i) => zero + strength * (full[i] - zero));
}

// Paint a grid pixel by pixel; colourOf(place) returns red, green and blue.
function paintGrid(canvas, height, width, colourOf) {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  for (let place = 0; place < height * width; place++)
    pixels.data.set([...colourOf(place), 255], 4 * place);
  context.putImageData(pixels, 0, 0);
}

// The weights of a hidden neuron as colours; the largest 1 % have the full colour.
const colourScales = new Map();
function templateColours(neuron) {
  if (!colourScales.has(state.epoch)) {
    const sizes = network().kernels[0].map(Math.abs).sort();
    colourScales.set(state.epoch, sizes[Math.floor(0.99 * (sizes.length - 1))] || 1);
  }
  const scale = colourScales.get(state.epoch);
  return (pixel) => (model.alwaysZero.has(pixel) ? colours.untrained
    : diverging(network().parameter(1, pixel, neuron) / scale));
}
