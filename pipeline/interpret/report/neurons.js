// The tiles of layer 1, the bars of layer 2, the answer, and the interventions: what the
// network computes from the image, and how its accuracy changes without a neuron.

const tiles = [], outputs = [];
function buildNeurons() {
  for (let neuron = 0; neuron < model.hidden; neuron++) {
    const canvas = element("canvas"), value = element("span"), bar = element("span");
    const name = neuronName(1, neuron);
    const button = element("button", { type: "button", onclick: () => select(1, neuron) },
      canvas, element("span", { class: "name" }, element("b", {}, name), value),
      element("span", { class: "bar-line" }, bar));
    const toggle = element("button", { type: "button", class: "switch", role: "switch",
      "aria-label": `${name} switched on`, onclick: () => {
        state.interventions[neuron].on = !state.interventions[neuron].on;
        show();
      } });
    $("neurons").append(element("div", { class: "tile" }, button, toggle));
    tiles.push({ canvas, value, bar, button, toggle });
  }
  $("neurons").classList.toggle("many", model.hidden > 40);
  model.class_names.forEach((name, label) => {
    const bar = element("span"), share = element("span", { class: "share" });
    const button = element("button", { type: "button", class: "output",
      onclick: () => select(2, label) }, element("b", {}, name),
    element("span", { class: "track" }, bar), share);
    $("outputs").append(button);
    outputs.push({ bar, share, button });
  });
  $("outputs").classList.toggle("named", !model.class_names.every((_, i) => isShort(i)));
}

function showNeurons({ hidden }, changed) {
  const max = largest(hidden) || 1;
  if (changed.epoch)
    tiles.forEach(({ canvas }, neuron) =>
      paintGrid(canvas, SIDE, SIDE, templateColours(neuron)));
  tiles.forEach((tile, neuron) => {
    const value = hidden[neuron], intervention = state.interventions[neuron];
    tile.value.textContent = number(value, 1);
    tile.bar.style.width = `${100 * Math.max(value, 0) / max}%`;
    tile.button.setAttribute("aria-label",
      `${neuronName(1, neuron)}, output ${number(value, 2)}`);
    tile.button.setAttribute("aria-current", state.layer === 1 && state.neuron === neuron);
    tile.toggle.setAttribute("aria-checked", intervention.on);
    tile.toggle.textContent = !intervention.on ? "off"
      : isChanged(intervention) ? "changed" : "on";
  });
  const active = hidden.filter((value) => value > 0).length;
  $("active").textContent = `${active} of ${plural(hidden.length, "neuron")} active`;
}

function showAnswer({ probabilities }) {
  const [first, second] = ranked(probabilities);
  outputs.forEach(({ bar, share, button }, label) => {
    bar.style.width = `${100 * probabilities[label]}%`;
    share.textContent = percent(probabilities[label]);
    button.setAttribute("aria-label",
      `${neuronName(2, label)}, ${classTitle(label)}: ${share.textContent}`);
    button.setAttribute("aria-current", state.layer === 2 && state.neuron === label);
  });
  showSource(first);
  const next = `${capitalised(className(second))} is second (${percent(probabilities[second])}).`;
  const reason = model.detector ? doubt(model.detector, state, probabilities) : null;
  const conclusion = reason === null ? `. ${next} The file familiar.safetensors was ` +
    "missing, so this page cannot tell whether the answer is sure." : {
    "": `. ${next} The answer is sure: the image looks like the ${imagesOf(first)} in the ` +
      "training data.",
    "several": `, but there is more than one ${model.noun} on the board.`,
    "out of distribution": `, but the image does not look like the ${imagesOf(first)} in ` +
      "the training data.",
    "close": `, but ${className(second)} is close (${percent(probabilities[second])}): the ` +
      `difference is below ${percent(model.detector.minMargin)}.`,
  }[reason];
  $("answer").replaceChildren(...(state.image.some(Boolean)
    ? ["The network says ", element("strong", {}, className(first)),
      ` (${percent(probabilities[first])})`,
      element("span", { class: reason ? "unsure" : "" }, conclusion)]
    : ["The image is blank: the probabilities depend only on the biases."]));
}

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

// The final network on the stored test images: correct answers, and accuracy by class.
function evaluate(interventions) {
  const { activations, labels } = model.tensors, { hidden } = model;
  const correct = new Array(CLASSES).fill(0), images = new Array(CLASSES).fill(0);
  labels.forEach((label, row) => {
    const values = activations.subarray(row * hidden, (row + 1) * hidden)
      .map((value, neuron) => intervene(value, interventions[neuron]));
    images[label] += 1;
    if (ranked(finalNetwork().sums(2, values))[0] === label) correct[label] += 1;
  });
  return { correct: sum(correct),
    accuracies: correct.map((count, label) =>
      (images[label] ? count / images[label] : null)) };
}

function showEffect(_, changed) {
  if (!changed.interventions) return;
  model.before ??= evaluate([]);
  const changeText = (each) => (each.on ? `${scaleText(each)} ${shiftText(each)}` : "off");
  const changes = state.interventions.flatMap((each, neuron) =>
    (isChanged(each) ? `${neuronName(1, neuron)} ${changeText(each)}` : []));
  const before = model.before;
  const after = changes.length ? evaluate(state.interventions) : before;
  const result = `the final network classifies ${integer(after.correct)} of ` +
    `${plural(model.tensors.labels.length, "test image")} correctly`;
  $("effect").textContent = changes.length
    ? `${changes.join(", ")}: ${result}; without the change, ${integer(before.correct)}.`
    : `No neuron is changed: ${result}.`;
  $("class-accuracies").replaceChildren(...after.accuracies.map((accuracy, label) => {
    const previous = before.accuracies[label];
    const bars = [["before", previous], ["after", accuracy]].map(
      ([name, value]) => element("span",
        { class: name, style: `height:${100 * (value ?? 0)}%` }));
    const short = (share) => (share === null ? "–" : `${Math.round(100 * share)}%`);
    const text = `${classTitle(label)}: ` + (accuracy === null ? "no image"
      : `${percent(previous)} before, ${percent(accuracy)} after`);
    return element("figure", { title: text, role: "img", "aria-label": text },
      element("div", {}, ...bars),
      element("figcaption", {}, element("b", {}, className(label)), element("br"),
        (accuracy === previous ? "" : `${short(previous)} → `) + short(accuracy)));
  }));
}

onLoad(buildNeurons);
onChange(showNeurons);
onChange(showAnswer);
onChange(showIntervention);
onChange(showEffect);
// Last, when the answer is displayed.
onChange((_, { epoch, image, interventions }) => {
  if (epoch || image || interventions) announce($("answer").textContent);
});
