// How the selected neuron is computed: its equation, its terms, and the softmax.

// The displayed terms of a sum, largest first; together with the rest, they add up exactly.
function termsOf(layer, neuron, values, count) {
  const terms = [...values.keys()].filter((input) => values[input]).map((input) => {
    const weight = network().parameter(layer, input, neuron);
    return { input, weight, value: values[input], product: weight * values[input] };
  });
  terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product) || a.input - b.input);
  const bias = network().parameter(layer, null, neuron);
  const total = terms.reduce((sum, { product }) => sum + product, bias);
  const listed = terms.slice(0, count);
  const rest = rounded(total) - rounded(bias) -
    listed.reduce((sum, { product }) => sum + rounded(product), 0);
  return { listed, others: terms.length - listed.length, rest: rounded(rest), bias, total };
}

// The equation in letters, and what they mean.
function formula(layer) {
  const inputs = network().inputs(layer), [w, x] = layer === 1 ? ["M", "X"] : ["W", "N1"];
  const terms = [...new Set([1, 2, inputs])].filter((k) => k <= inputs)
    .map((k) => (k === inputs && k > 3 ? "… + " : "") + `${w}${k}·${x}${k}`).join(" + ");
  return layer === 1 ? `${sumLetter(1)} = ${terms} + C` : `${sumLetter(2)} = ${terms} + bias`;
}

// The name of the weighted sum; in integers, z of softmax is the logit times its scale.
const sumLetter = (layer) => (network().isInteger ? ["sum", "logit"] : ["y", "z"])[layer - 1];

const explanation = (layer, neuron) => (layer === 1
  ? `This is y = m·x + c with ${PIXELS} inputs and ${PIXELS} weights. M1 and X1 belong ` +
    "to pixel 0, because array indices start at 0."
  : `Each term is the output of a neuron of layer 1 times its weight in ` +
    `${neuronName(2, neuron)}. ` +
    `Softmax turns the ten sums into probabilities: e^z of a ${model.noun} divided by the ` +
    "sum of all ten e^z.");

function showSum(result, changed) {
  const { layer, neuron } = state, name = neuronName(layer, neuron);
  const terms = termsOf(layer, neuron, layer === 1 ? result.pixels : result.hidden,
    layer === 1 ? 10 : 20);
  const title = `${name}: neuron ${neuron + 1} of layer ${layer}` +
    (layer === 1 ? "" : `, for ${classTitle(neuron)}`);
  $("t-sum").textContent = title;
  $("formula").textContent = formula(layer);
  $("sum-text").textContent =
    (network().isInteger ? explainIntegers : explanation)(layer, neuron, result);
  showEquation(terms, result);
  showTerms(terms, result);
  showIncoming(changed);
  showSoftmax(result);
  if (changed.selection) announce(`${title}: ${quantity(terms.total)}`);
}

function showEquation({ listed, others, bias, total }, { hidden, probabilities }) {
  const { layer, neuron } = state;
  $("equation").replaceChildren(`${sumLetter(layer)} = `,
    ...listed.slice(0, 3).flatMap((term, place) =>
      [...summand(term.weight, place === 0), `·${quantity(term.value)}`]),
    listed.length + others > 3 ? " + …" : "", ...summand(bias, listed.length === 0), " = ",
    bold(quantity(total)));
  const output = network().isInteger && layer === 1 ? integerOutput(total, neuron)
    : ["output = max(0, y) = ", bold(number(Math.max(total, 0)))];
  if (layer === 1 && isChanged(state.interventions[neuron]))
    output.push("; changed: ", bold(quantity(hidden[neuron])));
  const scaled = network().isInteger ? integerScore(total) : [];
  $("result").replaceChildren(...(layer === 1 ? output
    : [...scaled, "probability = softmax(z) = ", bold(percent(probabilities[neuron], 2))]));
}

// A number with its sign: as an operator, except in front of a sum.
const summand = (value, isFirst) => (isFirst ? [signedQuantity(value)]
  : [value < 0 ? ` ${MINUS} ` : " + ", signed(value, quantity(Math.abs(value)))]);

function showTerms({ listed, others, rest, bias, total }, { hidden }) {
  const { layer, neuron } = state, input = layer === 1 ? "pixel" : "neuron";
  const rows = listed.map((term) => tableRow([termButton(term.input),
    signedQuantity(term.weight), `× ${quantity(term.value)}`, signedQuantity(term.product)]));
  if (others || rest) rows.push(tableRow(
    [others ? `${plural(others, `other ${input}`)}` : "rounding", "", "", signedQuantity(rest)]));
  rows.push(tableRow([termButton(null), "", "", signedQuantity(bias)]));
  rows.push(tableRow(["sum", "", "", quantity(total)], "total"));
  if (layer === 1) {
    rows.push(tableRow([total > 0 ? "ReLU keeps a positive sum" : "ReLU sets it to 0",
      "", "", quantity(Math.max(total, 0))]));
    if (network().isInteger) rows.push(...integerSteps(total, neuron));
    if (isChanged(state.interventions[neuron])) rows.push(
      tableRow(["with your change", "", "", quantity(hidden[neuron])]));
  }
  const head = element("span", {}, input,
    layer === 1 ? element("span", { class: "aside" }, " (row, column)") : "");
  const { input: focused } = document.activeElement.dataset;
  $("terms").replaceChildren(
    tableRow([head, "weight", "× input", "= product"], "", "th"), ...rows);
  if (focused) document.querySelector(`#terms [data-input="${focused}"]`)?.focus();
}

function termButton(input) {
  const { layer, neuron } = state, cell = document.createDocumentFragment();
  cell.append(element("button", { type: "button", "data-input": String(input),
    title: parameterName(layer, input, neuron),
    onclick: () => select(layer, neuron, input) },
  input === null ? "bias" : inputName(layer, input)));
  if (layer === 1 && input !== null)
    cell.append(element("span", { class: "aside" },
      `(${coordinates(input).join(", ")})`));
  return cell;
}

// All weights into a neuron of layer 2, including those from inactive neurons.
function showIncoming(changed) {
  $("incoming").hidden = state.layer === 1;
  if (state.layer === 1 || !(changed.selection || changed.network)) return;
  const label = state.neuron;
  document.querySelector("#incoming summary").textContent =
    `All ${plural(model.hidden, "weight")} into ${neuronName(2, label)}`;
  $("incoming-weights").replaceChildren(...tiles.map((_, from) => element("button", {
    type: "button", title: parameterName(2, from, label),
    onclick: () => select(2, label, from) },
  neuronName(1, from), signedQuantity(network().parameter(2, from, label)))));
}

function showSoftmax({ logits, probabilities }) {
  $("softmax").replaceChildren();
  if (state.layer !== 2) return;
  const scores = network().realLogits(logits);
  const max = Math.max(...scores), shares = hundredths(probabilities);
  // In integers, there is one more column.
  const logit = (label) => (network().isInteger ? [quantity(logits[label])] : []);
  const empty = logit(0).map(() => "");
  const powers = Array.from(scores, (z) => Number(Math.exp(z - max).toFixed(6)));
  $("softmax").replaceChildren(
    tableRow(["softmax", ...empty.map(() => "logit"), "z", "e^(z − max)", "probability"], "", "th"),
    ...powers.map((power, label) => tableRow([
      neuronName(2, label) + (isShort(label) ? "" : ` (${className(label)})`),
      ...logit(label), number(scores[label]), number(power, 6), percent(shares[label] / 10000, 2)],
    label === state.neuron ? "total" : "")),
    tableRow(["sum", ...empty, "", number(sum(powers), 6), percent(1, 2)], "total"));
}

// Shares in hundredths of a percent that add up to 100%: the largest remainders gain.
function hundredths(shares) {
  const exact = shares.map((share) => 10000 * share), result = exact.map(Math.floor);
  const missing = 10000 - sum(result);
  ranked(exact.map((value, i) => value - result[i])).slice(0, missing)
    .forEach((i) => { result[i] += 1; });
  return result;
}

onChange(showSum);
