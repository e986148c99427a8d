// Starts the page: reads its data, makes the networks and builds the parts. A part can
// have a method `build`, which runs once, and a method `update`, which shows the state.

import { connections } from "connections.js";
import { $, largest, readColors } from "display.js";
import { drawing, useTestImage } from "drawing.js";
import { build, model, repaint, state } from "model.js";
import { FloatNetwork, IntegerNetwork } from "networks.js";
import { effect, neurons, prediction } from "neurons.js";
import { panel } from "panel.js";
import { images, parameter } from "parameter.js";
import { tour } from "tour.js";
import { curve, search, selector } from "selectors.js";

// Return the bytes of the page's data, a compressed safetensors file.
async function unpack(text) {
  const packed = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const gzip = new DecompressionStream("gzip");
  return new Response(new Blob([packed]).stream().pipeThrough(gzip)).arrayBuffer();
}

// Read a safetensors file: the length of its header, the header as JSON, the tensors.
function readTensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(new Uint8Array(buffer, 8, length));
  const { __metadata__: metadata, ...entries } = JSON.parse(header);
  const types = { F64: Float64Array, F32: Float32Array, F16: Uint8Array,
    I32: Int32Array, U8: Uint8Array, I8: Int8Array };
  const tensors = {};
  for (const [name, entry] of Object.entries(entries)) {
    const [start, end] = entry.data_offsets.map((offset) => 8 + length + offset);
    const data = new types[entry.dtype](buffer.slice(start, end));
    tensors[name] = entry.dtype === "F16" ? fromHalves(data) : data;
  }
  return { tensors, metadata: JSON.parse(metadata.page) };
}

// Read numbers with a sign bit, 5 bits of exponent and 10 bits of fraction. Python
// stores all low bytes, then all high bytes, which compresses better.
function fromHalves(bytes) {
  const count = bytes.length / 2;
  return Float32Array.from({ length: count }, (_, i) => {
    const high = bytes[count + i], fraction = (high & 3) << 8 | bytes[i];
    const sign = high >> 7 ? -1 : 1, exponent = (high >> 2) & 31;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

// The page has the networks of the epochs, or the last one in floating point (`float`)
// followed by those in integers. The `final` network of each classifies test images: it
// computes with the same numbers, after the last epoch.
function load({ tensors, metadata }) {
  const last = metadata.epochs.length - 1;
  const float = new FloatNetwork(
    [tensors["layer_1.weight"], tensors["layer_2.weight"]],
    [tensors["layer_1.bias"], tensors["layer_2.bias"]],
    { activations: tensors.activations, maxOutput: largest(tensors.activations) || 1,
      title: metadata.bit_widths.length ? "the network in floating point"
        : "the final network" });
  const epochs = Array.from({ length: last }, (_, epoch) => networkOfEpoch(
    tensors, epoch, float));
  const integers = metadata.bit_widths.map((each) => new IntegerNetwork(tensors, each));
  for (const each of [float, ...epochs]) each.final = float;
  for (const each of integers) each.final = each;
  Object.assign(model, metadata, { tensors, float, last,
    networks: [...epochs, float, ...integers], hasHistory: last > 0 });
  state.networkIndex = last;
}

function networkOfEpoch(tensors, epoch, float) {
  const part = (name, { length }) => { // the epochs of a weight are side by side
    const all = tensors[`epochs.${name}`], count = all.length / length;
    return Float32Array.from({ length }, (_, i) => all[i * count + epoch]);
  };
  const weights = float.weights.map((last, i) => part(`layer_${i + 1}.weight`, last));
  const biases = float.biases.map((bias, i) => part(`layer_${i + 1}.bias`, bias));
  tensors.frozen.forEach((mark, i) => { // these weights are exact in all epochs
    if (mark) weights[0][i] = float.weights[0][i];
  });
  return new FloatNetwork(weights, biases, {});
}

// After the first frame, which shows that the page is loading.
requestAnimationFrame(() => setTimeout(async () => {
  load(readTensors(await unpack($("data").textContent)));
  for (const each of document.querySelectorAll(".bar, main")) each.hidden = false;
  readColors();
  // The order in which the parts are updated: the last of their announcements is heard.
  build([selector(), search, drawing, neurons, panel, images, parameter, curve, effect,
    prediction, connections, tour]);
  useTestImage(0);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColors();
    repaint();
  });
}));
