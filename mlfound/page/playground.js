// The page: what it carries is unpacked, its parts put together, and painted when things change.
import { addTargets, listenToChange, listenToTeaching } from './change.js';
import { paintChange, paintTeaching } from './change.js';
import { addDigits, listenToPen, listenToTools, paintField } from './field.js';
import { addBars, addLayers, paintAnswer, paintLayers } from './inside.js';
import { backward, forward, unpack, weightGradients } from './network.js';
import { colours } from './paint.js';
import { listenToPixels, paintPixels } from './pixels.js';
import { prepare } from './prepare.js';
import { read } from './reading.js';
import { netOf, newState, picture, pixelsOf, show } from './state.js';
import { inked } from './strokes.js';
import { answerLine } from './words.js';

const SETTLED = 700, SHELF = 10, FIRST = 0; // milliseconds; test digits in sight; the one at first

// The test digits that the page carries: bytes of u, pixels of u/256.
function digitsIn({ digits, labels }) {
  const bytes = Uint8Array.from(atob(digits), (c) => c.charCodeAt(0));
  return labels.map((y, k) => ({
    y, x: Float32Array.from(bytes.subarray(784 * k, 784 * k + 784), (u) => u / 256),
  }));
}

// One test digit of each kind, from 0 to 9, as far as they are there.
const shelfOf = (digits) => Array.from({ length: SHELF }, (_, y) => digits.find((d) => d.y === y))
  .filter((d) => d);

// Everything the parts of the page share, and `change`, by which they change it.
function newApp(one, data) {
  const digits = digitsIn(data), painters = [], frames = [];
  const app = { state: newState(unpack(data.network)), digits, shelf: shelfOf(digits), frames,
    unit: null, pixel: null, byKey: false, chosen: {}, goal: 'probability',
    taught: null, running: false, reading: null };
  let wanted = null, settled = null;
  app.penWidth = () => Number(one('#width').value);
  app.onPalette = (painter) => painters.push(painter);
  app.readNow = (net) => read(net, picture(app.state).x, app.state.asked);
  app.frame = () => {
    const start = performance.now();
    wanted = null;
    app.reading = pixelsOf(app.state) ? app.readNow(netOf(app.state)) : null;
    paintAll(one, app);
    if (app.reading) frames.push(performance.now() - start);
    if (frames.length > 500) frames.shift();
  };
  app.paint = () => { wanted ??= requestAnimationFrame(app.frame); };
  app.change = (how) => {
    how(app.state);
    app.paint();
    clearTimeout(settled);
    settled = setTimeout(() => say(one, app), SETTLED);
  };
  app.runs = (on) => {
    app.running = on;
    app.paint();
  };
  app.repaint = () => {
    app.palette = colours(document.documentElement);
    for (const painter of painters) painter(app.palette);
    app.paint();
  };
  return app;
}

function say(one, { reading, state }) {
  const { note } = picture(state), but = note ? ` But this looks like ${note}.` : '';
  const steps = picture(state).steps ? ` ${one('#changed').textContent}` : '';
  one('#said').textContent = reading ? answerLine(reading) + but + steps : '';
  const little = `This looks like ${note}: what the network says of it means little.`;
  one('#note').textContent = note ? little : '';
}

function paintAll(one, app) {
  const { taken } = picture(app.state);
  document.body.classList.toggle('empty', !app.reading);
  paintField(one, app);
  paintPixels(one, app);
  paintAnswer(one, app);
  paintLayers(one, app);
  paintChange(one, app);
  paintTeaching(one, app);
  [...one('#digits').children].forEach((b, k) => b.setAttribute('aria-pressed', taken === k));
}

// Light or dark: as the system says, or as the page around this one does, which is told our height.
// #compact shows what one draws and what is read, #compact-dark does so in the dark.
function obeySurroundings(app) {
  const root = document.documentElement;
  const dress = (theme) => {
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
    else delete root.dataset.theme;
    app.repaint();
  };
  const tall = () => document.body.getBoundingClientRect().height;
  const tell = () => parent.postMessage({ mlfound: 'height', height: tall() }, '*');
  addEventListener('message', ({ data }) => {
    if (data?.mlfound !== 'theme') return;
    dress(data.theme);
    tell();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', app.repaint);
  const wishes = location.hash.slice(1).split('-');
  root.classList.toggle('compact', wishes.includes('compact'));
  document.querySelector('#whole').href = location.href.split('#')[0];
  dress(wishes.at(-1));
  if (parent !== window) new ResizeObserver(tell).observe(document.body);
}

// Puts the page together.
function start(document) {
  const one = (selector) => document.querySelector(selector);
  const data = JSON.parse(one('#data').textContent), app = newApp(one, data);
  addDigits(one('#digits'), app);
  addBars(one('#bars'), app);
  for (const id of ['#target', '#truth']) addTargets(one(id));
  one('#target').value = 3;
  one('#truth').value = 3;
  app.parts = addLayers(one('#layers'), app);
  one('#about').textContent = data.about;
  listenToPen(one('#field'), app);
  listenToTools(one, app);
  listenToPixels(one('#seen'), app);
  listenToChange(one, app);
  listenToTeaching(one, app);
  one('#heat').onchange = app.paint;
  show(app.state, { kind: 'example', x: app.digits[FIRST].x });
  app.state.pictures.shift();
  obeySurroundings(app);
  new ResizeObserver(app.paint).observe(one('#field'));
  globalThis.playground = { app, backward, forward, inked, prepare, read, weightGradients };
}

start(document);
