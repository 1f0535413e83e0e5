"""How well pictures are read: digits drawn, printed and photographed by program, in surroundings
that people meet, and things that are no digits; by the network of `mlfound demo`.

None of them was looked at while the reader was made: other digits, other seeds, other fonts
(Debian's fonts-liberation, which must be installed). Writes
the counts to results_reading.json, which chapter 16 shows."""
import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent/'tests'))
import pictures # noqa: E402 (tests/ is on the path now)
from mlfound.data import mnist # noqa: E402
from mlfound.fit import fit # noqa: E402
from mlfound.training import absorb_scaling, init_he, standardized # noqa: E402

PENS = .005, .01, .02, .03, .04

def demo_network():
    "The network of `mlfound demo`."
    params = init_he([784, 256, 10], torch.Generator().manual_seed(42))
    fit(params, standardized(mnist().train), progress=False)
    return absorb_scaling(params)

def sets(count):
    "Name of each set → its pictures with what they show; -1 is no digit."
    def rng(): return np.random.default_rng(1000)
    digits = [k % 10 for k in range(count)]
    for share in PENS: yield f'pen of {share:.1%}', pictures.pens(share, digits, rng())
    for name, make in pictures.conditions.items():
        yield name, pictures.conditioned(make, pictures.held_out(count), rng())
    yield 'upright', pictures.upright(pictures.held_out(10*count, 2000))
    printed = {'Liberation': pictures.fonts(), 'books': pictures.book_fonts()}
    for name, files in printed.items():
        yield name, pictures.in_print(range(10), count, files, rng())
        yield f'{name}, 6 and 9', pictures.in_print([6, 9], count, files, rng())
    def none(images): return ((image, -1) for image in images)
    yield 'shapes', none(pictures.shapes_of_no_digit(rng()))
    yield 'letters', none(pictures.letters(pictures.UNLIKE, pictures.book_fonts(), rng()))
    yield 'letters like digits', none(pictures.letters(pictures.LIKE, pictures.book_fonts(), rng()))

def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--count', type=int, default=100, help='pictures in a set')
    parser.add_argument('--out', type=Path, default=here, help='folder for the file')
    args = parser.parse_args(argv)
    if not pictures.liberation(): parser.error('no fonts; apt install fonts-liberation')
    params, found = demo_network(), {}
    with tempfile.TemporaryDirectory() as folder:
        for name, made in sets(args.count):
            found[name] = pictures.rates(params, made, Path(folder)/'picture.bmp')
            print(f'{name:20} {pictures.in_words(found[name])}', flush=True)
    text = json.dumps(dict(count=args.count, rates=found), indent=1) + '\n'
    (args.out/'results_reading.json').write_text(text, encoding='utf-8')

if __name__ == '__main__': main()
