"The one comparison with PyTorch, first and second order; and with central differences."
import os
from typing import NamedTuple
import torch
from hypothesis import HealthCheck, settings
from mlfound.autograd import Var, grad

torch.set_num_threads(1) # the tensors are tiny

cases = int(os.environ.get('MLFOUND_CASES', 40)) # of each operation
new = 'MLFOUND_CASES' in os.environ
def drawn(times=1):
    "Hypothesis settings: the same cases at every run, or new ones, as many as MLFOUND_CASES says."
    return settings(max_examples=times*cases, derandomize=not new, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck))

def close(got, want, tol, what, floor=1e-3):
    "Same shape, type, nans, infinities; the rest within `tol` of the largest entry, or of `floor`."
    assert got.shape == want.shape, f'{what}: shape {tuple(got.shape)}, wanted {tuple(want.shape)}'
    assert got.dtype == want.dtype, f'{what}: {got.dtype}, wanted {want.dtype}'
    same_nans = torch.equal(got.isnan(), want.isnan())
    assert same_nans, f'{what}: nan in other places: {got}, wanted {want}'
    same_infinities = torch.equal(got[want.isinf()], want[want.isinf()])
    assert same_infinities, f'{what}: other infinities: {got}, wanted {want}'
    got, want = got[want.isfinite()], want[want.isfinite()]
    if not want.numel(): return
    off, size = (got-want).abs().max().item(), want.abs().max().item()
    assert off <= tol*max(size, floor), f'{what}: off by {off:.3g} of {size:.3g}'

def random_like(gen, t): return torch.randn(t.shape, generator=gen, dtype=t.dtype)
def dot(xs, ys): return sum(((x*y).sum() for x,y in zip(xs, ys)), torch.zeros(()))
def torch_grad(ys, xs, gs=None, create_graph=False):
    return torch.autograd.grad(ys, xs, gs, create_graph=create_graph, allow_unused=True,
                               materialize_grads=True)

def again(total, xs, grad):
    "The gradients of `total`, zeros if it depends on nothing."
    if getattr(total, 'requires_grad', False): return grad(total, xs)
    return [torch.zeros_like(getattr(x, 'data', x)) for x in xs]

class Allowed(NamedTuple):
    "How far ours may be from PyTorch's, of the largest entry."
    value:float = 1e-12
    first:float = 1e-10
    second:float = 1e-9
    floor:float = 1e-3  # of a value: where its terms are near 1 they may cancel in a sum
    graph:float = 1e-10 # between the fast path and the one that records itself

class Orders(NamedTuple):
    "What has been compared: upstream gradients, directions, and the gradients of ours."
    gs:list
    ds:list
    first:list
    second:list

def compare(got, want, vs, ts, gen, what, allowed=Allowed(), second=True):
    "Values, first and second order: our results `got` for `vs` against PyTorch's `want` for `ts`."
    def each(ours, theirs, tol, name, **kw):
        for i,(a, b) in enumerate(zip(ours, theirs, strict=True)):
            close(getattr(a, 'data', a), b.detach(), tol, f'{what}: {name} {i}', **kw)
    each(got, want, allowed.value, 'value', floor=allowed.floor)
    gs, ds = ([random_like(gen, t.detach()) for t in many] for many in (want, ts))
    tgs = [g.clone().requires_grad_() for g in gs]
    vgs = [Var(g, requires_grad=True) for g in gs]
    wants, gots = torch_grad(want, ts, tgs, create_graph=True), grad(got, vs, gs)
    each(gots, wants, allowed.first, 'gradient')
    for y,g in zip(got, gs): y.backward(g)
    each([torch.zeros_like(v.data) if v.grad is None else v.grad for v in vs], wants,
         allowed.first, '.grad of argument')
    if not second: return Orders(gs, ds, gots, None)
    graph = grad(got, vs, vgs, create_graph=True)
    each(graph, gots, allowed.graph, 'gradient with create_graph')
    gots2 = again(dot(graph, ds), [*vs, *vgs], grad)
    each(gots2, again(dot(wants, ds), [*ts, *tgs], torch_grad), allowed.second, 'second order')
    return Orders(gs, ds, gots, gots2)

def agrees(f, *args, second=True, allowed=Allowed()):
    "`f` of `Var`s against `f` of PyTorch's tensors, at these numbers and in all orders."
    ts = [a.detach().clone().requires_grad_() for a in args]
    vs = [Var(a.detach().clone(), requires_grad=True) for a in args]
    gen = torch.Generator().manual_seed(0)
    return compare([f(*vs)], [f(*ts)], vs, ts, gen, getattr(f, '__name__', 'f'), allowed, second)

# -- a drawn call of one operation

def check(case, seed=0):
    "Everything that must hold of a drawn call; `AssertionError` says what does not."
    gen = torch.Generator().manual_seed(seed)
    def leaf(a): return a.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    ts, vs = [leaf(a) for a in case.args], [Var(a, requires_grad=True) for a in case.args]
    allowed = Allowed(value=1e-13, floor=1., graph=0)
    want, got = (case.oracle or case.fn)(*ts), case.fn(*vs)
    found = compare([got], [want], vs, ts, gen, str(case), allowed, case.second)
    differences(case, found)
    if case.second: second_differences(case, found, random_like(gen, found.gs[0]))

def finite(*ts): return all(t.isfinite().all() for t in ts)

def differences(case, found, h=1e-5):
    "The gradient in the directions `ds` against a central difference."
    g, ds, gots = found.gs[0], found.ds, found.first
    def f(t): return case.fn(*[a+t*d for a,d in zip(case.args, ds)])
    if not finite(f(0.), *gots): return
    got, want = dot(gots, ds), (((f(h)-f(-h))/(2*h))*g).sum()
    size = sum((a*d).abs().sum().item() for a,d in zip(gots, ds)) + (f(0.)*g).abs().sum().item()
    off = abs(want-got)
    assert off <= 2e-7*max(size, 1e-2), f'{case}: gradient {got}, central difference {want}'

def second_differences(case, found, u, h=1e-5):
    "The same for the second order, along `ds` and, for the upstream gradient, `u`."
    g, ds, gots, gots2 = found.gs[0], found.ds, found.first, found.second
    if not finite(*gots2): return
    def f(t):
        xs = [Var(a+t*d, requires_grad=True) for a,d in zip(case.args, ds)]
        return dot(grad(case.fn(*xs), xs, g+t*u), ds)
    got, want = dot(gots2, [*ds, u]), (f(h)-f(-h))/(2*h)
    size = sum((a*d).abs().sum().item() for a,d in zip([*gots2, *gots], [*ds, u, *ds]))
    off = abs(want-got)
    assert off <= 2e-6*max(size, 1e-2), f'{case}: second order {got}, central difference {want}'
