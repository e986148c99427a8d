// The bar selects a version of the network: that of an epoch or, on a page with
// integers, that of a bit width. Both selectors have the same methods. Below them, the
// learning curve.

import {
  $, bold, element, integer, number, percent, plural, positionOn, ranked, significant,
  svg, tableRow,
} from "display.js";
import {
  className, isAlwaysZero, isFrozen, isShort, model, network, quantity, show, state,
} from "model.js";

const EPOCH_MS = 700; // time per epoch when the training is played

export const version = () => (model.widths.length ? widths : epochs);

export function setVersion(place) {
  state.version = place;
  show();
}

// A float16, of which the networks of earlier epochs consist, has three decimal digits.
const approximate = (value) => `about ${significant(value, 3)}`;

let playing = null; // the timer, while the training is played

export const epochs = {
  build() {
    const { hasHistory, last } = model;
    $("epoch").max = last;
    $("epoch").disabled = $("play").disabled = !hasHistory;
    $("epoch").addEventListener("input", () => {
      epochs.stop();
      setVersion(Number($("epoch").value));
    });
    $("play").addEventListener("click", () => {
      if (playing) { epochs.stop(); return; }
      setVersion(state.version === last ? 0 : state.version);
      epochs.stop(setInterval(() => {
        setVersion(Math.min(state.version + 1, last));
        if (state.version === last) epochs.stop();
      }, EPOCH_MS));
    });
  },

  // Stop playing the training, or continue with another timer.
  stop(timer = null) {
    clearInterval(playing);
    playing = timer;
    $("play").textContent = timer ? "⏸" : "▶";
    $("play").setAttribute("aria-pressed", String(Boolean(timer)));
  },

  update() {
    const { last, hasHistory } = model, epoch = model.epochs[state.version];
    const name = !hasHistory ? "Final network"
      : epoch ? `After epoch ${epoch} of ${model.epochs[last]}` : "Before training";
    $("epoch-text").textContent = `${name}: validation accuracy ` +
      `${percent(model.validation_accuracy[state.version], 2)} ` +
      `(${plural(model.validation_images, "image")})`;
    $("epoch").value = state.version;
    $("epoch").setAttribute("aria-valuetext", `epoch ${epoch}`);
  },

  // A parameter in words.
  describe(layer, input, neuron) {
    const { hasHistory, last, versions } = model;
    const isPixel = layer === 1 && input !== null;
    const isConstant = isPixel && isFrozen(input, neuron);
    const [initial, now, final] = [0, state.version, last].map((place) =>
      versions[place].parameter(layer, input, neuron));
    const isExact = state.version === last || isConstant;
    const start = "At the selected epoch, its value is " +
      `${isExact ? number(now, 6) : approximate(now)}.`;
    if (!hasHistory) return `${start} Its value in earlier epochs is not available.`;
    if (isPixel && isAlwaysZero(input)) return `${start} It was never trained: its ` +
      "pixel is 0 in all training images, so it still has its initial random value, " +
      "bit for bit.";
    if (isConstant) return `${start} It never changed: its gradient was 0 in every ` +
      "step, so it still has its initial random value.";
    return `${start} It started at ${initial === 0 ? "0" : approximate(initial)} and ` +
      `ended at ${number(final, 6)}.`;
  },

  // A plot of the value of a parameter in each epoch.
  diagram(layer, input, neuron) {
    const { hasHistory, last, versions } = model;
    if (!hasHistory) return "";
    const values = versions.map((each) => each.parameter(layer, input, neuron));
    const isConstant = layer === 1 && input !== null && isFrozen(input, neuron);
    const [width, height, left, right, top, bottom] = [150, 152, 4, 4, 24, 24];
    const [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
    const x = (place) => left + (width - left - right) * place / last;
    const y = (value) =>
      top + (height - top - bottom) * (high - value) / (high - low || 1);
    const now = values[state.version];
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `From ${number(values[0])} to ${number(values[last])}` },
    svg("line", { x1: left, x2: width - right, y1: y(0), y2: y(0),
      stroke: "var(--pale)", "stroke-dasharray": "2 3" }),
    label(width - right, y(0) + (high > 0 ? -3 : 12), "0", "end"),
    label(left, 12, `value ${number(now, 3)}`, "start"),
    label(left, height - 6, `epoch ${model.epochs[0]}`, "start"),
    label(width - right, height - 6, model.epochs[last], "end"),
    svg("polyline", { fill: "none", "stroke-width": 2,
      points: values.map((value, place) => `${x(place)},${y(value)}`).join(" "),
      stroke: isConstant ? "var(--pale)" : "var(--positive)",
      "stroke-dasharray": isConstant ? "6 5" : "none" }),
    svg("circle", { cx: x(state.version), cy: y(now), r: 4, fill: "var(--selected)" }));
  },
};

const label = (x, y, text, anchor, kind = "") =>
  svg("text", { x, y, "text-anchor": anchor, class: kind }, text);

const switches = []; // for each width, its label, its input and where its prediction is

export const widths = {
  build() {
    model.versions.forEach(({ width }, place) => {
      const prediction = element("span");
      const input = element("input", { type: "radio", name: "width", value: width,
        onchange: () => setVersion(place) });
      const label = element("label", {}, input, bold(width), prediction);
      switches.push({ label, input, prediction });
      $("widths").append(label);
    });
  },

  update(_, changed) {
    const results = model.versions.map((each) => {
      const { probabilities } = each.classify(state.image, state.off);
      const [first] = ranked(probabilities);
      return { first, share: percent(probabilities[first]) };
    });
    switches.forEach(({ label, input, prediction }, place) => {
      const { first, share } = results[place], name = className(first);
      input.checked = place === state.version;
      prediction.replaceChildren(element("strong", {}, name),
        isShort(first) ? ` ${share}` : "");
      label.title = `${model.versions[place].width}: ${name}, ${share}`;
      input.ariaLabel = label.title;
      label.classList.toggle("differs", first !== results[0].first);
    });
    if (changed.final) showTable();
  },

  describe(layer, input, neuron) {
    const place = [layer, input, neuron], value = model.float.parameter(...place);
    const start = `In floating point, its value is ${number(value, 6)}.`;
    if (network() === model.float) return start;
    const real = network().realParameter(...place);
    return `${start} At ${network().width}, it is ` +
      `${quantity(network().parameter(...place))}, which stands for ` +
      `${real === 0 ? "0" : number(real, 6)}.`;
  },

  // A table of a parameter at all widths.
  diagram(...place) {
    const table = element("table", { id: "values" },
      tableRow(["", "stored", "stands for"], "", "th"));
    model.versions.forEach((each, index) => {
      const row = tableRow([each.width, ...each.stored(...place)]);
      row.setAttribute("aria-current", index === state.version);
      table.append(row);
    });
    return table;
  },
};

// Mark the width in the table, and count how many predictions it changes.
function showTable() {
  [...$("widths-table").rows].forEach((row, place) =>
    row.setAttribute("aria-current", place - 1 === state.version));
  const [now, expected] = [network(), model.float].map((each) =>
    each.storedPredictions(new Set()));
  const changed = now.filter((label, row) => label !== expected[row]).length;
  $("widths-text").textContent = network() === model.float ? "" :
    `Of the ${integer(now.length)} test images on this page, ${integer(changed)} ` +
    `${changed === 1 ? "gets" : "get"} a different prediction at ${network().width} ` +
    "than in floating point.";
}

// The learning curve: the recorded loss and accuracy of each epoch. A click on it
// selects the epoch, as the slider does.
const CURVES = { loss: "loss (nats)", accuracy: "accuracy" };
export const CURVE =
  { width: 460, height: 230, left: 56, right: 84, top: 30, bottom: 34 };

export const curve = {
  update(_, changed) {
    if (!changed.network) return;
    const { curves, validation_images: images } = model;
    $("curve").hidden = !("val/loss" in curves);
    if ($("curve").hidden) return;
    const epoch = model.epochs[state.version];
    $("curves").replaceChildren(...Object.keys(CURVES).map((name) =>
      curvePlot(name, epoch)));
    const at = (name) => curves[name][epoch - 1];
    const [best] = ranked(curves["val/accuracy"]);
    const values = epoch === 0
      ? "Before training, only the validation accuracy is known: " +
        `${percent(model.validation_accuracy[0], 2)}.`
      : `After epoch ${epoch}: training loss ${number(at("train/loss"))}, accuracy ` +
        `${percent(at("train/accuracy"), 2)}; validation loss ` +
        `${number(at("val/loss"))}, accuracy ${percent(at("val/accuracy"), 2)} ` +
        `(${plural(images, "image")}).`;
    $("curve-text").textContent = `${values} The validation accuracy is highest ` +
      `after epoch ${best + 1}: ${percent(curves["val/accuracy"][best], 2)}.` +
      (model.hasHistory ? " Click a curve to select an epoch." : "");
  },
};

// The smallest round step that divides a range into at most five parts, and its
// multiples.
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
  const y = (value) =>
    top + (height - top - bottom) * (high - value) / (high - low || 1);
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
      `${x(Math.min(i + 1, last))},${y(value)}`).join(" ") }), // a dot for one epoch
    ...(epoch ? [epoch] : []).map((each) =>
      svg("circle", { class: kind, r: 4, cx: x(each), cy: y(line[each - 1]) })),
    label(x(last) + 8, ends[place] + 4 +
      (ends[place] < ends[1 - place] ? -apart : apart), kind, "start", kind)]));
  if (model.hasHistory) plot.addEventListener("click", (event) => {
    const [across] = positionOn(plot, event);
    const there = (across * width - left) / (width - left - right) * last;
    const distances = model.epochs.map((each) => -Math.abs(each - there));
    epochs.stop();
    setVersion(ranked(distances)[0]);
  });
  return plot;
}
