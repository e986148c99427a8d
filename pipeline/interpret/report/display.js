// Helpers for the other scripts: elements, numbers and names as text, colors.

const $ = (id) => document.getElementById(id);

function fill(result, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) result.addEventListener(name.slice(2), value);
    else result.setAttribute(name, value);
  }
  result.append(...children);
  return result;
}
const element = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Run an action on Enter in an input, and on a click of its button. The page has no forms:
// they do not work in the frame in which MLflow shows the page.
function onEnter(input, button, action) {
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    action();
  });
  button.addEventListener("click", action);
}

const tableRow = (cells, kind = "", tag = "td") => element("tr", { class: kind },
  ...cells.map((cell) => element(tag, tag === "th" ? { scope: "col" } : {}, cell)));

// The position of a pointer on an element, across and down, in shares of its sides.
const positionOn = (target, { clientX, clientY }) => {
  const { left, top, width, height } = target.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
};

const DECIMALS = 4;
const MINUS = "−";

const number = (value, decimals = DECIMALS) =>
  (value < 0 ? MINUS : "") + Math.abs(value).toLocaleString("en", {
    minimumFractionDigits: decimals, maximumFractionDigits: decimals });
// A number of the selected network.
const quantity = (value, decimals) => number(value, network().isInteger ? 0 : decimals);
const rounded = (value) => Number(value.toFixed(DECIMALS));
const percent = (share, decimals = 1) => `${(100 * share).toFixed(decimals)}%`;
const integer = (value) => value.toLocaleString("en");
const plural = (count, noun) => `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
const significant = (value, digits) => (value < 0 ? MINUS : "") +
  Number(Math.abs(value).toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 9 });
// A float16 has three significant decimal digits.
const approximate = (value) => `about ${significant(value, 3)}`;
const signed = (value, text) =>
  element("span", { class: value < 0 ? "minus" : "plus" }, text);
const signedQuantity = (value) => signed(value, quantity(value));
const bold = (text) => element("b", {}, text);

const neuronName = (layer, neuron) => `N${layer}${neuron + 1}`;
const inputName = (layer, input) => (layer === 1 ? `pixel ${input}` : neuronName(1, input));
const parameterName = (layer, input, neuron) => (input === null
  ? `layer_${layer}.bias[${neuron}]` : `layer_${layer}[${input},${neuron}]`);
const capitalised = (text) => text[0].toUpperCase() + text.slice(1);

// Phrases for a class: its name, the name with the noun, one image, and all its images.
const className = (label) => model.class_names[label];
const isShort = (label) => className(label).length === 1;
const classTitle = (label) => (isShort(label) ? `${model.noun} ` : "") + className(label);
const example = (label) => (isShort(label) ? "a " : "") + className(label);
const imagesOf = (label) => className(label) + (isShort(label) ? "s" : " images");

const coordinates = (pixel) => [Math.floor(pixel / SIDE), pixel % SIDE]; // row, column
function rowAndColumn(pixel) {
  const [row, column] = coordinates(pixel);
  return `row ${row}, column ${column}`;
}

let colours;
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => style.getPropertyValue(name).trim().slice(1)
    .replace(/^(.)(.)(.)$/, "$1$1$2$2$3$3").match(/../g).map((two) => parseInt(two, 16));
  colours = Object.fromEntries(
    ["positive", "negative", "zero", "frozen", "muted", "selected"]
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

function imageCanvas(image) {
  const canvas = element("canvas");
  paintGrid(canvas, SIDE, SIDE, (pixel) => grey(image[pixel]));
  return canvas;
}

const weightColour = (value) => diverging(value / finalNetwork().largeWeight);
const templateColours = (neuron) => (pixel) => (isFrozen(pixel, neuron)
  ? colours.frozen : weightColour(network().parameter(1, pixel, neuron)));
