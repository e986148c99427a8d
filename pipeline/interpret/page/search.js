// The search: selects a neuron, a parameter or a pixel by its name.

import { $, BIAS, neuronName, onEnter } from "display.js";
import { classTitle, model, network, select, state } from "model.js";

// The neuron or parameter that a name means, as [layer, neuron, input]; for a neuron,
// the input is null. `NameForm` in names.py defines the forms of names. On the
// page, classes and pixels also have names.
function locate(name) {
  const label = model.class_names.findIndex((_, each) =>
    classTitle(each).toLowerCase() === name.toLowerCase());
  if (label >= 0) return [2, label, null];
  const [, pixel] = /^pixel *(\d+)$/i.exec(name) ?? [];
  if (pixel) return [1, state.layer === 1 ? state.neuron : 0, Number(pixel)];
  const lists = [[model.neuron_names, null], [model.parameter_names, BIAS]];
  for (const [forms, withoutInput] of lists) {
    for (const { pattern, groups, first } of forms) {
      const match = new RegExp(`^(?:${pattern})$`, "i").exec(name);
      if (!match) continue;
      const read = (group, start) => match[1 + groups.indexOf(group)] - start;
      return [read("layer", 0), read("neuron", first),
        groups.includes("input") ? read("input", first) : withoutInput];
    }
  }
  return null;
}

// Select the neuron or parameter of a name; return the error of the name, or "".
export function find(text) {
  const name = text.trim();
  const found = locate(name);
  if (!found) return `“${name}” is not a name on this page. Examples of names: ` +
    "N11, layer_1[300,0], bias of N11, M301 of N11, W1 of N28, pixel 300, " +
    `${classTitle(7)}.`;
  const [layer, neuron, input] = found;
  const neurons = network().neurons(layer), inputs = network().inputs(layer);
  if (neuron < 0 || neuron >= neurons)
    return `Layer ${layer} has the neurons ${neuronName(layer, 0)} to ` +
      `${neuronName(layer, neurons - 1)}, with the indices 0 to ${neurons - 1}.`;
  if (input < 0 || input >= inputs)
    return `The inputs of layer ${layer} have the indices 0 to ${inputs - 1}.`;
  select(layer, neuron, input);
  return "";
}

const closeMessage = () => { $("search-error").textContent = ""; };

// The message appears below the box and does not move the page. It covers a part of the
// page, so it closes when the user does something else.
export const search = {
  build() {
    onEnter($("name"), $("find"), () => {
      if (!$("name").value.trim()) { closeMessage(); $("name").focus(); return; }
      const problem = find($("name").value);
      $("search-error").textContent = problem;
      if (!problem) $("t-sum").focus({ preventScroll: true });
    });
    $("name").addEventListener("input", closeMessage);
    for (const type of ["pointerdown", "focusin"])
      document.addEventListener(type, ({ target }) => {
        if (!$("search").contains(target)) closeMessage();
      });
    document.addEventListener("scroll", closeMessage, { passive: true });
  },

  isOpen: () => $("search-error").textContent !== "",
  close: closeMessage,
};
