// Loads the model and starts the page; shows the selected epoch and plays the training.

const EPOCH_MS = 700; // time per epoch when the training is played

function showEpoch() {
  const { epochs, last } = model, epoch = epochs[state.epoch];
  const accuracy = "validation accuracy " +
    `${percent(model.validation_accuracy[state.epoch], 2)} ` +
    `(${plural(model.validation_images, "image")})`;
  const name = !model.hasHistory ? "Final network"
    : epoch ? `After epoch ${epoch} of ${epochs[last]}` : "Before training";
  $("epoch-text").textContent = `${name}: ${accuracy}`;
  $("epoch").value = state.epoch;
  $("epoch").setAttribute("aria-valuetext", `epoch ${epoch}`);
}

let playing = null;
function setPlaying(timer) {
  clearInterval(playing);
  playing = timer;
  $("play").textContent = timer ? "⏸" : "▶";
  $("play").setAttribute("aria-pressed", String(Boolean(timer)));
}

function setEpoch(epoch) {
  state.epoch = epoch;
  show();
}

$("epoch").addEventListener("input", () => {
  setPlaying(null);
  setEpoch(Number($("epoch").value));
});
$("play").addEventListener("click", () => {
  if (playing) { setPlaying(null); return; }
  setEpoch(state.epoch === model.last ? 0 : state.epoch);
  setPlaying(setInterval(() => {
    setEpoch(Math.min(state.epoch + 1, model.last));
    if (state.epoch === model.last) setPlaying(null);
  }, EPOCH_MS));
});

function describe() {
  const { name, hidden, size, epochs, last, dataset } = model;
  document.title = `${name}: inside the network`;
  const duration = epochs[last] ? ` for ${plural(epochs[last], "epoch")}` : "";
  $("lead").textContent = `${PIXELS} pixels → ${plural(hidden, "neuron")} → ` +
    `${CLASSES} ${model.plural}: ${integer(size)} parameters, trained on ` +
    `${plural(model.training_images, "image")} (${dataset})${duration}.` +
    (model.widths ? " Select a width to see the network in integers; an answer in red " +
      "differs from that in floating point." : "");
  $("footer").textContent = `${name}. SHA-256 of the network: ${model.sha256}. ` +
    (model.hasHistory ? "The final weights are exact; those of earlier epochs are rounded " +
    "to 16 bits." : "The weights are exact.");
  $("epoch").max = last;
  $("epoch").disabled = $("play").disabled = !model.hasHistory;
}

onLoad(describe);
onChange(showEpoch);

async function unpack(text) {
  const packed = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  displayed = {}; // everything is painted again
  show();
});

// After the first frame, which shows that the page is loading.
requestAnimationFrame(() => setTimeout(async () => {
  load(readTensors(await unpack($("data").textContent)));
  for (const part of document.querySelectorAll(".bar, main")) part.hidden = false;
  readColours();
  for (const listener of loadListeners) listener();
  useTestImage(0);
}));
