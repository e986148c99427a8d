// How the selected neuron is computed: its images, its terms, and the softmax.

// The terms of a sum as displayed, the largest first; with the rest they add up exactly.
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

const neuronImages = ["weights", "image", "weight × pixel"].map((name, place) => {
  const canvas = element("canvas", { tabindex: "0", role: "application",
    "aria-label": `${name}: select a pixel with the arrow keys` });
  if (place) $("images").append(
    element("span", { class: "sign", "aria-hidden": "true" }, place === 1 ? "×" : "="));
  $("images").append(element("figure", {}, canvas, element("figcaption", {}, name)));
  const pixelAt = (event) => {
    const [column, row] = positionOn(canvas, event).map((share) =>
      Math.min(SIDE - 1, Math.max(0, Math.floor(SIDE * share))));
    return SIDE * row + column;
  };
  canvas.addEventListener("pointermove", (event) => showPixel(pixelAt(event)));
  canvas.addEventListener("pointerleave", () => showPixel(state.input));
  canvas.addEventListener("click", (event) => select(1, state.neuron, pixelAt(event)));
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIDE, ArrowDown: SIDE };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const pixel = (state.input ?? 406) + steps[event.key]; // 406 is the centre
    if (pixel < 0 || pixel >= PIXELS) return;
    select(1, state.neuron, pixel);
    announce($("pixel-text").textContent);
  });
  return canvas;
});

function showPixel(pixel) {
  if (pixel == null) {
    $("pixel-text").textContent = "Point at a pixel to see its weight; click to select it.";
    return;
  }
  const weight = network().parameter(1, pixel, state.neuron);
  const level = state.image[pixel] / 255;
  $("pixel-text").textContent = `pixel ${pixel} (${rowAndColumn(pixel)}): weight ` +
    `${number(weight)} × pixel ${number(level)} = ${number(weight * level)}` +
    (model.alwaysZero.has(pixel) ? "; this weight was never trained" : "");
}

function showImages({ pixels }) {
  const products = Array.from(pixels, (level, pixel) =>
    level * network().parameter(1, pixel, state.neuron));
  const max = largest(products.map(Math.abs)) || 1;
  const colourings = [templateColours(state.neuron), (pixel) => grey(state.image[pixel]),
    (pixel) => diverging(products[pixel] / max)];
  neuronImages.forEach((canvas, i) => paintSquares(canvas, colourings[i], i === 0));
  showPixel(state.input);
}

// Paint 28x28 pixels as squares; weights that were never trained are hatched.
function paintSquares(canvas, colourOf, isHatched) {
  const size = 12, context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [SIDE * size, SIDE * size];
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    const [x, y] = [(pixel % SIDE) * size, Math.floor(pixel / SIDE) * size];
    context.fillStyle = `rgb(${colourOf(pixel)})`;
    context.fillRect(x, y, size, size);
    if (isHatched && model.alwaysZero.has(pixel)) {
      context.strokeStyle = `rgb(${colours.muted})`;
      context.beginPath();
      context.moveTo(x + 2, y + size - 2);
      context.lineTo(x + size - 2, y + 2);
      context.stroke();
    }
  }
  if (state.input == null) return; // no pixel is selected
  context.strokeStyle = `rgb(${colours.selected})`;
  context.lineWidth = 3;
  context.strokeRect((state.input % SIDE) * size - 1.5,
    Math.floor(state.input / SIDE) * size - 1.5, size + 3, size + 3);
}

function sumText(layer, neuron) {
  const inputs = network().inputs(layer), [w, x] = layer === 1 ? ["M", "X"] : ["W", "N1"];
  const letters = [...new Set([1, 2, inputs])].filter((k) => k <= inputs)
    .map((k) => (k === inputs && k > 3 ? "… + " : "") + `${w}${k}·${x}${k}`).join(" + ");
  if (layer === 1)
    return "A line y = m·x + c has one input and one slope. This neuron has 784 inputs " +
      `and 784 weights: y = ${letters} + C. M1 and X1 belong to pixel 0, because array ` +
      "indices start at 0. Blue weights increase the sum, red weights decrease it." +
      (model.alwaysZero.size ? " Hatched weights were never trained: their pixel is 0 in " +
      "all training images." : "");
  return `z = ${letters} + bias: the output of each neuron of layer 1 times its weight ` +
    `to ${neuronName(2, neuron)}. Softmax turns the ten sums into probabilities: e^z of ` +
    `a ${model.noun} divided by the sum of all ten e^z.`;
}

function showSum(result, changed) {
  const { layer, neuron } = state, name = neuronName(layer, neuron);
  const { listed, others, rest, bias, total } = termsOf(layer, neuron,
    layer === 1 ? result.pixels : result.hidden, layer === 1 ? 10 : 20);
  $("t-sum").textContent = `${name}: neuron ${neuron + 1} of layer ${layer}` +
    (layer === 1 ? "" : `, for ${classTitle(neuron)}`);
  $("formula").textContent = sumText(layer, neuron);
  $("images").hidden = $("pixel-text").hidden = layer === 2;
  if (layer === 1) showImages(result);
  $("equation").replaceChildren(`${layer === 1 ? "y" : "z"} = `,
    ...listed.slice(0, 3).flatMap((term) =>
      [signed(term.weight), `·${number(term.value)} + `]),
    listed.length + others > 3 ? "… + " : "", signed(bias), " = ",
    element("b", {}, number(total)));
  const input = layer === 1 ? "pixel" : "neuron";
  const rows = listed.map((term) => tableRow([termButton(term.input), signed(term.weight),
    `× ${number(term.value)}`, signed(term.product)]));
  if (others || rest) rows.push(tableRow(
    [others ? `${plural(others, `other ${input}`)}` : "rounding", "", "", signed(rest)]));
  rows.push(tableRow([termButton(null), "", "", signed(bias)]));
  rows.push(tableRow(["sum", "", "", number(total)], "total"));
  if (layer === 1) {
    rows.push(tableRow([total > 0 ? "ReLU keeps a positive sum" : "ReLU sets it to 0",
      "", "", number(Math.max(total, 0))]));
    if (isChanged(state.interventions[neuron])) rows.push(
      tableRow(["with your change", "", "", number(result.hidden[neuron])]));
  }
  const { input: focused } = document.activeElement.dataset;
  $("terms").replaceChildren(
    tableRow([input, "weight", "× input", "= product"], "", "th"), ...rows);
  if (focused) document.querySelector(`#terms [data-input="${focused}"]`)?.focus();
  showIncoming(changed);
  showSoftmax(result);
}

const tableRow = (cells, kind = "", tag = "td") => element("tr", { class: kind },
  ...cells.map((cell) => element(tag, tag === "th" ? { scope: "col" } : {}, cell)));

function termButton(input) {
  const { layer, neuron } = state, cell = document.createDocumentFragment();
  cell.append(element("button", { type: "button", "data-input": String(input),
    title: parameterName(layer, input, neuron),
    onclick: () => select(layer, neuron, input) },
  input === null ? "bias" : inputName(layer, input)));
  if (layer === 1 && input !== null)
    cell.append(element("span", { class: "aside" }, rowAndColumn(input)));
  return cell;
}

// All weights into a neuron of layer 2, also those from inactive neurons.
function showIncoming(changed) {
  $("incoming").hidden = state.layer === 1;
  if (state.layer === 1 || !(changed.selection || changed.epoch)) return;
  const label = state.neuron;
  document.querySelector("#incoming summary").textContent =
    `All ${plural(model.hidden, "weight")} into ${neuronName(2, label)}`;
  $("incoming-weights").replaceChildren(...tiles.map((_, from) => element("button", {
    type: "button", title: parameterName(2, from, label),
    onclick: () => select(2, label, from) },
  neuronName(1, from), signed(network().parameter(2, from, label)))));
}

function showSoftmax({ logits, probabilities }) {
  $("softmax").replaceChildren();
  if (state.layer !== 2) return;
  const max = Math.max(...logits), shares = hundredths(probabilities);
  const powers = Array.from(logits, (z) => Number(Math.exp(z - max).toFixed(6)));
  $("softmax").replaceChildren(
    tableRow(["softmax", "z", "e^(z − max)", "probability"], "", "th"),
    ...powers.map((power, label) => tableRow([
      neuronName(2, label) + (isShort(label) ? "" : ` (${className(label)})`),
      number(logits[label]), number(power, 6), percent(shares[label] / 10000, 2)],
    label === state.neuron ? "total" : "")),
    tableRow(["sum", "", number(sum(powers), 6), percent(1, 2)], "total"));
}

// Shares in hundredths of a percent that add up to 100 %: the largest remainders gain.
function hundredths(shares) {
  const exact = shares.map((share) => 10000 * share), result = exact.map(Math.floor);
  const missing = 10000 - sum(result);
  ranked(exact.map((value, i) => value - result[i])).slice(0, missing)
    .forEach((i) => { result[i] += 1; });
  return result;
}

onChange(showSum);
