// Networks in floating point and in integers: they compute as in
// pipeline/core/network.py and pipeline/integers/integer_network.py, and describe their
// numbers in words. Nothing here changes the page.
//
// All networks have this interface, so the rest of the page does not ask which one it
// displays. A layer is 1 or 2, a neuron an index, an input an index or BIAS.
//
//   bitWidth, says, sumNames     words: "4 bits", "With 4 bits, the network predicts "
//   hidden, neurons(layer), inputs(layer)       sizes
//   parameter(layer, input, neuron)             a weight or a bias
//   pixel(level), sums(layer, values), activation(total, neuron), realLogits(logits),
//   classify(image, off)         from gray levels to probabilities, see `Result`
//   format(value, decimals)      a number of the network as text
//   steps(total, neuron), outcome(layer, neuron, total), columns(logits),
//   explain(layer, neuron, result, exact), stored(layer, input, neuron)
//                                how the numbers follow from each other, in words
//   final                        the network after the last epoch that computes with the
//                                same numbers; what follows is about this one
//   title                        its name in a sentence
//   weight_scale, maxOutput      a weight in full color, the length of a full bar
//   legend()                     both in words
//   storedPredictions(off)       its classes for test images, from `activations`

import {
  BIAS, CLASSES, MINUS, PIXELS, WHITE, integer, neuronName, number, plural, ranked,
  significant, sum,
} from "display.js";

// What both have in common. Weights are stored as in PyTorch, a row for each neuron.
class TwoLayers {
  constructor(weights, biases, fields) {
    Object.assign(this, { weights, biases, hidden: biases[0].length, final: this,
      ...fields });
  }

  inputs(layer) { return layer === 1 ? PIXELS : this.hidden; }

  neurons(layer) { return layer === 1 ? this.hidden : CLASSES; }

  // The weight from an input to a neuron; its bias if the input is BIAS.
  parameter(layer, input, neuron) {
    if (input === BIAS) return this.biases[layer - 1][neuron];
    return this.weights[layer - 1][neuron * this.inputs(layer) + input];
  }

  // The weighted sum of each neuron of a layer, bias included.
  sums(layer, values) {
    const nonzero = [...values.keys()].filter((input) => values[input]);
    return Float64Array.from({ length: this.neurons(layer) }, (_, neuron) =>
      nonzero.reduce((total, input) =>
        total + this.parameter(layer, input, neuron) * values[input],
      this.parameter(layer, BIAS, neuron)));
  }

  // Classify an image of gray levels; the hidden neurons in `off` output 0.
  classify(image, off = new Set()) {
    const pixels = Float32Array.from(image, (level) => this.pixel(level));
    const hiddenSums = this.sums(1, pixels);
    const hidden = hiddenSums.map((total, neuron) =>
      (off.has(neuron) ? 0 : this.activation(total, neuron)));
    const logits = this.sums(2, hidden), realLogits = this.realLogits(logits);
    return { pixels, hiddenSums, hidden, logits, realLogits,
      probabilities: softmax(realLogits) };
  }

  // The classes predicted for the test images whose hidden outputs are stored.
  storedPredictions(off = new Set()) {
    const { activations, hidden, final } = this;
    return Array.from({ length: activations.length / hidden }, (_, row) => {
      const outputs = activations.slice(row * hidden, (row + 1) * hidden);
      for (const neuron of off) outputs[neuron] = 0;
      return ranked(final.sums(2, outputs))[0];
    });
  }
}

export class FloatNetwork extends TwoLayers {
  bitWidth = "float";
  says = "The network predicts ";
  sumNames = ["y", "z"]; // the letter of a sum in each layer

  pixel(level) { return level / WHITE; }

  activation(total) { return Math.max(total, 0); }

  realLogits(logits) { return logits; }

  format(value, decimals) { return number(value, decimals); }

  // The rows from the sum of a hidden neuron to its output.
  steps(total) {
    return [[total > 0 ? "ReLU keeps a positive sum" : "ReLU sets it to 0",
      Math.max(total, 0)]];
  }

  // How the sum of a neuron continues, as [text, number].
  outcome(layer, neuron, total) {
    return layer === 1 ? [["output = max(0, y) = ", number(Math.max(total, 0))]] : [];
  }

  explain(layer, neuron) {
    if (layer === 1) return `This is y = m·x + c with ${PIXELS} inputs and ${PIXELS} ` +
      "weights. M1 and X1 belong to pixel 0, because array indices start at 0.";
    return "Each term is the output of a neuron of layer 1 times its weight in " +
      `${neuronName(2, neuron)}. Softmax turns the ten sums into probabilities: each ` +
      "e^z is divided by the sum of all ten.";
  }

  // The colors at both ends of the scale, and the length of a full bar.
  legend() {
    const limit = number(this.weight_scale, 2);
    return { weights: [`≤ ${MINUS}${limit}`, `≥ ${limit}`],
      output: `${number(this.maxOutput, 1)}, the maximum of ` +
        plural(this.activations.length / this.hidden, "test image") };
  }

  // The columns of the softmax table before the powers of e, as [name, cells].
  columns(logits) { return [["z", Array.from(logits, (z) => number(z))]]; }

  // A parameter as it is stored, and the real number that it represents.
  stored(...location) { return ["", number(this.parameter(...location), 6)]; }
}

// 784 gray levels -> sums, shift and clamp -> ten logits. All numbers are integers of
// at most 32 bits; `>>` and sums of them are exact in JavaScript.
export class IntegerNetwork extends TwoLayers {
  sumNames = ["sum", "logit"];
  maxOutput = WHITE; // because of the clamp

  constructor(tensors, { report: { bits }, ...rest }) {
    const [start, own] = [`${bits}bit.`, {}];
    for (const name of Object.keys(tensors).filter((each) => each.startsWith(start)))
      own[name.slice(start.length)] = tensors[name];
    const { weights_1, weights_2, biases_1, biases_2, ...others } = own;
    super([weights_1, weights_2], [biases_1, biases_2], { bits, ...rest, ...others });
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

  activation(total, neuron) { return Math.min(WHITE, this.shifted(total, neuron)); }

  realLogits(logits) { return logits.map((logit) => this.scale_2 * logit); }

  format(value) { return number(value, 0); }

  steps(total, neuron) {
    if (total <= 0) return [["ReLU sets it to 0", 0]];
    const shift = this.shifts[neuron], half = this.half(neuron);
    const shifted = this.shifted(total, neuron);
    return [
      ["ReLU keeps a positive sum", total],
      ...(half ? [[`+ ${integer(half)}, for rounding`, total + half]] : []),
      [`>> ${shift}: divided by ${integer(2 ** shift)}, rounded down`, shifted],
      [shifted > WHITE ? `clamp to ${WHITE}` : `clamp: at most ${WHITE}`,
        this.activation(total, neuron)],
    ];
  }

  outcome(layer, neuron, total) {
    if (layer === 2) return [[`z = ${significant(this.scale_2, 4)} · logit = `,
      number(this.scale_2 * total)]];
    const output = integer(this.activation(total, neuron));
    if (total <= 0) return [["the sum is not positive, so output = ", output]];
    return [[`output = min(${WHITE}, (${integer(total)} + ${this.half(neuron)}) ` +
      `>> ${this.shifts[neuron]}) = `, output]];
  }

  // `exact` is what the network in floating point returns for the same image.
  explain(layer, neuron, { hiddenSums, logits, realLogits }, exact) {
    const name = neuronName(layer, neuron);
    if (layer === 2) return "Each term is the output of a neuron of layer 1 times " +
      `its weight in ${name}. A logit of 1 represents ` +
      `${significant(this.scale_2, 4)}, the scale of layer 2: ` +
      `${integer(logits[neuron])} represents ` +
      `z = ${number(realLogits[neuron])}. In floating point, z is ` +
      `${number(exact.logits[neuron])}.`;
    const total = hiddenSums[neuron], output = this.activation(total, neuron);
    return `A weight of 1 represents ${significant(this.scale_1[neuron], 4)}, the ` +
      `scale of ${name}, and a gray level of ${WHITE} represents 1. So the sum represents ` +
      `${number(total * this.sum_unit[neuron])}, and the output ${integer(output)} ` +
      `represents ${number(output * this.output_unit[neuron])}. In floating point, the sum ` +
      `is ${number(exact.hiddenSums[neuron])}.`;
  }

  legend() {
    const limit = this.format(this.weight_scale), [below, above] =
      this.bits < 8 ? ["", ""] : ["≤ ", "≥ "];
    return { weights: [`${below}${MINUS}${limit}`, `${above}${limit}`],
      output: `${WHITE}, the highest value of a byte` };
  }

  columns(logits) {
    return [["logit", Array.from(logits, integer)],
      ["z", Array.from(this.realLogits(logits), (z) => number(z))]];
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
    return value * this.scale_2 / (input === BIAS ? 1 : this.output_unit[input]);
  }
}

function softmax(logits) {
  const max = Math.max(...logits);
  const powers = Array.from(logits, (z) => Math.exp(z - max));
  const total = sum(powers);
  return powers.map((power) => power / total);
}
