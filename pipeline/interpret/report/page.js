// The views. Everything shown follows from `state`; whatever changes it calls `show`.

const $ = (id) => document.getElementById(id);
const DIGITS = 4; // decimals shown
const EVERY = 700; // milliseconds an epoch, when played

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function drawing(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const number = (value, decimals = DIGITS) =>
  (value < 0 ? "−" : "") + Math.abs(value).toLocaleString("en", {
    minimumFractionDigits: decimals, maximumFractionDigits: decimals });
const rounded = (value) => Number(value.toFixed(DIGITS));
const percent = (share, decimals = 1) => `${(100 * share).toFixed(decimals)} %`;
const whole = (value) => value.toLocaleString("en");
const several = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
// What was rounded to 16 bits has three decimals that are right, wherever the point is.
const roughly = (value) => `about ${value < 0 ? "−" : ""}` +
  Number(Math.abs(value).toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 9 });
const signed = (value) => element("span",
  { class: value < 0 ? "minus" : "plus" }, number(value));

function start({ tensors, about }) {
  for (const part of document.querySelectorAll(".bar, main")) part.hidden = false;
  const { hidden, epochs } = about;
  const last = epochs.length - 1;
  const familiar = about.familiar && { ...about.familiar,
    means: tensors["familiar.means"], components: tensors["familiar.components"] };
  const networks = epochs.map((_, i) =>
    new Network(tensors, hidden, i === last ? null : i));
  const unlit = new Set(about.never_lit);
  for (const each of networks) each.keep(unlit, networks[last]);
  const picture = (row) => tensors.images.subarray(row * PIXELS, (row + 1) * PIXELS);
  const traced = last > 0; // whether earlier epochs are known
  const knobs = Array.from({ length: hidden }, () => ({ ...UNTOUCHED }));
  const state = {
    image: picture(0), count: 1, drawn: true, row: 0, // of a test picture; null: drawn here
    epoch: last, layer: 1, neuron: 0, input: null, // null: the bias
  };
  const network = () => networks[state.epoch];
  const isUntouched = (knob) => knob.on && knob.scale === 1 && knob.shift === 0;

  // --- Names ------------------------------------------------------------------------

  const nameOf = (layer, neuron) => `N${layer}${neuron + 1}`;
  const titleOf = (layer, neuron) => nameOf(layer, neuron) +
    (layer === 2 ? `, which speaks for ${neuron},` : ", a neuron of layer 1,");
  const weightName = (layer, input, neuron) => (input === null
    ? `layer_${layer}.bias[${neuron}]` : `layer_${layer}[${input},${neuron}]`);
  const placeOf = (pixel) =>
    `pixel ${pixel} (row ${Math.floor(pixel / 28)}, column ${pixel % 28})`;

  // Understand a name that was typed; answer with what is wrong, or nothing.
  function go(typed) {
    const name = typed.trim();
    const neuron = /^N([12])(\d+)$/i.exec(name);
    const weight = /^layer_([12])(?:\.kernel)?\s*\[\s*(\d+)\s*,\s*(\d+)\s*\]$/i.exec(name);
    const bias = /^layer_([12])\.bias\s*\[\s*(\d+)\s*\]$/i.exec(name);
    const pixel = /^pixel\s*(\d+)$/i.exec(name), term = /^M(\d+)$/i.exec(name);
    const own = state.layer === 1 ? state.neuron : 0;
    let to;
    if (neuron) to = [Number(neuron[1]), Number(neuron[2]) - 1, null];
    else if (weight) to = [Number(weight[1]), Number(weight[3]), Number(weight[2])];
    else if (bias) to = [Number(bias[1]), Number(bias[2]), null];
    else if (pixel) to = [1, own, Number(pixel[1])];
    else if (term) to = [1, own, Number(term[1]) - 1];
    else return `“${name}” names no number. Names are such as N16 (a neuron), ` +
      "layer_1[300,5] (the weight from pixel 300 to N16), layer_1.bias[5] and pixel 300.";
    const [layer, index, input] = to, inputs = networks[0].inputs(layer);
    if (index < 0 || index >= networks[0].neurons(layer))
      return `layer ${layer} has the neurons ${nameOf(layer, 0)} to ` +
        `${nameOf(layer, networks[0].neurons(layer) - 1)}; in an array they are ` +
        `counted from 0 to ${networks[0].neurons(layer) - 1}.`;
    if (input !== null && !(input >= 0 && input < inputs))
      return `the inputs of layer ${layer} are counted from 0 to ${inputs - 1}.`;
    choose(layer, index, input);
    reveal(layer, index);
    return "";
  }

  // Of many neurons only some tiles are in sight.
  function reveal(layer, neuron) {
    const box = $("neurons"), tile = tiles[neuron]?.button;
    if (layer === 1) box.scrollTop = tile.offsetTop - box.offsetTop - 40;
  }

  function choose(layer, neuron, input = null) {
    Object.assign(state, { layer, neuron, input });
    show();
    say(input === null ? `${$("t-sum").textContent}: ${$("equation").lastChild.textContent}`
      : `${$("t-one").textContent}. ${$("w-one").textContent}`);
  }

  // --- Painting -----------------------------------------------------------------------

  let colours;
  function readColours() {
    const style = getComputedStyle(document.documentElement);
    const rgb = (name) => style.getPropertyValue(name).trim().slice(1)
      .replace(/^(.)(.)(.)$/, "$1$1$2$2$3$3").match(/../g).map((two) => parseInt(two, 16));
    colours = Object.fromEntries(["for", "against", "zero", "unlearned", "muted", "chosen"]
      .map((name) => [name, rgb(`--${name}`)]));
  }
  const blend = (value) => {
    const strength = Math.min(Math.abs(value), 1);
    const full = value < 0 ? colours.against : colours.for;
    return colours.zero.map((zero, i) => zero + strength * (full[i] - zero));
  };
  const grey = (level) => [level, level, level];

  // Paint a picture pixel by pixel; paint(place) returns red, green and blue.
  function paintGrid(canvas, height, width, paint) {
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d"), made = context.createImageData(width, height);
    for (let place = 0; place < height * width; place++)
      made.data.set([...paint(place), 255], 4 * place);
    context.putImageData(made, 0, 0);
  }

  // The weight beyond which a template is painted in full colour.
  const scales = new Map();
  function scaleOf(epoch) {
    if (!scales.has(epoch)) {
      const sizes = networks[epoch].kernels[0].map(Math.abs).sort();
      scales.set(epoch, sizes[Math.floor(0.99 * (sizes.length - 1))] || 1);
    }
    return scales.get(epoch);
  }

  const template = (neuron) => (pixel) => (unlit.has(pixel) ? colours.unlearned
    : blend(network().weight(1, pixel, neuron) / scaleOf(state.epoch)));

  // --- The picture --------------------------------------------------------------------

  const board = $("board"), pen = board.getContext("2d");
  const small = element("canvas", { width: digits.SIDE, height: digits.SIDE });
  const fine = small.getContext("2d", { willReadFrequently: true });
  let from = null; // where the pen is, as a share of the board

  function clear() {
    for (const context of [pen, fine]) {
      context.fillStyle = "#000";
      context.fillRect(0, 0, context.canvas.width, context.canvas.height);
    }
    $("steps").replaceChildren();
    from = null;
  }

  function stroke(to) {
    for (const context of [pen, fine]) {
      const side = context.canvas.width;
      context.strokeStyle = "#fff";
      context.lineWidth = side / 12;
      context.lineCap = context.lineJoin = "round";
      context.beginPath();
      context.moveTo(from[0] * side, from[1] * side);
      context.lineTo(to[0] * side + 0.01, to[1] * side); // no length would draw nothing
      context.stroke();
    }
    from = to;
  }

  const levels = () => fine.getImageData(0, 0, digits.SIDE, digits.SIDE).data
    .filter((_, i) => i % 4 === 0);

  function takeDrawing() {
    const made = digits.prepare(levels());
    const { image, count, drawn } = made;
    Object.assign(state, { image, count, drawn, row: null });
    $("steps").replaceChildren(...Object.entries(made.steps).map(([name, step]) => {
      const canvas = element("canvas", { role: "img", "aria-label": name });
      paintGrid(canvas, step.height, step.width, (place) => grey(step.data[place]));
      return element("figure", {}, canvas, element("figcaption", {}, name));
    }));
    show();
  }

  function takeTestPicture(row) {
    cancelAnimationFrame(awaited);
    awaited = null;
    Object.assign(state, { image: picture(row), row, count: 1, drawn: true });
    clear();
    const canvas = element("canvas");
    paintGrid(canvas, 28, 28, (pixel) => grey(state.image[pixel]));
    pen.imageSmoothingEnabled = false;
    pen.drawImage(canvas, 0, 0, board.width, board.height);
    show();
  }

  const placeOn = (event) => {
    const box = board.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  let awaited = null; // the next frame, in which the drawing is read
  function drawn() {
    awaited ??= requestAnimationFrame(() => {
      awaited = null;
      takeDrawing();
    });
  }
  board.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    board.setPointerCapture(event.pointerId);
    if (state.row !== null) clear();
    from = placeOn(event);
    stroke(from);
    drawn();
  });
  board.addEventListener("pointermove", (event) => {
    if (!from || !event.isPrimary) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) stroke(placeOn(move));
    drawn();
  });
  for (const end of ["pointerup", "pointercancel"])
    board.addEventListener(end, (event) => { if (event.isPrimary) from = null; });
  $("clear").addEventListener("click", () => { clear(); takeDrawing(); });

  const thumbnails = [];
  function buildGallery() {
    $("many").textContent = about.rows.length;
    about.rows.forEach((row, place) => {
      const canvas = element("canvas");
      paintGrid(canvas, 28, 28, (pixel) => grey(picture(place)[pixel]));
      const label = tensors.image_labels[place];
      const said = ranked(networks[last].read(picture(place)).probabilities)[0];
      const told = `test picture ${row}: a ${label}` +
        (said === label ? "" : `, misread as ${said}`);
      const button = element("button", { type: "button", title: told,
        "aria-label": told, class: said === label ? "" : "mistake",
        onclick: () => takeTestPicture(place) }, canvas);
      $("gallery").append(button);
      thumbnails.push(button);
    });
  }

  // --- Layers 1 and 2 -------------------------------------------------------------------

  const tiles = [], outputs = [];
  function buildNeurons() {
    for (let neuron = 0; neuron < hidden; neuron++) {
      const canvas = element("canvas"), value = element("span");
      const bar = element("span"), name = nameOf(1, neuron);
      const button = element("button", { type: "button",
        onclick: () => choose(1, neuron) }, canvas,
      element("span", { class: "name" }, element("b", {}, name), value),
      element("span", { class: "bar-line" }, bar));
      const turn = element("button", { type: "button", class: "switch", role: "switch",
        "aria-label": `${name} switched on`, onclick: () => {
          knobs[neuron].on = !knobs[neuron].on;
          show();
        } });
      $("neurons").append(element("div", { class: "tile" }, button, turn));
      tiles.push({ canvas, value, bar, button, turn });
    }
    $("neurons").classList.toggle("many", hidden > 40);
    for (let digit = 0; digit < CLASSES; digit++) {
      const bar = element("span"), share = element("span", { class: "share" });
      const button = element("button", { type: "button", class: "output",
        onclick: () => choose(2, digit) }, element("b", {}, String(digit)),
      element("span", { class: "track" }, bar), share);
      $("outputs").append(button);
      outputs.push({ bar, share, button });
    }
  }

  let painted = null; // the epoch whose templates are on the tiles
  function showNeurons(read) {
    const most = Math.max(...read.hidden, 1e-9);
    if (painted !== state.epoch)
      tiles.forEach(({ canvas }, neuron) => paintGrid(canvas, 28, 28, template(neuron)));
    painted = state.epoch;
    tiles.forEach((tile, neuron) => {
      const value = read.hidden[neuron], name = nameOf(1, neuron);
      tile.value.textContent = number(value, 1);
      tile.bar.style.width = `${100 * Math.max(value, 0) / most}%`;
      tile.button.setAttribute("aria-label", `${name} passes on ${number(value, 2)}`);
      mark(tile.button, state.layer === 1 && state.neuron === neuron);
      tile.turn.setAttribute("aria-checked", knobs[neuron].on);
      tile.turn.textContent = !knobs[neuron].on ? "off"
        : isUntouched(knobs[neuron]) ? "on" : "changed";
    });
    const lit = read.hidden.filter((value) => value > 0).length;
    $("lit").textContent = `${lit} of ${several(hidden, "neuron")} ` +
      `${lit === 1 ? "has" : "have"} something to say`;
  }
  const mark = (button, chosen) => (chosen ? button.setAttribute("aria-current", "true")
    : button.removeAttribute("aria-current"));

  function showAnswer(read) {
    const [first, second] = ranked(read.probabilities);
    outputs.forEach(({ bar, share, button }, digit) => {
      bar.style.width = `${100 * read.probabilities[digit]}%`;
      share.textContent = percent(read.probabilities[digit]);
      button.setAttribute("aria-label",
        `${nameOf(2, digit)}, digit ${digit}: ${share.textContent}`);
      mark(button, state.layer === 2 && state.neuron === digit);
    });
    const [high, low] = [read.probabilities[first], read.probabilities[second]];
    const why = familiar && doubt(familiar, state, read.probabilities);
    let verdict = "Whether it is sure is not known: familiar.safetensors was not there.";
    if (familiar) verdict = why ? `It is unsure: ${why}.`
      : `It is sure: the picture is like the ${first}s it learned from, and ` +
        `${first} is ahead by ${percent(high - low)}, more than ` +
        `${percent(familiar.least_margin)}.`;
    const blank = !state.image.some(Boolean);
    $("answer").replaceChildren(...(blank
      ? ["Nothing is drawn: what it answers comes from the biases alone."]
      : [element("strong", {}, String(first)),
        ` with ${percent(high)}, then ${second} with ${percent(low)}. `,
        element("span", { class: why ? "unsure" : "" }, verdict)]));
    thumbnails.forEach((button, place) => mark(button, state.row === place));
    const label = state.row === null ? null : tensors.image_labels[state.row];
    $("origin").textContent = state.row === null ? "your drawing"
      : `test picture ${about.rows[state.row]}: a ${label}` +
        (label === first ? "" : ", misread");
  }

  // Tell a screen reader, once whatever moves has come to rest.
  let telling = null;
  function say(text) {
    clearTimeout(telling);
    telling = setTimeout(() => { $("said").textContent = text; }, 700);
  }

  // --- The sum of a neuron --------------------------------------------------------------

  // The terms of a sum as displayed, the largest first, and a rest: they add up.
  function ledger(layer, neuron, values, shown) {
    const terms = [...values.keys()].filter((input) => values[input])
      .map((input) => ({ input, weight: network().weight(layer, input, neuron),
        value: values[input] }));
    terms.forEach((term) => { term.product = term.weight * term.value; });
    terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product) || a.input - b.input);
    const bias = network().weight(layer, null, neuron);
    const total = terms.reduce((sum, { product }) => sum + product, bias);
    const listed = terms.slice(0, shown);
    const rest = rounded(total) - rounded(bias) -
      listed.reduce((sum, { product }) => sum + rounded(product), 0);
    return { listed, left: terms.length - listed.length, rest: rounded(rest), bias, total };
  }

  const views = ["weights", "the picture", "weight × pixel"].map((name, place) => {
    const canvas = element("canvas", { tabindex: "0", role: "application",
      "aria-label": `${name}: the arrow keys choose a pixel` });
    if (place) $("pictures").append(
      element("span", { class: "sign", "aria-hidden": "true" }, place === 1 ? "×" : "="));
    $("pictures").append(
      element("figure", {}, canvas, element("figcaption", {}, name)));
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width,
        (event.clientY - box.top) / box.height].map((share) =>
        Math.min(27, Math.max(0, Math.floor(28 * share))));
      return 28 * y + x;
    };
    canvas.addEventListener("pointermove", (event) => tellPixel(at(event)));
    canvas.addEventListener("pointerleave", () => tellPixel(state.input));
    canvas.addEventListener("click", (event) => choose(1, state.neuron, at(event)));
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -28, ArrowDown: 28 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      const next = (state.input ?? 406) + steps[event.key];
      if (next < 0 || next >= PIXELS) return;
      choose(1, state.neuron, next);
      say($("here").textContent);
    });
    return canvas;
  });

  function tellPixel(pixel) {
    if (pixel === null) { $("here").textContent = "Point at a pixel, or click it."; return; }
    const weight = network().weight(1, pixel, state.neuron);
    const level = state.image[pixel] / 255;
    $("here").textContent = `${placeOf(pixel)}: weight ${number(weight)} × pixel ` +
      `${number(level)} = ${number(weight * level)}` +
      (unlit.has(pixel) ? "; a weight that was never learned" : "");
  }

  function showPictures(read) {
    const products = Array.from(read.pixels, (level, pixel) =>
      level * network().weight(1, pixel, state.neuron));
    const most = Math.max(...products.map(Math.abs), 1e-9);
    const paints = [
      template(state.neuron),
      (pixel) => grey(state.image[pixel]),
      (pixel) => blend(products[pixel] / most),
    ];
    views.forEach((canvas, place) => paintEnlarged(canvas, paints[place], place === 0));
    tellPixel(state.input);
  }

  // Paint 28x28 pixels as squares; those never learned get a stroke, not only a colour.
  function paintEnlarged(canvas, paint, hatched) {
    const side = 12, context = canvas.getContext("2d");
    [canvas.width, canvas.height] = [28 * side, 28 * side];
    for (let pixel = 0; pixel < PIXELS; pixel++) {
      const [x, y] = [(pixel % 28) * side, Math.floor(pixel / 28) * side];
      context.fillStyle = `rgb(${paint(pixel)})`;
      context.fillRect(x, y, side, side);
      if (hatched && unlit.has(pixel)) {
        context.strokeStyle = `rgb(${colours.muted})`;
        context.beginPath();
        context.moveTo(x + 2, y + side - 2);
        context.lineTo(x + side - 2, y + 2);
        context.stroke();
      }
    }
    if (state.input === null) return;
    context.strokeStyle = `rgb(${colours.chosen})`;
    context.lineWidth = 3;
    context.strokeRect((state.input % 28) * side - 1.5,
      Math.floor(state.input / 28) * side - 1.5, side + 3, side + 3);
  }

  function showSum(read) {
    const { layer, neuron } = state, name = nameOf(layer, neuron);
    const values = layer === 1 ? read.pixels : read.hidden;
    const { listed, left, rest, bias, total } =
      ledger(layer, neuron, values, layer === 1 ? 10 : 20);
    $("t-sum").textContent = `What ${titleOf(layer, neuron)} computes`;
    const inputs = networks[0].inputs(layer), [w, x] = layer === 1 ? ["M", "X"] : ["W", "N1"];
    const letters = [...new Set([1, 2, inputs])].filter((k) => k <= inputs)
      .map((k) => (k === inputs && k > 3 ? "… + " : "") + `${w}${k}·${x}${k}`);
    const formula = `${layer === 1 ? "y" : "z"} = ${letters.join(" + ")} + ` +
      (layer === 1 ? "C" : "bias");
    $("w-sum").textContent = layer === 1
      ? `A line is y = m·x + c: one input, one slope. This neuron has 784 inputs and ` +
        `784 slopes: ${formula}. M1 and X1 belong to pixel 0, for arrays are counted ` +
        "from 0. Blue weights speak for it, red ones against it; hatched ones were " +
        "never learned, for their pixel is dark in every training picture."
      : `${formula}: each neuron of layer 1, times the weight that leads from it to ` +
        `${name}. The ten sums become probabilities by softmax: e to the power of each, ` +
        "divided by all ten together.";
    $("pictures").hidden = layer === 2;
    $("here").hidden = layer === 2;
    if (layer === 1) showPictures(read);
    const input = layer === 1 ? "pixel" : "neuron";
    $("equation").replaceChildren(`${layer === 1 ? "y" : "z"} = `,
      ...listed.slice(0, 3).flatMap((term) =>
        [signed(term.weight), `·${number(term.value)} + `]),
      listed.length + left > 3 ? "… + " : "", signed(bias), " = ",
      element("b", {}, number(total)));
    const rows = listed.map((term) => line([termButton(term.input), signed(term.weight),
      `× ${number(term.value)}`, signed(term.product)]));
    if (left || rest) rows.push(line([left ? `the rest, ${several(left, input)}` : "rounding",
      "", "", signed(rest)]));
    rows.push(line([termButton(null), "", "", signed(bias)]));
    rows.push(line(["sum", "", "", number(total)], "total"));
    if (layer === 1) {
      rows.push(line([`ReLU: ${total > 0 ? "above 0, kept" : "not above 0, so 0"}`, "", "",
        number(Math.max(total, 0))]));
      if (!isUntouched(knobs[neuron])) rows.push(line(["switch and sliders", "", "",
        number(read.hidden[neuron])]));
    }
    const { input: focused } = document.activeElement.dataset;
    $("ledger").replaceChildren(
      line([input, "weight", "× input", "= product"], "", "th"), ...rows);
    if (focused) document.querySelector(`#ledger [data-input="${focused}"]`)?.focus();
    showIncoming();
    showSoftmax(read);
    showKnobs();
  }

  const line = (cells, kind = "", tag = "td") => element("tr", { class: kind },
    ...cells.map((cell) => element(tag, tag === "th" ? { scope: "col" } : {}, cell)));
  const termButton = (input) => {
    const { layer, neuron } = state, cell = document.createDocumentFragment();
    cell.append(element("button", { type: "button", "data-input": String(input),
      title: weightName(layer, input, neuron),
      onclick: () => choose(layer, neuron, input) },
    input === null ? "bias" : layer === 1 ? `pixel ${input}` : nameOf(1, input)));
    if (layer === 1 && input !== null) cell.append(element("span", { class: "aside" },
      `row ${Math.floor(input / 28)}, column ${input % 28}`));
    return cell;
  };

  // All weights that lead into a neuron of layer 2, also from neurons that are silent.
  let incoming = null; // the neuron and epoch that are shown
  function showIncoming() {
    $("all").hidden = state.layer === 1;
    const shown = `${state.neuron} ${state.epoch}`;
    if (state.layer === 1 || incoming === shown) return;
    incoming = shown;
    const to = state.neuron;
    document.querySelector("#all summary").textContent =
      `All ${several(hidden, "weight")} into ${nameOf(2, to)}`;
    $("incoming").replaceChildren(...tiles.map((_, from) => element("button", {
      type: "button", title: weightName(2, from, to),
      onclick: () => choose(2, to, from) },
    nameOf(1, from), signed(network().weight(2, from, to)))));
  }

  function showSoftmax(read) {
    $("softmax").replaceChildren();
    if (state.layer !== 2) return;
    const largest = Math.max(...read.logits);
    const powers = Array.from(read.logits, (z) => Number(Math.exp(z - largest).toFixed(6)));
    const shares = hundredths(read.probabilities);
    $("softmax").replaceChildren(
      line(["softmax", "sum z", "e^(z − max)", "share of all"], "", "th"),
      ...powers.map((power, digit) => line([nameOf(2, digit), number(read.logits[digit]),
        number(power, 6), percent(shares[digit] / 10000, 2)],
      digit === state.neuron ? "total" : "")),
      line(["all ten", "", number(powers.reduce((a, b) => a + b), 6), "100.00 %"], "total"));
  }

  // Shares in hundredths of a percent that come to 100 %: the largest remainders get one.
  function hundredths(shares) {
    const exact = shares.map((share) => 10000 * share), made = exact.map(Math.floor);
    const left = 10000 - made.reduce((a, b) => a + b);
    ranked(exact.map((value, i) => value - made[i])).slice(0, left)
      .forEach((i) => { made[i] += 1; });
    return made;
  }

  // --- What if --------------------------------------------------------------------------

  const shift = (knob) =>
    `${knob.shift < 0 ? "−" : "+"} ${number(Math.abs(knob.shift), 1)}`;

  function showKnobs() {
    $("knobs").hidden = state.layer !== 1;
    if (state.layer !== 1) return;
    const knob = knobs[state.neuron];
    $("turn").textContent = `Interfere with ${nameOf(1, state.neuron)}`;
    $("on").checked = knob.on;
    $("scale").value = knob.scale;
    $("shift").value = knob.shift;
    $("scaled").textContent = `× ${number(knob.scale, 1)}`;
    $("shifted").textContent = shift(knob);
  }
  $("on").addEventListener("change", () => {
    knobs[state.neuron].on = $("on").checked;
    show();
  });
  for (const name of ["scale", "shift"])
    $(name).addEventListener("input", () => {
      knobs[state.neuron][name] = Number($(name).value);
      show();
    });
  $("reset").addEventListener("click", () => {
    knobs.forEach((knob) => Object.assign(knob, UNTOUCHED));
    show();
  });

  // The share of the stored test pictures of each digit that is read rightly, and of all.
  function accuracies(turns) {
    const { hidden: activations, labels } = tensors;
    const right = new Array(CLASSES).fill(0), seen = new Array(CLASSES).fill(0);
    labels.forEach((label, row) => {
      const values = activations.subarray(row * hidden, (row + 1) * hidden)
        .map((value, neuron) => turned(value, turns[neuron]));
      seen[label] += 1;
      if (ranked(networks[last].sums(2, values))[0] === label) right[label] += 1;
    });
    const total = right.reduce((a, b) => a + b);
    return { all: total / labels.length, right: total, n: labels.length,
      digits: right.map((count, digit) => (seen[digit] ? count / seen[digit] : null)) };
  }
  const before = accuracies([]);

  function showChange() {
    const changed = knobs.flatMap((knob, neuron) => (isUntouched(knob) ? []
      : [`${nameOf(1, neuron)} ${knob.on
        ? `× ${number(knob.scale, 1)} ${shift(knob)}` : "off"}`]));
    const after = changed.length ? accuracies(knobs) : before;
    const share = (found) => `${whole(found.right)} of ${whole(found.n)}`;
    $("changed").textContent = changed.length
      ? `${changed.join(", ")}: the finished network reads ${share(after)} test pictures ` +
        `rightly instead of ${share(before)}.`
      : `Nothing is changed: the finished network reads ${share(before)} test pictures ` +
        "rightly.";
    $("digits").replaceChildren(...after.digits.map((accuracy, digit) => {
      const bars = [["before", before.digits[digit]], ["after", accuracy]].map(
        ([name, value]) => element("span",
          { class: name, style: `height:${100 * (value ?? 0)}%` }));
      const short = (share) => (share === null ? "–" : percent(share, 0).replace(" ", ""));
      const was = before.digits[digit];
      const told = `digit ${digit}: ` + (accuracy === null ? "no picture"
        : `${percent(was)} before, ${percent(accuracy)} after`);
      return element("figure", { title: told, role: "img", "aria-label": told },
        element("div", {}, ...bars),
        element("figcaption", {}, element("b", {}, String(digit)), element("br"),
          accuracy === was ? short(was) : `${short(was)} → ${short(accuracy)}`));
    }));
  }

  // --- One number -----------------------------------------------------------------------

  function showOne() {
    const { layer, input, neuron } = state, name = nameOf(layer, neuron);
    const values = networks.map((each) => each.weight(layer, input, neuron));
    const never = layer === 1 && input !== null && unlit.has(input);
    $("t-one").textContent = `One of the ${whole(about.size)}: ` +
      weightName(layer, input, neuron);
    const from = input === null ? `the bias of ${name}`
      : `the weight from ${layer === 1 ? placeOf(input) : nameOf(1, input)} to ${name}`;
    const lit = layer === 1 && input !== null
      ? ` That pixel is lit in ${percent(tensors.lit[input], 2)} of the training ` +
        `pictures; its mean is ${number(tensors.level[input], 3)}.` : "";
    const began = values[0] === 0 ? "0" : roughly(values[0]);
    let moved = `It began as ${began} and ended as ${number(values[last], 6)}.`;
    if (!traced) moved = "What it was in earlier epochs is not known here.";
    else if (never) moved = "It was never learned: its pixel is dark in every training " +
      "picture, so it still holds the random number of the start, to the last bit.";
    const exact = state.epoch === last || never;
    const value = (exact ? (v) => number(v, 6) : roughly)(values[state.epoch]);
    $("w-one").textContent = `${from[0].toUpperCase()}${from.slice(1)}. It is ${value} at ` +
      `the chosen epoch. ${moved}${lit} Click another on this page, or type its name on top.`;
    $("life").replaceChildren(traced ? curve(values, never) : "");
  }

  function curve(values, never) {
    const [width, height, left, right, top, bottom] = [640, 190, 64, 16, 12, 34];
    const [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
    const span = high - low || 1;
    const x = (place) => left + (width - left - right) * (last ? place / last : 0);
    const y = (value) => top + (height - top - bottom) * (high - value) / span;
    const label = (px, py, text, anchor) =>
      drawing("text", { x: px, y: py, "text-anchor": anchor }, text);
    const points = values.map((value, place) => `${x(place)},${y(value)}`).join(" ");
    return drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `From ${number(values[0])} to ${number(values[last])}` },
    drawing("line", { x1: left, x2: width - right, y1: y(0), y2: y(0),
      stroke: "var(--line)" }),
    label(left - 8, y(0) + 4, "0", "end"),
    ...[low, high].filter(Boolean).map((value) =>
      label(left - 8, y(value) + 4, number(value, 3), "end")),
    label(x(0), height - 8, `epoch ${epochs[0]}`, "start"),
    label(x(last), height - 8, `epoch ${epochs[last]}`, "end"),
    drawing("polyline", { points, fill: "none", "stroke-width": 2,
      stroke: never ? "var(--pale)" : "var(--for)",
      "stroke-dasharray": never ? "6 5" : "none" }),
    drawing("circle", { cx: x(state.epoch), cy: y(values[state.epoch]), r: 5,
      fill: "var(--chosen)" }));
  }

  // --- All numbers ----------------------------------------------------------------------

  function bins(values, reach) {
    const counts = new Array(60).fill(0);
    values.forEach((value) => {
      const place = Math.floor((value + reach) / (2 * reach) * 60);
      counts[Math.min(59, Math.max(0, place))] += 1;
    });
    return counts;
  }

  function showHistograms() {
    const parts = [1, 2].flatMap((layer) => [
      [`layer_${layer} kernel`, (each) => each.kernels[layer - 1]],
      [`layer_${layer} bias`, (each) => each.biases[layer - 1]]]);
    $("histograms").replaceChildren(...parts.map(([name, of]) => {
      const reach = of(networks[last]).reduce((m, v) => Math.max(m, Math.abs(v)), 0) || 1;
      const [now, then] = [of(network()), of(networks[0])].map((v) => bins(v, reach));
      const most = Math.max(...now, ...(traced ? then : []), 1);
      const height = (count) => 84 * count / most;
      const outline = then.map((count, i) =>
        `${4 * i},${90 - height(count)} ${4 * i + 4},${90 - height(count)}`).join(" ");
      return element("figure", {}, drawing("svg", { viewBox: "0 0 240 108", role: "img",
        "aria-label": `${name}: values from ${number(-reach, 2)} to ${number(reach, 2)}` },
      ...now.map((count, i) => drawing("rect", { x: 4 * i, width: 3,
        y: 90 - height(count), height: height(count),
        fill: i < 30 ? "var(--against)" : "var(--for)" })),
      drawing("polyline", { points: traced ? outline : "", fill: "none",
        stroke: "var(--ink)", "stroke-opacity": 0.55 }),
      drawing("text", { x: 0, y: 104 }, number(-reach, 2)),
      drawing("text", { x: 120, y: 104, "text-anchor": "middle" }, "0"),
      drawing("text", { x: 240, y: 104, "text-anchor": "end" }, number(reach, 2))),
      element("figcaption", {}, `${name}: ${whole(of(networks[last]).length)} numbers`));
    }));
  }

  // --- Epochs ---------------------------------------------------------------------------

  function showEpoch() {
    $("epoch").value = state.epoch;
    const reads = `${percent(about.accuracies[state.epoch], 2)} of ` +
      `${whole(about.watched)} pictures read rightly`;
    $("when").textContent = !traced ? `The finished network: ${reads}` : epochs[state.epoch]
      ? `After epoch ${epochs[state.epoch]} of ${epochs[last]}: ${reads}`
      : `Before training, nothing learned: ${reads}`;
    if (state.epoch !== last) $("when").append("; its numbers are rounded here");
    $("epoch").setAttribute("aria-valuetext", `epoch ${epochs[state.epoch]}`);
  }
  $("epoch").max = last;
  $("epoch").disabled = $("play").disabled = !traced;
  $("epoch").addEventListener("input", () => {
    stop();
    state.epoch = Number($("epoch").value);
    show();
  });
  let playing = null;
  function stop() {
    clearInterval(playing);
    playing = null;
    $("play").textContent = "▶";
    $("play").setAttribute("aria-pressed", "false");
  }
  $("play").setAttribute("aria-label", "Play the training");
  $("play").addEventListener("click", () => {
    if (playing) { stop(); return; }
    $("play").textContent = "⏸";
    $("play").setAttribute("aria-pressed", "true");
    state.epoch = state.epoch === last ? 0 : state.epoch;
    show();
    playing = setInterval(() => {
      state.epoch = Math.min(state.epoch + 1, last);
      show();
      if (state.epoch === last) stop();
    }, EVERY);
  });

  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const problem = go($("name").value);
    $("found").textContent = problem;
    if (problem) return;
    $("t-sum").scrollIntoView({ block: "start" });
  });

  // --- All of it ------------------------------------------------------------------------

  let told = {}; // what the slower views show already
  function show() {
    const read = network().read(state.image, knobs);
    showEpoch();
    showNeurons(read);
    showAnswer(read);
    showSum(read);
    showOne();
    const { epoch, image } = state, turns = JSON.stringify(knobs);
    if (told.epoch !== epoch) showHistograms();
    if (told.turns !== turns) showChange();
    if (told.epoch !== epoch || told.turns !== turns || told.image !== image)
      say($("answer").textContent);
    told = { epoch, turns, image };
  }

  function describe() {
    document.title = `${about.name}: inside the network`;
    const long = epochs[last] ? ` in ${several(epochs[last], "epoch")}` : "";
    $("lead").textContent = `784 pixels → ${several(hidden, "neuron")} → 10 digits: ` +
      `${whole(about.size)} numbers, learned from ${whole(about.learned)} pictures ` +
      `(${about.dataset})${long}. Each of them is on this page, and can be pointed at.`;
    $("foot").textContent = `${about.name}. The network has sha256 ${about.sha256}. Its ` +
      "final numbers are here exactly, those of earlier epochs rounded to 16 bits.";
  }

  readColours();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColours();
    painted = null;
    told = {};
    show();
  });
  describe();
  buildNeurons();
  buildGallery();
  takeTestPicture(0);
  const doubtOf = (image) =>
    doubt(familiar, { image, count: 1, drawn: true },
      networks[last].read(image).probabilities);
  return { state, networks, unlit, levels, go, takeTestPicture, picture, doubtOf,
    rows: about.rows, prepare: digits.prepare };
}

async function unpack(text) {
  const packed = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const opened = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(opened).arrayBuffer();
}

// `page` is for whoever wants to look further, in the browser's console.
var page = null;
requestAnimationFrame(() => setTimeout(async () => {
  page = start(readTensors(await unpack($("numbers").textContent)));
}));
