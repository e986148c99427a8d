// The lines to and from the selected neuron. A line represents a product: the color
// shows the sign, and the width shows the size.

import { $, SIDE, coordinates, largest, neuronName, svg } from "display.js";
import { change, currentResult, network, quantity, state } from "model.js";
import { bars, tiles } from "neurons.js";

// In each direction, the lines show the largest products.
const MAX_LINES = 40;
const MAX_LINE_WIDTH = 8; // pixels of the screen, for the largest product
const MIN_SHARE = 0.02; // fraction of the largest product; smaller ones are not drawn

// The products into and out of the selected neuron, each as { from, to, product }: two
// boxes on the screen and a number. A neuron of layer 2 has no products out of it.
// Neurons that are scrolled out of view have no products.
function connectionsOf({ pixels, outputs }) {
  const { layer, neuron } = state;
  const line = (from, to, value, location) =>
    ({ from, to, product: value * network().parameter(...location) });
  const barBox = (label) => bars[label].button.getBoundingClientRect();
  if (layer === 2) return [Array.from(outputs, (value, input) =>
    line(tileBox(input), barBox(neuron), value, [2, input, neuron]))
    .filter(({ from }) => from), []];
  const tile = tileBox(neuron), grid = inputGrid();
  if (!tile) return [[], []];
  return [
    Array.from(pixels, (value, pixel) =>
      line(pixelBox(grid, pixel), tile, value, [1, pixel, neuron])),
    bars.map((_, label) =>
      line(tile, barBox(label), outputs[neuron], [2, neuron, label]))];
}

// The box of a tile; null if it is scrolled out of view, among many neurons.
function tileBox(neuron) {
  const box = tiles[neuron].button.getBoundingClientRect();
  const frame = $("neurons").getBoundingClientRect();
  return box.bottom > frame.top + 8 && box.top < frame.bottom - 8 ? box : null;
}

// The position of the 28x28 pixels over the board, and the side of a pixel. A test
// image fills the board. The image of a drawing is moved and scaled so that its pixels
// cover the drawn strokes. `pixelBox` undoes the shear of the image.
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

// A curve from one box to another box. The curve is horizontal if the second box is to
// the right of the first, as in the three columns of a wide page. Otherwise, it is
// vertical.
function curveBetween(from, to) {
  const middle = (box) => [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const [[fromX, fromY], [toX, toY]] = [from, to].map(middle);
  if (isBeside(from, to)) {
    const [a, b] = [from.right, to.left];
    // A line from a pixel runs in the gap between rows, not across the prediction.
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
  $("connections-legend").textContent = "Blue lines show positive products, which " +
    "increase the sum; red lines show negative products." + (into.length ? ` The thickest line into ${name} represents a ` +
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
