// What the page says, in whole sentences.
import { paths } from './reading.js';

export const number = (v, digits = 3) => {
  const text = Math.abs(v) < 1e-4 ? '0' : String(Number(v.toPrecision(digits)));
  return text.replace('-', '\u2212');
};
export const signed = (v, digits = 2) => {
  const text = number(v, digits);
  return text === '0' || v < 0 ? text : `+${text}`;
};

// As a share of a hundred that is never more certain than it is.
export function percent(p) {
  if (p > 0.9995) return 'over 99.9 %';
  if (p < 0.0005) return 'under 0.1 %';
  return `${(100 * p).toFixed(1)} %`;
}

// The same where there is little room.
export const short = (p) => percent(p).replace('over ', '>').replace('under ', '<');

// The pixel's path to what is asked for, `what`, whose gradients are `back`, in one line.
export function pixelLine(net, x, i, { what, back }) {
  const { all, live } = paths(net, back, i), g = back[0][i];
  const where = `Row ${Math.floor(i / 28) + 1}, column ${(i % 28) + 1}`;
  return `${where}: ink ${number(x[i], 2)}, gradient ${signed(g)}: a tenth more ink changes `
    + `${what} by ${signed(g / 10)}. ${all} sums of the first layer use this pixel; something `
    + `comes back through ${live} of them.`;
}

// What a map or a unit is called.
export function unitName(net, k, unit) {
  return `${net[k].side > 1 ? 'map' : 'unit'} ${unit + 1} of ${net[k].maps}`;
}
export const count = (n, thing) => `${n} ${thing}${n === 1 ? '' : 's'}`;
export const article = (digit) => (Number(digit) === 8 ? 'an' : 'a');
const capital = (text) => text[0].toUpperCase() + text.slice(1);

// A unit's or map's path to the score, in one line.
export function unitLine(net, reading, k, unit, share) {
  const { side } = net[k], values = reading.kept[k].out, n = side * side;
  const own = Array.from(values.subarray(unit * n, unit * n + n)), most = Math.max(...own);
  const name = capital(unitName(net, k, unit));
  if (most === 0) return `${name} is silent: all its sums are below zero, and relu made them 0.`;
  const at = own.indexOf(most);
  const where = side > 1 ? ` in row ${Math.floor(at / side) + 1}, column ${(at % side) + 1}` : '';
  const by = k === net.length - 2 ? 'weight' : 'gradient';
  const whole = `the score of ${reading.of}, which is ${number(reading.scores[reading.of])}`;
  const adds = `adds ${signed(share)} to ${whole}.`;
  if (side === 1) return `${name} is ${number(most)}; times its ${by} that ${adds}`;
  return `${name} reaches ${number(most)}${where}. All its values, each times its ${by}, `
    + `add ${signed(share)} to ${whole}.`;
}

// The answer for those who do not see the page.
export function answerLine({ p, answer }) {
  const second = p.indexOf(Math.max(...p.filter((_, k) => k !== answer)));
  const said = (k) => `${k}, ${percent(p[k])}`;
  return `The network reads ${said(answer)}; then ${said(second)}.`;
}
