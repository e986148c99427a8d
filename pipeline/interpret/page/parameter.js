// The weights of the selected neuron of layer 1 as an image, and the selected
// parameter: what its name means, its value, and how training changed it.

import {
  $, BIAS, PIXELS, SIDE, WHITE, announce, colors, coordinates, element, gray,
  inputName, integer, neuronName, number, paintPixels, parameterName, plural,
  positionOn, rowAndColumn, significant, svg, tableRow,
} from "display.js";
import { isFrozen, model, network, quantity, select, state } from "model.js";
import { templateColors, weightColor } from "neurons.js";

const CENTER = 14 * SIDE + 14; // the pixel from which the arrow keys start
// The canvases show the weights, the image, and their products.
const canvases = [...$("images").querySelectorAll("canvas")];

function listenTo(canvas) {
  const pixelAt = (event) => {
    const [column, row] = positionOn(canvas, event).map((share) =>
      Math.min(SIDE - 1, Math.max(0, Math.floor(SIDE * share))));
    return SIDE * row + column;
  };
  canvas.addEventListener("pointermove", (event) => showPixel(pixelAt(event)));
  canvas.addEventListener("pointerleave", () => showPixel(selectedPixel()));
  canvas.addEventListener("click", (event) => select(1, state.neuron, pixelAt(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0],
      ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const position = coordinates(selectedPixel() ?? CENTER);
    const [row, column] = position.map((start, axis) => start + step[axis]);
    if (Math.min(row, column) < 0 || Math.max(row, column) >= SIDE) return;
    select(1, state.neuron, SIDE * row + column);
    announce(pixelText(selectedPixel()));
  });
}

// The pixel whose weight is selected; null if none is selected.
const selectedPixel = () => (state.input === BIAS ? null : state.input);

function pixelText(pixel) {
  if (pixel === null) {
    const gesture = matchMedia("(hover: none)").matches ? "Tap" : "Point at";
    return `${gesture} a pixel to see its product.`;
  }
  const weight = network().parameter(1, pixel, state.neuron);
  const value = network().pixel(state.shown.image[pixel]);
  return `pixel ${pixel} (${rowAndColumn(pixel)}): weight ` +
    `${quantity(weight)} × pixel ${quantity(value)} = ${quantity(weight * value)}` +
    (isFrozen(1, pixel, state.neuron) ? "; this weight is frozen" : "");
}
const showPixel = (pixel) => { $("pixel-text").textContent = pixelText(pixel); };

export const images = {
  build() { canvases.forEach(listenTo); },

  update() {
    const { layer, neuron } = state, { image } = state.shown;
    $("pixels").hidden = layer === 2;
    if (layer === 2) return;
    const colorings = [templateColors(neuron), (pixel) => gray(image[pixel]), (pixel) =>
      weightColor(image[pixel] / WHITE * network().parameter(1, pixel, neuron))];
    canvases.forEach((canvas, i) => paintSquares(canvas, colorings[i], i === 0));
    showPixel(selectedPixel());
  },
};

// Paint 28x28 pixels as squares; frozen weights are hatched.
function paintSquares(canvas, colorOf, isHatched) {
  const size = 12, context = canvas.getContext("2d"), small = element("canvas");
  canvas.width = canvas.height = SIDE * size;
  paintPixels(small, colorOf);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  context.strokeStyle = `rgb(${colors.muted})`;
  context.beginPath();
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    if (!isHatched || !isFrozen(1, pixel, state.neuron)) continue;
    const [y, x] = coordinates(pixel).map((index) => index * size);
    context.moveTo(x + 2, y + size - 2);
    context.lineTo(x + size - 2, y + 2);
  }
  context.stroke();
  if (selectedPixel() === null) return;
  const [top, left] = coordinates(selectedPixel()).map((index) => index * size - 3);
  for (const [color, width] of [[colors.zero, 9], [colors.selected, 5]]) {
    context.strokeStyle = `rgb(${color})`;
    context.lineWidth = width;
    context.strokeRect(left, top, size + 6, size + 6);
  }
}

// `values` is one of the two objects below.
export const parameter = (values) => ({
  update(_, changed) {
    const { layer, input, neuron } = state;
    $("parameter").hidden = input === null;
    if (input === null) return;
    const name = parameterName(layer, input, neuron);
    const count = `, one of ${integer(model.size)}`;
    const used = layer === 1 && model.tensors.images_with_ink[input];
    const usage = used ? ` The pixel is above 0 in ${integer(used)} of ` +
        `${plural(model.training_images, "training image")}.` : "";
    const text = values.describe(layer, input, neuron) + usage;
    $("t-parameter").replaceChildren(name, element("span", { class: "aside" }, count));
    $("parameter-text").textContent = text;
    $("address").replaceChildren(addressDiagram(layer, input, neuron));
    $("history").replaceChildren(values.diagram(layer, input, neuron));
    if (changed.selection) announce(`${name}${count}. ${text}`);
  },
});

const svgText = (x, y, content, align = "middle", kind = "") =>
  svg("text", { x, y, "text-anchor": align, class: kind }, ...[content].flat());

// Networks of earlier epochs consist of float16 numbers, with three decimal digits.
const approximate = (value) => `about ${significant(value, 3)}`;

// The value of a parameter in each epoch.
export const overEpochs = {
  // Return a sentence.
  describe(layer, input, neuron) {
    const { hasEarlierEpochs, trainedIndex: last, networks } = model;
    const isConstant = isFrozen(layer, input, neuron);
    const [initial, now, end] = [0, state.networkIndex, last].map((index) =>
      networks[index].parameter(layer, input, neuron));
    const isExact = state.networkIndex === last || isConstant;
    const start = "At the selected epoch, its value is " +
      `${isExact ? number(now, 6) : approximate(now)}.`;
    if (!hasEarlierEpochs)
      return `${start} Its value in earlier epochs is not available.`;
    if (isConstant) {
      const reason = layer === 1 && model.tensors.images_with_ink[input] === 0
        ? "its pixel is 0 in all training images, so " : "";
      return `${start} It is frozen: ${reason}it has its initial value after every ` +
        "epoch.";
    }
    return `${start} It started at ${initial === 0 ? "0" : approximate(initial)} and ` +
      `ended at ${number(end, 6)}.`;
  },

  // Return a plot.
  diagram(layer, input, neuron) {
    const { hasEarlierEpochs, trainedIndex: last, networks, epochs } = model;
    if (!hasEarlierEpochs) return "";
    const values = networks.map((each) => each.parameter(layer, input, neuron));
    const isConstant = isFrozen(layer, input, neuron);
    const [width, height, left, right, top, bottom] = [150, 152, 4, 4, 24, 24];
    const [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
    const x = (index) => left + (width - left - right) * epochs[index] / epochs[last];
    const y = (value) =>
      top + (height - top - bottom) * (high - value) / (high - low || 1);
    const now = values[state.networkIndex];
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `From ${number(values[0])} to ${number(values[last])}` },
    svg("line", { x1: left, x2: width - right, y1: y(0), y2: y(0) }),
    svgText(width - right, y(0) + (high > 0 ? -3 : 12), "0", "end"),
    svgText(left, 12, `value ${number(now, 3)}`, "start"),
    svgText(left, height - 6, `epoch ${epochs[0]}`, "start"),
    svgText(width - right, height - 6, epochs[last], "end"),
    svg("polyline", { class: isConstant ? "constant" : "",
      points: values.map((value, index) => `${x(index)},${y(value)}`).join(" ") }),
    svg("circle", { cx: x(state.networkIndex), cy: y(now), r: 4 }));
  },
};

// The value of a parameter at each bit width.
export const overBitWidths = {
  describe: () => "Its floating-point value, its integer at each bit width, and " +
    "the real number that the integer represents.",

  // Return a table.
  diagram(...location) {
    const table = element("table", { id: "values" },
      tableRow(["", "stored", "represents"], "", "th"));
    model.networks.forEach((each, index) => {
      const row = tableRow([each.bitWidth, ...each.stored(...location)]);
      row.setAttribute("aria-current", index === state.networkIndex);
      table.append(row);
    });
    return table;
  },
};

// How the name of a parameter follows from its input and its neuron.
function addressDiagram(layer, input, neuron) {
  const index = (text, kind) => svg("tspan", { class: kind }, String(text));
  const source = inputName(layer, input);
  const isPixel = layer === 1 && input !== BIAS;
  const name = input === BIAS
    ? [`layer_${layer}.bias[`, index(neuron, "to"), "]"]
    : [`layer_${layer}[`, index(input, "from"), ",", index(neuron, "to"), "]"];
  return svg("svg", { viewBox: "0 0 240 152", role: "img",
    "aria-label": `${source} to ${neuronName(layer, neuron)}: ` +
      parameterName(layer, input, neuron) },
  ...(isPixel ? pixelGrid(input) : circle(70, source)),
  ...(input === BIAS || isPixel ? []
    : [svgText(70, 100, `neuron ${input + 1}`),
      svgText(70, 116, ["index ", index(input, "from")])]),
  svg("path", { d: `M${isPixel ? 136 : 96} 58H166m-7 -4l7 4l-7 4`, class: "arrow" }),
  ...circle(194, neuronName(layer, neuron)),
  svgText(194, 100, `neuron ${neuron + 1}`),
  svgText(194, 116, ["index ", index(neuron, "to")]),
  svgText(120, 146, name, "middle", "address"));
}

const circle = (x, name) => [svg("circle", { cx: x, cy: 58, r: 24, class: "neuron" }),
  svgText(x, 62, name, "middle", "name")];

// The 28x28 pixels, with the row and the column of one of them.
function pixelGrid(pixel) {
  const [row, column] = coordinates(pixel);
  const [left, top, size] = [44, 14, 3]; // a cell has 3x3 units
  const [x, y] = [left + size * column, top + size * row], side = SIDE * size;
  return [
    svg("rect", { x: left, y: top, width: side, height: side, class: "grid" }),
    svg("rect", { x: left, y, width: x - left, height: size, class: "guide" }),
    svg("rect", { x, y: top, width: size, height: y - top, class: "guide" }),
    svg("rect",
      { x: x - 1, y: y - 1, width: size + 2, height: size + 2, class: "cell" }),
    svgText(left - 4, y + 6, `row ${row}`, "end"),
    svgText(Math.max(x, 66), 10, `column ${column}`),
    svgText(left + side / 2, 116, [`${row}·${SIDE} + ${column} = `,
      svg("tspan", { class: "from" }, String(pixel))]),
  ];
}
