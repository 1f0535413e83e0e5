"""Time the page that reads what one draws, in a real browser: what a frame costs while a digit is
being drawn, and its parts. Write benchmarks/results_playground.json and benchmarks/PLAYGROUND.md.

A pen draws digits by real pointer events; the page itself notes how long each of its frames takes,
from the ink to the painted pictures. Needs Chromium and Playwright, as the site's tests do.
"""
import sys
import tempfile
from pathlib import Path
from statistics import median

from harness import Benchmark, cell, named

root = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(root/'tests'), str(root/'docs')]

A_FRAME = 16 # milliseconds: a screen that shows 60 pictures a second

# In turn, so that all parts meet the same interruptions; a block of ten calls each time, since a
# browser's clock is coarse.
PARTS = '''(rounds) => {
  const { app, prepare, forward, read } = playground, net = app.state.nets[0], x = app.reading.x;
  const calls = { 'the ink becomes 784 pixels': () => prepare(app.state.ink, 280),
    'forward': () => forward(net, x), 'forward and backward': () => read(net, x) };
  const times = Object.fromEntries(Object.keys(calls).map((name) => [name, []]));
  for (let k = 0; k < 10*rounds; k++) for (const [name, call] of Object.entries(calls)) {
    const begin = performance.now();
    for (let i = 0; i < 10; i++) call();
    times[name].push((performance.now() - begin)/10);
  }
  return times;
}'''

def drawn(page, strokes, zoom, box):
    "Strokes by the pointer; the page's frames in between are painted as the browser sees fit."
    for points in strokes:
        for at, (x, y) in enumerate(points):
            page.mouse.move(box['x'] + 2 + zoom*x, box['y'] + 2 + zoom*y)
            if at == 0: page.mouse.down()
        page.mouse.up()

def frames(args):
    "Milliseconds, medians."
    import numpy as np
    from browser import chromium
    from mlfound.playground import write_page
    from test_playground import SIDE, by_hand
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        write_page(None, Path(folder)/'draw.html')
        page = browser.new_page(viewport=dict(width=1180, height=900))
        page.goto((Path(folder)/'draw.html').as_uri())
        box, rng = page.locator('#field').bounding_box(), np.random.default_rng(0)
        page.evaluate('playground.app.frames.length = 0')
        for k in range(2 if args.quick else 2*args.rounds):
            page.locator('#clear').dispatch_event('click')
            drawn(page, by_hand(k, rng, 3)[0], (box['width'] - 4)/SIDE, box)
        whole = page.evaluate('playground.app.frames')
        parts = page.evaluate(PARTS, args.rounds)
    return {'a frame': median(whole)} | {name: median(ts) for name, ts in parts.items()}

def page(found):
    f = found['frames']
    rows = [f'| {name} | {cell(s, ".1f")} |' for name, s in f.items()]
    fits = 'fits' if f['a frame']['median'] < A_FRAME else 'does not fit'
    return '\n'.join([
        '# The page that reads what one draws', '',
        f"{named(found['machine'])} Chromium, without a graphics processor. Medians of "
        f"{found['processes']} processes, the lowest and the highest behind them. Others were at "
        'work on the machine.', '', '| | milliseconds |', '|---|---|', *rows, '',
        'A frame takes the ink to 784 pixels, those to scores, the gradient of a score back to the '
        'pixels, and paints the field, the pixels with their gradient, the bars, 24 maps and the '
        f'two panels. A screen that shows 60 pictures a second leaves {A_FRAME} milliseconds for '
        f'it: it {fits}.', '', 'Written by `python benchmarks/playground.py`.', ''])

benchmark = Benchmark(__file__, __doc__, dict(frames=frames), page, rounds=5, threads=1)

if __name__ == '__main__':
    benchmark.main()
