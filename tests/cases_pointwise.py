"Calls of what treats each entry by itself."
from functools import partial
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from cases import Case, broadcastable, case, one_of, seeded, shapes, tensors
from mlfound import ops

POSITIVE,INSIDE = dict(lo=.2, hi=3.),dict(lo=-.9, hi=.9)
DOMAIN = dict(log=POSITIVE, log2=POSITIVE, log10=POSITIVE, sqrt=POSITIVE, rsqrt=POSITIVE,
              reciprocal=POSITIVE, log1p=dict(lo=-.8, hi=3.), tan=dict(lo=-1.2, hi=1.2),
              asin=INSIDE, acos=INSIDE, atanh=INSIDE, acosh=dict(lo=1.1, hi=3.))
ALIASES = dict(abs='absolute', asin='arcsin', acos='arccos', atan='arctan', asinh='arcsinh',
               acosh='arccosh', atanh='arctanh', neg='negative')
SMOOTH = """exp log log1p sqrt tanh sigmoid relu abs neg rsqrt square reciprocal exp2 expm1 log2
    log10 sin cos tan asin acos atan sinh cosh asinh acosh atanh erf erfc positive""".split()

@case(*SMOOTH)
def unary(draw, name):
    torch_name = one_of(draw, name, ALIASES.get(name, name))
    forms = [getattr(torch, torch_name), lambda x: getattr(x, torch_name)()]
    symbols = dict(neg=lambda x: -x, abs=abs, relu=F.relu, positive=lambda x: +x)
    if name in symbols: forms.append(symbols[name])
    if hasattr(torch.special, name): forms.append(getattr(torch.special, name))
    return Case(one_of(draw, *forms), tensors(draw, draw(shapes()), **DOMAIN.get(name, {})), name)

OPTIONS = dict(
    softplus=[lambda x: F.softplus(x, beta=2.), lambda x: F.softplus(x, 3., threshold=1.)],
    elu=[lambda x: F.elu(x, 1.7), lambda x: F.elu(x, alpha=.3)],
    leaky_relu=[lambda x: F.leaky_relu(x, .2), lambda x: F.leaky_relu(x, negative_slope=0.)])

@case('silu', 'log_sigmoid', 'softplus', 'elu', 'leaky_relu')
def bends(draw, name):
    f = F.logsigmoid if name=='log_sigmoid' else getattr(F, name)
    return Case(one_of(draw, f, *OPTIONS.get(name, [])), tensors(draw, draw(shapes())), name)

def between(x): return torch.floor(x) + .1 + .8*(x - torch.floor(x))   # not near a whole number

@case('floor', 'ceil', 'trunc', 'frac', 'round')
def steps(draw, name):
    x, = tensors(draw, draw(shapes()), lo=-3., hi=3.)
    torch_name = one_of(draw, name, dict(trunc='fix').get(name, name))
    forms = [lambda x: getattr(torch, torch_name)(x), lambda x: getattr(x, torch_name)()]
    if name!='round': return Case(one_of(draw, *forms), [between(x)], name)
    decimals = draw(st.integers(-1, 2))
    forms = [lambda x: torch.round(x, decimals=decimals), lambda x: x.round(decimals=decimals)]
    return Case(one_of(draw, *forms), [(between(x) + .5)/10**decimals], f'round {decimals}')

@case('remainder', 'fmod', 'floor_divide')
def modulo(draw, name):
    a,b = broadcastable(draw)
    b, = tensors(draw, b, lo=.7, hi=2.5)
    a, = tensors(draw, a, lo=-4., hi=4.)
    q = a/b                                                     # not near a whole number
    if q.numel(): a = a + .2*b.max()*((q - q.round()).abs()<1e-3).any()
    symbols = dict(remainder=lambda x,y: x%y, floor_divide=lambda x,y: x//y)
    f = one_of(draw, symbols.get(name, torch.fmod), lambda x,y: getattr(x, name)(y),
               getattr(torch, name))
    oracle = None
    if name=='floor_divide': oracle = partial(torch.div, rounding_mode='floor') # PyTorch has no rule
    n = one_of(draw, 1.7, -2.3)
    if draw(st.booleans()): return Case(f, [a, b], name, oracle=oracle)
    return Case(lambda x: f(x, n), [a], f'{name} {n}', oracle=oracle and (lambda x: oracle(x, n)))

SYMBOL = dict(add=lambda x,y: x+y, sub=lambda x,y: x-y, mul=lambda x,y: x*y, div=lambda x,y: x/y,
              pow=lambda x,y: x**y)
SECOND = dict(add=[lambda x,y: torch.add(x, y, alpha=3), lambda x,y: x.add(y, alpha=-.5)],
              sub=[lambda x,y: torch.sub(x, y, alpha=3), torch.subtract],
              mul=[torch.multiply, lambda x,y: x.multiply(y)],
              div=[torch.divide, torch.true_divide, lambda x,y: x.divide(y)],
              atan2=[torch.arctan2])

@case('add', 'sub', 'mul', 'div', 'pow', 'maximum', 'minimum', 'atan2')
def binary(draw, name):
    f = one_of(draw, getattr(torch, name), lambda x,y: getattr(x, name)(y), *SECOND.get(name, []),
               *[SYMBOL[name]]*2 if name in SYMBOL else [])
    domain = dict(lo=.3, hi=2.5) if name in ('div','pow') else {}
    a,b = tensors(draw, *broadcastable(draw), **domain)
    if name=='atan2': a,b = a + a.sign()*.3,b + b.sign()*.3
    how = one_of(draw, 'two', 'two', 'two', 'same', 'number left', 'number right', 'tensor left',
                 'tensor right')
    if how=='same' and name in SYMBOL: return Case(lambda x: f(x, x), [a], f'{name}(x, x)')
    if how=='tensor left': return Case(lambda x: f(b, x), [a], f'{name}(tensor, x)')
    if how=='tensor right': return Case(lambda x: f(x, b), [a], f'{name}(x, tensor)')
    if how in ('two','same') or name=='atan2': return Case(f, [a, b], name)
    f = SYMBOL.get(name) or getattr(ops, name) # torch.maximum takes no number, ours does
    n = one_of(draw, 2, 3, .5123, -1.5, 0, 1) if name in SYMBOL else one_of(draw, .00123, 1.10123)
    if name=='div': n = one_of(draw, 2, .5, -3)
    if how=='number right': return Case(lambda x: f(x, n), [a], f'{name}(x, {n})')
    second = not (name=='pow' and n==0)
    return Case(lambda x: f(abs(n), x), [a], f'{name}({abs(n)}, x)', second)

@case('rsub')
def rsub(draw, name):
    a,b = tensors(draw, *broadcastable(draw))
    return Case(one_of(draw, torch.rsub, lambda x,y: torch.rsub(x, y, alpha=2.)), [a, b], 'rsub')

@case('clamp_min', 'clamp_max')
def clamp_one(draw, name):
    x,bound = tensors(draw, *broadcastable(draw, 2))
    n = one_of(draw, -.50123, .70123)
    f = one_of(draw, getattr(torch, name), lambda x,n: getattr(x, name)(n))
    return one_of(draw, Case(f, [x, bound], name), Case(lambda x: f(x, n), [x], f'{name} {n}'))

@case('clamp')
def clamp(draw, name):
    x,lo,hi = tensors(draw, *broadcastable(draw, 3))
    n = one_of(draw, -1.00123, -.50123, .0123, .70123)
    f = one_of(draw, torch.clamp, torch.clip, lambda x,*a,**k: x.clip(*a, **k))
    return one_of(draw,
        Case(lambda x: f(x, n, n+1), [x], 'clamp, numbers'),
        Case(lambda x: f(x, min=n), [x], 'clamp, min'),
        Case(lambda x: f(x, max=n), [x], 'clamp, max'),
        Case(lambda x,lo: f(x, lo), [x, lo], 'clamp, tensor min'),
        Case(lambda x,hi: f(x, max=hi), [x, hi], 'clamp, tensor max'),
        # torch 2.13 cannot broadcast in this rule
        Case(lambda x,lo,hi: f(x, lo, hi), [x, lo, hi], 'clamp, tensors',
             oracle=lambda *xs: torch.clamp(*torch.broadcast_tensors(*xs))))

@case('where')
def where(draw, name):
    c,x,y = broadcastable(draw, 3)
    c = torch.rand(c, generator=seeded(draw)) > .5
    x,y = tensors(draw, x, y)
    return one_of(draw, Case(lambda x,y: torch.where(c, x, y), [x, y], 'where'),
                  Case(lambda x,y: x.where(c, y), [x, y], 'x.where'),
                  Case(lambda x: torch.where(c, x, 0), [x], 'where, number'),
                  Case(lambda x: torch.where(c, y, x), [x], 'where, tensor'))

@case('masked_fill')
def masked_fill(draw, name):
    c,x = broadcastable(draw, 2)
    c = torch.rand(c, generator=seeded(draw)) > .5
    x,value = tensors(draw, x, [])
    f = one_of(draw, torch.masked_fill, lambda x,c,v: x.masked_fill(c, v))
    return one_of(draw, Case(lambda x: f(x, c, -1.5), [x], 'masked_fill, number'),
                  Case(lambda x,v: f(x, c, v), [x, value], 'masked_fill'))

@case('to', 'half', 'bfloat16', 'float', 'double')
def to(draw, name):
    forms = [lambda x: x.to(torch.float64)*x, lambda x: x.to('cpu', torch.float64).exp(),
             lambda x: x.to('cpu'), lambda x: x.double()]
    return Case(one_of(draw, *forms), tensors(draw, draw(shapes())), 'to')
