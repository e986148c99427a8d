// The tour: a card that points at the elements of the page, one step at a time, and asks
// for a guess before it shows an answer. `tour_steps.js` has the steps.

const GAP = 16; // around a target, in pixels
const tour = {
  steps: [], place: null, // the steps of this network; null: no tour is open
  solved: new Set(), feedback: null, // the answered steps; feedback on the last guess
  side: null, // of the target, on which the card is
};
const currentStep = () => tour.steps[tour.place];

// The space for a target: below the bar, which stays at the top of the window (on a phone,
// only its lower part), and on a phone above the card.
function freeRange() {
  const bar = document.querySelector(".bar");
  const top = parseFloat(getComputedStyle(bar).top) + bar.offsetHeight + GAP;
  return [top, innerHeight - GAP - (isDocked.matches ? 0 : $("tour").offsetHeight)];
}
// The first target of the step that fits; the last one is small.
function currentTarget() {
  const targets = currentStep().targets(), [top, bottom] = freeRange();
  return targets.find((each) => each.offsetHeight <= bottom - top) ?? targets.at(-1);
}

function startTour() {
  if (!state.image.some(Boolean)) useTestImage(0);
  const isOpen = tour.place !== null;
  if (isOpen) currentStep().leave?.();
  Object.assign(tour, { steps: tourSteps(), place: null, solved: new Set() });
  document.body.classList.add("touring");
  $("tour").hidden = $("spotlight").hidden = false;
  goToStep(0);
  if (!isOpen) requestAnimationFrame(followTarget);
}

function leaveTour() {
  currentStep().leave?.();
  tour.place = null;
  document.body.classList.remove("touring");
  delete document.body.dataset.question;
  $("tour").hidden = $("spotlight").hidden = true;
  $("start-tour").focus({ preventScroll: true });
}

function goToStep(place) {
  if (place === tour.steps.length) { leaveTour(); return; }
  if (place < 0) return;
  if (tour.place !== null) currentStep().leave?.();
  Object.assign(tour, { place, feedback: null, side: null });
  $("guess-value").value = "";
  currentStep().enter?.();
  if (tour.solved.has(currentStep())) currentStep().solved?.();
  showTour();
  if (!isDocked.matches) $("panel").hidden = !$("panel").contains(currentTarget());
  placeTour();
  $("tour").focus({ preventScroll: true });
  scrollToTarget();
}

// Fill the card for the current image and epoch; `show` calls this after each change.
function showTour() {
  if (tour.place === null) return;
  const step = currentStep(), { question, text, answer } = step.content();
  const isOpen = Boolean(question) && !tour.solved.has(step);
  const isLast = tour.place === tour.steps.length - 1;
  document.body.dataset.question = isOpen ? step.id : "";
  $("tour-count").textContent = `Step ${tour.place + 1} of ${tour.steps.length}`;
  $("tour-title").textContent = step.title;
  $("tour-text").textContent = unbroken(text);
  $("guess").hidden = !isOpen;
  if (isOpen) showQuestion(question);
  $("tour-feedback").hidden = !tour.feedback;
  $("tour-feedback").textContent = tour.feedback?.text ?? "";
  $("tour-feedback").className = tour.feedback?.isRight ? "right" : "wrong";
  $("tour-answer").hidden = isOpen;
  $("tour-answer").textContent = unbroken(answer);
  $("tour-back").disabled = tour.place === 0;
  $("tour-next").textContent = isLast ? "Finish" : "Next";
  $("tour-dots").replaceChildren(...tour.steps.map((_, place) =>
    element("i", place === tour.place ? { class: "now" } : {})));
}

function showQuestion({ ask, unit, options }) {
  $("guess-question").textContent = ask;
  $("guess-unit").textContent = unit ?? "";
  $("guess-number").hidden = Boolean(options);
  $("guess-options").hidden = !options;
  const displayed = [...$("guess-options").children].map((each) => each.textContent);
  const texts = options?.map(([text]) => text) ?? [];
  if (String(displayed) === String(texts)) return; // keeps the focus
  $("guess-options").replaceChildren(...texts.map((text, place) =>
    element("button", { type: "button", onclick: () => checkGuess(place) }, text)));
}

// Prevent a line break within x = 0.5.
const unbroken = (text) => text.replace(/\b([a-z]) = (?=[−\d])/g, "$1\u00a0=\u00a0");

// Explain why a guess is right or wrong; a right guess shows the answer.
function checkGuess(guess) {
  const { question } = currentStep().content();
  const reason = guess === null ? "Please enter a number." : question.check(guess);
  tour.feedback = { isRight: reason === "", text: reason || "That is right." };
  if (reason === "") { solveStep(); return; }
  showTour();
  placeTour(); // the card is higher now
  scrollToTarget();
}

function solveStep() {
  tour.solved.add(currentStep());
  currentStep().solved?.();
  showTour();
  placeTour();
  $("tour").focus({ preventScroll: true }); // the question, which had it, is gone
  scrollToTarget();
}

// Parse a number as people write it: 0.5 or 0,5, -3 or −3, 10 %; a whole number also as
// 15,680 or 15.680. Return null if the text is not a number.
function readNumber(text, isWhole) {
  const plain = text.replace(/[\s%'’]/g, "").replace(MINUS, "-");
  const isGrouped = isWhole && /^\d{1,3}([,.]\d{3})+$/.test(plain);
  const value = isGrouped ? plain.replace(/[,.]/g, "") : plain.replace(",", ".");
  return value === "" || !Number.isFinite(Number(value)) ? null : Number(value);
}

// Scroll the target into view. The panel scrolls by itself; on a phone, the card covers the
// lower part of the screen, so the target goes into the middle of the rest.
function scrollToTarget() {
  const { scene } = currentStep(), target = currentTarget(), panel = $("panel");
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const behavior = isCalm ? "auto" : "smooth";
  const { top, height } = target.getBoundingClientRect();
  if (scene) {
    scene().scrollIntoView({ behavior, block: "start" });
  } else if (panel.contains(target)) {
    const above = panel.getBoundingClientRect().top + panel.firstElementChild.offsetHeight;
    panel.scrollBy({ behavior, top: top - above - GAP });
    if (isDocked.matches) $("network").scrollIntoView({ behavior, block: "start" });
  } else if (isDocked.matches) {
    target.scrollIntoView({ behavior, block: "center" });
  } else {
    const [start, end] = freeRange();
    scrollBy({ behavior, top: top - start - Math.max(0, end - start - height) / 2 });
  }
}

// Runs in each frame, because the target also moves when the page scrolls or changes.
function followTarget() {
  if (tour.place === null) return;
  placeTour();
  requestAnimationFrame(followTarget);
}

function placeTour() {
  const { left, top, right, bottom } = currentTarget().getBoundingClientRect();
  const target = { left: left - 6, top: top - 6, right: right + 6, bottom: bottom + 6 };
  const { style, offsetWidth: width, offsetHeight: height } = $("tour");
  document.body.style.setProperty("--tour-height", `${height}px`);
  $("spotlight").hidden = left === right; // for example in a closed panel
  Object.assign($("spotlight").style, { left: `${target.left}px`, top: `${target.top}px`,
    width: `${target.right - target.left}px`, height: `${target.bottom - target.top}px` });
  const position = isDocked.matches ? cardPosition(target, width, height) : null;
  [style.left, style.top] = position?.map((each) => `${each}px`) ?? ["", ""];
}

// The position of the card: beside the target, inside the window, covering as little of the
// target as possible. It stays on its side if it can, so that it does not jump.
function cardPosition(target, width, height) {
  const clamp = (value, max) => Math.max(8, Math.min(value, max - 8));
  const inside = ([x, y]) => [clamp(x, innerWidth - width), clamp(y, innerHeight - height)];
  const isWide = target.right - target.left > innerWidth / 2;
  const across = isWide ? innerWidth : (target.left + target.right - width) / 2;
  const places = { right: inside([target.right + GAP, target.top]),
    left: inside([target.left - GAP - width, target.top]),
    below: inside([across, target.bottom + GAP]),
    above: inside([across, target.top - GAP - height]) };
  const covered = (side) => {
    const [x, y] = places[side];
    const wide = Math.min(x + width, target.right) - Math.max(x, target.left);
    const high = Math.min(y + height, target.bottom) - Math.max(y, target.top);
    return Math.max(wide, 0) * Math.max(high, 0);
  };
  tour.side = [tour.side, ...Object.keys(places)].filter(Boolean)
    .reduce((best, side) => (covered(side) < covered(best) ? side : best));
  return places[tour.side];
}

$("start-tour").addEventListener("click", startTour);
$("tour-leave").addEventListener("click", leaveTour);
$("tour-back").addEventListener("click", () => goToStep(tour.place - 1));
$("tour-next").addEventListener("click", () => goToStep(tour.place + 1));
$("guess-show").addEventListener("click", () => { tour.feedback = null; solveStep(); });
$("guess").addEventListener("submit", (event) => {
  event.preventDefault();
  const { question } = currentStep().content();
  checkGuess(readNumber($("guess-value").value, question.isWhole));
});
// Escape leaves the tour and nothing else: it is handled before the panel sees it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || tour.place === null) return;
  event.preventDefault();
  leaveTour();
}, { capture: true });
// The arrow keys change the step, unless they change something else: the focus among the
// neurons, the selected pixel, or the value of an input.
document.addEventListener("keydown", (event) => {
  const { key, target } = event, step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!step || tour.place === null || event.altKey || event.ctrlKey || event.metaKey) return;
  if (!event.defaultPrevented && !target.value) goToStep(tour.place + step);
});
onLoad(() => { $("start-tour").hidden = false; });
onChange(showTour);
