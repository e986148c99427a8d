// The distribution of all parameters at the selected epoch.

const BINS = 60; // or one for each value, if there are few integers
function binCounts(values, limit, bins) {
  const counts = new Array(bins).fill(0);
  for (const value of values) {
    const bin = Math.floor((value + limit) / (2 * limit) * bins);
    counts[Math.min(bins - 1, Math.max(0, bin))] += 1;
  }
  return counts;
}

function histogram(name, valuesOf) {
  const final = valuesOf(finalNetwork());
  const limit = largest(final.map(Math.abs)) || 1;
  const isCoarse = network().isInteger && 2 * limit < BINS, bins = isCoarse ? 2 * limit + 1 : BINS;
  const now = binCounts(valuesOf(network()), limit, bins), width = 240 / bins;
  const initial = model.hasHistory && !network().isInteger
    ? binCounts(valuesOf(model.networks[0]), limit, bins) : [];
  const colour = (i) => `var(--${2 * i + 1 === bins ? "pale"
    : i < bins / 2 ? "negative" : "positive"})`;
  const maxCount = Math.max(...now, ...initial);
  const top = (count) => 90 - 84 * count / maxCount;
  const outline = initial.map((count, i) =>
    `${width * i},${top(count)} ${width * (i + 1)},${top(count)}`).join(" ");
  return element("figure", {}, svg("svg", { viewBox: "0 0 240 108", role: "img",
    "aria-label": `${name}: values from ${quantity(-limit, 2)} to ${quantity(limit, 2)}` },
  ...now.map((count, i) => svg("rect", { x: width * i, width: width - 1, y: top(count),
    height: 90 - top(count), fill: colour(i) })),
  svg("polyline", { points: outline, fill: "none", stroke: "var(--ink)",
    "stroke-opacity": 0.55 }),
  svg("text", { x: 0, y: 104 }, quantity(-limit, 2)),
  svg("text", { x: 120, y: 104, "text-anchor": "middle" }, "0"),
  svg("text", { x: 240, y: 104, "text-anchor": "end" }, quantity(limit, 2))),
  element("figcaption", {}, `${name}: ${plural(final.length, "parameter")}`));
}

function showHistograms(_, changed) {
  if (!changed.network) return;
  $("histograms").replaceChildren(...[0, 1].flatMap((i) => [
    histogram(`layer_${i + 1} weights`, (each) => each.kernels[i]),
    histogram(`layer_${i + 1} biases`, (each) => each.biases[i])]));
}

onChange(showHistograms);
