// The rules against small numbers that one works out by hand, and against differences.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backward, forward, weightGradients } from '../../mlfound/page/network.js';
import { conv, crossEntropy, crossEntropyInput, largest, lin } from '../../mlfound/page/rules.js';
import { linInput, linWeight, padded, softmax, unpick } from '../../mlfound/page/rules.js';

const f32 = (...v) => Float32Array.from(v);
const near = (got, want, within = 1e-5) => got.forEach((v, k) =>
  assert.ok(Math.abs(v - want[k]) <= within, `${k}: ${v} is not ${want[k]}`));

test('the network 2-2-1 of the book', () => {
  const w = f32(3, 1, 1, -2), x = f32(1, 2);
  assert.deepEqual(lin(x, w, f32(-1, 0)), f32(4, -3));
  assert.deepEqual(linInput(f32(1, 10), w, 2), f32(13, -19));
  assert.deepEqual(linWeight(f32(1, 10), x), f32(1, 10, 2, 20));
});

test('a window at every place', () => {
  const x = f32(1, 2, 3, 4, 5, 6, 7, 8, 9), how = { o: 1, c: 1, k: 2, n: 3 };
  assert.deepEqual(conv(x, f32(1, 0, 0, 1), f32(10), how), f32(16, 18, 22, 24));
  assert.deepEqual(padded(f32(5), 1, 1, 1), f32(0, 0, 0, 0, 5, 0, 0, 0, 0));
});

test('the first largest wins, and gets all that comes back', () => {
  const { out, at } = largest(f32(1, 3, 9, 3, 2, 9, 0, 0, 9), 1, 3);
  assert.deepEqual([out, at], [f32(3), Int32Array.from([1])]);
  assert.deepEqual(unpick(f32(7), at, 9), f32(0, 7, 0, 0, 0, 0, 0, 0, 0));
});

test('probabilities, the loss and its gradient', () => {
  near(softmax(f32(0, Math.log(3))), [0.25, 0.75]);
  assert.ok(Math.abs(crossEntropy(f32(0, Math.log(3)), 0) - Math.log(4)) < 1e-6);
  near(crossEntropyInput(f32(0, Math.log(3)), 0), [-0.75, 0.75]);
  near(softmax(f32(1000, 0)), [1, 0]);
});

// Numbers that look like chance and are always the same.
const drawn = (n, seed) => Float32Array.from({ length: n }, (_, k) =>
  Math.sin(12.9898 * (k + 1) + 78.233 * seed));

const NET = [
  { rule: 'conv', o: 2, c: 1, k: 3, n: 8, p: 1, w: drawn(18, 1), b: drawn(2, 2), maps: 2, side: 6 },
  { rule: 'pool', c: 2, n: 6, maps: 2, side: 3 },
  { rule: 'scale', c: 2, w: drawn(2, 3), b: drawn(2, 4), maps: 2, side: 3 },
  { rule: 'relu', maps: 2, side: 3 },
  { rule: 'lin', d: 18, w: drawn(54, 5), b: drawn(3, 6), maps: 3, side: 1 },
];

test('every gradient of a network is the slope that a nudge finds', () => {
  const x = drawn(36, 7), up = f32(1, -2, 0.5), step = 1e-2;
  const value = (net, input) => forward(net, input).at(-1).out.reduce((s, v, k) => s + v * up[k], 0);
  const kept = forward(NET, x), grads = weightGradients(NET, kept, up);
  const slope = (f) => (f(step) - f(-step)) / (2 * step);
  const moved = (t, i, by) => t.map((v, k) => (k === i ? v + by : v));
  backward(NET, kept, up)[0].forEach((g, i) =>
    near([slope((by) => value(NET, moved(x, i, by)))], [g], 2e-3));
  NET.forEach((layer, l) => Object.entries(grads[l] ?? {}).forEach(([name, t]) =>
    t.forEach((g, i) => {
      const f = (by) => value(NET.with(l, { ...layer, [name]: moved(layer[name], i, by) }), x);
      near([slope(f)], [g], 2e-3);
    })));
});
