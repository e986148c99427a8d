// The neurons of both layers: the tiles of layer 1 with their switches, the bars of
// layer 2, the prediction, and how switched-off neurons change the accuracy.

import {
  $, announce, capitalized, colors, diverging, element, fillIn, integer, neuronName,
  paintPixels, percent, plural, ranked, sum,
} from "display.js";
import { isDot } from "drawing.js";
import {
  change, className, classTitle, isFrozen, isShort, model, network, quantity, select,
  state,
} from "model.js";
import { reasonOf } from "networks.js";

// A button that selects a neuron; from the keyboard, the focus moves on to the panel.
const neuronButton = (layer, neuron, attributes, ...children) => element("button", {
  type: "button", ...attributes, onclick: ({ detail }) => {
    select(layer, neuron);
    if (!detail) $("t-sum").focus();
  } }, ...children);

export const weightColor = (value) => diverging(value / network().weight_scale);
export const templateColors = (neuron) => (pixel) => (isFrozen(1, pixel, neuron)
  ? colors.frozen : weightColor(network().parameter(1, pixel, neuron)));

export const tiles = [], outputs = [];

function buildTile(neuron) {
  const canvas = element("canvas"), value = element("span"), bar = element("span");
  const name = neuronName(1, neuron);
  const button = neuronButton(1, neuron, {}, canvas,
    element("span", { class: "name" }, element("b", {}, name), value),
    element("span", { class: "track" }, bar));
  const toggle = element("button", { type: "button", role: "switch",
    "aria-label": `${name} switched on`, onclick: () => {
      const off = new Set(state.off);
      if (!off.delete(neuron)) off.add(neuron);
      change({ off });
    } });
  $("neurons").append(element("div", { class: "tile" }, button, toggle));
  tiles.push({ canvas, value, bar, button, toggle });
}

function buildOutput(name, label) {
  const bar = element("span"), share = element("span", { class: "share" });
  const button = neuronButton(2, label, { class: "output" }, element("b", {}, name),
    element("span", { class: "track" }, bar), share);
  $("outputs").append(button);
  outputs.push({ bar, share, button });
}

// The arrow keys move the focus among the neurons of a layer.
function moveFocus(event, neurons) {
  const { gridTemplateColumns } = getComputedStyle(event.currentTarget);
  const columns = gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns,
    ArrowDown: columns }[event.key];
  const index = neurons.findIndex(({ button }) => button === event.target);
  if (!step || index < 0) return;
  event.preventDefault();
  neurons[index + step]?.button.focus();
}

// The scale of the colors, with numbers: the same for weights and products.
export function weightLegend() {
  const [least, most] = network().legend().weights;
  return element("p", { class: "legend" }, `weight ${least} `,
    element("span", { class: "gradient" }, "0"), ` ${most}`,
    ...(model.tensors["frozen.layer_1.weight"].includes(1) ? [element("span", { class: "unbroken" },
      element("span", { class: "hatched" }), " gray: frozen")] : []));
}

// The colors, and the length of a full bar: the same for all images and epochs.
const neuronLegend = () => [weightLegend(), element("p", { class: "legend" },
  "output 0 ",
  element("span", { class: "track" }, element("span", { style: "width:100%" })),
  ` ${network().legend().output}`)];

export const neurons = {
  build() {
    for (let neuron = 0; neuron < model.hidden; neuron++) buildTile(neuron);
    model.class_names.forEach(buildOutput);
    $("neurons").classList.toggle("many", model.hidden > 40);
    const areShort = model.class_names.every((_, label) => isShort(label));
    $("outputs").classList.toggle("named", !areShort);
    $("neurons").addEventListener("keydown", (event) => moveFocus(event, tiles));
    $("outputs").addEventListener("keydown", (event) => moveFocus(event, outputs));
  },

  update({ hidden, probabilities }, changed) {
    if (changed.final) $("neurons-legend").replaceChildren(...neuronLegend());
    if (changed.network) tiles.forEach(({ canvas }, neuron) =>
      paintPixels(canvas, templateColors(neuron)));
    const { maxOutput } = network(), { layer, neuron: selected, off } = state;
    tiles.forEach((tile, neuron) => {
      const value = hidden[neuron], share = Math.max(value, 0) / maxOutput;
      tile.value.textContent = quantity(value, 1);
      tile.bar.style.width = `${100 * Math.min(share, 1)}%`;
      tile.button.ariaLabel = `${neuronName(1, neuron)}, output ${quantity(value, 2)}`;
      tile.button.setAttribute("aria-current", layer === 1 && selected === neuron);
      tile.toggle.setAttribute("aria-checked", !off.has(neuron));
      tile.toggle.textContent = off.has(neuron) ? "off" : "on";
    });
    outputs.forEach(({ bar, share, button }, label) => {
      bar.style.width = `${100 * probabilities[label]}%`;
      share.textContent = percent(probabilities[label]);
      button.ariaLabel =
        `${neuronName(2, label)}, ${classTitle(label)}: ${share.textContent}`;
      button.setAttribute("aria-current", layer === 2 && selected === label);
    });
    const active = hidden.filter((value) => value > 0).length;
    $("active").textContent = `${active} of ${plural(hidden.length, "neuron")} active`;
  },
};

// The second class, after the name of the first one.
function runnerUp(second, probability) {
  if (probability < 0.0005) return "."; // it would be 0.0%
  return `. ${capitalized(className(second))} is second (${percent(probability)}).`;
}

// What follows the predicted class: the second class, and why the prediction is unsure,
// if it is. Whether an image looks like the training images depends neither on the epoch
// nor on switches: the detector judges the prediction of the final network in floating
// point.
export function conclusion(probabilities) {
  const { float } = model, [first, second] = ranked(probabilities);
  const next = runnerUp(second, probabilities[second]);
  if (model.max_errors === null) return { text: `${next} The training images were ` +
    "missing, so this page cannot tell whether the prediction is sure." };
  const exact = float.classify(state.image).probabilities, [expected] = ranked(exact);
  const reason = reasonOf(model, state, exact, probabilities);
  const isRandom = model.hasHistory && model.epochs[state.networkIndex] === 0;
  if (isRandom && ["", "close"].includes(reason)) return { text:
    `${next} This is a guess: before training, the weights are random.` };
  const images = first === expected ? model.images_of[first] : model.plural;
  if (reason) return { isUnsure: true,
    text: `, but ${inWords(reason, images, second, probabilities[second])}.` };
  if (first !== expected) return otherPrediction(next, expected, exact);
  return { text: next };
}

// The text of a reason in unsure.py, with what the page knows in addition.
function inWords(reason, images, second, probability) {
  const details = { several: " in the drawing",
    close: `: the difference is below ${percent(model.min_margin)}` };
  return fillIn(model.texts[reason], { noun: model.noun, images,
    name: className(second), percent: percent(probability) }) + (details[reason] ?? "");
}

// What the final network in floating point predicts, if the selected one differs.
function otherPrediction(next, expected, exact) {
  const { float } = model, isChanged = state.off.size > 0;
  const start = `${isChanged ? "without the change, " : ""}${float.title}`;
  return { isUnsure: !isChanged && network() === network().final,
    text: `${next} ${capitalized(start)} predicts ${className(expected)} ` +
      `(${percent(exact[expected])}).` };
}

export const prediction = {
  update({ probabilities }, changed) {
    if (!(changed.network || changed.image || changed.off)) return;
    const [first] = ranked(probabilities);
    const { text, isUnsure } = conclusion(probabilities);
    const sentence = [network().says, element("strong", {}, className(first)),
      ` (${percent(probabilities[first])})`,
      element("span", { class: isUnsure ? "unsure" : "" }, text)];
    $("prediction").replaceChildren(...(state.finding === "blank"
      ? [`The image is blank${state.image[0] ? "."
        : ": the sums of layer 1 are its biases."}`]
      : isDot(state.strokes) ? [`This is only a dot. Draw a ${model.noun}.`]
      : sentence));
    announce($("prediction").textContent);
  },
};

// For each class, how many stored test images a network classifies correctly.
function correctCounts(off) {
  const { labels } = model.tensors, predictions = network().storedPredictions(off);
  return model.class_names.map((_, label) => predictions.filter((predicted, row) =>
    predicted === label && labels[row] === label).length);
}

export const effect = {
  build() {
    $("reset").addEventListener("click", () => {
      change({ off: new Set() });
    });
  },

  update(_, changed) {
    if (!(changed.off || changed.final)) return;
    const { title } = network(), { off } = state;
    const before = correctCounts(), after = correctCounts(off);
    const correct = (counts) => integer(sum(counts));
    const total = plural(model.tensors.labels.length, "test image");
    const without = off.size ? `; without the change, ${correct(before)}` : "";
    const names = [...off].sort((a, b) => a - b).map((neuron) => neuronName(1, neuron));
    $("effect").textContent = `${off.size ? `${names.join(", ")} off`
      : "No neuron is switched off"}: ${title} classifies ${correct(after)} of ` +
      `${total} correctly${without}.`;
    $("accuracy").textContent = `${capitalized(title.replace("the ", ""))}: ` +
      `${correct(after)} of ${total} correct${without}.`;
    $("reset").disabled = !off.size;
    $("class-accuracies").replaceChildren(...after.map((count, label) =>
      accuracyBars(label, before[label], count)));
  },
};

// The accuracy for one class: a hollow bar before the change, a solid one after it.
function accuracyBars(label, before, after) {
  const images = model.tensors.labels.filter((each) => each === label).length;
  const share = (count) => count / Math.max(images, 1); // 0 for a class without images
  const bar = (kind, count) =>
    element("span", { class: kind, style: `height:${100 * share(count)}%` });
  const text = `${classTitle(label)}: ${percent(share(before))} of ` +
    `${plural(images, "image")} before, ${percent(share(after))} after`;
  const short = (count) => Math.round(100 * share(count));
  return element("figure", { title: text, role: "img", "aria-label": text,
    class: after === before ? "" : "differs" },
  element("div", {}, bar("before", before), bar("after", after)),
  element("figcaption", {}, element("b", {}, className(label)), element("br"),
    `${after === before ? "" : `${short(before)} → `}${short(after)}%`,
    element("br"), `of ${images}`));
}
