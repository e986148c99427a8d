// The tour: a card that points at the elements of the page, one step at a time, and
// asks for a guess before it shows an answer. tour_steps.html contains the texts, and the
// style sheet places the card. On a wide page, the card is over the panel or, while it
// points at the panel, next to the panel. Otherwise, it is at the lower edge.

import {
  $, BIAS, MINUS, element, fillIn, neuronName, number, onEnter, plural,
  probabilityText, ranked, rounded, rowAndColumn, significant,
} from "display.js";
import { useTestImage } from "input_image.js";
import {
  change, className, classTitle, currentResult, model, network, select, state,
} from "model.js";
import { bars, tiles } from "neurons.js";
import { isDocked } from "panel.js";

let steps = [], stepIndex = null; // the steps for this network; null if no tour is open
let leftAt = 0; // the step at which the tour continues
let before = {}, own = {}; // `state` before the tour, and after the tour had started
let solved = new Set(); // the answered steps
let feedback = null; // the text of the card about the last guess
const currentStep = () => steps[stepIndex];

function startTour() {
  if (stepIndex !== null) { goToStep(0); return; }
  before = { ...state };
  // The steps are about the final floating-point network, with all neurons on.
  change({ networkIndex: model.trainedIndex, off: new Set(), isEpochFixed: true });
  useTestImage(model.gallery.indexOf(model.example.image));
  own = { ...state };
  if (!leftAt) [steps, solved] = [tourSteps(), new Set()];
  document.body.classList.add("touring");
  $("search-error").textContent = "";
  $("tour").hidden = false;
  goToStep(leftAt);
}

function leaveTour(focused) {
  const step = currentStep();
  leftAt = stepIndex === steps.length - 1 ? 0 : stepIndex;
  $("start-tour").textContent = leftAt ? "Continue the tour" : "Start here";
  stepIndex = null;
  step.leave?.();
  change({ isEpochFixed: false });
  document.body.classList.remove("touring");
  delete document.body.dataset.question;
  markTarget(null);
  $("tour").hidden = true;
  focused.focus({ preventScroll: true });
}

// Restore everything, except an image and switches that the user chose during the tour.
// On a phone, the panel would cover the board.
function endTour(focused = $("start-tour")) {
  leaveTour(focused);
  for (const field of ["shown", "off", "hasLines"])
    if (state[field] !== own[field]) delete before[field];
  change({ ...before, isOpen: before.isOpen && isDocked.matches });
  $("board").scrollIntoView({ block: "center" }); // where the user continues
}

function goToStep(next) {
  if (next === steps.length) { endTour(); return; }
  if (next < 0) return;
  if (stepIndex !== null) currentStep().leave?.();
  [stepIndex, feedback] = [next, null];
  $("guess-value").value = "";
  currentStep().enter?.();
  if (solved.has(currentStep())) currentStep().solved?.();
  const isOpen = isDocked.matches || $("panel").contains(currentStep().targets()[0]);
  change({ isOpen });
  $("tour-text").parentElement.scrollTop = 0; // the card scrolls by itself
  $("tour").focus({ preventScroll: true });
  scrollToTarget();
}

// Fill the card for the image and the network.
function showCard() {
  const step = currentStep(), { title, text, question, answer } = step.content();
  const isOpen = Boolean(question) && !solved.has(step);
  document.body.dataset.question = isOpen ? step.id : "";
  $("tour-count").textContent = `Step ${stepIndex + 1} of ${steps.length}`;
  $("tour-title").textContent = title;
  $("tour-text").textContent = text;
  $("guess").hidden = !isOpen;
  if (isOpen) showQuestion(question);
  $("tour-feedback").textContent = feedback ?? "";
  $("tour-feedback").className = feedback === RIGHT ? "right" : "wrong";
  $("tour-answer").hidden = isOpen;
  $("tour-answer").textContent = answer;
  $("tour-back").disabled = stepIndex === 0;
  $("tour-next").textContent = stepIndex === steps.length - 1 ? "Finish" : "Next";
  document.body.style.setProperty("--tour-height", `${$("tour").offsetHeight}px`);
}

function showQuestion({ ask, unit, options }) {
  $("guess-question").textContent = ask;
  $("guess-unit").textContent = unit ?? "";
  $("guess-number").hidden = options.length > 0;
  $("guess-options").hidden = !options.length;
  const displayed = [...$("guess-options").children].map((each) => each.textContent);
  const texts = options.map(({ text }) => text);
  if (String(displayed) === String(texts)) return; // keeps the focus
  $("guess-options").replaceChildren(...texts.map((text, option) =>
    element("button", { type: "button", onclick: () => checkGuess(option) }, text)));
}

const RIGHT = "Correct.";

// Explain why a guess is correct or wrong; a correct guess shows the answer.
function checkGuess(guess) {
  const { question } = currentStep().content();
  feedback = guess === null ? "Enter a number." : question.check(guess) || RIGHT;
  if (feedback === RIGHT) { solveStep(); return; }
  tour.update();
  scrollToTarget(); // the card is higher now
}

function solveStep() {
  solved.add(currentStep());
  currentStep().solved?.();
  tour.update();
  $("tour").focus({ preventScroll: true }); // the question had the focus, and is gone
  scrollToTarget();
}

// The first displayed target of the step that fits in the space below the bar and, if
// the card is at the lower edge, above the card. The last target is small. If no target
// is displayed, because the user closed the panel, the target is all neurons.
export function currentTarget() {
  const bar = document.querySelector(".bar");
  const targets = currentStep().targets().filter((each) => each?.offsetHeight);
  const top = parseFloat(getComputedStyle(bar).top) + bar.offsetHeight;
  const bottom = innerHeight - (isDocked.matches ? 0 : $("tour").offsetHeight);
  return targets.find((each) => each.offsetHeight <= bottom - top - 32) ??
    targets.at(-1) ?? $("network");
}

function markTarget(target) {
  document.querySelector(".target")?.classList.remove("target");
  target?.classList.add("target");
  document.body.dataset.target = $("panel").contains(target) ? "panel" : "page";
}

// The panel scrolls by itself. `scene` is the element that changes, if this is not the
// target.
function scrollToTarget() {
  const { scene } = currentStep(), target = currentTarget(), panel = $("panel");
  if (scene) scene().scrollIntoView({ block: "start" });
  else if (!panel.contains(target)) target.scrollIntoView({ block: "center" });
  else {
    const head = panel.firstElementChild.getBoundingClientRect().bottom;
    panel.scrollBy(0, target.getBoundingClientRect().top - head - 10);
  }
}

// Parse a number as people write it: 0.5 or 0,5, -3 or −3, 10%; a whole number also as
// 15,680 or 15.680. Return null if the text is not a number.
function readNumber(text, isWhole) {
  const plain = text.replace(/[\s%'’]/g, "").replace(MINUS, "-");
  const isGrouped = isWhole && /^\d{1,3}([,.]\d{3})+$/.test(plain);
  const value = isGrouped ? plain.replace(/[,.]/g, "") : plain.replace(",", ".");
  return /^[-+]?(\d+\.?\d*|\.\d+)$/.test(value) ? Number(value) : null;
}

// The arrow keys change the step, unless they change something else: the focus among
// the neurons, the selected pixel, or the value of an input.
function goByKey(event) {
  const { key, target } = event, step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!step || stepIndex === null) return;
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const isInUse = target.value && target.type !== "checkbox"; // value is always "on"
  if (!event.defaultPrevented && !isInUse) goToStep(stepIndex + step);
}

export const tour = {
  build() {
    $("start-tour").hidden = false;
    $("start-tour").addEventListener("click", startTour);
    $("tour-leave").addEventListener("click", () => endTour());
    $("tour-back").addEventListener("click", () => goToStep(stepIndex - 1));
    $("tour-next").addEventListener("click", () => goToStep(stepIndex + 1));
    $("guess-show").addEventListener("click", () => { feedback = null; solveStep(); });
    onEnter($("guess-value"), $("guess-check"), () => {
      const { question } = currentStep().content();
      checkGuess(readNumber($("guess-value").value, question.isWhole));
    });
    // The tour is about the floating-point network. Before another network is
    // selected, leave the tour.
    $("bit-widths")?.addEventListener("change", () => {
      if (stepIndex !== null) endTour(document.activeElement);
    }, { capture: true });
    document.addEventListener("keydown", goByKey);
  },

  isOpen: () => stepIndex !== null,
  close: () => endTour(),

  update() {
    if (stepIndex === null) return;
    showCard();
    markTarget(currentTarget());
  },
};

// The steps: for each step, the elements that the card can point at (the largest
// first), the selection, and the values in the text.
export function tourSteps() {
  const { neuron, pixel } = model.example, name = neuronName(1, neuron);
  // The class of the steps about layer 2, even after another image is chosen.
  const { first: predicted } = currentResult();
  return [
    lineStep(neuron, pixel, name),
    { id: "neuron", targets: () => [$("equations")], enter: () => select(1, neuron),
      values: () => ({ name, y: currentResult().hiddenSums[neuron],
        nonzero: String(state.shown.image.filter(Boolean).length) }) },
    { id: "sizes", values: () => ({ name }),
      targets: () => [$("sizes-table").parentElement, $("sizes-table").rows[1]] },
    layerStep(), classesStep(predicted), softmaxStep(predicted),
    ...(model.hasEarlierEpochs ? [trainingStep()] : []),
    { id: "frozen", targets: () => [$("images").querySelector("canvas")],
      enter: () => select(1, neuron, model.rarest) },
  ].map((step) => ({ ...step, content: () => contentOf(step) }));
}

function lineStep(neuron, pixel, name) {
  return { id: "line", targets: () => [$("images")],
    enter: () => select(1, neuron, pixel),
    values: () => {
      const m = rounded(network().parameter(1, pixel, neuron), 2);
      const c = rounded(network().parameter(1, BIAS, neuron), 2);
      const x = rounded(currentResult().pixels[pixel], 2);
      return { name, index: String(neuron + 1), pixel: String(pixel),
        where: rowAndColumn(pixel), m, x, c, ...lineValues(m, x, c),
        sign: c < 0 ? MINUS : "+", size: Math.abs(c) };
    } };
}

// m·x + c and typical mistakes, for numbers with two decimal places. As in the tutorial of
// Python, the results are computed with integers, because floats would round some ties
// down.
export function lineValues(...numbers) {
  const [m, x, c] = numbers.map((each) => Math.round(100 * each));
  const unrounded = { y: m * x + 100 * c, product: m * x, noInput: 100 * (m + c),
    added: 100 * (m + x + c), together: m * (x + c), subtracted: m * x - 100 * c };
  return Object.fromEntries(Object.entries(unrounded).map(([name, value]) =>
    [name, Math.sign(value) * Math.round(Math.abs(value) / 100) / 100]));
}

function layerStep() {
  const lowest = () => ranked(currentResult().hiddenSums).at(-1);
  return { id: "layer", targets: () => [$("neurons"), tiles[lowest()].button],
    values: () => {
      const { hiddenSums, outputs } = currentResult(), z = hiddenSums[lowest()];
      const active = outputs.filter((value) => value > 0).length;
      return { lowest: neuronName(1, lowest()), z, size: -z,
        hasQuestion: rounded(z, 2) < 0, // as it is displayed
        active: `${active} of ${plural(model.hidden, "neuron")} ` +
          `${active === 1 ? "is" : "are"}` };
    } };
}

function classesStep(predicted) {
  return { id: "classes", targets: () => [$("outputs"), bars[predicted].button],
    enter: () => select(2, predicted),
    values: () => ({ name: neuronName(2, predicted), index: String(predicted + 1),
      title: classTitle(predicted), logit: currentResult().logits[predicted],
      lines: state.hasLines ? " Each line represents a weight times an output."
        : "" }) };
}

function softmaxStep(predicted) {
  return { id: "softmax", enter: () => select(2, predicted),
    targets: () => [$("softmax").parentElement, $("softmax").querySelector(".total")],
    values: () => {
      const { logits, probabilities, first, second } = currentResult();
      const ahead = rounded(logits[first] - logits[second], 2); // as it is displayed
      return { title: classTitle(predicted), share: probabilityText(probabilities[predicted]),
        first: className(first), second: className(second), ahead,
        ratio: significant(Math.exp(ahead), 2) };
    } };
}

const trainingStep = () => ({ id: "training",
  targets: () => [document.querySelector(".epochs")],
  scene: () => $("neurons"), // the neurons show what changes
  enter: () => change({ isEpochFixed: false }),
  solved: () => change({ networkIndex: 0 }),
  leave: () => change({ networkIndex: model.trainedIndex, isEpochFixed: true }) });

// The texts of a step and its question, with the values for the image and the network.
function contentOf({ id, values: valuesOf = () => ({}) }) {
  const values = valuesOf(), content = filled($(`step-${id}`), values);
  return { title: textOf(content, "h2"), text: textOf(content, ".text"),
    answer: textOf(content, ".answer"),
    question: values.hasQuestion === false ? null : questionOf(content, values) };
}

// A copy of a template with values in its texts. A value that is a number has two
// decimals.
function filled(template, values) {
  const content = template.content.cloneNode(true);
  const shown = Object.fromEntries(Object.entries(values).map(([name, value]) =>
    [name, typeof value === "number" ? number(value, 2) : value]));
  for (const each of content.querySelectorAll("*")) {
    each.textContent = fillIn(each.textContent, shown);
    if (each.dataset.wrong) each.dataset.wrong = fillIn(each.dataset.wrong, shown);
  }
  return content;
}

const textOf = (content, kind) =>
  [...content.querySelectorAll(kind)].map((each) => each.textContent).join("\n");

function questionOf(content, values) {
  const ask = content.querySelector(".ask");
  if (!ask) return null;
  const options = [...content.querySelectorAll(".option")].map((each) =>
    ({ text: each.textContent, wrong: each.dataset.wrong ?? "" }));
  const guesses = [...content.querySelectorAll("[data-guess]")].map((each) =>
    [valueOf(each.dataset.guess, values), each.textContent]);
  const tolerance = Number(ask.dataset.tolerance ?? 0);
  const check = (guess) => {
    if (options.length) return options[guess].wrong;
    const answer = valueOf(ask.dataset.answer, values);
    return problemOf(guess, answer, guesses, textOf(content, ".hint"), tolerance);
  };
  return { ask: ask.textContent, unit: ask.dataset.unit, options,
    isWhole: tolerance === 0, check };
}

// The number in an attribute, or the value that the attribute names.
function valueOf(text, values) {
  const value = Number(values[text] ?? text);
  if (Number.isNaN(value)) throw Error(`${text} is not a number`);
  return value;
}

// The error of a number, or "".
function problemOf(guess, answer, guesses, hint, tolerance) {
  const isNear = (a, b) => Math.abs(a - b) <= tolerance + 1e-9;
  if (isNear(guess, answer)) return "";
  const mistakes = guesses.filter(([value]) =>
    isNear(guess, value) && !isNear(answer, value));
  const [nearest] = ranked(mistakes.map(([value]) => -Math.abs(value - guess)));
  return mistakes[nearest]?.[1] ?? `That is too ${guess < answer ? "small" : "large"}. ${hint}`;
}
