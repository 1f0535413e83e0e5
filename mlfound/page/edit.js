import { replay } from './operations.js';
import { put, tint } from './shown.js';

// A field for entry j of a leaf, in place of the number in its cell.
const field = (cell, {shape, data}, j, name) => {
  const input = document.createElement('input'), columns = shape.at(-1) ?? 1;
  const where = [['row', Math.floor(j/columns)], ['column', j % columns]];
  const named = where.slice(2 - shape.length).map(([word, k]) => `, ${word} ${k + 1}`);
  input.type = 'number';
  input.step = 'any';
  input.value = +data[j].toPrecision(7);
  input.setAttribute('aria-label', name + named.join(''));
  cell.replaceChildren(input);
  return input;
};

// The fields of a leaf, in its section of the panel: `{card, j, cell, input}` each.
const fieldsOf = (section, card) => {
  const name = section.querySelector('.title b').textContent, hint = document.createElement('p');
  hint.className = 'none';
  hint.textContent = 'Change a number: what follows from it is computed again.';
  section.querySelector('.both').after(hint);
  const cells = [...section.querySelectorAll('.of-value td')];
  return cells.map((cell, j) => ({card, j, cell, input: field(cell, card, j, name)}));
};

// Lets the leaves of a figure be edited, if it holds its tape. `told` is called at each change.
export const edit = (root, told) => {
  const panel = root.querySelector('.tape-panel');
  const again = root.querySelector('[data-step="again"]');
  if (!panel.dataset.tape) return;
  const tape = JSON.parse(panel.dataset.tape), sections = [...panel.children];
  const leaf = i => !tape.cards[i].op, begun = tape.cards.map(c => [...c.data ?? []]);
  const places = [...root.querySelectorAll('[data-show]')]
    .map(e => [e, ...e.dataset.show.split(' ')])
    .filter(([, way, of, k]) => !(way == 'table' && of == 'values' && leaf(k)));
  const fields = sections.flatMap((s, i) => leaf(i) ? fieldsOf(s, tape.cards[i]) : []);
  const show = () => {
    const found = root.found = replay(tape);
    for (const [e, way, of, k] of places) put(e, way, found[of][k]);
    for (const {card, j, cell} of fields) {
      cell.style.setProperty('--a', tint(card, card.data[j]));
      cell.classList.toggle('m', card.data[j] < 0);
    }
    told();
  };
  for (const {card, j, input} of fields) input.oninput = () => {
    input.setAttribute('aria-invalid', !Number.isFinite(input.valueAsNumber));
    if (!Number.isFinite(input.valueAsNumber)) return;
    card.data[j] = input.valueAsNumber;
    again.hidden = false;
    show();
  };
  again.onclick = () => {
    tape.cards.forEach((c, i) => { if (!c.op) c.data = [...begun[i]]; });
    for (const {card, j, input} of fields) input.value = +card.data[j].toPrecision(7);
    again.hidden = true;
    root.querySelector('[data-step="forward"]').focus();
    show();
  };
  root.found = replay(tape);
};
