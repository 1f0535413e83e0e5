// A network as a list of layers, run forward and backward.
import { conv, convInput, convWeight, inside, largest, lin, linInput } from './rules.js';
import { linWeight, padded, perMap, relu, reluInput, scale, scaleInput } from './rules.js';
import { scaleWeight, unpick } from './rules.js';

// Each layer: what it makes of x; what of the gradient g it sends back; its weights' gradients.
export const LAYERS = {
  lin: {
    run: (x, l) => ({ out: lin(x, l.w, l.b) }),
    back: (g, l) => linInput(g, l.w, l.d),
    weights: (g, l, { x }) => ({ w: linWeight(g, x), b: g }),
  },
  relu: {
    run: (x) => ({ out: relu(x) }),
    back: (g, l, { x }) => reluInput(g, x),
  },
  scale: {
    run: (x, l) => ({ out: scale(x, l.w, l.b) }),
    back: (g, l) => scaleInput(g, l.w),
    weights: (g, l, { x }) => ({ w: scaleWeight(g, x, l.c), b: perMap(g, l.c) }),
  },
  conv: {
    run: (x, l) => ({ out: conv(padded(x, l.c, l.n - 2 * l.p, l.p), l.w, l.b, l) }),
    back: (g, l) => inside(convInput(g, l.w, l), l.c, l.n - 2 * l.p, l.p),
    weights: (g, l, { x }) => {
      const w = convWeight(g, padded(x, l.c, l.n - 2 * l.p, l.p), l);
      return l.b ? { w, b: perMap(g, l.o) } : { w };
    },
  },
  pool: {
    run: (x, l) => largest(x, l.c, l.n),
    back: (g, l, { x, at }) => unpick(g, at, x.length),
  },
};

// Forward: what each layer saw and made, in order; the last one's `out` are the scores.
export function forward(net, x) {
  const kept = [];
  for (const layer of net) {
    kept.push({ x, ...LAYERS[layer.rule].run(x, layer) });
    x = kept.at(-1).out;
  }
  return kept;
}

// Backward: from the gradient g of the output of layer `last`, that of each layer's input.
export function backward(net, kept, g, last = net.length - 1) {
  const back = [];
  for (let k = last; k >= 0; k--) {
    g = LAYERS[net[k].rule].back(g, net[k], kept[k]);
    back[k] = g;
  }
  return back;
}

// The gradients of all weights, from the gradient g of the scores: by layer, null where are none.
export function weightGradients(net, kept, g) {
  const back = [...backward(net, kept, g).slice(1), g];
  return net.map((l, k) => LAYERS[l.rule].weights?.(back[k], l, kept[k]) ?? null);
}

// One step of gradient descent: new layers, of which the old ones know nothing.
export function stepped(net, grads, rate) {
  const moved = (t, g) => t.map((v, i) => v - rate * g[i]);
  return net.map((layer, k) => {
    const next = { ...layer };
    for (const [name, g] of Object.entries(grads[k] ?? {})) next[name] = moved(layer[name], g);
    return next;
  });
}

// The float32 numbers in a text of base64.
export function numbersIn(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// The layers that a page describes: w and b are the lengths of what they take from the numbers.
export function unpack({ layers, numbers }) {
  const all = numbersIn(numbers);
  let start = 0;
  const take = (n) => all.slice(start, (start += n));
  return layers.map((l) => {
    const layer = { ...l };
    for (const name of ['w', 'b']) if (l[name]) layer[name] = take(l[name]);
    return layer;
  });
}
