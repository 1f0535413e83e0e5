import { edit } from './edit.js';

// Makes the figure of a tape step. All that is shown stands in the page already; this says what is shown when.
for (const root of document.querySelectorAll('.tape-steps:not(.live)')) {
  const all = s => [...root.querySelectorAll(s)], one = s => root.querySelector(s);
  const log = all('.tape-log li'), nodes = all('[data-node]'), timed = all('[data-at]'), panel = one('.tape-panel'), sections = all('.tape-panel section');
  if (!log.length) continue;
  const [previous, play, next] = ['back', 'play', 'forward'].map(s => one(`button[data-step="${s}"]`));
  const range = one('input'), status = one('.tape-status'), box = one('.tape-drawing'), last = log.length-1;
  let now = 0, timer = null;

  const inView = e => { // moves the drawing, never the page
    const a = e.getBoundingClientRect(), b = box.getBoundingClientRect(), over = Math.max(0, a.right-b.right+24) || Math.min(0, a.left-b.left-24);
    if (over) box.scrollLeft += over;
  };
  const choose = (i, move) => {
    nodes.forEach((n, k) => {
      n.classList.toggle('chosen', k == i);
      n.setAttribute('aria-pressed', k == i);
      n.setAttribute('tabindex', k == i ? 0 : -1);
    });
    panel.replaceChildren(sections[i]);
    inView(nodes[i]);
    if (move) nodes[i].focus({preventScroll: true});
  };
  const tell = () => {
    status.innerHTML = log[now].innerHTML;
    range.setAttribute('aria-valuetext', log[now].textContent);
  };
  const show = step => {
    now = Math.min(Math.max(step, 0), last);
    const {on, edge, back} = log[now].dataset, sweeping = back !== undefined, from = edge?.split('-')[0];
    for (const e of timed) {
      const at = +e.dataset.at;
      e.dataset.when = at > now ? 'later' : +(e.dataset.until ?? 1e9) <= now ? 'over' : at == now ? 'now' : 'past';
    }
    root.classList.toggle('sweeping', sweeping);
    nodes.forEach((n, i) => n.classList.toggle('sends', i == from));
    for (const a of all('.arrow')) {
      a.classList.toggle('used', !sweeping && now > 0 && a.dataset.edge.split('-')[0] == on);
      a.classList.toggle('back', a.dataset.edge == edge);
    }
    tell();
    range.value = now;
    previous.disabled = now == 0;
    next.disabled = now == last;
    choose(+on);
  };
  const stop = () => { clearInterval(timer); timer = null; play.textContent = '▶ Play'; };

  next.onclick = () => { stop(); show(now+1); };
  previous.onclick = () => { stop(); show(now-1); };
  range.oninput = () => { stop(); show(+range.value); };
  play.onclick = () => {
    if (timer) return stop();
    if (now == last) show(0);
    play.textContent = '❚❚ Pause';
    timer = setInterval(() => { if (!root.isConnected || now == last) stop(); else show(now+1); }, 1100);
  };
  const middle = n => { const b = n.getBoundingClientRect(); return [b.x+b.width/2, b.y+b.height/2]; };
  const away = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  nodes.forEach((n, i) => {
    n.setAttribute('role', 'button');
    n.onclick = () => { stop(); choose(i, true); };
    n.onkeydown = e => {
      if (e.key == 'Enter' || e.key == ' ') { e.preventDefault(); n.onclick(); return; }
      if (!away[e.key] || e.altKey || e.ctrlKey || e.metaKey) return;
      e.preventDefault();
      const [dx, dy] = away[e.key], [x, y] = middle(n);
      let best = null, least = Infinity; // the nearest node in that direction; sideways counts double
      for (const m of nodes) {
        const [u, v] = middle(m), along = (u-x)*dx + (v-y)*dy, aside = Math.abs((u-x)*dy) + Math.abs((v-y)*dx);
        if (along > 5 && along+2*aside < least) { least = along+2*aside; best = m; }
      }
      if (best) { nodes.forEach(m => m.setAttribute('tabindex', m == best ? 0 : -1)); inView(best); best.focus({preventScroll: true}); }
    };
  });
  const size = () => { // the tallest section sets the panel's height, so that the page does not jump
    const kept = [...panel.children];
    panel.style.minHeight = '';
    let height = 0;
    root.classList.add('measuring');
    for (const s of sections) { panel.replaceChildren(s); height = Math.max(height, panel.offsetHeight); }
    root.classList.remove('measuring');
    panel.replaceChildren(...kept);
    panel.style.minHeight = Math.min(height, 480) + 'px';
  };
  edit(root, () => { stop(); tell(); });
  root.classList.add('live');
  one('svg').setAttribute('role', 'group');
  range.max = last;
  show(0);
  let width = 0;
  new ResizeObserver(() => { if (root.clientWidth != width) { width = root.clientWidth; size(); } }).observe(root);
}
