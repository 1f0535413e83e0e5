"""A digit that went through a picture is read as well as the digit itself, whatever the picture.

MLFOUND_PICTURES=60 draws more of each kind; one digit in 60 may then be misread or refused."""
import io
import os
import numpy as np
import pytest, torch
from PIL import Image
from mlfound.data import mnist
from mlfound.files import DataError
from mlfound.pictures import read_views
from mlfound.fit import fit
from mlfound.training import absorb_scaling, init_he, network, softmax, standardized

count = int(os.environ.get('MLFOUND_PICTURES', 10)) # digits in each condition

def large(u, k):
    im = Image.fromarray(u).resize((28*k, 28*k), Image.Resampling.BICUBIC)
    return np.asarray(im, np.float32)/255
def sheet(ink, rng, h, w):
    "Ink somewhere on a larger sheet."
    out, r, c = np.zeros((h, w), np.float32), rng.integers(h-len(ink)+1), rng.integers(w-len(ink)+1)
    out[r:r+len(ink),c:c+len(ink)] = ink
    return out
def picture(v): return Image.fromarray((v.clip(0, 1)*255).round().astype(np.uint8))
def coloured(ink, on, colour):
    ink = ink[:,:,None]
    return picture(ink*np.float32(colour) + (1-ink)*np.float32(on))
def jpeg(im, quality=40):
    im.save(f := io.BytesIO(), 'JPEG', quality=quality)
    return Image.open(f)
def light(ink, rng, dim=.6):
    "Dark ink on paper that is lit from one side."
    a, (r,c) = rng.uniform(0, 2*np.pi), np.mgrid[-1:1:ink.shape[0]*1j,-1:1:ink.shape[1]*1j]
    return (1 - .85*ink)*(1 - dim*(1 + (np.cos(a)*r + np.sin(a)*c)/2**.5)/2)
def tight(ink):
    (r0,*_,r1),(c0,*_,c1) = (np.flatnonzero((ink>.3).any(k)) for k in (1,0))
    return ink[max(r0-2, 0):r1+3,max(c0-2, 0):c1+3]

conditions = {
    'as it is': lambda u,r: Image.fromarray(u),
    'dark on light': lambda u,r: Image.fromarray(255-u),
    'three times as large': lambda u,r: picture(1-large(u, 3)),
    'twelve times': lambda u,r: picture(1-large(u, 12)),
    'off-centre': lambda u,r: picture(1-sheet(large(u, 5), r, 300, 300)),
    'wide margins': lambda u,r: picture(1-sheet(large(u, 3), r, 500, 500)),
    'hardly any margin': lambda u,r: picture(1-tight(large(u, 6))),
    'a wide picture': lambda u,r: picture(sheet(large(u, 5), r, 150, 600)),
    'red on green': lambda u,r: coloured(sheet(large(u, 5), r, 200, 200), (.45,.6,.3), (.8,.3,.35)),
    'yellow on blue': lambda u,r: coloured(sheet(large(u, 5), r, 200, 200), (.1,.15,.4),
                                           (.95,.85,.2)),
    'JPEG': lambda u,r: jpeg(picture(1-sheet(large(u, 5), r, 200, 200))),
    'uneven light': lambda u,r: picture(light(sheet(large(u, 5), r, 200, 200), r)),
    'noise': lambda u,r: picture(.9 - .8*sheet(large(u, 6), r, 260,
                                               260) + r.normal(0, .1, (260, 260))),
    'faint': lambda u,r: picture(.9 - .12*sheet(large(u, 5), r, 200, 200)),
    'photograph': lambda u,r: jpeg(picture((light(sheet(large(u, 6), r, 240, 320),
                                                  r)[:,:,None]*np.float32([.95,.9,.8])
                                            + r.normal(0, .05, (240, 320, 3))))),
}

@pytest.fixture(scope='module')
def net():
    data = mnist()
    params = init_he([784, 128, 10], torch.Generator().manual_seed(0))
    fit(params, standardized(data.train), epochs=2, progress=False)
    return absorb_scaling(params)

@pytest.mark.parametrize('name', conditions)
def test_reads_as_well_as_the_original(net, tmp_path, name):
    x, y = (t[-count:] for t in mnist().valid)
    rng, file = np.random.default_rng(0), tmp_path/'digit.bmp'
    right, seen, of = 0, [], []
    for u, pixels, digit in zip((x*256).byte().numpy().reshape(-1, 28, 28), x, y):
        conditions[name](u, rng).save(file)
        try: views, = read_views(file)
        except DataError: continue
        right += int(softmax(network(views, net)).mean(0).argmax() == digit)
        seen.append(views[0])
        of.append(pixels)
    z, of = torch.stack(seen), torch.stack(of)
    assert right >= (network(x, net).argmax(1) == y).sum() - count//60
    assert abs(z.mean() - of.mean()) < .02 and (z - of).abs().mean() < .05
