// The drawing board and the gallery of test images: they set the image in `state`. If the
// images of the data set cannot be drawn, the board only shows the selected image.

const board = $("board"), boardContext = board.getContext("2d");
const smallBoard = element("canvas",
  { width: preprocessing.BOARD, height: preprocessing.BOARD });
const smallContext = smallBoard.getContext("2d", { willReadFrequently: true });
let pen = null; // position in shares of the board; null: not drawing
let awaitedFrame = null; // the next frame, in which the drawing is classified

function clearBoard() {
  for (const context of [boardContext, smallContext]) {
    context.fillStyle = "#000";
    context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  }
  $("steps").replaceChildren();
  $("steps-text").hidden = true;
  pen = null;
}

function drawTo(position) {
  for (const context of [boardContext, smallContext]) {
    const side = context.canvas.width;
    context.strokeStyle = "#fff";
    context.lineWidth = side / 12;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(pen[0] * side, pen[1] * side);
    // A line without length is not drawn, so a tap gets a small one.
    context.lineTo(position[0] * side + 0.01, position[1] * side);
    context.stroke();
  }
  pen = position;
}

const drawnLevels = () =>
  smallContext.getImageData(0, 0, preprocessing.BOARD, preprocessing.BOARD).data
    .filter((_, i) => i % 4 === 0);

function useDrawing() {
  const { image, digitCount, drawn, steps, boxes } = preprocessing.preprocess(drawnLevels());
  Object.assign(state, { image, digitCount, drawn, boxes, row: null });
  $("steps").replaceChildren(...Object.entries(steps).map(([name, step]) => {
    const canvas = element("canvas", { role: "img", "aria-label": name });
    paintGrid(canvas, step.height, step.width, (place) => grey(step.data[place]));
    return element("figure", {}, canvas, element("figcaption", {}, name));
  }));
  $("steps-text").hidden = !$("steps").children.length;
  show();
}

function useTestImage(row) {
  cancelAnimationFrame(awaitedFrame);
  awaitedFrame = null;
  Object.assign(state,
    { image: testImage(row), row, digitCount: 1, drawn: true, boxes: null });
  clearBoard();
  boardContext.imageSmoothingEnabled = false;
  boardContext.drawImage(imageCanvas(state.image), 0, 0, board.width, board.height);
  show();
}

function useDrawingSoon() {
  awaitedFrame ??= requestAnimationFrame(() => {
    awaitedFrame = null;
    useDrawing();
  });
}

board.addEventListener("pointerdown", (event) => {
  if (!model.drawable || !event.isPrimary || event.button) return;
  board.setPointerCapture(event.pointerId);
  if (state.row !== null) clearBoard();
  pen = positionOn(board, event);
  drawTo(pen);
  useDrawingSoon();
});
board.addEventListener("pointermove", (event) => {
  if (!pen || !event.isPrimary) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  for (const move of moves.length ? moves : [event]) drawTo(positionOn(board, move));
  useDrawingSoon();
});
for (const end of ["pointerup", "pointercancel"])
  board.addEventListener(end, (event) => { if (event.isPrimary) pen = null; });
$("clear").addEventListener("click", () => { clearBoard(); useDrawing(); });

const thumbnails = [];
function buildGallery() {
  $("image-count").textContent = model.rows.length;
  model.rows.forEach((_, place) => {
    thumbnails.push(element("button", { type: "button", onclick: () => useTestImage(place) },
      imageCanvas(testImage(place))));
  });
  $("gallery").append(...thumbnails);
}

function showMistakes(_, changed) {
  if (!changed.width) return;
  model.rows.forEach((row, place) => {
    const label = model.tensors.image_labels[place];
    const [answer, float] = [finalNetwork(), floatNetwork()].map((each) =>
      ranked(each.classify(testImage(place)).probabilities)[0]);
    const name = `test image ${row}: ${example(label)}` +
      (answer === label ? "" : `, classified as ${className(answer)}`) +
      (answer === float ? "" : `; as ${className(float)} in floating point`);
    thumbnails[place].title = thumbnails[place].ariaLabel = name;
    thumbnails[place].classList.toggle("mistake", answer !== label);
    thumbnails[place].classList.toggle("differs", answer !== float);
  });
}

function showSource(answer) {
  thumbnails.forEach((button, place) =>
    button.setAttribute("aria-current", state.row === place));
  const label = model.tensors.image_labels[state.row];
  $("source").textContent = state.row === null ? "your drawing"
    : `test image ${model.rows[state.row]}: ${example(label)}` +
      (label === answer ? "" : ", misclassified");
}

onLoad(buildGallery);
onChange(showMistakes);
