// The network in the page: what pipeline/network.py and pipeline/familiar.py compute.

// Read a safetensors file: the length of its header, the header as JSON, the numbers.
function readTensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(new Uint8Array(buffer, 8, length));
  const { __metadata__: metadata, ...entries } = JSON.parse(header);
  const kinds = { F32: Float32Array, F16: Uint16Array, U8: Uint8Array, I8: Int8Array };
  const tensors = {};
  for (const [name, entry] of Object.entries(entries)) {
    const [from, to] = entry.data_offsets.map((offset) => 8 + length + offset);
    const data = new kinds[entry.dtype](buffer.slice(from, to));
    tensors[name] = entry.dtype === "F16" ? Float32Array.from(data, fromHalf) : data;
  }
  return { tensors, about: JSON.parse(metadata.about) };
}

// A number of 16 bits: a sign, 5 bits of exponent, 10 bits of fraction.
function fromHalf(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const PIXELS = 784, CLASSES = 10;
const UNTOUCHED = { on: true, scale: 1, shift: 0 };

// Flatten 28x28 -> layer_1, ReLU -> layer_2, softmax. Weights as PyTorch stores them.
class Network {
  constructor(tensors, hidden, epoch = null) {
    const part = (name, size) => (epoch === null ? tensors[name]
      : tensors[`epochs.${name}`].subarray(epoch * size, (epoch + 1) * size));
    this.hidden = hidden;
    this.kernels = [part("layer_1.weight", hidden * PIXELS),
      part("layer_2.weight", CLASSES * hidden)];
    this.biases = [part("layer_1.bias", hidden), part("layer_2.bias", CLASSES)];
  }

  // Take what another network has where no training changes it: the weights of dark pixels.
  keep(pixels, { kernels: [kernel] }) {
    for (const pixel of pixels)
      for (let place = pixel; place < kernel.length; place += PIXELS)
        this.kernels[0][place] = kernel[place];
  }

  inputs(layer) { return layer === 1 ? PIXELS : this.hidden; }

  neurons(layer) { return layer === 1 ? this.hidden : CLASSES; }

  // The weight from an input to a neuron, or the neuron's bias where input is null.
  weight(layer, input, neuron) {
    if (input === null) return this.biases[layer - 1][neuron];
    return this.kernels[layer - 1][neuron * this.inputs(layer) + input];
  }

  // What each neuron of a layer sums up: weight * input over all inputs, and its bias.
  sums(layer, values) {
    const given = [...values.keys()].filter((input) => values[input]);
    return Float64Array.from({ length: this.neurons(layer) }, (_, neuron) =>
      given.reduce((total, input) =>
        total + this.weight(layer, input, neuron) * values[input],
      this.weight(layer, null, neuron)));
  }

  // Read a picture of grey levels; knobs[neuron] turn what a hidden neuron passes on.
  read(image, knobs = []) {
    const pixels = Float32Array.from(image, (level) => level / 255);
    const hiddenSums = this.sums(1, pixels);
    const hidden = hiddenSums.map((z, n) => turned(Math.max(z, 0), knobs[n]));
    const logits = this.sums(2, hidden);
    return { pixels, hiddenSums, hidden, logits, probabilities: softmax(logits) };
  }
}

function turned(activation, { on, scale, shift } = UNTOUCHED) {
  return on ? scale * activation + shift : 0;
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (z) => Math.exp(z - largest));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

// Whether an answer is to be relied on; the reason why not, or nothing.
function doubt(familiar, { image, count, drawn }, probabilities) {
  if (!image.some(Boolean)) return "blank";
  if (count > 1) return "more than one digit";
  const [first, second] = ranked(probabilities);
  const strange = unexplained(familiar, image, first) > familiar.most_unexplained;
  if (!drawn || strange) {
    return `the image does not look like the ${first}s in the training data`;
  }
  const close = probabilities[first] - probabilities[second] < familiar.least_margin;
  return close ? `close between ${first} and ${second}` : "";
}

// How much of a picture the components of a digit leave unexplained.
function unexplained({ means, components }, image, digit) {
  const squared = (values) => values.reduce((total, v) => total + v * v, 0);
  const size = components.length / CLASSES, mean = means.subarray(digit * PIXELS);
  const rest = Float64Array.from(image, (level, i) => (level - mean[i]) / 255);
  const left = rest.slice();
  for (let row = digit * size; row < (digit + 1) * size; row += PIXELS) {
    const axis = components.subarray(row, row + PIXELS);
    const along = axis.reduce((total, value, i) => total + value * rest[i], 0);
    const share = along / Math.max(squared(axis), 1);
    axis.forEach((value, i) => { left[i] -= share * value; });
  }
  return squared(left) / Math.sqrt(squared(Float64Array.from(image, (v) => v / 255)));
}

const ranked = (values) =>
  [...Array(values.length).keys()].sort((a, b) => values[b] - values[a] || a - b);
