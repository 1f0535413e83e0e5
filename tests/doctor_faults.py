"""Faults of the kinds that public trackers report, each right on the arguments that are given, or
wrong in a way of its own. A row: name → thing, arguments, words of the name that is right."""
import numpy as np
import torch
from torch import nn
from torch.autograd import Function

from doctor_sound import drawn, uniform

def function(forward, backward, name='Fault'):
    "An `autograd.Function` of two functions; forward returns the result and what it saves."
    def run(ctx, *args):
        out, *saved = forward(ctx, *args)
        ctx.save_for_backward(*saved)
        return out
    members = dict(forward=staticmethod(run), backward=staticmethod(backward))
    return type(name, (Function,), members)

def saved(ctx): return ctx.saved_tensors

# g ---------------------------------------------------------------------------------------------
def no_g(ctx, g): return 2*saved(ctx)[0]
def ones_for_g(ctx, g): return 2*saved(ctx)[0]*g.sum()
def abs_g(ctx, g): return 2*saved(ctx)[0]*g.abs()
def clamped_g(ctx, g): return 2*saved(ctx)[0]*g.clamp(-50, 50)
def cleaned_g(ctx, g): return (2*saved(ctx)[0]*g).nan_to_num()
def walks_g(ctx, g):
    return 2*saved(ctx)[0]*torch.as_strided(g, g.shape, torch.empty(g.shape).stride())
def views_g(ctx, g): return (2*saved(ctx)[0].reshape(-1)*g.view(-1)).reshape(g.shape)
def spoils_g(ctx, g): return g.mul_(2*saved(ctx)[0])
def first_of_g(ctx, g): return 2*saved(ctx)[0]*g.reshape(-1)[0]
def square(ctx, x): return x*x, x

# broadcasting, sums, axes ----------------------------------------------------------------------
def lin(x, w, b): return x@w + b
def bias_first_row(g, x, w, b): return g@w.T, x.T@g, g[0]
def bias_mean(g, x, w, b): return g@w.T, x.T@g, g.mean(0)
def untransposed(g, x, w, b): return g@w, x.T@g, g.sum(0)
def no_unbroadcast(g, x, w): return g*w, g*x
def row_softmax(x): return x.softmax(-1)
def softmax_wrong_axis(g, x):
    y = x.softmax(-1)
    return y*(g - (g*y).sum(0, keepdim=True))
def softmax_no_coupling(g, x): return x.softmax(-1)*g
def softmax_diagonal(g, x):
    y = x.softmax(-1)
    return y*(1-y)*g
def rms(x): return x/(x*x).mean(-1, keepdim=True).sqrt()
def rms_constant(g, x): return g/(x*x).mean(-1, keepdim=True).sqrt()
def standard(x): return (x - x.mean(-1, keepdim=True))/x.std(-1, keepdim=True, correction=0)
def standard_constant(g, x): return g/x.std(-1, keepdim=True, correction=0)
def centred(x): return x - x.mean(0)
def centred_constant(g, x): return g
def cumsum_unflipped(g, x): return g.cumsum(0)

# losses ----------------------------------------------------------------------------------------
def batch_mse(p, t): return ((p-t)**2).sum(1).mean()
def mean_twice(g, p, t):
    gp = g*2*(p-t)/len(p)/len(p)
    return gp, -gp
def mean_left_out(g, p, t): return g*2*(p-t), -g*2*(p-t)
def target_sign(g, p, t): return g*2*(p-t)/len(p), g*2*(p-t)/len(p)
def fixed_batch(g, p, t): return g*2*(p-t)/5, -g*2*(p-t)/5

# indices ---------------------------------------------------------------------------------------
def gather_overwrites(g, x, rows):
    gx = torch.zeros_like(x)
    gx[rows] = g
    return gx, None
def take(x, rows): return x[rows]
repeated = torch.tensor([0, 2, 2, 1])

# what is saved ---------------------------------------------------------------------------------
class SavedTanh(Function):
    "Of the square of tanh, by an intermediate that has no history."
    @staticmethod
    def forward(ctx, x):
        t = torch.tanh(x)
        ctx.save_for_backward(t)
        return t*t
    @staticmethod
    def backward(ctx, g):
        t, = ctx.saved_tensors
        return g*2*t*(1-t*t)

def kept_on(place, take):
    "A sine that keeps its argument as an attribute, past save_for_backward."
    class Sine(Function):
        @staticmethod
        def forward(ctx, x):
            place(ctx).x = take(x)
            return x.sin()
        @staticmethod
        def backward(ctx, g): return g*place(ctx).x.cos()
    return Sine

class Shelf:
    "One place for all calls."

OnItself, OnTheClass = kept_on(lambda ctx: ctx, lambda x: x), kept_on(lambda _: Shelf, torch.clone)

class ThroughNumPy(Function):
    "No history, and no once_differentiable."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return torch.from_numpy(g.detach().numpy()*np.cos(x.detach().numpy()))

class Growing(Function):
    "Adds up what it returns."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.total = torch.zeros_like(x)
        return x*x
    @staticmethod
    def backward(ctx, g):
        ctx.total = ctx.total + 2*saved(ctx)[0]*g
        return ctx.total

class KeepsItsResult(Function):
    "A cycle."
    @staticmethod
    def forward(ctx, x):
        ctx.y = x.exp()
        return ctx.y
    @staticmethod
    def backward(ctx, g): return g*ctx.y

class NewMask(Function):
    "Draws another mask in backward."
    @staticmethod
    def forward(ctx, x): return x*(torch.rand(x.shape) > .5)*2
    @staticmethod
    def backward(ctx, g): return g*(torch.rand(g.shape) > .5)*2

class ChangesItsArgument(Function):
    "Without mark_dirty."
    @staticmethod
    def forward(ctx, x):
        x.data.clamp_(min=-1)
        ctx.save_for_backward(x)
        return x*2
    @staticmethod
    def backward(ctx, g): return g*2*(saved(ctx)[0] > -1)

# several results, subsets ----------------------------------------------------------------------
class SecondForgotten(Function):
    "Two results, the gradient of one."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x*2, x*x
    @staticmethod
    def backward(ctx, g, h): return 2*g

class NeedsBoth(Function):
    "Takes for granted that both results are used."
    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return x*2, x*x
    @staticmethod
    def backward(ctx, g, h): return 2*g + 2*h*saved(ctx)[0]

class CountsWrong(Function):
    "needs_input_grad of the other argument."
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x*w
    @staticmethod
    def backward(ctx, g):
        x, w = saved(ctx)
        return g*w if ctx.needs_input_grad[1] else None, g*x if ctx.needs_input_grad[0] else None

# layouts, dtypes, options, places --------------------------------------------------------------
class ForwardWalks(Function):
    "Reads memory in the order in which it lies."
    @staticmethod
    def forward(ctx, x):
        flat = torch.as_strided(x, (x.numel(),), (1,))
        ctx.save_for_backward(x)
        return (flat**2).reshape(x.shape)
    @staticmethod
    def backward(ctx, g): return 2*saved(ctx)[0]*g

class MaskWalks(Function):
    "The mask of a transposed argument lies otherwise than it."
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(torch.as_strided(x, x.shape, torch.empty(x.shape).stride()) > 0)
        return x.clamp(min=0)
    @staticmethod
    def backward(ctx, g): return g*saved(ctx)[0]

def always_double(g, x): return g.double()*x.double().cos()
def single_inside(ctx, g): return (g.float()*saved(ctx)[0].float().cos()).to(g)
def no_alpha(ctx, g): return torch.where(saved(ctx)[0] > 0, g, .1*g), None
def leaky(ctx, x, alpha): return torch.where(x > 0, x, alpha*x), x
def only_positive(g, x): return g*(x > 0)
def naive_sigmoid(g, x): return g*torch.exp(-x)/(1+torch.exp(-x))**2
def norm(x): return (x*x).sum(-1).sqrt()
def norm_rule(g, x): return g[..., None]*x/norm(x)[..., None]
def ties_all(g, x): return g[..., None]*(x == x.amax(-1, keepdim=True))
def last_column(g, x):
    gx = 2*g*x
    gx[..., -1] = 0
    return gx
class ScaledByBatch(nn.Module):
    "The hook divides by the batch, which the loss has done."
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.batch = 1
    def forward(self, x):
        y = self.linear(x)
        if y.requires_grad: y.register_hook(lambda g: g/len(g))
        return y
class DetachedMean(nn.Module):
    "Batch statistics without their gradient, in train only."
    def forward(self, x):
        mean = x.mean(0) if self.training else x.new_zeros(x.shape[1:])
        return (x - mean.detach())**3

x, y, w, b = drawn(5, 4), drawn(5, 4, seed=1), drawn(4, 3, seed=2), drawn(3, seed=3)
p = uniform(5, 4)
FAULTS = { # name → thing, arguments, words of the right name
    'g ignored': (function(square, no_g), (x,), 'g left out'),
    'g summed': (function(square, ones_for_g), (x,), 'g summed'),
    'the sign of g lost': (function(square, abs_g), (x,), 'sign of g'),
    'g clamped': (function(square, clamped_g), (x,), 'not linear in g'),
    'nan cleaned away': (function(square, cleaned_g), (x,), 'nan hidden'),
    'g read as contiguous': (function(square, walks_g), (x,), 'contiguous'),
    'view of g': (function(square, views_g), (x,), 'contiguous'),
    'g changed': (function(square, spoils_g), (x,), 'g changed|memory'),
    'first entry of g': (function(square, first_of_g), (x,), 'used|entry'),
    'bias: first row': ((lin, bias_first_row), (x, w, b), 'missing sum'),
    'bias: mean': ((lin, bias_mean), (x, w, b), '1/n too much'),
    'missing transpose': ((lin, untransposed), (x, drawn(4, 4), drawn(4)), 'transpose'),
    'missing broadcast sum': ((torch.mul, no_unbroadcast), (x, y), 'missing sum'),
    'softmax, wrong axis': ((row_softmax, softmax_wrong_axis), (x,), 'axis|shared'),
    'softmax, no coupling': ((row_softmax, softmax_no_coupling), (x,), 'shared'),
    'softmax, diagonal': ((row_softmax, softmax_diagonal), (x,), 'diagonal'),
    'rms taken for a constant': ((rms, rms_constant), (x,), 'shared'),
    'mean and spread constant': ((standard, standard_constant), (x,), 'constants'),
    'mean taken for a constant': ((centred, centred_constant), (x,), 'shared'),
    'cumsum not reversed':
        ((lambda x: x.cumsum(0), cumsum_unflipped), (x,), 'order|axis|transpose'),
    'mean over the batch twice': ((batch_mse, mean_twice), (x, y), '1/n too much'),
    'mean left out': ((batch_mse, mean_left_out), (x, y), 'missing 1/n'),
    'sign of the target': ((batch_mse, target_sign), (x, y), 'sign|swapped'),
    'a batch of five': ((batch_mse, fixed_batch), (x, y), 'size'),
    'index overwrites': ((take, gather_overwrites), (x, repeated), 'assignment'),
    'saved intermediate': (SavedTanh, (x,), 'saved intermediate'),
    'attribute of ctx': (OnItself, (x,), 'save_for_backward'),
    'attribute of the class': (OnTheClass, (x,), 'memory'),
    'through NumPy': (ThroughNumPy, (x,), 'out of the graph'),
    'adds up': (Growing, (x,), 'memory'),
    'keeps its result': (KeepsItsResult, (x,), 'leak|save_for_backward'),
    'another mask': (NewMask, (x,), 'randomness'),
    'changes its argument': (ChangesItsArgument, (x,), 'in place|changed'),
    'second result forgotten': (SecondForgotten, (x,), 'result 1'),
    'both results taken for granted': (NeedsBoth, (x,), 'None'),
    'needs_input_grad': (CountsWrong, (x, y), 'needs_input_grad'),
    'forward reads memory': (ForwardWalks, (x,), 'contiguous'),
    'mask reads memory': (MaskWalks, (x,), 'contiguous'),
    'always float64': ((torch.sin, always_double), (x,), 'dtype'),
    'float32 inside':
        (function(lambda ctx, x: (x.sin(), x), single_inside), (x,), 'lost digits|digits'),
    'an option fixed': (function(leaky, no_alpha), (x, .1), 'option'),
    'positive only': ((torch.abs, only_positive), (uniform(5, 4),), 'negative|zero'),
    'overflow': ((torch.sigmoid, naive_sigmoid), (x,), 'number that is none'),
    'norm at zero': ((norm, norm_rule), (x,), 'number that is none'),
    'ties get it all': ((lambda x: x.amax(-1), ties_all), (x,), 'ties'),
    'last column': ((torch.square, last_column), (x,), 'axis 1'),
    'hook divides again': (ScaledByBatch(), (x,), '1/n too much|batch'),
    'mean detached in train': (DetachedMean(), (x,), 'shared|constant'),
}
