"The walk of chapter 02: against PyTorch and by the rules, every block, with buffers, its errors."
import pytest
import torch
from torch.testing import assert_close
from mlfound.backward import (Grads, forward_and_backward, lin_vjp, mse_vjp, relu_vjp,
                              torch_forward_and_backward)
from mlfound.forward import Params, init_params, lin, mse, relu
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
