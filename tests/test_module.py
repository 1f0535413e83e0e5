"""Layers never answer with another call's numbers: which record a gradient belongs to, what changed
since, what is a parameter."""
import copy, gc, pickle, sys, threading, weakref
import pytest
import torch
from torch.testing import assert_close
from mlfound.module import (Linear, Module, MSELoss, ReLU, Sequential, accumulate,
                            mlp_model)
from mlfound.records import Parts, pending, returned

class Square(Module):
    def forward(self, x): return x*x
    def bwd(self, g, x): return 2*g*x

class Same(Module):
    def forward(self, x): return x
    def bwd(self, g, x): return g

class Add(Module):
    def forward(self, a, b): return a + b
    def bwd(self, g, a, b): return g, g

class OneForTwo(Add):
    def bwd(self, g, a, b):
        h = 1*g
        return h, h

class Both(Module):
    "Two branches through one layer, whose gradients come back in either order."
    def __init__(self, f, last_first): self.f,self.times,self.last_first = f, Times(), last_first
    def forward(self, a, b): return self.times(self.f(a), self.f(b))
    def bwd(self, g, a, b):
        ga,gb = self.times.backward(g)
        if self.last_first:
            gb = self.f.backward(gb)
            return self.f.backward(ga), gb
        return self.f.backward(ga), self.f.backward(gb)

class Times(Module):
    def forward(self, a, b): return a*b
    def bwd(self, g, a, b): return g*b, g*a

rng = torch.Generator().manual_seed(0)
def rand(*shape): return torch.randn(*shape, generator=rng, dtype=torch.float64)

def trained(look, steps=40):
    "The parameters after some steps, each with a look at other digits between its two passes."
    from mlfound.data import mnist
    from mlfound.training import CrossEntropyLoss, accuracy
    (x,y),(xv,yv) = (s[:2000] for s in mnist().train),(s[:2000] for s in mnist().valid)
    seed = torch.Generator().manual_seed(1)
    model = Sequential(Linear(784, 30, seed, input_grad=False), ReLU(), Linear(30, 10, seed))
    for p in model.parameters(): p.mul_(.05)
    loss_fn,opt = CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=.5)
    for k in range(steps):
        rows = slice(50*k, 50*k+50)
        loss_fn(model(x[rows]), y[rows])
        if look: model(xv[rows])                # as many rows, recorded, not meant
        model.backward(loss_fn.backward())
        opt.step()
        model.zero_grad()
    with torch.no_grad(): return model.parameters(), accuracy(model(xv), yv)

def test_training_with_a_look_in_between_is_training():
    plain,share = trained(look=False)
    looked,share2 = trained(look=True)
    for a,b in zip(plain, looked, strict=True): assert torch.equal(a, b)
    assert share == share2 > .6

def test_one_pending_call_is_used():
    layer,x = Square(), rand(3)
    layer(x)
    assert_close(layer.backward(torch.ones_like(x)), 2*x)

@pytest.mark.parametrize('order', [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_named_output_is_used(order):
    layer,xs = Square(), [rand(3) for _ in range(3)]
    ys = [layer(x) for x in xs]
    g = torch.ones(3).double()
    for k in order: assert_close(layer.backward(g, out=ys[k]), 2*xs[k])
    with pytest.raises(RuntimeError, match='no recorded call is left'): layer.backward(g)

def test_an_output_of_no_pending_call_is_refused():
    layer,x = Square(), rand(3)
    y = layer(x)
    with pytest.raises(RuntimeError, match='no recorded call of this output is left'):
        layer.backward(x, out=y.clone())
    layer.backward(x, out=y)
    with pytest.raises(RuntimeError, match='is left'): layer.backward(x, out=y)

def test_a_returned_gradient_finds_its_call():
    f,h = Square(), Square()
    x1,x2 = rand(3), rand(3)
    y1 = f(x1)
    f(x2)
    h(y1)
    g = h.backward(torch.ones_like(x1))
    assert_close(f.backward(g), 2*y1*2*x1)      # not the last call, the one that g is for
    assert_close(f.backward(torch.ones_like(x2)), 2*x2)

def test_one_layer_twice_in_a_row_at_the_outside():
    f,h,x = Square(), Square(), rand(3)
    h(f(f(x)))
    g = h.backward(torch.ones_like(x))
    assert_close(f.backward(f.backward(g)), 8*x**7)

def test_several_calls_and_nothing_to_tell_is_an_error_that_counts_them():
    f,x = Square(), rand(3)
    for _ in range(3): f(x)
    with pytest.raises(RuntimeError, match='3 calls are recorded and nothing says which is meant'):
        f.backward(x)
    with pytest.raises(RuntimeError, match='3 calls'): f.backward(2*x)
    assert len(pending(f)) == 3                 # a refused call loses nothing

def test_a_gradient_for_two_pending_outputs_says_nothing():
    f,add,x = Square(), OneForTwo(), rand(3)
    y1,y2 = f(x),f(x+1)
    add(y1, y2)
    ga,gb = add.backward(torch.ones_like(x))
    assert ga is gb
    with pytest.raises(RuntimeError, match='2 calls'): f.backward(ga)
    assert_close(f.backward(gb, out=y2), 2*(x+1))
    assert_close(f.backward(ga), 2*x)

def test_a_gradient_that_was_worked_on_says_nothing():
    f,h,x = Square(), Square(), rand(3)
    y = f(x)
    f(x+1)
    h(y)
    with pytest.raises(RuntimeError, match='2 calls'): f.backward(2*h.backward(torch.ones_like(x)))

def of_another_network(net, x, loss):
    net(x)
    y = Square()(x)
    loss(y, x)
    return y
def of_an_unrecorded_output(net, x, loss):
    net(x+1)
    with torch.no_grad(): y = net(x)
    loss(y, x)
    return y
def of_a_used_output(net, x, loss):
    y = net(x)
    net.backward(x, out=y)
    net(x+1)
    loss(y, x)
    return y
def of_what_was_made_of_it(net, x, loss):
    y = net(x)*1
    loss(y, x)
    return y

FOREIGN = of_another_network, of_an_unrecorded_output, of_a_used_output, of_what_was_made_of_it

@pytest.mark.parametrize('case', FOREIGN)
def test_a_gradient_of_something_else_is_refused(case):
    net,x,loss = Square(), rand(3), MSELoss()
    y = case(net, x, loss)
    g = loss.backward()
    with pytest.raises(RuntimeError, match='Square.backward: g was returned for another tensor'):
        net.backward(g)
    del y
    assert len(pending(net))==1
    net.backward(g.clone())                     # of a gradient of one's own nothing is known

def a_temporary(net, x, loss): loss(net(x)*1, x)
def an_output_that_is_used_up(net, x, loss):
    loss(net(x), x)
    net.backward(loss.backward())
    net(x+1)
    loss(net(x), x)
    net.zero_grad()
    net(x+1)

@pytest.mark.parametrize('case', [a_temporary, an_output_that_is_used_up])
def test_a_gradient_of_what_is_gone_is_refused(case):
    "Whether somebody still holds what it was returned for must not decide what is done with it."
    net,x,loss = Square(), rand(3), MSELoss()
    case(net, x, loss)
    g = loss.backward()
    with pytest.raises(RuntimeError, match='g was returned for a tensor that is gone'):
        net.backward(g)

class Around(Module):
    "What it calls is its own business, with whatever it makes of outputs in between."
    def __init__(self): self.f,self.h = Square(), Square()
    def forward(self, x): return self.h(2*self.f(x))
    def bwd(self, g, x): return self.f.backward(2*self.h.backward(g))

def test_inside_a_layer_outputs_may_be_worked_on():
    net,x = Around(), rand(3)
    net(x)
    assert_close(net.backward(torch.ones_like(x)), 16*x**3)

@pytest.mark.parametrize('last_first', [True, False])
def test_inside_a_layer_its_own_calls_are_used(last_first):
    net,a,b = Both(Square(), last_first), rand(3), rand(3)
    net(a, b)
    net.f(rand(3))                              # a look from outside, recorded outside
    ga,gb = net.backward(torch.ones(3).double())
    assert_close(ga, 2*a*b*b)
    assert_close(gb, 2*b*a*a)

def test_a_network_used_twice_keeps_its_calls_apart():
    layer = Linear(3, 3, rng, dtype=torch.float64)
    net,x1,x2 = Sequential(layer, Square(), layer), rand(5, 3), rand(2, 3)
    y1,y2 = net(x1),net(x2)
    g1,g2 = rand(5, 3), rand(2, 3)
    ours = [net.backward(g1, out=y1), net.backward(g2, out=y2), layer.w.grad, layer.b.grad]
    leaves = [t.detach().clone().requires_grad_() for t in (x1, x2, layer.w, layer.b)]
    def f(x): return (x@leaves[2] + leaves[3])**2@leaves[2] + leaves[3]
    theirs = torch.autograd.grad([f(leaves[0]), f(leaves[1])], leaves, [g1, g2])
    for a,b in zip(ours, theirs, strict=True): assert_close(a, b)

def test_a_forward_that_raises_leaves_nothing_behind():
    net = Sequential(Square(), Linear(3, 4))
    with pytest.raises(TypeError): net(rand(2, 3))
    assert not pending(net) and not pending(net.layers[0])

def test_zero_grad_drops_what_is_left():
    net = Sequential(Linear(3, 4), ReLU())
    net(torch.ones(2, 3))
    net.zero_grad()
    with pytest.raises(RuntimeError, match='no recorded call is left'):
        net.backward(torch.ones(2, 4))

def test_no_grad_records_nothing():
    net = Sequential(Linear(3, 4), ReLU())
    with torch.no_grad(): net(torch.ones(2, 3))
    with torch.inference_mode(): net(torch.ones(2, 3))
    assert not pending(net) and not pending(net.layers[0])

def test_threads_keep_their_calls():
    net,wrong = Sequential(Square(), Square()), []
    def work(k):
        x = torch.full((50,), 1. + k)
        for _ in range(50):
            y = net(x)
            if not torch.equal(net.backward(torch.ones_like(x), out=y), 4*x**3): wrong.append(k)
    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert not wrong

def test_threads_lose_no_gradient():
    layer,kept = Linear(2, 1),sys.getswitchinterval()
    def work():
        for _ in range(500):
            y = layer(torch.ones(1, 2))
            layer.backward(torch.ones(1, 1), out=y)
    threads = [threading.Thread(target=work) for _ in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for t in threads: t.start()
        for t in threads: t.join()
    finally: sys.setswitchinterval(kept)
    assert layer.b.grad.item()==2000

def test_a_switch_between_the_passes_is_noticed():
    layer = Square()
    y = layer(torch.ones(3))
    layer.eval()
    with pytest.raises(RuntimeError, match='Square.backward: train.. or eval.. was called after'):
        layer.backward(y)

def test_nothing_is_kept_alive():
    net,loss = Sequential(Linear(3, 4), Same(), ReLU()), MSELoss()
    x = torch.ones(2, 3)
    y = net(x)
    loss(y, torch.zeros(2, 4))
    seen = [weakref.ref(t) for t in (x, y)]
    g = loss.backward()
    net.backward(g)
    del x, y, g
    gc.collect()
    assert not any(r() is not None for r in seen) and not returned

def test_an_input_that_is_no_tensor_is_no_harm():
    class First(Module):
        def forward(self, xs): return 3*xs[0]
        def bwd(self, g, xs): return 3*g
    layer,xs = First(), [rand(3), rand(3)]
    layer(xs)
    assert_close(layer.backward(torch.ones(3).double()), torch.full((3,), 3.).double())
    y = layer(xs)
    xs[0].zero_()
    with pytest.raises(RuntimeError, match='an input was changed'): layer.backward(y)

def test_a_call_that_waits_holds_no_cycle():
    net,x = Sequential(Square(), Square()), rand(3)
    net(x)
    seen = weakref.ref(pending(net)[0].inner[id(net.layers[0])][0].out)
    gc.disable()
    try:
        net.zero_grad()
        assert seen() is None
    finally: gc.enable()

def test_one_upstream_gradient_many_times_is_no_leak():
    layer,x,g = Same(), rand(3), torch.ones(3).double()
    for _ in range(100):
        layer(x)
        layer.backward(g)
    assert id(g) not in returned

class Hands(Module):
    "Hands on what it gets, as dropout does in use."
    def forward(self, x): return x.clone()
    def bwd(self, g, x): return g

def test_a_gradient_of_ones_own_may_be_used_again():
    layer,g = Hands(), torch.ones(3)
    for _ in range(2):
        layer(rand(3).float())
        assert_close(layer.backward(g), g)
    both = Add()
    y1,y2 = layer(rand(3).float()), layer(rand(3).float())
    both(y1, y2)
    for gy in both.backward(g): layer.backward(gy)  # handed on to two, and told apart
    assert not pending(layer)

# What changes in between --------------------------------------------------------------------------

def change_input(net, x, y): x.mul_(2)
def change_weight(net, x, y): net.layers[0].w.add_(1)
def step(net, x, y): torch.optim.SGD(net.parameters(), lr=0.).step()
def change_between(net, x, y): pending(net)[0].inner[id(net.layers[1])][0].inputs[0].zero_()
def replace(net, x, y): net.layers[2].b = net.layers[2].b.clone()

@pytest.mark.parametrize('change', [change_input, change_weight, change_between, replace])
def test_a_change_after_the_forward_pass_is_noticed(change):
    net,x = Sequential(Linear(3, 4), ReLU(), Linear(4, 2)), torch.ones(2, 3)
    y = net(x)
    change(net, x, y)
    with pytest.raises(RuntimeError, match='was changed after the forward pass'):
        net.backward(torch.ones(2, 2))

def test_an_optimizer_step_in_between_is_noticed():
    net,x = Sequential(Linear(3, 4), ReLU(), Linear(4, 2)), torch.ones(2, 3)
    opt = torch.optim.SGD(net.parameters(), lr=.1)
    g = torch.ones(2, 2)
    net(x)
    net.backward(g)
    net(x)
    opt.step()
    with pytest.raises(RuntimeError, match='a parameter was changed'): net.backward(g)

class Shift(Module):
    "A buffer that moves at every call, as running means do."
    buffer_names = 'mean',
    def __init__(self): self.mean = torch.zeros(3)
    def forward(self, x):
        self.mean.add_(1)
        return x + 1
    def bwd(self, g, x): return g

def test_buffers_may_change():
    net = Sequential(Shift(), Square())
    x = torch.ones(2, 3)
    y = net(x)
    net.layers[0].mean.mul_(3)
    assert_close(net.backward(torch.ones(2, 3), out=y), 2*(x+1))
    assert not net.parameters() and len(net.buffers()) == 1

def test_inference_tensors_are_refused():
    with torch.inference_mode(): x = torch.ones(2, 3)
    says = 'Square: an input or a parameter is an inference tensor'
    with pytest.raises(RuntimeError, match=says): Square()(x)
    with torch.no_grad(): assert_close(Square()(x), torch.ones(2, 3))

# All or nothing -----------------------------------------------------------------------------------

class Late(Module):
    "A layer of two parameters whose rule stops, or answers wrongly, after the first."
    parameter_names = 'a','b'
    def __init__(self, wrong): self.a,self.b,self.wrong = torch.ones(3), torch.ones(3), wrong
    def forward(self, x): return self.a*x + self.b
    def bwd(self, g, x):
        accumulate(self.a, (g*x).sum(0))
        if self.wrong is None: accumulate(self.b, g.sum(0))
        return self.wrong(g) if self.wrong else g*self.a

def stop(g): raise ZeroDivisionError

@pytest.mark.parametrize('wrong', [stop, lambda g: g[:1], lambda g: 1., lambda g: (g, g)])
@pytest.mark.parametrize('wrap', [lambda l: l, lambda l: Sequential(l, ReLU(), Linear(3, 1))])
def test_a_backward_that_fails_leaves_no_gradient(wrong, wrap):
    layer = Late(wrong)
    net = wrap(layer)
    for p in net.parameters(): p.grad = torch.full_like(p, 5.)
    y = net(torch.ones(2, 3))
    with pytest.raises((ZeroDivisionError, ValueError, TypeError)): net.backward(torch.ones_like(y))
    assert all((p.grad==5).all() for p in net.parameters())
    layer.wrong = None
    y = net(torch.ones(2, 3))
    net.backward(torch.ones_like(y))
    assert all((p.grad!=5).all() for p in net.parameters())

def test_data_of_another_shape_leaves_no_gradient():
    layer = Linear(3, 4)
    y = layer(torch.ones(2, 3))
    layer.b.data = torch.zeros(1)
    with pytest.raises(ValueError, match='gradient is .4,. but parameter is .1,.'):
        layer.backward(torch.ones_like(y))
    assert layer.w.grad is None and layer.b.grad is None

def test_a_gradient_left_over_from_another_shape_is_refused():
    layer = Linear(3, 1)
    layer.backward(torch.ones_like(layer(torch.ones(2, 3))))
    layer.w.data,layer.b.data = torch.zeros(3, 4), torch.zeros(4)
    y = layer(torch.ones(2, 3))
    with pytest.raises(ValueError, match='its .grad is .* set p.grad to None'):
        layer.backward(torch.ones_like(y))

class Kept(Module):
    "It returns what it keeps, for the input and for a parameter."
    parameter_names = 'w',
    def __init__(self): self.w = torch.ones(3)
    def forward(self, x): return x*self.w
    def bwd(self, g, x):
        accumulate(self.w, x)
        accumulate(self.w, g)
        return self.w

def test_gradients_share_no_memory_with_what_is_kept():
    layer,x,g = Kept(), torch.ones(3), torch.ones(3)
    layer(x)
    gx = layer.backward(g)
    for t in (layer.w.grad, gx): t.zero_()
    assert all((t==1).all() for t in (layer.w, x, g))
    layer(x)
    first = layer.backward(g)
    assert first is not layer.w and layer.w.grad is not x

# Parameters ---------------------------------------------------------------------------------------

class Net(Module):
    parameter_names = 'scales',
    buffer_names = '_seen',
    def __init__(self):
        self.scales = {'a': torch.ones(2), 'b': [torch.ones(3)]}
        self._seen,self.count,self.name = torch.zeros(4), torch.tensor(0), 'net'
        self.branches = {'left': Linear(1, 2), 'right': [(Linear(2, 3),)]}
        self._private = Linear(3, 4)

def test_parameters_are_found_wherever_they_are_kept():
    net = Net()
    shapes = [tuple(p.shape) for p in net.parameters()]
    assert shapes == [(2,), (3,), (1, 2), (2,), (2, 3), (3,), (3, 4), (4,)]
    assert [tuple(b.shape) for b in net.buffers()] == [(4,)]
    net.scales['a'].grad = torch.ones(2)
    net.zero_grad()
    assert net.scales['a'].grad is None

def test_a_tensor_nobody_declared_is_an_error():
    net = Net()
    net.branches['left'].extra = [torch.ones(1)]
    with pytest.raises(TypeError, match='Linear: extra is a tensor, and nothing says what for'):
        net.parameters()

@pytest.mark.parametrize('kept,says', [
    (torch.arange(3), 'torch.int64'),
    ('w', "'w'"),
    (Linear(1, 1), 'of type Linear')])
def test_a_parameter_that_is_none_is_an_error(kept, says):
    net = Net()
    net.scales['a'] = kept
    with pytest.raises(TypeError, match=f'Net: among its parameters is {says}'): net.parameters()

def test_a_missing_parameter_is_an_error():
    net = Net()
    del net.scales
    with pytest.raises(AttributeError, match='named as a parameter or buffer'): net.parameters()
    net.scales = None
    assert len(net.parameters()) == 6

def test_a_reference_to_the_parent_is_no_harm():
    net = Sequential(Linear(1, 2), ReLU())
    for l in net.layers: l.parent = net
    net.layers.append(net.layers[1])
    assert len(net.modules()) == 3 and len(net.parameters()) == 2
    net.eval().zero_grad()
    assert not net.layers[1].training and net.train().layers[1].training
    assert len(copy.deepcopy(net).parameters()) == 2
    net.kept = loop = [net]
    loop.append(loop)
    assert len(net.parameters()) == 2 and 'Linear(1, 2)' in repr(net)

def test_a_network_inside_itself_has_a_name():
    net = Sequential(ReLU())
    net.layers.append(net)
    assert '...' in repr(net)

def test_copies_and_pickles_carry_no_records():
    net = Sequential(Linear(1, 2), ReLU())
    net(torch.ones(3, 1))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert not pending(twin) and torch.equal(twin.layers[0].w, net.layers[0].w)

# Errors -------------------------------------------------------------------------------------------

def answering(answer, error, says):
    class Answer(Module):
        def forward(self, *inputs): return inputs[0] + 0
        def bwd(self, g, *inputs): return answer(g)
    return Answer(), error, says

@pytest.mark.parametrize('layer,error,says', [
    answering(lambda g: [g], TypeError,
              'Answer.bwd: the gradient for input 0 is of type list; return a tensor or None'),
    answering(lambda g: 1., TypeError, 'is 1.0; return a tensor'),
    answering(lambda g: (g, 'x'), TypeError, "input 1 is 'x'"),
    answering(lambda g: (g, g, g), ValueError, 'returned 3 gradients for 2 inputs'),
    answering(lambda g: g[:1], ValueError, 'shape .1, 3. for an input of shape .2, 3.'),
    answering(lambda g: g.float(), TypeError,
              'a gradient of torch.float32 for an input of torch.float64')])
def test_bwd_that_answers_wrongly(layer, error, says):
    x = rand(2, 3)
    layer(x, x)
    with pytest.raises(error, match=says): layer.backward(torch.ones_like(x))

@pytest.mark.parametrize('g,error,says', [
    (None, ValueError, 'the output is .2, 3., not one number'),
    ([1.], TypeError, 'Square.backward: g is of type list; pass'),
    (1., TypeError, 'g is 1.0'),
    (torch.ones(3, 2), ValueError, 'g is .3, 2. but output is .2, 3.; pass one entry'),
    (torch.ones(2, 3).double(), TypeError, 'g is torch.float64 but output is torch.float32')])
def test_a_wrong_upstream_gradient(g, error, says):
    layer = Square()
    layer(torch.ones(2, 3))
    with pytest.raises(error, match=says): layer.backward(g)
    assert_close(layer.backward(torch.ones(2, 3)), torch.full((2, 3), 2.))

def test_forward_that_returns_no_tensor():
    class Pair(Module):
        def forward(self, x): return x, x
    says = 'Pair.forward: its result is of type tuple; return one tensor'
    with pytest.raises(TypeError, match=says): Pair()(rand(2))

def test_autocast_is_refused():
    layer,x = Linear(3, 4), torch.ones(2, 3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        with pytest.raises(RuntimeError, match='Linear: called under torch.autocast'): layer(x)
        with torch.no_grad(): assert layer(x).dtype == torch.bfloat16

def test_accumulate_asks_for_one_shape_and_type():
    with pytest.raises(ValueError, match='accumulate: gradient is .2,. but parameter is .1,.'):
        accumulate(torch.ones(1), torch.ones(2))
    with pytest.raises(TypeError, match='parameter is torch.float32 but gradient is torch.float64'):
        accumulate(torch.ones(1), torch.ones(1).double())

def test_another_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        net = Sequential(Linear(3, 4, dtype=torch.float32), ReLU())
        net(torch.ones(2, 3, dtype=torch.float32))
        assert net.backward(torch.ones(2, 4, dtype=torch.float32)).dtype == torch.float32
    finally: torch.set_default_dtype(torch.float32)

# PyTorch's and our own tapes beside the layers ----------------------------------------------------

def test_parameters_that_pytorch_follows():
    w,b = (torch.nn.Parameter(t) for t in (torch.ones(3, 4), torch.zeros(4)))
    layer,x = Linear.holding(w, b), torch.ones(2, 3)
    layer(x)
    gx = layer.backward(torch.ones(2, 4))
    assert not gx.requires_grad and not w.grad.requires_grad
    assert_close(w.grad, torch.full((3, 4), 2.))

@pytest.mark.parametrize('switch', [torch.no_grad, torch.enable_grad])
def test_a_rule_may_use_the_tape(switch):
    from mlfound.autograd import Var, grad
    class Taped(Module):
        def forward(self, x): return x**3
        def bwd(self, g, x):
            v = Var(x, requires_grad=True)
            return grad(v*v*v, v, g)
    layer,x = Taped(), rand(3)
    layer(x)
    with switch(): assert_close(layer.backward(torch.ones_like(x)), 3*x*x)

# The layers of the library ------------------------------------------------------------------------

def small():
    "A tiny `Params` of float64, and digits that fit it."
    from mlfound.forward import init_params
    params = init_params(3, 4, 1, generator=rng, dtype=torch.float64)
    return rand(6, 3), rand(6, 1), params._replace(b1=rand(4))

def test_linear_is_chapter_02s_rule():
    from mlfound.backward import lin_vjp
    layer,x,g = Linear(3, 4, generator=rng, dtype=torch.float64), rand(5, 3), rand(5, 4)
    layer(x)
    gx = layer.backward(g)
    for a,b in zip((gx, layer.w.grad, layer.b.grad), lin_vjp(g, x, layer.w), strict=True):
        assert_close(a, b)

def test_linear_without_the_inputs_gradient():
    layer,x = Linear(3, 4, generator=rng, dtype=torch.float64, input_grad=False), rand(5, 3)
    layer(x)
    assert layer.backward(torch.ones(5, 4).double()) is None
    assert_close(layer.w.grad, x.sum(0)[:,None].expand(3, 4))

def test_how_linear_is_drawn():
    wide = Linear(100, 90, torch.Generator().manual_seed(0))
    want = torch.randn(100, 90, generator=torch.Generator().manual_seed(0))
    assert wide.w.equal(want) and not wide.b.any()

@pytest.mark.parametrize('sizes,says', [((0, 4), 'n_in is 0'), ((3, 4.), 'n_out is 4.0')])
def test_the_sizes_of_linear_are_whole(sizes, says):
    with pytest.raises((ValueError, TypeError), match=says): Linear(*sizes)

def test_what_sequential_refuses():
    says = r'item 1 is the class ReLU; pass Module objects, e.g. ReLU\(\)'
    with pytest.raises(TypeError, match=says): Sequential(Linear(3, 4), ReLU)
    late = Sequential(Linear(3, 1), Linear(1, 1, input_grad=False))
    late(torch.ones(1, 3))
    says = r'Linear\(3, 1\) gets no gradient; only the first layer'
    with pytest.raises(ValueError, match=says): late.backward(torch.ones(1, 1))
    assert repr(late) == 'Sequential(\n  Linear(3, 1),\n  Linear(1, 1),\n)'

def test_sequential_takes_whatever_has_parts():
    "A reader types `Module` anew; the library's `Sequential` knows it by what it inherits."
    class Own(Parts):
        __call__,backward = Module.__call__, Module.backward
        def forward(self, x): return 2*x
        def bwd(self, g, x): return 2*g
    net = Sequential(Own(), ReLU())
    net(torch.ones(2))
    assert_close(net.backward(torch.ones(2)), torch.full((2,), 2.))

def test_layers_share_the_parameters_that_they_are_given():
    x,y,params = small()
    model,loss_fn = mlp_model(params), MSELoss()
    for a,b in zip(model.parameters(), params, strict=True): assert a is b
    loss_fn(model(x), y)
    gx = model.backward(loss_fn.backward())
    kept = gx.clone()
    assert not pending(model) and all(p.grad is not None for p in params)
    model.zero_grad()
    assert all(p.grad is None for p in params) and gx.equal(kept)

def test_the_layers_gradients_are_the_walks():
    from mlfound.backward import forward_and_backward
    from mlfound.module import layers_forward_and_backward
    x,y,params = small()
    loss,ours = layers_forward_and_backward(x, y, params, input_grad=True)
    want_loss,want = forward_and_backward(x, y, params, input_grad=True)
    assert_close(loss, want_loss)
    for a,b in zip(ours, want, strict=True): assert_close(a, b)
    assert all(p.grad is None for p in params)
    assert layers_forward_and_backward(x, y, params)[1].x is None
    with pytest.raises(ValueError, match=r'targ is \(5, 1\) but the predictions are'):
        layers_forward_and_backward(x, y[:5], params)

def test_two_halves_add_up():
    from mlfound.backward import forward_and_backward
    x,y,params = small()
    model,loss_fn = mlp_model(params), MSELoss()
    for part in (slice(3), slice(3, 6)):
        loss_fn(model(x[part]), y[part])
        model.backward(loss_fn.backward())
    _,whole = forward_and_backward(x, y, params)
    for p,want in zip(params, whole[1:], strict=True): assert_close(p.grad/2, want)

def test_pytorchs_sgd_does_what_we_would_have_written():
    from mlfound.backward import forward_and_backward
    x,y,params = small()
    _,grads = forward_and_backward(x, y, params)
    want = [p - .01*g for p,g in zip(params, grads[1:])]
    model,loss_fn = mlp_model(params), MSELoss()
    loss_fn(model(x), y)
    model.backward(loss_fn.backward())
    torch.optim.SGD(model.parameters(), lr=.01).step()
    for p,w in zip(params, want, strict=True): assert_close(p, w)

def test_a_weight_used_twice_against_central_differences():
    from mlfound.backward import check_vjp
    from mlfound.forward import lin
    bias,x,w = rand(3), rand(5, 3), rand(3, 3)
    def rule(g, x, w):
        layer = Linear.holding(w, bias)
        both = Sequential(layer, layer)
        both(x)
        return both.backward(g), layer.w.grad
    assert max(check_vjp(lambda x,w: lin(lin(x, w, bias), w, bias), rule, x, w)) < 1e-7

def test_accumulate_adds():
    p = torch.zeros(2)
    for numbers in ([1., 2.], [10., 10.]): accumulate(p, torch.tensor(numbers))
    assert p.grad.tolist() == [11, 12]

def test_sixty_steps_downhill_and_still_far_from_the_average_label():
    from mlfound.data import mnist
    from mlfound.forward import init_params
    (x,y),loss_fn = (mnist().train[k][:2000] for k in range(2)), MSELoss()
    last = {}
    for lr in (1e-5, 3e-5, 1e-4):
        model = mlp_model(init_params(784, 50, 1, torch.Generator().manual_seed(42)), False)
        optimizer,losses = torch.optim.SGD(model.parameters(), lr=lr), []
        for _ in range(60):
            losses.append(loss_fn(model(x), y[:,None]).item())
            model.backward(loss_fn.backward())
            optimizer.step()
            model.zero_grad()
        assert all(b < a for a,b in zip(losses, losses[1:]))
        last[lr] = losses[-1]
    assert min(last.values()) == last[1e-4] > 10*y.float().var()

def test_what_a_call_keeps():
    "Exercise 03.11: between the passes pre-activations, activations and predictions wait, no more."
    from mlfound.forward import init_params
    model,x = mlp_model(init_params(784, 50, 1)), torch.rand(100, 784)
    model(x)
    kept,todo = {}, [*pending(model)]
    while todo:
        call = todo.pop()
        kept |= {t.data_ptr(): t.nbytes for t in (*call.inputs, call.out)}
        for calls in call.inner.values(): todo += calls
    del kept[x.data_ptr()]
    assert sum(kept.values()) == 100*(50 + 50 + 1)*4


def test_a_gradient_that_was_added_is_a_copy():
    p, g = torch.ones(2), torch.ones(2)
    accumulate(p, g)
    g.fill_(7)
    assert p.grad.tolist() == [1, 1]


def test_no_gradient_for_the_data_where_nobody_asks():
    layer = Linear(3, 2, input_grad=False)
    out = layer(torch.ones(4, 3))
    assert layer.backward(torch.ones_like(out)) is None
