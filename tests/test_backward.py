"""Chapter 02: each rule against SymPy, PyTorch and the plain sum; the walk by the rules and against
PyTorch, every block, with buffers, its errors; and the numbers that the chapter tells."""
import numpy as np
import pytest
import sympy as sp
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from mlfound.backward import (GradientError, Grads, check_vjp, forward_and_backward, lin_vjp,
                              mse_vjp, near_kink, relative_error, relu_vjp,
                              torch_forward_and_backward)
from mlfound.data import mnist
from mlfound.forward import Params, init_params, lin, mlp, mse, relu
from mlfound.tiny import gradients_of, tiny_network

rng = torch.Generator().manual_seed(0)
def rand(*shape): return torch.randn(*shape, dtype=torch.float64, generator=rng)
x,y = rand(5, 3), rand(5, 2)
params = init_params(3, 4, 2, generator=rng, dtype=torch.float64)._replace(b1=rand(4), b2=rand(2))
ways = forward_and_backward, torch_forward_and_backward

def by_the_rules(x, targ, params):
    w1,b1,w2,b2 = params
    z = lin(x, w1, b1)
    a = relu(z)
    pred = lin(a, w2, b2)
    ga,gw2,gb2 = lin_vjp(mse_vjp(1., pred, targ), a, w2)
    gx,gw1,gb1 = lin_vjp(relu_vjp(ga, z), x, w1)
    return mse(pred, targ), Grads(gx, gw1, gb1, gw2, gb2)

@pytest.mark.parametrize('f', ways)
def test_two_outputs(f):
    loss,want = by_the_rules(x, y, params)
    got_loss,got = f(x, y, params, input_grad=True)
    assert_close(got_loss, loss)
    for a,b in zip(got, want, strict=True): assert_close(a, b)
    assert f(x, y, params)[1].x is None

@pytest.mark.parametrize('block', [None, 1, 2, 4, 5, 100])
def test_blocks(block):
    _,ours = forward_and_backward(x, y, params, True, block=block)
    _,want = by_the_rules(x, y, params)
    for a,b in zip(ours, want): assert_close(a, b)

def test_buffers():
    _,more = forward_and_backward(x, y, params, input_grad=True)
    _,less = forward_and_backward(x, y, params, out=more)
    assert less.x is None and less.w1 is more.w1
    _,again = forward_and_backward(x, y, params, input_grad=True, out=more)
    assert again.x is more.x
    for a,b in zip(again, by_the_rules(x, y, params)[1]): assert_close(a, b)

@pytest.mark.parametrize('f', ways)
@pytest.mark.parametrize('args,says', [
    ((x, y[:,0], params), r'targ is \(5,\) but the predictions are \(5, 2\)'),
    ((x[:0], y[:0], params), 'the mean of nothing'),
    ((x[:,:2], y, params), 'x has 2 columns but w1 has 3 rows'),
    ((x, y.tolist(), params), 'targ is of type list'),
    ((x, y, params._replace(w2=params.w2.T)), 'w1 has 4 columns but w2 has 2 rows')])
def test_arguments_that_do_not_fit(f, args, says):
    with pytest.raises((ValueError, TypeError), match=says): f(*args)

@pytest.mark.parametrize('kw,says', [
    (dict(block=0), 'block is 0; pass a whole number'), (dict(block=2.5), 'block is 2.5'),
    (dict(out=Grads(None, x, None, None, None)), r'out.w1 is \(5, 3\)'),
    (dict(out=Grads(None, *params)), 'out.w1 is one of the parameters'),
    (dict(out=Grads(x, None, None, None, None), input_grad=True), 'out.x is the data')])
def test_options_that_do_not_fit(kw, says):
    with pytest.raises((ValueError, TypeError), match=says):
        forward_and_backward(x, y, params, **kw)

def test_half_precision_is_refused():
    halves = Params(*(p.half() for p in params))
    with pytest.raises(TypeError, match='float16'): forward_and_backward(x.half(), y, halves)

def test_a_nan_goes_the_same_ways():
    holed = x.clone()
    holed[1,2] = torch.nan
    three = [f(holed, y, params, True)[1] for f in ways]
    three.append(by_the_rules(holed, y, params)[1])
    for a,b,c in zip(*three):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.isnan(), c.isnan())
    assert forward_and_backward(x, y, params._replace(w1=params.w1*torch.nan))[0].isnan()

def test_parameters_are_left_alone():
    leaf = Params(*(p.clone().requires_grad_() for p in params))
    assert not forward_and_backward(x, y, leaf)[1].w1.requires_grad
    assert params.w1.equal(leaf.w1) and leaf.w1.grad is None
    loss,_ = forward_and_backward(x, y, tuple(params))
    assert_close(loss, forward_and_backward(x, y, params)[0])

@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_the_tiny_network_is_whole(dtype):
    tx,targ,tiny = tiny_network(dtype)
    for f in ways:
        loss,grads = f(tx, targ, tiny, input_grad=True)
        assert loss == 9
        assert [g.tolist() for g in grads] == [[[36, 12]], [[12, 0], [24, 0]], [12, 0],
                                               [[24], [0]], [6]]
        assert gradients_of(tx, targ, tiny, grads)['a₂'] == 18

def test_another_default_dtype_changes_nothing():
    torch.set_default_dtype(torch.float64)
    try:
        few = Params(*(p.float() for p in params))
        for f in ways: assert f(x.float(), y.float(), few)[1].w1.dtype == torch.float32
        ones = torch.ones(2, dtype=torch.float32)
        assert relu_vjp(ones, ones).dtype == torch.float32
    finally: torch.set_default_dtype(torch.float32)

# Each rule ----------------------------------------------------------------------------------------

def symbols(name, *shape): return sp.Matrix(*shape, lambda i, j: sp.Symbol(f'{name}{i+1}{j+1}'))

def numbers(formulas, values):
    "A matrix of formulas, with each matrix of symbols in `values` replaced by numbers."
    subs = {s: v for m, t in values for s, v in zip(m, t.flatten().tolist(), strict=True)}
    return torch.tensor(formulas.xreplace(subs).evalf().tolist(), dtype=torch.float64)

def squares(pred, targ): return sum((p-t)**2 for p, t in zip(pred, targ))/len(pred)

def test_sympy_differentiates_mse():
    P, T, p, t = symbols('p', 3, 1), symbols('t', 3, 1), rand(3, 1), rand(3, 1)
    want = numbers(squares(P, T).diff(P), [(P, p), (T, t)])
    assert_close(mse_vjp(torch.tensor(.7, dtype=torch.float64), p, t), .7*want)
    assert mse_vjp(1., p.float(), t).dtype == torch.float32  # as precise as what it belongs to

def test_sympy_differentiates_lin():
    X, W, B, G = symbols('x', 2, 3), symbols('w', 3, 2), symbols('b', 1, 2), symbols('g', 2, 2)
    total = sum(g*z for g, z in zip(G, X*W + sp.ones(2, 1)*B))
    gx, gw, gb = (sp.Matrix(g) for g in lin_vjp(*(np.array(m) for m in (G, X, W))))
    assert (gx, gw, gb.T) == (total.diff(X), total.diff(W), total.diff(B))

def test_sympy_differentiates_the_network():
    sizes = [('x', 3, 4), ('w', 4, 2), ('b', 1, 2), ('v', 2, 1), ('c', 1, 1), ('t', 3, 1)]
    X, W1, B1, W2, B2, T = (symbols(*size) for size in sizes)
    Z = X*W1 + sp.ones(3, 1)*B1
    loss = squares(Z.applyfunc(lambda z: sp.Max(z, 0))*W2 + sp.ones(3, 1)*B2, T)
    arrays = [rand(*size[1:]) for size in sizes]
    values = list(zip((X, W1, B1, W2, B2, T), arrays))
    x, w1, b1, w2, b2, t = arrays
    got_loss, got = forward_and_backward(x, t, Params(w1, b1[0], w2, b2[0]), input_grad=True)
    assert_close(got_loss, numbers(sp.Matrix([loss]), values)[0,0])
    for m, g in zip((X, W1, B1, W2, B2), got, strict=True):
        assert_close(g, numbers(loss.diff(m), values).reshape(g.shape))

@pytest.mark.parametrize('rule,args,says', [
    (mse_vjp, (1., y, y[:,0]), r'mse_vjp: pred is \(5, 2\) but targ is \(5,\)'),
    (relu_vjp, (y[:1], y), r'relu_vjp: g is \(1, 2\) but x is \(5, 2\)')])
def test_shapes_that_differ(rule, args, says):
    with pytest.raises(ValueError, match=says): rule(*args)

def test_the_conventions_of_relu_are_pytorchs():
    z = torch.tensor([-2., 0., 3., -1., torch.nan], requires_grad=True)
    g = torch.tensor([5., 6., 7., torch.inf, 8.])
    ours = relu_vjp(g, z.detach())
    assert ours.tolist() == [0, 0, 7, 0, 8]
    assert_close(ours, torch.autograd.grad(F.relu(z), z, g)[0])
    assert (g*(z > 0)).isnan().any()                       # a product would have made a nan

def outer_products(g, x, w):
    "The gradients of `lin`, the way the sums are written: one outer product per example."
    return (g[:,None,:]*w[None]).sum(2), (x[:,:,None]*g[:,None,:]).sum(0), g.sum(0)

@pytest.mark.parametrize('n', [0, 1, 2, 5])
def test_lin_vjp_is_the_sum_of_outer_products(n):
    args = rand(5, 4)[:n], rand(5, 3)[:n], rand(3, 4)
    for a, b in zip(lin_vjp(*args), outer_products(*args), strict=True): assert_close(a, b)

def test_lin_vjp_is_pytorchs():
    g, args = rand(5, 4), [t.requires_grad_() for t in (rand(5, 3), rand(3, 4), rand(4))]
    theirs = torch.autograd.grad(lin(*args), args, g)
    x, w, b = (t.detach() for t in args)
    for ours in (lin_vjp(g, x, w), lin_vjp(g, x, w, b)):
        for a, b in zip(ours, theirs, strict=True): assert_close(a, b)
    assert lin_vjp(g, x, w, input_grad=False)[0] is None

# What the chapter tells ---------------------------------------------------------------------------

images, labels = mnist().train
network = init_params(784, 50, 1, generator=torch.Generator().manual_seed(42))
tiny_x, tiny_targ, tiny = tiny_network()

def test_a_step_downhill_and_question_1():
    _, g = forward_and_backward(tiny_x, tiny_targ, tiny)
    stepped = Params(*(p - .001*gp for p, gp in zip(tiny, g[1:])))
    assert abs(mse(mlp(tiny_x, stepped), tiny_targ).item() - 7.59) < .005
    nudged = tiny._replace(b1=tiny.b1 + torch.tensor([.1, 0], dtype=torch.float64))
    assert abs(mse(mlp(tiny_x, nudged), tiny_targ).item() - 10.24) < 1e-9

def test_the_memory_of_outer_products():
    assert 500*(images[:100,:,None]*torch.ones(100, 1, 50)).nbytes == 7_840_000_000
    assert network.w1.nbytes == 156_800

def test_the_loss_on_all_digits():
    for f in ways: assert abs(f(images, labels, network)[0].item() - 4308.76) < .005
    blank = images.amax(0) == 0
    w1 = forward_and_backward(images, labels, network)[1].w1
    assert blank.sum() == 67 and not w1[blank].any() and (w1[~blank] != 0).any(1).all()

def test_near_kink():
    one = Params(torch.eye(2), torch.zeros(2), torch.ones(2, 1), torch.zeros(1))
    sides = torch.tensor([[1., 2.], [3., 1e-6], [-1e-6, 5.], [1., -1e-4]])
    assert near_kink(sides, one).tolist() == [False, True, True, False]
    assert 0 < near_kink(images, network).sum() < 20

def test_how_large_the_gradients_are():
    grads = forward_and_backward(images, labels, network, input_grad=True)[1]
    assert .6 < (grads.x.abs() < .01).float().mean() < .7      # two thirds
    assert 100 < grads.w2.abs().median() < 1000                # in the hundreds

@pytest.mark.parametrize('rule,ones,drawn', [
    (lambda g, x: g*x, False, False), (lambda g, x: 2*x, True, False),
    (lambda g, x: 2*g*x, True, True)])
def test_question_4(rule, ones, drawn):
    at = rand(6, 3)
    def passes(**kw):
        try: return bool(check_vjp(torch.square, rule, at, **kw))
        except GradientError: return False
    assert (passes(g=torch.ones(6, 3)), passes()) == (ones, drawn)

def test_the_promise_of_a_slope():
    "A step that is tried in chapter 02: small ones keep what is promised, large ones overshoot."
    x, y = images[:1000], labels[:1000]
    loss, g = forward_and_backward(x, y, network)
    promise = sum(t.square().sum() for t in g[1:])
    def after(lr):
        moved = Params(*(p - lr*gp for p, gp in zip(network, g[1:])))
        return forward_and_backward(x, y, moved)[0]
    def kept(lr): return ((loss - after(lr))/(lr*promise)).item()
    assert abs(kept(1e-7) - 1) < 2e-3 and abs(kept(1e-4) - .75) < .05
    assert abs(after(1e-3)/loss - 8.5) < .5

@pytest.mark.parametrize('dtype,bound', [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_blocks_of_digits(dtype, bound):
    x, y, p = images[:200].to(dtype), labels[:200], Params(*(p.to(dtype) for p in network))
    clear = ~near_kink(x, p)
    _, want = by_the_rules(x[clear], y[clear,None].to(dtype), p)
    for block in (None, 1, 7, 199, 200, 5000):
        _, ours = forward_and_backward(x[clear], y[clear], p, input_grad=True, block=block)
        assert max(map(relative_error, ours, want)) < bound
