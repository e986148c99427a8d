// Starts the page: reads its data, loads the model and builds its parts. A part can
// have a method `build`, which runs once, and a method `update`, which shows the state.

import { connections } from "connections.js";
import { $, readColors } from "display.js";
import { drawing, useTestImage } from "drawing.js";
import { build, load, repaint } from "model.js";
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
