// The field that one draws in: pointer, touch and pen; undo, clear, width; and the test digits.
import { paintInk, paintStrokes } from './paint.js';
import { beginStroke, continueStroke, picture, show, undo } from './state.js';
import { FIELD } from './strokes.js';
import { article } from './words.js';

// What the field shows where it is no drawing; the next stroke takes its place.
const SHOWN = { digit: 'a test digit', pixels: 'changed by you, pixel by pixel',
  steps: 'changed by the network', grey: 'grey, as a beginning' };

// Where on the field an event is, in the field's own pixels.
function pointOf(field, event) {
  const box = field.getBoundingClientRect(), inner = field.clientWidth;
  const at = (v, start) => ((v - start) * FIELD) / inner;
  const [left, top] = [box.left + field.clientLeft, box.top + field.clientTop];
  return [at(event.clientX, left), at(event.clientY, top)];
}

// Lets a pointer draw: one at a time, all the points that the browser has noted.
export function listenToPen(field, app) {
  let pen = null;
  field.addEventListener('pointerdown', (event) => {
    if (pen !== null || event.button > 0) return;
    event.preventDefault();
    app.rest();
    pen = event.pointerId;
    field.setPointerCapture(pen);
    app.change((state) => beginStroke(state, pointOf(field, event), app.penWidth()));
  });
  field.addEventListener('pointermove', (event) => {
    if (event.pointerId !== pen) return;
    const all = event.getCoalescedEvents?.() ?? [], points = (all.length ? all : [event]);
    app.change((state) => continueStroke(state, points.map((e) => pointOf(field, e))));
  });
  const lift = (event) => { if (event.pointerId === pen) pen = null; };
  for (const name of ['pointerup', 'pointercancel']) field.addEventListener(name, lift);
}

// Buttons under the field.
export function listenToTools(one, app) {
  one('#undo').onclick = () => app.change(undo);
  one('#clear').onclick = () => app.change((state) => {
    show(state, {});
    state.ink.fill(0);
  });
  addEventListener('keydown', (event) => {
    if (event.key !== 'z' || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
    event.preventDefault();
    app.change(undo);
  });
}

// A button for each of some test digits, in order.
export function addDigits(box, app) {
  app.shelf.forEach(({ x, y }, k) => {
    const button = document.createElement('button'), canvas = document.createElement('canvas');
    button.type = 'button';
    button.setAttribute('aria-label', `test digit ${k + 1}, ${article(y)} ${y}`);
    button.onclick = () => app.change((state) => show(state, { kind: 'digit', x, taken: k }));
    button.append(canvas);
    box.append(button);
    app.onPalette((palette) => paintInk(canvas, x, 28, palette));
  });
  return [...box.children];
}

// What the field shows: the strokes, or the pixels of a picture that was not drawn.
export function paintField(one, { state, palette }) {
  const { kind, strokes, x } = picture(state), waiting = kind === 'example';
  const canvas = one('#paper'), drawn = kind === 'strokes';
  one('#field').classList.toggle('waiting', waiting);
  one('#hint').hidden = drawn ? strokes.length > 0 : !waiting;
  one('#shown').hidden = drawn || waiting;
  one('#shown').textContent = kind in SHOWN ? `${SHOWN[kind]}; draw to start over` : '';
  canvas.classList.toggle('coarse', !drawn);
  if (drawn) paintStrokes(canvas, strokes, FIELD, palette);
  else paintInk(canvas, x, 28, palette);
  one('#undo').disabled = state.pictures.length < 2;
  one('#clear').disabled = (drawn && !strokes.length) || waiting;
}
