// What is drawn becomes 28 x 28 pixels as MNIST's are: chapters 16 and 34, for clean ink on paper.
// A picture is { h, w, v }: rows, columns, and its values row by row.

const GRID = 128, FINE = 160, THIN = 1.6, THICK = 2.3, THICKEST = 6.5;

// Python's round: halves go to the even side.
const rounded = (x) => {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 ? r - 1 : r;
};
const clipped = (x, low, high) => Math.min(Math.max(x, low), high);

// Squares of a grid that hold ink, k pixels wide, and the ink in them.
function squares({ h, w, v }, k) {
  const rows = Math.ceil(h / k), cols = Math.ceil(w / k);
  const mass = new Float32Array(rows * cols), most = new Float32Array(rows * cols);
  for (let i = 0; i < h * w; i++) {
    const at = Math.floor(Math.floor(i / w) / k) * cols + Math.floor((i % w) / k);
    mass[at] += v[i];
    most[at] = Math.max(most[at], v[i]);
  }
  return { rows, cols, mass, most };
}

// The squares around one, itself included.
function around(at, { rows, cols }) {
  const r = Math.floor(at / cols), c = at % cols, near = [];
  for (let i = Math.max(r - 1, 0); i <= Math.min(r + 1, rows - 1); i++)
    for (let j = Math.max(c - 1, 0); j <= Math.min(c + 1, cols - 1); j++) near.push(i * cols + j);
  return near;
}

// Squares that hang together, corners included: their places, ink and longer side.
function patches(grid) {
  const left = new Set();
  grid.most.forEach((m, at) => { if (m > 0.25) left.add(at); });
  const found = [];
  for (const start of left) {
    const cells = [start];
    left.delete(start);
    for (const at of cells)
      for (const near of around(at, grid)) if (left.delete(near)) cells.push(near);
    const long = (s) => Math.max(...s) - Math.min(...s) + 1, { cols } = grid;
    const tall = long(cells.map((at) => Math.floor(at / cols)));
    const size = Math.max(tall, long(cells.map((at) => at % cols)));
    found.push({ cells, size, mass: cells.reduce((sum, at) => sum + grid.mass[at], 0) });
  }
  return found;
}

// Without specks: what is far smaller than the largest patch.
function kept(found, longest) {
  const large = found.filter((p) => p.size >= Math.max(2, 0.05 * longest));
  const those = large.length ? large : found;
  const mass = Math.max(...those.map((p) => p.mass)), size = Math.max(...those.map((p) => p.size));
  return those.filter((p) => p.mass >= 0.1 * mass && p.size > 0.2 * size);
}

// The ink of the digit alone, from a field n pixels wide: squares worth keeping, and those around.
function alone(z, n, k) {
  const grid = squares(z, k), keep = new Set(), found = patches(grid), worth = kept(found, n / k);
  if (worth.length === found.length) return z;
  for (const patch of worth)
    for (const at of patch.cells) for (const near of around(at, grid)) keep.add(near);
  const square = (i) => Math.floor(Math.floor(i / z.w) / k) * grid.cols + Math.floor((i % z.w) / k);
  return { ...z, v: z.v.map((x, i) => (keep.has(square(i)) ? x : 0)) };
}

// The first and last row and column with a value above `least`; null where there is none.
function frame({ h, w, v }, least) {
  let [top, bottom, left, right] = [h, -1, w, -1];
  for (let i = 0; i < h * w; i++) {
    if (v[i] <= least) continue;
    const c = i % w;
    bottom = (i - c) / w;
    if (top > bottom) top = bottom;
    if (c < left) left = c;
    if (c > right) right = c;
  }
  return bottom < 0 ? null : { top, bottom, left, right };
}

// The part of a picture in a frame.
function part({ w, v }, { top, bottom, left, right }) {
  const out = { h: bottom - top + 1, w: right - left + 1 };
  out.v = new Float32Array(out.h * out.w);
  for (let r = 0; r < out.h; r++) {
    const from = (top + r) * w + left;
    out.v.set(v.subarray(from, from + out.w), r * out.w);
  }
  return out;
}

const box = { reach: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
const bicubic = {
  reach: 2,
  at: (s) => {
    const x = Math.abs(s);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  },
};

// For each of m new places: where in n old ones its average begins, and its weights.
function averages(n, m, filter) {
  const step = n / m, wide = Math.max(step, 1), reach = filter.reach * wide;
  return Array.from({ length: m }, (_, i) => {
    const centre = (i + 0.5) * step, first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(n, Math.floor(centre + reach + 0.5)), weights = [];
    for (let j = first; j < last; j++) weights.push(filter.at((j - centre + 0.5) / wide));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((x) => x / sum) };
  });
}

// Each row of a picture with m columns, as Pillow does it; the result is turned on its side.
function acrossAndTurned({ h, w, v }, m, filter) {
  const out = new Float32Array(m * h);
  averages(w, m, filter).forEach(({ first, weights }, q) => {
    for (let r = 0; r < h; r++) {
      let sum = 0;
      for (let j = 0; j < weights.length; j++) sum += weights[j] * v[r * w + first + j];
      out[q * h + r] = sum;
    }
  });
  return { h: m, w: h, v: out };
}

// The dark part, its longer side `longest` pixels.
function resized(z, longest) {
  const dark = part(z, frame(z, 0.5)), most = Math.max(dark.h, dark.w);
  const [h, w] = [dark.h, dark.w].map((s) => Math.max(1, rounded((longest * s) / most)));
  const filter = longest < most ? box : bicubic;
  const out = acrossAndTurned(acrossAndTurned(dark, w, filter), h, filter);
  return { ...out, v: out.v.map((x) => clipped(x, 0, 1)) };
}

// A picture with n more pixels of paper on each side.
function withMargin({ h, w, v }, n) {
  const out = { h: h + 2 * n, w: w + 2 * n, v: new Float32Array((h + 2 * n) * (w + 2 * n)) };
  for (let r = 0; r < h; r++) out.v.set(v.subarray(r * w, r * w + w), (r + n) * out.w + n);
  return out;
}

// The mean thickness of the strokes: twice their ink, by the length of their edges.
function penWidth(z) {
  const { h, w, v } = withMargin(z, 1);
  let ink = 0, edge = 0;
  for (let r = 0; r < h - 1; r++) {
    for (let c = 0; c < w - 1; c++) {
      const at = r * w + c;
      ink += v[at];
      edge += Math.hypot(v[at + w] - v[at], v[at + 1] - v[at]);
    }
  }
  return (2 * ink) / Math.max(edge, 1e-9);
}

// The square of the distance of each pixel to the nearest dark one, if that is nearer than `far`.
function distances({ h, w, v }, far) {
  const down = (d, rows, cols) => {
    const out = new Float32Array(d.length).fill(1e6);
    for (let i = 0; i < d.length; i++) {
      const r = Math.floor(i / cols);
      for (let k = Math.max(-far, -r); k <= Math.min(far, rows - 1 - r); k++)
        out[i] = Math.min(out[i], d[i + k * cols] + k * k);
    }
    return out;
  };
  const turned = (d, rows, cols) => d.map((_, i) => d[(i % rows) * cols + Math.floor(i / rows)]);
  const first = turned(down(v.map((x) => (x > 0.4 ? 0 : 1e6)), h, w), h, w);
  return turned(down(first, w, h), w, h);
}

// The same digit, its strokes as thick as MNIST's are.
function thickened(z) {
  const width = penWidth(z), most = Math.max(z.h, z.w);
  if ((20 * width) / most >= THIN) return z;
  const add = (THICK * most - 20 * width) / (20 - THICK), n = Math.floor(add / 2) + 3;
  const wide = withMargin(z, n), d = distances(wide, n);
  return { ...wide, v: wide.v.map((x, i) =>
    Math.max(x, clipped(add / 2 + 0.5 - Math.sqrt(d[i]), 0, 1))) };
}

// 28 x 28 pixels: longer side 20, centre of mass in the middle.
function boxed(z) {
  const small = resized(z, 20), out = new Float32Array(784);
  let [mass, down, right] = [0, 0, 0];
  small.v.forEach((x, i) => {
    mass += x;
    down += x * Math.floor(i / small.w);
    right += x * (i % small.w);
  });
  const top = clipped(rounded(14 - down / mass), 0, 28 - small.h);
  const left = clipped(rounded(14 - right / mass), 0, 28 - small.w);
  small.v.forEach((x, i) => {
    const at = (top + Math.floor(i / small.w)) * 28 + left + (i % small.w);
    out[at] = rounded(x * 255) / 256;
  });
  return out;
}

// The part of the field v (n, n) that holds ink, cut at the lines of the grid; null where none is.
function inkOf(v, n, k) {
  const field = { h: n, w: n, v }, found = frame(field, 0);
  if (!found) return null;
  const cut = (s) => Math.floor(s / k) * k;
  const z = part(field, { ...found, top: cut(found.top), left: cut(found.left) });
  return { ...z, v: z.v.map((x) => clipped((x - 0.15) / 0.7, 0, 1)) };
}

// What a network sees of the ink v (n, n): { x (784), note }; x is null where there is no ink.
export function prepare(v, n) {
  const k = Math.ceil(n / GRID), z = inkOf(v, n, k);
  if (!z?.v.some((x) => x > 0.5)) return { x: null, note: '' };
  const fine = resized(alone(z, n, k), FINE);
  const blot = (20 * penWidth(fine)) / FINE > THICKEST, flat = fine.h < fine.w / 2;
  const note = blot ? 'a blot without strokes' : flat ? 'more than twice as wide as tall' : '';
  return { x: boxed(thickened(fine)), note };
}
