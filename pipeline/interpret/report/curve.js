// The learning curve: the recorded loss and accuracy of each epoch. A click on it selects
// the epoch, as the slider does.

const CURVES = { loss: "loss (nats)", accuracy: "accuracy" };
const CURVE = { width: 460, height: 230, left: 56, right: 84, top: 30, bottom: 34 };

function showCurve(_, changed) {
  if (!changed.epoch) return;
  const { curves, epochs, validation_images: images } = model;
  $("curve").hidden = !("val/loss" in curves);
  if ($("curve").hidden) return;
  const epoch = epochs[state.epoch];
  $("curves").replaceChildren(...Object.keys(CURVES).map((name) => curvePlot(name, epoch)));
  const at = (name) => curves[name][epoch - 1];
  const [best] = ranked(curves["val/accuracy"]);
  const values = epoch === 0
    ? "Before training, only the validation accuracy is known: " +
      `${percent(model.validation_accuracy[0], 2)}.`
    : `After epoch ${epoch}: training loss ${number(at("train/loss"))}, accuracy ` +
      `${percent(at("train/accuracy"), 2)}; validation loss ${number(at("val/loss"))}, ` +
      `accuracy ${percent(at("val/accuracy"), 2)} (${plural(images, "image")}).`;
  $("curve-text").textContent = `${values} The validation accuracy is highest after epoch ` +
    `${best + 1}: ${percent(curves["val/accuracy"][best], 2)}.` +
    (model.hasHistory ? " Click a curve to select an epoch." : "");
}

// The smallest round step that divides a range into at most five parts, and its multiples.
function ticks(low, high) {
  const unit = 10 ** Math.floor(Math.log10((high - low) / 5 || 1));
  const step = unit * [1, 2, 5, 10].find((each) => (high - low) / (unit * each) <= 5);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  const values = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { step, values };
}
const decimalsOf = (step) => Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));

function curvePlot(name, epoch) {
  const { width, height, left, right, top, bottom } = CURVE;
  const { [`train/${name}`]: training, [`val/${name}`]: validation } = model.curves;
  const lines = { training, validation };
  const values = Object.values(lines).flat(), last = lines.training.length;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (each) => left + (width - left - right) * each / last;
  const y = (value) => top + (height - top - bottom) * (high - value) / (high - low || 1);
  const label = (px, py, text, anchor, kind = "") =>
    svg("text", { x: px, y: py, "text-anchor": anchor, class: kind }, text);
  // The labels at the ends of the lines do not overlap.
  const ends = Object.values(lines).map((line) => y(line.at(-1)));
  const apart = Math.max(0, 16 - Math.abs(ends[0] - ends[1])) / 2;
  const { step, values: marks } = ticks(low, high);
  const tick = (value) => (name === "loss" ? number(value, decimalsOf(step))
    : percent(value, decimalsOf(100 * step)));
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Learning curve: ${CURVES[name]}, epochs 1 to ${last}` },
  label(left, 14, CURVES[name], "start", "title"),
  ...marks.flatMap((value) => [svg("line", { x1: left, x2: x(last), y1: y(value),
    y2: y(value), class: "grid" }), label(left - 8, y(value) + 4, tick(value), "end")]),
  ...[0, last].map((each) => label(x(each), height - 8, `epoch ${each}`, "middle")),
  svg("line", { x1: x(epoch), x2: x(epoch), y1: top - 6, y2: height - bottom + 6,
    class: "cursor" }),
  ...Object.entries(lines).flatMap(([kind, line], place) => [
    svg("polyline", { class: kind, points: [...line, line.at(-1)].map((value, i) =>
      `${x(Math.min(i + 1, last))},${y(value)}`).join(" ") }), // a dot if there is only one epoch
    ...(epoch ? [epoch] : []).map((each) =>
      svg("circle", { class: kind, r: 4, cx: x(each), cy: y(line[each - 1]) })),
    label(x(last) + 8, ends[place] + 4 + (ends[place] < ends[1 - place] ? -apart : apart),
      kind, "start", kind)]));
  const selectAt = (event) => {
    const [across] = positionOn(plot, event);
    const there = (across * width - left) / (width - left - right) * last;
    const distances = model.epochs.map((each) => -Math.abs(each - there));
    setPlaying(null);
    setEpoch(ranked(distances)[0]);
  };
  if (model.hasHistory) plot.addEventListener("click", selectAt);
  return plot;
}

onChange(showCurve);
