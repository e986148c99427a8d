// The interventions: the controls of the selected neuron, and how the accuracy changes.

const isChanged = ({ on, scale, shift }) => !on || scale !== 1 || shift !== 0;
const shiftText = ({ shift }) =>
  `${shift < 0 ? MINUS : "+"} ${number(Math.abs(shift), 1)}`;
const scaleText = ({ scale }) => `× ${number(scale, 1)}`;

function showIntervention() {
  $("intervention").hidden = state.layer !== 1;
  if (state.layer !== 1) return;
  const intervention = state.interventions[state.neuron];
  $("t-intervention").textContent = `Change the output of ${neuronName(1, state.neuron)}`;
  $("on").checked = intervention.on;
  $("scale").value = intervention.scale;
  $("shift").value = intervention.shift;
  $("scale-text").textContent = scaleText(intervention);
  $("shift-text").textContent = shiftText(intervention);
}

for (const name of ["on", "scale", "shift"])
  $(name).addEventListener("input", ({ target }) => {
    state.interventions[state.neuron][name] =
      name === "on" ? target.checked : Number(target.value);
    show();
  });
$("reset").addEventListener("click", () => {
  for (const each of state.interventions) Object.assign(each, NO_INTERVENTION);
  show();
});

// A final network on the stored test images: for each class, the number of images and
// how many of them it classifies correctly.
function evaluate(final, interventions) {
  const { labels } = model.tensors, { hidden } = model;
  const classes = model.class_names.map(() => ({ correct: 0, images: 0 }));
  labels.forEach((label, row) => {
    const values = Float32Array.from(
      final.activations.subarray(row * hidden, (row + 1) * hidden),
      (value, neuron) => final.intervene(value, neuron, interventions[neuron]));
    classes[label].images += 1;
    if (ranked(final.sums(2, values))[0] === label) classes[label].correct += 1;
  });
  return classes;
}

const accuracyBefore = (final) => (final.before ??= evaluate(final, []));

function showEffect(_, changed) {
  if (!(changed.interventions || changed.width)) return;
  const before = accuracyBefore(finalNetwork());
  const changeText = (each) => (each.on ? `${scaleText(each)} ${shiftText(each)}` : "off");
  const changes = state.interventions.flatMap((each, neuron) =>
    (isChanged(each) ? `${neuronName(1, neuron)} ${changeText(each)}` : []));
  const after = changes.length ? evaluate(finalNetwork(), state.interventions) : before;
  const correct = (classes) => integer(sum(classes.map((each) => each.correct)));
  const total = plural(model.tensors.labels.length, "test image");
  const name = network().isInteger ? `the network at ${widthName(state.width)}`
    : "the final network";
  const result = `${name} classifies ${correct(after)} of ${total} correctly`;
  $("effect").textContent = changes.length
    ? `${changes.join(", ")}: ${result}; without the change, ${correct(before)}.`
    : `No neuron is changed: ${result}.`;
  $("accuracy").textContent = `${capitalised(name.replace("the ", ""))}: ${correct(after)} of ${total} correct` +
    (changes.length ? `; without the change, ${correct(before)}.`
      : network().isInteger ? `; in floating point, ${correct(accuracyBefore(floatNetwork()))}.` : ".");
  $("class-accuracies").replaceChildren(...after.map((each, label) =>
    accuracyBars(label, before[label].correct, each)));
}

// The accuracy for one class: a hollow bar before the change, a solid one after it.
function accuracyBars(label, previous, { correct, images }) {
  const share = (count) => (images ? count / images : 0);
  const bar = (kind, count) =>
    element("span", { class: kind, style: `height:${100 * share(count)}%` });
  const text = `${classTitle(label)}: ` + (!images ? "no image" :
    `${percent(share(previous))} of ${plural(images, "image")} before, ` +
    `${percent(share(correct))} after`);
  const short = (count) => `${Math.round(100 * share(count))}`;
  return element("figure", { title: text, role: "img", "aria-label": text,
    class: correct === previous ? "" : "differs" },
  element("div", {}, bar("before", previous), bar("after", correct)),
  element("figcaption", {}, element("b", {}, className(label)), element("br"),
    !images ? "–" : (correct === previous ? "" : `${short(previous)} → `) +
      `${short(correct)}%`, element("br"), `of ${images}`));
}

onChange(showIntervention);
onChange(showEffect);
