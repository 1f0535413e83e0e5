"Calls of products, and of what makes one number of many."
import math
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from cases import (Case, broadcastable, case, dims, laid_out, one_of, seeded, shapes, sizes,
                   spaced, tensors)
from mlfound import autograd


# -- products

@case('matmul')
def matmul(draw, name):
    n,k,m = (draw(sizes) for _ in range(3))
    # vectors, matrices, batches
    what = one_of(draw, 'vv', 'mv', 'vm', 'mm', 'mm', 'bb', 'bb', 'bv', 'vb', 'xxT', 'xTx')
    left,right = broadcastable(draw, 2, 2)
    f = one_of(draw, torch.matmul, lambda x,y: x@y, lambda x,y: x.matmul(y))
    if what=='xxT': return Case(lambda x: f(x, x.T), tensors(draw, [n,k]), 'x@x.T')
    if what=='xTx': return Case(lambda x: f(x.mT, x), tensors(draw, [*left,n,k]), 'x.mT@x')
    on_left,on_right = dict(v=[k], m=[n,k], b=[*left,n,k]),dict(v=[k], m=[k,m], b=[*right,k,m])
    a,b = tensors(draw, on_left[what[0]], on_right[what[1]])
    return one_of(draw, Case(f, [a, b], 'matmul'), Case(f, [a, b], 'matmul'),
                  Case(lambda x: f(x, b), [a], 'matmul(x, tensor)'),
                  Case(lambda x: f(a, x), [b], 'matmul(tensor, x)'))

@case('linear')
def linear(draw, name):
    n,d,h = (draw(sizes) for _ in range(3))
    x,w,b = tensors(draw, [*draw(shapes()),d], [d,h], [h])
    return one_of(draw, Case(autograd.linear, [x, w, b], 'linear'),
                  Case(F.linear, [x, w.T, b], 'F.linear'),
                  Case(F.linear, [x, w.T], 'F.linear without bias'),
                  Case(lambda w,b: autograd.linear(x, w, b), [w, b], 'linear of data'))

@case('mse_loss')
def mse_loss(draw, name):
    s = [max(n, 1) for n in draw(shapes())] # the mean of nothing is an error of chapter 01
    a,b = tensors(draw, s, s)
    return one_of(draw, Case(F.mse_loss, [a, b], 'mse_loss'),
                  Case(lambda x: F.mse_loss(x, b), [a], 'mse_loss(x, tensor)'),
                  Case(lambda x: F.mse_loss(b, x), [a], 'mse_loss(tensor, x)'))

# -- reductions

@case('sum', 'mean')
def sums(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)), draw(st.booleans())
    if d is None: d = one_of(draw, None, ()) # either is all
    forms = [lambda x: getattr(torch, name)(x, d, k), lambda x: getattr(x, name)(dim=d, keepdim=k),
             (lambda x: getattr(x, name)()) if d is None else (lambda x: getattr(x, name)(d))]
    second = 0 not in s # the mean of nothing is nan
    return Case(one_of(draw, *forms), tensors(draw, s), f'{name} {d} {k}', second)

@case('var', 'std')
def var(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)), draw(st.booleans())
    if d is None: d = one_of(draw, None, ())
    along = d if isinstance(d, (list,tuple)) else [d]
    n = math.prod(s) if d in (None, ()) or not s else math.prod(s[i] for i in along)
    if name=='std' and n<2:
        return Case(lambda x: x.std(), [torch.tensor([1.,2.,4.]).double()], 'std')
    # below, PyTorch and we differ in where they say nan and inf
    c = one_of(draw, 0, 1, 1, 2, .5) if n>2 else 0
    def f(x): return getattr(x, name)(d, correction=c, keepdim=k)
    forms = [f]
    if c in (0, 1): forms.append(lambda x: getattr(torch, name)(x, d, unbiased=bool(c), keepdim=k))
    if c==1: forms.append(lambda x: getattr(torch, name)(x, dim=d, keepdim=k))
    if d==(): forms = [f]
    # torch 2.13 divides by 1 there on the way back
    oracle = (lambda x: getattr(x, name)(correction=c, keepdim=k)) if d==() else None
    text = f'{name} {d} {c} {k}'
    return Case(one_of(draw, *forms), tensors(draw, s), text, second=0 not in s, oracle=oracle)

def filled(s, d):
    "The shape `s` with no empty axis among those that `d` reduces: nothing has no largest entry."
    reduced = range(len(s))
    several = d if isinstance(d, (list,tuple)) else [d]
    if s and d not in (None, ()): reduced = {i%len(s) for i in several}
    return [max(n, 1) if i in reduced else n for i,n in enumerate(s)]

@case('amax', 'amin')
def extremes(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)), draw(st.booleans())
    s,d = filled(s, d), () if d is None else d
    forms = [lambda x: getattr(x, name)(d, k), lambda x: getattr(torch, name)(x, dim=d, keepdim=k)]
    return Case(one_of(draw, *forms), tensors(draw, s), f'{name} {d} {k}')

@case('logsumexp')
def logsumexp(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s), none=False), draw(st.booleans())
    f = one_of(draw, lambda x: x.logsumexp(d, k), lambda x: torch.logsumexp(x, dim=d, keepdim=k))
    return Case(f, tensors(draw, s), f'logsumexp {d} {k}')

@case('softmax', 'log_softmax', 'cumsum')
def along(draw, name):
    s = draw(shapes())
    d = dims(draw, len(s), none=False, many=False)
    forms = [lambda x: getattr(x, name)(d), lambda x: getattr(torch, name)(x, dim=d)]
    if name!='cumsum': forms.append(lambda x: getattr(F, name)(x, d))
    return Case(one_of(draw, *forms), tensors(draw, s), f'{name} {d}')

@case('vector_norm')
def vector_norm(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)), draw(st.booleans())
    s = filled(s, d)
    p = one_of(draw, 2, 2, 2., 1, 3, 1.5, .5, math.inf, -math.inf, 0, -1)
    x, = spaced(seeded(draw), [s], -2., 2.)
    # orders below 1 are so steep near 0 that a difference is too coarse
    x = laid_out(draw, x + .3*x.sign())
    return Case(lambda x: torch.linalg.vector_norm(x, p, d, k), [x], f'vector_norm {p} {d} {k}')

@case('prod', 'cumprod')
def prod(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s), none=name=='prod', many=False),draw(st.booleans())
    x, = tensors(draw, s)
    zeros = torch.rand(s, generator=seeded(draw)) < one_of(draw, 0., .3)
    x = torch.where(zeros, 0., x)
    if name=='cumprod':
        f = one_of(draw, lambda x: x.cumprod(d), lambda x: torch.cumprod(x, d))
        return Case(f, [x], f'cumprod {d}')
    f = one_of(draw, torch.prod, lambda x,*a: x.prod(*a))
    return Case(f if d is None else lambda x: f(x, d, k), [x], f'prod {d} {k}')

@case('max', 'min')
def largest(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s), many=False),draw(st.booleans())
    f = one_of(draw, getattr(torch, name), lambda x,*a: getattr(x, name)(*a))
    if draw(st.booleans()) and d is None:
        return Case(f, tensors(draw, *broadcastable(draw)), f'{name} of two')
    xs = tensors(draw, filled(s, d))
    return Case(f if d is None else lambda x: f(x, d, k)[0], xs, f'{name} {d} {k}')

@case('sort', 'topk', 'cummax', 'cummin')
def ordered(draw, name):
    s = draw(shapes())
    d = dims(draw, len(s), none=False, many=False)
    if name.startswith('cum'): s = filled(s, d)
    f = one_of(draw, getattr(torch, name), lambda x,*a: getattr(x, name)(*a))
    down = draw(st.booleans())
    k = draw(st.integers(0, s[d] if s else 1))
    forms = dict(sort=[lambda x: f(x, d)[0], lambda x: f(x, d, down).values, lambda x: f(x)[0]],
                 topk=[lambda x: f(x, k, d)[0], lambda x: f(x, k, d, down).values])
    g = one_of(draw, *forms.get(name, [lambda x: f(x, d).values]))
    return Case(g, tensors(draw, s), f'{name} {d}')

@case('norm')
def norm(draw, name):
    s = draw(shapes())
    d,k = dims(draw, len(s)),draw(st.booleans())
    p = one_of(draw, 2, 1, 3, 'fro', math.inf)
    xs = tensors(draw, filled(s, d))
    if p=='fro': return Case(one_of(draw, torch.norm, lambda x: x.norm()), xs, 'norm')
    f = one_of(draw, lambda x: x.norm(p, d, k), lambda x: torch.norm(x, p, d, k))
    return Case(f, xs, f'norm {p} {d} {k}')

# -- products with names of their own

@case('mm', 'bmm', 'mv', 'dot', 'outer')
def products(draw, name):
    n,k,m,b = (draw(sizes) for _ in range(4))
    both = dict(mm=([n,k], [k,m]), bmm=([b,n,k], [b,k,m]), mv=([n,k], [k]), dot=([k], [k]),
                outer=([n], [m]))
    f = one_of(draw, getattr(torch, name), lambda x,y: getattr(x, name)(y))
    return Case(f, tensors(draw, *both[name]), name)

@case('tensordot')
def tensordot(draw, name):
    s = draw(shapes(0, 3))
    left,right = draw(shapes(0, 2)),draw(shapes(0, 2))
    if draw(st.booleans()):
        xs = tensors(draw, left+s, s+right)
        return Case(lambda x,y: torch.tensordot(x, y, len(s)), xs, f'tensordot {len(s)}')
    axes = draw(st.permutations(range(len(s))))
    mixed = [s[i] for i in axes] + right
    pairs = [len(left)+i for i in axes],[*range(len(s))]
    xs = tensors(draw, left+s, mixed)
    return Case(lambda x,y: torch.tensordot(x, y, dims=pairs), xs, f'tensordot {pairs}')

@case('einsum')
def einsum(draw, name):
    "Terms of letters whose sizes agree: some letters twice, some stretched, some in dots."
    size = {c: draw(sizes) for c in 'abcde'}
    letters = st.lists(st.sampled_from('abcde'), max_size=4)
    terms = [''.join(draw(letters)) for _ in range(draw(st.integers(1, 3)))]
    shown = sorted({c for t in terms for c in t})
    result = ''.join(draw(st.permutations(shown)))[:draw(st.integers(0, len(shown)))]
    dots = [draw(sizes) for _ in range(draw(st.integers(0, 2)))]
    stretched = [draw(st.booleans()) and draw(st.booleans()) for _ in terms]
    where = [draw(st.booleans()) and bool(dots) for _ in terms]
    def shape(t, thin, dotted):
        own = [1 if thin and t.count(c)==1 else size[c] for c in t]
        return (dots[draw(st.integers(0, len(dots))):] if dotted else []) + own
    xs = [shape(t, thin, dotted) for t,thin,dotted in zip(terms, stretched, where)]
    left = ','.join('...'*dotted + t for t,dotted in zip(terms, where))
    equation = one_of(draw, left, f'{left}->{"..."*any(where)}{result}')
    return Case(lambda *xs: torch.einsum(equation, *xs), tensors(draw, *xs), f'einsum {equation}')

@case('dropout')
def dropout(draw, name):
    seed,p = draw(st.integers(0, 999)),one_of(draw, 0., .3, .5, 1.)
    def f(x, training=True):
        torch.manual_seed(seed)     # torch draws from its global generator
        return F.dropout(x, p, training)
    xs = tensors(draw, draw(shapes()))
    return Case(one_of(draw, f, lambda x: f(x, False)), xs, f'dropout {p}')
