// The neurons of both layers: the tiles of layer 1 with their switches, and the bars of
// layer 2.

import {
  $, colors, diverging, element, neuronName, paintPixels, plural,
  probabilityText,
} from "display.js";
import {
  change, classTitle, isFrozen, model, network, quantity, select, state,
} from "model.js";

// A button that selects a neuron; from the keyboard, the focus moves on to the panel.
const neuronButton = (layer, neuron, attributes, ...children) => element("button", {
  type: "button", ...attributes, onclick: ({ detail }) => {
    select(layer, neuron);
    if (!detail) $("t-sum").focus();
  } }, ...children);

export const weightColor = (value) => diverging(value / network().weight_scale);
export const templateColors = (neuron) => (pixel) => (isFrozen(1, pixel, neuron)
  ? colors.frozen : weightColor(network().parameter(1, pixel, neuron)));

export const tiles = [], bars = []; // the elements of the neurons of layers 1 and 2

function buildTile(neuron) {
  const canvas = element("canvas"), value = element("span"), bar = element("span");
  const name = neuronName(1, neuron);
  const button = neuronButton(1, neuron, {}, canvas,
    element("span", { class: "name" }, element("b", {}, name), value),
    element("span", { class: "track" }, bar));
  const toggle = element("button", { type: "button", role: "switch",
    "aria-label": `${name} switched on`, onclick: () => {
      const off = new Set(state.off);
      if (!off.delete(neuron)) off.add(neuron);
      change({ off });
    } });
  $("neurons").append(element("div", { class: "tile" }, button, toggle));
  tiles.push({ canvas, value, bar, button, toggle });
}

function buildBar(name, label) {
  const bar = element("span"), share = element("span", { class: "share" });
  const button = neuronButton(2, label, { class: "output" }, element("b", {}, name),
    element("span", { class: "track" }, bar), share);
  $("outputs").append(button);
  bars.push({ bar, share, button });
}

// The arrow keys move the focus among the neurons of a layer.
function moveFocus(event, neurons) {
  const { gridTemplateColumns } = getComputedStyle(event.currentTarget);
  const columns = gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns,
    ArrowDown: columns }[event.key];
  const index = neurons.findIndex(({ button }) => button === event.target);
  if (!step || index < 0) return;
  event.preventDefault();
  neurons[index + step]?.button.focus();
}

// Both ends of the scale of the colors, and the length of a full bar, which are the
// same for all images and epochs.
function showLegends() {
  for (const [name, text] of Object.entries(network().legend()))
    for (const each of document.querySelectorAll(`[data-legend=${name}]`))
      each.textContent = text;
}

export const neurons = {
  build() {
    for (let neuron = 0; neuron < model.hidden; neuron++) buildTile(neuron);
    model.class_names.forEach(buildBar);
    $("neurons").addEventListener("keydown", (event) => moveFocus(event, tiles));
    $("outputs").addEventListener("keydown", (event) => moveFocus(event, bars));
  },

  update({ outputs, probabilities }, changed) {
    if (changed.evaluated) showLegends();
    if (changed.network) tiles.forEach(({ canvas }, neuron) =>
      paintPixels(canvas, templateColors(neuron)));
    const { maxOutput } = network(), { layer, neuron: selected, off } = state;
    tiles.forEach((tile, neuron) => {
      const value = outputs[neuron], share = Math.max(value, 0) / maxOutput;
      tile.value.textContent = quantity(value, 1);
      tile.bar.style.width = `${100 * Math.min(share, 1)}%`;
      tile.button.ariaLabel = `${neuronName(1, neuron)}, output ${quantity(value, 2)}`;
      tile.button.setAttribute("aria-current", layer === 1 && selected === neuron);
      tile.toggle.setAttribute("aria-checked", !off.has(neuron));
      tile.toggle.textContent = off.has(neuron) ? "off" : "on";
    });
    bars.forEach(({ bar, share, button }, label) => {
      bar.style.width = `${100 * probabilities[label]}%`;
      share.textContent = probabilityText(probabilities[label]);
      button.ariaLabel =
        `${neuronName(2, label)}, ${classTitle(label)}: ${share.textContent}`;
      button.setAttribute("aria-current", layer === 2 && selected === label);
    });
    const active = outputs.filter((value) => value > 0).length;
    $("active").textContent = `${active} of ${plural(outputs.length, "neuron")} active`;
  },
};
