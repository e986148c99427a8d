// Finds a neuron, parameter or pixel by its name.

const NAME_PATTERNS = [ // each with a function that returns [layer, neuron, input]
  [/^N([12])(\d+)$/i, (layer, neuron) => [layer, neuron - 1, undefined]],
  [/^layer_([12])(?:\.kernel)?\s*\[\s*(\d+)\s*,\s*(\d+)\s*\]$/i,
    (layer, input, neuron) => [layer, neuron, input]],
  [/^layer_([12])\.bias\s*\[\s*(\d+)\s*\]$/i, (layer, neuron) => [layer, neuron, null]],
  [/^pixel\s*(\d+)$/i, (pixel) => [1, selectedHidden(), pixel]],
  [/^M(\d+)$/i, (term) => [1, selectedHidden(), term - 1]],
];
const selectedHidden = () => (state.layer === 1 ? state.neuron : 0);

// Select what a name means; return what is wrong with the name, or "".
function find(text) {
  const name = text.trim();
  const [pattern, locate] = NAME_PATTERNS.find(([each]) => each.test(name)) ?? [];
  if (!pattern) return `“${name}” is not a name. Examples: N16 (a neuron), ` +
    "layer_1[300,5] (the weight from pixel 300 to N16), layer_1.bias[5], pixel 300.";
  const [layer, neuron, input] = locate(...pattern.exec(name).slice(1).map(Number));
  const neurons = network().neurons(layer), inputs = network().inputs(layer);
  if (neuron < 0 || neuron >= neurons)
    return `Layer ${layer} has the neurons ${neuronName(layer, 0)} to ` +
      `${neuronName(layer, neurons - 1)}, with the indices 0 to ${neurons - 1}.`;
  if (input != null && (input < 0 || input >= inputs))
    return `The inputs of layer ${layer} have the indices 0 to ${inputs - 1}.`;
  select(layer, neuron, input);
  return "";
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const problem = find($("name").value);
  $("search-error").textContent = problem;
  if (!problem) $("t-sum").focus();
});
