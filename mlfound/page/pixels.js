// The picture as the network sees it, with the gradient over it, and a cursor for the keyboard.
import { paintInk, paintSigned } from './paint.js';
import { unitGradients } from './reading.js';
import { editPixel, netOf, picture } from './state.js';
import { article, pixelLine, unitName } from './words.js';

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// The pixel under an event.
function pixelAt(box, event) {
  const b = box.getBoundingClientRect();
  const at = (v, start, long) => Math.min(Math.max(Math.floor((28 * (v - start)) / long), 0), 27);
  return at(event.clientY, b.top, b.height) * 28 + at(event.clientX, b.left, b.width);
}

// What a key makes of a pixel's ink; null if the key means nothing here.
function edited(key, ink) {
  if (key === ' ' || key === 'Enter') return ink > 0.5 ? 0 : 1;
  if (key === '+' || key === '=') return ink + 0.1;
  if (key === '-') return ink - 0.1;
  return key === 'Delete' || key === 'Backspace' ? 0 : null;
}

// Keys and pointer choose a pixel; keys edit it.
export function listenToPixels(box, app) {
  const look = (at, byKey = false) => {
    Object.assign(app, { pixel: at, byKey });
    app.paint();
  };
  for (const name of ['pointermove', 'pointerdown'])
    box.addEventListener(name, (event) => look(pixelAt(box, event)));
  box.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = app.pixel ?? 14 * 28 + 14, move = MOVES[event.key];
    if (move) {
      const [r, c] = [Math.floor(at / 28) + move[0], (at % 28) + move[1]];
      look(Math.min(Math.max(r, 0), 27) * 28 + Math.min(Math.max(c, 0), 27), true);
    }
    const ink = edited(event.key, picture(app.state).x?.[at] ?? 0);
    if (ink !== null) {
      look(at, true);
      app.change((state) => editPixel(state, at, ink));
    }
    if (move || ink !== null) event.preventDefault();
  });
}

// Whose gradient is shown, and the gradients: of a score, or of the unit that is looked at.
function looked({ state, reading, unit }) {
  const { of, back } = reading;
  if (!unit) return { name: `${article(of)} ${of}`, what: `the score of ${of}`, back };
  const { layer, index } = unit, net = netOf(state), name = unitName(net, layer, index);
  const what = net[layer].side > 1 ? `the sum of ${name}` : name;
  return { name, what, back: unitGradients(net, reading, layer, index) };
}

// Ink, the gradient over it, the cursor, and the line under it.
export function paintPixels(one, app) {
  const { reading, palette, pixel } = app, canvas = one('#pixels'), cursor = one('#cursor');
  const x = reading?.x ?? new Float32Array(784), seen = reading && looked(app);
  if (reading && one('#heat').checked) paintSigned(canvas, seen.back[0], 28, palette, x);
  else paintInk(canvas, x, 28, palette);
  one('#of').textContent = seen?.name ?? '…';
  cursor.hidden = pixel === null;
  if (pixel !== null) {
    cursor.style.setProperty('left', `${(100 * (pixel % 28)) / 28}%`);
    cursor.style.setProperty('top', `${(100 * Math.floor(pixel / 28)) / 28}%`);
  }
  const idle = 'Point at a pixel, or move there with the arrow keys, to see its number.';
  const line = pixel !== null && reading ? pixelLine(netOf(app.state), x, pixel, seen) : idle;
  const readout = one('#readout'), aloud = app.byKey && !app.running ? 'polite' : 'off';
  if (readout.getAttribute('aria-live') !== aloud) readout.setAttribute('aria-live', aloud);
  if (readout.textContent !== line) readout.textContent = line;
}
