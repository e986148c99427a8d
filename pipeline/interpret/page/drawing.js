// Converts a drawing to an image, as in pipeline/images/: stray strokes are ignored, and
// all other strokes are scaled, centered, straightened and checked. This module does not
// change the page.
//
// A drawing is a list of strokes. A stroke is a list of points [x, y], as fractions of
// the sides of the board.

import { $, PIXELS, SIDE, element, largest, ranked, sum } from "display.js";
import { model } from "model.js";

// MNIST's digits fill a box and have their center of mass at pixel (14, 14). The side
// `box` and the width `pen` of strokes are fields of `DrawingConstants`.
export const BOARD_PEN = 1 / 16; // width of the pen, as a fraction of the board's side
const MIN_SIDE = 2 * BOARD_PEN; // side of the smallest digit; a smaller one is a dot

// The box of points and pen, moved by half of the pen's width to the lower right.
function extent(points) {
  const [x, y] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [left, right] = [Math.min(...x), Math.max(...x) + BOARD_PEN];
  const [top, bottom] = [Math.min(...y), Math.max(...y) + BOARD_PEN];
  return { left, right, top, bottom, side: Math.max(right - left, bottom - top) };
}

// The area of a stroke: a line with round ends.
function area(points) {
  const steps = points.slice(1).map(([x, y], i) =>
    Math.hypot(x - points[i][0], y - points[i][1]));
  return BOARD_PEN * (BOARD_PEN * Math.PI / 4 + sum(steps));
}

// Ignore stray strokes, as predict does: strokes that are small, compared with the
// largest stroke. The limit is higher for strokes that are far from the largest stroke.
function withoutStray(all) {
  const { constants } = model;
  const areas = all.map(area), main = extent(all[ranked(areas)[0]]);
  return all.filter((stroke, i) => {
    const box = extent(stroke);
    const gap = Math.max(box.left - main.right, main.left - box.right,
      box.top - main.bottom, main.top - box.bottom);
    return areas[i] >= largest(areas) * (gap > constants.max_gap * main.side
      ? constants.min_distant_area : constants.min_area);
  });
}

// Count the digits that stand side by side (from "left" to "right") or one above the
// other, with more than a gap between them, as predict does. A part is a digit if its
// height and area are not much smaller than the largest part's.
function countDigits(kept, start, end, gap) {
  const parts = [], { constants } = model; // a part is a list of strokes
  const extents = () => parts.map((part) => extent(part.flat()));
  for (const line of [...kept].sort((a, b) => extent(a)[start] - extent(b)[start])) {
    if (extent(line)[start] <= extents().at(-1)?.[end] + gap) parts.at(-1).push(line);
    else parts.push([line]);
  }
  const heights = extents().map(({ top, bottom }) => bottom - top);
  const areas = parts.map((part) => sum(part.map(area)));
  return parts.filter((_, i) =>
    heights[i] >= constants.min_digit_height * largest(heights) &&
    areas[i] >= constants.min_digit_area * largest(areas)).length;
}

// Why lines are not a single digit, or "", as in predict. This function checks the
// aspect ratio and the outline, which is about twice as long as the lines if they do
// not overlap. The thickness is half the width of the pen. Instead of its maximum, the
// function checks the size of a dot.
// `has_usual_strokes` in unsure.py defines the limits. As in predict, the number of
// pieces does not count in an image of the size of the board.
function findingOf(lines) {
  const { left, right, top, bottom, side } = extent(lines.flat());
  const { max_aspect: aspect, max_break: gap, box, thin } = model.constants;
  const { max_outline: ordinary, max_thin_outline: longest } = model.constants;
  const outline = box * BOARD_PEN / 2 <= thin * side ? longest : ordinary;
  if (countDigits(lines, "left", "right", 0) > 1 ||
    countDigits(lines, "top", "bottom", gap * side) > 1) return "several objects";
  // Measure the lines along the sides of pixels, as predict does.
  const along = sum(lines.flatMap((line) => line.slice(1).map(([x, y], i) =>
    Math.abs(x - line[i][0]) + Math.abs(y - line[i][1]))));
  return isDot(lines) || right - left > aspect * (bottom - top) ||
    2 * along > outline * side ? "unusual" : "";
}

// The finding of a test image: "blank" if all pixels are the same.
export const findingOfImage = (image) =>
  (image.every((level) => level === image[0]) ? "blank" : "");

// Whether a drawing is only a dot, such as a tap.
export const isDot = (drawn) =>
  drawn.length > 0 && extent(drawn.flat()).side <= MIN_SIDE;

// Draw strokes as white lines on a black canvas.
function paint(canvas, lines, width, positionOf) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  Object.assign(context, { strokeStyle: "#fff", lineWidth: width, lineCap: "round",
    lineJoin: "round" });
  context.beginPath();
  for (const line of lines) {
    const [start, ...others] = line.map(positionOf);
    context.moveTo(...start);
    // A line without length is not drawn, so a tap gets a short line.
    context.lineTo(start[0] + 0.01, start[1]);
    for (const each of others) context.lineTo(...each);
  }
  context.stroke();
  return context;
}

const small = element("canvas", { width: SIDE, height: SIDE });

// Draw strokes on 28x28 pixels: scaled to the box, with the thin pen, at a position.
function smallImage(lines, { scale, left, top }) {
  const context = paint(small, lines, model.constants.pen, ([x, y]) =>
    [left + scale * x, top + scale * y]);
  return context.getImageData(0, 0, SIDE, SIDE).data.filter((_, i) => i % 4 === 0);
}

// The shear that gives an image the mean slant: the columns by which each row moves to
// the left, computed with the integers of upright.py. Null if no row moves.
function shearOf(image) {
  if (!model.straightening) return null;
  const { one, mean_slant: meanSlant, parts } = model.straightening;
  const moment = (weight) => image.reduce((total, level, i) =>
    total + level * weight(i % SIDE, Math.floor(i / SIDE)), 0);
  const [mass, sumX, sumY] = [moment(() => 1), moment((x) => x), moment((_, y) => y)];
  const xy = mass * moment((x, y) => x * y) - sumX * sumY;
  const yy = mass * moment((_, y) => y * y) - sumY * sumY;
  if (!yy) return null; // blank, or a single row
  const limited = Math.min(Math.max(xy, -yy), yy); // a slant of at most 45 degrees
  const slant = Math.floor(one * (limited + yy) / yy) - one;
  const center = Math.floor(parts * sumY / mass); // in parts of a row
  return (row) => (slant - meanSlant) * (parts * row - center) / (parts * one);
}

export function straighten(image, shear = shearOf(image)) {
  if (!shear) return image;
  const { fractions } = model.straightening;
  return image.map((_, i) => {
    const row = Math.floor(i / SIDE), shift = shear(row);
    const share = Math.floor(fractions * (shift - Math.floor(shift)));
    const from = i % SIDE + Math.floor(shift);
    const level = (x) => x >= 0 && x < SIDE ? image[row * SIDE + x] : 0;
    const total = level(from) * (fractions - share) + level(from + 1) * share;
    return Math.floor((total + fractions / 2) / fractions);
  });
}

// Preprocess a drawing like MNIST's images. The result is 28x28 gray levels, the number
// of strokes that were ignored, the finding, and the transform: pixel = offset + scale *
// fraction, after which `shear(row)` moves a row to the left.
export function preprocessDrawing(drawn) {
  if (!drawn.length) return { image: new Uint8Array(PIXELS), stray: 0,
    finding: "blank", transform: null };
  const lines = withoutStray(drawn), { box, pen } = model.constants;
  const { left, right, top, bottom } = extent(lines.flat());
  const [width, height] = [right - left - BOARD_PEN, bottom - top - BOARD_PEN];
  // A tap stays a dot.
  const scale = (box - pen) / Math.max(width, height, BOARD_PEN);
  const corner = { scale, left: pen / 2 - scale * left, top: pen / 2 - scale * top };
  const image = smallImage(lines, corner), mass = sum(image);
  const shift = (coordinate, size) => {
    const moment = image.reduce((total, level, i) => total + level * coordinate(i), 0);
    const room = Math.floor(SIDE - pen - scale * size);
    return Math.min(Math.max(Math.round(SIDE / 2 - moment / mass), 0), room);
  };
  const transform = { scale, left: corner.left + shift((i) => i % SIDE, width),
    top: corner.top + shift((i) => Math.floor(i / SIDE), height) };
  const centered = smallImage(lines, transform), shear = shearOf(centered);
  return { image: straighten(centered, shear), stray: drawn.length - lines.length,
    finding: findingOf(lines), transform: { ...transform, shear } };
}

// Draw strokes on the board.
export function paintBoard(drawn) {
  const board = $("board");
  paint(board, drawn, BOARD_PEN * board.width, (point) =>
    point.map((share) => share * board.width));
}
