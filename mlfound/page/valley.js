import { number } from './figure.js';
import { move } from './curves.js';

// Where a ball goes in the valley x²/2 + 10y².
const descend = (rate, momentum, steps) => {
  let [x, y, mx, my] = [-9, 1.6, 0, 0];
  const way = [[x, y]];
  for (let k = 0; k < steps; k++) {
    [mx, my] = [momentum*mx + x, momentum*my + 20*y];
    [x, y] = [x - rate*mx, y - rate*my];
    way.push([x, y]);
  }
  return way;
};

// The ways with momentum and without, and how far from the lowest point each step is.
const ways = ({rate, momentum}) => {
  const away = way => way.map(([x, y], k) => [k, Math.sqrt(x*x + y*y)]);
  const ball = descend(rate, momentum, 60), plain = descend(rate, 0, 60);
  const lines = {ball, plain, 'ball away': away(ball), 'plain away': away(plain)};
  const [far, farther] = ['ball away', 'plain away'].map(name => number(lines[name][60][1]));
  const said = `After 60 steps ${far} away with momentum ${number(momentum)}, ${farther} without. `
    + `A plain step multiplies the distance along the valley by ${number(1 - rate)}, `
    + `that across it by ${number(1 - 20*rate)}.`;
  return {lines, words: {rate: number(rate), momentum: number(momentum)}, said};
};

move('valley', ways);
