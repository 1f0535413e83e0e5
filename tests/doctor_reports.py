"""A second held-out set, after other public reports and other people's code: written without a look
at what an examination tries. The comment of a fault names the report it follows, where there is
one."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from doctor_sound import drawn, uniform

class ForgetsItsReduction(Function):
    "paiml/aprender#2182: divided by the batch whatever the reduction."
    @staticmethod
    def forward(ctx, x, labels, reduction):
        p = x.softmax(-1)
        ctx.save_for_backward(p, labels)
        loss = -p[torch.arange(len(p)), labels].log()
        return {'mean': loss.mean, 'sum': loss.sum}[reduction]()
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        p, labels = ctx.saved_tensors
        return g*(p - F.one_hot(labels, p.shape[-1]))/len(p), None, None

class FirstUpstream(Function):
    "linkedin/Liger-Kernel#968: one number of the upstream gradient stands for all rows."
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return ((x@w)**2).sum(-1)
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        gz = 2*(x@w)*g[0]
        return gz@w.mT, x.mT@gz

class HalfUpstream(Function):
    "pytorch/pytorch#11750: some terms are not multiplied by the upstream gradient."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x.exp() + x**3).sum()
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g*x.exp() + 3*x*x

class TwoOutputs(Function):
    "pytorch/pytorch#194719: what comes through torch.cat is a slice, and read as if it were none."
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return 2*x*w, 3*x*w
    @staticmethod
    @once_differentiable
    def backward(ctx, gy, gz):
        x, w = ctx.saved_tensors
        gy, gz = (torch.as_strided(g, x.shape, (x.shape[1], 1)) for g in (gy, gz))
        g = 2*gy + 3*gz
        return g*w, (g*x).sum(0)

class OverlappingWrites(Function):
    "jmschrei/cherimoya#25: several places write to one, and the last one wins."
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x[..., :-2]*w[0] + x[..., 1:-1]*w[1] + x[..., 2:]*w[2]
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        gx = torch.zeros_like(x)
        gx[..., :-2] = g*w[0]
        gx[..., 1:-1] = g*w[1]
        gx[..., 2:] = g*w[2]
        return gx, torch.stack([(g*x[..., k:x.shape[-1]-2+k]).sum() for k in range(3)])

def axis_angle_to_quaternion(v):
    "kornia/kornia#3949: where takes the other branch, and the root is differentiated all the same."
    theta = (v*v).sum(-1, keepdim=True).sqrt()
    k = torch.where(theta > 0, (theta/2).sin()/theta, .5*torch.ones_like(theta))
    return torch.cat([(theta/2).cos(), k*v], -1)

class GradientIntoInput(Function):
    "triton-lang/triton#4004: the gradient is written where the argument was, to save memory."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x*x
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, = ctx.saved_tensors
        x.data.mul_(2).mul_(g)
        return x.detach()

def weighted_loss(x, w, labels):
    return -(w[labels]*x.log_softmax(-1)[torch.arange(len(x)), labels]).sum()
def weighted_rule(g, x, w, labels):
    "shicai/Weighted_Softmax_Loss#1: the weight is multiplied in at the wrong channels."
    rows, p = torch.arange(len(x)), x.softmax(-1)
    gx = p - F.one_hot(labels, x.shape[-1])
    gx[rows, labels] *= w[labels]
    gw = torch.zeros_like(w).index_add(0, labels, -p[rows, labels].log())
    return g*gx, g*gw, None

class StraightThrough(Function):
    @staticmethod
    def forward(ctx, x): return x.round()
    @staticmethod
    def backward(ctx, g): return g

class Reversal(Function):
    @staticmethod
    def forward(ctx, x, strength): return x.clone()
    @staticmethod
    def backward(ctx, g): return -.3*g, None

def rotate(x, angle):
    a, b = x.chunk(2, -1)
    return torch.cat([a*angle.cos() - b*angle.sin(), a*angle.sin() + b*angle.cos()], -1)
def rotate_on(g, x, angle):
    "Turns the upstream gradient on, where it should turn it back."
    return rotate(g, angle), None
def rotate_back(g, x, angle): return rotate(g, -angle), None

def bag(table, rows): return table[rows].mean(1)
def bag_rule(g, table, rows):
    "Divides by the number of bags, not by that of the words in a bag."
    gt = torch.zeros_like(table)
    for i, bag in enumerate(rows):
        for j in bag: gt[j] += g[i]/len(rows)
    return gt, None

def swiglu(a, b): return F.silu(a)*b
def swiglu_crossed(g, a, b):
    s = a.sigmoid()
    return g*a*s, g*b*(s + a*s*(1-s))
def swiglu_rule(g, a, b):
    ga, gb = swiglu_crossed(g, a, b)[::-1]
    return ga.sum_to_size(a.shape), gb.sum_to_size(b.shape)

def filtered(x, w): return F.conv1d(x[None, None], w[None, None])[0, 0]
def flipped_weight(g, x, w):
    gw = F.conv1d(x[None, None], g[None, None])[0, 0].flip(0)
    return F.conv_transpose1d(g[None, None], w[None, None])[0, 0], gw

def dice(p, t): return 1 - 2*(p*t).sum()/(p.sum() + t.sum())
def dice_rule(g, p, t):
    "The denominator is taken for a constant."
    return g*(-2*t/(p.sum() + t.sum())), None

class Recomputes(Function):
    "Runs forward again in backward, and draws anew."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return F.dropout(x, .5)*x
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, = ctx.saved_tensors
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            out = F.dropout(y, .5)*y
        return torch.autograd.grad(out, y, g)[0]

def cumprod_rule(g, x):
    "Divides by the argument."
    y = x.cumprod(-1)
    return (g*y).flip(-1).cumsum(-1).flip(-1)/x

def quantized_scale(x):
    "The largest number leaves the graph by item()."
    return x/x.abs().max().item()

def lse(x): return x.logsumexp(-1)
def lse_rule(g, x):
    "Overflows where forward does not."
    return g[..., None]*x.exp()/x.exp().sum(-1, keepdim=True)

x, y = drawn(5, 4, seed=21), drawn(5, 4, seed=22)
labels, bags = torch.tensor([1, 0, 3, 3, 2]), torch.tensor([[0, 2, 2], [1, 3, 0]])
FAULTS = {
    'reduction forgotten': (ForgetsItsReduction, (x, labels, 'mean'), 'option|1/n'),
    'first upstream': (FirstUpstream, (x, drawn(4, 3)), 'entry of g'),
    'half upstream': (HalfUpstream, (x,), 'not linear in g|g left out'),
    'two outputs': (TwoOutputs, (x, drawn(4)), 'contiguous'),
    'overlapping writes': (OverlappingWrites, (drawn(2, 7), drawn(3)), 'assignment'),
    'axis and angle': (axis_angle_to_quaternion, (drawn(4, 3),), 'number that is none'),
    'gradient into input': (GradientIntoInput, (x,), 'memory|in place'),
    'weighted channels':
        ((weighted_loss, weighted_rule), (x, uniform(4), labels), 'factor left out'),
    'straight through': (StraightThrough, (x,), 'straight-through'),
    'reversal': (Reversal, (x, 1.), 'factor|sign'),
    'rotates on': ((rotate, rotate_on), (x, drawn(2)), 'transpose'),
    'bags': ((bag, bag_rule), (drawn(4, 3), bags), '1/n|factor'),
    'swiglu crossed': ((swiglu, swiglu_crossed), (x, y), 'swapped results'),
    'flipped weight': ((filtered, flipped_weight), (drawn(7), drawn(3, seed=1)), 'order'),
    'dice': ((dice, dice_rule), (uniform(5, 4), (y > 0).double()), 'shared|constant'),
    'recomputes': (Recomputes, (x,), 'randomness'),
    'cumprod': ((lambda x: x.cumprod(-1), cumprod_rule), (x,), 'number that is none'),
    'item': (quantized_scale, (x,), 'constant'),
    'logsumexp': ((lse, lse_rule), (x,), 'number that is none'),
}

# sound -----------------------------------------------------------------------------------------
class Gelu(Function):
    "By hand, exact, at second order too."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x*.5*(1 + torch.erf(x/2**.5))
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        density = torch.exp(-x*x/2)/(2*torch.pi)**.5
        return g*(.5*(1 + torch.erf(x/2**.5)) + x*density)

class Attention(Function):
    "With a mask that is no number, and in kernels that want contiguous arguments."
    @staticmethod
    @torch.amp.custom_fwd(device_type='cpu')
    def forward(ctx, q, k, v, mask):
        q, k, v = (t.contiguous() for t in (q, k, v))
        s = (q@k.mT/q.shape[-1]**.5).masked_fill(mask, -torch.inf)
        p = s.softmax(-1)
        ctx.save_for_backward(q, k, v, p)
        return p@v
    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type='cpu')
    def backward(ctx, g):
        q, k, v, p = ctx.saved_tensors
        g = g.contiguous()
        gp = g@v.mT
        gs = p*(gp - (gp*p).sum(-1, keepdim=True))/q.shape[-1]**.5
        return gs@k, gs.mT@q, p.mT@g, None

class Tied(nn.Module):
    "One weight in two places."
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(drawn(4, 4))
    def forward(self, x): return (x@self.w).tanh()@self.w.mT

class Partly(nn.Module):
    "A parameter that is not used, and one that is frozen."
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)
        self.used.bias.requires_grad_(False)
    def forward(self, x): return self.used(x)

def spectrum(x): return torch.fft.rfft(x).abs()
def factor(a): return torch.linalg.cholesky(a@a.mT + torch.eye(3, dtype=a.dtype))
def checkpointed(x): return checkpoint(lambda x: (x.sin()*x).cumsum(-1), x, use_reentrant=False)
def hard(x): return F.gumbel_softmax(x, tau=.7)
def smooth_ce(x, labels): return F.cross_entropy(x, labels, label_smoothing=.1)
def reduced(x, rows): return torch.zeros(4, 4, dtype=x.dtype).index_reduce(0, rows, x, 'mean')

SOUND = {
    'reports: gelu': (Gelu, (x,), {}),
    'reports: attention':
        (Attention, (drawn(3, 4), drawn(5, 4), drawn(5, 2), drawn(3, 5) > 1.), {}),
    'reports: tied': (Tied(), (x,), {}), 'reports: partly': (Partly(), (x,), {}),
    'reports: spectrum': (spectrum, (drawn(3, 6),), {}),
    'reports: cholesky': (factor, (drawn(3, 3),), {}),
    'reports: checkpoint': (checkpointed, (x,), {}), 'reports: gumbel': (hard, (x,), {}),
    'reports: rotate': ((rotate, rotate_back), (x, drawn(2)), {}),
    'reports: swiglu': ((swiglu, swiglu_rule), (x, y), {}),
    'reports: smooth cross-entropy': (smooth_ce, (x, labels), {}),
    'reports: index_reduce': (reduced, (x, labels), {}),
    'F.multi_margin_loss': (F.multi_margin_loss, (x, labels), {}),
    'F.embedding_bag': (F.embedding_bag, (bags, drawn(4, 3)), {}),
    'F.rrelu': (F.rrelu, (x,), dict(training=True)),
    'torch.lerp': (torch.lerp, (x, y, uniform(5, 4)), {}),
    'torch.linalg.qr': (torch.linalg.qr, (drawn(4, 3),), {}),
    'nn.GRU': (nn.GRU(4, 3), (drawn(3, 2, 4),), {}),
    'nn.Embedding sparse': (nn.EmbeddingBag(4, 3, mode='sum', sparse=True), (bags,), {}),
    'nn.Dropout2d': (nn.Dropout2d(.4), (drawn(2, 3, 4, 2),), {}),
}

# In PyTorch 2.13, by examinations that were to find nothing; tests/test_doctor.py has the proofs.
FOUND = {
    'torch.logcumsumexp': (torch.logcumsumexp, (x, 1), 'nan hidden'),
    'weight_norm': (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (x,),
                    'saved intermediate'),
    'torch.clamp': (torch.clamp, (x, drawn(4), drawn(4, seed=1)), 'ties'),
}
