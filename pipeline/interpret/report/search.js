// Finds a neuron, parameter or pixel by its name, and suggests names for one that does
// not exist. The message appears below the box and does not move the page.

const NAME_PATTERNS = [ // each with a function that returns [layer, neuron, input]
  [/^N([12])(\d+)$/i, (layer, neuron) => [layer, neuron - 1, undefined]],
  [/^layer_([12])(?:\.kernel)?\s*\[\s*(\d+)\s*,\s*(\d+)\s*\]$/i,
    (layer, input, neuron) => [layer, neuron, input]],
  [/^layer_([12])\.bias\s*\[\s*(\d+)\s*\]$/i, (layer, neuron) => [layer, neuron, null]],
  [/^pixel\s*(\d+)$/i, (pixel) => [1, selectedHidden(), pixel]],
  [/^M(\d+)$/i, (term) => [1, selectedHidden(), term - 1]],
  [/^M(\d+) of N1(\d+)$/i, (term, neuron) => [1, neuron - 1, term - 1]], // as inspect
  [/^W(\d+) of N2(\d+)$/i, (term, neuron) => [2, neuron - 1, term - 1]], // prints them
];
const selectedHidden = () => (state.layer === 1 ? state.neuron : 0);

// Select what a name refers to; return what is wrong with the name, or "".
function find(text) {
  const name = text.trim(), label = findClass(name);
  if (label >= 0) { select(2, label); return ""; }
  const [pattern, locate] = NAME_PATTERNS.find(([each]) => each.test(name)) ?? [];
  if (!pattern) return `“${name}” is not the name of a neuron, parameter or pixel, such as ` +
    "N11 or layer_1[300,0].";
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

const findClass = (name) => model.class_names.findIndex((_, label) =>
  classTitle(label).toLowerCase() === name.toLowerCase());

// Up to four existing names: first those with the same numbers (or one less, after the end
// of an array), then those that differ in the fewest letters.
function suggestions(text) {
  const name = text.trim().toLowerCase(), numbers = name.match(/\d+/g)?.map(Number) ?? [];
  const index = (number, count) => (number === count ? count - 1 : number);
  const layers = numbers.length > 1 && [1, 2].includes(numbers[0]) ? [numbers[0]] : [1, 2];
  const names = [];
  if (name.includes("bias") || numbers.length > 1) {
    const parameters = layers.map((layer) => [layer,
      name.includes("bias") ? null : index(numbers.at(-2), network().inputs(layer)),
      index(numbers.at(-1) ?? 0, network().neurons(layer))]);
    names.push(...parameters.filter(([layer, input, neuron]) =>
      input < network().inputs(layer) && neuron < network().neurons(layer))
      .map((parameter) => parameterName(...parameter)));
  } else if (numbers.length && !name.startsWith("n")) {
    names.push(...numbers.filter((number) => number < CLASSES).map(classTitle));
    if (numbers[0] <= PIXELS) names.push(`pixel ${index(numbers[0], PIXELS)}`);
  }
  const neurons = [1, 2].flatMap((layer) =>
    Array.from({ length: network().neurons(layer) }, (_, i) => neuronName(layer, i)));
  const difference = (other) => Math.abs(Number(other.slice(1)) - numbers[0]) || 0;
  const similar = [...neurons, ...model.class_names.map((_, label) => classTitle(label))]
    .map((other) => ({ other, edits: editDistance(name, other.toLowerCase()) }))
    .filter(({ edits }) => edits <= 2)
    .sort((a, b) => a.edits - b.edits || difference(a.other) - difference(b.other));
  return [...new Set([...names, ...similar.map(({ other }) => other)])].slice(0, 4);
}

// How many letters must be inserted, removed or replaced (Levenshtein distance).
function editDistance(from, to) {
  let row = [...Array(to.length + 1).keys()];
  [...from].forEach((letter, i) => {
    row = row.reduce((next, above, j) => [...next, j === 0 ? i + 1
      : Math.min(above + 1, next[j - 1] + 1, row[j - 1] + Number(to[j - 1] !== letter))], []);
  });
  return row.at(-1);
}

function search(name) {
  const problem = find(name);
  $("search-error").hidden = !problem;
  if (!problem) { $("t-sum").focus({ preventScroll: true }); return; }
  const buttons = suggestions(name).map((each) => element("button",
    { type: "button", onclick: () => { $("name").value = each; search(each); } }, each));
  $("search-error").replaceChildren(element("p", {}, problem),
    buttons.length ? element("p", {}, "Did you mean ", ...buttons) : "");
}

onEnter($("name"), $("find"), () => search($("name").value));
$("name").addEventListener("input", () => { $("search-error").hidden = true; });
