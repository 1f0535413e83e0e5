"""Each rule of chapter 04, judged by differences, at all shapes that broadcast; and each rule made
wrong by a tenth of a percent, which the same judge refuses."""
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from mlfound import autograd as A
from mlfound.autograd import (Var, grad, linear, mse_loss, mul, relu, sweep,
                              tape_forward_and_backward)
from mlfound.backward import (check_vjp, forward_and_backward, relative_error, relu_vjp,
                              torch_forward_and_backward)
from mlfound.forward import Params, init_params
from mlfound.guards import TapeError

rng = torch.Generator().manual_seed(0)
def rand(*shape): return torch.randn(*shape, dtype=torch.float64, generator=rng)

positive = rand(2,3).abs() + 0.5
away = rand(5,3)
away += 0.1*away.sign() # clear of relu's corner

def tape_vjp(f):
    "The vjp of `f`, by the tape."
    def vjp(g, *args):
        vs = [Var(a, requires_grad=True) for a in args]
        f(*vs).backward(g)
        return tuple(v.grad for v in vs)
    return vjp

def check(f, *args): assert max(check_vjp(f, tape_vjp(f), *args)) < 1e-6

@pytest.mark.parametrize('f', [A.add, A.sub, A.mul, A.div], ids=lambda f: f.__name__)
def test_arithmetic(f):
    check(f, rand(2,3), positive)
    check(f, rand(3), positive[:,:1]) # both broadcast

def test_functions():
    for f in (A.neg, A.exp): check(f, rand(2,3))
    check(A.log, positive)
    check(relu, away)
    check(mse_loss, rand(5,2), rand(5,2))

def test_powers():
    check(A.pow, positive, rand(3))
    check(lambda x: x**3, rand(2,3))
    check(lambda x: 2**x, rand(2,3))
    x = Var([0., 0., 2.], requires_grad=True)
    (x**torch.tensor([0., 2., 0.])).backward(torch.ones(3))
    assert_close(x.grad, torch.zeros(3))

@pytest.mark.parametrize('dim', [None, (), 0, 1, -1, (0,2)])
def test_sum(dim): check(lambda x: x.sum(dim), rand(2,3,4))

@pytest.mark.parametrize('f, shape', [
    (lambda x: x.sum(1, keepdim=True), (2,3)), (lambda x: x.expand(4,2,3), (2,1)),
    (lambda x: x.sum_to_size(2,1), (2,3)), (lambda x: x.reshape(3,2), (2,3)),
    (lambda x: x.transpose(0,2), (2,3,4)), (lambda x: x.mT, (2,3,4))])
def test_movements(f, shape): check(f, rand(*shape))

INDICES = (0, slice(1,3), (..., 2), (None, 1), [0,0,2], (slice(None), [1,1,0]),
           torch.tensor([True,False,True]))
@pytest.mark.parametrize('at', INDICES, ids=str)
def test_index(at): check(lambda x: x[at], rand(3,4))

@pytest.mark.parametrize('a, b', [
    ((2,3), (3,4)), ((3,), (3,4)), ((2,3), (3,)), ((3,), (3,)), ((5,2,3), (3,4)),
    ((5,1,2,3), (6,3,4))])
def test_matmul(a, b): check(lambda x,y: x@y, rand(*a), rand(*b))

def test_linear():
    check(linear, rand(5,3), rand(3,4), rand(4))
    check(linear, rand(2,5,3), rand(3,4), rand(4))
    check(lambda x,w,b: F.linear(x, w, b), rand(5,3), rand(4,3), rand(4))

def test_where(): check(lambda x,y: torch.where(x>0, x*y, y), away, rand(3))

def test_relu_has_the_rule_of_chapter_02():
    g,z = torch.tensor([5., 6., torch.inf]), torch.tensor([2., 0., -1.])
    assert_close(A.where_positive(g, relu(z)), relu_vjp(g, z))

# Do these checks bite? ----------------------------------------------------------------------------

m33,at = rand(3,3),torch.tensor([0,0,2])
def then(f, *more): return f, lambda x: f(x, *more), m33
def plain(f, *args): return f, f, *args
WRONG = [*(plain(f, m33, positive[:1]) for f in (A.add, A.sub, A.mul, A.div)),
         plain(A.pow, positive, rand(3)), plain(A.neg, m33), plain(A.exp, m33),
         plain(A.log, positive), plain(relu, away), plain(A.sum, m33),
         plain(A.matmul_stacks, m33, rand(3,2)), plain(A.linear_rows, m33, rand(3,4), rand(4)),
         plain(mse_loss, m33, rand(3,3)), then(A.expand, (5,3,3)), then(A.sum_to_size, (1,3)),
         then(A.reshape, (9,)), then(A.index, at), then(A.transpose, 0, 1),
         then(A.place, at, (5,3))]

@pytest.mark.parametrize('f, call, args', [(f, call, args) for f,call,*args in WRONG],
                         ids=[w[0].op.name for w in WRONG])
def test_a_rule_wrong_by_little_is_refused(f, call, args, monkeypatch):
    check(call, *args)
    for k,(rule,needs) in enumerate(f.op.rules[:len(args)]):
        def wrong(g, *kept, rule=rule): return rule(g, *kept)*1.001
        rules = [*f.op.rules]
        rules[k] = wrong,needs
        with monkeypatch.context() as m:
            m.setattr(f.op, 'rules', rules)
            with pytest.raises(AssertionError, match=f'argument {k} is wrong'): check(call, *args)

# What an operation lays aside ---------------------------------------------------------------------

def squared_exponential():
    "$e^{2x}$, by way of the exponential; counts how often its rule computes that once more."
    again = []
    @A.op(aside='e')
    def square(x):
        e = x.exp()
        return e*e, e
    @square.defvjp
    def rule(g, x, e=None):
        if e is None:
            again.append(1)
            e = x.exp()
        return 2*g*e*e
    return square, again

def test_a_rule_may_ask_for_what_was_laid_aside():
    f,again = squared_exponential()
    x = rand(3)
    assert_close(f(x), (2*x).exp())           # a plain tensor gives one
    check(f, x)
    v = Var(x, requires_grad=True)
    with torch.no_grad(): assert f(v).entry is None
    assert_close(f(v).entry.edges[0].kept, [x, x.exp()])
    assert not again

def test_what_was_laid_aside_has_no_history():
    f,again = squared_exponential()
    v = Var(rand(3), requires_grad=True)
    slope = grad(f(v), v, torch.ones(3, dtype=v.dtype), create_graph=True)
    assert_close(grad(slope, v, torch.ones(3, dtype=v.dtype)), 4*(2*v.data).exp())
    assert len(again)==1

def test_what_was_laid_aside_and_changed_is_noticed():
    kept = []
    @A.op(aside='e')
    def f(x):
        kept.append(x.exp())
        return kept[-1]*1, kept[-1]
    f.defvjp(lambda g,e: g*e)
    y = f(Var(rand(3), requires_grad=True))
    kept[-1].mul_(2)
    with pytest.raises(TapeError, match="'e' was changed"): y.backward(torch.ones(3))

def test_any_number_of_arguments_and_one_laid_aside():
    @A.op(aside='total')
    def f(*xs): return sum(xs), sum(xs)
    f.defvjp(xs=lambda g,xs,i,total=None: g*xs[i-1]/xs[i-1] if total is None else 0*total + g)
    u,v = (Var(rand(3), requires_grad=True) for _ in range(2))
    f(u, v).backward(torch.ones(3))
    assert_close(v.grad, torch.ones(3, dtype=v.dtype))
    assert_close(grad(f(u, v), v, torch.ones(3), create_graph=True).data, v.grad)

def test_an_operation_that_does_not_keep_its_word():
    @A.op(aside='e')
    def f(x): return x
    with pytest.raises(TypeError, match='f: its function gave torch.float64 .*must give two'):
        f(Var(rand(2), requires_grad=True))
    for name in ('x', 'out', 'g', 'two words', 3):
        with pytest.raises(ValueError, match='aside is .*another name than g, shape, i, out, x'):
            A.op(aside=name)(lambda x: (x, x))

# What a sweep gives -------------------------------------------------------------------------------

def test_grad_of_several():
    u,v = Var(rand(3), requires_grad=True),Var(rand(3), requires_grad=True)
    assert_close(grad((u*v).sum(), [u,v]), (v.data, u.data))
    assert_close(grad(u.sum(), [u,v])[1], 0*v.data) # what y does not depend on
    assert_close(grad([u*v,u], u, [u.data,v.data]), u.data*v.data + v.data)

def test_a_sweep_to_one_target():
    u,v = Var(rand(3), requires_grad=True),Var(rand(3), requires_grad=True)
    z = mul(u, v)
    assert_close(sweep({z.entry: u.data}, {v.entry})[v.entry], u.data**2)
    assert {*A.behind(z.entry)}=={u.entry, v.entry, z.entry}

def test_sixty_doublings():
    "2**60 ways from the result to the leaf, and sixty steps."
    calls = []
    @A.op
    def counted(x): return x*1
    counted.defvjp(lambda g: calls.append(1) or g)
    x = y = Var(1., requires_grad=True)
    for _ in range(60): y = counted(y) + y
    y.backward()
    assert x.grad.item()==2**60 and len(calls)==60

@pytest.mark.parametrize('way', [forward_and_backward, torch_forward_and_backward])
def test_the_network_in_double_precision(way):
    params = init_params(7, 5, 1, generator=torch.Generator().manual_seed(42))
    params,x,y = Params(*(p.double() for p in params)),rand(99, 7),rand(99)
    ours,theirs = (f(x, y, params, True)[1] for f in (tape_forward_and_backward, way))
    for a,b in zip(ours, theirs, strict=True): assert relative_error(a, b) < 1e-12
    assert tape_forward_and_backward(x, y, params)[1].x is None
