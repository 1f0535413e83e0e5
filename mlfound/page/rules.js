// The book's rules, forward and backward, for one example: arrays of float32, row by row.

// Chapter 01: x (d) times w (d, h), plus b (h).
export function lin(x, w, b) {
  const h = b.length, out = Float32Array.from(b);
  for (let i = 0; i < x.length; i++) {
    if (x[i] === 0) continue;
    for (let j = 0; j < h; j++) out[j] += x[i] * w[i * h + j];
  }
  return out;
}

// Chapter 02: what g (h) sends back to x (d) is g times w transposed,
export function linInput(g, w, d) {
  const h = g.length, gx = new Float32Array(d);
  for (let i = 0; i < d; i++) {
    let sum = 0;
    for (let j = 0; j < h; j++) sum += g[j] * w[i * h + j];
    gx[i] = sum;
  }
  return gx;
}

// and to w (d, h) it is x transposed times g; to b it is g itself.
export function linWeight(g, x) {
  const h = g.length, gw = new Float32Array(x.length * h);
  for (let i = 0; i < x.length; i++) for (let j = 0; j < h; j++) gw[i * h + j] = x[i] * g[j];
  return gw;
}

// The rectified linear unit, and its rule: g passes where x was positive.
export const relu = (x) => x.map((v) => Math.max(v, 0));
export const reluInput = (g, x) => g.map((v, i) => (x[i] <= 0 ? 0 : v));

// A number for each map: x (c, n) times s (c), plus t (c). Normalisation in use is no more.
export function scale(x, s, t) {
  const n = x.length / s.length;
  return x.map((v, i) => v * s[Math.floor(i / n)] + t[Math.floor(i / n)]);
}
export function scaleInput(g, s) {
  const n = g.length / s.length;
  return g.map((v, i) => v * s[Math.floor(i / n)]);
}
export function scaleWeight(g, x, c) {
  return perMap(x.map((v, i) => v * g[i]), c);
}

// The sum over each of c maps: what comes back to a number that is added to all of one.
export function perMap(g, c) {
  const sums = new Float32Array(c), n = g.length / c;
  for (let i = 0; i < g.length; i++) sums[Math.floor(i / n)] += g[i];
  return sums;
}

// Maps x (c, n, n) with a border of p zeros all around.
export function padded(x, c, n, p) {
  if (!p) return x;
  const m = n + 2 * p, out = new Float32Array(c * m * m);
  for (let r = 0; r < c * n; r++) {
    const row = Math.floor(r / n) * m * m + ((r % n) + p) * m + p;
    out.set(x.subarray(r * n, r * n + n), row);
  }
  return out;
}

// The opposite: what is inside of the border.
export function inside(x, c, n, p) {
  if (!p) return x;
  const m = n + 2 * p, out = new Float32Array(c * n * n);
  for (let r = 0; r < c * n; r++) {
    const row = Math.floor(r / n) * m * m + ((r % n) + p) * m + p;
    out.set(x.subarray(row, row + n), r * n);
  }
  return out;
}

// Calls back for every weight of kernels (o, c, k, k) and row of the maps (o, m, m) it is used for,
// with where that row begins in the pictures (c, n, n).
function eachUse(o, c, k, n, use) {
  const m = n - k + 1;
  for (let w = 0; w < o * c * k * k; w++) {
    const j = w % k, i = Math.floor(w / k) % k;
    const from = Math.floor(w / (k * k)) % c, to = Math.floor(w / (k * k * c));
    for (let r = 0; r < m; r++) use(w, to * m * m + r * m, from * n * n + (r + i) * n + j, m);
  }
}

// Chapter 10: with every kernel of w (o, c, k, k) at every place of x (c, n, n), plus b (o).
export function conv(x, w, b, { o, c, k, n }) {
  const size = (n - k + 1) ** 2, out = new Float32Array(o * size);
  if (b) for (let a = 0; a < o; a++) out.fill(b[a], a * size, a * size + size);
  eachUse(o, c, k, n, (u, to, from, m) => {
    for (let q = 0; q < m; q++) out[to + q] += w[u] * x[from + q];
  });
  return out;
}

// What g, like the maps, sends back to the pictures: each place gets what each weight took from it,
export function convInput(g, w, { o, c, k, n }) {
  const gx = new Float32Array(c * n * n);
  eachUse(o, c, k, n, (u, to, from, m) => {
    for (let q = 0; q < m; q++) gx[from + q] += w[u] * g[to + q];
  });
  return gx;
}

// and to the kernels: what each weight saw, times what came back from where it saw it.
export function convWeight(g, x, { o, c, k, n }) {
  const gw = new Float32Array(o * c * k * k);
  eachUse(o, c, k, n, (u, to, from, m) => {
    let sum = 0;
    for (let q = 0; q < m; q++) sum += g[to + q] * x[from + q];
    gw[u] += sum;
  });
  return gw;
}

// The first largest entry of each window of 2 x 2 in x (c, n, n), and its place;
export function largest(x, c, n) {
  const m = Math.floor(n / 2), out = new Float32Array(c * m * m), at = new Int32Array(c * m * m);
  for (let i = 0; i < out.length; i++) {
    const q = i % m, r = Math.floor(i / m) % m, a = Math.floor(i / (m * m));
    const first = a * n * n + 2 * r * n + 2 * q;
    let best = first;
    for (const p of [first + 1, first + n, first + n + 1]) if (x[p] > x[best]) best = p;
    out[i] = x[best];
    at[i] = best;
  }
  return { out, at };
}

// g goes back to those places, and nothing to the others.
export function unpick(g, at, size) {
  const gx = new Float32Array(size);
  for (let i = 0; i < g.length; i++) gx[at[i]] += g[i];
  return gx;
}

// Scores as probabilities, and the loss of one example of class y with its gradient, p - y.
export function softmax(z) {
  const top = Math.max(...z), e = Array.from(z, (v) => Math.exp(v - top));
  const sum = e.reduce((a, b) => a + b, 0);
  return Float32Array.from(e, (v) => v / sum);
}
export function crossEntropy(z, y) {
  const top = Math.max(...z);
  return top - z[y] + Math.log(z.reduce((sum, v) => sum + Math.exp(v - top), 0));
}
export const crossEntropyInput = (z, y) => softmax(z).map((p, k) => p - (k === y ? 1 : 0));
