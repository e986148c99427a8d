// Floating-point and integer networks, which compute as in
// pipeline/core/network.py and pipeline/integers/integer_network.py, and provide the
// texts that describe their numbers. The detector checks predictions. This module does
// not change the page.
//
// All networks have this interface, so the rest of the page does not distinguish
// between kinds of networks. A layer is 1 or 2, a neuron is an index, and an input is
// an index or BIAS.
//
//   kind                         float or integer
//   bitWidth, says, sumNames     words: "4 bits", "With 4 bits, the network predicts "
//   hidden, neurons(layer), inputs(layer)       sizes
//   parameter(layer, input, neuron)             a weight or a bias
//   pixel(level), sums(layer, values), activation(total, neuron), logit_unit,
//   classify(image, off)         from gray levels to probabilities, see `Result`
//   format(value, decimals)      a number of the network as text
//   steps(total, neuron)         from a sum to the output: [[text, number], ...]
//   outcome(layer, neuron, total)  the line below a sum: [[text, number as text]], or []
//   columns(logits)              of the softmax table: [[name, [ten texts]], ...]
//   stored(layer, input, neuron) two texts: an integer or "", and the real number
//   explain(layer, neuron, result, inFloat)
//                                the values in the text about a sum in page.html;
//                                `inFloat` is the result of `model.trained` with the
//                                same neurons off
//   evaluated                    the network whose accuracy the page shows: for an
//                                epoch, the final network; for a bit width, itself
//   title                        the name of `evaluated` in a sentence
//   weight_scale, maxOutput       a weight in full color, the length of a full bar
//   legend()                     both in words, and the other end of the scale
//   storedPredictions(off)       predicted classes of test images, from `activations`

import {
  BIAS, CLASSES, MINUS, PIXELS, WHITE, integer, number, plural, ranked, significant,
  sum,
} from "display.js";

// The common base of floating-point and integer networks. Weights are stored as
// in PyTorch, with a row for each neuron.
class TwoLayers {
  constructor(weights, biases, fields) {
    Object.assign(this, { weights, biases, hidden: biases[0].length,
      evaluated: this, ...fields });
  }

  inputs(layer) { return layer === 1 ? PIXELS : this.hidden; }

  neurons(layer) { return layer === 1 ? this.hidden : CLASSES; }

  // The weight from an input to a neuron; the neuron's bias if the input is BIAS.
  parameter(layer, input, neuron) {
    if (input === BIAS) return this.biases[layer - 1][neuron];
    return this.weights[layer - 1][neuron * this.inputs(layer) + input];
  }

  // The weighted sum of each neuron of a layer, including the bias.
  sums(layer, values) {
    const weights = this.weights[layer - 1], size = this.inputs(layer);
    const nonzero = [...values.keys()].filter((input) => values[input]);
    return Float64Array.from(this.biases[layer - 1], (bias, neuron) => {
      let total = bias;
      for (const input of nonzero)
        total += weights[neuron * size + input] * values[input];
      return total;
    });
  }

  // Classify an image of gray levels; the hidden neurons in `off` output 0.
  classify(image, off = new Set()) {
    const pixels = Float64Array.from(image, (level) => this.pixel(level));
    const hiddenSums = this.sums(1, pixels);
    const outputs = hiddenSums.map((total, neuron) =>
      (off.has(neuron) ? 0 : this.activation(total, neuron)));
    const logits = this.sums(2, outputs);
    const realLogits = logits.map((logit) => this.logit_unit * logit);
    // Probabilities can be equal although the logits differ.
    const probabilities = softmax(realLogits), [first, second] = ranked(logits);
    return { pixels, hiddenSums, outputs, logits, realLogits, probabilities, first,
      second };
  }

  // The classes predicted for the test images whose hidden outputs are stored.
  storedPredictions(off = new Set()) {
    const { activations, hidden } = this;
    return Array.from({ length: activations.length / hidden }, (_, row) => {
      const outputs = activations.slice(row * hidden, (row + 1) * hidden);
      for (const neuron of off) outputs[neuron] = 0;
      return ranked(this.sums(2, outputs))[0];
    });
  }
}

export class FloatNetwork extends TwoLayers {
  kind = "float";
  bitWidth = "float";
  says = "The network predicts ";
  sumNames = ["y", "z"]; // the letter of a sum in each layer
  logit_unit = 1;

  pixel(level) { return level / WHITE; }

  activation(total) { return Math.max(total, 0); }

  format(value, decimals) { return number(value, decimals); }

  // The rows from the sum of a hidden neuron to its output.
  steps(total) {
    return [[
      total > 0 ? "ReLU keeps a positive sum" : "ReLU replaces a negative sum with 0",
      Math.max(total, 0)]];
  }

  // How the sum of a neuron continues, as [text, number].
  outcome(layer, neuron, total) {
    return layer === 1 ? [["output = max(0, y) = ", number(Math.max(total, 0))]] : [];
  }

  explain() { return {}; }

  legend() {
    const limit = number(this.weight_scale, 2);
    return { least: `≤ ${MINUS}${limit}`, most: `≥ ${limit}`,
      output: `${number(this.maxOutput, 1)}, the maximum over ` +
        plural(this.activations.length / this.hidden, "test image") };
  }

  // The columns of the softmax table before the powers of e, as [name, cells].
  columns(logits) { return [["z", Array.from(logits, (z) => number(z))]]; }

  // A parameter as it is stored, and the real number that it represents.
  stored(...location) { return ["", number(this.parameter(...location), 6)]; }
}

// 784 gray levels -> sums, shift and clamp -> ten logits. All numbers are integers of
// at most 32 bits, for which `>>` and sums are exact in JavaScript.
export class IntegerNetwork extends TwoLayers {
  kind = "integer";
  sumNames = ["sum", "logit"];
  maxOutput = 255; // a byte, because of the clamp

  constructor(tensors, { report: { bits }, ...numbers }) { // a `BitWidthData`
    const [start, own] = [`${bits}bit.`, {}];
    for (const name of Object.keys(tensors).filter((each) => each.startsWith(start)))
      own[name.slice(start.length)] = tensors[name];
    super([own.weights_1, own.weights_2], [own.biases_1, own.biases_2],
      { ...own, ...numbers, bits });
    this.bitWidth = plural(bits, "bit");
    this.title = `the network with ${this.bitWidth}`;
    this.says = `With ${this.bitWidth}, the network predicts `;
  }

  pixel(level) { return level; }

  // Half of 2^shift, which is added to a sum so that the shift rounds it.
  half(neuron) { return (1 << this.shifts[neuron]) >> 1; }

  // The output of a hidden neuron before the clamp.
  shifted(total, neuron) {
    return (Math.max(total, 0) + this.half(neuron)) >> this.shifts[neuron];
  }

  activation(total, neuron) {
    return Math.min(this.maxOutput, this.shifted(total, neuron));
  }

  format(value) { return number(value, 0); }

  steps(total, neuron) {
    if (total <= 0) return [["ReLU replaces a negative sum with 0", 0]];
    const shift = this.shifts[neuron], half = this.half(neuron);
    const shifted = this.shifted(total, neuron);
    return [
      ["ReLU keeps a positive sum", total],
      ...(half ? [[`+ ${integer(half)}, for rounding`, total + half]] : []),
      [`>> ${shift}: divided by ${integer(2 ** shift)}, rounded down`, shifted],
      [(shifted > this.maxOutput ? "clamp to " : "clamp: at most ") + this.maxOutput,
        this.activation(total, neuron)],
    ];
  }

  outcome(layer, neuron, total) {
    if (layer === 2) return [[`z = ${significant(this.logit_unit, 8)} · logit = `,
      number(this.logit_unit * total)]];
    const output = integer(this.activation(total, neuron));
    if (total <= 0) return [["the sum is not positive, so output = ", output]];
    return [[`output = min(${this.maxOutput}, (${integer(total)} + ${this.half(neuron)}) ` +
      `>> ${this.shifts[neuron]}) = `, output]];
  }

  explain(layer, neuron, { hiddenSums, logits, realLogits }, inFloat) {
    if (layer === 2) return { scale: significant(this.logit_unit, 8),
      logit: integer(logits[neuron]), represented: number(realLogits[neuron]),
      inFloat: number(inFloat.logits[neuron]) };
    const total = hiddenSums[neuron], output = this.activation(total, neuron);
    return { scale: significant(this.scale_1[neuron], 8),
      sum: number(total * this.sum_unit[neuron]), output: integer(output),
      represented: number(output * this.output_unit[neuron]),
      inFloat: number(inFloat.hiddenSums[neuron]) };
  }

  legend() {
    const limit = this.format(this.weight_scale), [below, above] =
      this.weight_scale < this.largest_weight ? ["≤ ", "≥ "] : ["", ""];
    return { least: `${below}${MINUS}${limit}`, most: `${above}${limit}`,
      output: `${this.maxOutput}, the highest value of a byte` };
  }

  columns(logits) {
    return [["logit", Array.from(logits, integer)],
      ["z", Array.from(logits, (logit) => number(this.logit_unit * logit))]];
  }

  stored(...location) {
    return [integer(this.parameter(...location)),
      number(this.realParameter(...location), 6)];
  }

  // The real number of a parameter; `IntegerNetwork` in Python derives the units.
  realParameter(layer, input, neuron) {
    const value = this.parameter(layer, input, neuron);
    if (layer === 1)
      return value * (input === BIAS ? this.sum_unit[neuron] : this.scale_1[neuron]);
    return value * this.logit_unit / (input === BIAS ? 1 : this.output_unit[input]);
  }
}

// Checks predictions, as OodDetector in pipeline/model/ood.py does. The fields are the
// fields of `DetectorData` in page_data.py, `means` and `components`.
export class Detector {
  constructor(fields) { Object.assign(this, fields); }

  // Why a prediction is unsure; "" if it is not. Whether an image looks like the
  // training images is determined for the class that the trained floating-point network
  // predicts. `allOn` is the result of this network with all neurons on.
  reason(image, allOn, { probabilities, first, second } = allOn) {
    if (this.isUnfamiliar(image, allOn.first)) return "unfamiliar";
    const margin = probabilities[first] - probabilities[second];
    return margin < this.min_margin ? "small margin" : "";
  }

  // Whether the components of a class explain too little of an image, or the components
  // of another class explain far more of the image.
  isUnfamiliar(image, label) {
    const limits = this.max_errors;
    const errors = limits.map((_, each) => this.error(image, each));
    return errors[label] > limits[label] || errors.some((error, other) =>
      other !== label && errors[label] > this.max_ratio * error);
  }

  // The reconstruction error of an image from the principal components of a class.
  error(image, label) {
    const { means, components } = this, size = components.length / CLASSES;
    const mean = means.subarray(label * PIXELS);
    const centered = Float64Array.from(image, (level, i) => (level - mean[i]) / WHITE);
    const rest = centered.slice();
    for (let row = label * size; row < (label + 1) * size; row += PIXELS) {
      const axis = components.subarray(row, row + PIXELS);
      const factor = dot(centered, axis) / Math.max(dot(axis, axis), 1);
      for (let i = 0; i < PIXELS; i++) rest[i] -= factor * axis[i];
    }
    const pixels = Float64Array.from(image, (level) => level / WHITE);
    return dot(rest, rest) / Math.sqrt(dot(pixels, pixels));
  }
}

// The dot product of two images. A loop is ten times as fast as `reduce`.
function dot(a, b) {
  let total = 0;
  for (let i = 0; i < PIXELS; i++) total += a[i] * b[i];
  return total;
}

function softmax(logits) {
  const max = Math.max(...logits);
  const powers = Array.from(logits, (z) => Math.exp(z - max));
  return powers.map((power) => power / sum(powers));
}
