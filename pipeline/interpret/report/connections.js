// Lines to and from the selected neuron, over the drawing, the tiles and the bars. A
// line represents a product: its color shows the sign, its width the size.

import { $, SIDE, coordinates, largest, neuronName, svg } from "display.js";
import { currentResult, network, quantity, state } from "model.js";
import { outputs, tiles } from "neurons.js";

// In each direction, the lines show the largest products.
const MAX_LINES = 40;
const MAX_LINE_WIDTH = 8; // pixels of the screen, for the largest product
const MIN_SHARE = 0.02; // fraction of the largest product; no smaller one is drawn

// The products into and out of the selected neuron, each as { from, to, product }: two
// boxes on the screen and a number. A neuron of layer 2 has no connections out of it.
function connectionsOf({ pixels, hidden }) {
  const { layer, neuron } = state;
  if (layer === 2) {
    const to = outputs[neuron].button.getBoundingClientRect();
    return [Array.from(hidden, (value, input) => ({ from: tileBox(input), to,
      product: value * network().parameter(2, input, neuron) })), []];
  }
  const tile = tileBox(neuron), board = inputBox();
  if (!tile) return [[], []];
  return [
    Array.from(pixels, (value, pixel) => ({ from: pixelBox(board, pixel), to: tile,
      product: value * network().parameter(1, pixel, neuron) })),
    outputs.map(({ button }, label) => ({ from: tile,
      to: button.getBoundingClientRect(),
      product: hidden[neuron] * network().parameter(2, neuron, label) }))];
}

// The box of a tile; null if it is scrolled out of view, among many neurons.
function tileBox(neuron) {
  const box = tiles[neuron].button.getBoundingClientRect();
  const frame = $("neurons").getBoundingClientRect();
  return box.bottom > frame.top + 8 && box.top < frame.bottom - 8 ? box : null;
}

// The box of the 28x28 pixels over the board: a test image fills the board; that of a
// drawing is moved and scaled so that its pixels cover the drawn strokes. `pixelBox`
// undoes its shear.
function inputBox() {
  const { left, top, width, height } = $("board").getBoundingClientRect();
  const transform = state.transform ?? { scale: SIDE, left: 0, top: 0 };
  // The size of a pixel.
  const [wide, high] = [width / transform.scale, height / transform.scale];
  return { left: left - wide * transform.left, width: wide * SIDE,
    top: top - high * transform.top, height: high * SIDE };
}

function pixelBox({ left, top, width, height }, pixel) {
  const [row, column] = coordinates(pixel);
  const sheared = column + (state.transform?.shear?.(row) ?? 0);
  const x = left + (sheared + 0.5) / SIDE * width;
  const y = top + (row + 0.5) / SIDE * height;
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

function linesOf(connections, maxWidth) {
  const size = ({ product }) => Math.abs(product);
  const max = largest(connections.map(size));
  const origin = $("connections").getBoundingClientRect();
  return connections.filter((each) => size(each) > MIN_SHARE * max)
    .sort((a, b) => size(a) - size(b)).slice(-MAX_LINES).filter(({ from }) => from)
    .map((each) => {
      const [start, ...others] = curveBetween(each.from, each.to).map(([x, y]) =>
        `${(x - origin.left).toFixed(1)} ${(y - origin.top).toFixed(1)}`);
      return svg("path", { d: `M${start}C${others.join(",")}`,
        class: each.product < 0 ? "negative" : "positive",
        "stroke-width": Math.max(0.5, maxWidth * size(each) / max).toFixed(2) });
    });
}

function showConnections(result) {
  const isOn = $("show-connections").checked;
  const [into, out] = connectionsOf(result);
  // A line from a pixel is at most as wide as the pixel.
  const pixelWidth = state.layer === 1 ? inputBox().width / SIDE : MAX_LINE_WIDTH;
  $("connections").replaceChildren(...(isOn
    ? [...linesOf(into, Math.min(pixelWidth, MAX_LINE_WIDTH)),
      ...linesOf(out, MAX_LINE_WIDTH)] : []));
  const name = neuronName(state.layer, state.neuron);
  const maxProduct = (connections) =>
    quantity(largest(connections.map(({ product }) => Math.abs(product))), 2);
  $("connections-text").textContent =
    `Lines ${state.layer === 1 ? "to and from" : "to"} ${name}`;
  $("connections-legend").textContent =
    "Blue lines increase the sum, red lines decrease it." + (into.length ? // in view
      ` The thickest line into ${name} represents a product of ${maxProduct(into)}` : "") +
    (out.length ? `, the thickest line out of it one of ${maxProduct(out)}` : "") +
    (into.length ? "." : "");
}

const redraw = () => showConnections(currentResult());

export const connections = {
  build() {
    // In one or two columns, the lines would cover the prediction.
    $("show-connections").checked = $("network").clientWidth > 760;
    $("show-connections").addEventListener("change", redraw);
    $("neurons").addEventListener("scroll", redraw);
    new ResizeObserver(() => { if (state.image) redraw(); })
      .observe($("connections").parentElement);
  },

  update: showConnections,
};
