// The network and the detector, computed as in pipeline/model. Nothing here changes the
// page.

// Read a safetensors file: the length of its header, the header as JSON, the tensors.
function readTensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(new Uint8Array(buffer, 8, length));
  const { __metadata__: metadata, ...entries } = JSON.parse(header);
  const types = { F64: Float64Array, F32: Float32Array, F16: Uint16Array, I32: Int32Array,
    U8: Uint8Array, I8: Int8Array };
  const tensors = {};
  for (const [name, entry] of Object.entries(entries)) {
    const [start, end] = entry.data_offsets.map((offset) => 8 + length + offset);
    const data = new types[entry.dtype](buffer.slice(start, end));
    tensors[name] = entry.dtype === "F16" ? Float32Array.from(data, fromHalf) : data;
  }
  return { tensors, metadata: JSON.parse(metadata.page) };
}

// A float16 has a sign bit, 5 bits of exponent and 10 bits of fraction.
function fromHalf(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const largest = (values) => values.reduce((a, b) => Math.max(a, b), 0);
const NO_INTERVENTION = { on: true, scale: 1, shift: 0 };

// 784 pixels -> layer_1, ReLU -> layer_2, softmax. Weights are stored as in PyTorch.
class Network {
  isInteger = false;
  white = 1; // the value of a white pixel

  constructor(tensors, hidden, epoch = null) {
    const part = (name, size) => (epoch === null ? tensors[name]
      : tensors[`epochs.${name}`].subarray(epoch * size, (epoch + 1) * size));
    this.hidden = hidden;
    this.kernels = [part("layer_1.weight", hidden * PIXELS),
      part("layer_2.weight", CLASSES * hidden)];
    this.biases = [part("layer_1.bias", hidden), part("layer_2.bias", CLASSES)];
  }

  // Copy the marked weights of layer 1 from another network.
  copyWeights(marks, { kernels: [kernel] }) {
    marks.forEach((mark, place) => { if (mark) this.kernels[0][place] = kernel[place]; });
  }

  // The size that 1% of the weights of layer_1 exceed: the full color of a template.
  get largeWeight() {
    this.sizes ??= this.kernels[0].map(Math.abs).sort();
    return this.sizes[Math.floor(0.99 * (this.sizes.length - 1))] || 1;
  }

  inputs(layer) { return layer === 1 ? PIXELS : this.hidden; }

  neurons(layer) { return layer === 1 ? this.hidden : CLASSES; }

  // The weight from an input to a neuron, or the bias of the neuron if input is null.
  parameter(layer, input, neuron) {
    if (input === null) return this.biases[layer - 1][neuron];
    return this.kernels[layer - 1][neuron * this.inputs(layer) + input];
  }

  // The weighted sum of each neuron of a layer, bias included.
  sums(layer, values) {
    const nonzero = [...values.keys()].filter((input) => values[input]);
    return Float64Array.from({ length: this.neurons(layer) }, (_, neuron) =>
      nonzero.reduce((total, input) =>
        total + this.parameter(layer, input, neuron) * values[input],
      this.parameter(layer, null, neuron)));
  }

  // The input for a gray level.
  pixel(level) { return level * this.white / 255; }

  activation(sum) { return Math.max(sum, 0); }

  intervene(activation, neuron, { on, scale, shift } = NO_INTERVENTION) {
    return on ? scale * activation + shift : 0;
  }

  realLogits(logits) { return logits; }

  // Classify an image of gray levels; each intervention changes one hidden neuron.
  classify(image, interventions = []) {
    const pixels = Float32Array.from(image, (level) => this.pixel(level));
    const hiddenSums = this.sums(1, pixels);
    const hidden = hiddenSums.map((z, neuron) =>
      this.intervene(this.activation(z, neuron), neuron, interventions[neuron]));
    const logits = this.sums(2, hidden);
    return { pixels, hiddenSums, hidden, logits,
      probabilities: softmax(this.realLogits(logits)) };
  }
}

function softmax(logits) {
  const max = Math.max(...logits);
  const powers = Array.from(logits, (z) => Math.exp(z - max));
  const total = sum(powers);
  return powers.map((power) => power / total);
}

// Why an answer is unsure, in the order in which predict checks; "" if it is sure.
function doubt(detector, { image, digitCount, drawn }, probabilities) {
  if (!image.some(Boolean)) return "blank";
  if (digitCount > 1) return "several";
  const [first, second] = ranked(probabilities);
  const error = reconstructionError(detector, image, first);
  if (!drawn || error > detector.maxError) return "out of distribution";
  const margin = probabilities[first] - probabilities[second];
  return margin < detector.minMargin ? "close" : "";
}

// How much of an image the principal components of a class do not explain.
function reconstructionError({ means, components }, image, label) {
  const squared = (values) => values.reduce((total, value) => total + value * value, 0);
  const size = components.length / CLASSES, mean = means.subarray(label * PIXELS);
  const centred = Float64Array.from(image, (level, i) => (level - mean[i]) / 255);
  const rest = centred.slice();
  for (let row = label * size; row < (label + 1) * size; row += PIXELS) {
    const axis = components.subarray(row, row + PIXELS);
    const along = axis.reduce((total, value, i) => total + value * centred[i], 0);
    const factor = along / Math.max(squared(axis), 1);
    axis.forEach((value, i) => { rest[i] -= factor * value; });
  }
  return squared(rest) / Math.sqrt(squared(Float64Array.from(image, (v) => v / 255)));
}

const ranked = (values) =>
  [...Array(values.length).keys()].sort((a, b) => values[b] - values[a] || a - b);
