"Transforms inside transforms, in every mixture down to depth three, against PyTorch's."
import itertools, random
from concurrent.futures import ThreadPoolExecutor
import pytest
import torch
from torch.testing import assert_close
from mlfound.autograd import Var, grad
from mlfound.derivatives import hessian, hvp, jacobian, jvp
from mlfound.guards import TapeError, raw
import mlfound.ops # noqa: F401
from oracle import new

class Ours:
    "The four transforms of the tape, each as a scalar: values and derivatives, weighted."
    @staticmethod
    def jacobian(f, x, v): return (jacobian(f, x)*v).sum()
    @staticmethod
    def hessian(f, x, v): return (hessian(f, x)*v*v.unsqueeze(-1)).sum()
    @staticmethod
    def jvp(f, x, v):
        value, slope = jvp(f, x, v)
        return value*slope
    @staticmethod
    def hvp(f, x, v):
        value, curved = hvp(f, x, v)
        return value + (curved*v).sum()

class Theirs:
    "The same with torch.func."
    @staticmethod
    def jacobian(f, x, v): return (torch.func.jacrev(f)(x)*v).sum()
    @staticmethod
    def hessian(f, x, v): return (torch.func.hessian(f)(x)*v*v.unsqueeze(-1)).sum()
    @staticmethod
    def jvp(f, x, v):
        value, slope = torch.func.jvp(f, (x,), (v,))
        return value*slope
    @staticmethod
    def hvp(f, x, v):
        _, curved = torch.func.jvp(torch.func.grad(f), (x,), (v,))
        return f(x) + (curved*v).sum()

KINDS = 'jacobian', 'hessian', 'jvp', 'hvp'
MIXTURES = [m for depth in (1, 2, 3) for m in itertools.product(KINDS, repeat=depth)]

def program(seed, fixed, depth):
    "Random, smooth choices: the innermost function, and where and along what each transform looks."
    chance = random.Random(seed)
    bases = [lambda u,*others: (u.exp()*sum(others)).sum()*(u*u).sum(),
             lambda u,*others: (u.tanh()*u*others[-1]).sum() + (u**3*others[0]).sum(),
             lambda u,*others: (.3*u*others[0]).exp().sum()*(u[0]*u[1]),
             lambda u,*others: (u@fixed)*(others[-1]*u*u).sum()/(1+(u*u).sum())]
    points = [lambda u: u, lambda u: .5*u*u, lambda u: fixed, lambda u: u+fixed]
    directions = [lambda u: fixed, lambda u: u, lambda u: u*fixed]
    return (chance.choice(bases), [chance.choice(points) for _ in range(depth)],
            [chance.choice(directions) for _ in range(depth)])

def nested(transforms, kinds, base, points, directions):
    "A function of `x`: each transform inside the next, whose variable the inner ones see, too."
    def level(k, *others):
        if k == len(kinds): return lambda u: base(u, *others)
        transform = getattr(transforms, kinds[k])
        return lambda u: transform(level(k+1, u, *others), points[k](u), directions[k](u))
    return level(0)

@pytest.mark.parametrize('kinds', MIXTURES, ids='-'.join)
def test_nested(kinds):
    for seed in range(2 if new else 1):
        gen = torch.Generator().manual_seed(seed)
        x, v, fixed = (.7*torch.randn(2, generator=gen, dtype=torch.float64) for _ in range(3))
        base, points, directions = program(f'{kinds} {seed}', fixed, len(kinds))
        outermost, *rest = kinds
        def f(transforms):
            if not rest: return lambda u: base(u, fixed) # there is no outer variable
            return nested(transforms, rest, base, points[1:], directions[1:])
        got = getattr(Ours, outermost)(f(Ours), x, v)
        assert type(got) is torch.Tensor # nothing outside is tracked
        want = getattr(Theirs, outermost)(f(Theirs), x, v)
        assert_close(got, want, rtol=1e-8, atol=1e-8)

@pytest.mark.parametrize('kinds', MIXTURES[:20], ids='-'.join)
def test_on_tracked_values(kinds):
    "At the outside, too: what a transform gives on a tracked `Var` can be differentiated."
    gen = torch.Generator().manual_seed(5)
    x, fixed = (.7*torch.randn(2, generator=gen, dtype=torch.float64) for _ in range(2))
    choices = program(f'{kinds} tracked', fixed, len(kinds))
    inner, wanted = nested(Ours, kinds, *choices), nested(Theirs, kinds, *choices)
    def ours(u): return inner(u) + (u**3).sum() # some of the nested do not depend on u
    def theirs(u): return wanted(u) + (u**3).sum()
    v = Var(x, requires_grad=True)
    y = ours(v)
    assert_close(y.data, theirs(x), rtol=1e-8, atol=1e-8)
    assert_close(grad(y, v), torch.func.grad(theirs)(x), rtol=1e-8, atol=1e-8)
    first = grad(y, v, create_graph=True)
    assert_close(grad(first.sum(), v), torch.func.hessian(theirs)(x).sum(0), rtol=1e-7, atol=1e-7)

def test_a_tracked_direction_or_closure():
    t = torch.tensor
    x, w = t([1., 2.]), Var(t([3., 5.]), requires_grad=True)
    for f, want in ((lambda: jvp(lambda u: (u**3).sum(), x, w)[1], 3*x**2),
                    (lambda: hvp(lambda u: (u**3).sum(), x, w)[1].sum(), 6*x),
                    (lambda: jvp(lambda u: (w*u).sum(), x, x)[0], x),
                    (lambda: jacobian(lambda u: w*u, x).sum(), t([1., 1.])),
                    (lambda: hessian(lambda u: (w*u**2).sum(), x).sum(), t([2., 2.]))):
        assert_close(grad(f(), w), want)
    with torch.no_grad(): assert type(jacobian(lambda u: w*u, w)) is torch.Tensor
    assert_close(jacobian(lambda a: jacobian(lambda u: u*u, x).sum(), x), torch.zeros(2))

def test_empty():
    for x, out in ((torch.ones(0), (0, 0)), (torch.ones(0, 2), (0, 2, 0, 2))):
        assert jacobian(lambda u: u*u, x).shape == out
        v = Var(x, requires_grad=True)
        assert jacobian(lambda u: u*u, v).requires_grad is False

@pytest.mark.parametrize('transform', [
    jacobian, hessian, lambda f, x: jvp(f, x, x), lambda f, x: hvp(f, x, x)])
def test_what_f_may_give(transform):
    x = torch.tensor(2.)
    for f in (lambda u: u.data, lambda u: u.item(), lambda u: u.data.numpy(), lambda u: (u, u),
              lambda u: torch.ones(()), lambda u: None):
        with pytest.raises(TapeError, match='f gave .*; it must give one Var'): transform(f, x)

two = torch.ones(2)
@pytest.mark.parametrize('call,error,says', [
    (lambda f: jacobian(f, 2.), TypeError, r'jacobian: xs\[0\] is of type float; pass a tensor'),
    (lambda f: hessian(f, torch.tensor(2)), TypeError, r'hessian: xs\[0\] holds torch.int64'),
    (lambda f: hvp(f, [two, 1.], two), TypeError, r'hvp: xs\[1\] is of type float'),
    (lambda f: jvp(f, two, torch.ones(3)), ValueError,
     r'the direction vs\[0\] is \(3,\) but xs\[0\] is \(2,\)'),
    (lambda f: hvp(f, two, 1.), ValueError, r'hvp: the direction vs\[0\] is of type float'),
    (lambda f: jvp(f, two, (two, two)), ValueError, 'jvp: 2 directions for 1 xs'),
    (lambda f: hessian(f, two), TapeError, r'hessian: f gave shape \(2,\); it must give a scalar'),
    (lambda f: hvp(f, two, two), TapeError, r'hvp: f gave shape \(2,\); it must give a scalar'),
    (lambda f: jacobian(f, two.clone().requires_grad_()*2), TapeError, "PyTorch's tape")])
def test_arguments(call, error, says):
    with pytest.raises(error, match=says): call(lambda u, *_: u*u)

@pytest.mark.parametrize('transform', [
    jacobian, hessian, lambda f, x: jvp(f, x, x), lambda f, x: hvp(f, x, x)])
def test_no_constant_in_the_middle(transform):
    "A gradient without history inside `f` would lose its share of the derivative."
    x, w = torch.tensor(2.), Var(torch.tensor(3.), requires_grad=True)
    def through(u): return u*grad(u**3, u, create_graph=True)
    def constant(u): return u*grad(u**3, u)
    def filled(u):
        (u*w).backward()
        return u*w.grad
    for f in (constant, filled, lambda u: jacobian(constant, u)):
        with pytest.raises(TapeError, match='would be a constant; pass create_graph'):
            transform(f, x)
    assert w.grad is None
    def meant(u):
        y = u**3
        with torch.no_grad(): return y*0 + u*grad(y, u)
    def aside(u): return u*w + u*grad(w*w, w) # it does not depend on u
    got, want = transform(through, x), transform(lambda u: 3*u**3, x)
    assert_close(got, want)
    for f in (meant, aside): transform(f, x)

def test_a_transform_in_another_thread():
    "What a derivative depends on is read off the tape, and not off the thread that asks."
    one, x0 = torch.ones(2, dtype=torch.float64), torch.tensor([2., 3.], dtype=torch.float64)
    def inner(x): return jvp(lambda y: y*y*x, x0, one)[1]
    with ThreadPoolExecutor(1) as pool:
        def outer(x): return x*0 + pool.submit(inner, x).result()
        assert_close(raw(jvp(outer, x0, one)[1]), 2*x0)
