// The selected image: the board, on which the user draws, and the gallery of test
// images. If images of the data set cannot be drawn, the board only shows the selected
// test image.

import {
  $, element, gray, imageCanvas, paintPixels, plural, positionOn,
} from "display.js";
import { BOARD_PEN, findingOfImage, paintBoard, prepareDrawing } from "drawing.js";
import { change, className, model, network, state, testImage } from "model.js";

let strokes = []; // on the board; a part of `state.shown` after the next frame
let awaitedFrame = null; // the next frame, in which the drawing is classified

// Prepare and classify the drawing in the next frame.
function useDrawing() {
  paintBoard(strokes);
  awaitedFrame ??= requestAnimationFrame(() => {
    awaitedFrame = null;
    const { stray, ...prepared } = prepareDrawing(strokes);
    $("prepared").hidden = !strokes.length;
    $("stray-text").textContent = !stray ? ""
      : `${plural(stray, "stray stroke")} ${stray === 1 ? "is" : "are"} left out. `;
    paintPixels($("prepared-image"), (pixel) => gray(prepared.image[pixel]));
    change({ shown: { ...prepared, strokes: structuredClone(strokes), place: null } });
  });
}

export function useTestImage(place) {
  cancelAnimationFrame(awaitedFrame);
  awaitedFrame = null;
  strokes = [];
  const image = testImage(place);
  $("prepared").hidden = true;
  const board = $("board"), context = board.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(imageCanvas(image), 0, 0, board.width, board.height);
  change({ shown: { image, place, strokes: [], finding: findingOfImage(image),
    transform: null } });
}

// The ink stays inside the board: the center of the pen keeps away from the border.
const penPosition = (event) => positionOn($("board"), event).map((share) =>
  Math.min(Math.max(share, BOARD_PEN), 1 - BOARD_PEN));

function listenToPen() {
  const board = $("board");
  board.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    board.setPointerCapture(event.pointerId); // until it is lifted
    strokes.push([penPosition(event)]);
    useDrawing();
  });
  board.addEventListener("pointermove", (event) => {
    if (!strokes.length || !board.hasPointerCapture(event.pointerId)) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(moves.length ? moves : [event]).map(penPosition));
    useDrawing();
  });
  $("clear").addEventListener("click", () => {
    strokes = [];
    useDrawing();
  });
}

let thumbnails = [];
export const inputImage = {
  build() {
    if (model.drawable) listenToPen();
    thumbnails = model.gallery.map((_, place) => element("button", { type: "button",
      onclick: () => useTestImage(place) }, imageCanvas(testImage(place))));
    $("gallery").append(...thumbnails);
  },

  update({ first }, changed) {
    if (changed.final) markMistakes();
    const { place } = state.shown, label = model.tensors.image_labels[place];
    thumbnails.forEach((button, each) =>
      button.setAttribute("aria-current", each === place));
    $("source").textContent = place === null ? "your drawing"
      : `test image ${model.gallery[place]}: ${model.one_image[label]}` +
        (label === first ? "" : ", misclassified");
  },
};

function markMistakes() {
  thumbnails.forEach((thumbnail, place) => {
    const label = model.tensors.image_labels[place];
    const [predicted, expected] = [network().final, model.trained].map((each) =>
      each.classify(testImage(place)).first);
    const notes = [`test image ${model.gallery[place]}: ${model.one_image[label]}`];
    if (predicted !== label) notes.push(`classified as ${className(predicted)}`);
    if (predicted !== expected)
      notes.push(`in floating point as ${className(expected)}`);
    thumbnail.title = thumbnail.ariaLabel = notes.join(", ");
    thumbnail.classList.toggle("mistake", predicted !== label);
    thumbnail.classList.toggle("differs", predicted !== expected);
  });
}
