"""Pictures drawn by program: pens, desks, shadows, printed paper, fonts, and what is no digit; and
how well they are read."""
from functools import cache
from pathlib import Path

import numpy as np
from mlfound.data import Split, mnist
from mlfound.files import DataError
from mlfound.pictures import read_views
from mlfound.training import network, softmax
from PIL import Image, ImageDraw, ImageFont

# The middle lines of ten digits in a box of 1 by 1 (x to the right, y down), each in two forms;
# a form is a list of strokes, a stroke a list of points.
def arc(cx, cy, rx, ry, start, stop, n=24):
    "Points of an ellipse; angles in degrees, 0 to the right, 90 down."
    t = np.radians(np.linspace(start, stop, n))
    return [*zip(cx + rx*np.cos(t), cy + ry*np.sin(t))]

shapes = {
    0: [[arc(.35, .5, .35, .5, -90, 270)],
        [arc(.3, .5, .28, .5, -60, 300)]],
    1: [[[(.1, 0), (.1, 1)]],
        [[(0, .22), (.22, 0), (.22, 1)]]],
    2: [[arc(.33, .28, .33, .28, 190, 380) + [(.02, .97), (.68, .97)]],
        [arc(.3, .3, .3, .3, 200, 400) + [(0, 1), (.15, .93), (.68, 1)]]],
    3: [[arc(.3, .25, .32, .25, 200, 450) + arc(.3, .74, .36, .26, -90, 160)],
        [arc(.28, .24, .3, .24, 215, 440) + arc(.28, .72, .36, .28, -80, 150)]],
    4: [[[(.5, 1), (.5, 0), (0, .66), (.7, .66)]],
        [[(.12, 0), (.02, .5), (.62, .5)], [(.52, .05), (.48, 1)]]],
    5: [[[(.62, 0), (.1, 0), (.05, .45)] + arc(.3, .68, .34, .32, -130, 140)],
        [[(.1, .02), (.06, .44)] + arc(.28, .7, .34, .3, -125, 130), [(.1, .02), (.62, 0)]]],
    6: [[[(.5, 0), (.2, .3), (.04, .6)] + arc(.33, .7, .3, .3, 180, -180)],
        [[(.38, 0), (.1, .4)] + arc(.3, .74, .27, .26, 200, -150)]],
    7: [[[(0, 0), (.65, 0), (.2, 1)]],
        [[(0, .05), (.62, 0), (.28, 1)], [(.12, .52), (.6, .5)]]],
    8: [[arc(.33, .25, .27, .25, 90, 450) + arc(.33, .75, .33, .25, -90, 270)],
        [arc(.32, .24, .24, .24, -20, -290,
             30) + arc(.32, .74, .28, .26, -60, 250) + [(.52, .16)]]],
    9: [[arc(.33, .3, .3, .3, 0, -360) + [(.6, .6), (.52, 1)]],
        [arc(.3, .28, .28, .28, -20, -340) + [(.57, .2), (.5, 1)]]]}

def wobble(points, rng, much=.015):
    "The same line by another hand: slanted, widened, its points moved a little."
    p = np.array(points, float)
    p += rng.normal(0, much, p.shape)*np.minimum(1, 6/len(p))
    return p

def drawn(digit, rng, height, pen, form=None):
    "A digit drawn by a round pen of `pen` pixels: `(h, w)`, 1 for ink, with a margin of the pen."
    form = rng.integers(2) if form is None else form
    slant, wide = rng.uniform(-.05, .25), rng.uniform(.85, 1.15)
    strokes = [wobble(s, rng) for s in shapes[digit][form]]
    strokes = [np.stack([(p[:, 0]*wide + slant*(1 - p[:, 1]))*height, p[:, 1]*height],
                        1) for p in strokes]
    return lines(strokes, pen)

def lines(strokes, pen):
    "The ink of lines drawn by a round pen."
    every = np.concatenate(strokes)
    low, margin = every.min(0), pen + 2
    high = every.max(0) - low + 2*margin
    zoom = 1 if pen >= 8 else 4 # thin lines are drawn larger, and scaled down: greys at their edges
    im = Image.new('L', tuple(int(s) for s in np.ceil(high*zoom)))
    draw, r = ImageDraw.Draw(im), pen*zoom/2
    for p in strokes:
        q = [tuple(t) for t in ((p - low + margin)*zoom).tolist()]
        draw.line(q, 255, max(1, round(pen*zoom)), 'curve')
        for x, y in q: draw.ellipse((x-r, y-r, x+r, y+r), 255)
    if zoom > 1: im = im.reduce(zoom)
    return np.asarray(im, np.float32)/255

def enlarged(u, k):
    "A digit of MNIST `k` times as large: its ink."
    return np.asarray(Image.fromarray(u).resize((28*k, 28*k), Image.Resampling.BICUBIC),
                      np.float32)/255

def printed(text, font, height):
    "The ink of letters or digits as a font has them."
    f = ImageFont.truetype(str(font), height)
    x0, y0, x1, y1 = f.getbbox(text)
    im = Image.new('L', (x1 - x0 + 8, y1 - y0 + 8))
    ImageDraw.Draw(im).text((4 - x0, 4 - y0), text, 255, f)
    return np.asarray(im, np.float32)/255

@cache
def matplotlibs(*names):
    import matplotlib
    return [Path(matplotlib.get_data_path(), 'fonts', 'ttf', f'{name}.ttf') for name in names]

def book_fonts():
    "Fonts of books: STIX and Computer Modern, as matplotlib has them."
    return matplotlibs('STIXGeneral', 'STIXGeneralBol', 'STIXGeneralBolIta', 'STIXGeneralItalic',
                       'cmb10', 'cmr10', 'cmss10', 'cmtt10')

@cache
def liberation():
    "Fonts that nobody looked at while the reader was made, from Debian's fonts-liberation; or []."
    return sorted(Path('/usr/share/fonts').rglob('Liberation*.ttf'))

def fonts():
    "Those, or some that are everywhere."
    return liberation() or matplotlibs('DejaVuSans-Oblique', 'DejaVuSans-BoldOblique',
                                       'DejaVuSansMono-Bold', 'DejaVuSerif-Bold')

# --- what ink lies on

def on_sheet(ink, rng, h, w):
    "Ink somewhere on a larger sheet."
    out = np.zeros((h, w), np.float32)
    r, c = rng.integers(h-len(ink)+1), rng.integers(w-ink.shape[1]+1)
    out[r:r+len(ink), c:c+ink.shape[1]] = ink
    return out

def turned(a, degrees, fill=0):
    im = Image.fromarray(np.asarray(a, np.float32))
    return np.asarray(im.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=fill))

def picture(v, rng=None, noise=0.):
    "A picture from values in [0, 1]."
    if noise: v = v + rng.normal(0, noise, v.shape)
    return Image.fromarray((np.clip(v, 0, 1)*255).round().astype(np.uint8))

def desk(ink, rng):
    "A white sheet, a little askew, on a dark desk with a grain."
    ink = on_sheet(ink, rng, int(len(ink)*rng.uniform(1.3, 2)),
                   int(ink.shape[1]*rng.uniform(1.4, 2.2)))
    sheet = turned(.95 - .85*ink + 1, rng.uniform(-8, 8)) # 0 where there is no sheet
    h, w = (int(s*rng.uniform(1.15, 1.6)) for s in sheet.shape)
    wood = rng.uniform(.1, .4) + .04*np.sin(np.linspace(0, rng.uniform(20, 60), h))[:, None]
    scene = np.broadcast_to(wood, (h, w)).astype(np.float32).copy()
    r, c = rng.integers(h-len(sheet)+1), rng.integers(w-sheet.shape[1]+1)
    there = scene[r:r+len(sheet), c:c+sheet.shape[1]]
    there[sheet > .9] = (sheet - 1)[sheet > .9]
    return picture(scene, rng, .015)

def shadow(ink, rng):
    "The hard edge of a shadow through the digit."
    ink = on_sheet(ink, rng, int(len(ink)*1.4), int(ink.shape[1]*1.6))
    rows, cols = np.nonzero(ink > .5)
    k, a = rng.integers(len(rows)), rng.uniform(0, 2*np.pi)
    y, x = np.mgrid[:ink.shape[0], :ink.shape[1]]
    away = (y - rows[k])*np.sin(a) + (x - cols[k])*np.cos(a)
    light = rng.uniform(.35, .6) + .4*np.clip(away/rng.uniform(1, 4) + .5, 0, 1)
    return picture((.95 - .85*ink)*light, rng, .01)

def with_lines(ink, rng, across, down):
    "Printed lines, grey, a little askew, under the ink."
    ink = on_sheet(ink, rng, int(len(ink)*rng.uniform(1.2, 1.7)),
                   int(ink.shape[1]*rng.uniform(1.2, 2)))
    h, w = ink.shape
    pitch, wide, slope = h*rng.uniform(.1,
                                       .3), max(1, h*rng.uniform(.003, .01)), rng.uniform(-.03, .03)
    y, x = np.mgrid[:h, :w]
    line = np.zeros((h, w), bool)
    if across: line |= (y + slope*x - pitch*rng.uniform()) % pitch < wide
    if down: line |= (x - slope*y - pitch*rng.uniform()) % pitch < wide
    paper = np.where(line, rng.uniform(.5, .7), .95)
    return picture(paper*(1 - .9*ink), rng, .01)

def squared(ink, rng): return with_lines(ink, rng, True, True)
def ruled(ink, rng): return with_lines(ink, rng, True, False)

def box(ink, rng):
    "A printed box around the digit, as on forms; one in three digits touches it."
    rows, cols = (np.flatnonzero((ink > .5).any(k)) for k in (1, 0))
    ink = ink[rows[0]:rows[-1]+1, cols[0]:cols[-1]+1]
    h, w = ink.shape
    side = int(max(h, w)*rng.uniform(1.1, 1.5))
    sheet = np.zeros((int(side*1.4), int(side*1.4)), np.float32)
    r, c = rng.integers(int(side*.4)), rng.integers(int(side*.4))
    dy, dx = rng.integers(side-h), rng.integers(side-w)
    if rng.uniform() < 1/3: dx = 0
    sheet[r+dy:r+dy+h, c+dx:c+dx+w] = ink
    t, paper = max(1, round(side*rng.uniform(.006, .02))), np.full(sheet.shape, .95)
    frame = np.zeros(sheet.shape, bool)
    frame[r-min(t, r):r+side+t, c-min(t, c):c+side+t] = True
    frame[r:r+side, c:c+side] = False
    paper[frame] = rng.uniform(.1, .6)
    return picture(paper*(1 - .9*sheet), rng, .01)

def vignette(ink, rng):
    ink = on_sheet(ink, rng, int(len(ink)*1.4), int(ink.shape[1]*1.4))
    y, x = np.mgrid[-1:1:ink.shape[0]*1j, -1:1:ink.shape[1]*1j]
    return picture((.95 - .85*ink)*(1 - .35*(y**2 + x**2)), rng, .01)

def askew(degrees):
    def make(ink, rng): return picture(.95 - .85*turned(np.pad(ink, 20),
                                                        degrees*rng.choice([-1, 1])), rng, .01)
    return make

def plain(ink, rng):
    h, w = (int(s*rng.uniform(1.1, 2)) for s in ink.shape)
    return picture(.95 - .85*on_sheet(ink, rng, h, w))

conditions = dict(desk=desk, shadow=shadow, squared=squared, ruled=ruled, box=box,
                  vignette=vignette,
                  turned=askew(30))

# --- sets of pictures, each with the digit that it shows

def pens(share, digits, rng):
    "Drawn digits on sheets of 100 to 4,000 pixels, the pen a share of their height, at least 1."
    for y in digits:
        side = int(rng.choice([100, 200, 500, 1200, 2500, 4000], p=[.2, .2, .3, .2, .07, .03]))
        height = side*rng.uniform(.4, .8)
        ink = drawn(y, rng, height, max(1, share*height))
        side = max(side, *ink.shape)
        yield picture(.95 - .85*on_sheet(ink, rng, side, side)), y

def conditioned(make, split, rng):
    "Digits of MNIST, enlarged, and drawn ones, by turns, under one of the `conditions`."
    for k, (x, y) in enumerate(zip(split.x, split.y.tolist())):
        height = rng.uniform(120, 400)
        if k % 2: ink = enlarged((x.reshape(28, 28)*256).byte().numpy(), int(rng.integers(4, 12)))
        else: ink = drawn(y, rng, height, height*rng.uniform(.03, .12))
        yield make(ink, rng), y

def upright(split):
    "Digits of MNIST, enlarged, dark on a large light sheet."
    for x, y in zip(split.x, split.y.tolist()):
        sheet = Image.new('L', (320, 272), 240)
        ink = Image.fromarray((enlarged((x.reshape(28, 28)*256).byte().numpy(),
                                        8)*255).astype(np.uint8))
        sheet.paste(25, (40, 40), ink)
        yield sheet, y

def in_print(digits, count, files, rng):
    "Printed digits, of each font in turn."
    for k in range(count):
        y = digits[k % len(digits)]
        font = files[k//len(digits) % len(files)]
        yield plain(printed(str(y), font, int(rng.integers(40, 300))), rng), y

def held_out(count, start=1000):
    """Test digits. The reader was tuned on the first 120, on 6,000 to 6,250, on drawings with
    seeds below 100, and on the fonts DejaVu."""
    return Split(*(t[start:start+count] for t in mnist().test))

# --- what is no digit

UNLIKE = 'ACEFGHKLMNPRTVWXY' # letters that nobody takes for a digit
LIKE = 'BDIJOQSUZ'           # and some that one may

def letters(which, files, rng):
    "Printed letters, of each font in turn."
    for font in files:
        for letter in which: yield plain(printed(letter, font, int(rng.integers(60, 250))), rng)

def shapes_of_no_digit(rng):
    "Each shape with three pens, small and large."
    for pen in (8, 14, 22):
        for height in (120, 300):
            for ink in no_digits(rng, height, pen*height/200).values(): yield plain(ink, rng)

def no_digits(rng, height=200, pen=14):
    "Ink by name of things that are no digits."
    h = height
    def segments(*strokes): return lines([np.array(s, float)*h for s in strokes], pen)
    eyes = [arc(x, .35, .03, .03, 0, 360) for x in (.33, .67)]
    face = [arc(.5, .5, .5, .5, 0, 360), arc(.5, .5, .28, .28, 20, 160), *eyes]
    star = [(.5+.5*np.sin(k*4*np.pi/5), .5-.5*np.cos(k*4*np.pi/5)) for k in range(6)]
    return {
        'minus': segments([(0, .5), (.6, .5)]),
        'plus': segments([(0, .5), (1, .5)], [(.5, 0), (.5, 1)]),
        'cross': segments([(0, 0), (1, 1)], [(0, 1), (1, 0)]),
        'equals': segments([(0, .3), (.8, .3)], [(0, .7), (.8, .7)]),
        'dot': segments([(.1, .1), (.11, .11)]),
        'square': segments([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]),
        'triangle': segments([(0, 1), (.5, 0), (1, 1), (0, 1)]),
        'face': segments(*face),
        'star': segments(star),
        'house': segments([(0, 1), (0, .4), (.5, 0), (1, .4), (1, 1), (0, 1)],
                          [(.4, 1), (.4, .6), (.6, .6), (.6, 1)]),
        'hash': segments([(.3, 0), (.3, 1)], [(.7, 0), (.7, 1)], [(0, .3), (1, .3)],
                         [(0, .7), (1, .7)]),
        'scribble': segments(rng.uniform(0, 1, (14, 2))),
        'wave': segments([*zip(np.linspace(0, 1.6, 40), .2+.15*np.sin(np.linspace(0, 20, 40)))]),
        'm': segments([(0, 1), (0, 0), (.4, .6), (.8, 0), (.8, 1)]),
        'blot': np.pad(np.ones((h//2, h//2), np.float32), 4)}

# --- how well they are read

def answer(path, params):
    "The ten probabilities for a picture of one digit, as `mlfound predict` has them."
    found = read_views(path)
    if len(found) != 1: raise DataError(f'{len(found)} marks', 'one digit', 'crop it')
    return softmax(network(found[0], params)).mean(0)

def rates(params, made, path):
    "How many of these pictures and digits are read right, sure and wrong, and refused."
    counts = dict(right=0, sure=0, refused=0, of=0)
    for image, y in made:
        image.save(path)
        counts['of'] += 1
        try: p = answer(path, params)
        except DataError: counts['refused'] += 1
        else:
            counts['right'] += int(p.argmax() == y)
            counts['sure'] += int(p.argmax() != y and p.max() >= .9)
    return counts

def in_words(counts):
    return 'right {right}, sure and wrong {sure}, refused {refused} of {of}'.format(**counts)
