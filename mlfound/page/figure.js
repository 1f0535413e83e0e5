// Puts every figure of the page in the place of its image; what moves it comes after this.
for (const packed of document.querySelectorAll('.moving-figure > script[type="text/html"]')) {
  const root = document.createElement('div'), figure = packed.parentElement;
  root.className = `moving ${packed.dataset.kind}`;
  root.dataset.lmSuppressShortcuts = 'true'; // JupyterLab leaves us our keys
  root.innerHTML = packed.textContent;
  for (const e of figure.querySelectorAll('img')) e.remove();
  packed.replaceWith(root);
}

// To the nearest whole number; what is in the middle goes to the even one, as in Python.
export const whole = v => {
  const up = Math.round(v);
  return up - v == .5 && up % 2 ? up - 1 : up;
};

// A float in few characters, as Python's `number` writes it: 0.3333, 49995, 1.2e-5.
export const number = v => {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? 'nan' : v < 0 ? '-inf' : 'inf';
  const size = Math.abs(v), down = /^-?\d\.\d\d[02468]50*e/.test(v.toExponential(20)); // half-way
  if (v == 0) return '0';
  if (size >= 1000 && size < 1e7) return String(whole(v));
  const [digits, power] = (down ? v*(1 - 1e-9) : v).toExponential(3).split('e');
  return power < -4 || power > 3 ? `${+digits}e${+power}` : String(+`${digits}e${power}`);
};
