// Ink becomes 28 x 28 pixels: where it lies, how thick, and what is not taken for ink.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prepare } from '../../mlfound/page/prepare.js';
import { FIELD, inked } from '../../mlfound/page/strokes.js';

const rows = (x) => Array.from({ length: 28 }, (_, r) => Math.max(...x.subarray(28 * r, 28 * r + 28)));
const tall = (x) => rows(x).filter((v) => v > 0.3).length;
const stroke = (width, ...points) => ({ width, points });

test('nothing is nothing', () => {
  assert.equal(prepare(inked([]), FIELD).x, null);
});

test('a line is 20 pixels tall, whatever its size, and in the middle', () => {
  const small = prepare(inked([stroke(12, [30, 30], [30, 110])]), FIELD).x;
  const large = prepare(inked([stroke(30, [200, 20], [200, 220])]), FIELD).x;
  for (const x of [small, large]) {
    assert.equal(tall(x), 20);
    const mass = x.reduce((s, v) => s + v), mean = (of) => x.reduce((s, v, i) => s + v * of(i), 0) / mass;
    const [right, down] = [mean((i) => i % 28), mean((i) => Math.floor(i / 28))];
    assert.ok(Math.max(Math.abs(right - 14), Math.abs(down - 14)) <= 0.6, `${right} ${down}`);
  }
});

test('a speck beside a digit is left out', () => {
  const line = stroke(20, [140, 40], [140, 240]), speck = stroke(8, [20, 20]);
  assert.deepEqual(prepare(inked([line, speck]), FIELD).x, prepare(inked([line]), FIELD).x);
});

test('a scratch beside a digit is left out, though it is long', () => {
  const line = stroke(20, [140, 40], [140, 240]), scratch = stroke(2, [20, 20], [20, 80]);
  assert.deepEqual(prepare(inked([line, scratch]), FIELD).x, prepare(inked([line]), FIELD).x);
});

test('a thin line comes out as thick as a pen of MNIST', () => {
  const { x } = prepare(inked([stroke(8, [140, 20], [140, 260])]), FIELD);
  const row = x.subarray(28 * 14, 28 * 15).reduce((a, b) => a + b);
  assert.ok(row > 1.9 && row < 2.6, row);
});

test('a blot and a lying line are noted', () => {
  assert.match(prepare(inked([stroke(90, [140, 140])]), FIELD).note, /blot/);
  assert.match(prepare(inked([stroke(16, [40, 140], [240, 140])]), FIELD).note, /twice as wide/);
});
