"""Sixty uses as people type them, beside those that the other tests were written for: each gives
the right number, or an error that says what came and what to write."""
import collections, math
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from mlfound import ops
from mlfound.autograd import Var, grad, no_grad, op
from mlfound.backward import check_vjp
from mlfound.derivatives import hessian, hvp, jacobian, jvp
from mlfound.module import Linear, Module, MSELoss, Sequential, accumulate

def double(*numbers): return torch.tensor(numbers, dtype=torch.float64)
def leaf(*numbers): return Var(double(*numbers), requires_grad=True)
def one(number): return Var(torch.tensor(number, dtype=torch.float64), requires_grad=True)
at = double(1, 2, 3)

# -- right numbers

def slope_of_a_written_jvp():
    return hessian(lambda x: math.prod(jvp(lambda u: u**2, x, x)), torch.tensor(3.))

def a_value_that_is_still_tracked():
    w = leaf(1, 2, 3)
    return grad(hvp(lambda u: (u**3).sum(), w, at)[0], w)

def a_closure_in_a_loop():
    w = one(2.)
    slopes = [jvp(lambda u, k=k: u**k*w, torch.tensor(1.), torch.tensor(1.))[1] for k in (1, 2, 3)]
    return grad(sum(slopes), w)

def an_array_that_is_used_again():
    w,a,total = leaf(1, 2, 3), np.ones(3), 0.
    for k in range(3):
        a[:] = k
        total = total + (w*a).sum()             # one buffer for every batch, as loaders have it
    return grad(total, w)

def an_index_that_moves_on():
    w,rows,total = leaf(1, 2, 3), np.array([0, 0]), 0.
    for k in range(3):
        rows[:] = k
        total = total + w[rows].sum()*(k+1)
    return grad(total, w)

def a_mask_that_moves_on():
    w,mask,total = leaf(1, 2, 3), np.zeros(3, dtype=bool), 0.
    for k in range(3):
        mask[k] = True
        total = total + w.masked_fill(mask, 0.).sum()
    return grad(total, w)

def a_layer_called_for_two_losses():
    layer,loss = Linear(3, 1, dtype=torch.float64), MSELoss()
    x,z = at[None], 2*at[None]
    y = layer(x)
    g = loss(y, y+1) and loss.backward()
    layer(z)                                    # a look
    return layer.backward(g)[0]/layer.w[:,0]

def a_running_mean_moves_in_between():
    class Centred(Module):
        buffer_names = 'mean',
        def __init__(self): self.mean = torch.zeros(3).double()
        def forward(self, x):
            self.mean = .9*self.mean + .1*x.mean(0)     # a new tensor each time
            return 2*x
        def bwd(self, g, x): return 2*g
    layer = Centred()
    y = layer(at[None])
    with torch.no_grad(): layer(-at[None])
    return layer.backward(torch.ones_like(y), out=y)[0]

def a_sum_of_python():
    w = leaf(1, 2, 3)
    return grad(sum(x*x for x in w), w)

def an_update_by_hand():
    w = leaf(1, 2, 3)
    for _ in range(2):
        (w*w).sum().backward()
        w.data -= .25*w.grad
        w.grad = None
    return w.data

def a_generator_without_gradient():
    @no_grad()
    def predictions(w):
        for k in range(3): yield w*k
    w = leaf(1, 2, 3)
    return torch.tensor([p.requires_grad for p in predictions(w)] + [(w*1).requires_grad]).double()

def a_switch_that_an_error_leaves():
    w = leaf(1, 2, 3)
    try:
        with torch.no_grad(): w[7]
    except IndexError: pass
    return grad((w*w).sum(), w)

def a_mean_that_detaches():
    w = leaf(1, 2, 3)
    return grad((w - w.detach().mean()).sum(), w)

def scalars_in_a_set():
    w,u = one(2.), one(2.)
    return torch.tensor([len({w, u, w}), int((w==u).item())]).double()

def a_number_of_numpy():
    w = leaf(1, 2, 3)
    return grad((np.float64(2)*w*np.int64(3)/np.float32(2)).sum(), w)

def empty_vectors_among_others():
    w = leaf(1, 2, 3)
    return grad(torch.cat([double(), w, leaf()]).sum(), w)

def ties_and_corners_in_a_loss():
    w = leaf(1, 1, 0)
    return grad(F.huber_loss(w, double(1, 0, 0), reduction='sum') + w.amax(), w)

def an_angle_at_the_origin():
    w = leaf(0, 0, 1)
    return grad(torch.atan2(w, double(1, 0, 2)).sum(), w)

RIGHT = [
    (slope_of_a_written_jvp, torch.tensor(216.)), (a_value_that_is_still_tracked, 3*at**2),
    (a_closure_in_a_loop, torch.tensor(6.).double()),
    (an_array_that_is_used_again, double(3, 3, 3)),
    (an_index_that_moves_on, double(2, 4, 6)), (a_mask_that_moves_on, double(0, 1, 2)),
    (a_layer_called_for_two_losses, double(-2, -2, -2)),
    (a_running_mean_moves_in_between, double(2, 2, 2)), (a_sum_of_python, 2*at),
    (an_update_by_hand, at/4), (a_generator_without_gradient, double(0, 0, 0, 1)),
    (a_switch_that_an_error_leaves, 2*at), (a_mean_that_detaches, double(1, 1, 1)),
    (scalars_in_a_set, double(2, 1)), (a_number_of_numpy, double(3, 3, 3)),
    (empty_vectors_among_others, double(1, 1, 1)), (ties_and_corners_in_a_loss, double(.5, 1.5, 0)),
    (an_angle_at_the_origin, double(1, 0, .4))]

@pytest.mark.parametrize('use,want', RIGHT, ids=lambda f: getattr(f, '__name__', ''))
def test_right(use, want): assert_close(use(), want)

# -- refusals

w,s,x = leaf(1, 2, 3), one(2.), torch.ones(4, 3)
def assign(v, name, value): setattr(v, name, value)
def layered(change):
    "A layer whose parameter or input is changed between the passes."
    layer,inputs = Linear(3, 2), x.clone()
    y = layer(inputs)
    change(layer, inputs)
    return layer.backward(torch.ones_like(y))
def halved(layer, inputs): layer.w *= .5
def zeroed(layer, inputs): inputs[0] = 0
def renewed(layer, inputs): layer.b = torch.zeros(2)
def stepped(layer, inputs):
    for p in layer.parameters(): p -= 1
def quantised(layer, inputs): layer.eval()

def another_models():
    one,other,loss = Sequential(Linear(3, 2)), Sequential(Linear(3, 2)), MSELoss()
    y,z = one(x), other(x)
    loss(z, torch.zeros_like(y))
    return one.backward(loss.backward())

@op
def half_done(x): return x*1
half_done.defvjp(lambda g: g.sum().item())

class Answers(Module):
    def forward(self, x): return x*1
    def bwd(self, g, x): return {'x': g}
def answered(layer): return layer(x) is None or layer.backward(x)

REFUSED = [
    (lambda: jacobian(lambda u: [u, u], at), 'f gave list, which has no history'),
    (lambda: hessian(lambda u: (u>0), torch.tensor(1.)), 'f gave Tensor, which has no history'),
    (lambda: hessian(lambda u: np.exp(u.item()), torch.tensor(1.)), 'f gave float64'),
    (lambda: jacobian(lambda u: u*u, np.ones(2)), 'is of type ndarray; pass a tensor or a Var'),
    (lambda: jvp(lambda u: u, at, None), 'the direction vs.0. is of type NoneType'),
    (lambda: hvp(lambda u: u.sum(), at, []), '0 directions for 1 xs'),
    (lambda: jvp(lambda u: u*grad(u**2, u), torch.tensor(1.), torch.tensor(1.)), 'a constant'),
    (lambda: math.sqrt(s), 'a Python number would lose the history'),
    (lambda: round(s, 1), 'a Python number would lose the history'),
    (lambda: divmod(s, 2), 'a Python number would lose the history'),
    (lambda: math.trunc(s), 'a Python number would lose the history'),
    (lambda: np.sqrt(s), 'does not support ufuncs'),
    (lambda: np.stack([w, w]), 'an array would lose the history; pass .data'),
    (lambda: np.where(np.ones(3)>0, w, 0), 'an array would lose the history; pass .data'),
    (lambda: torch.as_tensor(s), 'would lose the history'),
    (lambda: torch.tensor([s, 1.]), 'would lose the history'),
    (lambda: torch.ones(1).new_tensor(s), 'would lose the history'),
    (lambda: torch.full((2,), s), 'torch.full: there is no such operation for a Var'),
    (lambda: torch.autograd.grad((w*1).sum(), w), 'write grad.y, x. of mlfound.autograd'),
    (lambda: w.numpy(), 'write v.data.numpy'),
    (lambda: w.requires_grad_(), 'write Var.v.data, requires_grad=True'),
    (lambda: assign(w, 'requires_grad', False), r'write Var\(v.data, requires_grad=False\)'),
    (lambda: assign(w, 'grad', 'x'), 'Var.grad: got str; assign a tensor or None'),
    (lambda: assign(w, 'data', torch.arange(3)), 'only real floating-point data have gradients'),
    (lambda: assign(w, 'data', double(1)), r'got torch.float64 \(1,\); the data are .* \(3,\)'),
    (lambda: Var('text'), 'Var: data is of type str'),
    (lambda: Var({'w': 1.}), 'Var: data is of type dict'),
    (lambda: w@[1., 2., 3.], 'matmul: got list; pass a Var, a tensor or an array'),
    (lambda: w*1j, 'mul: the result is complex'),
    (lambda: w[[[0, 1], slice(2)]], 'a list holds whole numbers or booleans'),
    (lambda: torch.cat([w, w], -2), 'cat: dim is -2; there are 1 axes'),
    (lambda: torch.stack([w, w], 2), 'stack: dim is 2; there are 2 axes'),
    (lambda: torch.cat(w), 'cat: got Var; pass a list or tuple of tensors'),
    (lambda: ops.stack([s, 1.]), 'stack: element 1 is float'),
    (lambda: grad(lambda u: u, w), 'grad: y is of type function'),
    (lambda: grad(w.sum(), 'w'), r'xs\[0\] has requires_grad=False'),
    (lambda: (w*1).backward('g'), 'g is of type str'),
    (lambda: (w*1).backward(double(1)), r'g has shape \(1,\) but the output has \(3,\)'),
    (lambda: half_done(w).sum().backward(), 'half_done: a rule gave float; it must give a tensor'),
    (lambda: F.dropout(w, 2.), 'pass a probability'),
    (lambda: F.cross_entropy(w, torch.tensor(0), label_smoothing=2.), 'pass 0 to 1'),
    (lambda: layered(halved), 'a parameter was changed after the forward pass'),
    (lambda: layered(stepped), 'a parameter was changed after the forward pass'),
    (lambda: layered(renewed), 'a parameter was changed after the forward pass'),
    (lambda: layered(zeroed), 'an input was changed after the forward pass'),
    (lambda: layered(quantised), 'train.. or eval.. was called after the forward pass'),
    (another_models, 'g was returned for another tensor'),
    (lambda: answered(Answers()), 'the gradient for input 0 is of type dict'),
    (lambda: accumulate(torch.ones(1), [1.]), 'gradient is of type list; pass a torch tensor'),
    (lambda: check_vjp(lambda x: x.clamp_(2), lambda g, x: g, at), 'f changed argument 0 in place'),
    (lambda: check_vjp(lambda x: x.t_()*1, lambda g, x: g.T, x), 'f changed argument 0 in place'),
    (lambda: check_vjp(torch.sin, lambda g, x: (g*x.cos()).numpy(), at), 'is of type ndarray'),
    (lambda: check_vjp(torch.sin, lambda g, x: g*x.cos(), at, g=0*at), 'g is zero everywhere'),
    (lambda: check_vjp(torch.sum, lambda g, x: g*(x>1e-3), double(1e5, 1e-4)), 'is wrong in 1')]

@pytest.mark.parametrize('use,says', REFUSED, ids=[f'{k}: {says}' for k,(_,says) in
                                                   enumerate(REFUSED)])
def test_refused(use, says):
    kinds = TypeError, ValueError, RuntimeError, IndexError, AttributeError, AssertionError
    with pytest.raises(kinds, match=says): use()
    assert w.grad is None and s.grad is None

def test_parameters_in_every_drawer():
    class Drawers(Module):
        parameter_names = 'first', '_rest'
        def __init__(self):
            self.first = collections.OrderedDict(a=torch.ones(1))
            self._rest = None
            self.layers = {'left': (Linear(1, 2), [Linear(2, 3)])}
    shapes = [tuple(p.shape) for p in Drawers().parameters()]
    assert shapes == [(1,), (1, 2), (2,), (2, 3), (3,)]
