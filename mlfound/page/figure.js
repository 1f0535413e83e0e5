// Puts every figure of the page in the place of its image; what moves it comes after this.
for (const packed of document.querySelectorAll('.moving-figure > script[type="text/html"]')) {
  const root = document.createElement('div'), figure = packed.parentElement;
  root.className = `moving ${packed.dataset.kind}`;
  root.dataset.lmSuppressShortcuts = 'true'; // JupyterLab leaves us our keys
  root.innerHTML = packed.textContent;
  for (const e of figure.querySelectorAll('img')) e.remove();
  packed.replaceWith(root);
}

// A float in few characters, as Python's `number` writes it: 0.3333, 49995, 1.2e-5.
export const number = v => {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? 'nan' : v < 0 ? '-inf' : 'inf';
  const size = Math.abs(v);
  if (size >= 1000 && size < 1e7) return v.toFixed(0);
  const [digits, power] = v.toExponential(3).split('e');
  if (v == 0) return '0';
  return power < -4 || power > 3 ? `${+digits}e${+power}` : String(+v.toPrecision(4));
};
