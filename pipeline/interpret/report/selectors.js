// The bar selects a network: that of an epoch or, on a page with integers, that of a
// bit width. Both selectors have the same methods. Below them, the learning curve, and
// the search for a neuron or a parameter by its name.

import {
  $, bold, element, integer, neuronName, number, onEnter, percent, plural, positionOn,
  ranked, significant, svg, tableRow,
} from "display.js";
import {
  className, classTitle, isFrozen, isShort, model, network, select, show, state,
} from "model.js";

const EPOCH_MS = 700; // time per epoch when the training is played

export const selector = () => (model.bit_widths.length ? bitWidths : epochs);

export function selectNetwork(index) {
  state.networkIndex = index;
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
      selectNetwork(Number($("epoch").value));
    });
    $("play").addEventListener("click", () => {
      if (playing) { epochs.stop(); return; }
      selectNetwork(state.networkIndex === last ? 0 : state.networkIndex);
      epochs.stop(setInterval(() => {
        selectNetwork(Math.min(state.networkIndex + 1, last));
        if (state.networkIndex === last) epochs.stop();
      }, EPOCH_MS));
    });
  },

  // Stop playing the training, or continue with another timer.
  stop(timer = null) {
    clearInterval(playing);
    playing = timer;
    $("play").setAttribute("aria-pressed", String(Boolean(timer)));
  },

  update() {
    const { last, hasHistory } = model, epoch = model.epochs[state.networkIndex];
    const name = !hasHistory ? "Final network"
      : epoch ? `After epoch ${epoch} of ${model.epochs[last]}` : "Before training";
    const accuracy = percent(model.validation_accuracy[state.networkIndex], 2);
    $("epoch-text").textContent = `${name}: validation accuracy ${accuracy} (` +
      `${state.off.size ? "all neurons on" : plural(model.validation_images, "image")})`;
    $("epoch").value = state.networkIndex;
    $("epoch").setAttribute("aria-valuetext", `epoch ${epoch}`);
  },

  // A parameter in words.
  describe(layer, input, neuron) {
    const { hasHistory, last, networks } = model;
    const isConstant = isFrozen(layer, input, neuron);
    const [initial, now, end] = [0, state.networkIndex, last].map((index) =>
      networks[index].parameter(layer, input, neuron));
    const isExact = state.networkIndex === last || isConstant;
    const start = "At the selected epoch, its value is " +
      `${isExact ? number(now, 6) : approximate(now)}.`;
    if (!hasHistory) return `${start} Its value in earlier epochs is not available.`;
    if (isConstant) {
      const reason = model.tensors.nonzero[input] ? ""
        : "its pixel is 0 in all training images, so ";
      return `${start} It is frozen: ${reason}it has its initial random value ` +
        "after every epoch.";
    }
    return `${start} It started at ${initial === 0 ? "0" : approximate(initial)} and ` +
      `ended at ${number(end, 6)}.`;
  },

  // A plot of the value of a parameter in each epoch.
  diagram(layer, input, neuron) {
    const { hasHistory, last, networks } = model;
    if (!hasHistory) return "";
    const values = networks.map((each) => each.parameter(layer, input, neuron));
    const isConstant = isFrozen(layer, input, neuron);
    const [width, height, left, right, top, bottom] = [150, 152, 4, 4, 24, 24];
    const [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
    const x = (index) => left + (width - left - right) * index / last;
    const y = (value) =>
      top + (height - top - bottom) * (high - value) / (high - low || 1);
    const now = values[state.networkIndex];
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `From ${number(values[0])} to ${number(values[last])}` },
    svg("line", { x1: left, x2: width - right, y1: y(0), y2: y(0),
      stroke: "var(--pale)", "stroke-dasharray": "2 3" }),
    plotText(width - right, y(0) + (high > 0 ? -3 : 12), "0", "end"),
    plotText(left, 12, `value ${number(now, 3)}`, "start"),
    plotText(left, height - 6, `epoch ${model.epochs[0]}`, "start"),
    plotText(width - right, height - 6, model.epochs[last], "end"),
    svg("polyline", { fill: "none", "stroke-width": 2,
      points: values.map((value, index) => `${x(index)},${y(value)}`).join(" "),
      stroke: isConstant ? "var(--pale)" : "var(--positive)",
      "stroke-dasharray": isConstant ? "6 5" : "none" }),
    svg("circle", { cx: x(state.networkIndex), cy: y(now), r: 4,
      fill: "var(--selected)" }));
  },
};

const plotText = (x, y, text, align) => svg("text", { x, y, "text-anchor": align }, text);

// For each bit width, a label with an input and the prediction.
const switches = [];

const bitWidths = {
  build() {
    model.networks.forEach(({ bitWidth }, index) => {
      const prediction = element("span");
      const input = element("input", { type: "radio", name: "bit-width", value: bitWidth,
        onchange: () => selectNetwork(index) });
      const label = element("label", {}, input, bold(bitWidth), prediction);
      switches.push({ label, input, prediction });
      $("bit-widths").append(label);
    });
  },

  update(_, changed) {
    const results = model.networks.map((each) => {
      const { probabilities } = each.classify(state.image, state.off);
      const [first] = ranked(probabilities);
      return { first, share: percent(probabilities[first]) };
    });
    switches.forEach(({ label, input, prediction }, index) => {
      const { first, share } = results[index], name = className(first);
      input.checked = index === state.networkIndex;
      prediction.replaceChildren(element("strong", {}, name),
        isShort(first) ? ` ${share}` : "");
      label.title = `${model.networks[index].bitWidth}: ${name}, ${share}`;
      input.ariaLabel = label.title;
      label.classList.toggle("differs", first !== results[0].first);
    });
    if (changed.final) showTable();
  },

  describe: () => "Its value in floating point, its integer at each bit width, and the " +
    "real number that the integer stands for.",

  // A table of a parameter at all bit widths.
  diagram(...location) {
    const table = element("table", { id: "values" },
      tableRow(["", "stored", "stands for"], "", "th"));
    model.networks.forEach((each, index) => {
      const row = tableRow([each.bitWidth, ...each.stored(...location)]);
      row.setAttribute("aria-current", index === state.networkIndex);
      table.append(row);
    });
    return table;
  },
};

// Mark the bit width in the table, and count how many predictions it changes.
function showTable() {
  [...$("bit-widths-table").rows].forEach((row, index) =>
    row.setAttribute("aria-current", index - 1 === state.networkIndex));
  const [now, expected] = [network(), model.float].map((each) =>
    each.storedPredictions());
  const changed = now.filter((label, row) => label !== expected[row]).length;
  $("bit-widths-text").textContent = network() === model.float ? "" :
    `Of the ${integer(now.length)} test images on this page, ${integer(changed)} ` +
    `${changed === 1 ? "gets" : "get"} a different prediction with ${network().bitWidth} ` +
    "than in floating point.";
}

// The learning curve, if it was recorded: a cursor at the selected epoch, and its
// values. A click selects an epoch, as the slider does.
export const curve = {
  build() {
    for (const plot of $("curves")?.children ?? []) plot.addEventListener("click",
      (event) => {
        const { x, width } = plot.viewBox.baseVal;
        const [first] = plot.querySelector("polyline").points; // of epoch 1
        const epoch = (x + width * positionOn(plot, event)[0]) / first.x;
        epochs.stop();
        selectNetwork(ranked(model.epochs.map((each) => -Math.abs(each - epoch)))[0]);
      });
  },

  update(_, changed) {
    if (!changed.network || !$("curve")) return;
    const { curves, validation_images: images } = model;
    const epoch = model.epochs[state.networkIndex];
    for (const plot of $("curves").children) moveCursor(plot, epoch);
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

function moveCursor(plot, epoch) {
  const cursor = plot.querySelector(".cursor");
  plot.querySelectorAll("polyline").forEach((line) => {
    const { x, y } = line.points[Math.max(epoch - 1, 0)], dot = line.nextElementSibling;
    for (const name of ["x1", "x2"]) cursor.setAttribute(name, epoch ? x : 0);
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
    dot.classList.toggle("absent", epoch === 0);
  });
}

// What a name refers to, as [layer, neuron, input]; the input is null for a neuron. The
// forms of names are those of `NameForm` in names.py; classes and pixels have names on
// the page only.
function locate(name) {
  const label = model.class_names.findIndex((_, each) =>
    classTitle(each).toLowerCase() === name.toLowerCase());
  if (label >= 0) return [2, label, null];
  const [, pixel] = /^pixel *(\d+)$/i.exec(name) ?? [];
  if (pixel) return [1, state.layer === 1 ? state.neuron : 0, Number(pixel)];
  const lists = [[model.neuron_names, null], [model.parameter_names, "bias"]];
  for (const [forms, withoutInput] of lists) {
    for (const { pattern, groups, first } of forms) {
      const match = new RegExp(`^(?:${pattern})$`, "i").exec(name);
      if (!match) continue;
      const read = (group, start) => match[1 + groups.indexOf(group)] - start;
      return [read("layer", 0), read("neuron", first),
        groups.includes("input") ? read("input", first) : withoutInput];
    }
  }
  return null;
}

// Select what a name refers to; return what is wrong with the name, or "".
export function find(text) {
  const name = text.trim();
  const found = locate(name);
  if (!found) return `“${name}” is not a name on this page. Names are ` +
    "N16, layer_1[300,5], bias of N16, M301 of N16, W6 of N28, pixel 300, " +
    `${classTitle(7)}.`;
  const [layer, neuron, input] = found;
  const neurons = network().neurons(layer), inputs = network().inputs(layer);
  if (neuron < 0 || neuron >= neurons)
    return `Layer ${layer} has the neurons ${neuronName(layer, 0)} to ` +
      `${neuronName(layer, neurons - 1)}, with the indices 0 to ${neurons - 1}.`;
  if (input < 0 || input >= inputs)
    return `The inputs of layer ${layer} have the indices 0 to ${inputs - 1}.`;
  select(layer, neuron, input);
  return "";
}

// The message appears below the box and does not move the page.
export const search = {
  build() {
    onEnter($("name"), $("find"), () => {
      if (!$("name").value.trim()) { $("name").focus(); return; }
      const problem = find($("name").value);
      $("search-error").hidden = !problem;
      $("search-error").textContent = problem;
      if (!problem) $("t-sum").focus({ preventScroll: true });
    });
    $("name").addEventListener("input", () => { $("search-error").hidden = true; });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || $("search-error").hidden) return;
      event.preventDefault(); // the panel stays open
      $("search-error").hidden = true;
    });
  },
};
