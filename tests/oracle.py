"First and second derivatives on the tape against PyTorch's and against central differences."
import os
import torch
from hypothesis import HealthCheck, settings
from mlfound.autograd import Var, grad

torch.set_num_threads(1) # the tensors are tiny

cases = int(os.environ.get('MLFOUND_CASES', 100))
def drawn(times=1):
    "Hypothesis settings: the same cases at every run; with MLFOUND_CASES set that many, new ones each time."
    return settings(max_examples=times*cases, derandomize='MLFOUND_CASES' not in os.environ, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck))

def close(got, want, tol, what, floor=1e-3):
    "Same shape, type, nans and infinities, and the rest within `tol` of the largest entry, or of `floor` if that is larger."
    assert got.shape==want.shape, f'{what}: shape {tuple(got.shape)}, wanted {tuple(want.shape)}'
    assert got.dtype==want.dtype, f'{what}: {got.dtype}, wanted {want.dtype}'
    assert torch.equal(got.isnan(), want.isnan()), f'{what}: nan in other places: {got}, wanted {want}'
    assert torch.equal(got[want.isinf()], want[want.isinf()]), f'{what}: other infinities: {got}, wanted {want}'
    got,want = got[want.isfinite()], want[want.isfinite()]
    if not want.numel(): return
    off,size = (got-want).abs().max().item(), want.abs().max().item()
    assert off <= tol*max(size, floor), f'{what}: off by {off:.3g} of {size:.3g}'

def random_like(gen, t): return torch.randn(t.shape, generator=gen, dtype=t.dtype)
def dot(xs, ys): return sum((x*y).sum() for x,y in zip(xs, ys)) if len(xs) else torch.zeros(())
def torch_grad(ys, xs, gs=None, create_graph=False):
    return torch.autograd.grad(ys, xs, gs, create_graph=create_graph, allow_unused=True, materialize_grads=True)

def second(total, xs, grad):
    "The gradients of `total`, zeros if it depends on nothing."
    return grad(total, xs) if total.requires_grad else [torch.zeros_like(getattr(x, 'data', x)) for x in xs]

def check(case, seed=0):
    "Everything that must hold of a drawn call; `AssertionError` says what does not."
    gen = torch.Generator().manual_seed(seed)
    ts = [a.detach().clone(memory_format=torch.preserve_format).requires_grad_() for a in case.args]
    vs = [Var(a, requires_grad=True) for a in case.args]
    want,got = (case.oracle or case.fn)(*ts), case.fn(*vs)
    close(got.data, want.detach(), 1e-13, f'{case}: value', floor=1.) # terms near 1 may cancel in a sum
    g,ds = random_like(gen, want.detach()), [random_like(gen, a) for a in case.args]
    tg,vg = g.clone().requires_grad_(), Var(g, requires_grad=True)
    wants,gots = torch_grad(want, ts, tg, create_graph=True), grad(got, vs, g)
    for i,(a,b) in enumerate(zip(gots, wants, strict=True)): close(a, b.detach(), 1e-10, f'{case}: gradient {i}')
    check_backward(case, got, vs, gots, g)
    differences(case, g, ds, gots)
    if not case.second: return
    again = grad(got, vs, vg, create_graph=True)
    for i,(a,b) in enumerate(zip(again, gots, strict=True)): close(a.data, b, 0, f'{case}: gradient {i} with create_graph')
    gots2 = second(dot(again, ds), [*vs, vg], grad)
    wants2 = second(dot(wants, ds), [*ts, tg], torch_grad)
    for i,(a,b) in enumerate(zip(gots2, wants2, strict=True)): close(a, b, 1e-9, f'{case}: second-order gradient {i}')
    second_differences(case, g, random_like(gen, g), ds, gots, gots2)

def check_backward(case, y, vs, gots, g):
    "`backward` leaves in `.grad` what `grad` returns."
    y.backward(g)
    for i,(v,a) in enumerate(zip(vs, gots, strict=True)):
        close(torch.zeros_like(a) if v.grad is None else v.grad, a, 0, f'{case}: .grad of argument {i}')

def finite(*ts): return all(t.isfinite().all() for t in ts)

def differences(case, g, ds, gots, h=1e-5):
    "The gradient in the direction `ds` against a central difference."
    def f(t): return case.fn(*[a+t*d for a,d in zip(case.args, ds)])
    if not finite(f(0.), *gots): return
    got,want = dot(gots, ds), (((f(h)-f(-h))/(2*h))*g).sum()
    size = sum((a*d).abs().sum().item() for a,d in zip(gots, ds)) + (f(0.)*g).abs().sum().item()
    assert abs(want-got) <= 2e-7*max(size, 1e-2), f'{case}: gradient {got}, central difference {want}'

def second_differences(case, g, u, ds, gots, gots2, h=1e-5):
    "The same for the second order, along `ds` and, for the upstream gradient, `u`."
    if not finite(*gots2): return
    def f(t):
        xs = [Var(a+t*d, requires_grad=True) for a,d in zip(case.args, ds)]
        return dot(grad(case.fn(*xs), xs, g+t*u), ds)
    got,want = dot(gots2, [*ds, u]), (f(h)-f(-h))/(2*h)
    size = sum((a*d).abs().sum().item() for a,d in zip([*gots2, *gots], [*ds, u, *ds]))
    assert abs(want-got) <= 2e-6*max(size, 1e-2), f'{case}: second order {got}, central difference of the gradient {want}'
