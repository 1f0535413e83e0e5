// The answer with its ten probabilities, and the hidden layers as pictures.
import { backward } from './network.js';
import { paintInk, paintSigned } from './paint.js';
import { contributions, hiddenLayers, oneOf } from './reading.js';
import { netOf } from './state.js';
import { percent, short, signed, unitLine } from './words.js';

const MOST_UNITS = 24; // of a layer without maps: the strongest

// A bar for each digit; choosing one asks for the gradient of its score.
export function addBars(box, app) {
  for (let k = 0; k < 10; k++) {
    const button = document.createElement('button');
    button.type = 'button';
    button.innerHTML = '<span class="name"></span>'
      + '<span class="track" aria-hidden="true"><span class="fill"></span></span>'
      + '<span class="p"></span>';
    button.firstChild.textContent = k;
    button.onclick = () => {
      app.unit = null;
      app.change((state) => { state.asked = state.asked === k ? null : k; });
    };
    box.append(button);
  }
}

export function paintAnswer(one, { reading, state }) {
  one('#answer').textContent = reading ? reading.answer : '–';
  one('#sure').textContent = reading ? `with probability ${percent(reading.p[reading.answer])}`
    : 'Nothing is drawn yet.';
  [...one('#bars').children].forEach((button, k) => {
    const p = reading ? reading.p[k] : 0;
    button.classList.toggle('best', reading?.answer === k);
    button.setAttribute('aria-pressed', state.asked === k);
    button.querySelector('.fill').style.setProperty('--p', p);
    button.querySelector('.p').textContent = reading ? short(p) : '';
  });
}

// A heading and a grid for each hidden layer that is shown, with its canvases.
export function addLayers(box, app) {
  const net = netOf(app.state), layers = hiddenLayers(net);
  return layers.map((layer, nth) => {
    const { maps, side } = net[layer], part = document.createElement('div');
    const title = document.createElement('h3'), grid = document.createElement('div');
    const which = layers.length === 1 ? 'hidden' : nth ? 'last' : 'first';
    const small = maps > MOST_UNITS ? `: the ${MOST_UNITS} that add most` : '';
    const size = side > 1 ? `, ${side} × ${side} each` : '';
    title.textContent = `${maps} ${which} ${side > 1 ? 'maps' : 'units'}${size}${small}`;
    grid.className = 'maps';
    part.className = 'layer';
    part.append(title, grid);
    box.append(part);
    const some = { length: Math.min(maps, MOST_UNITS) };
    return { layer, cells: Array.from(some, () => addMap(grid, app, layer)) };
  });
}

function addMap(grid, app, layer) {
  const button = document.createElement('button'), canvas = document.createElement('canvas');
  const cell = { button, canvas, share: document.createElement('span'), index: 0 };
  button.type = 'button';
  button.className = 'map';
  button.onclick = () => {
    const same = app.unit?.layer === layer && app.unit.index === cell.index;
    app.unit = same ? null : { layer, index: cell.index };
    app.paint();
  };
  button.append(canvas, cell.share);
  grid.append(button);
  return cell;
}

// What a unit of a layer without maps looks for, pixel by pixel: its weights, or, further inside,
// the gradient of its sum.
function lookedFor(net, kept, layer, index) {
  const { w, d, maps } = net[layer - 1];
  if (layer === 1) return Float32Array.from({ length: d }, (_, i) => w[i * maps + index]);
  return backward(net, kept, oneOf(maps, index), layer - 1)[0];
}

// A map as ink, or a unit as its weights; and what it adds to the score.
function paintMap({ button, canvas, share, index }, app, { layer, sums, most }) {
  const net = netOf(app.state), { side } = net[layer], n = side * side;
  const values = app.reading.kept[layer].out.subarray(index * n, index * n + n);
  if (side > 1) {
    paintInk(canvas, values, side, app.palette, most);
  } else {
    paintSigned(canvas, lookedFor(net, app.reading.kept, layer, index), 28, app.palette);
  }
  share.textContent = signed(sums[index]);
  share.className = sums[index] > 0 ? 'plus' : sums[index] < 0 ? 'minus' : '';
  const chosen = app.unit?.layer === layer && app.unit.index === index;
  button.setAttribute('aria-pressed', chosen);
  const name = side > 1 ? 'map' : 'unit';
  button.setAttribute('aria-label', `${name} ${index + 1}: ${signed(sums[index])}`);
}

// All layers, the strongest contributions first where not all are shown; and the chosen one's line.
export function paintLayers(one, app) {
  const { reading, unit, parts } = app, net = netOf(app.state);
  one('#layers').hidden = !reading;
  one('#inside').hidden = !parts.length;
  if (!reading) return;
  for (const { layer, cells } of parts) {
    const sums = contributions(net, reading, layer), all = [...sums.keys()];
    if (cells.length < sums.length) all.sort((a, b) => Math.abs(sums[b]) - Math.abs(sums[a]));
    const most = Math.max(...reading.kept[layer].out) || 1;
    cells.forEach((cell, k) => {
      cell.index = all[k];
      paintMap(cell, app, { layer, sums, most });
    });
  }
  const sums = unit && contributions(net, reading, unit.layer);
  const line = unit ? unitLine(net, reading, unit.layer, unit.index, sums[unit.index])
    : 'Choose one to see what of the picture it answers to, and what it adds.';
  if (one('#unit').textContent !== line) one('#unit').textContent = line;
}
