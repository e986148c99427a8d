// The selected image: the board, on which the user draws, and the gallery of test
// images. If images of the data set cannot be drawn, the board only shows the selected
// test image.

import {
  $, element, gray, imageCanvas, paintPixels, plural, positionOn,
} from "display.js";
import { BOARD_PEN, findingOfImage, paintBoard, preprocessDrawing } from "drawing.js";
import { change, className, model, network, state, testImage } from "model.js";

export function useTestImage(index) {
  const image = testImage(index);
  change({ shown: { image, index, strokes: [], stray: 0,
    finding: findingOfImage(image), transform: null } });
}

// The strokes that the next frame shows. Null if the drawing has not changed since the
// last frame, or if another image was selected.
let pending = null;

const useDrawing = (strokes) =>
  change({ shown: { ...preprocessDrawing(strokes), strokes, index: null } });

// Return the strokes on the board, which the caller changes before the next frame.
function strokesToChange() {
  if (!pending) requestAnimationFrame(() => { if (pending) useDrawing(pending); });
  pending ??= structuredClone(state.shown.strokes);
  return pending;
}

// The ink stays inside the board: the center of the pen keeps away from the border.
const penPosition = (event) => positionOn($("board"), event).map((share) =>
  Math.min(Math.max(share, BOARD_PEN), 1 - BOARD_PEN));

function listenToPen() {
  const board = $("board");
  board.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    board.setPointerCapture(event.pointerId); // until the pointer is lifted
    strokesToChange().push([penPosition(event)]);
  });
  board.addEventListener("pointermove", (event) => {
    const { length } = pending ?? state.shown.strokes;
    if (!length || !board.hasPointerCapture(event.pointerId)) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    const points = (moves.length ? moves : [event]).map(penPosition);
    strokesToChange().at(-1).push(...points);
  });
  $("clear").addEventListener("click", () => { strokesToChange().length = 0; });
}

const thumbnails = () => [...$("gallery").children];
export const inputImage = {
  build() {
    if (model.drawable) {
      listenToPen();
      // The list is closed at first. On a laptop, it opens below the visible part.
      $("choose").addEventListener("toggle", () =>
        $("choose").scrollIntoView({ block: "nearest" }));
    }
    $("gallery").append(...model.gallery.map((_, index) => element("button", {
      type: "button", onclick: () => useTestImage(index) },
    imageCanvas(testImage(index)))));
  },

  update({ first }, changed) {
    if (changed.evaluated) markMistakes();
    if (changed.image) showImage(state.shown);
    const { index, strokes } = state.shown, label = model.tensors.image_labels[index];
    thumbnails().forEach((button, each) =>
      button.setAttribute("aria-current", each === index));
    const drawing = strokes.length ? "your drawing" : "nothing is drawn";
    $("source").textContent = index === null ? drawing
      : `test image ${model.gallery[index]}: ${model.one_image[label]}` +
        (label === first ? "" : ", misclassified");
  },
};

// Show an image on the board, and say how a drawing was preprocessed.
function showImage({ image, index, strokes, stray }) {
  pending = null;
  const board = $("board"), context = board.getContext("2d");
  context.imageSmoothingEnabled = false;
  if (index === null) paintBoard(strokes);
  else context.drawImage(imageCanvas(image), 0, 0, board.width, board.height);
  $("preprocessed").hidden = !strokes.length;
  $("stray-text").textContent = !stray ? ""
    : `${plural(stray, "stray stroke")} ${stray === 1 ? "is" : "are"} ignored. `;
  paintPixels($("preprocessed-image"), (pixel) => gray(image[pixel]));
}

function markMistakes() {
  thumbnails().forEach((thumbnail, index) => {
    const label = model.tensors.image_labels[index];
    const [predicted, expected] = [network().evaluated, model.trained].map((each) =>
      each.classify(testImage(index)).first);
    const notes = [`test image ${model.gallery[index]}: ${model.one_image[label]}`];
    if (predicted !== label) notes.push(`classified as ${className(predicted)}`);
    if (predicted !== expected)
      notes.push(`by the floating-point network as ${className(expected)}`);
    thumbnail.title = thumbnail.ariaLabel = notes.join(", ");
    thumbnail.classList.toggle("mistake", predicted !== label);
    thumbnail.classList.toggle("differs", predicted !== expected);
  });
}
