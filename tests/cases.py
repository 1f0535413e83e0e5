"What the tape's operations are tried on: for each of them a Hypothesis strategy that draws a call."
import math
from dataclasses import dataclass
from typing import Callable
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from mlfound import autograd, ops
from torch import Tensor

@dataclass
class Case:
    "A function that PyTorch's tensors and `Var`s both understand, and float64 tensors to call it with."
    fn: Callable
    args: list
    text: str
    second: bool = True     # False where PyTorch's second order is nan and ours is not, or the other way round
    oracle: Callable = None # another form for PyTorch, where PyTorch's own backward fails
    def __repr__(self): return f'{self.text} on {[(tuple(a.shape), a.stride()) for a in self.args]}'

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
    "Tensors of these shapes whose entries all differ from one another and from 0: no ties, no kinks."
    n = sum(map(math.prod, shapes))
    v = lo + (hi-lo)/max(n, 1)*(torch.arange(n) + .25 + .5*torch.rand(n, generator=gen, dtype=torch.float64))
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

def tensors(draw, *shapes, lo=-2., hi=2.): return [laid_out(draw, t) for t in spaced(seeded(draw), shapes, lo, hi)]

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

# -- entry by entry

DOMAIN = dict(log=dict(lo=.2, hi=3.), sqrt=dict(lo=.2, hi=3.), log1p=dict(lo=-.8, hi=3.))

@case('exp', 'log', 'log1p', 'sqrt', 'tanh', 'sigmoid', 'relu', 'abs', 'neg')
def unary(draw, name):
    forms = [getattr(torch, name), lambda x: getattr(x, name)()]
    forms += dict(neg=[lambda x: -x], abs=[abs], relu=[F.relu]).get(name, [])
    return Case(one_of(draw, *forms), tensors(draw, draw(shapes()), **DOMAIN.get(name, {})), name)

SYMBOL = dict(add=lambda x,y: x+y, sub=lambda x,y: x-y, mul=lambda x,y: x*y, div=lambda x,y: x/y, pow=lambda x,y: x**y)

@case('add', 'sub', 'mul', 'div', 'pow', 'maximum', 'minimum')
def binary(draw, name):
    f = one_of(draw, getattr(torch, name), lambda x,y: getattr(x, name)(y), *[SYMBOL[name]]*2 if name in SYMBOL else [])
    a,b = tensors(draw, *broadcastable(draw), **dict(lo=.3, hi=2.5) if name in ('div','pow') else {})
    how = one_of(draw, 'two', 'two', 'two', 'same', 'number left', 'number right', 'tensor left', 'tensor right')
    if how=='same' and name in SYMBOL: return Case(lambda x: f(x, x), [a], f'{name}(x, x)')
    if how=='tensor left': return Case(lambda x: f(b, x), [a], f'{name}(tensor, x)')
    if how=='tensor right': return Case(lambda x: f(x, b), [a], f'{name}(x, tensor)')
    if how in ('two','same'): return Case(f, [a, b], name)
    f = SYMBOL.get(name) or getattr(ops, name) # torch.maximum takes no number, ours does
    n = one_of(draw, 2, .5, -3) if name=='div' else one_of(draw, 2, 3, .5123, -1.5, 0, 1) if name in SYMBOL else one_of(draw, .00123, 1.10123)
    if how=='number right': return Case(lambda x: f(x, n), [a], f'{name}(x, {n})')
    return Case(lambda x: f(abs(n), x), [a], f'{name}({abs(n)}, x)', second=not (name=='pow' and n==0))

@case('clamp')
def clamp(draw, name):
    x,lo,hi = tensors(draw, *broadcastable(draw, 3))
    n = one_of(draw, -1.00123, -.50123, .0123, .70123)
    return one_of(draw,
        Case(lambda x: torch.clamp(x, n, n+1), [x], 'clamp, numbers'), Case(lambda x: x.clamp(min=n), [x], 'clamp, min'),
        Case(lambda x: x.clamp(max=n), [x], 'clamp, max'), Case(lambda x,lo: x.clamp(lo), [x, lo], 'clamp, tensor min'),
        Case(lambda x,hi: torch.clamp(x, max=hi), [x, hi], 'clamp, tensor max'),
        Case(lambda x,lo,hi: x.clamp(lo, hi), [x, lo, hi], 'clamp, tensors',
             oracle=lambda *xs: torch.clamp(*torch.broadcast_tensors(*xs)))) # torch 2.13 cannot broadcast in this rule

@case('where')
def where(draw, name):
    c,x,y = broadcastable(draw, 3)
    c = torch.rand(c, generator=seeded(draw)) > .5
    x,y = tensors(draw, x, y)
    return one_of(draw, Case(lambda x,y: torch.where(c, x, y), [x, y], 'where'), Case(lambda x,y: x.where(c, y), [x, y], 'x.where'),
                  Case(lambda x: torch.where(c, x, 0), [x], 'where, number'), Case(lambda x: torch.where(c, y, x), [x], 'where, tensor'))

@case('to')
def to(draw, name):
    f = one_of(draw, lambda x: x.to(torch.float64)*x, lambda x: x.to('cpu', torch.float64).exp(), lambda x: x.to('cpu'))
    return Case(f, tensors(draw, draw(shapes())), 'to')

# -- products

@case('matmul')
def matmul(draw, name):
    n,k,m = (draw(sizes) for _ in range(3))
    what = one_of(draw, 'vv', 'mv', 'vm', 'mm', 'mm', 'bb', 'bb', 'bv', 'vb', 'xxT', 'xTx') # vectors, matrices, batches
    left,right = broadcastable(draw, 2, 2)
    f = one_of(draw, torch.matmul, lambda x,y: x@y, lambda x,y: x.matmul(y))
    if what=='xxT': return Case(lambda x: f(x, x.T), tensors(draw, [n,k]), 'x@x.T')
    if what=='xTx': return Case(lambda x: f(x.mT, x), tensors(draw, [*left,n,k]), 'x.mT@x')
    a,b = tensors(draw, dict(v=[k], m=[n,k], b=[*left,n,k])[what[0]], dict(v=[k], m=[k,m], b=[*right,k,m])[what[1]])
    return one_of(draw, Case(f, [a, b], 'matmul'), Case(f, [a, b], 'matmul'),
                  Case(lambda x: f(x, b), [a], 'matmul(x, tensor)'), Case(lambda x: f(a, x), [b], 'matmul(tensor, x)'))

@case('linear')
def linear(draw, name):
    n,d,h = (draw(sizes) for _ in range(3))
    x,w,b = tensors(draw, [*draw(shapes()),d], [d,h], [h])
    return one_of(draw, Case(autograd.linear, [x, w, b], 'linear'), Case(F.linear, [x, w.T, b], 'F.linear'),
                  Case(F.linear, [x, w.T], 'F.linear without bias'), Case(lambda w,b: autograd.linear(x, w, b), [w, b], 'linear of data'))

@case('mse_loss')
def mse_loss(draw, name):
    s = [max(n, 1) for n in draw(shapes())] # the mean of nothing is an error of chapter 01
    a,b = tensors(draw, s, s)
    return one_of(draw, Case(F.mse_loss, [a, b], 'mse_loss'), Case(lambda x: F.mse_loss(x, b), [a], 'mse_loss(x, tensor)'),
                  Case(lambda x: F.mse_loss(b, x), [a], 'mse_loss(tensor, x)'))

# -- shapes

@case('transpose')
def transpose(draw, name):
    s = draw(shapes(2, 4))
    i,j = (draw(st.integers(-len(s), len(s)-1)) for _ in range(2))
    forms = [lambda x: x.transpose(i, j), lambda x: torch.transpose(x, i, j), lambda x: x.mT] + [lambda x: x.T]*(len(s)==2)
    return Case(one_of(draw, *forms), tensors(draw, s), f'transpose {i} {j}')

@case('permute')
def permute(draw, name):
    s = draw(shapes(0, 4))
    p = [d-len(s) if draw(st.booleans()) else d for d in draw(st.permutations(range(len(s))))]
    forms = [lambda x: x.permute(p), lambda x: torch.permute(x, p)] + [lambda x: x.permute(*p)]*bool(s)
    return Case(one_of(draw, *forms), tensors(draw, s), f'permute {p}')

@case('reshape')
def reshape(draw, name):
    s = draw(shapes(0, 4))
    n = math.prod(s)
    to = one_of(draw, [n], [1,n], [n,1], *[[-1]]*bool(n), *[[-1,*s[:1]]]*bool(n), *[[n//2,2]]*(n%2==0))
    return Case(one_of(draw, lambda x: x.reshape(to), lambda x: x.reshape(*to), lambda x: torch.reshape(x, tuple(to))),
                tensors(draw, s), f'reshape {to}')

@case('expand')
def expand(draw, name):
    s = draw(shapes())
    to = draw(shapes(0, 1)) + [draw(sizes) if n==1 else n for n in s]
    return Case(one_of(draw, lambda x: x.expand(to), *[lambda x: x.expand(*to)]*bool(to)), tensors(draw, s), f'expand {to}')

@case('sum_to_size')
def sum_to_size(draw, name):
    s = draw(shapes())
    to = [n if draw(st.booleans()) else 1 for n in s][draw(st.integers(0, len(s))):]
    return Case(lambda x: x.sum_to_size(to), tensors(draw, s), f'sum_to_size {to}')

@case('squeeze')
def squeeze(draw, name):
    s = draw(shapes(0, 4))
    d = dims(draw, len(s))
    if isinstance(d, list): d = tuple(d)
    forms = [lambda x: x.squeeze()] if d is None else [lambda x: x.squeeze(d), lambda x: torch.squeeze(x, d), lambda x: x.squeeze(dim=d)]
    return Case(one_of(draw, *forms), tensors(draw, s), f'squeeze {d}')

@case('unsqueeze')
def unsqueeze(draw, name):
    s = draw(shapes())
    d = draw(st.integers(-len(s)-1, len(s)))
    return Case(one_of(draw, lambda x: x.unsqueeze(d), lambda x: torch.unsqueeze(x, d)), tensors(draw, s), f'unsqueeze {d}')

@case('flip')
def flip(draw, name):
    s = draw(shapes())
    d = draw(st.lists(st.integers(0, len(s)-1), unique=True)) if s else []
    forms = [lambda x: x.flip(d), lambda x: torch.flip(x, d)] + [lambda x: x.flip(*d)]*bool(d)
    return Case(one_of(draw, *forms), tensors(draw, s), f'flip {d}')

@case('cat')
def cat(draw, name):
    s = draw(shapes(1, 3))
    d = draw(st.integers(-len(s), len(s)-1))
    if draw(st.booleans()): return Case(lambda x: torch.cat([x, x, x], d), tensors(draw, s), f'cat x x x {d}')
    def piece(): return [draw(sizes) if k==d%len(s) else n for k,n in enumerate(s)]
    return Case(lambda *xs: torch.cat(xs, dim=d), tensors(draw, *(piece() for _ in range(draw(st.integers(1, 4))))), f'cat {d}')

@case('stack')
def stack(draw, name):
    s = draw(shapes())
    d = draw(st.integers(-len(s)-1, len(s)))
    if draw(st.booleans()): return Case(lambda x: torch.stack([x, x], d), tensors(draw, s), f'stack x x {d}')
    return Case(lambda *xs: torch.stack(xs, dim=d), tensors(draw, *[s]*draw(st.integers(1, 4))), f'stack {d}')

# -- picking

@case('gather')
def gather(draw, name):
    s = draw(shapes())
    d,to = draw(st.integers(-max(len(s), 1), max(len(s), 1)-1)), [draw(st.integers(0, n)) for n in s]
    if s: to[d] = draw(sizes) if s[d] else 0
    i = torch.randint(0, max(s[d], 1) if s else 1, to, generator=seeded(draw))
    return Case(one_of(draw, lambda x: x.gather(d, i), lambda x: torch.gather(x, d, i), lambda x: x.gather(dim=d, index=i)),
                tensors(draw, s), f'gather {d} {i.tolist()}')

@case('scatter')
def scatter(draw, name):
    s = draw(shapes(1, 3))
    d,to = draw(st.integers(0, len(s)-1)), [n + draw(st.integers(0, 2)) for n in s]
    i = torch.randint(0, max(to[d], 1), s if to[d] else [0]*len(s), generator=seeded(draw))
    return Case(lambda x: ops._scatter(x, d, i, tuple(to)), tensors(draw, i.shape), f'scatter {d} {i.tolist()} {to}')

def some_index(draw, s):
    "What may stand between the brackets after a tensor of shape `s`."
    gen,at,rest = seeded(draw), [], list(s)
    lead = draw(shapes(0, 2)) # index arrays broadcast against this shape
    while rest and draw(st.integers(0, 4)):
        how,n = one_of(draw, 'integer', 'slice', 'slice', 'None', 'array', 'array', 'list', 'mask', 'ellipsis'), rest[0]
        if how=='None':
            at.append(None)
            continue
        if how=='ellipsis':
            at.append(...)
            break
        if how=='mask' and not any(isinstance(a, Tensor) for a in at):
            k = draw(st.integers(1, min(2, len(rest))))
            at.append(torch.rand(rest[:k], generator=gen) > .5)
            lead,rest = [int(at[-1].sum())], rest[k:]
            continue
        at.append(draw(st.integers(-n, n-1)) if how=='integer' and n else
                  torch.randint(-n, n, [m if draw(st.booleans()) else 1 for m in lead], generator=gen) if how=='array' and n else
                  [draw(st.integers(0, n-1))] if how=='list' and n and not lead else some_slice(draw, n))
        rest = rest[1:]
    return at[0] if len(at)==1 and draw(st.booleans()) else tuple(at)

@case('index')
def index(draw, name):
    s = draw(shapes(0, 4))
    at = some_index(draw, s)
    return Case(lambda x: x[at], tensors(draw, s), f'x[{at}]')

@case('place')
def place(draw, name):
    s = draw(shapes(0, 4))
    at = some_index(draw, s)
    return Case(lambda x: autograd.place(x, at, s), tensors(draw, torch.zeros(s)[at].shape), f'place at [{at}] of {s}')

def some_slice(draw, n):
    a,b = sorted(draw(st.integers(0, n)) for _ in range(2))
    return slice(a, b or None, one_of(draw, None, 1, 2))

# -- reductions

@case('sum', 'mean')
def sums(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)), draw(st.booleans())
    if d is None: d = one_of(draw, None, ()) # either is all
    forms = [lambda x: getattr(torch, name)(x, d, k), lambda x: getattr(x, name)(dim=d, keepdim=k),
             (lambda x: getattr(x, name)()) if d is None else (lambda x: getattr(x, name)(d))]
    return Case(one_of(draw, *forms), tensors(draw, s), f'{name} {d} {k}', second=0 not in s) # the mean of nothing is nan

@case('var')
def var(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)), draw(st.booleans())
    if d is None: d = one_of(draw, None, ())
    n = math.prod(s) if d in (None, ()) or not s else math.prod(s[i] for i in (d if isinstance(d, (list,tuple)) else [d]))
    c = one_of(draw, 0, 1, 1, 2, .5) if n>2 else 0 # below, PyTorch and we differ in where they say nan and inf
    f = (lambda x: torch.var(x, dim=d, keepdim=k)) if c==1 else lambda x: x.var(d, correction=c, keepdim=k)
    oracle = (lambda x: x.var(correction=c, keepdim=k)) if d==() else None # torch 2.13 divides by 1 there on the way back
    return Case(f, tensors(draw, s), f'var {d} {c} {k}', second=0 not in s, oracle=oracle)

def filled(s, d):
    "The shape `s` with no empty axis among those that `d` reduces: nothing has no largest entry."
    reduced = {i%len(s) for i in (d if isinstance(d, (list,tuple)) else [d])} if s and d not in (None, ()) else range(len(s))
    return [max(n, 1) if i in reduced else n for i,n in enumerate(s)]

@case('amax', 'amin')
def extremes(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)), draw(st.booleans())
    s,d = filled(s, d), () if d is None else d
    return Case(one_of(draw, lambda x: getattr(x, name)(d, k), lambda x: getattr(torch, name)(x, dim=d, keepdim=k)),
                tensors(draw, s), f'{name} {d} {k}')

@case('logsumexp')
def logsumexp(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s), none=False), draw(st.booleans())
    return Case(one_of(draw, lambda x: x.logsumexp(d, k), lambda x: torch.logsumexp(x, dim=d, keepdim=k)), tensors(draw, s), f'logsumexp {d} {k}')

@case('softmax', 'log_softmax', 'cumsum')
def along(draw, name):
    s = draw(shapes())
    d = dims(draw, len(s), none=False, many=False)
    forms = [lambda x: getattr(x, name)(d), lambda x: getattr(torch, name)(x, dim=d)] + [lambda x: getattr(F, name)(x, d)]*(name!='cumsum')
    return Case(one_of(draw, *forms), tensors(draw, s), f'{name} {d}')

@case('vector_norm')
def vector_norm(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)), draw(st.booleans())
    s = filled(s, d)
    p = one_of(draw, 2, 2, 2., 1, 3, 1.5, .5, math.inf, -math.inf, 0, -1)
    x, = spaced(seeded(draw), [s], -2., 2.)
    x = laid_out(draw, x + .3*x.sign()) # orders below 1 are so steep near 0 that a difference is too coarse
    return Case(lambda x: torch.linalg.vector_norm(x, p, d, k), [x], f'vector_norm {p} {d} {k}')
