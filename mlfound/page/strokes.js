// Strokes of a pen as the ink on a square of pixels: 0 is paper, 1 ink.

export const FIELD = 280; // pixels of the square's side

// Adds to the ink v the line from a to b, `width` pixels thick, with round ends and smooth edges.
export function addLine(v, [ax, ay], [bx, by], width) {
  const r = width / 2, dx = bx - ax, dy = by - ay, long = dx * dx + dy * dy || 1;
  const low = (s) => Math.max(0, Math.floor(s - r - 1));
  const high = (s) => Math.min(FIELD - 1, Math.ceil(s + r + 1));
  for (let i = low(Math.min(ay, by)); i <= high(Math.max(ay, by)); i++) {
    for (let j = low(Math.min(ax, bx)); j <= high(Math.max(ax, bx)); j++) {
      const x = j + 0.5 - ax, y = i + 0.5 - ay;
      const t = Math.min(Math.max((x * dx + y * dy) / long, 0), 1);
      const ink = r + 0.5 - Math.hypot(x - t * dx, y - t * dy);
      if (ink > v[i * FIELD + j]) v[i * FIELD + j] = Math.min(ink, 1);
    }
  }
}

// Adds a stroke { width, points: [[x, y], …] } from its point `from` on.
export function addStroke(v, { width, points }, from = 0) {
  if (points.length === 1) addLine(v, points[0], points[0], width);
  const first = Math.max(from, 1);
  for (let k = first; k < points.length; k++) addLine(v, points[k - 1], points[k], width);
}

// The ink of all strokes.
export function inked(strokes) {
  const v = new Float32Array(FIELD * FIELD);
  for (const stroke of strokes) addStroke(v, stroke);
  return v;
}
