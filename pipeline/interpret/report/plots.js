// The selected parameter over the epochs, and the distribution of all parameters.

function showParameter() {
  $("parameter").hidden = state.input === undefined;
  if (state.input === undefined) return;
  const { layer, input, neuron } = state, { last, networks } = model;
  const values = networks.map((each) => each.parameter(layer, input, neuron));
  const isPixel = layer === 1 && input !== null;
  const isFrozen = isPixel && model.alwaysZero.has(input);
  $("t-parameter").textContent = `Parameter ${parameterName(layer, input, neuron)}, ` +
    `one of ${integer(model.size)}`;
  const source = inputName(layer, input) + (isPixel ? ` (${rowAndColumn(input)})` : "");
  const name = input === null ? `The bias of ${neuronName(layer, neuron)}`
    : `The weight from ${source} to ${neuronName(layer, neuron)}`;
  const isExact = state.epoch === last || isFrozen;
  const value = (isExact ? (v) => number(v, 6) : approximate)(values[state.epoch]);
  const initial = values[0] === 0 ? "0" : approximate(values[0]);
  let change = `It started at ${initial} and ended at ${number(values[last], 6)}.`;
  if (!model.hasHistory) change = "Its value in earlier epochs is not available.";
  else if (isFrozen) change = "It was never trained: its pixel is 0 in all training " +
    "images, so it still has its initial random value, bit for bit.";
  const usage = isPixel ? " The pixel is nonzero in " +
    `${percent(model.tensors.nonzero_rate[input], 2)} of the training images; its mean ` +
    `value is ${number(model.tensors.mean_level[input], 3)}.` : "";
  $("parameter-text").textContent = `${name}. At the selected epoch it is ${value}. ` +
    `${change}${usage} To see another parameter, click it or enter its name above.`;
  $("history").replaceChildren(model.hasHistory ? historyPlot(values, isFrozen) : "");
}

function historyPlot(values, isFrozen) {
  const { last, epochs } = model;
  const [width, height, left, right, top, bottom] = [640, 190, 64, 16, 12, 34];
  const [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
  const x = (place) => left + (width - left - right) * place / last;
  const y = (value) => top + (height - top - bottom) * (high - value) / (high - low || 1);
  const label = (px, py, text, anchor) =>
    svg("text", { x: px, y: py, "text-anchor": anchor }, text);
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `From ${number(values[0])} to ${number(values[last])}` },
  svg("line", { x1: left, x2: width - right, y1: y(0), y2: y(0), stroke: "var(--line)" }),
  label(left - 8, y(0) + 4, "0", "end"),
  ...[low, high].filter(Boolean).map((value) =>
    label(left - 8, y(value) + 4, number(value, 3), "end")),
  label(x(0), height - 8, `epoch ${epochs[0]}`, "start"),
  label(x(last), height - 8, `epoch ${epochs[last]}`, "end"),
  svg("polyline", { fill: "none", "stroke-width": 2,
    points: values.map((value, place) => `${x(place)},${y(value)}`).join(" "),
    stroke: isFrozen ? "var(--pale)" : "var(--positive)",
    "stroke-dasharray": isFrozen ? "6 5" : "none" }),
  svg("circle", { cx: x(state.epoch), cy: y(values[state.epoch]), r: 5,
    fill: "var(--selected)" }));
}

const BINS = 60;
function binCounts(values, limit) {
  const counts = new Array(BINS).fill(0);
  for (const value of values) {
    const bin = Math.floor((value + limit) / (2 * limit) * BINS);
    counts[Math.min(BINS - 1, Math.max(0, bin))] += 1;
  }
  return counts;
}

function histogram(name, valuesOf) {
  const final = valuesOf(finalNetwork());
  const limit = largest(final.map(Math.abs)) || 1;
  const now = binCounts(valuesOf(network()), limit);
  const initial = model.hasHistory ? binCounts(valuesOf(model.networks[0]), limit) : [];
  const most = Math.max(...now, ...initial);
  const top = (count) => 90 - 84 * count / most;
  const outline = initial.map((count, i) =>
    `${4 * i},${top(count)} ${4 * i + 4},${top(count)}`).join(" ");
  return element("figure", {}, svg("svg", { viewBox: "0 0 240 108", role: "img",
    "aria-label": `${name}: values from ${number(-limit, 2)} to ${number(limit, 2)}` },
  ...now.map((count, i) => svg("rect", { x: 4 * i, width: 3, y: top(count),
    height: 90 - top(count),
    fill: i < BINS / 2 ? "var(--negative)" : "var(--positive)" })),
  svg("polyline", { points: outline, fill: "none", stroke: "var(--ink)",
    "stroke-opacity": 0.55 }),
  svg("text", { x: 0, y: 104 }, number(-limit, 2)),
  svg("text", { x: 120, y: 104, "text-anchor": "middle" }, "0"),
  svg("text", { x: 240, y: 104, "text-anchor": "end" }, number(limit, 2))),
  element("figcaption", {}, `${name}: ${plural(final.length, "parameter")}`));
}

function showHistograms(_, changed) {
  if (!changed.epoch) return;
  $("histograms").replaceChildren(...[0, 1].flatMap((i) => [
    histogram(`layer_${i + 1} weights`, (each) => each.kernels[i]),
    histogram(`layer_${i + 1} biases`, (each) => each.biases[i])]));
}

onChange(showParameter);
onChange(showHistograms);
