"""A third held-out set, after public reports: each fault beside its sound twin, written as a
stranger to an examination would write them. The comment of a fault names the report it follows."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from doctor_sound import drawn, uniform

class Take(Function):
    @staticmethod
    def forward(ctx, x, i):
        ctx.save_for_backward(i)
        ctx.rows = len(x)
        return x[i]
    @staticmethod
    def backward(ctx, g):
        i, = ctx.saved_tensors
        return g.new_zeros(ctx.rows, *g.shape[1:]).index_add(0, i, g), None
class TakeLast(Take):
    "pytorch/pytorch#1631: a row that was taken twice gets the gradient of one."
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        i, = ctx.saved_tensors
        gx = g.new_zeros(ctx.rows, *g.shape[1:])
        gx[i] = g
        return gx, None

class Put(Function):
    @staticmethod
    def forward(ctx, x, v, i):
        ctx.save_for_backward(i)
        return x.index_put((i,), v, accumulate=True)
    @staticmethod
    def backward(ctx, g): return g, g[ctx.saved_tensors[0]], None
class PutOver(Function):
    "pytorch/pytorch#146299: a value that was written over gets a gradient all the same."
    @staticmethod
    def forward(ctx, x, v, i):
        ctx.save_for_backward(i)
        out = x.clone()
        for k, row in enumerate(i.tolist()): out[row] = v[k]
        return out
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        i, = ctx.saved_tensors
        return g.index_fill(0, i, 0.), g[i], None

def stretched(x, size):
    "Where each of `size` places lies between the entries of `x`, corners aligned."
    if len(x) < 2: raise ValueError('stretch: two entries at least')
    at = torch.arange(size, dtype=torch.float64)*(len(x) - 1)/(size - 1)
    low = at.floor().long().clamp(max=len(x) - 2)
    return low, (at - low).to(x.dtype)
class Stretch(Function):
    reach = staticmethod(lambda n, size: size)
    @staticmethod
    def forward(ctx, x, size):
        low, part = stretched(x, size)
        ctx.save_for_backward(x)
        return x[low]*(1 - part) + x[low + 1]*part
    @classmethod
    def gather(cls, x, g):
        (low, part), gx = stretched(x, len(g)), torch.zeros_like(x)
        reach = cls.reach(len(x), len(g))
        for i in range(len(x)):
            centre = round(i*(len(g) - 1)/(len(x) - 1))
            for o in range(max(0, centre - reach), min(len(g), centre + reach + 1)):
                weight = (1 - part[o])*(low[o] == i) + part[o]*(low[o] + 1 == i)
                gx[i] += g[o]*weight
        return gx
    @staticmethod
    @once_differentiable
    def backward(ctx, g): return Stretch.gather(*ctx.saved_tensors, g), None
class StretchShort(Stretch):
    "flagos-ai/FlagGems#5218: the window is that of corners that are not aligned."
    reach = staticmethod(lambda n, size: size//n)
    @staticmethod
    @once_differentiable
    def backward(ctx, g): return StretchShort.gather(*ctx.saved_tensors, g), None

def at_border(image, at):
    if len(image) < 2: raise ValueError('sample: two entries at least')
    at = at.clamp(0, len(image) - 1)
    low = at.detach().floor().long().clamp(max=len(image) - 2)
    return low, at - low
class Sample(Function):
    inside = staticmethod(lambda at, n: (at > 0) & (at < n - 1))
    @staticmethod
    def forward(ctx, image, at):
        ctx.save_for_backward(image, at)
        low, part = at_border(image, at)
        return image[low]*(1 - part) + image[low + 1]*part
    @staticmethod
    def rule(image, at, g, inside):
        low, part = at_border(image, at)
        gi = torch.zeros_like(image).index_add(0, low, g*(1 - part))
        gi = gi.index_add(0, low + 1, g*part)
        return gi, torch.where(inside, g*(image[low + 1] - image[low]), 0.)
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        image, at = ctx.saved_tensors
        return Sample.rule(image, at, g, (at > 0) & (at < len(image) - 1))
class SampleBeyond(Sample):
    "pytorch/pytorch#23925: what was clamped at the border keeps its gradient."
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        image, at = ctx.saved_tensors
        return Sample.rule(image, at, g, torch.ones_like(at, dtype=torch.bool))

class RMSNorm(Function):
    @staticmethod
    def forward(ctx, x, w):
        r = (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
        ctx.save_for_backward(x, w, r)
        return x*r*w
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, w, r = ctx.saved_tensors
        h = x*r
        gh = g*w
        return r*(gh - h*(gh*h).mean(-1, keepdim=True)), (g*h).sum_to_size(w.shape)
class RMSNormOver(RMSNorm):
    "unslothai/unsloth#4550: the gradient of x is written over g, which that of w then reads."
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, w, r = ctx.saved_tensors
        h = x*r
        gx = g
        gx.copy_(r*(g*w - h*(g*w*h).mean(-1, keepdim=True)))
        return gx, (g*h).sum_to_size(w.shape)

class Distances(Function):
    @staticmethod
    def forward(ctx, a, b):
        d = (a[:, None] - b[None]).pow(2).sum(-1).sqrt()
        ctx.save_for_backward(a, b, d)
        return d
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        a, b, d = ctx.saved_tensors
        way = torch.where(d[..., None] == 0, 0., (a[:, None] - b[None])/d[..., None])
        return (g[..., None]*way).sum(1), -(g[..., None]*way).sum(0)
class DistancesAtZero(Distances):
    "pytorch/pytorch#37154: nought through nought where two points are one."
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        a, b, d = ctx.saved_tensors
        way = (a[:, None] - b[None])/d[..., None]
        return (g[..., None]*way).sum(1), -(g[..., None]*way).sum(0)

class Filter(Function):
    @staticmethod
    def forward(ctx, x, w):
        if x.shape[-1] != w.shape[-1]: raise ValueError('filter: sizes differ')
        ctx.save_for_backward(x, w)
        return torch.fft.irfft(torch.fft.rfft(x)*torch.fft.rfft(w), n=x.shape[-1])
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        fg, n = torch.fft.rfft(g), g.shape[-1]
        gx = torch.fft.irfft(fg*torch.fft.rfft(w).conj(), n=n)
        gw = torch.fft.irfft(fg*torch.fft.rfft(x).conj(), n=n)
        return gx.sum_to_size(x.shape), gw.sum_to_size(w.shape)
class FilterOn(Filter):
    "A conjugate is left out."
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        fg, n = torch.fft.rfft(g), g.shape[-1]
        gx = torch.fft.irfft(fg*torch.fft.rfft(w), n=n)
        return gx, torch.fft.irfft(fg*torch.fft.rfft(x).conj(), n=n).sum_to_size(w.shape)

class Words(Function):
    "An embedding whose padding gives a row of noughts."
    @staticmethod
    def forward(ctx, table, words, padding):
        ctx.save_for_backward(words)
        ctx.shape, ctx.padding = table.shape, padding
        return table[words]*(words != padding)[:, None]
    @staticmethod
    def backward(ctx, g):
        words, = ctx.saved_tensors
        g = g*(words != ctx.padding)[:, None]
        return g.new_zeros(ctx.shape).index_add(0, words, g), None, None
class WordsPadded(Words):
    "The row of the padding learns."
    @staticmethod
    def backward(ctx, g):
        words, = ctx.saved_tensors
        return g.new_zeros(ctx.shape).index_add(0, words, g), None, None

class Peak(Function):
    @staticmethod
    def forward(ctx, x):
        top, i = x.unfold(-1, 2, 2).max(-1)
        ctx.save_for_backward(i)
        ctx.shape = x.shape
        return top
    @staticmethod
    def backward(ctx, g):
        i, = ctx.saved_tensors
        i = i + 2*torch.arange(i.shape[-1])
        return g.new_zeros(ctx.shape).scatter(-1, i, g)
class PeakEach(Function):
    "deeplearning4j/libnd4j#755's kind: of equal entries each gets the whole gradient."
    @staticmethod
    def forward(ctx, x):
        top = x.unfold(-1, 2, 2).amax(-1)
        ctx.save_for_backward(x, top)
        return top
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, top = ctx.saved_tensors
        wide = 2*top.shape[-1]
        twice = torch.arange(wide)//2
        gx = torch.zeros_like(x)
        gx[..., :wide] = g[..., twice]*(x[..., :wide] == top[..., twice])
        return gx

class Huber(Function):
    edge = 1.5
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        far = Huber.edge*(x.abs() - Huber.edge/2)
        return torch.where(x.abs() < Huber.edge, x*x/2, far)
    @staticmethod
    def backward(ctx, g): return g*ctx.saved_tensors[0].clamp(-Huber.edge, Huber.edge)
class HuberFar(Huber):
    "The slope far out is one, whatever the edge."
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g*torch.where(x.abs() < Huber.edge, x, x.sign())

class Cube(Function):
    "Cubes that are scaled down; computed in float32."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x.float()**3/1e4).to(x.dtype)
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return (g.float()*3*x.float()**2/1e4).to(x.dtype)
class CubeHalf(Cube):
    "tinygrad/tinygrad#12296's kind: backward stays in float16, and overflows."
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g*3*(x*x)/1e4

class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x*x
    @staticmethod
    def backward(ctx, g): return 2*ctx.saved_tensors[0]*g
class SquareKept(Function):
    "kept on ctx, past the watch over versions: what changed since is read as if it were the old."
    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return x*x
    @staticmethod
    def backward(ctx, g): return 2*ctx.x*g

class Softmax(Function):
    "A softmax and what it was divided by."
    @staticmethod
    def forward(ctx, x):
        lse = x.logsumexp(-1)
        p = (x - lse[..., None]).exp()
        ctx.save_for_backward(p)
        return p, lse
    @staticmethod
    @once_differentiable
    def backward(ctx, g, glse):
        p, = ctx.saved_tensors
        return p*(g - (g*p).sum(-1, keepdim=True) + glse[..., None])
class SoftmaxOnly(Softmax):
    "Dao-AILab/flash-attention: the second output's gradient is dropped."
    @staticmethod
    @once_differentiable
    def backward(ctx, g, glse):
        p, = ctx.saved_tensors
        return p*(g - (g*p).sum(-1, keepdim=True))

class Polar(Function):
    @staticmethod
    def forward(ctx, r, angle):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(r, angle)
        return r*angle.cos(), r*angle.sin()
    @staticmethod
    @once_differentiable
    def backward(ctx, gx, gy):
        r, angle = ctx.saved_tensors
        if gx is None and gy is None: return None, None
        if gx is None: gx = torch.zeros_like(gy)
        if gy is None: gy = torch.zeros_like(gx)
        c, s = angle.cos(), angle.sin()
        return (gx*c + gy*s).sum_to_size(r.shape), (r*(gy*c - gx*s)).sum_to_size(angle.shape)
class PolarBoth(Polar):
    "THUDM/slime#2158: an output that is not used sends None."
    @staticmethod
    @once_differentiable
    def backward(ctx, gx, gy):
        r, angle = ctx.saved_tensors
        c, s = angle.cos(), angle.sin()
        return (gx*c + gy*s).sum_to_size(r.shape), (r*(gy*c - gx*s)).sum_to_size(angle.shape)

class Linear(Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type='cpu')
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x@w
    @staticmethod
    @torch.amp.custom_bwd(device_type='cpu')
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        need_x, need_w = ctx.needs_input_grad
        return g@w.mT if need_x else None, x.mT@g if need_w else None
class LinearFrozen(Linear):
    "linkedin/Liger-Kernel#1068's kind: where the weight is frozen, nothing flows further back."
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return (g@w.mT, x.mT@g) if ctx.needs_input_grad[1] else (None, None)

class CrossEntropy(Function):
    @staticmethod
    def forward(ctx, x, labels):
        kept = labels != -100
        ctx.save_for_backward(x, labels, kept)
        logp = x.log_softmax(-1)[torch.arange(len(x)), labels.clamp(min=0)]
        return -(logp*kept).sum()/kept.sum()
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, labels, kept = ctx.saved_tensors
        gx = x.softmax(-1) - F.one_hot(labels.clamp(min=0), x.shape[-1])
        return g*gx*kept[:, None]/kept.sum(), None
class CrossEntropyIgnored(CrossEntropy):
    "tongxin's review of flagos-ai/FlagGems#73: rows that are ignored get a gradient."
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, labels, kept = ctx.saved_tensors
        gx = x.softmax(-1) - F.one_hot(labels.clamp(min=0), x.shape[-1])
        return g*gx/kept.sum(), None

def turned(x, angle):
    a, b = x.chunk(2, -1)
    return torch.cat([a*angle.cos() - b*angle.sin(), a*angle.sin() + b*angle.cos()], -1)
class Rope(Function):
    angle = .7*torch.arange(1, 3)
    @staticmethod
    def forward(ctx, x): return turned(x, Rope.angle.to(x))
    @staticmethod
    def backward(ctx, g): return turned(g, -Rope.angle.to(g))
class RopeInPlace(Rope):
    "jzhang38/TinyLlama#188: the argument is turned where it lies, and autograd is not told."
    @staticmethod
    def forward(ctx, x):
        x.data.copy_(turned(x, Rope.angle.to(x)))
        return x.clone()

class Gelu(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return F.gelu(x, approximate='tanh')
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, = ctx.saved_tensors
        u = (2/torch.pi)**.5*(x + .044715*x**3)
        du = (2/torch.pi)**.5*(1 + 3*.044715*x*x)
        return g*(.5*(1 + u.tanh()) + .5*x*(1 - u.tanh()**2)*du)
class GeluOther(Gelu):
    "Forward is the approximation, backward the slope of the exact one."
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g*(.5*(1 + torch.erf(x/2**.5)) + x*torch.exp(-x*x/2)/(2*torch.pi)**.5)

class Largest(Function):
    @staticmethod
    def forward(ctx, x, k):
        top, i = x.topk(k, -1)
        ctx.save_for_backward(i)
        ctx.shape = x.shape
        ctx.mark_non_differentiable(i)
        return top, i
    @staticmethod
    def backward(ctx, g, _):
        return g.new_zeros(ctx.shape).scatter(-1, ctx.saved_tensors[0], g), None
class LargestFirst(Largest):
    "The gradient stays in the order of the sorted entries."
    @staticmethod
    def backward(ctx, g, _):
        return F.pad(g, (0, ctx.shape[-1] - g.shape[-1])), None

class Normalize(Function):
    @staticmethod
    def forward(ctx, x, mean, var, training):
        if training: mean, var = x.mean(0), x.var(0, correction=0)
        r = (var + 1e-5).rsqrt()
        ctx.save_for_backward((x - mean)*r, r)
        ctx.training = training
        return (x - mean)*r
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        h, r = ctx.saved_tensors
        gx = g*r
        if ctx.training: gx = r*(g - g.mean(0) - h*(g*h).mean(0))
        return gx, None, None, None
class NormalizeTraining(Normalize):
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        h, r = ctx.saved_tensors
        return r*(g - g.mean(0) - h*(g*h).mean(0)), None, None, None
class BatchNorm(nn.Module):
    function = Normalize
    def __init__(self, d):
        super().__init__()
        self.register_buffer('mean', drawn(d))
        self.register_buffer('var', uniform(d))
    def forward(self, x): return self.function.apply(x, self.mean, self.var, self.training)
class BatchNormTraining(BatchNorm):
    "pytorch/xla#913: backward is that of training, in eval mode too."
    function = NormalizeTraining

class Attend(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.q, self.k = nn.Parameter(drawn(d, d)), nn.Parameter(drawn(d, d, seed=1))
    def forward(self, x, mask):
        s = (x@self.q)@(x@self.k).mT
        s = s.masked_fill(mask & ~mask.all(-1, keepdim=True), -torch.inf)
        return s.softmax(-1).masked_fill(mask, 0.)@x
class AttendNan(Attend):
    "pytorch/pytorch#41508: a row without a key; forward mends its nan, backward meets it."
    def forward(self, x, mask):
        s = (x@self.q)@(x@self.k).mT + torch.where(mask, -torch.inf, 0.)
        return s.softmax(-1).nan_to_num()@x

class Gate(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w, self.scale = nn.Parameter(drawn(d)), nn.Parameter(uniform(d))
    def forward(self, x): return (x*self.w).sigmoid()*self.scale
class GateData(Gate):
    "The scale is read through .data, and never learns."
    def forward(self, x): return (x*self.w).sigmoid()*self.scale.data

class Mixed(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(drawn(d, d))
    def forward(self, x): return x@self.w.softmax(-1)
class MixedKept(Mixed):
    "What was computed from the weight at the first call is kept for those that follow."
    kept = None
    def forward(self, x):
        if self.kept is None: self.kept = self.w.softmax(-1)
        return x@self.kept

def np_pool(x): return np.maximum(np.maximum(x[:-2], x[1:-1]), x[2:])
def np_pool_rule(g, x):
    gx = np.zeros_like(x)
    for i in range(len(g)): gx[i + x[i:i+3].argmax()] += g[i]
    return gx
def np_pool_last(g, x):
    "FluxML/Flux.jl#1197: an entry that is the largest of several windows gets one gradient."
    gx = np.zeros_like(x)
    for i in range(len(g)): gx[i + x[i:i+3].argmax()] = g[i]
    return gx

def np_conv(x, w):
    return np.stack([x[i:i+len(w)]@w for i in range(0, len(x) - len(w) + 1, 2)])
def np_conv_rule(g, x, w):
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for k in range(len(g)):
        gx[2*k:2*k+len(w)] += g[k]*w
        gw += g[k]*x[2*k:2*k+len(w)]
    return gx, gw
def np_conv_unstrided(g, x, w):
    "Kulbear/deep-learning-coursera#34: backward steps by one where forward stepped by two."
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for k in range(len(g)):
        gx[k:k+len(w)] += g[k]*w
        gw += g[k]*x[k:k+len(w)]
    return gx, gw

def np_softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e/e.sum(-1, keepdims=True)
def np_softmax_rule(g, x):
    p = np_softmax(x)
    return p*(g - (g*p).sum(-1, keepdims=True))
def np_softmax_diagonal(g, x):
    "wkcn/mobula#3: an entry's share in the others is left out."
    p = np_softmax(x)
    return g*p*(1 - p)

x, rows = drawn(5, 4, seed=31), torch.tensor([1, 3, 1, 0])
labels = torch.tensor([1, -100, 3, 0, -100])
places = torch.tensor([.4, 1.7, 2.2, 3.6], dtype=torch.float64)
mask = torch.tensor([[0, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=torch.bool)
half = (drawn(3, 4)*100).half()
TWINS = { # fault, its sound twin, arguments, what the first explanation says
    'take': (TakeLast, Take, (x, rows), 'assignment'),
    'put': (PutOver, Put, (x, drawn(4, 4), rows), 'no influence'),
    'stretch': (StretchShort, Stretch, (drawn(2), 10), 'left out|missing|assignment'),
    'sample': (SampleBeyond, Sample, (drawn(5), places), 'no influence|branch|flat here'),
    'rms norm': (RMSNormOver, RMSNorm, (x, drawn(4)), 'in place|memory|changes g'),
    'distances': (DistancesAtZero, Distances, (x, drawn(3, 4)), 'number that is none'),
    'filter': (FilterOn, Filter, (drawn(6), drawn(6, seed=1)), 'order|transpose|flip'),
    'words': (WordsPadded, Words, (drawn(4, 3), torch.tensor([0, 2, 1, 0]), 0), 'no influence'),
    'peak': (PeakEach, Peak, (drawn(3, 6),), 'ties'),
    'huber': (HuberFar, Huber, (x*.1,), 'branch'),
    'cube': (CubeHalf, Cube, (half,), 'half|float16|overflow|number that is none'),
    'square': (SquareKept, Square, (x,), 'changed|saved'),
    'softmax': (SoftmaxOnly, Softmax, (x,), 'result left out'),
    'polar': (PolarBoth, Polar, (uniform(5, 4), x), 'None'),
    'linear': (LinearFrozen, Linear, (x, drawn(4, 3)), 'needs_input_grad'),
    'cross-entropy': (CrossEntropyIgnored, CrossEntropy, (x, labels), 'no influence'),
    'rope': (RopeInPlace, Rope, (x,), 'in place'),
    'gelu': (GeluOther, Gelu, (x,), 'close|approx|small'),
    'largest': (LargestFirst, Largest, (x, 2), 'places'),
    'batch norm': (BatchNormTraining(4), BatchNorm(4), (x,), 'eval'),
    'attend': (AttendNan(4), Attend(4), (drawn(3, 4), mask), 'number that is none'),
    'gate': (GateData(4), Gate(4), (x,), 'constant'),
    'mixed': (MixedKept(4), Mixed(4), (x,), 'kept'),
    'np pool': ((np_pool, np_pool_last), (np_pool, np_pool_rule), (x[0].numpy(),), 'assignment'),
    'np conv': ((np_conv, np_conv_unstrided), (np_conv, np_conv_rule),
                (drawn(9).numpy(), drawn(3, seed=1).numpy()), 'places'),
    'np softmax': ((np_softmax, np_softmax_diagonal), (np_softmax, np_softmax_rule),
                   (x.numpy(),), 'diagonal|sum|shared'),
}
FAULTS = {f'strangers: {k}': (bad, args, says) for k, (bad, _, args, says) in TWINS.items()}
SOUND = {f'strangers: {k}': (good, args, {}) for k, (_, good, args, _) in TWINS.items()}
SOUND |= {
    'nn.Embedding padding': (nn.Embedding(4, 3, padding_idx=0), (torch.tensor([0, 2, 1, 0]),), {}),
}
