// What the page knows, without a page: pictures and networks, and the way back from each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read } from '../../mlfound/page/reading.js';
import { beginStroke, continueStroke, editPixel, farthest, netOf } from '../../mlfound/page/state.js';
import { newState, picture, pixelsOf, stepPixels, takeStepsBack } from '../../mlfound/page/state.js';
import { train, undo, untrain } from '../../mlfound/page/state.js';

const w = Float32Array.from({ length: 7840 }, (_, k) => Math.sin(k) / 28);
const net = [{ rule: 'lin', d: 784, w, b: new Float32Array(10), maps: 10, side: 1 }];
const drawn = () => {
  const state = newState(net);
  beginStroke(state, [140, 40], 20);
  continueStroke(state, [[150, 140], [140, 240]]);
  pixelsOf(state);
  return state;
};

test('a stroke, and back', () => {
  const state = drawn(), { x } = picture(state);
  beginStroke(state, [40, 40], 20);
  continueStroke(state, [[60, 240]]);
  assert.notDeepEqual(pixelsOf(state), x);
  undo(state);
  assert.deepEqual(pixelsOf(state), x);
  undo(state);
  assert.equal(pixelsOf(state), null);
});

test('steps make the digit more probable, and all of them can be taken back', () => {
  const state = drawn(), { x } = picture(state), before = read(net, x).p[3];
  for (let k = 0; k < 5; k++) stepPixels(state, 3, 0.05, 'probability');
  assert.ok(read(net, picture(state).x).p[3] > before);
  assert.equal(picture(state).steps, 5);
  assert.ok(farthest(picture(state)) > 0.05 && farthest(picture(state)) <= 0.2501);
  takeStepsBack(state);
  assert.deepEqual(picture(state).x, x);
});

test('pixels stay between paper and ink', () => {
  const state = drawn();
  editPixel(state, 0, 3);
  assert.equal(picture(state).x[0], 255 / 256);
  editPixel(state, 0, -1);
  assert.equal(picture(state).x[0], 0);
});

test('a step of training lowers the loss on its digit; the old network comes back whole', () => {
  const state = drawn(), { before, after } = train(state, 3, 0.01);
  assert.ok(after[0] < before[0] && after[1] > before[1]);
  assert.notEqual(netOf(state), net);
  untrain(state);
  assert.equal(netOf(state), net);
  assert.deepEqual(net[0].w, w);
});
