"""What must hold of the tape beside right gradients: threads, errors, memory, types, devices,
copies, and PyTorch's functions."""
import copy, gc, itertools, math, pickle, threading, weakref
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mlfound import autograd as A, ops
from mlfound.autograd import (Var, grad, linear, mse_loss, no_grad, op, relu,
                              tape_forward_and_backward)
from mlfound.derivatives import hessian, hvp, jacobian, jvp
from mlfound.guards import TapeError, keep_values
from torch.testing import assert_close
from oracle import Allowed, agrees

rng = torch.Generator().manual_seed(0)
def rand(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype)
def leaf(*shape, **kw): return Var(rand(*shape, **kw), requires_grad=True)
def refuses(message, error=TapeError): return pytest.raises(error, match=message)
single = Allowed(*[1e-5]*3, floor=1., graph=1e-5)   # of float32

# -- the sweep

def test_each_rule_runs_once():
    calls = []
    @op
    def same(x): return x*1
    same.defvjp(lambda g: calls.append(1) or g)
    y = x = leaf()
    # 2**12 ways back: oldest first would be right, too, and run 4,095 rules
    for _ in range(12): y = same(y) + 2*y
    y.backward()
    assert len(calls)==12 and x.grad==3**12
    assert grad(y, x)==3**12 and len(calls)==24
    y = same(x)
    assert grad([y, y*2], x)==3 and len(calls)==25      # with y*2, the newer, first

def test_only_what_leads_to_xs():
    calls = []
    @op
    def same(x): return x*1
    same.defvjp(lambda g: calls.append(1) or g)
    x,y = leaf(2), leaf(2)
    grad((same(x)*y).sum(), y)
    assert not calls

def test_intermediate_results_can_be_asked_for():
    x = leaf(3)
    y = x*x
    z = (y*y).sum()
    wanted = 4*x.data**3, 2*y.data, torch.ones(()).double()
    for got,want in zip(grad(z, [x,y,z]), wanted, strict=True): assert_close(got, want)
    assert x.grad is None and y.grad is None
    g,h = rand(3), rand(3)
    assert_close(grad([y, y, x], x, [g, h, g]), 2*x.data*(g+h) + g)
    with refuses('2 outputs but 1 upstream gradients'): grad([y, x], x, [g])

def test_gradients_share_no_memory():
    n = torch.linalg.vector_norm
    for f,k in [(lambda x,y: x+y, 2),
                (lambda x,y: x.sum_to_size(3) + y.to(torch.float64), 2),
                (lambda x,y: torch.cat([x, y]), 2),
                (lambda x,y: torch.stack([x, y]), 2),
                (lambda x: x, 1),
                (lambda x: x.flip(()), 1),
                (lambda x: x.expand(2, 3), 1),
                (lambda x: x.sum(), 1),
                (lambda x: n(x, 0), 1)]:
        vs = [leaf(3) for _ in range(k)]
        y = f(*vs)
        g = rand(*y.shape)
        y.backward(g)
        first = [(v.grad, v.grad.clone()) for v in vs]
        y.backward(g)
        for now,then in first: assert_close(now, then)          # what was handed out stays as it was
        parts = [g, *(t for v in vs for t in (v.grad, v.data)), *grad(y, vs, g)]
        assert len({t.untyped_storage().data_ptr() for t in parts})==len(parts)

always = torch.ones(3).double()
ALIASES = dict(given=lambda g,x: g, detached=lambda g,x: g.detach(), kept=lambda g,x: x,
               kept_data=lambda g,x: x.data[:], its_own=lambda g: always)

@pytest.mark.parametrize('name', ALIASES)
def test_a_rule_may_answer_with_what_it_has(name):
    "Whatever its rule hands out, a leaf's gradient is its own."
    @op
    def same(x): return x*1
    same.defvjp(ALIASES[name])
    x,y,g = leaf(3), leaf(3), rand(3)
    z = same(x) + same(y)
    z.backward(g)
    always_before,first = always.clone(), grad(z, [x, y], g)
    parts = [x.data, y.data, g, always, x.grad, y.grad, *first]
    before = [t.clone() for t in parts]
    for k in range(4, 8):
        parts[k].mul_(7.)                       # nobody else's numbers move
        before[k] *= 7
        assert_close(parts, before)
    assert_close(always, always_before)

def test_gradients_on_the_way_are_dropped():
    refs,alive = [], []
    @op
    def same(x): return x*1
    def rule(g):
        alive.append(sum(r() is not None for r in refs))
        refs.append(weakref.ref(g))
        return g*1
    same.defvjp(rule)
    y = leaf(3)
    for _ in range(5): y = same(y)
    y.sum().backward()
    assert alive==[0]*5

def test_upstream_gradient_brings_no_history():
    x,p = leaf(3), rand(3).requires_grad_()
    (x*2).backward(p)
    with torch.no_grad(): y = (x*p).sum()       # PyTorch's switch is the tape's
    assert not y.requires_grad
    with refuses("PyTorch's tape"): x*p
    assert not x.grad.requires_grad and not grad(x*2, x, p).requires_grad
    for y in (x*2, x): assert grad(y, x, rand(3, dtype=torch.float32)).dtype is torch.float64

def test_a_rule_may_use_the_tape():
    @op
    def again(x): return x.exp()*x              # "checkpointing": nothing kept but x, all computed once more
    again.defvjp(lambda g,x: grad((v := Var(x, requires_grad=True)).exp()*v, v, g))
    x = leaf(3)
    y = again(x).sum()
    y.backward()
    assert_close(x.grad, x.data.exp()*(1+x.data))
    assert_close(grad(y, x), x.grad)

# -- the switch, threads, exceptions

def test_no_grad():
    x = leaf(3)
    @no_grad()
    def inner(n): return inner(n-1) if n else x*2
    with no_grad():
        with no_grad(): pass
        assert not (x*2).requires_grad and Var(rand(3), requires_grad=True).requires_grad
    assert not inner(3).requires_grad and (x*2).requires_grad
    y,g = x*x, leaf(3)
    with no_grad(): first = grad([y, y], x, [g, g], create_graph=True)
    assert_close(grad(first.sum(), [x, g]), (4*g.data, 4*x.data))
    with no_grad(): assert_close(jacobian(lambda x: x*x, x.data), torch.diag(2*x.data))   # not 0

@pytest.mark.parametrize('off', [no_grad, torch.no_grad])
def test_the_switch_is_pytorchs(off):
    x = leaf(3)
    @off
    def bare(): return x*2
    @off()
    def called(): return x*2
    @off()
    def several():
        yield x*2
        yield x*3
    switch = off()
    for _ in range(2):
        with switch: assert not (x*2).requires_grad
    assert not any(v.requires_grad for v in (bare(), called(), *several())) and (x*2).requires_grad
    assert switch and (x*2).requires_grad
    with off():
        with torch.enable_grad(): assert (x*2).requires_grad
        assert not (x*2).requires_grad

@pytest.mark.parametrize('off', [no_grad, torch.no_grad])
def test_derivatives_are_recorded_under_either_switch(off):
    x,v = rand(3), rand(3)
    f,cube = (lambda u: (u**3).sum()), (lambda u: u**3)
    w = Var(x, requires_grad=True)
    y = (w**3).sum()
    params = [rand(3, 5), rand(5), rand(5, 2), rand(2)]
    with off():
        got = [jvp(cube, x, v)[1], hvp(f, x, v)[1], jacobian(cube, x), hessian(f, x)]
        first = grad(y, w, create_graph=True)
        _,grads = tape_forward_and_backward(rand(4, 3), rand(4, 2), params)
    assert_close(got, [3*x*x*v, 6*x*v, torch.diag(3*x*x), torch.diag(6*x)])
    assert_close(grad(first.sum(), w), 6*x)
    assert all(g.any() for g in grads[1:])

def test_keep_values():
    x = leaf(3)
    keep = keep_values()
    @keep_values
    def bare(): return x*2
    @keep_values()
    def called(): return x*2
    with keep, keep: assert (x*2).entry.values==[x.data, 2]
    assert bare().entry.values and called().entry.values and (x*2).entry.values is None
    with refuses('a generator; write `with keep_values', TypeError):
        @keep_values()
        def several(): yield x*2

def test_threads_add_to_one_leaf():
    w = leaf()
    y = w*2
    with A.writing:                               # while somebody else writes, `backward` waits
        t = threading.Thread(target=y.backward)
        t.start()
        t.join(.2)
        assert t.is_alive() and w.grad is None
    t.join()
    def work():
        for _ in range(200): (y*1).backward()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert w.grad==2+4*200*2

def test_an_error_leaves_nothing_behind():
    @op
    def boom(x): return x*1
    boom.defvjp(lambda g: g if safe else 1/0)
    x,y = leaf(3), leaf(3)
    z,safe = (boom(x)*y).sum(), False
    for f in (z.backward, lambda: grad(z, x), lambda: grad(z, x, create_graph=True)):
        with pytest.raises(ZeroDivisionError): f()
        assert x.grad is None and y.grad is None and (x*2).requires_grad
    with no_grad(), pytest.raises(ZeroDivisionError): grad(z, x, create_graph=True)
    safe = True
    z.backward()
    assert_close((x.grad, y.grad), (y.data, x.data))

# -- memory

def test_freed_by_reference_counting():
    gc.collect()
    gc.disable()
    try:
        w = leaf(3, 2)
        y = relu(rand(4, 3)@w)
        refs = [weakref.ref(r) for r in (y, y.entry, y.data)]
        loss = (y*y).sum()
        first = grad(loss, w, create_graph=True)
        refs += [weakref.ref(r) for r in (loss.entry, first.entry)]
        loss.backward()
        del y
        assert refs[0]() is None and refs[2]() is not None       # the rules keep the tensor, nobody keeps the Var
        del loss, first
        assert [r() for r in refs]==[None]*5
    finally: gc.enable()

def test_nothing_is_kept_that_no_rule_asks_for():
    x = leaf(4, 3)
    for f,kept in [(relu, False), (torch.exp, False), (torch.tanh, False),
                   (lambda z: z.sum(0), False), (lambda z: z+1, False),
                   (abs, True), (torch.log1p, True)]:
        z = x*2
        ref = weakref.ref(z.data)
        result = f(z)                           # alive, so that its rule is
        del z
        assert result.requires_grad and (ref() is not None)==kept

def test_a_long_chain():
    y = x = leaf()
    for _ in range(100_000): y = y+1
    y.backward()
    assert x.grad==1 and grad(y, x, create_graph=True).item()==1
    del y

# -- types and devices

@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_gradients_have_the_type_of_their_leaf(dtype):
    x,w = leaf(3, 2, dtype=dtype), leaf(2, 4, dtype=dtype)
    y = (relu(x@w)*2).softmax(-1).amax(0).sum()
    y.backward()
    assert x.grad.dtype is w.grad.dtype is y.dtype is dtype
    wide,s = leaf(2, 3, 2), leaf()              # float64 beside x, and a scalar, which does not widen
    for out,kind in (((x*wide).sum(), torch.float64),
                     (x*s, dtype),
                     (x.to(torch.float64)*wide, torch.float64),
                     (x.sum(dtype=torch.float64), torch.float64)):
        assert out.dtype is kind
        if kind is torch.float64 and out.ndim==0:
            assert [g.dtype for g in grad(out, [x, wide])]==[dtype, torch.float64]
    assert grad((x*s).sum(), s).dtype is torch.float64

def test_dtype_converts_first_and_back():
    for f in (lambda x: x.sum(dtype=torch.float64),
              lambda x: x.mean(dtype=torch.float64),
              lambda x: x.cumsum(0, dtype=torch.float64)[1],
              lambda x: x.softmax(0, dtype=torch.float64)[0],
              lambda x: x.log_softmax(0, torch.float64)[0],
              lambda x: torch.linalg.vector_norm(x, dtype=torch.float64),
              lambda x: torch.linalg.vector_norm(x, math.inf, dtype=torch.float64)):
        agrees(f, rand(3, dtype=torch.float32), allowed=single)

def test_integers_take_part_untracked():
    x,i,m = leaf(4), Var(torch.tensor([0,2])), Var(torch.tensor([True,False,True,False]))
    untracked = i, m, i*2, Var(rand(3)).exp(), x.sum(dtype=torch.int64)
    assert not any(v.requires_grad for v in untracked)
    for v in (x[i], x[m], x.gather(0, i)):
        assert_close(grad(v.sum(), x), torch.tensor([1.,0,1,0]).double())
    assert_close(grad(mse_loss(x, torch.arange(4)), x), (x.data-torch.arange(4))/2)

def test_powers_of_integers_are_right_to_the_last_digit():
    x,whole = leaf(4), torch.tensor([2,3,4,5]) # not by way of float32
    a,k = x.data,whole.double()
    assert_close(grad((whole**x).sum(), x), k**a*k.log(), rtol=1e-14, atol=1e-14)
    assert_close(grad((x**whole).sum(), x), k*a**(k-1), rtol=1e-14, atol=1e-14)

def test_mixed_operands_on_either_side():
    forms = [lambda a,b: a+b, lambda a,b: a-b, lambda a,b: a*b, lambda a,b: a/b, lambda a,b: a**b]
    x = rand(2, 2).abs()+1
    others = 2, .5, rand(2).abs()+1, torch.tensor(3), np.float64(2), Var(torch.tensor(2.))
    for f,other in itertools.product(forms, others):
        def plain(t, other=other): # PyTorch wants numbers and tensors
            if isinstance(t, Var): return other
            return float(other) if isinstance(other, np.float64) else getattr(other, 'data', other)
        for g in (lambda t: f(t, plain(t)), lambda t: f(plain(t), t)): agrees(g, x)
    v = leaf(2, 2)
    def assign(t, x): t[0] = x
    w = v
    w += 1                                      # a new result; v is as it was
    assert w is not v and w.requires_grad and v.entry.op is None
    t = rand(2, 2)
    t *= v
    assert isinstance(t, Var) and t.requires_grad
    for f in (lambda: assign(v, 1.), lambda: assign(rand(2), v[0,0])):
        with pytest.raises(TypeError): f()

def test_numbers_keep_their_history():
    v,one = leaf(3), leaf()
    for f in (float, int, complex, math.exp, math.floor, range, lambda v: math.pow(v, 2),
              lambda v: [1,2,3][v], lambda v: '%.2f' % v):
        with refuses('a Python number would lose the history', TypeError): f(one)
    for f in (np.float64, np.float32, np.array, lambda v: np.array([v, v])):
        with refuses('an array would lose the history', TypeError): f(one)
    for f in (lambda: torch.tensor(one), lambda: torch.tensor(v),
              lambda: torch.tensor([one, one]), lambda: len(one)):
        with refuses('would lose the history', TypeError): f()
    assert math.exp(one.item())==math.exp(Var(one.data)) and f'{one:.3f}'==f'{one.item():.3f}'
    with torch.no_grad(): assert float(one)==one.item()          # nothing is recorded, nothing lost

@pytest.mark.parametrize('f', [
    lambda v,a: v*a, lambda v,a: a*v, lambda v,a: a+v, lambda v,a: a-v, lambda v,a: a/v,
    lambda v,a: v**a, lambda v,a: a**v, lambda v,a: v@a, lambda v,a: a@v,
    lambda v,a: (v<a)*v, lambda v,a: (a<v)*v, lambda v,a: (a==v)*v,
    lambda v,a: v.maximum(a), lambda v,a: v.clamp(max=a),
    lambda v,a: mse_loss(v, a), lambda v,a: F.mse_loss(v, a),
    lambda v,a: v[a.astype(int)%3], lambda v,a: v.gather(0, a.astype(int)%3),
    lambda v,a: v[np.int64(1)]*np.float32(.5), lambda v,a: v**np.int64(3)])
def test_arrays_are_copied(f):
    x,a = rand(3).abs(), np.array([1.,2.,.5])
    v = Var(x, requires_grad=True)
    y = f(v, a)
    g = rand(*y.shape)
    want = grad(f(v, a.copy()), v, g)
    a[:] = 77
    assert_close(grad(y, v, g), want)

def test_var_of_an_array_is_a_copy():
    a = np.ones(2)
    v = Var(a, requires_grad=True)
    y = (v*v).sum()
    a[:] = 9
    assert_close(grad(y, v), torch.tensor([2.,2.]).double())

def test_assigned_gradients():
    v = leaf(2, dtype=torch.float32)
    v.grad = torch.ones(2)
    v.grad = None
    for wrong,error in ((1., TypeError), (v, TypeError), (np.ones(2), TypeError),
                        (torch.ones(1), ValueError), (torch.ones(2).double(), ValueError),
                        (torch.ones(2, device='meta'), ValueError)):
        with refuses('Var.grad: got', error): v.grad = wrong
    with refuses('or is a result'): (v*2).grad = torch.ones(2)

def test_assigned_data():
    "A `Var` that the tape follows keeps its shape and its type."
    x,n = leaf(2, dtype=torch.float32), Var(rand(2))
    y = x*2
    for v in (x, y):
        v.data = torch.ones(2)
        v.data *= 3                             # in place, and then the same tensor again
        for wrong,error in ((1., TypeError), (v, TypeError), (torch.arange(2), TypeError),
                            (torch.ones(1), ValueError), (torch.ones(2).double(), ValueError),
                            (torch.ones(2).requires_grad_()*1, TapeError)):
            with refuses('Var.*data', error): v.data = wrong
        assert_close(v.data, torch.full((2,), 3.))
    assert_close(grad(y.sum(), x), torch.full((2,), 2.))
    n.data = torch.arange(4)                    # a constant may become another constant
    assert not n.requires_grad and n.shape==(4,)
    with refuses('Var.data: got list', TypeError): n.data = [1.]

def test_equality():
    v,w = Var([1.,2.], requires_grad=True), Var([1.,3.])
    for equal in (v==w, v==1, w.data==v):
        assert type(equal) is torch.Tensor and equal.tolist()==[True,False]
    assert (v!=w).tolist()==[False,True]
    assert (v==None) is False and (v!='a') is True # noqa: E711
    assert hash(v)==object.__hash__(v) and {v: 1}[v]==1

def test_autocast():
    w,b = leaf(2, 3, dtype=torch.float32), leaf(3, dtype=torch.float32)
    x = rand(4, 2, dtype=torch.float32)
    for f in (lambda: x@w, lambda: linear(x, w, b)):
        with torch.autocast('cpu', dtype=torch.bfloat16):
            y = f()
            inside = grad(y.sum(), w)
        assert inside.dtype is torch.float32
        says = 'its rule met torch.bfloat16 and torch.float32 .* run backward inside it'
        with refuses(says): y.sum().backward()

def test_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        assert Var(2.).dtype is torch.float64
        x = rand(3, dtype=torch.float32).abs()
        for f in (lambda x: x**2 + 2**x + x**.5,
                  lambda x: torch.where(x>1, x, 0.),
                  lambda x: x.maximum(torch.tensor(1.)),
                  lambda x: x.clamp(.1, 1.)*2.5,
                  lambda x: x.softmax(0)+x.mean()+x.var(),
                  lambda x: x[[0,0,2]]/3):
            agrees(f, x, allowed=single)
    finally: torch.set_default_dtype(torch.float32)

def test_another_device(device='meta'):         # knows shapes and types, and no numbers
    def m(*shape): return Var(torch.empty(*shape, device=device), requires_grad=True)
    i,n = torch.zeros(2, 2, dtype=torch.long, device=device), torch.linalg.vector_norm
    for f in [lambda x,y: x+y-2*x*y/3, lambda x,y: x**y + 2**x + x**2,
              lambda x,y: x@y.mT, lambda x,y: x@y[0],
              lambda x,y: -x.exp()+y.log()+x.log1p()+x.sqrt(),
              lambda x,y: x.tanh()+y.sigmoid()+x.relu()+abs(y),
              lambda x,y: x.clamp(0, 1)+x.clamp(y),
              lambda x,y: torch.maximum(x, y)+ops.minimum(x, .5),
              lambda x,y: torch.where(x>0, x, y)+torch.where(x>0, y, 0),
              lambda x,y: x.sum(1)+x.mean(1)+y.var(1)+x.amax(1)+y.amin(1)+x.logsumexp(1),
              lambda x,y: n(x, dim=1)+n(y, 3, dim=1)+n(x, math.inf, dim=1),
              lambda x,y: x.cumsum(1)+x.softmax(0)+y.log_softmax(1),
              lambda x,y: x.reshape(-1).expand(2, 6).flip(0)[:,:2],
              lambda x,y: x[:,:2].unsqueeze(0).squeeze(0).permute(1, 0),
              lambda x,y: x[[0,0]]+y[...,:1], lambda x,y: x.gather(1, i),
              lambda x,y: torch.cat([x, y], 1), lambda x,y: torch.stack([x, y]),
              lambda x,y: linear(x, y.T, m(2)), lambda x,y: F.mse_loss(x, y),
              lambda x,y: x.to(torch.float64)*y]:
        x,y = m(2, 3), m(2, 3)
        first = grad(f(x, y).sum(), [x, y], create_graph=True)
        second = grad((first[0]*first[1]+first[0]).sum(), [x, y])
        for g in (*first, *second):
            assert (g.device.type, g.shape, g.dtype)==(device, (2, 3), torch.float32)

def test_a_gradient_returns_to_its_device():
    "A rule that answers elsewhere, as that of a move does: no other sign says so."
    @op
    def fetched(x): return torch.zeros(x.shape) # from `meta`, which has no numbers, to the CPU
    fetched.defvjp(lambda g: g)
    x = Var(torch.ones(2, 3, device='meta'), requires_grad=True)
    fetched(x).backward(torch.ones(2, 3))
    assert x.grad.device.type == 'meta'
    seed = Var(torch.ones(2, 3), requires_grad=True)
    gx = grad(fetched(x), x, seed, create_graph=True)
    assert gx.device.type == 'meta' and gx.requires_grad

# -- derivatives of functions

def test_transforms_equal_torch_func():
    def f(x, w): return torch.softmax(x@w, -1)*torch.tanh(x@w)
    def s(x, w): return f(x, w).sum()**2
    xs,vs = (rand(3, 4), rand(4, 2)), (rand(3, 4), rand(4, 2))
    assert_close(jvp(f, xs, vs), torch.func.jvp(f, xs, vs))
    assert_close(hvp(s, xs, vs), (s(*xs), torch.func.jvp(torch.func.grad(s, (0,1)), xs, vs)[1]))
    assert_close(jacobian(f, xs), torch.func.jacrev(f, (0,1))(*xs))
    assert_close(hessian(s, xs), torch.func.hessian(s, (0,1))(*xs))
    def one(x): return s(x, xs[1])
    assert_close(hessian(one, xs[0]), torch.func.hessian(one)(xs[0]))
    def want(x): return torch.func.jvp(torch.func.grad(one), (x,), (vs[0],))[1]
    assert_close(jacobian(lambda x: hvp(one, x, vs[0])[1], xs[0]), torch.func.jacrev(want)(xs[0]))

def test_transforms_of_easy_functions():
    x = rand(3)
    assert_close(hessian(lambda x: x.sum(), x), torch.zeros(3, 3).double())
    for f in (lambda x: x.detach()[:2], lambda x: Var(torch.ones(2).double())):
        assert_close(jacobian(f, x), torch.zeros(2, 3).double())
    assert_close((jvp(lambda x: x, x, x)[1], hvp(lambda x: x.sum(), x, x)[1]), (x, 0*x))
    assert jacobian(lambda x: x, torch.ones(0)).shape==(0, 0)
    assert jacobian(lambda x: x.sum(), torch.ones(0, 2)).shape==(0, 2)
    with refuses('it must give a scalar'): hessian(lambda x: x*x, x)

def test_fourth_order():
    i = torch.tensor([0,0,1])
    for f in (lambda x: (x.tanh()*x.exp()).sum(),
              lambda x: (x[[0,0,2]]**3).sum()**2,
              lambda x: (x.gather(0, i)**3*x).sum(),
              lambda x: x.logsumexp(0)**2,
              lambda x: torch.linalg.vector_norm(x, 3)**2,
              lambda x: (x.clamp(-.5, .5)**3*x**2).sum(),
              lambda x: (torch.cat([x, x*x]).cumsum(0)**3).sum(),
              lambda x: x.var()**3):
        x = leaf(3)
        t = x.data.clone().requires_grad_()
        a,b,w = f(x), f(t), rand(3)
        for _ in range(4):
            p,q = grad(a, x, create_graph=True), torch.autograd.grad(b, t, create_graph=True)[0]
            assert_close(p.data, q.detach())
            a,b = (p*w).sum(), (q*w).sum()

# -- guards

@pytest.mark.parametrize('f,change,says', [
    (lambda x: x*x, lambda x,y: x.data.add_(1), "mul: its argument '[xy]'"),
    (lambda x: x*x, lambda x,y: x.data[:1].add_(1), "mul: its argument '[xy]'"),
    (lambda x: x.expand(2, 3)*x, lambda x,y: x.data.zero_(), "mul: its argument '[xy]'"),
    (lambda x: x.exp(), lambda x,y: y.data.zero_(), 'exp: its result'),
    (lambda x: x.exp().reshape(3, 1), lambda x,y: y.data.zero_(), 'exp: its result'),
    (lambda x: x.exp(), lambda x,y: x.data.zero_(), None)])
def test_changed_in_place(f, change, says):
    x = leaf(3)
    y = f(x)
    g = rand(*y.shape)
    want = grad(y, x, g)
    change(x, y)
    if says is None: return assert_close(grad(y, x, g), want)
    with refuses(f'{says} was changed in place'): y.backward(g)
    assert x.grad is None

def test_changed_index_or_list():
    for f,at in [(lambda x,i: x[i], torch.tensor([0,1])), (lambda x,i: x[i,1], torch.tensor([0,1])),
                 (lambda x,i: x.gather(0, i[:,None]), torch.tensor([0,1])),
                 (lambda x,i: x.permute(i), [1,0]), (lambda x,i: x.flip(i), [1])]:
        x = leaf(2, 2)
        y = f(x, at)
        if isinstance(at, list):
            want = grad(y.sum(), x)
            at[:] = [0,1][:len(at)] # a list is copied when the operation is called
            assert_close(grad(y.sum(), x), want)
            continue
        at += -1
        with refuses('was changed in place'): y.sum().backward()

def test_what_cannot_be_seen():
    for write in (lambda v: v.data.numpy().fill(100.), lambda v: v.data.data.fill_(100.)):
        v = Var(torch.ones(1), requires_grad=True)
        s = (v*v).sum()
        write(v)
        s.backward()
        assert v.grad==200                      # wrong, as the chapter says
    v = leaf(3)
    s,old = (v*v).sum(), v.data
    v.data = rand(3)                            # rebinding is harmless
    s.backward()
    assert_close(v.grad, 2*old)

def test_copies():
    v = leaf(3)
    (v*2).sum().backward()
    for w in (copy.copy(v), copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        assert w.entry is not v.entry and w.entry.number > v.entry.number     # the time of the copy
        assert_close((w.data, w.grad), (v.data, v.grad))
        assert not copy.deepcopy(w.detach()).requires_grad
    for f in (copy.copy, copy.deepcopy, pickle.dumps):
        with refuses('a result cannot be copied or saved'): f(v*2)
    assert v in {v} and len({v, leaf(3)})==2

def test_refused_data():
    with torch.inference_mode(): frozen = torch.ones(3)
    t,x,n = rand(3).requires_grad_(), leaf(3), Var(rand(3))
    for f,error,says in [
        (lambda: Var(x), TypeError, 'a Var already'),
        (lambda: Var(t*2), TapeError, "PyTorch's tape"),
        (lambda: Var(1j*torch.ones(2), requires_grad=True), TypeError, 'complex64'),
        (lambda: Var(frozen, requires_grad=True), TapeError, 'inference tensor'),
        (lambda: x.float32, AttributeError, "no 'float32'"),
        (lambda: np.asarray(x, dtype=float), TypeError, 'lose the history'),
        (lambda: x*t, TapeError, "mul: an argument is on PyTorch's tape"),
        (lambda: n*t, TapeError, "PyTorch's tape"),
        (lambda: setattr(n, 'grad', t), TapeError, 'requires_grad=False'),
        (lambda: n.sum().backward(), TapeError, 'nothing to differentiate'),
        (lambda: grad(torch.ones(()), x), TapeError, 'nothing to differentiate'),
        (lambda: grad(x.sum(), x.data), TapeError, 'requires_grad=False'),
        (lambda: Var(rand(3)).numpy(), AttributeError, "no 'numpy'"),
        (lambda: op(pair)(x), TypeError, 'pair: its function gave tuple')]:
        with refuses(says, error): f()
    assert Var(t, requires_grad=True).data.data_ptr()==t.data_ptr()
    n.grad = None
def pair(x): return x,x

def test_data_that_pytorch_differentiates():
    x = torch.tensor([.3, 1.])
    def ours(z): return Var(z).sin().sum().data
    for transform in torch.func.grad, torch.func.jacrev, torch.func.jacfwd, torch.func.vmap:
        with refuses('inside of torch.func'): transform(ours)(x)
    with refuses('would lose it here'): Var(x.clone().requires_grad_())

def test_a_none_that_was_written_is_not_dropped():
    from mlfound import conv # noqa: F401 (adds batch_norm)
    x,(mean,var) = leaf(4, 3, 2, 2),(torch.zeros(3).double(), torch.ones(3).double())
    for share in None, 'x', math.nan:
        with refuses('momentum is', (TypeError, ValueError)):
            F.batch_norm(x, mean, var, training=True, momentum=share)
    assert not mean.any() and (var==1).all()
    assert F.batch_norm(x, mean, var, None, None, True).shape==x.shape

def test_declaring_operations():
    def keyword(x, *, k): return x
    def shape_of(x, shape): return x
    with refuses('keyword has keyword-only arguments; give it ordinary arguments', TypeError):
        op(keyword)
    with refuses('shape_of has an argument shape, i or out', TypeError): op(shape_of)
    @op
    def product(*xs): return xs[0]*xs[1]
    with refuses('a rule asks for ys; it may ask for shape, i, out, xs', TypeError):
        product.defvjp(lambda g,ys: g)
    with refuses('product.defvjp: 2 rules for 1 arguments', TypeError): product.defvjp(None, None)
    @op
    def scaled(x, s): return x*s
    scaled.defvjp(lambda g,s: g*s)
    x,s = leaf(3), leaf()
    assert_close(grad(scaled(x, s).sum(), x), s.data.expand(3))
    with refuses("scaled: no rule for its argument 's'", NotImplementedError):
        scaled(x, s).sum().backward()
    @op(broadcast=True)
    def plus(x, y): return x+y
    plus.defvjp(lambda g: g.sum(), lambda g: g)
    with refuses('plus: a rule gave shape'): plus(leaf(3), leaf(2, 3)).sum().backward()

def test_a_list_as_index():
    v = leaf(3, 3)
    says = 'a list holds whole numbers or booleans; pass slices and several axes as a tuple'
    for at in ([slice(0,1),0], [None,0], [...,0], [[0,1],slice(2)]):
        with refuses(says, TypeError): v[at]

def test_rules_may_ask_for_all_arguments():
    @op
    def product(*xs): return math.prod(xs)
    product.defvjp(lambda g,xs,i: g*math.prod(x for k,x in enumerate(xs) if k!=i))
    vs = [leaf(2) for _ in range(3)]
    values = tuple(v.data for v in vs)
    _,want = torch.autograd.functional.hvp(lambda *xs: math.prod(xs).sum(), values, values)
    y = product(*vs).sum()
    assert_close(grad(y, vs), tuple(math.prod(w.data for w in vs if w is not v) for v in vs))
    assert_close(grad(grad(y, vs, create_graph=True), vs, [v.data for v in vs]), want)
    vs[0].data += 1
    with refuses("product: its argument 'xs' was changed in place"): y.backward()

# -- PyTorch's functions

def test_no_silent_detach():
    v,s = leaf(3), leaf()
    for f in (lambda: rand(3).add_(v), lambda: rand(3).copy_(v),
              lambda: torch.full((2,), s), lambda: rand(3).fill_(s),
              lambda: torch.scalar_tensor(s), lambda: torch.tensor(s), lambda: torch.median(v),
              lambda: torch.tensor([s, s]), lambda: torch.arange(0, s), lambda: torch.linalg.inv(v),
              lambda: torch.autograd.grad(v.sum(), v), lambda: torch.fft.fft(v),
              lambda: torch.add(rand(3), rand(3), alpha=s),
              lambda: np.exp(v), lambda: np.dot(np.ones(3), v),
              lambda: torch.vmap(lambda x: x*v)(rand(2, 3)).sum()):
        with pytest.raises((TypeError, ValueError)): f()
    with refuses('torch.median: there is no such operation', TypeError): torch.median(v)
    with refuses("Var has no 'median'", AttributeError): v.median()
    with refuses("linear: an argument is on PyTorch's tape"): torch.nn.Linear(3, 2).double()(v)

def test_tensor_first():
    v,t,c = leaf(3), rand(3), torch.tensor([True,False,True])
    for f in (lambda t,v: t.add(v), lambda t,v: t.where(c, v), lambda t,v: t.exp().pow(v),
              lambda t,v: t.matmul(v), lambda t,v: t.maximum(v), lambda t,v: t.clamp(max=v),
              lambda t,v: t.sub(v).mul(v)):
        agrees(lambda v, f=f: f(t, v), v.data)
    assert_close(t.to(v), t)

def test_keywords():
    x,t,i = leaf(2, 3), rand(2, 3), torch.zeros(1, 3, dtype=torch.long)
    for f in (lambda x: torch.reshape(x, shape=(3,2)),
              lambda x: torch.reshape(input=x, shape=(3,2)),
              lambda x: torch.pow(x, exponent=2),
              lambda x: torch.matmul(input=x, other=t.T),
              lambda x: torch.permute(input=x, dims=(1,0)),
              lambda x: torch.flip(input=x, dims=(0,)),
              lambda x: torch.add(input=x, other=x),
              lambda x: torch.sum(input=x, dim=0, keepdim=True),
              lambda x: torch.var(input=x, dim=0, correction=0, keepdim=True),
              lambda x: torch.clamp(input=x, min=0, max=1),
              lambda x: torch.gather(input=x, dim=0, index=i),
              lambda x: torch.cat(tensors=[x, x], dim=1),
              lambda x: torch.where(t>0, input=x, other=x),
              lambda x: torch.linalg.vector_norm(x=x, ord=1, dim=0, keepdim=True),
              lambda x: torch.linalg.vector_norm(x, math.inf, dtype=torch.float64),
              lambda x: F.linear(input=x, weight=t, bias=None),
              lambda x: F.mse_loss(input=x, target=t),
              lambda x: F.softmax(input=x, dim=0, dtype=torch.float32),
              lambda x: x.to(dtype=torch.float32),
              lambda x: x.to('cpu')):
        assert_close(f(x).data, f(x.data))
    assert_close(x.expand(size=(4,2,3)).data, x.data.expand(4, 2, 3)) # the keyword is ours
    for f,word in [(lambda: x.sum(axes=0), 'axes'),
                   (lambda: torch.sum(x, 0, out=t), 'out'),
                   (lambda: x.softmax(0, foo=1), 'foo'),
                   (lambda: F.relu(x, inplace=True), 'inplace'),
                   (lambda: torch.cat([x, x], out=t), 'out'),
                   (lambda: x.to(copy=True), 'copy'),
                   (lambda: x.reshape(6, order='F'), 'order'),
                   (lambda: x.var(ddof=0), 'ddof'),
                   (lambda: x.softmax(dimension=1), 'dimension'),
                   (lambda: x.exp(shape=1), 'shape')]:
        with refuses(f"{word}|multiple values for argument 'size'", TypeError): f()

def test_what_a_list_holds_is_watched():
    "In a list or a dictionary as in a tuple; the list itself, and arrays in it, are ours."
    @op
    def scaled(x, by): return x*torch.as_tensor(by['t'] if isinstance(by, dict) else by[0])
    scaled.defvjp(lambda g,by: g*torch.as_tensor(by['t'] if isinstance(by, dict) else by[0]))
    for hold in (lambda t: [t], lambda t: (t,), lambda t: dict(t=t)):
        x, t = Var(torch.ones(3), requires_grad=True), torch.full((3,), 2.)
        y = scaled(x, hold(t)).sum()
        t.mul_(5)
        with pytest.raises(TapeError, match='changed in place'): y.backward()
    array, held = np.full(3, 2., np.float32), []
    held.append(array)
    y = scaled(x, held).sum()
    array *= 5
    held[0] = 7
    assert_close(grad(y, x), torch.full((3,), 2.))

def test_a_wrong_rule_is_not_summed_into_shape():
    @op(broadcast=True)
    def times(x, w): return x*w
    times.defvjp(lambda g,w: g*w, lambda g,x: g[:,None]*x) # all pairs of rows
    x, w = Var(torch.ones(2, 3), requires_grad=True), Var(torch.ones(3), requires_grad=True)
    with pytest.raises(TapeError, match='gave shape'): grad(times(x, w).sum(), w)
