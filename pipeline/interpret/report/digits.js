// A drawn digit -> 28x28 as MNIST was made: pipeline/digits.py, step by step and to the
// same grey levels, for a drawing of SIDE x SIDE pixels. A picture is { height, width,
// data }, row by row; names and numbers are those of the Python functions.

const digits = (() => {
  const SIDE = 48, OUT = 28, BOX = 20, FINE = 4, WIDTHS = [2.6, 3.3];
  const SMALLEST = 8, OUTLINE = 8, THICKEST = 3, WIDEST = 2;
  const EDGE = 0.5, FAINTEST = 0.08, SQUEEZED = 0.7;

  const picture = (height, width, data = new Float32Array(height * width)) =>
    ({ height, width, data });
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const sorted = (values) => Float64Array.from(values).sort();

  // As NumPy: the value below which a share of all values lies, between two neighbours.
  function quantile(values, share) {
    const order = sorted(values), place = share * (order.length - 1);
    const below = Math.floor(place), above = Math.min(below + 1, order.length - 1);
    return order[below] + (place - below) * (order[above] - order[below]);
  }

  // As Python rounds: a half goes to the even neighbour.
  function round(value) {
    const down = Math.floor(value), rest = value - down;
    if (rest !== 0.5) return Math.round(value);
    return down % 2 === 0 ? down : down + 1;
  }

  function transposed({ height, width, data }) {
    const turned = picture(width, height, new data.constructor(data.length));
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) turned.data[x * height + y] = data[y * width + x];
    return turned;
  }

  function crop({ width, data }, [top, bottom, left, right]) {
    const cut = picture(bottom - top, right - left,
      new data.constructor((bottom - top) * (right - left)));
    for (let y = top; y < bottom; y++)
      cut.data.set(data.subarray(y * width + left, y * width + right),
        (y - top) * cut.width);
    return cut;
  }

  function padded({ height, width, data }, margin) {
    const larger = picture(height + 2 * margin, width + 2 * margin,
      new data.constructor((height + 2 * margin) * (width + 2 * margin)));
    for (let y = 0; y < height; y++)
      larger.data.set(data.subarray(y * width, (y + 1) * width),
        (y + margin) * larger.width + margin);
    return larger;
  }

  // As Pillow resamples, by a triangle: each new pixel is a weighted mean of the old ones.
  function resizedRows({ height, width, data }, size) {
    if (size === width) return picture(height, width, data);
    const made = picture(height, size), scale = width / size;
    const stretch = Math.max(scale, 1);
    for (let x = 0; x < size; x++) {
      const centre = (x + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - stretch + 0.5));
      const last = Math.min(width, Math.trunc(centre + stretch + 0.5));
      const weights = [];
      for (let i = first; i < last; i++)
        weights.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) / stretch)));
      const total = sum(weights);
      for (let y = 0; y < height; y++) {
        let value = 0;
        for (let i = first; i < last; i++)
          value += data[y * width + i] * (weights[i - first] / total);
        made.data[y * size + x] = value;
      }
    }
    return made;
  }

  function resized(values, height, width) {
    const wide = resizedRows(values, width);
    return transposed(resizedRows(transposed(wide), height));
  }

  // The distance of each set pixel to the nearest that is not set; exact.
  function distances({ height, width, data }) {
    const far = height + width, down = new Float64Array(data.length);
    for (let x = 0; x < width; x++) {
      for (let y = 0, gap = far; y < height; y++)
        down[y * width + x] = gap = data[y * width + x] ? gap + 1 : 0;
      for (let y = height - 1, gap = far; y >= 0; y--) {
        gap = data[y * width + x] ? gap + 1 : 0;
        down[y * width + x] = Math.min(down[y * width + x], gap);
      }
    }
    const found = new Float64Array(data.length);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        if (!data[y * width + x]) continue;
        let least = Infinity;
        for (let other = 0; other < width; other++)
          least = Math.min(least, (other - x) ** 2 + down[y * width + other] ** 2);
        found[y * width + x] = Math.sqrt(least);
      }
    return found;
  }

  function boxOf({ height, width, data }) {
    let [top, bottom, left, right] = [height, 0, width, 0];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        if (data[y * width + x]) {
          [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
          [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
        }
    return bottom ? [top, bottom, left, right] : [0, 0, 0, 0];
  }

  function isDarkOnLight({ height, width, data }) {
    const continued = [], clamp = (v, most) => Math.min(Math.max(v, 0), most - 1);
    const [above, beside] = [Math.floor(height / 2), Math.floor(width / 2)];
    for (let y = -above; y < height + above; y++)
      for (let x = -beside; x < width + beside; x++)
        continued.push(data[clamp(y, height) * width + clamp(x, width)]);
    const paper = quantile(continued, 0.5);
    return sum(continued.map((level) => (level - paper) ** 3)) <= 0;
  }

  // The largest (or least) of the values around each, in rows and then in columns.
  function extreme(values, window, pick) {
    const reach = (window - 1) / 2;
    const along = ({ height, width, data }) => {
      const found = picture(height, width);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const row = data.subarray(y * width + Math.max(0, x - reach),
            y * width + Math.min(width, x + reach + 1));
          found.data[y * width + x] = row.reduce((a, b) => pick(a, b));
        }
      return found;
    };
    return transposed(along(transposed(along(values))));
  }

  // Compare each pixel with the paper around: a closing, wider than any stroke.
  function inkOnPaper(light) {
    const window = Math.floor(SIDE / 2) + 1; // odd, as SIDE is a multiple of 4
    const paper = extreme(extreme(light, window, Math.max), window, Math.min);
    const ink = picture(light.height, light.width);
    ink.data.forEach((_, i) => {
      ink.data[i] = Math.fround(paper.data[i] - light.data[i]) /
        Math.max(paper.data[i], 1);
    });
    return ink;
  }

  function threshold(ink) {
    const lit = ink.data.filter((value) => value > Math.fround(FAINTEST));
    if (!lit.length || quantile(lit, 0.95) < 2 * FAINTEST) return 1;
    let level = quantile(lit, 0.95) / 2;
    for (let i = 0; i < 10; i++) {
      const stroke = lit.filter((value) => value > level);
      level = Math.max(sum(stroke) / stroke.length / 2, FAINTEST);
    }
    return level;
  }

  // Blobs of pixels that touch, also at a corner: each a list of places.
  function blobs({ height, width, data }) {
    const seen = new Uint8Array(data.length), found = [];
    for (let start = 0; start < data.length; start++) {
      if (!data[start] || seen[start]) continue;
      const blob = [start];
      seen[start] = 1;
      for (let next = 0; next < blob.length; next++) {
        const [y, x] = [Math.floor(blob[next] / width), blob[next] % width];
        for (let b = Math.max(0, y - 1); b <= Math.min(height - 1, y + 1); b++)
          for (let a = Math.max(0, x - 1); a <= Math.min(width - 1, x + 1); a++) {
            const place = b * width + a;
            if (data[place] && !seen[place]) seen[place] = 1, blob.push(place);
          }
      }
      const mask = picture(height, width, new Uint8Array(data.length));
      blob.forEach((place) => { mask.data[place] = 1; });
      found.push({ places: blob, box: boxOf(mask) });
    }
    return found;
  }

  const gap = (a, b) => Math.max(a[0] - b[1], b[0] - a[1], a[2] - b[3], b[2] - a[3]);
  const longest = (box) => Math.max(box[1] - box[0], box[3] - box[2]);

  function withoutSpecks(mask) {
    const parts = blobs(mask), kept = picture(mask.height, mask.width,
      new Uint8Array(mask.data.length));
    if (!parts.length) return kept;
    const largest = parts.reduce((a, b) =>
      (b.places.length > a.places.length ? b : a));
    if (longest(largest.box) < Math.max(mask.height, mask.width) / 50) return kept;
    const reach = longest(largest.box) / 4;
    for (const { places, box } of parts) {
      const share = gap(box, largest.box) > reach ? 0.25 : 0.05;
      if (places.length >= share * largest.places.length)
        places.forEach((place) => { kept.data[place] = 1; });
    }
    return kept;
  }

  // Count the digits that stand side by side, with a gap between them.
  function count({ height, width, data }) {
    const parts = [];
    let open = null;
    for (let x = 0; x < width; x++) {
      const rows = [];
      for (let y = 0; y < height; y++) if (data[y * width + x]) rows.push(y);
      if (!rows.length) { open = null; continue; }
      if (!open) parts.push(open = { top: height, bottom: 0, area: 0 });
      open.top = Math.min(open.top, rows[0]);
      open.bottom = Math.max(open.bottom, rows.at(-1) + 1);
      open.area += rows.length;
    }
    const tallest = Math.max(...parts.map((part) => part.bottom - part.top));
    const fullest = Math.max(...parts.map((part) => part.area));
    return parts.filter((part) => part.bottom - part.top >= 0.6 * tallest &&
      part.area >= 0.25 * fullest).length;
  }

  function cutOut(ink, mask) {
    const grown = extreme(picture(mask.height, mask.width,
      Float32Array.from(mask.data)), 3, Math.max);
    const own = picture(ink.height, ink.width, ink.data.map((value, i) =>
      (grown.data[i] ? value : 0)));
    return crop(own, boxOf(grown));
  }

  // Narrow a digit that fills the drawing from border to border.
  function unstretched(digit, ink) {
    const least = 0.1 * Math.max(...ink.data);
    const [top, bottom, left, right] = boxOf(picture(ink.height, ink.width,
      ink.data.map((value) => Number(value > least))));
    if (top || left || bottom < ink.height || right < ink.width) return digit;
    return resized(digit, 2 * digit.height, round(SQUEEZED * 2 * digit.width));
  }

  function fitted(digit, edge) {
    const scale = BOX * FINE / Math.max(digit.height, digit.width);
    const fine = resized(digit, Math.max(1, round(digit.height * scale)),
      Math.max(1, round(digit.width * scale)));
    const least = Math.min(edge, 0.9 * Math.max(...fine.data));
    return picture(fine.height, fine.width,
      Uint8Array.from(fine.data, (value) => Number(value > least)));
  }

  const area = (strokes) => sum(strokes.data);
  const widthOf = (strokes) =>
    4 * (sum(distances(padded(strokes, 1))) / area(strokes)) / FINE;

  // Whether a pen can have made a digit, as it was found and in the box.
  function isDrawn(shapes, mask, strokes) {
    const side = longest(boxOf(mask)), { width, data } = padded(mask, 1);
    const outline = sum(data.map((set, i) =>
      Number(set !== (data[i - 1] ?? 0)) + Number(set !== (data[i - width] ?? 0))));
    const thickest = distances(padded(strokes, 1)).reduce((a, b) => Math.max(a, b)) / FINE;
    return blobs(shapes).length <= side / SMALLEST &&
      outline <= Math.min(OUTLINE, 5 + 3 * side / 16) * side &&
      thickest <= Math.max(THICKEST, 3 * BOX / side) &&
      strokes.width <= WIDEST * strokes.height;
  }

  function broughtToWidth(thin, width) {
    const strokes = padded(thin, 2 * FINE);
    const wanted = Math.min(Math.max(width, WIDTHS[0]), WIDTHS[1]);
    const growth = (wanted - width) * FINE / 2;
    const { height, width: across, data } = strokes;
    if (growth > 0) {
      const away = distances(picture(height, across, data.map((set) => 1 - set)));
      return picture(height, across, Uint8Array.from(away, (d) => Number(d <= growth)));
    }
    const inside = distances(strokes);
    const thinner = Uint8Array.from(inside, (d) => Number(d > -growth));
    return thinner.some(Boolean) ? picture(height, across, thinner) : strokes;
  }

  function boxed(spread) {
    const strokes = crop(spread, boxOf(spread));
    const scale = BOX * FINE / Math.max(strokes.height, strokes.width);
    const [height, width] = [strokes.height, strokes.width].map((side) =>
      Math.max(1, round(side * scale)));
    const fine = resized(picture(strokes.height, strokes.width,
      Float32Array.from(strokes.data)), height, width);
    const small = picture(Math.ceil(height / FINE), Math.ceil(width / FINE));
    const top = Math.floor((small.height * FINE - height) / 2);
    const left = Math.floor((small.width * FINE - width) / 2);
    const sums = new Float64Array(small.data.length);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        sums[Math.floor((y + top) / FINE) * small.width +
          Math.floor((x + left) / FINE)] += fine.data[y * width + x];
    sums.forEach((total, i) => { small.data[i] = total / FINE ** 2; });
    return small;
  }

  // Place a digit so that its centre of mass is at pixel (14, 14).
  function centred({ height, width, data }) {
    const levels = Array.from(data, (value) => round(Math.fround(255 * value)));
    const mass = sum(levels), image = new Uint8Array(OUT * OUT);
    const start = (places, side) => {
      const place = sum(levels.map((level, i) => level * places(i))) / mass;
      return Math.min(Math.max(round(OUT / 2 - place), 0), OUT - side);
    };
    const top = start((i) => Math.floor(i / width), height);
    const left = start((i) => i % width, width);
    levels.forEach((level, i) => {
      image[(top + Math.floor(i / width)) * OUT + left + i % width] = level;
    });
    return image;
  }

  const shown = ({ height, width, data }) => ({ height, width,
    data: Uint8Array.from(data, (v) => round(255 * Math.min(Math.max(v, 0), 1))) });

  // Prepare a drawing of SIDE x SIDE grey levels: the image, the number of digits on it,
  // and what each step left.
  function prepare(levels) {
    const given = picture(SIDE, SIDE, Float32Array.from(levels));
    const light = isDarkOnLight(given) ? given
      : picture(SIDE, SIDE, given.data.map((level) => 255 - level));
    const ink = inkOnPaper(light), level = threshold(ink);
    const shapes = picture(SIDE, SIDE,
      Uint8Array.from(ink.data, (value) => Number(value > level)));
    const mask = withoutSpecks(shapes);
    if (!mask.data.some(Boolean))
      return { image: new Uint8Array(OUT * OUT), count: 0, drawn: true, steps: {} };
    const digit = unstretched(cutOut(ink, mask), ink);
    const fine = fitted(digit,
      EDGE * quantile(ink.data.filter((_, i) => mask.data[i]), 0.5));
    const stroke = broughtToWidth(fine, widthOf(fine)), image = centred(boxed(stroke));
    return { image, count: count(mask), drawn: isDrawn(shapes, mask, fine), steps: {
      "cut out": shown(digit), "in a box": shown(fine), stroke: shown(stroke),
      centred: { height: OUT, width: OUT, data: image },
    } };
  }

  return { SIDE, prepare };
})();
