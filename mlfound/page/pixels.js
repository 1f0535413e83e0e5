// The picture as the network sees it, with the gradient over it, and a cursor for the keyboard.
import { paintInk, paintSigned } from './paint.js';
import { unitGradient } from './reading.js';
import { editPixel, netOf, picture } from './state.js';
import { pixelLine } from './words.js';

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
  const look = (at) => {
    app.pixel = at;
    app.paint();
  };
  box.addEventListener('pointermove', (event) => look(pixelAt(box, event)));
  box.addEventListener('pointerdown', (event) => look(pixelAt(box, event)));
  box.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = app.pixel ?? 14 * 28 + 14, move = MOVES[event.key];
    if (move) {
      const [r, c] = [Math.floor(at / 28) + move[0], (at % 28) + move[1]];
      look(Math.min(Math.max(r, 0), 27) * 28 + Math.min(Math.max(c, 0), 27));
    }
    const ink = edited(event.key, picture(app.state).x?.[at] ?? 0);
    if (ink !== null) app.change((state) => editPixel(state, at, ink));
    if (move || ink !== null) event.preventDefault();
  });
}

// The gradient that is shown: of a score, or of the unit that is looked at.
function shown({ state, reading, unit }) {
  if (!unit) return reading.back[0];
  return unitGradient(netOf(state), reading, unit.layer, unit.index);
}

// Ink, the gradient over it, the cursor, and the line under it.
export function paintPixels(one, app) {
  const { reading, palette, pixel } = app, canvas = one('#pixels'), cursor = one('#cursor');
  const x = reading?.x ?? new Float32Array(784);
  if (reading && one('#heat').checked) paintSigned(canvas, shown(app), 28, palette, x);
  else paintInk(canvas, x, 28, palette);
  one('#of').textContent = app.unit ? 'this map or unit' : (reading?.of ?? '…');
  cursor.hidden = pixel === null;
  if (pixel !== null) {
    cursor.style.setProperty('left', `${(100 * (pixel % 28)) / 28}%`);
    cursor.style.setProperty('top', `${(100 * Math.floor(pixel / 28)) / 28}%`);
  }
  const idle = 'Point at a pixel, or move there with the arrow keys, to see its number.';
  const line = pixel !== null && reading ? pixelLine(netOf(app.state), reading, pixel) : idle;
  if (one('#readout').textContent !== line) one('#readout').textContent = line;
}
