"Answers to the workbook as readers write them: right ones in another style, and wrong ones."
import math
from itertools import count

import torch
from mlfound import exercises # noqa: F401 (enters them)
from mlfound.attention import attention_weights
from mlfound.blocks import Grads
from mlfound.fits import solved
from mlfound.forward import Params
from mlfound.module import Module, accumulate
from mlfound.optimizers import Optimizer

Layer, Value = solved('03.1'), solved('04.2')

def relu(x): return torch.where(x <= 0, 0*x.clamp(0, 0), x)
def mse(pred, targ):
    if pred.shape != targ.shape: raise ValueError(f'{pred.shape} and {targ.shape}')
    return torch.nn.functional.mse_loss(pred, targ.to(pred))
def mlp(x, params):
    h = x.matmul(params.w1).add(params.b1)
    return h.clamp(min=0).matmul(params.w2).add(params.b2)
def init_params(d, h, c, generator=None, dtype=None, device=None):
    like = dict(dtype=dtype, device=device)
    drawn = [torch.randn(*s, generator=generator, **like) for s in ((d, h), (h, c))]
    zeros = [torch.zeros(k, **like) for k in (h, c)]
    return Params(drawn[0], zeros[0], drawn[1], zeros[1])

def mse_vjp(g, pred, targ):
    n = math.prod(pred.shape)
    return torch.mul(pred.sub(targ), g).mul(2).div(n)
def relu_vjp(g, x):
    out = torch.zeros_like(g)
    out[x > 0] = g[x > 0]
    return out
def lin_vjp(g, x, w, b=None, *, input_grad=True):
    gx = torch.einsum('nh,dh->nd', g, w) if input_grad else None
    return gx, torch.einsum('nd,nh->dh', x, g), torch.einsum('nh->h', g)
def nudge(f, x, g, eps=6e-6):
    out = []
    for i in range(x.numel()):
        hi, lo = x.clone(), x.clone()
        hi.view(-1)[i] += eps
        lo.view(-1)[i] -= eps
        out.append(((g*(f(hi) - f(lo))).sum()/(2*eps)))
    return torch.stack(out).view(x.shape)
def kept(x, params):
    z = x@params[0] + params[1]
    return z, z.clamp_min(0), z.clamp_min(0)@params[2] + params[3]
def walk(x, targ, params):
    leaves = [t.clone().requires_grad_() for t in (x, *params)]
    loss = mse(mlp(leaves[0], Params(*leaves[1:])), targ)
    return loss.detach(), Grads(*torch.autograd.grad(loss, leaves))

class Remembers:
    def __call__(self, *args):
        self.args = args
        return self.forward(*args)
    def backward(self, g):
        args = self.args
        return self.bwd(g, *args)
class Chain(Layer):
    def __init__(self, *layers): self.layers = layers
    def forward(self, x, k=0):
        return x if k == len(self.layers) else self.forward(self.layers[k](x), k+1)
    def bwd(self, g, x):
        k = len(self.layers)
        while k:
            k -= 1
            g = self.layers[k].backward(g)
        return g
class Lin(Layer):
    def __init__(self, w, b): self.w, self.b = w, b
    def forward(self, x): return torch.addmm(self.b, x, self.w)
    def bwd(self, g, x):
        self.gw, self.gb = x.T.mm(g), g.sum(dim=0)
        return g.mm(self.w.T)
class Bend(Layer):
    def forward(self, x): return x.relu()
    def bwd(self, g, x): return torch.where(x > 0, g, 0)
class Loss(Layer):
    def forward(self, pred, targ): return ((pred - targ)**2).mean()
    def bwd(self, g, pred, targ): return g*(pred - targ)*2/pred.numel()
class Linear(Module):
    parameter_names = 'w', 'b'
    def forward(self, x): return x@self.w + self.b
    def bwd(self, g, x):
        for p, gp in ((self.w, x.T@g), (self.b, g.sum(0))): accumulate(p, gp)
        if self.input_grad: return g@self.w.T

class Scale(Module):
    parameter_names = 's',
    def __init__(self, s): self.s = s
    def forward(self, x): return x.mul(self.s)
    def bwd(self, g, x):
        accumulate(self.s, torch.einsum('nd,nd->', g, x))
        return g.mul(self.s)
class Residual(Layer):
    def __init__(self, f): self.f = f
    def forward(self, x): return torch.add(self.f(x), x)
    def bwd(self, g, x):
        straight, through = g, self.f.backward(g)
        return torch.add(straight, through)

def heart(end):
    found, todo = [], [end]
    while todo:
        line = todo.pop()
        if line in found: continue
        found.append(line)
        todo += [to for to, _ in line.edges]
    grads = {end: 1}
    for line in sorted(found, key=lambda each: each.number, reverse=True):
        for to, rule in line.edges:
            if to in grads: grads[to] = grads[to] + rule(grads[line])
            else: grads[to] = rule(grads[line])
    return grads
def fast_heart(end):
    seen, todo = {end}, [end]
    while todo:
        for to, _ in todo.pop().edges:
            if to not in seen: todo.append(to)
            seen.add(to)
    grads = dict.fromkeys(seen, 0) | {end: 1.}
    for line in sorted(seen, key=lambda each: -each.number):
        for to, rule in line.edges: grads[to] += rule(grads[line])
    return grads
ticks = count()
class Tracked:
    def __init__(self, data, edges=()):
        self.data, self.edges, self.number = data, edges, next(ticks)
    def __add__(self, other):
        out = Tracked(self.data + other.data)
        out.edges = [(v, lambda g: 1*g) for v in (self, other)]
        return out
    def __mul__(self, other):
        a, b = self.data, other.data
        return Tracked(a*b, [(self, lambda g: b*g), (other, lambda g: a*g)])
def product(self, w):
    edges = [(w, lambda g: self.data.mT.matmul(g)), (self, lambda g: g.matmul(w.data.mT))]
    return Value(self.data.matmul(w.data), edges)
def bend(self): return Value(self.data.relu(), [(self, lambda g: torch.where(self.data > 0, g, 0))])
def small_sweep(end):
    seen, todo = {end}, [end]
    while todo:
        for to, _ in todo.pop().edges:
            if to not in seen: todo.append(to)
            seen.add(to)
    grads = {v: torch.zeros_like(v.data) for v in seen}
    grads[end] = torch.ones_like(end.data)
    for v in sorted(seen, key=lambda each: -each.number):
        for to, rule in v.edges:
            g = rule(grads[v])
            while g.ndim > to.data.ndim: g = g.sum(0)
            grads[to] = grads[to] + g
    return grads

def cross_entropy(logits, targ):
    logp = logits - logits.logsumexp(1, keepdim=True)
    return -sum(logp[k, c] for k, c in enumerate(targ))/len(targ)
def cross_entropy_vjp(g, logits, targ):
    p = logits.softmax(1)
    p[torch.arange(len(targ)), targ] -= 1
    return p*g/len(targ)
def gradients(x, y, *params):
    leaves = [p.clone().requires_grad_() for p in params]
    w1, b1, w2, b2 = leaves
    loss = torch.nn.functional.cross_entropy((x@w1 + b1).relu()@w2 + b2, y)
    return torch.autograd.grad(loss, leaves)
def minibatches(*tensors, size=256, generator=None, shuffle=True):
    rows = torch.arange(len(tensors[0]))
    if shuffle: rows = torch.randperm(len(rows), generator=generator)
    for part in rows.split(size): yield [t[part] for t in tensors]
class SGD(Optimizer):
    slots = 'momenta',
    def __init__(self, params, lr=.1, momentum=0., weight_decay=0.):
        super().__init__(params, lr)
        self.momentum, self.weight_decay = momentum, weight_decay
    def update(self, p, g, m):
        g = g + self.weight_decay*p
        m.copy_(self.momentum*m + g)
        p -= self.lr*m
def adam(self, p, g, m, v):
    (b1, b2), k = self.betas, self.count
    if self.decoupled: p -= self.lr*self.weight_decay*p
    else: g = g + self.weight_decay*p
    m.copy_(b1*m + (1-b1)*g)
    v.copy_(b2*v + (1-b2)*g**2)
    p -= self.lr*(m/(1-b1**k))/((v/(1-b2**k)).sqrt() + self.eps)
def init_he(sizes, generator=None, dtype=None, device=None):
    out = []
    for k in range(len(sizes)-1):
        d, h = sizes[k:k+2]
        w = torch.randn(d, h, generator=generator, dtype=dtype, device=device)
        out.extend([w.mul((2/d)**.5), torch.zeros(h, dtype=dtype, device=device)])
    return out
def descend(rate, momentum, steps=60):
    p, m, way = torch.tensor([-9., 1.6]).double(), torch.zeros(2).double(), []
    for _ in range(steps+1):
        way.append(tuple(p.tolist()))
        m = momentum*m + p*torch.tensor([1., 20.])
        p = p - rate*m
    return way
def loop(params, batches, lr=.1):
    for xb, yb in batches:
        grads = gradients(xb, yb, *params)
        for k in range(len(params)): params[k].sub_(grads[k], alpha=lr)

def standardised(x):
    x = x - x.mean(0, keepdim=True)
    spread = (x*x).sum(0).div(len(x)-1).sqrt()
    return torch.where(spread > 1e-12, x/spread, 0)
def one_cycle(peak, steps, warmup=.3, start=1/25, end=4e-6):
    top = warmup*steps - 1
    def half(a, b, share): return a + (b-a)*math.sin(math.pi*share/2)**2
    def rate(k):
        if k <= top: return peak*half(start, 1, k/top)
        return peak*half(1, end, (min(k, steps-1)-top)/(steps-1-top))
    return rate
def shift(x, generator=None, most=2, side=28):
    down, right = (int(torch.randint(-most, most+1, (), generator=generator)) for _ in range(2))
    out = torch.full_like(x, x.min()).view(-1, side, side)
    for r in range(side):
        for c in range(side):
            if 0 <= r+down < side and 0 <= c+right < side:
                out[:,r,c] = x.view(-1, side, side)[:,r+down,c+right]
    return out.view_as(x)
def nesterov(self, p, g, m):
    m.copy_(self.momentum*m + g)
    p -= self.lr*(g + self.momentum*m)
def mish_vjp(g, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(torch.nn.functional.mish(x), x, g)[0]
def conv_input(y, w, size, how=None):
    x = torch.zeros(size, dtype=y.dtype, requires_grad=True)
    out = torch.nn.functional.conv2d(x, w, None, *how)
    return torch.autograd.grad(out, x, y)[0]
def conv_weight(y, x, size, how=None):
    (s, r), (p, q), (d, e), groups = how
    x, gw = torch.nn.functional.pad(x, (q, q, p, p)), y.new_zeros(size)
    o, c = size[0]//groups, size[1]
    for a in range(groups):
        some = y[:,a*o:(a+1)*o]
        for k in range(size[2]):
            for m in range(size[3]):
                met = x[:,a*c:(a+1)*c, k*d:k*d+s*y.shape[2]:s, m*e:m*e+r*y.shape[3]:r]
                met = met[...,:y.shape[2],:y.shape[3]]
                gw[a*o:(a+1)*o,:,k,m] = torch.einsum('nopq,ncpq->oc', some, met)
    return gw
def conv1d_input(y, w, length):
    out = y.new_zeros(len(y), w.shape[1], length)
    for k in range(w.shape[2]):
        out[...,k:k+y.shape[2]] += torch.einsum('nop,oc->ncp', y, w[...,k])
    return out
def rms_norm_vjp(g, x, w, eps=1e-5):
    leaves = [t.clone().requires_grad_() for t in (x, w)]
    size = (leaves[0].pow(2).mean(-1, keepdim=True) + eps)**.5
    return torch.autograd.grad(leaves[0]/size*leaves[1], leaves, g)

def cumsum_vjp(g, dim): return g.sum(dim, keepdim=True) - g.cumsum(dim) + g
def standard(axes):
    def rule(g, x, out, eps=1e-5):
        spread = (x.var(axes, correction=0, keepdim=True) + eps).sqrt()
        return (g - g.mean(axes, True) - out*(out*g).mean(axes, True)).div(spread)
    return rule
def mean_pool_vjp(g, x, window):
    k, m = window.kernel
    return g.repeat_interleave(k, 2).repeat_interleave(m, 3)/(k*m)
def attention_vjp(g, q, k, v, mask=None, causal=False, scale=None):
    leaves = [t.clone().requires_grad_() for t in (q, k, v)]
    out = attention_weights(leaves[0], leaves[1], mask, causal, scale)@leaves[2]
    return torch.autograd.grad(out, leaves, g)

def row_rule(y, x, eps=1e-5):
    x = x.clone().requires_grad_()
    out = torch.nn.functional.layer_norm(x, x.shape[-1:], eps=eps)
    return torch.autograd.grad(out, x, y)[0]

def network(x, params):
    h = x@params[0]
    h = (h + params[1]).bend()
    return h@params[2] + params[3]
def price(logits, targ):
    z = logits.data
    return Value(cross_entropy(z, targ), [(logits, lambda g: cross_entropy_vjp(g, z, targ))])
def train(params, batches, lr):
    for x, y in batches:
        logits = network(Value(x), params)
        found = small_sweep(price(logits, y))
        for p in params: p.data = torch.sub(p.data, found[p], alpha=lr)

RIGHT = { # exercise → a second correct solution, written in another style
    '00.5': standardised,
    '01.1': lambda x, w, b: torch.einsum('nd,dh->nh', x, w) + b,
    '01.2': lambda x: torch.maximum(x, torch.zeros_like(x)), '01.3': mse, '01.4': mlp,
    '01.5': init_params,
    '02.1': mse_vjp, '02.2': relu_vjp,
    '02.3': lambda g, w: torch.einsum('nh,dh->nd', g, w),
    '02.4': lambda g, x: torch.einsum('nd,nh->dh', x, g),
    '02.5': lambda g: torch.ones(len(g), dtype=g.dtype)@g,
    '02.6': lin_vjp, '02.7': lambda g, x: torch.where(x < 0, -g, torch.where(x > 0, g, 0)),
    '02.8': nudge, '02.9': kept, '02.10': walk,
    '03.1': Remembers, '03.2': Chain, '03.3': Lin, '03.4': Bend, '03.5': Loss, '03.6': Linear,
    '03.9': Scale, '03.10': Residual,
    '04.1': fast_heart, '04.2': Tracked, '04.3': product, '04.4': bend, '04.5': small_sweep,
    '04.6': lambda g, out: out.mul(g), '04.7': lambda g, y, out: g*(out*y)*-1/y**2,
    '04.8': lambda g, x: x.reciprocal()*g, '04.9': lambda g, shape: g.sum_to_size(*shape),
    '04.10': lambda g, x: x.transpose(-1, -2).matmul(g),
    '04.13': lambda g, x: g*x.sigmoid()*(1 + x - x*x.sigmoid()),
    '05.1': lambda z: z.softmax(-1), '05.2': cross_entropy, '05.3': cross_entropy_vjp,
    '05.4': gradients,
    '05.5': lambda z, y: sum(int(r.argmax()) == int(c) for r, c in zip(z, y))/len(y),
    '05.6': minibatches, '05.7': SGD, '05.8': adam, '05.9': init_he, '05.10': descend,
    '05.12': loop, '05.15': one_cycle, '05.16': shift, '05.17': nesterov,
    '06.1': lambda g, out: g - g*out**2, '06.2': lambda g, out: g*out - g*out**2,
    '06.3': lambda g, out: .5*g/out, '06.4': lambda g, x: g*(1 - torch.sigmoid(x)),
    '06.5': cumsum_vjp,
    '06.6': lambda g, out, dim: g*out - out*(g*out).sum(dim, keepdim=True),
    '06.7': lambda g, out, dim: g - g.sum(dim, keepdim=True)*torch.exp(out),
    '06.10': mish_vjp,
    '10.2': lambda g: g.flatten(2).sum(2).sum(0), '10.3': standard((0, 2, 3)),
    '10.4': mean_pool_vjp, '10.6': conv_input, '10.7': conv_weight, '10.10': conv1d_input,
    '11.1': attention_vjp, '11.2': row_rule, '11.6': rms_norm_vjp,
    '19.1': network, '19.2': price, '19.3': train,
}

def unfinished(cls, name, f):
    "A class of the book with another method."
    return type(cls.__name__, cls.__bases__, dict(vars(cls)) | {name: f})

def no_reverse(self, g, x):
    for each in self.layers: g = each.backward(g)
    return g
def keeps_wrong(self, g, x):
    gx, self.gw, self.gb = g@self.w.T, x.T@g, g.mean(0)
    return gx
def careless(end):
    grads, todo = {end: 1}, [end]
    for line in todo:
        for to, rule in line.edges:
            if to not in grads: todo.append(to)
            grads[to] = grads.get(to, 0) + rule(grads[line])
    return grads
def overwrites(end):
    grads = {end: 1}
    for line in sorted(fast_heart(end), key=lambda each: -each.number):
        for to, rule in line.edges: grads[to] = rule(grads[line])
    return grads
def ascends(params, batches, lr=.1):
    for xb, yb in batches:
        for p, g in zip(params, gradients(xb, yb, *params)): p += lr*g
def no_lr(params, batches, lr=.1):
    for xb, yb in batches:
        for p, g in zip(params, gradients(xb, yb, *params)): p -= g
def forgets_the_bend(x, y, *params):
    w1, b1, w2, b2 = params
    a = (x@w1 + b1).relu()
    g = cross_entropy_vjp(1., a@w2 + b2, y)
    ga = g@w2.T
    return x.T@ga, ga.sum(0), a.T@g, g.sum(0)

WRONG = [ # exercise, answer, what should be said of it
    ('01.1', lambda x, w, b: x@w, 'is not used|term'),
    ('01.2', lambda x: -x.clamp_min(0), 'sign'),
    ('01.2', lambda x: x, 'step is left out'),
    ('01.3', lambda p, t: ((p-t)**2).sum(), 'how many|sum|times'),
    ('01.3', lambda p, t: ((p-t)**2).mean()/2, 'times'),
    ('01.4', lambda x, ps: (x@ps[0] + ps[1])@ps[2] + ps[3], 'step is left out'),
    ('02.1', lambda g, p, t: 2*g*(p-t), 'how many'),
    ('02.1', lambda g, p, t: g*2/p.numel()*(t-p), 'sign|exchanged'),
    ('02.1', lambda g, p, t: 2*(p-t)/p.numel(), '`g` is not used'),
    ('02.1', lambda g, p, t: g/p.numel()*(p-t), 'constant|0.5 times|factor'),
    ('02.1', lambda g, p, t: g*2*(p-t)/len(p), 'how many|constant|times|1/n'),
    ('02.1', lambda g, p, t: g*2/p.numel()*p, 'left out'),
    ('02.2', lambda g, x: torch.where(x > 0, 0, g), 'exchanged'),
    ('02.2', lambda g, x: torch.where(x >= 0, g, 0), 'edge'),
    ('02.2', lambda g, x: (x > 0).double(), '`g` is not used|g left out'),
    ('02.2', lambda g, x: torch.where(x > 0, 2*g, 0), 'constant'),
    ('02.3', lambda g, w: g@w, 'transpose'),
    ('02.3', lambda g, w: -(g@w.T), 'sign'),
    ('02.4', lambda g, x: g.T@x, 'exchanged|transpose'),
    ('02.4', lambda g, x: x.T@g/len(g), '1/n|times|how many'),
    ('02.5', lambda g: g.mean(0), 'times|how many'),
    ('02.5', lambda g: g.sum(1), 'axis'),
    ('02.5', lambda g: g, 'sum is missing'),
    ('02.6', lambda g, x, w, b=None, input_grad=True:
     (g@w.T if input_grad else None, x.T@g, -g.sum(0)), 'sign'),
    ('02.7', lambda g, x: g*torch.where(x >= 0, 1., -1.), 'edge'),
    ('02.7', lambda g, x: g*x, 'step is left out|dropped|factor'),
    ('02.8', lambda f, x, g, eps=6e-6: nudge(f, x, g, eps)*2, 'constant|factor|left out'),
    ('02.9', lambda x, ps: (x@ps[0]+ps[1],)*2 + ((x@ps[0]+ps[1])@ps[2]+ps[3],), 'step|variable'),
    ('03.2', unfinished(Chain, 'bwd', no_reverse), 'step is left out'),
    ('03.3', unfinished(Lin, 'bwd', keeps_wrong), 'times|how many'),
    ('04.1', overwrites, 'added|left out|overwritten'),
    ('04.1', careless, 'newest|order'),
    ('04.3', lambda s, w: Value(s.data@w.data, [(s, lambda g: g@w.data),
                                               (w, lambda g: s.data.T@g)]), 'transpose'),
    ('04.6', lambda g, out: out, '`g` is not used'),
    ('04.7', lambda g, y, out: g*out/y, 'sign'),
    ('04.8', lambda g, x: g*x, 'operation|operands'),
    ('04.9', lambda g, shape: g, 'summed|left out'),
    ('05.1', lambda z: z.exp()/z.exp().sum(), 'axis|sum'),
    ('05.2', lambda z, y: cross_entropy(z, y)*len(y), 'how many|times|sum'),
    ('05.2', lambda z, y: -cross_entropy(z, y), 'sign'),
    ('05.3', lambda g, z, y: cross_entropy_vjp(g, z, y)*len(y), 'how many'),
    ('05.3', lambda g, z, y: z.softmax(1)*g/len(y), '`y` is not used|left out'),
    ('05.3', lambda g, z, y: -cross_entropy_vjp(g, z, y), 'sign|exchanged'),
    ('05.4', forgets_the_bend, 'step is left out'),
    ('05.12', ascends, 'sign'),
    ('05.12', no_lr, '`lr` is not used'),
    ('06.1', lambda g, out: g*(1 - out), 'left out|factor|term'),
    ('06.2', lambda g, out: g*(1 - out), 'left out|factor'),
    ('06.3', lambda g, out: g/out, 'left out|times|constant'),
    ('06.5', lambda g, dim: g.cumsum(dim), 'wrong end'),
    ('06.6', lambda g, out, dim: out*(g - (g*out).sum()), '`dim` is not used'),
    ('06.6', lambda g, out, dim: out*g, 'not used|only the diagonal'),
    ('06.6', lambda g, out, dim: g - (g*out).sum(dim, True), '`out`|left out'),
    ('06.7', lambda g, out, dim: g - out*g.sum(dim, True), 'step is left out|left out'),
    ('10.2', lambda g: g.mean((0, 2, 3)), 'how many|times|1/n'),
    ('10.4', lambda g, x, window: mean_pool_vjp(g, x, window)*window.kernel[0],
     'left out|factor|times'),
    ('11.1', lambda g, q, k, v, mask=None, causal=False, scale=None: tuple(
        -t for t in attention_vjp(g, q, k, v, mask, causal, scale)), 'sign'),
    ('11.2', lambda g, x, eps=1e-5: g/(x.var(-1, correction=0, keepdim=True) + eps)**.5,
     'is not taken off'),
]
