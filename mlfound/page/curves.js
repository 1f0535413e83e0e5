// Moves a figure of curves: its settings go through a model to numbers, and these become lines.

// `[[x, y], …]` in pixels, as `points` of chapter 64 has them; `axes` are the drawing's limits.
export const path = (line, axes) => {
  const [width, height, x0, x1, y0, y1, log] = axes.split(' ').map(Number);
  const up = log ? v => Math.log10(Math.max(v, 1e-300)) : v => v, low = up(y0), high = up(y1);
  const near = v => Math.min(Math.max(v, -1e4), 1e4).toFixed(1); // what is further away is not seen
  const place = ([x, y]) =>
    `${near((x - x0)/(x1 - x0)*width)} ${near((high - up(y))/(high - low)*height)}`;
  return line.map(place);
};

// Draws each line of the figure again; a line of dots is a row of points with round ends.
const draw = (root, lines) => {
  for (const e of root.querySelectorAll('[data-line]')) {
    const at = path(lines[e.dataset.line], e.closest('[data-axes]').dataset.axes);
    const dots = e.classList.contains('dots');
    e.setAttribute('d', dots ? `M${at.join('h0M')}h0` : `M${at.join('L')}`);
  }
};

// Writes beside each setting what it is now.
const tell = (fields, words) => {
  for (const f of fields.filter(f => f.type == 'range')) {
    f.parentElement.querySelector('b').textContent = words[f.name];
    f.setAttribute('aria-valuetext', words[f.name]);
  }
};

// Joins one figure to its model, a function of the settings that gives lines, words, a sentence.
const join = (root, model) => {
  const fields = [...root.querySelectorAll('[name]')], begun = fields.map(f => f.value);
  const value = f => f.type == 'range' ? f.valueAsNumber : f.value;
  const show = () => {
    const {lines, words, said} = model(Object.fromEntries(fields.map(f => [f.name, value(f)])));
    root.lines = lines;
    draw(root, lines);
    tell(fields, words);
    root.querySelector('[role="status"]').textContent = said;
  };
  root.addEventListener('input', show);
  root.querySelector('button').onclick = () => {
    fields.forEach((f, i) => { f.value = begun[i]; });
    show();
  };
  root.classList.add('live');
  show();
};

// Joins every figure of a kind that the page has, and that does not move yet.
export const move = (kind, model) => {
  for (const root of document.querySelectorAll(`.${kind}:not(.live)`)) join(root, model);
};
