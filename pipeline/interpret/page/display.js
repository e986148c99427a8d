// Functions with which the other scripts display elements, announcements, numbers,
// names and colors.

export const SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10;
export const WHITE = 255; // the highest gray level

export const $ = (id) => document.getElementById(id);

// Return a function that creates elements of HTML, or of SVG.
const elementsOf = (namespace) => (tag, attributes = {}, ...children) => {
  const result = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) result.addEventListener(name.slice(2), value);
    else result.setAttribute(name, value);
  }
  result.append(...children);
  return result;
};
export const element = elementsOf("http://www.w3.org/1999/xhtml");
export const svg = elementsOf("http://www.w3.org/2000/svg");

// Run an action on Enter in an input, and on a click of its button. The page has no
// forms, because forms do not work in the frame in which MLflow shows the page.
export function onEnter(input, button, action) {
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    action();
  });
  button.addEventListener("click", action);
}

// Announce a text to screen readers, once the page has stopped changing. Of several
// texts, the last one is announced.
let announcement = null;
export function announce(text) {
  clearTimeout(announcement);
  announcement = setTimeout(() => { $("announcement").textContent = text; }, 700);
}

export const tableRow = (cells, kind = "", tag = "td") =>
  element("tr", { class: kind }, ...cells.map((cell) =>
    element(tag, tag === "th" ? { scope: "col" } : {}, cell)));

// The position of a pointer on an element, across and down, as fractions of its sides.
export function positionOn(target, { clientX, clientY }) {
  const { left, top, width, height } = target.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
}

export const sum = (values) => values.reduce((total, value) => total + value, 0);
// The largest of values and 0.
export const largest = (values) => values.reduce((a, b) => Math.max(a, b), 0);
// The indices of values, from the highest value to the lowest.
export const ranked = (values) =>
  [...values.keys()].sort((a, b) => values[b] - values[a] || a - b);

const DECIMALS = 4;
export const MINUS = "−";

// Round to the nearest number; round ties away from zero, as `rounded` does in Python.
export const rounded = (value, decimals = DECIMALS) => Number(value.toFixed(decimals));
// The rounded number as text, which is never −0.0000.
const formats = []; // by the count of decimal places; creating a format takes long
export function number(value, decimals = DECIMALS) {
  const shown = rounded(value, decimals);
  formats[decimals] ??=
    new Intl.NumberFormat("en", { minimumFractionDigits: decimals });
  return (shown < 0 ? MINUS : "") + formats[decimals].format(Math.abs(shown));
}
export const percent = (share, decimals = 1) => `${number(100 * share, decimals)}%`;
// A probability of a softmax, which is never 0% or 100%; as `probability_text` in Python.
export const probabilityText = (share) => share >= 0.9995 ? ">99.9%"
  : share <= 0.0005 ? "<0.1%" : percent(share);
export const integer = (value) => number(value, 0);
export const plural = (count, noun) =>
  `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
export const significant = (value, digits) => (value < 0 ? MINUS : "") +
  Number(Math.abs(value).toPrecision(digits))
    .toLocaleString("en", { maximumSignificantDigits: digits });
// Replace each {name} in a text with the value of this name; return a single line.
export const fillIn = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => {
  if (!(name in values)) throw Error(`{${name}} has no value in: ${text}`);
  return values[name];
}).replace(/[ \n]+/g, " ").trim();
export const fillTemplate = (id, values) => fillIn($(id).content.textContent, values);
export const capitalized = (text) => text[0].toUpperCase() + text.slice(1);

export const signed = (value, text) =>
  element("span", { class: value < 0 ? "minus" : "plus" }, text);

export const neuronName = (layer, neuron) => `N${layer}${neuron + 1}`;
// An input is the index of a pixel or a neuron, or BIAS.
export const BIAS = "bias";
export function inputName(layer, input) {
  if (input === BIAS) return input;
  return layer === 1 ? `pixel ${input}` : neuronName(1, input);
}
export const parameterName = (layer, input, neuron) => (input === BIAS
  ? `layer_${layer}.bias[${neuron}]` : `layer_${layer}[${input},${neuron}]`);

export const coordinates = (pixel) => [Math.floor(pixel / SIDE), pixel % SIDE];
export const rowAndColumn = (pixel) =>
  `row ${Math.floor(pixel / SIDE)}, column ${pixel % SIDE}`;

export const colors = {}; // by name, each as red, green and blue
export function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["positive", "negative", "zero", "frozen", "muted", "selected"]) {
    const digits = style.getPropertyValue(`--${name}`).trim().slice(1); // six
    colors[name] = digits.match(/../g).map((two) => parseInt(two, 16));
  }
}

export const gray = (level) => [level, level, level];
// The color of a value from -1 to 1.
export function diverging(value) {
  const strength = Math.min(Math.abs(value), 1);
  const full = value < 0 ? colors.negative : colors.positive;
  return colors.zero.map((zero, i) => zero + strength * (full[i] - zero));
}

// Paint 28x28 pixels; colorOf(pixel) returns red, green and blue.
export function paintPixels(canvas, colorOf) {
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d"), pixels = context.createImageData(SIDE, SIDE);
  for (let pixel = 0, i = 0; pixel < PIXELS; pixel++) {
    for (const part of colorOf(pixel)) pixels.data[i++] = part;
    pixels.data[i++] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

export function imageCanvas(image) {
  const canvas = element("canvas");
  paintPixels(canvas, (pixel) => gray(image[pixel]));
  return canvas;
}
