// The steps of the tour: the elements that each can point at (the largest first), what
// it selects, and the values in its text, which is in `tour_steps.html`.

import {
  $, MINUS, fillIn, neuronName, number, percent, plural, ranked, rowAndColumn,
  significant,
} from "display.js";
import {
  className, classTitle, currentResult, model, network, select, state,
} from "model.js";
import { outputs, tiles } from "neurons.js";
import { termsOf } from "panel.js";
import { epochs, selectNetwork } from "selectors.js";

// The neuron of the first steps: among the five most active ones for the current image,
// the one with the largest bias. Its pixel: among those that contribute most, the one
// whose value is closest to 0.5. Then all three numbers in m·x + c matter.
function exampleNeuron() {
  const bias = (neuron) => Math.abs(network().parameter(1, "bias", neuron));
  return ranked(currentResult().hiddenSums).slice(0, 5).reduce((best, neuron) =>
    (bias(neuron) > bias(best) ? neuron : best));
}
function examplePixel(neuron) {
  const { listed } = termsOf(1, neuron, currentResult().pixels, 40);
  return listed.reduce((best, term) =>
    (Math.abs(term.value - 0.5) < Math.abs(best.value - 0.5) ? term : best)).input;
}

export function tourSteps() {
  const neuron = exampleNeuron(), name = neuronName(1, neuron);
  const [label] = ranked(currentResult().probabilities);
  return [
    lineStep(neuron, name),
    { id: "neuron", targets: () => [$("equations")], enter: () => select(1, neuron),
      values: () => ({ name, y: currentResult().hiddenSums[neuron],
        nonzero: String(state.image.filter(Boolean).length) }) },
    { id: "sizes", values: () => ({ name }),
      targets: () => [$("sizes-table").parentElement, $("sizes-table").rows[1]] },
    layerStep(), classesStep(label), softmaxStep(label),
    ...(model.hasHistory ? [trainingStep()] : []),
    { id: "frozen", targets: () => [$("images").querySelector("canvas")],
      enter: () => select(1, neuron, model.rarest) },
  ].map((step) => ({ ...step, content: () => contentOf(step) }));
}

function lineStep(neuron, name) {
  const pixel = examplePixel(neuron), two = (value) => Number(value.toFixed(2));
  return { id: "line", targets: () => [$("images")],
    enter: () => select(1, neuron, pixel),
    values: () => {
      const m = two(network().parameter(1, pixel, neuron));
      const c = two(network().parameter(1, "bias", neuron));
      const x = two(currentResult().pixels[pixel]);
      return { name, index: String(neuron + 1), pixel: String(pixel),
        where: rowAndColumn(pixel), m, x, c, y: m * x + c, product: m * x,
        noInput: m + c, added: m + x + c, together: m * (x + c), subtracted: m * x - c,
        sign: c < 0 ? MINUS : "+", size: Math.abs(c) };
    } };
}

function layerStep() {
  const lowest = () => ranked(currentResult().hiddenSums).at(-1);
  return { id: "layer", targets: () => [$("neurons"), tiles[lowest()].button],
    values: () => {
      const { hiddenSums, hidden } = currentResult(), z = hiddenSums[lowest()];
      const active = hidden.filter((value) => value > 0).length;
      return { lowest: neuronName(1, lowest()), z, size: -z, hasQuestion: z < 0,
        active: `${active} of ${plural(model.hidden, "neuron")} ` +
          `${active === 1 ? "is" : "are"}` };
    } };
}

function classesStep(label) {
  return { id: "classes", targets: () => [$("outputs"), outputs[label].button],
    enter: () => select(2, label),
    values: () => ({ name: neuronName(2, label), index: String(label + 1),
      title: classTitle(label), logit: currentResult().logits[label],
      lines: $("show-connections").checked
        ? " Each line stands for a weight times an output." : "" }) };
}

function softmaxStep(label) {
  return { id: "softmax", enter: () => select(2, label),
    targets: () => [$("softmax").parentElement, $("softmax").querySelector(".total")],
    values: () => {
      const { logits, probabilities } = currentResult();
      const [first, second] = ranked(probabilities);
      const ahead = logits[first] - logits[second];
      return { title: classTitle(first), share: percent(probabilities[first]),
        first: className(first), second: className(second), ahead,
        ratio: significant(Math.exp(ahead), 2) };
    } };
}

function trainingStep() {
  let before;
  return { id: "training", targets: () => [document.querySelector(".epochs")],
    scene: () => $("neurons"), // which show what changes
    enter: () => { before = state.networkIndex; },
    leave: () => {
      epochs.stop();
      selectNetwork(before);
    },
    solved: () => selectNetwork(0) };
}

// Fill the text of a step: a value that is a number has two decimals.
function contentOf({ id, values: valuesOf = () => ({}) }) {
  const values = valuesOf(), all = (kind) =>
    [...$(`step-${id}`).content.querySelectorAll(kind)];
  const shown = Object.fromEntries(Object.entries(values).map(([name, value]) =>
    [name, typeof value === "number" ? number(value, 2) : value]));
  const fill = (text) => fillIn(text.replace(/[ \n]+/g, " ").trim(), shown);
  const textOf = (kind) => all(kind).map((each) => fill(each.textContent)).join("\n");
  const valueOf = (text) => Number(values[text] ?? text);
  const [ask] = values.hasQuestion === false ? [] : all(".ask");
  const options = all(".option").map((each) =>
    ({ text: fill(each.textContent), wrong: fill(each.dataset.wrong ?? "") }));
  const guesses = all("[data-guess]").map((each) =>
    [valueOf(each.dataset.guess), fill(each.textContent)]);
  const question = ask && { ask: textOf(".ask"), unit: ask.dataset.unit, options,
    ...(options.length ? { check: (option) => options[option].wrong } : numberCheck(
      valueOf(ask.dataset.answer), guesses, textOf(".hint"),
      Number(ask.dataset.tolerance ?? 0))) };
  return { title: textOf("h2"), text: textOf(".text"), answer: textOf(".answer"),
    question };
}

// What is wrong with a number, or "".
function numberCheck(answer, guesses, hint, tolerance) {
  const isNear = (guess, value) => Math.abs(guess - value) <= tolerance + 1e-9;
  const check = (guess) => {
    if (isNear(guess, answer)) return "";
    const mistake = guesses.find(([value]) =>
      isNear(guess, value) && !isNear(answer, value));
    const direction = guess < answer ? "That is too small." : "That is too large.";
    return mistake ? mistake[1] : `${direction} ${hint}`;
  };
  return { check, isWhole: tolerance === 0 };
}
