// The steps of the tour: the text of each, the elements that it can point at (the largest
// first), and its question.
// All numbers come from the network of this page and the current image.

// A question about a number. `mistakes` pairs typical wrong guesses with explanations.
function numberQuestion(ask, answer, mistakes, { tolerance = 0, unit, hint } = {}) {
  const isNear = (guess, value) => Math.abs(guess - value) <= tolerance + 1e-9;
  const check = (guess) => {
    if (isNear(guess, answer)) return "";
    const mistake = mistakes.find(([value]) => isNear(guess, value) && !isNear(answer, value));
    const direction = guess < answer ? "That is too small." : "That is too large.";
    return mistake ? mistake[1] : `${direction} ${hint}`;
  };
  return { ask, unit, check, isWhole: tolerance === 0 };
}

// A multiple-choice question; `options` are [text, what is wrong with it or ""].
const choiceQuestion = (ask, options) =>
  ({ ask, options, check: (place) => options[place][1] });

const times = (...factors) => factors.map((each) => integer(each)).join(" × ");

// The neuron of the first steps: among the five most active ones for the current image, the
// one with the largest bias. Its pixel: among those that contribute most, the one whose value
// is closest to 0.5. Then all three numbers in m·x + c matter.
function exampleNeuron() {
  const bias = (neuron) => Math.abs(network().parameter(1, null, neuron));
  return ranked(currentResult().hiddenSums).slice(0, 5).reduce((best, neuron) =>
    (bias(neuron) > bias(best) ? neuron : best));
}
function examplePixel(neuron) {
  const { pixels } = currentResult();
  const { listed } = termsOf(1, neuron, pixels, 40);
  return listed.reduce((best, term) =>
    (Math.abs(term.value - 0.5) < Math.abs(best.value - 0.5) ? term : best)).input;
}

function tourSteps() {
  const neuron = exampleNeuron(), name = neuronName(1, neuron);
  return [lineStep(neuron, name), neuronStep(neuron, name), sizesStep(name), layerStep(),
    classesStep(), softmaxStep(), ...(model.hasHistory ? [trainingStep()] : []),
    untrainedStep(neuron)];
}

function lineStep(neuron, name) {
  const pixel = examplePixel(neuron), two = (value) => Number(value.toFixed(2));
  return { id: "line", title: "One weight: y = m·x + c", targets: () => [$("images")],
    enter: () => select(1, neuron, pixel),
    content: () => {
      const m = two(network().parameter(1, pixel, neuron));
      const c = two(network().parameter(1, null, neuron));
      const x = two(currentResult().pixels[pixel]), y = m * x + c;
      const text = (value) => number(value, 2);
      return {
        text: `${name}, neuron ${neuron + 1} of layer 1, has a weight for each pixel. Take ` +
          `pixel ${pixel}, in ${rowAndColumn(pixel)}. Its value is x = ${text(x)}, between 0 ` +
          `(black) and 1 (white). Its weight is m = ${text(m)}. The bias of the neuron is ` +
          `c = ${text(c)}.`,
        question: numberQuestion("What is y = m·x + c, to one decimal place?", y, [
          [m * x, `That is m·x. The bias c = ${text(c)} is missing.`],
          [m + c, `That is m + c. First multiply m by x = ${text(x)}.`],
          [m + x + c, "m and x are multiplied, not added."],
          [m * (x + c), "Multiply m by x alone. Then add c."],
          [m * x - c, "The bias c is added, not subtracted."],
        ], { tolerance: 0.06, hint: "Multiply m by x, then add c." }),
        answer: `${text(m)} × ${text(x)} ${c < 0 ? MINUS : "+"} ${text(Math.abs(c))} = ` +
          `${text(y)}. This is a straight line: the slope m determines how much the pixel ` +
          "counts, and c is the result for a black pixel.",
      };
    } };
}

function neuronStep(neuron, name) {
  return { id: "neuron", title: `One neuron: a line with ${PIXELS} slopes`,
    targets: () => [$("equation")],
    enter: () => select(1, neuron),
    content: () => {
      const { pixels, hiddenSums } = currentResult();
      const nonzero = pixels.filter(Boolean).length;
      return {
        text: `${name} multiplies every pixel by its weight, adds up the products and adds a ` +
          `bias: y = M1·X1 + M2·X2 + … + M${PIXELS}·X${PIXELS} + C. For this image, ` +
          `y = ${number(hiddenSums[neuron], 2)}. The weights and the bias are the ` +
          "parameters of the neuron.",
        question: numberQuestion(`How many parameters does ${name} have?`, PIXELS + 1, [
          [PIXELS, "These are its weights, one for each pixel. What else is in the sum?"],
          [SIDE, `The image is ${SIDE} pixels wide and ${SIDE} high. Each pixel has a weight.`],
          [2, "A line has two, m and c. This neuron has a slope for each pixel."],
          [1, `One weight belongs to one pixel. The image has ${times(SIDE, SIDE)} pixels.`],
          [PIXELS + 2, "The sum has one bias, not two."],
          [nonzero, `${nonzero} pixels are not black in this image. The others have weights too.`],
          [PIXELS * model.hidden, `That is all of layer 1. Count only ${name}.`],
          [model.size, `That is the whole network. Count only ${name}.`],
        ], { hint: `The image has ${times(SIDE, SIDE)} pixels. Count one weight for each, ` +
          "and the number that is added at the end." }),
        answer: `${times(SIDE, SIDE)} = ${PIXELS} weights, one for each pixel, and one ` +
          `bias: ${PIXELS + 1} parameters.`,
      };
    } };
}

function sizesStep(name) {
  const { hidden, size } = model, weights = PIXELS * hidden;
  const neurons = plural(hidden, "neuron"), single = hidden === 1;
  return { id: "sizes", title: "How many weights, and why",
    targets: () => [$("sizes-table"), $("sizes-table").rows[1]],
    content: () => ({
      text: `Layer 1 has ${neurons}${single ? "" : ` like ${name}`}. Layer 2 has ten, one ` +
        `for each ${model.noun}. Every neuron of a layer is connected to every input.`,
      question: numberQuestion("How many weights does layer 1 have, without the biases?", weights, [
        [PIXELS, `That is one neuron. Layer 1 has ${neurons}.`],
        [PIXELS + 1, `That is one neuron with its bias. Layer 1 has ${neurons}.`],
        [weights + hidden, `That includes ${integer(hidden)} ${single ? "bias" : "biases"}. ` +
          "Count only the weights."],
        [hidden, `Layer 1 has ${neurons}. Each of them has ${PIXELS} weights.`],
        [PIXELS * CLASSES, `${times(PIXELS, CLASSES)} weights would connect the pixels to ` +
          `the ${model.plural}. The pixels are connected to ${neurons}.`],
        [hidden * CLASSES, `These are the weights of layer 2: ${times(hidden, CLASSES)}.`],
        [SIDE * hidden, `${SIDE} is the width of the image. It has ${times(SIDE, SIDE)} ` +
          "pixels."],
        [PIXELS + hidden, "Each pixel is connected to each neuron: multiply."],
        [size, "That is the whole network: both layers, with biases."],
      ], { hint: `Each neuron is connected to ${PIXELS} pixels, and layer 1 has ${neurons}.` }),
      answer: `Layer 1: ${PIXELS} pixels × ${neurons} = ${integer(weights)} weights, and a ` +
        `bias for each neuron: ${integer(hidden)}.\nLayer 2: ${neurons} × ${CLASSES} ` +
        `${model.plural} = ${integer(hidden * CLASSES)} weights, and a bias for each ` +
        `${model.noun}: ${CLASSES}.\nTotal: ${integer(size)} parameters.`,
    }) };
}

function layerStep() {
  const lowest = () => ranked(currentResult().hiddenSums).at(-1);
  const { hidden: neurons } = model;
  const count = neurons === 1 ? "One neuron looks" : `${integer(neurons)} neurons look`;
  return { id: "layer", title: `${count} at the same image`,
    targets: () => [$("neurons"), tiles[lowest()].button],
    content: () => {
      const { hiddenSums, hidden } = currentResult();
      const z = hiddenSums[lowest()];
      const active = hidden.filter((value) => value > 0).length;
      const sum = number(z, 2);
      const text = "Each tile shows the weights of a neuron as an image. A white pixel " +
        "increases the sum if its weight is blue, and decreases it if its weight is red.";
      const answer = "The activation function ReLU keeps a positive sum and turns a " +
        `negative one into 0. For this image, ${active} of ` +
        `${plural(model.hidden, "neuron")} ${active === 1 ? "is" : "are"} active.`;
      if (z >= 0) return { text, answer };
      return { text, answer, question: choiceQuestion(
        `For this image, the sum of ${neuronName(1, lowest())} is ${sum}. What is its output?`,
        [[sum, "No neuron of layer 1 has a negative output."],
          [number(-z, 2), "The output is not the absolute value. A negative sum means that " +
            "the image does not match the pattern of this neuron."],
          ["0", ""]]) };
    } };
}

function classesStep() {
  const { hidden } = model, inputs = plural(hidden, "output");
  const label = ranked(currentResult().probabilities)[0], name = neuronName(2, label);
  return { id: "classes", title: `Ten neurons for ten ${model.plural}`,
    targets: () => [$("outputs"), outputs[label].button],
    enter: () => select(2, label),
    content: () => ({
      text: "Layer 2 does not see the pixels. Each of its neurons multiplies the " +
        `${inputs} of layer 1 by its own weights and adds a bias. ${name}, neuron ` +
        `${label + 1} of layer 2, computes the score of ${classTitle(label)}: ` +
        `${number(currentResult().logits[label], 2)}.` +
        ($("show-connections").checked ? " Each line stands for a weight times an output." : ""),
      question: numberQuestion(`How many weights does ${name} have, without the bias?`, hidden, [
        [PIXELS, `${name} does not see the pixels. Its inputs are the neurons of layer 1.`],
        [CLASSES, `Ten is the number of neurons in layer 2. Count the inputs of ${name}.`],
        [hidden + 1, "That includes the bias. Leave it out."],
        [hidden * CLASSES, `That is all of layer 2. Count only ${name}.`],
        [PIXELS * hidden, `These are the weights of layer 1. Count those of ${name}.`],
        [1, "There is one weight for each input."],
      ], { hint: "Its inputs are the outputs of layer 1: one weight for each." }),
      answer: `${integer(hidden)}: one for each neuron of layer 1. The ten neurons together ` +
        `have ${times(hidden, CLASSES)} = ${integer(hidden * CLASSES)} weights and ` +
        `${CLASSES} biases.`,
    }) };
}

function softmaxStep() {
  const label = ranked(currentResult().probabilities)[0];
  return { id: "softmax", title: "Softmax: from scores to probabilities",
    targets: () => [$("softmax"), document.querySelector("#softmax .total")],
    enter: () => select(2, label),
    content: () => {
      const { logits, probabilities } = currentResult(), [first, second] = ranked(probabilities);
      const same = "Each e^z is then multiplied by e, and so is their sum.";
      const ahead = logits[first] - logits[second];
      return {
        text: "A score z can be any number. Softmax turns the ten scores into " +
          "probabilities: e^z divided by the sum of all ten e^z. Here, " +
          `${classTitle(first)} gets ${percent(probabilities[first])}.`,
        question: choiceQuestion("Add 1 to all ten scores. What happens to this probability?",
          [["It grows", same], ["It stays the same", ""], ["It shrinks", same]]),
        answer: "It stays the same: all ten e^z are multiplied by e, so their ratios do not " +
          "change. Only the differences between the scores matter. The score of " +
          `${className(first)} is ${number(ahead, 2)} higher than that of ` +
          `${className(second)}, so ${className(first)} is e^${number(ahead, 2)} ≈ ` +
          `${significant(Math.exp(ahead), 2)} times as probable.`,
      };
    } };
}

function trainingStep() {
  let before;
  const { validation_accuracy: accuracies, last, epochs } = model;
  const [first, final] = [100 * accuracies[0], 100 * accuracies[last]];
  const rounds = epochs[last] > 1 ? ` in each of ${epochs[last]} epochs` : "";
  const images = integer(model.validation_images), chance = 100 / CLASSES;
  return { id: "training", title: "How the numbers were learned",
    targets: () => [document.querySelector(".epochs")],
    scene: () => $("neurons"), // which show what changes
    enter: () => { before = state.epoch; },
    leave: () => {
      setPlaying(null);
      setEpoch(before);
    },
    solved: () => setEpoch(0),
    content: () => ({
      text: "Nobody chose these numbers. Training starts with small random weights, uses " +
        `${integer(model.training_images)} images${rounds}, and changes ` +
        "the weights slightly after every few images to reduce the loss.",
      question: numberQuestion(
        `What percentage of the ${images} validation images does the network classify ` +
          "correctly before training?",
        Math.abs(first - chance) <= 5 ? chance : first, [
          [0, `Even random answers are sometimes right: there are only ten ${model.plural}.`],
          [50, `50% would be a coin toss between two classes. There are ten ${model.plural}.`],
          [100, "That would be perfect. Before training, the weights are random."],
          [final, "That is the result after training. Before it, the weights are random."],
        ], { tolerance: 5, unit: "%",
          hint: `Before training, the network guesses among ten ${model.plural}.` }),
      answer: `${number(first, 2)}%, about as good as guessing among ten ${model.plural}. ` +
        "The page now shows the network before training. Press ▶ or move the slider: " +
        `noise turns into patterns, and the accuracy rises to ${number(final, 2)}%.`,
    }) };
}

function untrainedStep(neuron) {
  const { alwaysZero, hidden, tensors } = model, pixels = alwaysZero.size;
  const images = plural(model.training_images, "training image");
  const others = sum(tensors.frozen) - pixels * hidden;
  const unchanged = others ? `${pixels ? " Another" : ""} ${plural(others, "weight")} never ` +
    "changed: whenever the pixel of such a weight was above 0, the output of its neuron was 0, " +
    "or the " +
    "answer was already so certain that the gradient was rounded to 0." : "";
  const rarest = tensors.nonzero_rate.indexOf(Math.min(...tensors.nonzero_rate));
  const end = ` That was the tour. Now ${model.drawable ? `draw a ${model.noun}` :
    "choose another image"}, switch a neuron off, or look up any number by its name.`;
  return { id: "untrained", title: "What was never learned",
    targets: () => [neuronImages[0]],
    enter: () => select(1, neuron, rarest),
    content: () => (pixels === 0 ? {
      text: `Each pixel is above 0 in some of the ${images}, so training could change ` +
        `every weight. Pixel ${rarest} is above 0 in the fewest images: ` +
        `${integer(nonzeroImages(rarest))}. Its weights changed little.`,
      answer: `${unchanged}${end}`.trim(),
    } : {
      text: `${plural(pixels, "pixel")} ${pixels === 1 ? "is" : "are"} black in all ` +
        `${images}; here, ${pixels === 1 ? "its weight is" : "their weights are"} hatched. ` +
        "A weight times 0 is 0, so such a weight has no effect on the loss, and training " +
        "does not change it.",
      question: numberQuestion("How many weights belong to these pixels?", pixels * hidden, [
        [pixels, `These are the pixels. Each is connected to ${plural(hidden, "neuron")}.`],
        [0, "Look at the hatched pixels: their weights did not change."],
        [pixels * CLASSES, `Pixels are connected to the ${plural(hidden, "neuron")} of layer 1, ` +
          `not to the ten ${model.plural}.`],
        [PIXELS, "Most pixels are above 0 in some image. Count only those that are black in all images."],
        [PIXELS * hidden, "That is all of layer 1. Most of these weights were trained."],
        [pixels + hidden, "Each of these pixels is connected to each neuron: multiply."],
      ], { hint: `There are ${plural(pixels, "such pixel")}, each connected ` +
        `to ${plural(hidden, "neuron")}.` }),
      answer: `${pixels} × ${integer(hidden)} = ${integer(pixels * hidden)} weights still ` +
        `have their initial random values, bit for bit.${unchanged}${end}`,
    }) };
}
