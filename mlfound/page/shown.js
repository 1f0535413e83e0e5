import { number, whole } from './figure.js';

// The rows of a tensor {shape, data}.
const rowsOf = ({shape, data}) => {
  const n = shape.at(-1) ?? 1;
  return Array.from({length: data.length/n}, (_, i) => data.slice(i*n, (i + 1)*n));
};

// The numbers of a very small tensor, or '' if there are too many.
const few = t => {
  if (t.data.length == 1) return number(t.data[0]);
  if (t.data.length > 4) return '';
  const words = rowsOf(t).map(r => r.map(number).join(' ')).join('; ');
  return words.length <= 12 ? `[${words}]` : '';
};

const short = t => few(t) || t.shape.join('×');

// A tensor as squares, filled where positive, hollow where negative; '' if they were too small.
const squares = (t, width, height) => {
  const rows = rowsOf(t), side = Math.min(9, width/rows[0].length, height/rows.length);
  if (t.data.length < 2 || side < 3.5 || !t.data.every(Number.isFinite)) return '';
  const most = Math.max(...t.data.map(Math.abs)) || 1, drop = 5*(height - side*rows.length);
  const paths = {plus: '', minus: ''};
  rows.forEach((row, i) => row.forEach((v, j) => {
    const s = whole(Math.max((side - 1)*Math.sqrt(Math.abs(v)/most), .8)*10);
    const x = whole((j + .5)*side*10 - s/2), y = whole((i + .5)*side*10 + drop - s/2);
    paths[v < 0 ? 'minus' : 'plus'] += `M${x} ${y}h${s}v${s}h-${s}z`;
  }));
  const drawn = Object.entries(paths).filter(([, d]) => d);
  return drawn.map(([kind, d]) => `<path class="${kind}" d="${d}"/>`).join('');
};

const text = words => `<text x="0" y="13">${words}</text>`;

// What stands in a card, or in its drawer.
const inCard = (t, words) => few(t) ? text(few(t)) : squares(t, 66, 18) || text(words);
const card = t => inCard(t, t.data.every(Number.isFinite) ? '' : 'not finite');
const drawer = t => inCard(t, `up to ${number(Math.max(...t.data.map(Math.abs)))}`);

// What was sent along an arrow, on a chip as wide as its words.
const chip = t => {
  const picture = few(t) ? '' : squares(t, 36, 11), words = short(t);
  const half = picture ? 21 : +(3.3*words.length + 5).toFixed(4);
  const inside = picture ? `<g transform="translate(-18 -5.5)">${picture}</g>`
    : `<text y="4" text-anchor="middle">${words}</text>`;
  const box = `<rect x="${-half}" y="-7.5" width="${2*half}" height="15" rx="7.5"/>`;
  return box + inside;
};

// How much of its colour a number has, and all numbers in a table.
const top = t => Math.max(0, ...t.data.map(Math.abs).filter(Number.isFinite)) || 1;
export const tint = (t, v) => Number.isFinite(v) ? Math.min(Math.abs(v)/top(t), 1).toFixed(2) : 1;
const table = t => {
  const cell = v => `<td${v < 0 ? ' class="m"' : ''} data-a="${tint(t, v)}">${number(v)}</td>`;
  return `<table>${rowsOf(t).map(r => `<tr>${r.map(cell).join('')}</tr>`).join('')}</table>`;
};

// Puts what is there to see of a tensor in the place `e`, in the way that `e` asks for.
const ways = {few, short, card, drawer, chip, table};
export const put = (e, way, t) => {
  e.innerHTML = ways[way](t);
  for (const td of e.querySelectorAll('[data-a]')) td.style.setProperty('--a', td.dataset.a);
};
