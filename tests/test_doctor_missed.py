"What an examination once missed, misnamed, or saw where nothing is, each beside its sound twin."
import pytest
import torch
from conftest import root
from doctor_sound import drawn
from mlfound.catalogue import find
from mlfound.doctor import Settings, examine
from mlfound.verify import rule_of
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

def ternary(x): return x.tanh() + (x.sign() - x.tanh()).detach()
def hard(x):
    torch.manual_seed(3)
    return nn.functional.gumbel_softmax(x, hard=True)
def soft(x):
    torch.manual_seed(3)
    return nn.functional.gumbel_softmax(x)
def handed_on(g, x): return g
def rounded(x): return x.round()
STRAIGHT = {'ternary': (ternary, torch.sign), 'hard': (hard, soft),
            'round': ((rounded, handed_on), torch.round)}

@pytest.mark.parametrize('name', STRAIGHT)
def test_straight_through_is_named_and_a_remark_where_it_is_wanted(name):
    thing, sound = STRAIGHT[name]
    some = ['every entry', 'upstream gradients', 'other numbers']
    report = found(thing, drawn(4, 5), trials=some)
    assert not report.ok and report.name.startswith('a straight-through'), report
    wanted = found(thing, drawn(4, 5), trials=some, straight_through=True)
    assert wanted.ok and any('entries' in f.what for f in wanted.remarks), wanted
    assert found(sound, drawn(4, 5), trials=some).ok

def test_what_is_no_straight_through_stays_a_fault_where_that_is_wanted():
    assert not found((torch.tanh, handed_on), drawn(4, 5), trials='every entry',
                     straight_through=True).ok
    peak = torch.zeros(3, dtype=torch.float64)
    assert not found((torch.cos, handed_on), peak, trials='every entry', straight_through=True).ok

SPREAD = drawn(4).abs() + .5
def fixed(x): return x/SPREAD
def fixed_rule(g, x): return g/SPREAD
def means_too(g, x): return (g - g.mean(0))/SPREAD
def both_too(g, x): return (g - g.mean(0) - x*(g*x).mean(0))/SPREAD

@pytest.mark.parametrize('rule', [means_too, both_too])
def test_a_mean_that_is_a_constant_is_subtracted(rule):
    assert 'a term too many' in found((fixed, rule), drawn(6, 4), trials='every entry').name
    assert found((fixed, fixed_rule), drawn(6, 4), trials='every entry').ok

def cosine(a, b): return nn.functional.cosine_similarity(a, b, -1)
def cosine_rule(g, a, b, norms=1):
    na, nb = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    c = norms*(a*b).sum(-1, keepdim=True)/(na*nb)
    return g[..., None]*(b/nb - c*a/na)/na, g[..., None]*(a/na - c*b/nb)/nb
def without_norms(g, a, b): return cosine_rule(g, a, b, 0)

def test_no_number_is_a_multiple_of_nought():
    a = drawn(4, 5)
    report = found((cosine, without_norms), a, a.clone(), trials='every entry')
    assert 'a multiple of the argument' in report.name, report
    assert not any('a factor:' in fit for f in report for fit in f.fits)
    assert found((cosine, cosine_rule), a, a.clone(), trials='every entry').ok

def test_what_cannot_be_examined_is_refused():
    with pytest.raises(ValueError, match='most is 0; pass 1 or more'):
        found(torch.exp, drawn(2), most=0)
    with pytest.raises(TypeError, match='a tuple of 3 .*pass a function and its rule'):
        found((torch.exp, torch.exp, torch.exp), drawn(2))
    assert found(torch.exp, drawn(2), trials='every entry', most=1).ok

# --- guards that spare what is right -------------------------------------------------------------

@pytest.mark.parametrize('name, k, guard', [('std', 2, 'corners.steady'),
                                            ('conv_gradients', 1, 'nudges.scattered')])
def test_without_its_guard_a_right_rule_is_charged(name, k, guard, monkeypatch):
    "An answer made of rounding at ties; more slopes round about than were met."
    monkeypatch.syspath_prepend(root/'benchmarks')
    from doctor import as_function
    rule = rule_of(find(name)[0])
    thing, given = as_function(rule, rule.calls[k])
    tried = ['every entry', 'second order', 'corners and ties']
    how = Settings(trials=tried, progress=False, shrink=False)
    assert examine(thing, *given, settings=how).ok
    monkeypatch.setattr(f'mlfound.{guard}', lambda *args: guard.endswith('steady'))
    assert not examine(thing, *given, settings=how).ok
