// The tour: a card that points at the elements of the page, one step at a time, and asks
// for a guess before it shows an answer. `tour_steps.js` has the steps, `tour_place.js`
// places the card.

const tour = {
  steps: [], place: null, // the steps of this network; null: no tour is open
  solved: new Set(), feedback: null, // the answered steps; feedback on the last guess
  side: null, // of the target, on which the card is
};
const currentStep = () => tour.steps[tour.place];

function startTour() {
  if (!state.image.some(Boolean)) useTestImage(0);
  state.width = null; // the steps are about the network in floating point
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

// Parse a number as people write it: 0.5 or 0,5, -3 or −3, 10%; a whole number also as
// 15,680 or 15.680. Return null if the text is not a number.
function readNumber(text, isWhole) {
  const plain = text.replace(/[\s%'’]/g, "").replace(MINUS, "-");
  const isGrouped = isWhole && /^\d{1,3}([,.]\d{3})+$/.test(plain);
  const value = isGrouped ? plain.replace(/[,.]/g, "") : plain.replace(",", ".");
  return value === "" || !Number.isFinite(Number(value)) ? null : Number(value);
}

$("start-tour").addEventListener("click", startTour);
$("tour-leave").addEventListener("click", leaveTour);
$("tour-back").addEventListener("click", () => goToStep(tour.place - 1));
$("tour-next").addEventListener("click", () => goToStep(tour.place + 1));
$("guess-show").addEventListener("click", () => { tour.feedback = null; solveStep(); });
onEnter($("guess-value"), $("guess-check"), () => {
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
