// The panel of the selected neuron, next to the page or as a sheet on a phone. It shows
// how the sum of the neuron is computed, and the softmax.

import {
  $, BIAS, announce, coordinates, element, fillTemplate, inputName, MINUS,
  neuronName, number, parameterName, percent, plural, ranked, rounded, signed, sum,
  tableRow,
} from "display.js";
import {
  change, className, classTitle, isShort, model, network, quantity, select,
  signedQuantity, state,
} from "model.js";
import { bars, tiles } from "neurons.js";

export const isDocked = matchMedia("(min-width: 760px)"); // next to the page

const selectedButton = () => (state.layer === 1 ? tiles : bars)[state.neuron].button;

function closePanel() {
  change({ isOpen: false });
  selectedButton().focus({ preventScroll: true });
}

function closeParameter() {
  change({ input: null });
  if (!$("panel").contains(document.activeElement)) $("t-sum").focus();
}

function selectNext(step) {
  const { layer, neuron } = state, count = network().neurons(layer);
  select(layer, (neuron + step + count) % count);
}

// Keep the selection in view: in the panel and, if a sheet could cover it, on the page.
function scrollToSelection() {
  if (!isDocked.matches) selectedButton().scrollIntoView({ block: "nearest" });
  const row = document.activeElement.closest("#panel tr");
  if (state.input === null) $("panel").scrollTop = 0;
  else (row ?? $("images")).scrollIntoView({ block: "nearest" });
}

export const panel = {
  build() {
    $("close").addEventListener("click", closePanel);
    $("close-parameter").addEventListener("click", closeParameter);
    $("previous").addEventListener("click", () => selectNext(-1));
    $("next").addEventListener("click", () => selectNext(1));
    isDocked.addEventListener("change", () => change({ isOpen: isDocked.matches }));
  },

  isOpen: () => state.isOpen,

  close() { // first the selected parameter, then the panel
    if (state.input === null) closePanel();
    else closeParameter();
  },

  update(result, changed) {
    const { layer, neuron } = state, name = neuronName(layer, neuron);
    const values = layer === 1 ? result.pixels : result.outputs;
    const terms = termsOf(layer, neuron, values, layer === 1 ? 10 : 20);
    const title = `${name}: neuron ${neuron + 1} of layer ${layer}` +
      (layer === 1 ? "" : `, for ${classTitle(neuron)}`);
    $("panel").hidden = !state.isOpen;
    $("t-sum").textContent = title;
    $("formula").textContent = fillTemplate(`formula-${layer}`,
      { sum: network().sumNames[layer - 1] });
    const inFloat = model.trained.classify(state.shown.image, state.off);
    $("sum-text").textContent = fillTemplate(`explain-${network().kind}-${layer}`,
      { name, ...network().explain(layer, neuron, result, inFloat) });
    const shares = hundredths(result.probabilities);
    showEquation(terms, shares);
    showTerms(terms);
    if (changed.selection || changed.network) showIncoming();
    showSoftmax(result, shares);
    if (changed.selection && state.isOpen) {
      scrollToSelection();
      announce(`${title}: ${quantity(terms.total)}`);
    }
  },
};

// The displayed terms of a sum, largest first, which add up exactly with the rest.
function termsOf(layer, neuron, values, count) {
  const terms = Array.from(values, (value, input) => {
    const weight = network().parameter(layer, input, neuron);
    return { input, weight, value, product: weight * value };
  }).filter(({ product }) => product);
  terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product) || a.input - b.input);
  const bias = network().parameter(layer, BIAS, neuron);
  const total = terms.reduce((all, { product }) => all + product, bias);
  const listed = terms.slice(0, count);
  const rest = rounded(rounded(total) - rounded(bias) -
    listed.reduce((all, { product }) => all + rounded(product), 0));
  return { listed, others: terms.length - listed.length, rest, bias, total };
}

function showEquation({ listed, others, bias, total }, shares) {
  const { layer, neuron } = state;
  $("equation").replaceChildren(`${network().sumNames[layer - 1]} = `,
    ...listed.slice(0, 3).flatMap((term, i) =>
      [...summand(term.weight, i === 0), `·${quantity(term.value)}`]),
    listed.length + others > 3 ? " + …" : "",
    ...summand(bias, listed.length === 0), " = ", element("b", {}, quantity(total)));
  const lines = network().outcome(layer, neuron, total);
  if (layer === 1 && state.off.has(neuron))
    lines.push(["switched off: output = ", "0"]);
  if (layer === 2)
    lines.push(["probability = softmax(z) = ", percent(shares[neuron], 2)]);
  $("result").replaceChildren(...lines.map(([text, value]) =>
    element("span", {}, text, element("b", {}, value))));
}

// A number with its sign, which is an operator except in front of a sum.
const summand = (value, isFirst) => (isFirst ? [signedQuantity(value)]
  : [value < 0 ? ` ${MINUS} ` : " + ", signed(value, quantity(Math.abs(value)))]);

function showTerms({ listed, others, rest, bias, total }) {
  const { layer, neuron } = state, input = layer === 1 ? "pixel" : "neuron";
  const line = (text, value, kind) => tableRow([text, "", "", value], kind);
  const rows = listed.map((term) => tableRow([termButton(term.input),
    signedQuantity(term.weight), `× ${quantity(term.value)}`,
    signedQuantity(term.product)]));
  if (others > 0 || rest) rows.push(line(
    others > 0 ? plural(others, `other ${input}`) : "rounding", signedQuantity(rest)));
  rows.push(line(termButton(BIAS), signedQuantity(bias)),
    line("sum", quantity(total), "total"));
  if (layer === 1) {
    const off = state.off.has(neuron) ? [["switched off", 0]] : [];
    rows.push(...[...network().steps(total, neuron), ...off]
      .map(([text, value]) => line(text, quantity(value))));
  }
  const head = element("span", {}, input,
    layer === 1 ? element("span", { class: "aside" }, " (row, column)") : "");
  replaceKeepingFocus($("terms"),
    tableRow([head, "weight", "× input", "= product"], "", "th"), ...rows);
}

// Replace the content of an element; the button of the same input keeps the focus.
function replaceKeepingFocus(container, ...content) {
  const { activeElement: focused } = document;
  const input = container.contains(focused) && focused.dataset.input;
  container.replaceChildren(...content);
  if (input) container.querySelector(`[data-input="${input}"]`)?.focus();
}

function termButton(input) {
  const { layer, neuron } = state, cell = document.createDocumentFragment();
  cell.append(element("button", { type: "button", "data-input": input,
    title: parameterName(layer, input, neuron),
    onclick: () => select(layer, neuron, input) }, inputName(layer, input)));
  if (layer === 1 && input !== BIAS)
    cell.append(element("span", { class: "aside" },
      `(${coordinates(input).join(", ")})`));
  return cell;
}

// All weights into a neuron of layer 2, including weights from neurons with output 0.
function showIncoming() {
  const { layer, neuron: label } = state;
  $("incoming").hidden = layer === 1;
  if (layer === 1) return;
  $("incoming").firstElementChild.textContent =
    `All ${plural(model.hidden, "weight")} into ${neuronName(2, label)}`;
  const buttons = tiles.map((_, from) => element("button", {
    type: "button", title: parameterName(2, from, label), "data-input": from,
    onclick: () => select(2, label, from) },
  neuronName(1, from), signedQuantity(network().parameter(2, from, label))));
  replaceKeepingFocus($("incoming-weights"), ...buttons);
}

function showSoftmax({ logits, realLogits }, shares) {
  $("softmax").replaceChildren();
  if (state.layer !== 2) return;
  const columns = network().columns(logits);
  // A reader can compute the powers from the displayed z.
  const z = Array.from(realLogits, (value) => rounded(value));
  const powers = z.map((value) => rounded(Math.exp(value - Math.max(...z)), 6));
  $("softmax").replaceChildren(
    tableRow(["softmax", ...columns.map(([name]) => name), "e^(z − max)",
      "probability"], "", "th"),
    ...powers.map((power, label) => tableRow([
      neuronName(2, label) + (isShort(label) ? "" : ` (${className(label)})`),
      ...columns.map(([, cells]) => cells[label]), number(power, 6),
      percent(shares[label], 2)], label === state.neuron ? "total" : "")),
    tableRow(["sum", ...columns.map(() => ""), number(sum(powers), 6), percent(1, 2)],
      "total"));
}

// Fractions rounded to hundredths of a percent, which add up to 100% because fractions
// with large remainders are rounded up.
function hundredths(shares) {
  const unrounded = shares.map((share) => 10000 * share);
  const result = unrounded.map(Math.floor);
  const missing = 10000 - sum(result);
  ranked(unrounded.map((value, i) => value - result[i])).slice(0, missing)
    .forEach((i) => { result[i] += 1; });
  return result.map((share) => share / 10000);
}
