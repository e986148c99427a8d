// What the network predicts for the selected image, and why the prediction is unsure;
// how many of the stored test images it classifies correctly.

import {
  $, CLASSES, PIXELS, WHITE, announce, capitalized, element, fillIn, integer,
  neuronName, percent, plural, ranked, sum,
} from "display.js";
import { isDot } from "drawing.js";
import {
  change, className, classTitle, model, network, state,
} from "model.js";

// Whether all pixels of an image are the same, as in pipeline/images/unsure.py.
export const isBlank = (image) => image.every((level) => level === image[0]);

// The reason why a prediction is unsure, as in pipeline/images/unsure.py; "" if it is
// sure, null if that is unknown. `exact` is the output of the detector's network.
export function reasonOf({ image, finding }, exact, probabilities = exact) {
  if (finding || !model.max_errors) return finding || null;
  if (isUnlike(image, ranked(exact)[0])) return "unlike";
  const [first, second] = ranked(probabilities);
  const margin = probabilities[first] - probabilities[second];
  return margin < model.min_margin ? "close" : "";
}

// Whether the components of a class explain too little of an image, or those of
// another class explain far more of it.
function isUnlike(image, label) {
  const { max_errors: limits, max_ratio: ratio } = model;
  const errors = limits.map((_, each) => reconstructionError(image, each));
  return errors[label] > limits[label] || errors.some((error, other) =>
    other !== label && errors[label] > ratio * error);
}

// How much of an image the principal components of a class do not explain.
function reconstructionError(image, label) {
  const { "detector.means": means, "detector.components": components } = model.tensors;
  const squared = (values) => values.reduce((total, value) => total + value * value, 0);
  const size = components.length / CLASSES, mean = means.subarray(label * PIXELS);
  const centered = Float64Array.from(image, (level, i) => (level - mean[i]) / WHITE);
  const rest = centered.slice();
  for (let row = label * size; row < (label + 1) * size; row += PIXELS) {
    const axis = components.subarray(row, row + PIXELS);
    const along = axis.reduce((total, value, i) => total + value * centered[i], 0);
    const factor = along / Math.max(squared(axis), 1);
    axis.forEach((value, i) => { rest[i] -= factor * value; });
  }
  return squared(rest) / Math.sqrt(squared(Float64Array.from(image, (v) => v / WHITE)));
}

// What follows the predicted class: the second class, and why the prediction is unsure,
// if it is. Whether an image looks like the training images depends neither on the epoch
// nor on switches: the detector judges the prediction of the final network in floating
// point.
export function conclusion(probabilities) {
  const { float } = model, [first, second] = ranked(probabilities);
  const share = percent(probabilities[second]);
  const next = share === "0.0%" ? "."
    : `. ${capitalized(className(second))} is second (${share}).`;
  const exact = float.classify(state.picture.image).probabilities;
  const [expected] = ranked(exact);
  const reason = reasonOf(state.picture, exact, probabilities);
  const isRandom = model.hasHistory && model.epochs[state.networkIndex] === 0;
  if (isRandom && ["", "close", null].includes(reason)) return { text:
    `${next} This is a guess: before training, the weights are random.` };
  const images = first === expected ? model.images_of[first] : model.plural;
  if (reason) return { isUnsure: true,
    text: `, but ${inWords(reason, images, second, probabilities[second])}.` };
  if (first !== expected) return otherPrediction(next, expected, exact);
  return { text: reason === "" ? next : `${next} The training images were missing, ` +
    "so this page cannot tell whether the prediction is sure." };
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
    const { image, finding, strokes } = state.picture;
    $("prediction").replaceChildren(...(finding === "blank"
      ? [`The image is blank${image[0] ? "."
        : ": the sums of layer 1 are its biases."}`]
      : isDot(strokes) ? [`This is only a dot. Draw a ${model.noun}.`]
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
    $("reset").addEventListener("click", () => change({ off: new Set() }));
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
