// A tensor here is {shape, data}: its numbers in one row, the last axis fastest.

const sizeOf = shape => shape.reduce((a, b) => a*b, 1);

// Where entry k of a result of `shape` comes from in a tensor of shape `of` that is copied to it.
const source = (k, shape, of) => {
  let at = 0, step = 1;
  for (let d = 1; d <= of.length; d++) {
    const n = shape[shape.length - d], i = k % n, own = of[of.length - d];
    k = (k - i)/n;
    if (own > 1) at += i*step;
    step *= own;
  }
  return at;
};

// The shape to which several are copied: along each axis the longest.
const common = shapes => {
  const n = Math.max(...shapes.map(s => s.length));
  return Array.from({length: n}, (_, d) => Math.max(...shapes.map(s => s[s.length - n + d] ?? 1)));
};

// A function of numbers, entry by entry.
const each = (f, ...ts) => {
  const shape = common(ts.map(t => t.shape));
  const entry = (_, k) => f(...ts.map(t => t.data[source(k, shape, t.shape)]));
  return {shape, data: Array.from({length: sizeOf(shape)}, entry)};
};

// What was copied is summed: a gradient in the shape that the argument had.
const fit = (g, shape) => {
  const data = Array(sizeOf(shape)).fill(0), zeros = {shape, data: [...data]};
  const copied = each((g, z) => g + z, g, zeros); // a rule may answer with less than the shape
  copied.data.forEach((v, k) => { data[source(k, copied.shape, shape)] += v; });
  return {shape, data};
};

// (n, d) times (d, h).
const product = (x, w) => {
  const [n, d] = x.shape, h = w.shape[1], data = Array(n*h).fill(0);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < h; j++)
      for (let k = 0; k < d; k++) data[i*h + j] += x.data[i*d + k]*w.data[k*h + j];
  return {shape: [n, h], data};
};

const turned = ({shape: [n, h], data}) =>
  ({shape: [h, n], data: Array.from({length: n*h}, (_, k) => data[k % n*h + Math.floor(k/n)])});

const plus = (x, y) => each((a, b) => a + b, x, y);
const by = (x, y) => each((a, b) => a*b, x, y);
const minus = x => each(a => -a, x);

// The mean squared error of predictions, and its gradient for them.
const mse = (p, t) => {
  const total = each((a, b) => (a - b)**2, p, t).data.reduce((s, v) => s + v, 0);
  return {shape: [], data: [total/p.data.length]};
};
const miss = (g, p, t) => each((g, a, b) => 2*(a - b)*g/p.data.length, g, p, t);

// Each operation and, for each argument, its rule: upstream gradient, arguments, result.
export const operations = {
  add: [plus, g => g, g => g],
  sub: [(x, y) => plus(x, minus(y)), g => g, g => minus(g)],
  mul: [by, (g, [, y]) => by(g, y), (g, [x]) => by(g, x)],
  div: [(x, y) => each((a, b) => a/b, x, y), (g, [, y]) => each((g, y) => g/y, g, y),
    (g, [, y], out) => each((g, y, z) => -g*z/y, g, y, out)],
  neg: [minus, minus],
  exp: [x => each(Math.exp, x), (g, _, out) => by(g, out)],
  log: [x => each(Math.log, x), (g, [x]) => each((g, x) => g/x, g, x)],
  relu: [x => each(z => Math.max(z, 0), x), (g, _, out) => each((g, a) => a > 0 ? g : 0, g, out)],
  matmul: [product, (g, [, y]) => product(g, turned(y)), (g, [x]) => product(turned(x), g)],
  linear: [(x, w, b) => plus(product(x, w), b), (g, [, w]) => product(g, turned(w)),
    (g, [x]) => product(turned(x), g), g => g],
  mse_loss: [mse, (g, [p, t]) => miss(g, p, t), (g, [p, t]) => minus(miss(g, p, t))],
};

// All of a tape computed again: its values, what each rule sends, and what has arrived by then.
export const replay = ({cards, events, seed}) => {
  const values = [], sent = [seed], totals = [seed], arrived = {[cards.length - 1]: seed};
  const given = a => Number.isInteger(a) ? values[a] : {shape: [], data: [a.number]};
  for (const c of cards) values.push(c.op ? operations[c.op][0](...c.args.map(given)) : c);
  for (const [from, place, to] of events) {
    const {op, args} = cards[from], rule = operations[op][place + 1];
    const g = fit(rule(arrived[from], args.map(given), values[from]), values[to].shape);
    arrived[to] = arrived[to] ? plus(arrived[to], g) : g;
    sent.push(g);
    totals.push(arrived[to]);
  }
  return {values, sent, totals};
};
