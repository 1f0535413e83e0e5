// The pixels moved along the gradient, and the weights against it.
import { paintInk, paintSigned } from './paint.js';
import { farthest, netOf, picture, rightOf, show, stepPixels } from './state.js';
import { takeStepsBack, train, undo, untrain } from './state.js';
import { article, count, number, percent } from './words.js';

const ENOUGH = 0.99, LONGEST = 80, PAUSE = { moving: 90, still: 500 }; // milliseconds

export function addTargets(select) {
  for (let k = 0; k < 10; k++) select.append(new Option(k, k));
}

// Steps that go on by themselves until the digit is nearly certain, or long enough.
function running(app, step) {
  let timer = null, left = 0;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    app.runs(false);
  };
  const tick = () => {
    if (left-- <= 0 || step()) stop();
  };
  return () => {
    if (timer !== null) return stop();
    left = LONGEST;
    timer = setInterval(tick, still ? PAUSE.still : PAUSE.moving);
    app.runs(true);
    return tick();
  };
}

// "What would make it a 3?", and "Show me your ideal 3": what do you find most 3?
export function listenToChange(one, app) {
  const digit = () => Number(one('#target').value), size = () => Number(one('#size').value) / 100;
  const step = () => {
    if (!picture(app.state).x) return true;
    app.change((state) => stepPixels(state, digit(), size(), app.goal));
    const net = netOf(app.state), most = app.goal === 'score' ? 0.9999 : ENOUGH;
    return app.readNow(net).p[digit()] > most && app.goal !== 'score';
  };
  const run = running(app, step);
  app.rest = () => { if (app.running) run(); };
  one('#step').onclick = step;
  one('#run').onclick = run;
  one('#back').onclick = () => app.change(undo);
  one('#all-back').onclick = () => app.change((state) => {
    takeStepsBack(state);
    if (picture(state).kind === 'grey') undo(state);
    app.goal = 'probability';
  });
  one('#grey').onclick = () => {
    app.rest();
    app.goal = 'score';
    app.chosen.target = true;
    app.change((state) => show(state, { kind: 'grey', x: new Float32Array(784).fill(0.5) }));
    run();
  };
  one('#size').oninput = () => app.paint();
  one('#target').onchange = () => {
    app.chosen.target = true;
    app.state.asked = null;
    app.paint();
  };
}

// Before, now, and between them what the steps have changed.
function paintSteps(one, { state, reading, palette }) {
  const now = picture(state), none = new Float32Array(784), x = reading?.x ?? none;
  const before = now.from ?? x;
  paintInk(one('#before'), before, 28, palette);
  paintSigned(one('#moved'), x.map((v, i) => v - before[i]), 28, palette);
  paintInk(one('#now'), x, 28, palette);
}

export function paintChange(one, app) {
  const { state, reading, running: on } = app, now = picture(state);
  const steps = now.kind === 'steps';
  if (!steps && now.kind !== 'grey') app.goal = 'probability';
  if (!app.chosen.target && reading && !steps) one('#target').value = reading.answer === 3 ? 8 : 3;
  const digit = one('#target').value;
  one('#change .article').textContent = article(digit);
  paintSteps(one, app);
  one('#size-said').textContent = number(one('#size').value / 100, 2);
  one('.digit').textContent = digit;
  one('#grey').title = `What do you find most ${digit}?`;
  one('#step').disabled = one('#run').disabled = !reading;
  one('#back').disabled = one('#all-back').disabled = !steps;
  one('#run').textContent = on ? '❚❚ Stop' : '▶ Run';
  const p = reading && percent(reading.p[digit]);
  const has = `${article(digit)} ${digit} has probability ${p}`;
  const after = `After ${count(now.steps, 'step')} ${has}; no pixel has moved by more than `
    + `${number(farthest(now), 2)} (1 is from white to black).`;
  const said = steps ? after : `Now ${has}.`;
  one('#changed').textContent = reading ? said : 'Draw something first.';
}

// "Teach it: this is a 3."
export function listenToTeaching(one, app) {
  const rate = () => 10 ** Number(one('#rate').value);
  one('#train').onclick = () => app.change((state) => {
    app.taught = train(state, Number(one('#truth').value), rate());
    app.right = [state.nets[0], netOf(state)].map((net) => rightOf(net, app.digits));
  });
  one('#untrain').onclick = () => app.change((state) => {
    untrain(state);
    app.taught = null;
    app.right[1] = rightOf(netOf(state), app.digits);
  });
  one('#rate').oninput = () => app.paint();
  one('#truth').onchange = () => {
    app.chosen.truth = true;
    app.paint();
  };
}

const small = (loss) => (loss < 1e-4 ? 'under 0.0001' : number(loss));

// What the last step did to the digit that it was taken on; nothing if it was taken back.
function learnt(taught) {
  if (!taught) return '';
  const [[l0, p0], [l1, p1]] = [taught.before, taught.after];
  return `Loss ${small(l0)} → ${small(l1)}; probability of ${taught.digit}: `
    + `${percent(p0)} → ${percent(p1)}.`;
}

// What all the steps together did to the test digits of the page.
function paidFor({ digits, right: [first, now] }) {
  return `Of ${digits.length} test digits it read ${first} right as it came, and ${now} now.`;
}

export function paintTeaching(one, app) {
  const { state, reading, taught } = app, steps = state.nets.length - 1;
  const { kind } = picture(state);
  const own = kind !== 'steps' && kind !== 'grey'; // not made by the network
  if (!app.chosen.truth && reading && own && !steps) one('#truth').value = reading.answer;
  one('#teach .article').textContent = article(one('#truth').value);
  one('#rate-said').textContent = number(10 ** Number(one('#rate').value), 2);
  one('#train').disabled = !reading;
  one('#untrain').disabled = !steps;
  one('#taught').hidden = !steps;
  one('#taught').textContent = `taught by you, ${count(steps, 'step')}`;
  one('#trained').textContent = steps ? [`${count(steps, 'step')} taken.`, learnt(taught),
    paidFor(app)].filter(Boolean).join(' ') : 'The network is as it came.';
}
