// Prepares a drawing as pipeline/images/preprocessing.py prepares an image: the same
// steps, names and constants, and the same result but for rounding. A drawing is white
// on black, without paper or camera: its ink is level / 255, and each stroke is part of
// it. A grid is { height, width, data }, row by row; in a mask, data is 0 or 1.

const preprocessing = (() => {
  const BOARD = 48, BOX = 20, FINE = 4, EDGE = 0.5, TYPICAL_ASPECT = 0.7;
  const STROKE_WIDTHS = [2.6, 3.3], MIN_SIDE_PER_PIECE = 8;
  const MAX_OUTLINE = 8, MAX_THICKNESS = 3, MAX_ASPECT = 2;

  const range = (size) => [...Array(size).keys()];

  // As Python rounds: a half goes to the even neighbor.
  function round(value) {
    const below = Math.floor(value);
    if (value - below !== 0.5) return Math.round(value);
    return below % 2 === 0 ? below : below + 1;
  }

  function median(values) {
    const sorted = values.slice().sort(), middle = (sorted.length - 1) / 2;
    return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  }

  function newGrid(height, width, valueAt) {
    const data = new Float32Array(height * width);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) data[y * width + x] = valueAt(y, x);
    return { height, width, data };
  }

  const changed = (grid, change) => ({ ...grid, data: grid.data.map(change) });
  const above = (grid, level) => changed(grid, (value) => Number(value > level));
  const at = ({ height, width, data }, y, x) =>
    (y >= 0 && y < height && x >= 0 && x < width ? data[y * width + x] : 0);
  const transposed = (grid) => newGrid(grid.width, grid.height, (y, x) => at(grid, x, y));
  // Cut out rows and columns; beyond the border, data is 0.
  const crop = (grid, [top, bottom, left, right]) =>
    newGrid(bottom - top, right - left, (y, x) => at(grid, top + y, left + x));
  const padded = (grid, margin) =>
    crop(grid, [-margin, grid.height + margin, -margin, grid.width + margin]);

  // Pillow's BILINEAR: each new pixel is a mean of the old ones, weighted by a triangle.
  function resizedRows({ height, width, data }, size) {
    const scale = width / size, reach = Math.max(scale, 1);
    const kernels = range(size).map((x) => {
      const centre = (x + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - reach + 0.5));
      const last = Math.min(width, Math.trunc(centre + reach + 0.5));
      const weights = range(last - first).map((i) =>
        Math.max(0, 1 - Math.abs((first + i - centre + 0.5) / reach)));
      return { first, weights: weights.map((weight) => weight / sum(weights)) };
    });
    return newGrid(height, size, (y, x) => kernels[x].weights.reduce((total, weight, i) =>
      total + data[y * width + kernels[x].first + i] * weight, 0));
  }

  const resized = (grid, height, width) =>
    transposed(resizedRows(transposed(resizedRows(grid, width)), height));

  // The Euclidean distance of each pixel of a mask to the nearest pixel outside it.
  function distances({ height, width, data }) {
    const far = height + width, vertical = new Float64Array(data.length);
    for (let x = 0; x < width; x++) {
      for (let y = 0, gap = far; y < height; y++)
        vertical[y * width + x] = gap = data[y * width + x] ? gap + 1 : 0;
      for (let y = height - 1, gap = far; y >= 0; y--) {
        gap = data[y * width + x] ? gap + 1 : 0;
        vertical[y * width + x] = Math.min(vertical[y * width + x], gap);
      }
    }
    return Float64Array.from(data, (set, place) => {
      if (!set) return 0;
      const x = place % width, row = place - x;
      let least = Infinity;
      for (let other = 0; other < width; other++)
        least = Math.min(least, (other - x) ** 2 + vertical[row + other] ** 2);
      return Math.sqrt(least);
    });
  }

  // The box [top, bottom, left, right] that contains a mask.
  function boundingBox({ height, width, data }) {
    const rows = range(height).filter((y) =>
      data.subarray(y * width, (y + 1) * width).some(Boolean));
    const columns = range(width).filter((x) => rows.some((y) => data[y * width + x]));
    return [rows[0], rows.at(-1) + 1, columns[0], columns.at(-1) + 1];
  }

  // The ink above which a pixel is part of a stroke: half of the mean of such pixels.
  function strokeThreshold(ink) {
    let level = largest(ink.data) / 2;
    for (let i = 0; i < 10; i++) {
      const strokes = ink.data.filter((value) => value > level);
      level = sum(strokes) / strokes.length / 2;
    }
    return level;
  }

  // Count the digits that stand side by side, with a gap between them.
  function countDigits({ height, width, data }) {
    let parts = [], part = null;
    for (let x = 0; x < width; x++) {
      const rows = range(height).filter((y) => data[y * width + x]);
      if (!rows.length) { part = null; continue; }
      if (!part) parts.push(part = { top: height, bottom: 0, area: 0 });
      [part.top, part.area] = [Math.min(part.top, rows[0]), part.area + rows.length];
      part.bottom = Math.max(part.bottom, rows.at(-1) + 1);
    }
    const tallest = largest(parts.map(({ top, bottom }) => bottom - top));
    const fullest = largest(parts.map(({ area }) => area));
    return parts.filter(({ top, bottom, area }) =>
      bottom - top >= 0.6 * tallest && area >= 0.25 * fullest).length;
  }

  // Cut out the mask and the pixels that touch it, corners included.
  function cutOut(ink, mask) {
    const dilated = newGrid(BOARD, BOARD, (y, x) => Number(range(9).some((i) =>
      at(mask, y + Math.floor(i / 3) - 1, x + i % 3 - 1))));
    return crop(changed(ink, (value, place) => value * dilated.data[place]),
      boundingBox(dilated));
  }

  // Narrow a digit that fills the drawing from border to border.
  function undoStretching(digit, ink) {
    const [top, bottom, left, right] = boundingBox(above(ink, 0.1 * largest(ink.data)));
    if (top || left || bottom < BOARD || right < BOARD) return digit;
    return resized(digit, 2 * digit.height, round(TYPICAL_ASPECT * 2 * digit.width));
  }

  // Resize a digit so that its longer side fills the box, FINE pixels to one.
  function scaleToBox(digit) {
    const scale = BOX * FINE / Math.max(digit.height, digit.width);
    const size = (side) => Math.max(1, round(side * scale));
    return resized(digit, size(digit.height), size(digit.width));
  }

  // Find the strokes: the pixels with more ink than at an edge.
  function fitToBox(digit, edge) {
    const fine = scaleToBox(digit);
    return above(fine, Math.min(edge, 0.9 * largest(fine.data)));
  }

  // Count the pieces of a mask; pixels that touch, also at a corner, are one piece.
  function countPieces(mask) {
    const { width, data } = padded(mask, 1); // so that no neighbor is in another row
    const left = new Set(range(data.length).filter((place) => data[place]));
    let pieces = 0;
    for (const start of left) {
      pieces += 1;
      const reached = [start]; // grows while it is iterated over
      for (const place of reached)
        for (const near of [place - width, place, place + width].flatMap((row) =>
          [row - 1, row, row + 1])) if (left.delete(near)) reached.push(near);
    }
    return pieces;
  }

  // Return whether a pen can have made the strokes.
  function isDrawn(mask, strokes) {
    const [top, bottom, left, right] = boundingBox(mask);
    const side = Math.max(bottom - top, right - left), { width, data } = padded(mask, 1);
    const outline = sum(data.map((set, i) =>
      Number(set !== (data[i - 1] ?? 0)) + Number(set !== (data[i - width] ?? 0))));
    const thickness = largest(distances(padded(strokes, 1))) / FINE;
    return countPieces(mask) <= side / MIN_SIDE_PER_PIECE &&
      outline <= Math.min(MAX_OUTLINE, 5 + 3 * side / 16) * side &&
      thickness <= Math.max(MAX_THICKNESS, 3 * BOX / side) &&
      strokes.width <= MAX_ASPECT * strokes.height;
  }

  // Make strokes thicker or thinner if their mean width is outside STROKE_WIDTHS.
  function adjustWidth(original) {
    const strokes = padded(original, 2 * FINE), inside = distances(strokes);
    const width = 4 * (sum(inside) / sum(strokes.data)) / FINE;
    const wanted = Math.min(Math.max(width, STROKE_WIDTHS[0]), STROKE_WIDTHS[1]);
    const growth = (wanted - width) * FINE / 2; // on either side
    if (growth > 0) {
      const away = distances(changed(strokes, (set) => 1 - set));
      return changed(strokes, (_, place) => Number(away[place] <= growth));
    }
    const thinner = changed(strokes, (_, place) => Number(inside[place] > -growth));
    return thinner.data.some(Boolean) ? thinner : strokes;
  }

  // Fit strokes in the box once more, and average FINE x FINE pixels to one.
  function downsample(strokes) {
    const fine = scaleToBox(crop(strokes, boundingBox(strokes)));
    const [height, width] = [fine.height, fine.width].map((side) => Math.ceil(side / FINE));
    const top = Math.floor((height * FINE - fine.height) / 2);
    const left = Math.floor((width * FINE - fine.width) / 2);
    const mean = (y, x) => sum(range(FINE ** 2).map((i) =>
      at(fine, y + Math.floor(i / FINE), x + i % FINE))) / FINE ** 2;
    return newGrid(height, width, (y, x) => mean(y * FINE - top, x * FINE - left));
  }

  // Place a digit so that its center of mass is at pixel (14, 14).
  function centreByMass(digit) {
    const levels = changed(digit, (value) => round(Math.fround(255 * value)));
    const start = (coordinate, side) => {
      const moments = Array.from(levels.data, (level, i) => level * coordinate(i));
      const centre = sum(moments) / sum(levels.data);
      return Math.min(Math.max(round(SIDE / 2 - centre), 0), SIDE - side);
    };
    const top = start((i) => Math.floor(i / digit.width), digit.height);
    const left = start((i) => i % digit.width, digit.width);
    return crop(levels, [-top, SIDE - top, -left, SIDE - left]);
  }

  // The box of the digit, with its edges in shares of the sides.
  const digitBox = (grid) => boundingBox(above(grid, largest(grid.data) / 2))
    .map((edge) => edge / grid.width);

  // Prepare a drawing of BOARD x BOARD gray levels: the image, the number of digits,
  // whether a pen can have made it, the result of each step, and the box of the digit on
  // the board and in the image.
  function preprocess(levels) {
    if (!levels.some(Boolean)) return { image: new Uint8Array(PIXELS), digitCount: 0,
      drawn: true, steps: {}, boxes: null };
    const ink = newGrid(BOARD, BOARD, (y, x) => levels[y * BOARD + x] / 255);
    const mask = above(ink, strokeThreshold(ink));
    const digit = undoStretching(cutOut(ink, mask), ink);
    const edge = EDGE * median(ink.data.filter((_, place) => mask.data[place]));
    const strokes = fitToBox(digit, edge);
    const adjusted = adjustWidth(strokes);
    const centred = centreByMass(downsample(adjusted));
    const toBytes = (grid) => changed(grid, (value) => round(255 * value));
    return { image: Uint8Array.from(centred.data), digitCount: countDigits(mask),
      drawn: isDrawn(mask, strokes), steps: { digit: toBytes(digit),
        box: toBytes(strokes), stroke: toBytes(adjusted), centered: centred },
      boxes: { board: digitBox(ink), image: digitBox(centred) } };
  }

  return { BOARD, preprocess };
})();
