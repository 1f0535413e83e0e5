import { number } from './figure.js';
import { move } from './curves.js';

const [examples, units, layers] = [32, 64, 10];

// n numbers of mean 0 and spread 1, the same at every visit; none is further away than √3.
const stirred = (n, first) => Float64Array.from({length: n}, (_, j) => {
  let k = first + j;
  for (const [shift, factor] of [[16, 0x7feb352d], [15, 0x846ca68b]])
    k = Math.imul(k ^ k >>> shift, factor);
  return (((k ^ k >>> 16) >>> 0)/2**32*2 - 1)*Math.sqrt(3);
});

// Each bend with its slope, from its own result.
const bends = {
  relu: [z => Math.max(z, 0), a => a > 0 ? 1 : 0],
  tanh: [Math.tanh, a => 1 - a*a],
  none: [z => z, () => 1],
};

// (n, units) times a matrix (units, units), or times its transpose.
const times = (a, w, scale, turned) => {
  const out = new Float64Array(a.length), [down, along] = turned ? [1, units] : [units, 1];
  for (let n = 0; n < a.length; n += units)
    for (let i = 0; i < units; i++)
      for (let j = 0; j < units; j++) out[n + j] += a[n + i]*scale*w[i*down + j*along];
  return out;
};

// The standard deviation of all numbers.
const spread = a => {
  const mean = a.reduce((s, v) => s + v, 0)/a.length;
  return Math.sqrt(a.reduce((s, v) => s + (v - mean)**2, 0)/a.length);
};

// The spreads of the activations after each layer, and of the gradients that come back to them.
const spreads = (variance, bend) => {
  const [f, slope] = bends[bend], scale = Math.sqrt(variance/units), size = examples*units;
  const acts = [stirred(size, 0)], grads = [stirred(size, size)], ws = [];
  for (let l = 0; l < layers; l++) ws.push(stirred(units*units, 2*size + l*units*units));
  for (const w of ws) acts.push(times(acts.at(-1), w, scale, false).map(f));
  for (let l = layers; l > 0; l--)
    grads.unshift(times(grads[0].map((g, k) => g*slope(acts[l][k])), ws[l - 1], scale, true));
  return [acts.map(spread), grads.map(spread)];
};

// Ten layers, with weights of the variance 2**power/units.
const deep = ({power, bend}) => {
  const [acts, grads] = spreads(2**power, bend), shown = [acts[0], acts[layers], grads[layers],
    grads[0]].map(number);
  const said = `Through ten layers the spread of the activations goes from ${shown[0]} to `
    + `${shown[1]}, on the way back that of the gradients from ${shown[2]} to ${shown[3]}.`;
  const width = number(Math.sqrt(2**power/units));
  const words = {power: `${number(2**power)}, weights of spread ${width}`};
  return {lines: {acts: [...acts.entries()], grads: [...grads.entries()]}, words, said};
};

move('depth', deep);
