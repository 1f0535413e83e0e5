// Pictures from numbers, in the colours of the page.

// The page's colours as [red, green, blue], to be read again whenever light becomes dark.
export function colours(root) {
  const probe = document.createElement('i');
  root.append(probe);
  const one = (name) => {
    probe.style.setProperty('color', `var(--paint-${name})`);
    return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  };
  const names = ['ink', 'paper', 'grad', 'neg'];
  const palette = Object.fromEntries(names.map((name) => [name, one(name)]));
  probe.remove();
  return { ...palette, inks: inkTable(palette) };
}

// 256 colours from paper to ink, each as the four bytes of a pixel.
function inkTable({ paper, ink }) {
  const bytes = new Uint8ClampedArray(1024);
  for (let k = 0; k < 256; k++)
    for (let c = 0; c < 4; c++)
      bytes[4 * k + c] = c < 3 ? paper[c] + ((ink[c] - paper[c]) * k) / 255 : 255;
  return new Uint32Array(bytes.buffer);
}

// A canvas of side by side pixels shows these bytes, four for each.
function put(canvas, bytes, side) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  canvas.getContext('2d').putImageData(new ImageData(bytes, side, side), 0, 0);
}

// Values from 0 to `most` as ink on paper.
export function paintInk(canvas, v, side, { inks }, most = 1) {
  const pixels = new Uint32Array(side * side);
  for (let i = 0; i < v.length; i++) {
    pixels[i] = inks[Math.floor(255 * Math.min(Math.max(v[i] / most, 0), 1))];
  }
  put(canvas, new Uint8ClampedArray(pixels.buffer), side);
}

// Values of both signs, the largest in full colour; under them, faintly, the ink.
export function paintSigned(canvas, v, side, { paper, ink, grad, neg }, under = null) {
  const bytes = new Uint8ClampedArray(4 * side * side), full = largestOf(v) || 1;
  for (let i = 0; i < v.length; i++) {
    const strong = Math.sqrt(Math.abs(v[i]) / full), colour = v[i] < 0 ? neg : grad;
    const faint = under ? 0.45 * under[i] : 0;
    for (let c = 0; c < 3; c++) {
      const ground = paper[c] + (ink[c] - paper[c]) * faint;
      bytes[4 * i + c] = ground + (colour[c] - ground) * strong;
    }
    bytes[4 * i + 3] = 255;
  }
  put(canvas, bytes, side);
}

export function largestOf(v) {
  let most = 0;
  for (let i = 0; i < v.length; i++) most = Math.max(most, Math.abs(v[i]));
  return most;
}

// Strokes as a pen leaves them, on a canvas for a square of `side` units.
export function paintStrokes(canvas, strokes, side, { ink }) {
  const size = Math.round(canvas.clientWidth * devicePixelRatio) || side;
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const pen = canvas.getContext('2d');
  pen.setTransform(size / side, 0, 0, size / side, 0, 0);
  pen.clearRect(0, 0, side, side);
  pen.lineCap = pen.lineJoin = 'round';
  pen.strokeStyle = `rgb(${ink.join(' ')})`;
  for (const { width, points } of strokes) {
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(...points[0]);
    for (const p of points) pen.lineTo(...p);
    pen.stroke();
  }
}
