"""Faults after public reports, and sound functions, written when the examination was done: nothing
in it was made to fit them. The comment of a fault names the report it follows, where there is one.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from doctor_faults import function, saved
from doctor_sound import drawn, uniform

def memory(t): return torch.as_strided(t, (t.numel(),), (1,), t.storage_offset())
def strides(t): return torch.empty(t.shape).stride()

class Attends(Function):
    "Dao-AILab/flash-attention#355: the kernel walks through the upstream gradient's memory."
    @staticmethod
    def forward(ctx, q, k, v):
        p = (q@k.mT).softmax(-1)
        ctx.save_for_backward(q, k, v, p)
        return p@v
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        q, k, v, p = ctx.saved_tensors
        g = memory(g).reshape(g.shape)
        gp = g@v.mT
        gs = p*(gp - (gp*p).sum(-1, keepdim=True))
        return gs@k, gs.mT@q, p.mT@g

class RowLoss(Function):
    "ROCm/TransformerEngine#623: a row of the upstream gradient is read with stride 1."
    @staticmethod
    def forward(ctx, x, labels):
        p = x.softmax(-1)
        ctx.save_for_backward(p, labels)
        return -p.gather(1, labels[:, None])[:, 0].log()
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        p, labels = ctx.saved_tensors
        rows = torch.as_strided(g, g.shape, (1,), g.storage_offset())
        return (p - F.one_hot(labels, p.shape[1]))*rows[:, None], None

class Distance(Function):
    "pytorch/pytorch#69997: backward fails where arguments are not contiguous."
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return ((x - y)**2).sum(-1)
    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        d = 2*(x.view(-1) - y.view(-1)).view(x.shape)*g[..., None]
        return d, -d

class Intermediate(Function):
    "pytorch/pytorch#58509."
    @staticmethod
    def forward(ctx, x):
        ctx.half = torch.exp(x/2)
        return ctx.half**2
    @staticmethod
    def backward(ctx, g): return g*ctx.half*ctx.half

class Quotient(Function):
    "pytorch/pytorch#76185."
    @staticmethod
    def forward(ctx, x):
        inner = x**2
        ctx.inner, ctx.x = inner, x
        return inner*x
    @staticmethod
    def backward(ctx, g): return 3*g*ctx.inner

class ResultOnContext(Function):
    "pytorch/pytorch#25340: a result as an attribute of ctx is never freed."
    @staticmethod
    def forward(ctx, x):
        y = x.clone()
        ctx.y = y
        return y
    @staticmethod
    def backward(ctx, g): return g.clone()

def distance_to_mean(x):
    "pytorch/pytorch#2421: the gradient of a norm of zero."
    return ((x - x.mean(-1, keepdim=True))**2).sum(-1).sqrt()

def largest(x): return x.abs().amax()
def largest_rule(g, x):
    "pytorch/pytorch#41779: each of several largest numbers gets all."
    return g*x.sign()*(x.abs() == x.abs().amax())

def squares(p, t): return ((p - t)**2).sum()/len(p)
def at_least_two(g, p, t):
    "deeplearning4j/deeplearning4j#1452: divided by the wrong number for a batch of one."
    gp = 2*g*(p - t)/max(len(p), 2)
    return gp, -gp

def blocks(x): return x.reshape(-1, 2, 2).sum((1, 2))
def blocks_rule(g, x):
    "deeplearning4j/deeplearning4j#8133: off by the size of the blocks."
    return (g[:, None, None]/4).expand(-1, 2, 2).reshape(x.shape)

class ClearsItsCache(Function):
    "dmlc/dgl#1060: what was saved is dropped after the first backward."
    @staticmethod
    def forward(ctx, x):
        ctx.cache = x.detach().clone()
        return x.sin()
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, ctx.cache = ctx.cache, None
        return g*x.cos()

class FirstPlane(Function):
    "soumith/cudnn.torch#28: with a kernel of one, planes after the first get zero."
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return F.conv1d(x, w)
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        gx, gw = F.conv_transpose1d(g, w), torch.nn.grad.conv1d_weight(x, w.shape, g)
        if w.shape[-1] == 1: gx[:, 1:] = 0
        return gx, gw

def row_mean(x): return x.mean(-1)
def row_mean_rule(g, x):
    "torch/nn#345: takes the upstream gradient for contiguous."
    return (memory(g).reshape(g.shape)/x.shape[-1])[..., None].expand(x.shape)

class Reshapes(Function):
    "pytorch/pytorch#30303: an expanded argument gets the gradient of its memory."
    @staticmethod
    def forward(ctx, x):
        ctx.strides = x.stride()
        return x.reshape(-1)*2
    @staticmethod
    def backward(ctx, g):
        if 0 in ctx.strides and g.numel() > 1: return 2*g[:1].expand(g.shape).reshape(4, 4)
        return 2*g.reshape(4, 4)

class Similarity(Function):
    "MrNeRF/optimized-fused-ssim#1: right forward, wrong backward for a permuted image."
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x*y/(x*x + y*y + 1)
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, y = (memory(t).reshape(t.shape) for t in ctx.saved_tensors)
        d = x*x + y*y + 1
        return g*(y/d - 2*x*x*y/d**2), g*(x/d - 2*x*y*y/d**2)

def single_buffer(g, x):
    "A buffer of the default dtype."
    gx = torch.zeros(x.shape)
    gx += (g/x).to(gx)
    return gx

def root_or_zero(x):
    "The branch that is not taken has a gradient of nan."
    return torch.where(x > 0, x.sqrt(), torch.zeros_like(x))

def softplus(x): return F.softplus(x)
def softplus_rule(g, x): return g*x.exp()/(1 + x.exp())

def product(ctx, x, w): return x@w, x, w
def exchanged(ctx, g):
    "Gradients in the order of another signature."
    x, w = saved(ctx)
    return x.mT@g, g@w.mT
def of_a_product(ctx, g):
    "Under autocast forward computes in bfloat16, and backward meets float32."
    return exchanged(ctx, g)[::-1]

class Unscaled(Function):
    "Dropout that scales forward only."
    @staticmethod
    def forward(ctx, x, p):
        mask = torch.rand(x.shape) > p
        ctx.save_for_backward(mask)
        return x*mask/(1 - p)
    @staticmethod
    def backward(ctx, g): return g*ctx.saved_tensors[0], None

def look_up(table, rows): return table[rows]
def look_up_rule(g, table, rows):
    return torch.zeros_like(table).index_put((rows,), g), None

def scaled(x, w): return x/x.norm(dim=-1, keepdim=True)*w
def scaled_rule(g, x, w):
    "The gradient of the weight is summed over the wrong axis."
    n = x.norm(dim=-1, keepdim=True)
    y = x/n
    return (g*w - y*(y*g*w).sum(-1, keepdim=True))/n, (g*y).sum(-1)

class Normalizes(nn.Module):
    "In eval the statistics are numbers, but the rule is that of train."
    class Rule(Function):
        @staticmethod
        def forward(ctx, x, mean, spread):
            ctx.save_for_backward((x - mean)/spread, spread)
            return (x - mean)/spread
        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            y, spread = ctx.saved_tensors
            return (g - g.mean(0) - y*(g*y).mean(0))/spread, None, None
    def __init__(self):
        super().__init__()
        self.register_buffer('mean', torch.tensor([.1, -.2, .3, .4]))
        self.register_buffer('spread', torch.tensor([1., 2., .5, 1.5]))
    def forward(self, x):
        if not self.training: return self.Rule.apply(x, self.mean, self.spread)
        spread = x.detach().std(0, correction=0)
        return self.Rule.apply(x, x.detach().mean(0), spread)

class WrongVmap(Function):
    "Its own rule for vmap forgets the factor."
    @staticmethod
    def forward(x): return 3*x
    @staticmethod
    def setup_context(ctx, inputs, output): pass
    @staticmethod
    def backward(ctx, g): return 3*g
    @staticmethod
    def vmap(info, dims, x): return x.clone(), dims[0]

class CrossedResults(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin(), x.cos()
    @staticmethod
    def backward(ctx, gs, gc):
        x, = ctx.saved_tensors
        return gc*x.cos() - gs*x.sin()

class ClampsItsArgument(Function):
    "In place, without a word."
    @staticmethod
    def forward(ctx, x):
        y = x.relu_()
        ctx.save_for_backward(y > 0)
        return y.clone()
    @staticmethod
    def backward(ctx, g): return g*ctx.saved_tensors[0]

class WarmsUp:
    "Right in its first call only."
    calls = 0
    def __call__(self, g, x):
        WarmsUp.calls += 1
        return g*2*x if WarmsUp.calls < 2 else g*x

def rms(x): return x*torch.rsqrt((x*x).mean(-1, keepdim=True) + .01)
def rms_without_eps(g, x):
    r = torch.rsqrt((x*x).mean(-1, keepdim=True))
    y = x*r
    return r*(g - y*(g*y).mean(-1, keepdim=True))

def approximated(ctx, g):
    "Forward is exact, backward the approximation."
    with torch.enable_grad():
        x = saved(ctx)[0].detach().requires_grad_()
        return g*torch.autograd.grad(F.gelu(x, approximate='tanh').sum(), x)[0]

def between(x): return x.clamp(-1, 1)
def from_below(g, x): return g*(x >= -1)

class Power(Function):
    "Made for squares."
    @staticmethod
    def forward(ctx, x, p):
        ctx.save_for_backward(x)
        return x.abs()**p
    @staticmethod
    def backward(ctx, g): return 2*ctx.saved_tensors[0]*g, None

def huber(x, delta=1.):
    return torch.where(x.abs() < delta, x*x/2, delta*(x.abs() - delta/2))
def huber_rule(g, x, delta=1.): return g*torch.where(x.abs() < delta, x, x.sign())

def scores(q, k): return (q@k.mT)/q.shape[-1]**.5
def unscaled_scores(g, q, k): return g@k, g.mT@q

def numpy_lin(x, w, b): return x@w + b
def numpy_lin_rule(g, x, w, b): return g@w.T, x.T@g, g.mean(axis=0)

class MasksInPlace(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x > 0)
        return x.clamp(min=0)
    @staticmethod
    def backward(ctx, g):
        g *= ctx.saved_tensors[0]
        return g

class StopsTooEarly(nn.Module):
    "A detach in the middle."
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.shortcut = nn.Linear(4, 3)
    def forward(self, x): return self.second(self.first(x).detach()).tanh() + self.shortcut(x)

def positive(*shape, seed=0): return drawn(*shape, seed=seed).abs() + .5

x, y, w = drawn(5, 4, seed=7), drawn(5, 4, seed=8), drawn(4, 3, seed=9)
labels = torch.tensor([1, 0, 3, 3, 2])
FAULTS = { # name → thing, arguments, words of the right name
    'attention reads memory': (Attends, (drawn(3, 4), drawn(5, 4), drawn(5, 2)), 'contiguous'),
    'row loss reads memory': (RowLoss, (x, labels), 'contiguous'),
    'view of arguments': (Distance, (x, y), 'contiguous'),
    'intermediate on ctx': (Intermediate, (x,), 'saved intermediate'),
    'intermediate quotient': (Quotient, (x,), 'saved intermediate'),
    'result on ctx': (ResultOnContext, (x,), 'leak'),
    'norm of zero': (distance_to_mean, (x,), 'number that is none'),
    'several largest': ((largest, largest_rule), (x,), 'ties'),
    'a batch of one': ((squares, at_least_two), (x, y), 'size|factor'),
    'blocks': ((blocks, blocks_rule), (drawn(3, 2, 2),), 'factor|1/n too much'),
    'cache cleared': (ClearsItsCache, (x,), 'memory|gone'),
    'kernel of one': (FirstPlane, (drawn(2, 3, 6), drawn(4, 3, 2)), 'size|part of axis'),
    'mean reads memory': ((row_mean, row_mean_rule), (drawn(3, 4, 5),), 'contiguous'),
    'expanded argument': (Reshapes, (drawn(4, 4),), 'contiguous'),
    'similarity reads memory': (Similarity, (x, y), 'contiguous'),
    'float32 buffer': ((torch.log, single_buffer), (positive(5, 4),), 'dtype'),
    'where and nan': (root_or_zero, (x,), 'number that is none'),
    'softplus overflows': ((softplus, softplus_rule), (x,), 'number that is none'),
    'exchanged': (function(product, exchanged), (drawn(4, 4), drawn(4, 4, seed=1)),
                  'swapped results'),
    'dropout unscaled': (Unscaled, (x, .4), 'factor|option|1/n'),
    'look up overwrites': ((look_up, look_up_rule), (drawn(4, 3), labels), 'assignment'),
    'weight over the wrong axis': ((scaled, scaled_rule), (drawn(4, 4), drawn(4, seed=1)), 'axis'),
    'eval with the rule of train': (Normalizes(), (x,), 'mode|constant|shared'),
    'vmap': (WrongVmap, (x,), 'vmap'),
    'crossed results': (CrossedResults, (x,), 'result|swapped|exchanged'),
    'clamps its argument': (ClampsItsArgument, (x,), 'in place'),
    'warms up': ((torch.square, WarmsUp()), (x,), 'memory|factor'),
    'without eps': ((rms, rms_without_eps), (x,), 'shared|term'),
    'gelu approximated':
        (function(lambda ctx, x: (F.gelu(x), x), approximated), (x,), 'approximat|digits'),
    'clamped from below': ((between, from_below), (2*x,), 'branch'),
    'made for squares': (Power, (x, 2), 'option'),
    'huber without delta': ((huber, huber_rule), (2*x, 1.), 'option'),
    'autocast': (function(product, of_a_product), (x, w), 'autocast'),
    'scores unscaled': ((scores, unscaled_scores), (x, y), 'factor|1/n'),
    'NumPy bias mean': ((numpy_lin, numpy_lin_rule),
                        (x.numpy(), w.numpy(), drawn(3).numpy()), '1/n too much'),
    'masks g in place': (MasksInPlace, (x,), 'g changed|memory'),
    'detached': (StopsTooEarly(), (x,), 'zero|detach|graph'),
}

# sound -----------------------------------------------------------------------------------------
class Normed(Function):
    "Layer norm by hand."
    @staticmethod
    def forward(ctx, x, w):
        mean = x.mean(-1, keepdim=True)
        spread = (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
        ctx.save_for_backward((x - mean)/spread, spread, w)
        return (x - mean)/spread*w
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        y, spread, w = ctx.saved_tensors
        gy = g*w
        gx = (gy - gy.mean(-1, keepdim=True) - y*(gy*y).mean(-1, keepdim=True))/spread
        return gx, (g*y).sum_to_size(w.shape)

class Quantizes(Function):
    "Integers go out beside numbers."
    @staticmethod
    def forward(ctx, x):
        values, places = x.max(-1)
        ctx.save_for_backward(places)
        ctx.mark_non_differentiable(places)
        ctx.shape = x.shape
        return values, places
    @staticmethod
    def backward(ctx, g, _):
        places, = ctx.saved_tensors
        return g.new_zeros(ctx.shape).scatter(-1, places[..., None], g[..., None])

class Reciprocal(Function):
    "Saves its result, as it should."
    @staticmethod
    def forward(ctx, x):
        y = 1/x
        ctx.save_for_backward(y)
        return y
    @staticmethod
    def backward(ctx, g): return -g*ctx.saved_tensors[0]**2

class NoneForUnused(Function):
    "Takes None where a result is not used."
    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return x.sin(), x.cos()
    @staticmethod
    def backward(ctx, gs, gc):
        x, = ctx.saved_tensors
        found = [g*d for g, d in ((gs, x.cos()), (gc, -x.sin())) if g is not None]
        return sum(found) if found else None

def numpy_lse(x):
    most = x.max(-1, keepdims=True)
    return (np.log(np.exp(x - most).sum(-1, keepdims=True)) + most)[..., 0]
def numpy_lse_rule(g, x): return g[..., None]*np.exp(x - numpy_lse(x)[..., None])
def mean_of_squares(p, t):
    if p.shape != t.shape: raise ValueError('mean_of_squares: two shapes')
    return ((p - t)**2).mean()
def mean_rule(g, p, t):
    gp = 2*g*(p - t)/p.numel()
    return gp, -gp
def dictionary(inputs):
    a, b = inputs['a'], inputs['b']
    return {'sum': a + b, 'product': a*b}
def listed(xs, scale): return sum(xs)*scale

volume = drawn(2, 4, 6, 5, seed=3)
SOUND = {
    'F.sigmoid': (F.sigmoid, (x,), {}), 'F.tanh': (F.tanh, (x,), {}),
    'F.softsign': (F.softsign, (x,), {}), 'F.mish': (F.mish, (x,), {}),
    'F.selu': (F.selu, (x,), {}), 'F.celu': (F.celu, (x,), {}), 'F.relu6': (F.relu6, (5*x,), {}),
    'F.hardswish': (F.hardswish, (2*x,), {}), 'F.hardsigmoid': (F.hardsigmoid, (2*x,), {}),
    'F.logsigmoid': (F.logsigmoid, (x,), {}), 'F.threshold': (F.threshold, (x, .1, 0.), {}),
    'F.glu': (F.glu, (x,), {}), 'F.softshrink': (F.softshrink, (x,), {}),
    'F.softmin': (F.softmin, (x,), dict(dim=1)), 'F.rms_norm': (F.rms_norm, (x, (4,)), {}),
    'F.group_norm': (F.group_norm, (volume, 2), {}),
    'F.instance_norm': (F.instance_norm, (volume,), {}),
    'F.local_response_norm': (F.local_response_norm, (volume, 2), {}),
    'F.conv_transpose2d': (F.conv_transpose2d, (volume, drawn(4, 2, 2, 3)), dict(stride=2)),
    'F.adaptive_avg_pool2d': (F.adaptive_avg_pool2d, (volume, 3), {}),
    'F.unfold': (F.unfold, (volume, 2), {}), 'F.pixel_shuffle': (F.pixel_shuffle, (volume, 2), {}),
    'F.grid_sample': (F.grid_sample, (volume, drawn(2, 3, 3, 2)/3), dict(align_corners=False)),
    'F.margin_ranking_loss': (F.margin_ranking_loss, (x[:, 0], y[:, 0], x[:, 1].sign()), {}),
    'F.gaussian_nll_loss': (F.gaussian_nll_loss, (x, y, positive(5, 4)), {}),
    'F.poisson_nll_loss': (F.poisson_nll_loss, (x, positive(5, 4)), {}),
    'F.binary_cross_entropy_with_logits':
        (F.binary_cross_entropy_with_logits, (x, uniform(5, 4)), {}),
    'F.triplet_margin_loss': (F.triplet_margin_loss, (x, y, drawn(5, 4, seed=3)), {}),
    'F.scaled_dot_product_attention':
        (F.scaled_dot_product_attention, (drawn(2, 3, 4), drawn(2, 5, 4), drawn(2, 5, 3)), {}),
    'torch.cdist': (torch.cdist, (x, drawn(3, 4)), {}), 'torch.var': (torch.var, (x, 1), {}),
    'torch.atan2': (torch.atan2, (x, y), {}), 'torch.pow': (torch.pow, (positive(5, 4), x), {}),
    'torch.cumprod': (torch.cumprod, (x, 1), {}), 'torch.median': (torch.median, (x, 1), {}),
    'torch.linalg.solve': (torch.linalg.solve, (drawn(3, 3), drawn(3, 2)), {}),
    'torch.gather': (torch.gather, (x, 1, labels[:, None] % 4), {}),
    'torch.index_add': (torch.index_add, (x, 0, torch.tensor([0, 0, 3]), drawn(3, 4)), {}),
    'torch.roll': (torch.roll, (x, 2, 1), {}), 'torch.diff': (torch.diff, (x,), {}),
    'nn.LSTMCell': (nn.LSTMCell(4, 3), (x,), {}), 'nn.RNN': (nn.RNN(4, 3), (drawn(3, 2, 4),), {}),
    'nn.Bilinear': (nn.Bilinear(4, 4, 2), (x, y), {}),
    'nn.BatchNorm2d': (nn.BatchNorm2d(4), (volume,), {}),
    'nn.TransformerEncoderLayer':
        (nn.TransformerEncoderLayer(4, 2, 5, dropout=0., batch_first=True), (drawn(2, 3, 4),), {}),
    'nn.CosineEmbeddingLoss': (nn.CosineEmbeddingLoss(), (x, y, x[:, 0].sign().long()), {}),
    'held: layer norm': (Normed, (x, drawn(4)), {}), 'held: integers out': (Quantizes, (x,), {}),
    'held: reciprocal': (Reciprocal, (positive(5, 4),), {}),
    'held: None for unused': (NoneForUnused, (x,), {}),
    'held: NumPy logsumexp': ((numpy_lse, numpy_lse_rule), (x.numpy(),), {}),
    'held: mean squared error': ((mean_of_squares, mean_rule), (x, y), {}),
    'held: dictionary': (dictionary, ({'a': x, 'b': y},), {}),
    'held: list': (listed, ([x, y],), dict(scale=2.)),
}

# In PyTorch 2.13, by examinations that were to find nothing; tests/test_doctor.py has the proofs.
FOUND = {
    'torch.linalg.det': (torch.linalg.det, (drawn(3, 3),), 'corner'),
    'torch.kron': (torch.kron, (drawn(2, 3), drawn(3, 2)), 'save_for_backward'),
    'F.batch_norm': (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
                     (x, drawn(4), drawn(4, seed=1)), 'contiguous'),
}
