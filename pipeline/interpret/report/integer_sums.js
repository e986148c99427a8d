// The panel of a neuron in integers: the steps after its sum, and the real numbers that the
// integers stand for.

// The steps from the sum of a hidden neuron to its output, as rows of the table of terms.
function integerSteps(total, neuron) {
  if (total <= 0) return [];
  const each = network(), n = each.shift[neuron], half = each.rounding(neuron);
  const shifted = each.shifted(total, neuron);
  return [
    ...(half ? [[`+ ${integer(half)}, for rounding`, total + half]] : []),
    [`>> ${n}: divided by ${integer(2 ** n)}, rounded down`, shifted],
    [shifted > WHITE ? `clamp to ${WHITE}` : `clamp: at most ${WHITE}`,
      each.activation(total, neuron)],
  ].map(([name, value]) => tableRow([name, "", "", integer(value)]));
}

function integerOutput(total, neuron) {
  const each = network(), output = bold(integer(each.activation(total, neuron)));
  if (total <= 0) return ["output = ", output, ", because the sum is not positive"];
  return [`output = min(${WHITE}, (${integer(total)} + ${each.rounding(neuron)}) >> ` +
    `${each.shift[neuron]}) = `, output];
}

const integerScore = (logit) => [`z = ${significant(network().scale_2, 4)} · logit = `,
  bold(number(network().scale_2 * logit)), element("br")];

function explainIntegers(layer, neuron, { hiddenSums, logits }) {
  const each = network(), name = neuronName(layer, neuron);
  const float = floatNetwork().classify(state.image, state.interventions);
  if (layer === 2) return `Each term is the output of a neuron of layer 1 times its weight in ` +
    `${name}. A logit of 1 stands for ${significant(each.scale_2, 4)}, the scale of layer 2: ` +
    `${quantity(logits[neuron])} stands for z = ${number(each.scale_2 * logits[neuron])}. ` +
    `In floating point, z is ${number(float.logits[neuron])}.`;
  const total = hiddenSums[neuron], output = each.activation(total, neuron);
  return `A weight of 1 stands for ${significant(each.scale1[neuron], 4)}, the scale of ${name}, ` +
    `and a gray level of ${WHITE} for 1. So the sum stands for ` +
    `${number(total * each.sumUnit(neuron))}, and the output ${integer(output)} for ` +
    `${number(output * each.outputUnit(neuron))}. In floating point, the sum is ` +
    `${number(float.hiddenSums[neuron])}.`;
}

// A parameter at all widths: its integers, and the real numbers that they stand for.
function valuesTable(layer, input, neuron) {
  const table = element("table", { id: "values" },
    tableRow(["", "stored", "stands for"], "", "th"));
  for (const width of widths()) {
    const each = networkOf(width), value = each.parameter(layer, input, neuron);
    const row = tableRow([widthName(width), each.isInteger ? number(value, 0) : "",
      number(each.isInteger ? each.realParameter(layer, input, neuron) : value)]);
    row.setAttribute("aria-current", width === state.width);
    table.append(row);
  }
  return table;
}

const realText = (...place) => {
  const value = network().realParameter(...place);
  return value === 0 ? "0" : number(value, 6);
};

function describeValue(layer, input, neuron) {
  const value = floatNetwork().parameter(layer, input, neuron);
  const start = `In floating point, its value is ${number(value, 6)}.`;
  if (!network().isInteger) return start;
  return `${start} At ${widthName(state.width)}, it is ` +
    `${quantity(network().parameter(layer, input, neuron))}, which stands for ` +
    `${realText(layer, input, neuron)}.`;
}
