// The neurons of both layers: the tiles of layer 1 and the bars of layer 2. A click shows
// a neuron in the panel.

// A button that selects a neuron; from the keyboard, the focus moves on to the panel.
const neuronButton = (layer, neuron, attributes, ...children) => element("button", {
  type: "button", ...attributes, onclick: ({ detail }) => {
    select(layer, neuron);
    if (!detail) $("t-sum").focus();
  } }, ...children);

const tiles = [], outputs = [];
function buildNeurons() {
  for (let neuron = 0; neuron < model.hidden; neuron++) {
    const canvas = element("canvas"), value = element("span"), bar = element("span");
    const name = neuronName(1, neuron);
    const button = neuronButton(1, neuron, {}, canvas,
      element("span", { class: "name" }, element("b", {}, name), value),
      element("span", { class: "track" }, bar));
    const toggle = element("button", { type: "button", role: "switch",
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
    const button = neuronButton(2, label, { class: "output" }, element("b", {}, name),
      element("span", { class: "track" }, bar), share);
    $("outputs").append(button);
    outputs.push({ bar, share, button });
  });
  $("outputs").classList.toggle("named", !model.class_names.every((_, i) => isShort(i)));
  $("layer-1").append(element("div", { id: "neurons-legend" }));
}

// The colors, and the length of a full bar, which is the same for all images and epochs.
function showLegend() {
  const source = network().isInteger ? "the highest value of a byte"
    : `the maximum of ${plural(model.tensors.labels.length, "test image")}`;
  $("neurons-legend").replaceChildren(weightLegend(), element("p", { class: "legend" },
    "output 0 ",
    element("span", { class: "track" }, element("span", { style: "width:100%" })),
    ` ${quantity(finalNetwork().maxOutput, 1)}, ${source}`));
}

function showNeurons({ hidden, probabilities }, changed) {
  if (changed.width) showLegend();
  if (changed.network)
    tiles.forEach(({ canvas }, neuron) =>
      paintGrid(canvas, SIDE, SIDE, templateColours(neuron)));
  const { layer, neuron: selected } = state;
  tiles.forEach((tile, neuron) => {
    const value = hidden[neuron], intervention = state.interventions[neuron];
    tile.value.textContent = quantity(value, 1);
    tile.bar.style.width =
      `${100 * Math.min(Math.max(value, 0) / finalNetwork().maxOutput, 1)}%`;
    tile.button.setAttribute("aria-label",
      `${neuronName(1, neuron)}, output ${quantity(value, 2)}`);
    tile.button.setAttribute("aria-current", layer === 1 && selected === neuron);
    tile.toggle.setAttribute("aria-checked", intervention.on);
    tile.toggle.textContent = !intervention.on ? "off"
      : isChanged(intervention) ? "changed" : "on";
  });
  outputs.forEach(({ bar, share, button }, label) => {
    bar.style.width = `${100 * probabilities[label]}%`;
    share.textContent = percent(probabilities[label]);
    button.setAttribute("aria-label",
      `${neuronName(2, label)}, ${classTitle(label)}: ${share.textContent}`);
    button.setAttribute("aria-current", layer === 2 && selected === label);
  });
  const active = hidden.filter((value) => value > 0).length;
  $("active").textContent = `${active} of ${plural(hidden.length, "neuron")} active`;
}

// The arrow keys move the focus among the neurons of a layer.
function moveFocus(event, neurons) {
  const columns = getComputedStyle(event.currentTarget).gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  const place = neurons.findIndex(({ button }) => button === event.target);
  if (!step || place < 0) return;
  event.preventDefault();
  neurons[place + step]?.button.focus();
}
$("neurons").addEventListener("keydown", (event) => moveFocus(event, tiles));
$("outputs").addEventListener("keydown", (event) => moveFocus(event, outputs));

onLoad(buildNeurons);
onChange(showNeurons);
