// The answer, and whether it is sure.

// Whether the answer is sure, in words. Whether an image looks like the training images
// depends neither on the epoch nor on interventions: the detector judges the final answer.
function conclusion(probabilities) {
  const { detector, hasHistory, epochs, last } = model;
  const [first, second] = ranked(probabilities);
  const margin = probabilities[first] - probabilities[second];
  const next = `${capitalised(className(second))} is second (${percent(probabilities[second])}).`;
  if (!detector) return { text: `. ${next} The training images were missing, so ` +
    "this page cannot tell whether the answer is sure." };
  const final = floatNetwork().classify(state.image).probabilities;
  const [finalAnswer] = ranked(final), reason = doubt(detector, state, final);
  const unsure = (text) => ({ text: `, but ${text}.`, isUnsure: true });
  if (reason === "several") return unsure(`there is more than one ${model.noun} on the board`);
  if (reason === "out of distribution")
    return unsure("the image does not look like the " +
      `${first === finalAnswer ? imagesOf(first) : model.plural} it was trained on`);
  if (hasHistory && epochs[state.epoch] === 0)
    return { text: `. ${next} This is a guess: before training, the weights are random.` };
  if (margin < detector.minMargin) return unsure(`${className(second)} is close ` +
    `(${percent(probabilities[second])}): the difference is below ${percent(detector.minMargin)}`);
  if (first !== finalAnswer && network().isInteger && !state.interventions.some(isChanged))
    return unsure(`in floating point, it says ${className(finalAnswer)} ` +
      `(${percent(final[finalAnswer])})`);
  if (first !== finalAnswer) return { text: `. ${next} The unchanged network says ` +
    `${className(finalAnswer)}${state.epoch === last ? "" : ` after epoch ${epochs[last]}`}.` };
  if (state.epoch !== last || state.interventions.some(isChanged))
    return { text: `. ${next}` };
  return { text: `. ${next} The answer is sure: the image looks like the ` +
    `${imagesOf(first)} the network was trained on.` };
}

function showAnswer({ probabilities }, changed) {
  if (!(changed.network || changed.image || changed.interventions)) return;
  const [first] = ranked(probabilities);
  showSource(first);
  const { text, isUnsure } = conclusion(probabilities);
  $("answer").replaceChildren(...(state.image.some(Boolean)
    ? [network().isInteger ? `At ${widthName(state.width)}, the network says `
      : "The network says ", element("strong", {}, className(first)),
      ` (${percent(probabilities[first])})`,
      element("span", { class: isUnsure ? "unsure" : "" }, text)]
    : ["The image is blank: the sums of layer 1 are its biases."]));
  announce($("answer").textContent);
}

onChange(showAnswer);
