// Selects the network: the network of an epoch, with the slider or a learning curve, or
// the network of a bit width on the bit-width page.

import {
  $, element, fillTemplate, integer, number, percent, plural, positionOn,
  probabilityText, ranked,
} from "display.js";
import { change, className, isShort, model, network, state } from "model.js";

const EPOCH_MS = 700; // time per epoch while training is played

let playing = null; // the timer, while training is played

// Show one epoch after the other, from the selected epoch or from the first.
function play() {
  const { trainedIndex: last } = model;
  if (state.networkIndex === last) change({ networkIndex: 0 });
  playing = setInterval(() => change({ networkIndex: state.networkIndex + 1 }),
    EPOCH_MS);
  $("play").setAttribute("aria-pressed", "true");
}

function stopPlaying() {
  clearInterval(playing);
  playing = null;
  $("play").setAttribute("aria-pressed", "false");
}

const canSelectEpoch = () => model.hasEarlierEpochs && !state.isEpochFixed;

export const epochs = {
  build() {
    $("epoch").addEventListener("input", () => {
      stopPlaying();
      change({ networkIndex: Number($("epoch").value) });
    });
    $("play").addEventListener("click", () => (playing ? stopPlaying() : play()));
  },

  update() {
    const { trainedIndex: last, hasEarlierEpochs } = model;
    if (state.networkIndex === last || state.isEpochFixed) stopPlaying();
    for (const id of ["play", "epoch"]) $(id).disabled = !canSelectEpoch();
    const epoch = model.epochs[state.networkIndex];
    const name = !hasEarlierEpochs ? "Final network"
      : epoch ? `After epoch ${epoch} of ${model.epochs[last]}` : "Before training";
    const accuracy = percent(model.validation_accuracy[state.networkIndex], 2);
    const about = state.off.size ? "all neurons on"
      : plural(model.validation_images, "image");
    $("epoch-text").textContent = `${name}: validation accuracy ${accuracy} (${about})`;
    $("epoch").value = state.networkIndex;
    $("epoch").setAttribute("aria-valuetext", `epoch ${epoch}`);
  },
};

export const bitWidths = {
  build() {
    $("bit-widths").querySelectorAll("input").forEach((input, index) =>
      input.addEventListener("change", () => change({ networkIndex: index })));
  },

  update(_, changed) {
    const results = model.networks.map((each) =>
      each.classify(state.shown.image, state.off));
    $("bit-widths").querySelectorAll("label").forEach((label, index) => {
      const [input, , prediction] = label.children;
      const { probabilities, first } = results[index], name = className(first);
      const share = probabilityText(probabilities[first]);
      input.checked = index === state.networkIndex;
      prediction.replaceChildren(element("strong", {}, name),
        isShort(first) ? ` ${share}` : "");
      label.title = `${model.networks[index].bitWidth}: ${name}, ${share}`;
      input.ariaLabel = label.title;
      label.classList.toggle("differs", first !== results[0].first);
    });
    if (changed.evaluated) showTable();
  },
};

// Mark the bit width in the table, and count the predictions that it changes.
function showTable() {
  [...$("bit-widths-table").rows].forEach((row, index) =>
    row.setAttribute("aria-current", index - 1 === state.networkIndex));
  const [now, expected] = [network(), model.trained].map((each) =>
    each.evaluated.storedPredictions());
  const changed = now.filter((label, row) => label !== expected[row]).length;
  $("bit-widths-text").textContent = network() === model.trained ? ""
    : fillTemplate("changed-predictions", { total: integer(now.length),
      changed: integer(changed), gets: changed === 1 ? "gets" : "get",
      bitWidth: network().bitWidth });
}

// The learning curves, with a cursor at the selected epoch and the values of this
// epoch. A click selects an epoch, as the slider does.
export const curve = {
  build() {
    for (const plot of $("curves").children) plot.addEventListener("click",
      (event) => {
        if (!canSelectEpoch()) return;
        const { x, width } = plot.viewBox.baseVal;
        const [first] = plot.querySelector("polyline").points; // the point of epoch 1
        const epoch = (x + width * positionOn(plot, event)[0]) / first.x;
        stopPlaying();
        const [networkIndex] = ranked(
          model.epochs.map((each) => -Math.abs(each - epoch)));
        change({ networkIndex });
      });
  },

  update(_, changed) {
    if (!changed.network) return;
    const { history, validation_images: images } = model;
    const epoch = model.epochs[state.networkIndex];
    for (const plot of $("curves").children) moveCursor(plot, epoch);
    const at = (name) => history[name][epoch - 1];
    const [best] = ranked(history["val/accuracy"]);
    const values = epoch === 0
      ? "Before training, only the validation accuracy is known: " +
        `${percent(model.validation_accuracy[0], 2)}.`
      : `After epoch ${epoch}: training loss ${number(at("train/loss"))}, accuracy ` +
        `${percent(at("train/accuracy"), 2)}; validation loss ` +
        `${number(at("val/loss"))}, accuracy ${percent(at("val/accuracy"), 2)} ` +
        `(${plural(images, "image")}).`;
    $("curve-text").textContent = `${values} The validation accuracy is highest ` +
      `after epoch ${best + 1}: ${percent(history["val/accuracy"][best], 2)}.` +
      (model.hasEarlierEpochs ? " Click a curve to select an epoch." : "");
  },
};

function moveCursor(plot, epoch) {
  const cursor = plot.querySelector(".cursor");
  plot.querySelectorAll("polyline").forEach((line) => {
    const { x, y } = line.points[Math.max(epoch - 1, 0)], dot = line.nextElementSibling;
    for (const name of ["x1", "x2"]) cursor.setAttribute(name, epoch ? x : 0);
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
    dot.classList.toggle("absent", epoch === 0);
  });
}
