// The network in integers, computed as in pipeline/deploy/integers.py. This script does
// not change the page.

const WHITE = 255; // the highest gray level, and the highest output of a hidden neuron

// 784 gray levels -> sums, shift and clamp -> ten logits. All numbers are integers of at
// most 32 bits; `>>` and sums of them are exact in JavaScript.
class IntegerNetwork extends Network {
  isInteger = true;
  white = WHITE;

  constructor(tensors, { bits, ...rest }) {
    const part = (name) => tensors[`${bits}bit.${name}`];
    super({ "layer_1.weight": part("q1"), "layer_1.bias": part("b1q"),
      "layer_2.weight": part("q2"), "layer_2.bias": part("b2q") }, part("b1q").length);
    Object.assign(this, { bits, ...rest, shift: part("shift"), scale1: part("scale_1"),
      activations: part("activations"), maxOutput: WHITE });
  }

  // The full color of a template: with few bits, the largest weight.
  get largeWeight() {
    return this.bits < 8 ? Math.max(2 ** (this.bits - 1) - 1, 1) : super.largeWeight;
  }

  // Half of 2^shift, which is added to a sum so that the shift rounds it.
  rounding(neuron) { return (1 << this.shift[neuron]) >> 1; }

  // The output of a hidden neuron before the clamp.
  shifted(sum, neuron) {
    return (Math.max(sum, 0) + this.rounding(neuron)) >> this.shift[neuron];
  }

  activation(sum, neuron) { return Math.min(WHITE, this.shifted(sum, neuron)); }

  // An intervention is rounded and clamped, too. Its shift is a real number.
  intervene(activation, neuron, { on, scale, shift } = NO_INTERVENTION) {
    const changed = Math.round(scale * activation + shift / this.outputUnit(neuron));
    return on ? Math.min(WHITE, Math.max(0, changed)) : 0;
  }

  // The real numbers that an output, a sum and a logit of 1 stand for.
  sumUnit(neuron) { return this.scale1[neuron] / WHITE; }

  outputUnit(neuron) { return this.sumUnit(neuron) * 2 ** this.shift[neuron]; }

  realParameter(layer, input, neuron) {
    const unit = layer === 2 ? this.scale_2 / (input === null ? 1 : this.outputUnit(input))
      : input === null ? this.sumUnit(neuron) : this.scale1[neuron];
    return unit * this.parameter(layer, input, neuron);
  }

  realLogits(logits) { return logits.map((logit) => this.scale_2 * logit); }
}
