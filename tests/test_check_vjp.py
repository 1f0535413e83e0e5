"The check of chapter 02 judges the point that it was given, entry by entry, and only by evidence."
import math
import pytest
import torch
from torch import tensor
from mlfound.backward import GradientError, check_vjp, lin_vjp, relu_vjp
from mlfound.doctor import diagnose
from mlfound.forward import lin, relu
from mlfound.slopes import central_difference

def double(*numbers): return tensor(numbers, dtype=torch.float64)
def cube(x): return x**3
def cube_vjp(g, x): return 3*g*x**2
def take(x, k): return x[k]
def take_vjp(g, x, k): return torch.zeros_like(x).index_add(0, k, g)
rng = torch.Generator().manual_seed(0)
x = torch.randn(6, 3, dtype=torch.float64, generator=rng)

def passes(f, vjp, *args, **kw):
    check_vjp(f, vjp, *args, **kw)
    return diagnose(f, vjp, *args).ok

@pytest.mark.parametrize('change', [
    lambda x: x.abs_(),
    lambda x: x.mul_(2).clone(),
    lambda x: x.data.neg_().clone(),
    lambda x: torch.from_numpy(x.numpy()).add_(1).clone()])
def test_an_f_that_changes_its_arguments_is_reported(change):
    for rule in (lambda g, x: g*x.sign(), lambda g, x: -g*x.sign()):
        for judge in (check_vjp, diagnose):
            says = f'{judge.__name__}: f changed argument 0 in place'
            with pytest.raises(ValueError, match=says): judge(change, rule, x)

def test_a_rule_that_changes_what_it_gets_is_judged_at_the_point():
    def spoil(g, x):
        right = 3*g*x**2
        x.zero_()
        g.zero_()
        return right
    kept = x.clone()
    assert passes(cube, spoil, x)
    assert torch.equal(x, kept)

def test_lists_are_copied_too():
    def f(x, ks): return x*ks.pop()
    assert passes(f, lambda g, x, ks: (g*ks.pop(), None), x, [2., 3.])

def wrong_second(g, x): return 3*g*x**2*double(1, 0)
def wrong_by_a_thousandth(g, x): return 3*g*x**2*double(1, 1.001)

@pytest.mark.parametrize('rule', [wrong_second, wrong_by_a_thousandth])
@pytest.mark.parametrize('at', [double(1000, .5), double(1000, -2), double(10, 1e-2)])
def test_a_small_wrong_entry_beside_a_large_one(rule, at):
    says = r'wrong in 1 of 2 entries.*worst at entry \(1,\)'
    with pytest.raises(GradientError, match=says): check_vjp(cube, rule, at)
    found, = diagnose(cube, rule, at)
    assert found.says and (found.wrong, found.entries) == (1, 2)

def total(x): return cube(x).sum()
@pytest.mark.parametrize('f', [cube, total])
def test_the_same_in_one_sum(f):
    with pytest.raises(GradientError): check_vjp(f, wrong_second, double(1000, .5))
    assert passes(f, cube_vjp, double(1000, .5))

@pytest.mark.parametrize('f,rule,at', [
    (cube, cube_vjp, double(1000, 0)),
    (cube, cube_vjp, double(0, 0)),
    (cube, cube_vjp, double(1e-3, 1e3, 0)),
    (torch.sin, lambda g, x: g*x.cos(), double(0, math.pi/2, 1e3)),
    (torch.exp, lambda g, x: g*x.exp(), double(-40, 0, 5)),
    (lambda x: x.logsumexp(0), lambda g, x: g*x.softmax(0), double(30, 0)),
    (lambda x: x.logsumexp(0), lambda g, x: g*x.softmax(0), double(60, 0)),
    (lambda x: x.softmax(0), lambda g, x: (s := x.softmax(0))*(g - (g*s).sum()), double(5, 0, -5)),
    (lambda x: 1/x, lambda g, x: -g/x**2, double(.01, 100)),
    (torch.log, lambda g, x: g/x, double(1e-2, 1, 1e6)),
    (lambda x: x.sqrt(), lambda g, x: g/(2*x.sqrt()), double(1e-2, 1e4)),
    (lambda x: 0*x, lambda g, x: 0*g, double(1, 2)),
    (lambda x: x.prod(), lambda g, x: g*torch.stack([x[1]*x[2], x[0]*x[2], x[0]*x[1]]),
     double(1e4, 0, 1e-3)),
    (lambda x: x.tanh(), lambda g, x: g*(1-x.tanh()**2), double(-10, 0, 3))])
def test_right_rules_pass(f, rule, at): assert passes(f, rule, at)

def squares(x): return (x**2).sum()
def squares_vjp(g, x): return 2*g*x
def nothing_below(bound): return lambda g, x: torch.where(x.abs()<bound, 0., 2*g*x)

@pytest.mark.parametrize('at', [double(1e4, 1e-4, 1), double(1e4, 1e-5, 1), double(-3e5, 5e-3)])
def test_an_entry_that_rounding_hides_is_looked_at_through_a_wider_nudge(at):
    with pytest.raises(GradientError, match='over a nudge of .*, since rounding hid it'):
        check_vjp(squares, nothing_below(1e-2), at)
    found, = diagnose(squares, nothing_below(1e-2), at)
    assert found.says and found.wrong == 1
    assert passes(squares, squares_vjp, at)

@pytest.mark.parametrize('f,rule', [
    (lambda x: 1e6 + x.sin(), lambda c: lambda g, x: c*g*x.cos()),
    (lambda x: 1e8 + 3*x, lambda c: lambda g, x: c*3*g),
    (lambda x: 1e6 + x.exp().sum(), lambda c: lambda g, x: c*g*x.exp()),
    (lambda x: 1e4 + x.relu().sum() + squares(x), lambda c: lambda g, x: c*g*((x>0) + 2*x))])
def test_beside_a_large_constant(f, rule):
    "The curve limits how wide the nudge may be, and a corner stops it: right rules pass."
    at = double(.7, -.4, 1.1, -2)
    check_vjp(f, rule(1), at)
    with pytest.raises(GradientError, match='is wrong'): check_vjp(f, rule(1.001), at)

def test_a_corner_nearby_stops_the_widening():
    "Beyond it the differences agree with one another, and not with the slope."
    scale = double(1e6, 1, 1)                   # the first slope makes the others' dust look small
    check_vjp(lambda x: 1e9 + (scale*x).relu().sum(), lambda g, x: g*scale*(x>0),
              double(1, 1e-3, -1e-3))

def test_what_nothing_depends_on_has_no_gradient():
    at = double(1, 2)
    with pytest.raises(GradientError, match='is wrong'):
        check_vjp(lambda x: 1e9 + 0*x, lambda g, x: 1e-3*g, at)
    with pytest.raises(GradientError): check_vjp(lambda x: 1e12 + x, lambda g, x: g, at)

def test_no_evidence_is_no_approval():
    for g in (torch.zeros(6, 3), torch.full((6, 3), math.nan), torch.full((6, 3), math.inf)):
        for judge in (check_vjp, diagnose):
            says = f'{judge.__name__}: g is zero everywhere or not finite'
            with pytest.raises(ValueError, match=says): judge(relu, relu_vjp, x, g=g)
    for judge in (check_vjp, diagnose):
        says = f'{judge.__name__}: vjp returned no gradient at all'
        with pytest.raises(GradientError, match=says): judge(relu, lambda g, x: None, x)
    with pytest.raises(TypeError, match='g is of type list'): check_vjp(relu, relu_vjp, x, g=[1.])
    for bad in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match='rtol is'): check_vjp(relu, relu_vjp, x, rtol=bad)

def test_what_cannot_be_judged_is_not_approved():
    with pytest.raises(GradientError, match='cannot be judged: rounding is'):
        check_vjp(lambda x: 1e11 + x.sin(), lambda g, x: g*x.cos(), x)
    with pytest.raises(GradientError, match='cannot be judged: f bends within a nudge'):
        check_vjp(lambda x: (1e4*x).sin(), lambda g, x: 1e4*g*(1e4*x).cos(), x)
    check_vjp(lambda x: (1e4*x).sin(), lambda g, x: 1e4*g*(1e4*x).cos(), x, step=1e-8, rtol=1e-5)

def test_nan_gradients_are_counted():
    def rule(g, x): return torch.where(x>0, math.nan, g)
    found, = diagnose(lambda x: 1*x, rule, x)
    assert found.wrong == (x>0).sum() and math.isinf(found.error)
    assert 'got nan' in str(found) and f'wrong in {found.wrong} of 18 entries' in str(found)
    with pytest.raises(GradientError, match='got nan'): check_vjp(lambda x: 1*x, rule, x)

def test_a_float32_gradient_is_one_finding_without_explanations():
    found, = diagnose(relu, lambda g, x: relu_vjp(g, x).float(), x)
    assert 'is torch.float32 (6, 3); return a float64 tensor' in str(found) and not found.fits
    assert len(str(found).splitlines()) == 1

def test_a_gradient_for_whole_numbers():
    with pytest.raises(GradientError, match='diagnose: vjp returned a gradient for argument 1'):
        diagnose(take, lambda g, x, k: (take_vjp(g, x, k), k), x, tensor([1, 4]))

def test_the_slopes_and_what_is_left_open():
    at,g = double(1000, .5, 0), double(1, 1, 1)
    found = central_difference(cube, [at], 0, g)
    off = (found.slope - 3*at**2).abs()
    left = found.dust + found.bend
    assert (off <= left).all() and (left[:2] < 1e-4*found.slope[:2]).all()

# What is refused, and what is allowed -------------------------------------------------------------

away = x + x.sign()*.1
def rand(*shape): return torch.randn(*shape, dtype=torch.float64, generator=rng)
layer = rand(5, 3), rand(3, 4), x[:4,0]

@pytest.mark.parametrize('f,rule,args,error,says', [
    (lin, lambda g, x, w, b: (g@w.T, x.T@g), layer, GradientError,
     'returned 2 gradients for 3 arguments'),
    (lin, lambda g, x, w, b: g@w.T, layer, GradientError,
     'returned one gradient for 3 arguments that can have one'),
    (lin, lambda g, x, w, b: (None,)*3, layer, GradientError, 'no gradient at all'),
    (relu, lambda g, x: g*math.nan, [away], GradientError,
     'wrong in 18 of 18 entries, relative error inf'),
    (relu, lambda g, x: 1., [away], GradientError, 'argument 0 is 1.0; return a float64 tensor'),
    (relu, lambda g, x: relu_vjp(g, x).float(), [away], GradientError, 'is torch.float32'),
    (relu, lambda g, x: g.T, [away], GradientError,
     r'has shape \(3, 6\); the argument has \(6, 3\)'),
    (lambda x: (x,), lambda g, x: g, [away], TypeError, 'f returned of type tuple'),
    (lambda x: x.float(), lambda g, x: g, [away], TypeError, 'it must return one float64 tensor'),
    (lambda x: x + torch.rand(()), lambda g, x: g, [away], ValueError, 'two results'),
    (lambda x: 1e-6*x.sin(), lambda g, x: 1e-6*g*x.cos()*1.01, [away], GradientError, 'is wrong'),
    (lambda x: 1e10 + x, lambda g, x: 0*g, [away], GradientError, 'is wrong'),
    (lambda x: 1e12 + x, lambda g, x: 0*g, [away], GradientError, 'cannot be judged'),
    (take, lambda g, x, k: (take_vjp(g, x, k), k), [away, tensor([1, 4])], GradientError,
     'argument 1, which is not')])
def test_what_is_refused(f, rule, args, error, says):
    with pytest.raises(error, match=says): check_vjp(f, rule, *args)

def softmax_vjp(g, x): return (s := x.softmax(1))*(g - (g*s).sum(1, keepdim=True))

@pytest.mark.parametrize('f,rule,args,kw', [
    (lambda x: x.T, lambda g, x: g.T, [away], {}),
    (lambda x: 0*x, lambda g, x: 0*g, [away], {}),
    (take, lambda g, x, k: (take_vjp(g, x, k), None), [away, tensor([1, 1, 4])], {}),
    (take, take_vjp, [away, tensor([1, 1, 4])], {}), # one argument can have a gradient
    (relu, relu_vjp, [away.float()], {}),
    (relu, relu_vjp, [away.T[::2]], {}),
    (relu, relu_vjp, [away[:0]], {}),
    (relu, relu_vjp, [tensor(3.)], {}),
    (relu, relu_vjp, [away.clone().requires_grad_()], {}),
    # a gradient of 0: all differences are rounding
    (lambda x: x.softmax(1), softmax_vjp, [away], dict(g=torch.ones(6, 3)))])
def test_what_is_allowed(f, rule, args, kw): check_vjp(f, rule, *args, **kw)

def test_rtol_means_what_it_says():
    at,g = double(.3, 2, -1), double(1, 1, 1)
    def off_by(e): return lambda g, x: g*x.cos()*(1 + e*tensor([0, 0, 1]))
    assert 1e-7 < check_vjp(torch.sin, off_by(3e-7), at, g=g)[0] < 1e-6
    with pytest.raises(GradientError, match=r'worst at entry \(2,\)'):
        check_vjp(torch.sin, off_by(3e-6), at, g=g)
    assert check_vjp(torch.sin, off_by(3e-6), at, g=g, rtol=1e-5)
    assert check_vjp(lambda x: x*x, lambda g, x: 2*g*x, at*1e4)[0] < 1e-9 # large entries are nudged by more

def test_the_callers_tensors_are_left_alone():
    mine,kept = torch.ones(6, 3, dtype=torch.float64), away.clone()
    check_vjp(lambda x: 2*x, lambda g, x: x.zero_() + g.mul_(2), away, g=mine)
    assert torch.equal(kept, away) and torch.equal(mine, torch.ones_like(mine))

def test_an_empty_argument_beside_others():
    check_vjp(lin, lin_vjp, layer[0][:0], *layer[1:])

@pytest.mark.parametrize('seed', range(4))
def test_a_rule_that_is_not_linear_in_g_is_refused(seed):
    def rule(g, x): return 2*g.abs()*x
    drawn = torch.Generator().manual_seed(seed)
    with pytest.raises(GradientError, match='is wrong'):
        check_vjp(lambda x: (x**2).sum(), rule, x, generator=drawn)
