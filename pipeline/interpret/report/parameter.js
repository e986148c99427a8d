// The selected parameter: its address, its value, and its value in each epoch.

function showParameter(_, changed) {
  const { layer, input, neuron } = state, { last, networks } = model;
  $("parameter").hidden = input === undefined;
  if (input === undefined) return;
  const values = networks.map((each) => each.parameter(layer, input, neuron));
  const isPixel = layer === 1 && input !== null;
  const isConstant = isPixel && isFrozen(input, neuron);
  const name = parameterName(layer, input, neuron), count = `, one of ${integer(model.size)}`;
  $("t-parameter").replaceChildren(name, element("span", { class: "aside" }, count));
  const isExact = state.epoch === last || isConstant;
  const value = (isExact ? (v) => number(v, 6) : approximate)(values[state.epoch]);
  const initial = values[0] === 0 ? "0" : approximate(values[0]);
  let change = `It started at ${initial} and ended at ${number(values[last], 6)}.`;
  if (!model.hasHistory) change = "Its value in earlier epochs is not available.";
  else if (isPixel && model.alwaysZero.has(input)) change = "It was never trained: its pixel " +
    "is 0 in all training images, so it still has its initial random value, bit for bit.";
  else if (isConstant) change = "It never changed: its gradient was 0 in every step, so it " +
    "still has its initial random value.";
  const usage = isPixel && !model.alwaysZero.has(input) ?
    ` The pixel is above 0 in ${integer(nonzeroImages(input))} of ` +
    `${plural(model.training_images, "training image")}.` : "";
  const text = (model.widths ? describeValue(layer, input, neuron)
    : `At the selected epoch, its value is ${value}. ${change}`) + usage;
  $("parameter-text").textContent = text;
  if (changed.selection) announce(`${name}${count}. ${text}`);
  $("address").replaceChildren(addressDiagram(layer, input, neuron));
  $("history").replaceChildren(model.widths ? valuesTable(layer, input, neuron)
    : model.hasHistory ? historyPlot(values, isConstant) : "");
}

const svgText = (x, y, content, attributes = {}) =>
  svg("text", { x, y, "text-anchor": "middle", ...attributes }, ...[content].flat());

// How the name of a parameter follows from its input and its neuron.
function addressDiagram(layer, input, neuron) {
  const index = (text, kind) => svg("tspan", { class: kind }, String(text));
  const source = input === null ? "bias" : inputName(layer, input);
  const name = input === null
    ? [`layer_${layer}.bias[`, index(neuron, "to"), "]"]
    : [`layer_${layer}[`, index(input, "from"), ",", index(neuron, "to"), "]"];
  return svg("svg", { viewBox: "0 0 240 152", role: "img",
    "aria-label": `${source} to ${neuronName(layer, neuron)}: ` +
      parameterName(layer, input, neuron) },
  ...(layer === 1 && input !== null ? pixelGrid(input) : circle(70, source)),
  ...(input === null || layer === 1 ? []
    : [svgText(70, 100, `neuron ${input + 1}`),
      svgText(70, 116, ["index ", index(input, "from")])]),
  svg("path", { d: `M${layer === 1 && input !== null ? 136 : 96} 58H166m-7 -4l7 4l-7 4`,
    class: "arrow" }),
  ...circle(194, neuronName(layer, neuron)),
  svgText(194, 100, `neuron ${neuron + 1}`),
  svgText(194, 116, ["index ", index(neuron, "to")]),
  svgText(120, 146, name, { class: "address" }));
}

const circle = (x, name) => [svg("circle", { cx: x, cy: 58, r: 24, class: "neuron" }),
  svgText(x, 62, name, { class: "name" })];

// The 28x28 pixels, with the row and the column of one of them.
function pixelGrid(pixel) {
  const [row, column] = coordinates(pixel);
  const [left, top, size] = [44, 14, 3]; // a cell has 3x3 units
  const [x, y] = [left + size * column, top + size * row], side = SIDE * size;
  return [
    svg("rect", { x: left, y: top, width: side, height: side, class: "grid" }),
    svg("rect", { x: left, y, width: x - left, height: size, class: "guide" }),
    svg("rect", { x, y: top, width: size, height: y - top, class: "guide" }),
    svg("rect", { x: x - 1, y: y - 1, width: size + 2, height: size + 2, class: "cell" }),
    svgText(left - 4, y + 6, `row ${row}`, { "text-anchor": "end" }),
    svgText(Math.max(x, 66), 10, `column ${column}`),
    svgText(left + side / 2, 116, [`${row}·${SIDE} + ${column} = `,
      svg("tspan", { class: "from" }, String(pixel))]),
  ];
}

function historyPlot(values, isConstant) {
  const { last, epochs } = model;
  const [width, height, left, right, top, bottom] = [150, 152, 4, 4, 24, 24];
  const [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
  const x = (place) => left + (width - left - right) * place / last;
  const y = (value) => top + (height - top - bottom) * (high - value) / (high - low || 1);
  const now = values[state.epoch];
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `From ${number(values[0])} to ${number(values[last])}` },
  svg("line", { x1: left, x2: width - right, y1: y(0), y2: y(0), stroke: "var(--pale)",
    "stroke-dasharray": "2 3" }),
  svgText(width - right, y(0) + (high > 0 ? -3 : 12), "0", { "text-anchor": "end" }),
  svgText(left, 12, `value ${number(now, 3)}`, { "text-anchor": "start" }),
  svgText(left, height - 6, `epoch ${epochs[0]}`, { "text-anchor": "start" }),
  svgText(width - right, height - 6, epochs[last], { "text-anchor": "end" }),
  svg("polyline", { fill: "none", "stroke-width": 2,
    points: values.map((value, place) => `${x(place)},${y(value)}`).join(" "),
    stroke: isConstant ? "var(--pale)" : "var(--positive)",
    "stroke-dasharray": isConstant ? "6 5" : "none" }),
  svg("circle", { cx: x(state.epoch), cy: y(now), r: 4, fill: "var(--selected)" }));
}

onChange(showParameter);
