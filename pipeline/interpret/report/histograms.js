// The distribution of all parameters at the selected epoch.

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
  const maxCount = Math.max(...now, ...initial);
  const top = (count) => 90 - 84 * count / maxCount;
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

onChange(showHistograms);
