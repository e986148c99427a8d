// The tour: a card that points at the elements of the page, one step at a time, and
// asks for a guess before it shows an answer. `tour_steps.js` has the steps. The style
// sheet places the card: on a wide page over the panel or, while it points at the
// panel, next to it; otherwise at the lower edge.

import { $, MINUS, element, onEnter } from "display.js";
import { useTestImage } from "drawing.js";
import { model, network, show, state, testImage } from "model.js";
import { isBlank } from "networks.js";
import { isDocked } from "panel.js";
import { tourSteps } from "tour_steps.js";

let steps = [], stepIndex = null; // the steps for this network; null: no tour is open
let solved = new Set(); // the answered steps
let feedback = null; // what the card says about the last guess
const currentStep = () => steps[stepIndex];

function startTour() {
  if (stepIndex !== null) currentStep().leave?.();
  // The steps are about the final network in floating point, with all neurons on.
  state.networkIndex = model.last;
  state.off.clear();
  if (isBlank(state.image))
    useTestImage(Math.max(0, model.rows.findIndex((_, row) => !isBlank(testImage(row)))));
  [steps, stepIndex, solved] = [tourSteps(), null, new Set()];
  document.body.classList.add("touring");
  $("search-error").hidden = true;
  $("tour").hidden = false;
  goToStep(0);
}

function leaveTour(focused) {
  const step = currentStep();
  stepIndex = null;
  step.leave?.();
  document.body.classList.remove("touring");
  delete document.body.dataset.question;
  markTarget(null);
  $("tour").hidden = true;
  focused.focus({ preventScroll: true });
}

// On a phone, the panel of a step would cover the board.
function endTour() {
  leaveTour($("start-tour"));
  state.isOpen &&= isDocked.matches;
  show();
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
  state.isOpen = isDocked.matches || $("panel").contains(currentStep().targets()[0]);
  show();
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
  $("tour-feedback").hidden = !feedback;
  $("tour-feedback").textContent = feedback ?? "";
  $("tour-feedback").className = feedback === RIGHT ? "right" : "wrong";
  $("tour-answer").hidden = isOpen;
  $("tour-answer").textContent = answer;
  $("tour-back").disabled = stepIndex === 0;
  $("tour-next").textContent = stepIndex === steps.length - 1 ? "Finish" : "Next";
  $("tour-dots").replaceChildren(...steps.map((_, each) =>
    element("i", each === stepIndex ? { class: "now" } : {})));
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

const RIGHT = "That is right.";

// Explain why a guess is right or wrong; a right guess shows the answer.
function checkGuess(guess) {
  const { question } = currentStep().content();
  feedback = guess === null ? "Please enter a number." : question.check(guess) || RIGHT;
  if (feedback === RIGHT) { solveStep(); return; }
  show();
  scrollToTarget(); // the card is higher now
}

function solveStep() {
  solved.add(currentStep());
  currentStep().solved?.();
  show();
  $("tour").focus({ preventScroll: true }); // the question, which had it, is gone
  scrollToTarget();
}

// The first target of the step that fits in the space below the bar and, where the card
// is at the lower edge, above it; the last one is small.
export function currentTarget() {
  const bar = document.querySelector(".bar"), targets = currentStep().targets();
  const top = parseFloat(getComputedStyle(bar).top) + bar.offsetHeight;
  const bottom = innerHeight - (isDocked.matches ? 0 : $("tour").offsetHeight);
  return targets.find((each) => each.offsetHeight <= bottom - top - 32) ??
    targets.at(-1);
}

function markTarget(target) {
  document.querySelector(".target")?.classList.remove("target");
  target?.classList.add("target");
  document.body.dataset.target = $("panel").contains(target) ? "panel" : "page";
}

// The panel scrolls by itself. `scene` is what changes, if that is not the target.
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
  return value === "" || !Number.isFinite(Number(value)) ? null : Number(value);
}

function listenToKeys() {
  // Escape leaves the tour and nothing else: it is handled before the panel sees it.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || stepIndex === null) return;
    event.preventDefault();
    endTour();
  }, { capture: true });
  // The arrow keys change the step, unless they change something else: the focus among
  // the neurons, the selected pixel, or the value of an input.
  document.addEventListener("keydown", (event) => {
    const { key, target } = event, step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!step || stepIndex === null) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (!event.defaultPrevented && !target.value) goToStep(stepIndex + step);
  });
}

export const tour = {
  build() {
    $("start-tour").hidden = false;
    $("start-tour").addEventListener("click", startTour);
    $("tour-leave").addEventListener("click", endTour);
    $("tour-back").addEventListener("click", () => goToStep(stepIndex - 1));
    $("tour-next").addEventListener("click", () => goToStep(stepIndex + 1));
    $("guess-show").addEventListener("click", () => { feedback = null; solveStep(); });
    onEnter($("guess-value"), $("guess-check"), () => {
      const { question } = currentStep().content();
      checkGuess(readNumber($("guess-value").value, question.isWhole));
    });
    listenToKeys();
  },

  update() {
    if (stepIndex === null) return;
    if (network().final !== model.float) { // the user selected integers
      leaveTour(document.activeElement);
      return;
    }
    showCard();
    markTarget(currentTarget());
  },
};
