// What a network says of a picture, and why: one pass forward, one back.
import { backward, forward } from './network.js';
import { softmax } from './rules.js';

export const place = (values) => values.indexOf(Math.max(...values));
export const oneOf = (n, k) => Float32Array.from({ length: n }, (_, i) => (i === k ? 1 : 0));

// Scores, probabilities and answer; and the gradient of one score, the answer's if none is asked
// for, at the input of every layer: `back[0]` is that of the pixels.
export function read(net, x, asked = null) {
  const kept = forward(net, x), scores = kept.at(-1).out, p = softmax(scores);
  const answer = place(p), of = asked ?? answer;
  return { x, kept, scores, p, answer, of, back: backward(net, kept, oneOf(p.length, of)) };
}

// The layers whose output is shown: the first and the last that end with relu.
export function hiddenLayers(net) {
  const found = net.map((l, k) => (l.rule === 'relu' ? k : -1)).filter((k) => k >= 0);
  return [...new Set([found[0], found.at(-1)])].filter((k) => k !== undefined);
}

// What each map, or unit, of layer k adds to the score: its values times their gradients.
export function contributions(net, { kept, back }, k) {
  const { maps } = net[k], values = kept[k].out, g = back[k + 1], n = values.length / maps;
  const sums = new Float32Array(maps);
  for (let i = 0; i < values.length; i++) sums[Math.floor(i / n)] += values[i] * g[i];
  return sums;
}

// The gradient of the sum of one map, at the input of every layer up to its own.
export function unitGradients(net, { kept }, k, unit) {
  const n = kept[k].out.length / net[k].maps, g = new Float32Array(kept[k].out.length);
  g.fill(1, unit * n, unit * n + n);
  return backward(net, kept, g, k);
}

// How many sums of the first layer use pixel i, and how many of them something comes back from.
export function paths(net, back, i) {
  const layer = net[0], g = back[1] ?? [1]; // without hidden layers one score is all there is
  if (layer.rule === 'lin') return { all: layer.maps, live: g.filter((v) => v !== 0).length };
  const { side, k } = layer, r = Math.floor(i / 28), c = i % 28;
  let [all, live] = [0, 0];
  for (let q = 0; q < g.length; q++) {
    const down = r - (Math.floor(q / side) % side), right = c - (q % side);
    if (down < 0 || down >= k || right < 0 || right >= k) continue;
    all += 1;
    if (g[q] !== 0) live += 1;
  }
  return { all, live };
}
