"""Mistakes of the kinds that students make, written before the judge had seen them: the first
forty before, the rest after it had learned from those. What should be said of each stands beside
it; LOST are those of which nothing, or something else, is said."""
import math

import torch
import torch.nn.functional as F
import workbook_answers as right
from mlfound.attention import attention_weights
from mlfound.module import Module, accumulate
from workbook_answers import Layer, Value

def reordered(*args, **kw):
    p = right.init_params(*args, **kw)
    return p.b1, p.w1, p.b2, p.w2
def one_sided(f, x, g, eps=6e-6):
    moved = [x + eps*F.one_hot(torch.tensor(k), x.numel()).view(x.shape) for k in range(x.numel())]
    return torch.stack([(g*(f(m) - f(x))).sum()/eps for m in moved]).view(x.shape)
def other_order(x, targ, params):
    loss, (gx, *others) = right.walk(x, targ, params)
    return loss, (*others, gx)
class NoSum(right.Lin):
    def bwd(self, g, x):
        self.gw, self.gb = x.T@g, g
        return g@self.w.T
class OwnFactor(right.Tracked):
    def __mul__(self, other):
        edges = [(self, lambda g: g*self.data), (other, lambda g: g*other.data)]
        return right.Tracked(self.data*other.data, edges)
def unsummed(end):
    order = sorted(right.small_sweep(end), key=lambda v: -v.number)
    grads = {end: torch.ones_like(end.data)}
    for v in order:
        for to, rule in v.edges: grads[to] = grads.get(to, 0) + rule(grads[v])
    return grads
def no_shift(z, y):
    p = z.exp()/z.exp().sum(1, keepdim=True)
    return -p[torch.arange(len(y)), y].log().mean()
def no_rest(*tensors, size=256, generator=None, shuffle=True):
    for batch in right.minibatches(*tensors, size=size, generator=generator, shuffle=shuffle):
        if len(batch[0]) == size: yield batch
class Dampened(right.SGD):
    def update(self, p, g, m):
        m.copy_(self.momentum*m + (1-self.momentum)*(g + self.weight_decay*p))
        p -= self.lr*m
class DecaySign(right.SGD):
    def update(self, p, g, m):
        m.copy_(self.momentum*m + g - self.weight_decay*p)
        p -= self.lr*m
def adam(correct=(1, 1), inside=0, power=2):
    def update(self, p, g, m, v):
        if self.decoupled: p -= self.lr*self.weight_decay*p
        else: g = g + self.weight_decay*p
        for mean, b, new in zip((m, v), self.betas, (g, g.abs()**power)): mean.lerp_(new, 1-b)
        a, c = (x/(1 - b**self.count) if k else x for x, b, k in zip((m, v), self.betas, correct))
        p -= self.lr*a/((c + self.eps).sqrt() if inside else c.sqrt() + self.eps)
    return update
def he(share):
    def init(sizes, generator=None, dtype=None, device=None):
        gs = right.init_he(sizes, generator, dtype, device)
        for k, (d, h) in enumerate(zip(sizes, sizes[1:])): gs[2*k] = gs[2*k]*share(d, h)
        return gs
    return init
def attention(g, q, k, v, mask=None, causal=False, scale=None, diagonal=False):
    p = attention_weights(q, k, mask, causal, scale)
    gs = p*(g@v.mT) if diagonal else p*(g@v.mT - (p*(g@v.mT)).sum(-1, keepdim=True))
    root = 1/scale if scale else q.shape[-1]**.5
    c = root if diagonal else 1
    grads = gs@k/c, gs.mT@q/c, p.mT@g
    return tuple(a.sum_to_size(b.shape) for a, b in zip(grads, (q, k, v)))
def rows(y, x, eps=1e-5):
    scale = (x.var(-1, correction=0, keepdim=True) + eps).rsqrt()
    return (y - y.mean(-1, True) - x*(y*x).mean(-1, True))*scale
def by_rows(x):
    spread = x.std(1, keepdim=True)
    return (x - x.mean(1, keepdim=True))/spread.where(spread > 0, 1)
class Mean(Module):
    parameter_names = 's',
    def __init__(self, s): self.s = s
    def forward(self, x): return self.s*x
    def bwd(self, g, x):
        accumulate(self.s, (g*x).mean())
        return self.s*g
class Straight(Layer):
    def __init__(self, f): self.f = f
    def forward(self, x): return x + self.f(x)
    def bwd(self, g, x): return self.f.backward(g)
def summed(x, y, *params): return tuple(g*len(x) for g in right.gradients(x, y, *params))
def turned(peak, steps, warmup=.3, start=1/25, end=4e-6):
    top = warmup*steps - 1
    def rate(k):
        a, b, t = (start, 1, k/top) if k <= top else (1, end, (k-top)/(steps-1-top))
        return peak*(a + (b-a)*(1 + math.cos(math.pi*t))/2)
    return rate
def too_late(self, p, g, m):
    p -= self.lr*(g + self.momentum*m)
    m.mul_(self.momentum).add_(g)
def scaled_only(g, x, w, eps=1e-5):
    scale = ((x*x).mean(-1, True) + eps).rsqrt()
    return g*w*scale, (g*x*scale).sum_to_size(w.shape)

WRONG = [ # exercise, answer, what should be said of it
    ('01.1', lambda x, w, b: x@w - b, 'sign'),
    ('01.3', lambda p, t: ((p-t)**2).mean(0).sum(), 'axis|times'),
    ('01.5', reordered, 'another order'),
    ('02.1', lambda g, p, t: 2*g*(p-t)/p.shape[-1], '1/n'),
    ('02.3', lambda g, w: w@g.T, 'transpose'),
    ('02.5', lambda g: g.sum(0, keepdim=True), 'axis of length 1'),
    ('02.5', lambda g: g.sum(), 'axis'),
    ('02.6', lambda g, x, w, b=None, input_grad=True:
     (x.T@g, g.sum(0), g@w.T if input_grad else None), 'another order'),
    ('02.8', one_sided, 'one side'), ('02.10', other_order, 'another order'),
    ('03.3', NoSum, 'sum is missing'), ('04.2', OwnFactor, 'exchanged|variable'),
    ('04.5', unsummed, 'stretched'), ('04.7', lambda g, y, out: -g*out, '`y` is not used'),
    ('04.10', lambda g, x: x.T@g if x.ndim == 2 else
     (x.mT@g).sum(0, True).expand(len(x), -1, -1), 'stack'),
    ('05.1', lambda z: z.exp()/z.exp().sum(0), 'axis'),
    ('05.2', no_shift, 'overflow'),
    ('05.2', lambda z, y: -(z.log_softmax(1)*y[:, None]).mean(), 'as a number'),
    ('05.3', lambda g, z, y: g*(z.softmax(1) - y[:, None])/len(y), 'as a number'),
    ('05.3', lambda g, z, y: g*(z.softmax(1) - F.one_hot(y, z.shape[1]))/z.numel(), '1/n'),
    ('05.3', lambda g, z, y: g*(z.softmax(0) - F.one_hot(y, z.shape[1]))/len(y), 'axis'),
    ('05.5', lambda z, y: (z.argmax(1) == y).sum().item(), 'how many'),
    ('05.6', no_rest, 'how many batches'),
    ('05.7', Dampened, 'gets a share'), ('05.7', DecaySign, 'sign'),
    ('05.8', adam(correct=(0, 1)), 'left out'), ('05.8', adam(correct=(0, 0)), 'not corrected'),
    ('05.8', adam(inside=1), 'inside the root'), ('05.8', adam(power=1), 'not of squares'),
    ('05.9', he(lambda d, h: math.sqrt(d/h)), 'variable'),
    ('05.9', he(lambda d, h: math.sqrt(.5)), 'times'),
    ('06.2', lambda g, out: g*out*(1 + out), 'sign'),
    ('06.5', lambda g, dim: g.flip(0).cumsum(0).flip(0), '`dim`|axis'),
    ('06.6', lambda g, out, dim: out*(g - (g*out).sum(-1, keepdim=True)), '`dim`|axis'),
    ('06.7', lambda g, out, dim: g - out.exp()*g, 'sum is missing'),
    ('10.4', lambda g, x, window: g.repeat_interleave(
        window.kernel[0], 2).repeat_interleave(window.kernel[1], 3), 'left out|times'),
    ('11.1', attention, '`spread` is not used'),
    ('11.1', lambda *a, **k: attention(*a, **k, diagonal=True), 'diagonal'),
    ('11.2', rows, 'rows as they came in'),
    # what follows was written after the judge had learned from what stands above
    ('00.5', by_rows, 'axis'), ('00.5', lambda x: (x - x.mean(0))/x.std(0), 'edge|0/0|left out'),
    ('02.2', lambda g, x: g*x.clamp_min(0), 'factor too many'),
    ('02.4', lambda g, x: x@g.T, 'transpose'),
    ('02.6', lambda g, x, w, b=None, input_grad=True:
     (g@w.T if input_grad else None, x.T@g, g.sum(1)), 'axis'),
    ('02.6', lambda g, x, w, b=None, input_grad=True:
     (g@w.T if input_grad else None, g.T@x, g.sum(0)), 'exchanged|transpose'),
    ('03.9', Mean, 'times'), ('03.10', Straight, 'left out'),
    ('04.3', lambda s, w: Value(s.data@w.data, [(s, lambda g: g@w.data.mT),
                                               (w, lambda g: g.mT@s.data)]), 'transpose|exchanged'),
    ('04.13', lambda g, x: g*x.sigmoid(), 'left out'),
    ('05.2', lambda z, y: right.cross_entropy(-z, y), 'sign'), ('05.4', summed, 'how many'),
    ('05.15', turned, 'exchanged'), ('05.17', too_late, 'before the step'),
    ('06.4', lambda g, x: g*torch.sigmoid(x), 'sign'),
    ('06.10', lambda g, x: g*torch.tanh(F.softplus(x)), 'left out'),
    ('10.6', lambda y, w, size, how=None: F.conv_transpose2d(
        y, w, None, how.stride, how.padding, 0, how.groups, how.dilation), 'left out|step'),
    ('10.7', lambda y, x, size, how=None: right.conv_weight(y, x, size, how).flip(2, 3), 'turned'),
    ('11.6', scaled_only, 'left out'),
]

LOST = [ # nothing is said of these, or only where they are wrong
    ('01.2', lambda x: x.abs()), ('04.13', lambda g, x: g*x.sigmoid()*(1 - x.sigmoid())),
    ('05.1', lambda z: z/z.sum(1, keepdim=True)),
    ('05.5', lambda z, y: (z.argmax(0)[:len(y)] == y[:z.shape[1]]).double().mean().item()),
    ('10.10', lambda y, w, n: F.conv1d(F.pad(y, [w.shape[2]-1]*2), w.transpose(0, 1))),
]
