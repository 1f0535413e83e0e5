// What the page knows, and how it changes: nothing here touches the page itself.
import { backward, stepped, weightGradients } from './network.js';
import { prepare } from './prepare.js';
import { oneOf, read } from './reading.js';
import { crossEntropy, crossEntropyInput, softmax } from './rules.js';
import { addStroke, FIELD, inked } from './strokes.js';

const BLANK = { kind: 'strokes', strokes: [], x: null, note: '', steps: 0 };

// The pictures so far, the last one in sight, and the networks so far, the last one at work.
export function newState(net) {
  return { nets: [net], pictures: [BLANK], ink: inked([]), asked: null };
}
export const netOf = (state) => state.nets.at(-1);
export const picture = (state) => state.pictures.at(-1);

// A further picture, which `undo` takes away again.
export function show(state, next) {
  state.pictures.push({ ...BLANK, ...next });
  if (state.pictures.length > 400) state.pictures.splice(1, 1);
}
export function undo(state) {
  if (state.pictures.length > 1) state.pictures.pop();
  state.ink = inked(picture(state).strokes);
}

// A stroke begins. What was there before, if it was no drawing, makes room.
export function beginStroke(state, point, width) {
  const strokes = picture(state).kind === 'strokes' ? picture(state).strokes : [];
  show(state, { strokes: [...strokes, { width, points: [point] }] });
  state.ink = inked(picture(state).strokes);
}
export function continueStroke(state, points) {
  if (picture(state).kind !== 'strokes') return;
  const stroke = picture(state).strokes.at(-1), from = stroke.points.length;
  stroke.points.push(...points);
  addStroke(state.ink, stroke, from);
  picture(state).x = null;
}

// The pixels that the network sees, made of the strokes if need be; null where there is no ink.
export function pixelsOf(state) {
  const now = picture(state);
  if (!now.x && now.strokes.length) Object.assign(now, prepare(state.ink, FIELD));
  return now.x;
}

// One pixel of the picture, edited.
export function editPixel(state, i, value) {
  const x = Float32Array.from(picture(state).x ?? new Float32Array(784));
  x[i] = Math.min(Math.max(value, 0), 255 / 256);
  show(state, { kind: 'pixels', x });
}

// The way in which the pixels must move: to make a digit more probable, or its score larger.
export function uphill(net, { kept, scores }, digit, goal) {
  const g = goal === 'score' ? oneOf(scores.length, digit)
    : crossEntropyInput(scores, digit).map((v) => -v);
  return backward(net, kept, g)[0];
}

// A step along that gradient; the pixel that moves most moves by `size`.
export function stepPixels(state, digit, size, goal) {
  const { x, steps, kind, from } = picture(state), net = netOf(state);
  const g = uphill(net, read(net, x), digit, goal), most = Math.max(...g.map(Math.abs)) || 1;
  const moved = x.map((v, i) => Math.min(Math.max(v + (size * g[i]) / most, 0), 255 / 256));
  show(state, { kind: 'steps', x: moved, steps: steps + 1, from: kind === 'steps' ? from : x });
}

// How far the farthest pixel is from where it was before the first step.
export function farthest({ x, from }) {
  return from ? Math.max(...x.map((v, i) => Math.abs(v - from[i]))) : 0;
}
export function takeStepsBack(state) {
  while (picture(state).kind === 'steps') undo(state);
}

// One step of training on the picture in sight: loss and probability before and after.
export function train(state, digit, rate) {
  const net = netOf(state), { x } = picture(state), { kept, scores } = read(net, x);
  const next = stepped(net, weightGradients(net, kept, crossEntropyInput(scores, digit)), rate);
  state.nets.push(next);
  const after = read(next, x).scores, said = (z) => [crossEntropy(z, digit), softmax(z)[digit]];
  return { digit, before: said(scores), after: said(after) };
}
export function untrain(state) {
  if (state.nets.length > 1) state.nets.pop();
}

// How many of some digits the network reads right.
export function rightOf(net, digits) {
  return digits.filter(({ x, y }) => read(net, x).answer === y).length;
}
