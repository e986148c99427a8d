// The switch between the network in floating point and the networks in integers, and their
// comparison. A page without integers does not contain this script.

const widthName = (bits) => (bits === null ? "float" : plural(bits, "bit"));
const widths = () => [null, ...model.widths.map(({ bits }) => bits)];
const networkOf = (width) => model.integers[width] ?? floatNetwork();

const switches = new Map(); // the label of each width, and where it shows the answer
function buildWidths() {
  for (const each of model.widths)
    model.integers[each.bits] = new IntegerNetwork(model.tensors, each);
  for (const width of widths()) {
    const answer = element("span"), name = widthName(width);
    const input = element("input", { type: "radio", name: "width", value: name,
      onchange: () => setWidth(width) });
    const label = element("label", {}, input, element("b", {}, name), answer);
    switches.set(width, { label, input, answer });
    $("widths").append(label);
  }
}

// The tour is about the network in floating point.
function setWidth(width) {
  const isTouring = tour.place !== null;
  if (isTouring) leaveTour();
  state.width = width;
  show();
  if (isTouring) switches.get(width).input.focus({ preventScroll: true });
}

function showWidths(result, changed) {
  const answerOf = (width) => {
    const { probabilities } = width === state.width ? result
      : networkOf(width).classify(state.image, state.interventions);
    const [first] = ranked(probabilities);
    return { first, name: className(first), share: percent(probabilities[first]) };
  };
  const answers = new Map(widths().map((width) => [width, answerOf(width)]));
  for (const [width, { label, input, answer }] of switches) {
    const { first, name, share } = answers.get(width);
    input.checked = width === state.width;
    answer.replaceChildren(element("strong", {}, name), isShort(first) ? ` ${share}` : "");
    label.title = input.ariaLabel = `${widthName(width)}: ${name}, ${share}`;
    label.classList.toggle("differs", first !== answers.get(null).first);
  }
  $("intervention-text").hidden = !network().isInteger;
  if (changed.width) showTable();
}

// The possible weights of layer 1.
const WEIGHTS = { 8: `${MINUS}127 to 127`, 4: `${MINUS}7 to 7`, 2: `${MINUS}1, 0 and 1`,
  1: `${MINUS}1 and 1` };

function showTable() {
  const { widths: all, float, test_images: images } = model;
  const row = (width, { table_bytes: bytes, accuracy, same_answers: same }) => {
    const cells = tableRow([widthName(width), WEIGHTS[width] ?? "32-bit floats",
      `${integer(bytes)}\u00a0B`, percent(accuracy, 2), same ? percent(same, 2) : "–"]);
    cells.setAttribute("aria-current", width === state.width);
    return cells;
  };
  $("widths-table").replaceChildren(
    tableRow(["width", "weights of layer 1", "tables in flash", "accuracy",
      "same answer as float"], "", "th"),
    row(null, float), ...all.map((each) => row(each.bits, each)));
  const stored = answersToStored(network()), expected = answersToStored(floatNetwork());
  const changed = stored.filter((answer, place) => answer !== expected[place]).length;
  $("widths-text").textContent = "Accuracy and same answers are measured on all " +
    `${plural(images, "test image")}.` + (network().isInteger ?
    ` Of the ${integer(stored.length)} on this page, ${integer(changed)} ` +
    `${changed === 1 ? "gets" : "get"} a different answer at ${widthName(state.width)} than ` +
    "in floating point." : "");
  const tuned = all.filter((each) => each.finetuning_epochs);
  const counts = [...new Set(tuned.map((each) => each.finetuning_epochs))];
  const epochs = counts.map((count) => plural(count, "more epoch")).join(" or ");
  $("finetuning-text").textContent = tuned.length ? "At " +
    `${listOf(tuned.map(({ bits }) => String(bits)))} bits, the network was trained for ` +
    `${epochs} with rounded weights (fine-tuning), so the integers differ from ` +
    "the weights in floating point by more than the rounding error." : "";
}
const listOf = (texts) => texts.join(", ").replace(/, ([^,]*)$/, " and $1");

// The answers of a network to the test images whose hidden outputs are on the page.
function answersToStored(each) {
  return each.storedAnswers ??= Array.from(model.tensors.labels, (_, row) => ranked(each.sums(2,
    each.activations.subarray(row * each.hidden, (row + 1) * each.hidden)))[0]);
}

onLoad(buildWidths);
onChange(showWidths);
