"What an examination once missed, misnamed, or saw where nothing is, each beside its sound twin."
import pytest
import torch
from doctor_sound import drawn
from mlfound.doctor import Settings, examine
from torch import nn
from torch.autograd import Function

def found(thing, *args, trials=None, **more):
    "What is found wrong, without looking for smaller arguments."
    how = Settings(progress=False, shrink=False, trials=trials, **more)
    return examine(thing, *args, settings=how)

def kth(x): return x.kthvalue(2, -1).values
def median(x): return x.median()
def median_twice(g, x): return 2*g*(x == x.median()).cumsum(0).eq(1)

@pytest.mark.parametrize('f', [torch.median, torch.nanmedian, kth])
def test_where_three_numbers_are_equal_one_may_take_it_all(f):
    for seed in range(6):
        x = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)).double()
        assert found(f, x, trials='other numbers').ok
        assert found(f, x.float().round().double(), trials='every entry').ok
    tied = torch.tensor([1., 1, 1, 0, 3], dtype=torch.float64)
    assert not found((median, median_twice), tied, trials='every entry').ok

class LogSumExp(Function):
    at_least = -torch.inf
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.logsumexp(-1)
    @classmethod
    def rule(cls, x, g):
        e = (x - x.amax(-1, keepdim=True).clamp(min=cls.at_least)).exp()
        return g[..., None]*e/e.sum(-1, keepdim=True).clamp(min=1e-30)
    @staticmethod
    def backward(ctx, g): return LogSumExp.rule(*ctx.saved_tensors, g)
class FromNought(LogSumExp):
    "The running maximum starts at 0."
    at_least = 0.
    @staticmethod
    def backward(ctx, g): return FromNought.rule(*ctx.saved_tensors, g)

class Squares(Function):
    "The sum of the squares; `block`: what is left over of blocks as long is lost."
    @staticmethod
    def forward(ctx, x, block):
        ctx.save_for_backward(x)
        ctx.block = block
        return (x*x).sum(-1)
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        n, gx = x.shape[-1], 2*x*g[..., None]
        if n > ctx.block: gx[..., n//ctx.block*ctx.block:] = 0
        return gx, None

class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()
    @staticmethod
    def backward(ctx, g): return g*ctx.saved_tensors[0].exp()
class ExpPictures(Exp):
    "Reads what lies channels last as if it lay otherwise."
    @staticmethod
    def backward(ctx, g):
        y = ctx.saved_tensors[0].exp()
        last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(y.ndim)
        walked = last and not y.is_contiguous() and y.is_contiguous(memory_format=last)
        return g*(y.movedim(1, -1).reshape(y.shape) if walked else y)

class Product(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x@w
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g@w.T, x.T@g
class ProductAdds(Product):
    "Adds to the weight's .grad, and returns the gradient all the same."
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        if w.grad is not None: w.grad += x.T@g
        return g@w.T, x.T@g
class Layer(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.w, self.function = nn.Parameter(drawn(3, 2)), function
    def forward(self, x): return self.function.apply(x, self.w)

MISSED = { # fault, its sound twin, arguments, the trial, what the first explanation says
    'far below': (FromNought, LogSumExp, (drawn(2, 3),), 'far below 0', 'nothing arrives'),
    'block of 64': (lambda x: Squares.apply(x, 64), lambda x: Squares.apply(x, 1), (drawn(4, 5),),
                    'sizes: 65', 'a size taken for granted'),
    'block of 128': (lambda x: Squares.apply(x, 128), lambda x: Squares.apply(x, 1), (drawn(9),),
                     'sizes: 129', 'a size taken for granted'),
    'pictures': (ExpPictures, Exp, (drawn(2, 3, 2, 4),), 'channels last', 'contiguous'),
    'volumes': (ExpPictures, Exp, (drawn(2, 3, 2, 2, 2),), 'channels last', 'contiguous'),
    'adds to .grad': (ProductAdds, Product, (drawn(4, 3), drawn(3, 2)), 'left alone', 'twice'),
    "adds to a parameter's .grad": (Layer(ProductAdds), Layer(Product), (drawn(4, 3),),
                                    'left alone', 'twice'),
}

@pytest.mark.parametrize('name', MISSED)
def test_a_fault_is_found_and_named_and_its_twin_is_not(name):
    bad, good, args, trial, says = MISSED[name]
    some = ['every entry', 'other numbers', 'other sizes', 'memory layouts', 'arguments left alone']
    report = found(bad, *args, trials=some)
    assert trial in report.faults[0].trial and says in report.name, report
    assert found(good, *args, trials=some).ok

def test_a_grad_of_ones_own_is_kept():
    layer = nn.Linear(3, 2).double()
    layer.weight.grad = torch.ones(2, 3).double()
    assert found(layer, drawn(4, 3), trials='arguments left alone').ok
    assert torch.equal(layer.weight.grad, torch.ones(2, 3).double())
