// The prediction for the selected image, why the prediction is unsure, and how many of
// the stored test images the network classifies correctly.

import {
  $, announce, capitalized, element, fillIn, integer, neuronName, number, percent,
  plural, probabilityText, sum,
} from "display.js";
import { isDot } from "drawing.js";
import { change, className, classTitle, model, network, state } from "model.js";

// The text after the predicted class: the second class, and the reason if the
// prediction is unsure. Without a detector, only a finding of preprocessing can be the
// reason.
export function conclusion(result) {
  const { probabilities, first, second } = result, { image, finding } = state.shown;
  const share = probabilityText(probabilities[second]);
  const next = share === "<0.1%" ? "."
    : `. The second most probable class is ${className(second)} (${share}).`;
  const allOn = model.trained.classify(image);
  const reason = finding || (model.detector?.reason(image, allOn, result) ?? null);
  const isRandom = model.hasEarlierEpochs && model.epochs[state.networkIndex] === 0;
  if (isRandom && ["", "small margin", null].includes(reason)) return { text:
    `${next} This is a guess: before training, the weights are random.` };
  const images = first === allOn.first ? model.images_of[first] : model.plural;
  if (reason) return { isUnsure: true, text: ". The prediction is marked unsure " +
    `because ${inWords(reason, images, second, probabilities[second])}.` };
  if (first !== allOn.first) return otherPrediction(next, allOn);
  // The reason is "", or null if it is unknown.
  return { text: next + (reason ?? ` ${capitalized(model.missing_detector)}, so this ` +
    "page cannot determine whether the prediction is unsure.") };
}

// The text of a reason in unsure.py, with additional information of the page.
function inWords(reason, images, second, probability) {
  const text = fillIn(model.texts[reason], { noun: model.noun, images,
    name: className(second), percent: probabilityText(probability) });
  if (reason === "several objects") return `${text} in the drawing`;
  return reason !== "small margin" ? text
    : `${text}: the difference is below ${number(100 * model.detector.min_margin, 1)} ` +
      "percentage points";
}

// The prediction of the final floating-point network, if it differs.
function otherPrediction(next, { first, probabilities }) {
  const without = state.off.size ? "with all neurons on, " : "";
  return { text: `${next} ${capitalized(without + model.trained.title)} predicts ` +
    `${className(first)} (${probabilityText(probabilities[first])}).` };
}

export const prediction = {
  update(result, changed) {
    if (!(changed.network || changed.image || changed.off)) return;
    const { probabilities, first } = result, { text, isUnsure } = conclusion(result);
    const sentence = [network().says, element("strong", {}, className(first)),
      ` (${probabilityText(probabilities[first])})`,
      element("span", { class: isUnsure ? "unsure" : "" }, text)];
    const { image, finding, strokes } = state.shown;
    $("prediction").replaceChildren(...(finding === "blank"
      ? [`The image is blank${image[0] ? "."
        : ": the sums of layer 1 are its biases."}`]
      : isDot(strokes) ? ["This is only a dot, so the probabilities are meaningless. " +
        `Draw a ${model.noun}.`]
      : sentence));
    announce($("prediction").textContent);
  },
};

// For each class, how many stored test images a network classifies correctly.
function correctCounts(off) {
  const predictions = network().evaluated.storedPredictions(off);
  return model.class_names.map((_, label) => predictions.filter((predicted, row) =>
    predicted === label && model.tensors.labels[row] === label).length);
}

export const effect = {
  build() {
    $("reset").addEventListener("click", () => change({ off: new Set() }));
  },

  update(_, changed) {
    if (!(changed.off || changed.evaluated)) return;
    const { title } = network(), { off } = state;
    const before = correctCounts(), after = off.size ? correctCounts(off) : before;
    const correct = (counts) => integer(sum(counts));
    const total = plural(model.tensors.labels.length, "test image");
    const without = off.size ? `; with all neurons on, ${correct(before)}` : "";
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

// The accuracy for one class: a hollow bar before the change, and a solid bar after it.
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
