// What the page says, in whole sentences.
import { paths } from './reading.js';

export const number = (v, digits = 3) => {
  const text = Math.abs(v) < 1e-4 ? '0' : String(Number(v.toPrecision(digits)));
  return text.replace('-', '\u2212');
};
export const signed = (v, digits = 2) => (v < 0 ? '' : '+') + number(v, digits);

// As a share of a hundred that is never more certain than it is.
export function percent(p) {
  if (p > 0.9995) return 'over 99.9 %';
  if (p < 0.0005) return 'under 0.1 %';
  return `${(100 * p).toFixed(1)} %`;
}

// The same where there is little room.
export const short = (p) => percent(p).replace('over ', '>').replace('under ', '<');

// A pixel's path to the score, in one line.
export function pixelLine(net, reading, i) {
  const { x, back, of } = reading, { all, live } = paths(net, reading, i), g = back[0][i];
  const where = `Row ${Math.floor(i / 28) + 1}, column ${(i % 28) + 1}`;
  const effect = `a tenth more ink changes the score of ${of} by ${signed(g / 10)}`;
  return `${where}: ink ${number(x[i], 2)}, gradient ${signed(g)}; ${effect}. `
    + `${all} sums of the first layer use this pixel, and through ${live} of them something `
    + 'comes back.';
}

// A unit's or map's path to the score, in one line.
export function unitLine(net, reading, k, unit, share) {
  const { maps, side } = net[k], values = reading.kept[k].out, n = side * side;
  const own = Array.from(values.subarray(unit * n, unit * n + n)), most = Math.max(...own);
  const name = `${side > 1 ? 'Map' : 'Unit'} ${unit + 1} of ${maps}`;
  if (most === 0) return `${name} is silent: all its sums are below zero, and relu made them 0.`;
  const at = own.indexOf(most);
  const where = side > 1 ? ` in row ${Math.floor(at / side) + 1}, column ${(at % side) + 1}` : '';
  const last = k === net.length - 2, by = last ? 'weight' : 'gradient';
  return `${name} reaches ${number(most)}${where}; its ${side > 1 ? 'values' : 'value'} times `
    + `${by} adds ${signed(share)} to the score of ${reading.of}, `
    + `which is ${number(reading.scores[reading.of])}.`;
}

// The answer for those who do not see the page.
export function answerLine({ p, answer }) {
  const second = p.indexOf(Math.max(...p.filter((_, k) => k !== answer)));
  return `The network reads ${answer}, ${percent(p[answer])}; then ${second}, ${percent(p[second])}.`;
}
