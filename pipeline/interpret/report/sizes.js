// The four arrays of the network: how many parameters each has, and why.

function showSizes() {
  const { hidden, size, noun, plural: classes } = model, neurons = plural(hidden, "neuron");
  const rows = [
    ["layer 1, weights", `${PIXELS}\u00a0×\u00a0${hidden}`, PIXELS * hidden,
      `one from each of ${PIXELS} pixels (${SIDE} × ${SIDE}) to each of ${neurons}`],
    ["layer 1, biases", `${hidden}`, hidden, "one for each neuron"],
    ["layer 2, weights", `${hidden}\u00a0×\u00a0${CLASSES}`, hidden * CLASSES,
      `one from each of ${neurons} to each of ${CLASSES} ${classes}`],
    ["layer 2, biases", `${CLASSES}`, CLASSES, `one for each ${noun}`],
    ["total", "", size, ""],
  ];
  $("sizes-table").replaceChildren(
    tableRow(["array", "shape", "parameters", "why"], "", "th"),
    ...rows.map(([name, shape, count, reason]) =>
      tableRow([name, shape, element("span", { class: "count" }, integer(count)), reason],
        reason ? "" : "total")));
  $("sizes-formula").textContent = `With h neurons in layer 1: ${PIXELS}·h + h + h·${CLASSES} ` +
    `+ ${CLASSES} = ${PIXELS + 1 + CLASSES}·h + ${CLASSES} parameters.`;
}

onLoad(showSizes);
