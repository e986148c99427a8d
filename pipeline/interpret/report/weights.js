// The three images of the selected neuron of layer 1: its weights, the image, and their
// products; and the legend of the colors.

const neuronImages = ["weights", "image", "products"].map((name, place) => {
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
    const pixel = (state.input ?? 406) + steps[event.key]; // 406 is the center
    if (pixel < 0 || pixel >= PIXELS) return;
    select(1, state.neuron, pixel);
    announce(pixelText(pixel));
  });
  return canvas;
});

function pixelText(pixel) {
  if (pixel == null) {
    const gesture = matchMedia("(hover: none)").matches ? "Tap" : "Point at";
    return `${gesture} a pixel to see its product.`;
  }
  const weight = network().parameter(1, pixel, state.neuron);
  const level = network().pixel(state.image[pixel]);
  return `pixel ${pixel} (${rowAndColumn(pixel)}): weight ` +
    `${quantity(weight)} × pixel ${quantity(level)} = ${quantity(weight * level)}` +
    (isFrozen(pixel, state.neuron) ? "; this weight never changed" : "");
}
const showPixel = (pixel) => { $("pixel-text").textContent = pixelText(pixel); };

function showImages({ pixels }) {
  for (const id of ["images", "images-legend", "pixel-text"]) $(id).hidden = state.layer === 2;
  if (state.layer === 2) return;
  const products = Array.from(pixels, (level, pixel) =>
    level / network().white * network().parameter(1, pixel, state.neuron));
  const colourings = [templateColours(state.neuron), (pixel) => grey(state.image[pixel]),
    (pixel) => weightColour(products[pixel])];
  neuronImages.forEach((canvas, i) => paintSquares(canvas, colourings[i], i === 0));
  showPixel(state.input);
}

// Paint 28x28 pixels as squares; weights that never changed are hatched.
function paintSquares(canvas, colourOf, isHatched) {
  const size = 12, context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [SIDE * size, SIDE * size];
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    const [y, x] = coordinates(pixel).map((place) => place * size);
    context.fillStyle = `rgb(${colourOf(pixel)})`;
    context.fillRect(x, y, size, size);
    if (isHatched && isFrozen(pixel, state.neuron)) {
      context.strokeStyle = `rgb(${colours.muted})`;
      context.beginPath();
      context.moveTo(x + 2, y + size - 2);
      context.lineTo(x + size - 2, y + 2);
      context.stroke();
    }
  }
  if (state.input == null) return; // no pixel is selected
  const [top, left] = coordinates(state.input).map((place) => place * size - 3);
  for (const [colour, width] of [[colours.zero, 9], [colours.selected, 5]]) {
    context.strokeStyle = `rgb(${colour})`;
    context.lineWidth = width;
    context.strokeRect(left, top, size + 6, size + 6);
  }
}

// The scale of the colors, with numbers: the same for weights and products, in all epochs.
function weightLegend() {
  const limit = quantity(finalNetwork().largeWeight, 2);
  const [atMost, atLeast] = network().bits < 8 ? ["", ""] : ["≤ ", "≥ "];
  return element("p", { class: "legend" }, `weight ${atMost}${MINUS}${limit} `,
    element("span", { class: "gradient" }, "0"), ` ${atLeast}${limit}`,
    ...(model.tensors.frozen.includes(1) ? [element("span", { class: "unbroken" },
      element("span", { class: "hatched" }), " never changed")] : []));
}

onChange(showImages);
onChange((_, changed) => {
  if (changed.width) $("images-legend").replaceChildren(weightLegend());
});
