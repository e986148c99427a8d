// Starts the page: reads the data, creates the networks and builds the parts. A part can
// have a method `build`, which runs once, and a method `update`, which shows the state.

import { connections } from "connections.js";
import { $, largest, readColors } from "display.js";
import { inputImage, useTestImage } from "input_image.js";
import { build, model, repaint } from "model.js";
import { Detector, FloatNetwork, IntegerNetwork } from "networks.js";
import { neurons } from "neurons.js";
import { isDocked, panel } from "panel.js";
import { images, overBitWidths, overEpochs, parameter } from "parameter.js";
import { effect, prediction } from "prediction.js";
import { search } from "search.js";
import { bitWidths, curve, epochs } from "selectors.js";
import { tour } from "tour.js";

// Return the bytes of the page's data, a compressed safetensors file.
async function unpack(text) {
  const letters = atob(text.trim()), packed = new Uint8Array(letters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = letters.charCodeAt(i);
  const gzip = new DecompressionStream("gzip");
  return new Response(new Blob([packed]).stream().pipeThrough(gzip)).arrayBuffer();
}

// Read a safetensors file: the length of the header, the header as JSON, the tensors.
function readTensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(new Uint8Array(buffer, 8, length));
  const { __metadata__: metadata, ...entries } = JSON.parse(header);
  const types = { F64: Float64Array, F32: Float32Array, I32: Int32Array,
    U8: Uint8Array, I8: Int8Array };
  const tensors = {};
  for (const [name, entry] of Object.entries(entries)) {
    const [from, end] = entry.data_offsets.map((offset) => 8 + length + offset);
    const data = new types[entry.dtype](buffer.slice(from, end));
    tensors[name] = name.startsWith("epochs.") ? fromHalves(data) : data;
  }
  return { tensors, metadata: JSON.parse(metadata.page) };
}

// Read numbers of 16 bits: a sign bit, 5 bits of exponent and 10 bits of fraction.
// `half_bytes` in rendering.py stores all low bytes before all high bytes.
function fromHalves(bytes) {
  const count = bytes.length / 2, numbers = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const high = bytes[count + i], fraction = (high & 3) << 8 | bytes[i];
    const sign = high >> 7 ? -1 : 1, exponent = (high >> 2) & 31;
    numbers[i] = exponent === 0 ? sign * fraction * 2 ** -24
      : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return numbers;
}

// The page has either the networks of the epochs, of which the last is `trained`, or
// `trained` followed by the integer networks.
function load({ tensors, metadata }) {
  const last = metadata.epochs.length - 1;
  const common = { weight_scale: metadata.weight_scale, title: metadata.trained_title,
    activations: tensors.activations, maxOutput: largest(tensors.activations) || 1 };
  const network = (part, fields) => new FloatNetwork(
    ["layer_1.weight", "layer_2.weight"].map(part),
    ["layer_1.bias", "layer_2.bias"].map(part), { ...common, ...fields });
  const trained = network((name) => tensors[name]);
  const earlier = Array.from({ length: last }, (_, epoch) =>
    network((name) => earlierValues(tensors, name, epoch), { evaluated: trained }));
  const integers = metadata.bit_widths.map((each) => new IntegerNetwork(tensors, each));
  const detector = metadata.detector && new Detector({ ...metadata.detector,
    means: tensors["detector.means"], components: tensors["detector.components"] });
  Object.assign(model, metadata, { tensors, trained, detector, trainedIndex: last,
    networks: [...earlier, trained, ...integers], hasEarlierEpochs: last > 0 });
}

// The values of a tensor in an epoch. In the page, the values of a parameter in all
// epochs are side by side.
function earlierValues(tensors, name, epoch) {
  const all = tensors[`epochs.${name}`], frozen = tensors[`frozen.${name}`];
  const count = all.length / tensors[name].length;
  return tensors[name].map((value, i) => // a frozen one is exact in all epochs
    (frozen[i] ? value : all[i * count + epoch]));
}

// The template calls this function, and displays an error.
export async function start() {
  await new Promise((resume) => // after the first frame, which says "loading"
    requestAnimationFrame(() => setTimeout(resume)));
  load(await unpack($("data").textContent).then(readTensors).catch((error) => {
    throw Error("its data is damaged", { cause: error });
  }));
  for (const each of document.querySelectorAll(".bar, main")) each.hidden = false;
  readColors();
  const [selector, values] = model.kind === "bit widths"
    ? [bitWidths, overBitWidths] : [epochs, overEpochs];
  // A part is built and updated after the parts whose elements it uses. Screen readers
  // read the last announcement.
  build([selector, search, inputImage, neurons, panel, images, parameter(values),
    ...($("curve") ? [curve] : []), effect, prediction, connections, tour],
  { networkIndex: model.trainedIndex, isOpen: isDocked.matches,
    // In one or two columns, the lines would cover the prediction.
    hasLines: $("network").clientWidth > 760 });
  // Escape closes one of these: the tour, a message of the search, or the panel.
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") [tour, search, panel].find((part) => part.isOpen())?.close();
  });
  useTestImage(0);
  $("loading").hidden = true;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}
