"What the tape's operations are tried on: for each of them a Hypothesis strategy that draws a call."
import math
from dataclasses import dataclass
from typing import Callable
import torch
from hypothesis import strategies as st

@dataclass
class Case:
    "A function that PyTorch's tensors and `Var`s both understand, and float64 tensors for it."
    fn: Callable
    args: list
    text: str
    second: bool = True     # False where of PyTorch's second order and ours only one is nan
    oracle: Callable = None # another form for PyTorch, where PyTorch's own backward fails
    def __repr__(self):
        return f'{self.text} on {[(tuple(a.shape), a.stride()) for a in self.args]}'

CASES = {}
def case(*names):
    "Enter a function `f(draw, name)` as the strategy of these operations."
    def enter(f):
        for name in names: CASES[name] = st.composite(f)(name)
        return f
    return enter

# -- what to draw

sizes = st.sampled_from([0,1,1,2,3,3,4])
def shapes(least=0, most=3): return st.lists(sizes, min_size=least, max_size=most)
def one_of(draw, *choices): return draw(st.sampled_from(choices))
def seeded(draw): return torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

def spaced(gen, shapes, lo, hi):
    "Tensors whose entries all differ from one another and from 0: no ties, no kinks."
    n = sum(map(math.prod, shapes))
    place = torch.arange(n) + .25 + .5*torch.rand(n, generator=gen, dtype=torch.float64)
    v = lo + (hi-lo)/max(n, 1)*place
    v = torch.where(v.abs()<1e-3, v+2e-3, v)[torch.randperm(n, generator=gen)]
    return [t.reshape(s) for t,s in zip(v.split([math.prod(s) for s in shapes]), shapes)]

def laid_out(draw, x):
    "The same values in another layout: contiguous, transposed, with gaps, or with an offset."
    how = one_of(draw, 'contiguous', 'contiguous', 'transposed', 'gaps', 'offset')
    if how=='transposed' and x.ndim>1: return x.transpose(0, -1).contiguous().transpose(0, -1)
    if how=='gaps' and x.ndim:
        wide = x.new_zeros([*x.shape[:-1], 2*x.shape[-1]])
        wide[...,::2] = x
        return wide[...,::2]
    return torch.cat([x.new_zeros(3), x.reshape(-1)])[3:].view(x.shape) if how=='offset' else x

def tensors(draw, *shapes, lo=-2., hi=2.):
    return [laid_out(draw, t) for t in spaced(seeded(draw), shapes, lo, hi)]

def broadcastable(draw, k=2, most=3):
    "Shapes that broadcast together: some axes of size 1, some leading ones missing."
    full, out = draw(shapes(0, most)), []
    for _ in range(k):
        s = [1 if draw(st.integers(0, 3))==0 else n for n in full]
        out.append(s[draw(st.integers(0, len(s))) if draw(st.booleans()) else 0:])
    return out

def dims(draw, ndim, none=True, many=True):
    "A `dim` argument: None, an axis, or several as a list or a tuple; some are negative."
    if none and draw(st.booleans()): return None
    if not ndim: return one_of(draw, 0, -1)
    def sign(d): return d-ndim if draw(st.booleans()) else d
    if not many or draw(st.booleans()): return sign(draw(st.integers(0, ndim-1)))
    ds = [sign(d) for d in draw(st.lists(st.integers(0, ndim-1), unique=True, min_size=1))]
    return ds if draw(st.booleans()) else tuple(ds)
