// The neurons of both layers: the tiles of layer 1 with their switches, the bars of
// layer 2, and the lines between them. A line represents a product: its color shows the
// sign, its width the size.

import {
  $, SIDE, colors, coordinates, diverging, element, largest, neuronName, paintPixels,
  percent, plural, svg,
} from "display.js";
import {
  change, classTitle, currentResult, isFrozen, model, network, quantity, select, state,
} from "model.js";

// A button that selects a neuron; from the keyboard, the focus moves on to the panel.
const neuronButton = (layer, neuron, attributes, ...children) => element("button", {
  type: "button", ...attributes, onclick: ({ detail }) => {
    select(layer, neuron);
    if (!detail) $("t-sum").focus();
  } }, ...children);

export const weightColor = (value) => diverging(value / network().weightScale);
export const templateColors = (neuron) => (pixel) => (isFrozen(1, pixel, neuron)
  ? colors.frozen : weightColor(network().parameter(1, pixel, neuron)));

export const tiles = [], outputs = [];

function buildTile(neuron) {
  const canvas = element("canvas"), value = element("span"), bar = element("span");
  const name = neuronName(1, neuron);
  const button = neuronButton(1, neuron, {}, canvas,
    element("span", { class: "name" }, element("b", {}, name), value),
    element("span", { class: "track" }, bar));
  const toggle = element("button", { type: "button", role: "switch",
    "aria-label": `${name} switched on`, onclick: () => {
      const off = new Set(state.off);
      if (!off.delete(neuron)) off.add(neuron);
      change({ off });
    } });
  $("neurons").append(element("div", { class: "tile" }, button, toggle));
  tiles.push({ canvas, value, bar, button, toggle });
}

function buildOutput(name, label) {
  const bar = element("span"), share = element("span", { class: "share" });
  const button = neuronButton(2, label, { class: "output" }, element("b", {}, name),
    element("span", { class: "track" }, bar), share);
  $("outputs").append(button);
  outputs.push({ bar, share, button });
}

// The arrow keys move the focus among the neurons of a layer.
function moveFocus(event, neurons) {
  const { gridTemplateColumns } = getComputedStyle(event.currentTarget);
  const columns = gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns,
    ArrowDown: columns }[event.key];
  const index = neurons.findIndex(({ button }) => button === event.target);
  if (!step || index < 0) return;
  event.preventDefault();
  neurons[index + step]?.button.focus();
}

// Both ends of the scale of the colors, and the length of a full bar. They are the same
// for all images and epochs.
function showLegends() {
  for (const [name, text] of Object.entries(network().legend()))
    for (const each of document.querySelectorAll(`[data-legend=${name}]`))
      each.textContent = text;
}

export const neurons = {
  build() {
    for (let neuron = 0; neuron < model.hidden; neuron++) buildTile(neuron);
    model.class_names.forEach(buildOutput);
    $("neurons").addEventListener("keydown", (event) => moveFocus(event, tiles));
    $("outputs").addEventListener("keydown", (event) => moveFocus(event, outputs));
  },

  update({ hidden, probabilities }, changed) {
    if (changed.final) showLegends();
    if (changed.network) tiles.forEach(({ canvas }, neuron) =>
      paintPixels(canvas, templateColors(neuron)));
    const { maxOutput } = network(), { layer, neuron: selected, off } = state;
    tiles.forEach((tile, neuron) => {
      const value = hidden[neuron], share = Math.max(value, 0) / maxOutput;
      tile.value.textContent = quantity(value, 1);
      tile.bar.style.width = `${100 * Math.min(share, 1)}%`;
      tile.button.ariaLabel = `${neuronName(1, neuron)}, output ${quantity(value, 2)}`;
      tile.button.setAttribute("aria-current", layer === 1 && selected === neuron);
      tile.toggle.setAttribute("aria-checked", !off.has(neuron));
      tile.toggle.textContent = off.has(neuron) ? "off" : "on";
    });
    outputs.forEach(({ bar, share, button }, label) => {
      bar.style.width = `${100 * probabilities[label]}%`;
      share.textContent = percent(probabilities[label]);
      button.ariaLabel =
        `${neuronName(2, label)}, ${classTitle(label)}: ${share.textContent}`;
      button.setAttribute("aria-current", layer === 2 && selected === label);
    });
    const active = hidden.filter((value) => value > 0).length;
    $("active").textContent = `${active} of ${plural(hidden.length, "neuron")} active`;
  },
};

// In each direction, the lines show the largest products.
const MAX_LINES = 40;
const MAX_LINE_WIDTH = 8; // pixels of the screen, for the largest product
const MIN_SHARE = 0.02; // fraction of the largest product; no smaller one is drawn

// The products into and out of the selected neuron, each as { from, to, product }: two
// boxes on the screen and a number. A neuron of layer 2 has no connections out of it.
// Neurons that are scrolled out of view have none.
function connectionsOf({ pixels, hidden }) {
  const { layer, neuron } = state;
  const line = (from, to, value, location) =>
    ({ from, to, product: value * network().parameter(...location) });
  const outputBox = (label) => outputs[label].button.getBoundingClientRect();
  if (layer === 2) return [Array.from(hidden, (value, input) =>
    line(tileBox(input), outputBox(neuron), value, [2, input, neuron]))
    .filter(({ from }) => from), []];
  const tile = tileBox(neuron), grid = inputGrid();
  if (!tile) return [[], []];
  return [
    Array.from(pixels, (value, pixel) =>
      line(pixelBox(grid, pixel), tile, value, [1, pixel, neuron])),
    outputs.map((_, label) =>
      line(tile, outputBox(label), hidden[neuron], [2, neuron, label]))];
}

// The box of a tile; null if it is scrolled out of view, among many neurons.
function tileBox(neuron) {
  const box = tiles[neuron].button.getBoundingClientRect();
  const frame = $("neurons").getBoundingClientRect();
  return box.bottom > frame.top + 8 && box.top < frame.bottom - 8 ? box : null;
}

// Where the 28x28 pixels are over the board, and the side of a pixel: a test image
// fills the board; that of a drawing is moved and scaled so that its pixels cover the
// drawn strokes. `pixelBox` undoes its shear.
function inputGrid() {
  const { left, top, width } = $("board").getBoundingClientRect(); // a square
  const transform = state.shown.transform ?? { scale: SIDE, left: 0, top: 0 };
  const side = width / transform.scale;
  return { left: left - side * transform.left, top: top - side * transform.top, side };
}

function pixelBox({ left, top, side }, pixel) {
  const [row, column] = coordinates(pixel);
  const sheared = column + (state.shown.transform?.shear?.(row) ?? 0);
  const [x, y] = [left + (sheared + 0.5) * side, top + (row + 0.5) * side];
  return { left: x, right: x, top: y, bottom: y };
}

// A curve from one box to another: horizontal if the second is to the right of the
// first, as in the three columns of a wide page, otherwise vertical.
function curveBetween(from, to) {
  const middle = (box) => [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const [[fromX, fromY], [toX, toY]] = [from, to].map(middle);
  if (isBeside(from, to)) {
    const [a, b] = [from.right, to.left];
    // A line from a pixel goes to the other row in the gap, not across the prediction.
    const bend = Math.max((a + b) / 2, $("input").getBoundingClientRect().right + 10);
    return [[a, fromY], [bend, fromY], [bend, toY], [b, toY]];
  }
  const [a, b] = toY > fromY ? [from.bottom, to.top] : [from.top, to.bottom];
  return [[fromX, a], [fromX, (a + b) / 2], [toX, (a + b) / 2], [toX, b]];
}
// In one column, a pixel can be to the left of a tile by chance.
const isBeside = (from, to) => to.left >= from.right &&
  $("layer-1").getBoundingClientRect().top < $("input").getBoundingClientRect().bottom;

const size = ({ product }) => Math.abs(product);

function linesOf(connections, maxWidth) {
  const max = largest(connections.map(size));
  const origin = $("connections").getBoundingClientRect();
  return connections.filter((each) => size(each) > MIN_SHARE * max)
    .sort((a, b) => size(a) - size(b)).slice(-MAX_LINES)
    .map((each) => {
      const [start, ...others] = curveBetween(each.from, each.to).map(([x, y]) =>
        `${(x - origin.left).toFixed(1)} ${(y - origin.top).toFixed(1)}`);
      return svg("path", { d: `M${start}C${others.join(",")}`,
        class: each.product < 0 ? "negative" : "positive",
        "stroke-width": Math.max(0.5, maxWidth * size(each) / max).toFixed(2) });
    });
}

function showConnections(result) {
  const { layer, neuron, hasLines } = state, name = neuronName(layer, neuron);
  $("show-connections").checked = hasLines;
  $("connections-text").textContent =
    `Lines ${layer === 1 ? "to and from" : "to"} ${name}`;
  $("connections-legend").hidden = !hasLines;
  if (!hasLines) { $("connections").replaceChildren(); return; }
  const [into, out] = connectionsOf(result);
  // A line from a pixel is at most as wide as the pixel.
  const maxWidth = layer === 1 ? Math.min(inputGrid().side, MAX_LINE_WIDTH)
    : MAX_LINE_WIDTH;
  $("connections").replaceChildren(...linesOf(into, maxWidth),
    ...linesOf(out, MAX_LINE_WIDTH));
  const maxProduct = (connections) => quantity(largest(connections.map(size)), 2);
  const more = out.length ? `, and the thickest line out of it ${maxProduct(out)}` : "";
  $("connections-legend").textContent = "Blue lines increase the sum, red lines " +
    "decrease it." + (into.length ? ` The thickest line into ${name} represents a ` +
      `product of ${maxProduct(into)}${more}.` : ""); // if the neuron is in view
}

const redraw = () => showConnections(currentResult());

export const connections = {
  build() {
    $("show-connections").addEventListener("change", ({ target }) =>
      change({ hasLines: target.checked }));
    $("neurons").addEventListener("scroll", redraw);
    new ResizeObserver(() => { if (state.shown) redraw(); })
      .observe($("connections").parentElement);
  },

  update: showConnections,
};
