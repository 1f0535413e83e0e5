"Functions and modules whose gradients are right: an examination that finds a fault here is wrong."
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)

def uniform(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return .1 + .8*torch.rand(shape, dtype=torch.float64, generator=generator)

class Softplus(torch.autograd.Function):
    "Right at second order, too: backward is made of differentiable operations."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return F.softplus(x)
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g*torch.sigmoid(x)

class Hinge(torch.autograd.Function):
    "A corner at 1, with a convention of its own."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (1-x).clamp(min=0)
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return torch.where(x < 1, -g, 0*g)

class Once(torch.autograd.Function):
    "Refuses second order by name."
    @staticmethod
    def forward(ctx, x):
        y = torch.from_numpy(np.tanh(x.detach().numpy()))
        ctx.save_for_backward(y)
        return y.clone()
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        y, = ctx.saved_tensors
        return g*(1-y*y)

class Pick(torch.autograd.Function):
    "An integer argument, and an option."
    @staticmethod
    def forward(ctx, x, rows, dim):
        ctx.save_for_backward(rows)
        ctx.shape, ctx.dim = x.shape, dim
        return x.index_select(dim, rows)
    @staticmethod
    def backward(ctx, g):
        rows, = ctx.saved_tensors
        return g.new_zeros(ctx.shape).index_add(ctx.dim, rows, g), None, None

class MeanAndSpread(torch.autograd.Function):
    "Two results."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.mean(-1), (x*x).sum(-1)
    @staticmethod
    def backward(ctx, gm, gs):
        x, = ctx.saved_tensors
        return (gm[..., None]/x.shape[-1]).expand(x.shape) + 2*x*gs[..., None]

class Affine(torch.autograd.Function):
    "Broadcasts, asks what is needed, takes None."
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        ctx.shapes = x.shape, w.shape, b.shape
        return x*w + b
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        gs = [g*w, g*x, g]
        return tuple(t.sum_to_size(s) if n else None
                     for t, s, n in zip(gs, ctx.shapes, ctx.needs_input_grad))

class Single(torch.autograd.Function):
    "float32 only."
    @staticmethod
    def forward(ctx, x):
        if x.dtype != torch.float32: raise TypeError('Single: float32 only')
        ctx.save_for_backward(x)
        return x.sin()
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g*x.cos()

class Claims(torch.autograd.Function):
    "Takes part in torch.func."
    generate_vmap_rule = True
    @staticmethod
    def forward(x): return x**3
    @staticmethod
    def setup_context(ctx, inputs, output): ctx.save_for_backward(*inputs)
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return 3*g*x**2

class Doubles(torch.autograd.Function):
    "Works in place, and says so."
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)
    @staticmethod
    def backward(ctx, g): return 2*g

def numpy_matmul_rule(g, a, b): return g@b.T, a.T@g
def numpy_softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e/e.sum(-1, keepdims=True)
def numpy_softmax_rule(g, x):
    y = numpy_softmax(x)
    return y*(g - (g*y).sum(-1, keepdims=True))

labels = torch.tensor([0, 2, 1, 3, 2])
x, y = drawn(5, 4), drawn(5, 4, seed=1)
image, grid = drawn(2, 4, 7, 6), drawn(1, 3, 4, 2, seed=2)/3

SOUND = { # name → thing, arguments, keyword arguments
    'F.relu': (F.relu, (x,), {}), 'F.gelu': (F.gelu, (x,), {}), 'F.silu': (F.silu, (x,), {}),
    'F.elu': (F.elu, (x,), {}), 'F.leaky_relu': (F.leaky_relu, (x, .1), {}),
    'F.softplus': (F.softplus, (x,), {}), 'F.hardtanh': (F.hardtanh, (x,), {}),
    'F.softmax': (F.softmax, (x,), dict(dim=1)),
    'F.log_softmax': (F.log_softmax, (x,), dict(dim=0)),
    'F.cross_entropy': (F.cross_entropy, (x, labels), {}),
    'F.nll_loss': (F.nll_loss, (x, labels), dict(reduction='sum')),
    'F.mse_loss': (F.mse_loss, (x, y), {}), 'F.smooth_l1_loss': (F.smooth_l1_loss, (x, y), {}),
    'F.huber_loss': (F.huber_loss, (x, y), {}), 'F.l1_loss': (F.l1_loss, (x, y), {}),
    'F.binary_cross_entropy': (F.binary_cross_entropy, (uniform(5), (drawn(5) > 0).double()), {}),
    'F.kl_div': (F.kl_div, (F.log_softmax(x, 1), F.softmax(y, 1)), dict(reduction='batchmean')),
    'F.layer_norm': (F.layer_norm, (x, (4,), drawn(4, seed=3), drawn(4, seed=4)), {}),
    'F.linear': (F.linear, (x, drawn(3, 4), drawn(3)), {}),
    'F.bilinear': (F.bilinear, (x, y, drawn(2, 4, 4)), {}),
    'F.normalize': (F.normalize, (x,), {}),
    'F.cosine_similarity': (F.cosine_similarity, (x, y), {}),
    'F.conv2d': (F.conv2d, (image, drawn(3, 4, 3, 2)), dict(padding=1)),
    'F.max_pool2d': (F.max_pool2d, (image, 2), {}), 'F.avg_pool2d': (F.avg_pool2d, (image, 2), {}),
    'F.embedding': (F.embedding, (labels, drawn(4, 3)), {}), 'F.pad': (F.pad, (x, (1, 2)), {}),
    'F.dropout': (F.dropout, (x, .5), {}),
    'F.interpolate': (F.interpolate, (image,), dict(scale_factor=2., mode='bilinear')),
    'torch.cumsum': (torch.cumsum, (x, 1), {}), 'torch.prod': (torch.prod, (x,), {}),
    'torch.logsumexp': (torch.logsumexp, (x, 1), {}), 'torch.sort': (torch.sort, (x,), {}),
    'torch.linalg.inv': (torch.linalg.inv, (drawn(3, 3),), {}),
    'torch.linalg.norm': (torch.linalg.norm, (x,), {}), 'torch.amax': (torch.amax, (x, 1), {}),
    'torch.clamp': (torch.clamp, (x, -1., 1.), {}), 'torch.where': (torch.where, (x > 0, x, y), {}),
    'torch.einsum': (torch.einsum, ('ij,jk->ik', x, drawn(4, 3)), {}),
    'torch.cat': (torch.cat, ([x, y],), dict(dim=1)),
    'nn.Linear': (nn.Linear(4, 3), (x,), {}), 'nn.LayerNorm': (nn.LayerNorm(4), (x,), {}),
    'nn.BatchNorm1d': (nn.BatchNorm1d(4), (x,), {}), 'nn.GRUCell': (nn.GRUCell(4, 3), (x,), {}),
    'nn.Conv1d': (nn.Conv1d(4, 2, 3), (drawn(2, 4, 6),), {}), 'nn.PReLU': (nn.PReLU(), (x,), {}),
    'nn.Dropout': (nn.Dropout(.3), (x,), {}), 'nn.ReLU in place': (nn.ReLU(inplace=True), (x,), {}),
    'nn.Sequential': (nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), (x,), {}),
    'nn.MultiheadAttention': (nn.MultiheadAttention(4, 2, batch_first=True),
                              (drawn(2, 3, 4), drawn(2, 3, 4), drawn(2, 3, 4)), {}),
    'custom softplus': (Softplus, (x,), {}), 'custom hinge': (Hinge, (x,), {}),
    'custom once_differentiable': (Once, (x,), {}),
    'custom integer argument': (Pick, (x, labels, 0), {}),
    'custom two results': (MeanAndSpread, (x,), {}),
    'custom broadcast': (Affine, (x, drawn(4, seed=5), drawn(5, 1, seed=6)), {}),
    'custom float32 only': (Single, (x.float(),), {}), 'custom torch.func': (Claims, (x,), {}),
    'custom in place': (Doubles, (x,), {}),
    'NumPy matmul': ((np.matmul, numpy_matmul_rule), (x.numpy(), drawn(4, 3).numpy()), {}),
    'NumPy softmax': ((numpy_softmax, numpy_softmax_rule), (x.numpy(),), {}),
}
