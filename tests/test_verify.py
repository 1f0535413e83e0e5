"The checks themselves: right rules in new forms pass, and each kind of mistake is rejected on five and more shapes of rule."
import gc, inspect
import pytest, torch
import mlfound.ops as ops
from mlfound import autograd, verify
from mlfound.autograd import Op
from mlfound.backward import GradientError, check_vjp
from mlfound.module import Module
from mlfound.doctor import diagnose
from mlfound.verify import drawn, library, mutants, uncertified
from torch import Tensor

verify._rules() # before any test breaks one

def where(c, a, b): return torch.where(c, a, b)
def softmax(x): return x.softmax(-1)

# -- a function, arguments, and a right rule in a form that the library does not use

RIGHT = dict(
    tanh=(torch.tanh, lambda g,x: g/x.cosh()**2, [(3,4)]),
    sigmoid=(torch.sigmoid, lambda g,x: g*x.exp()/(1+x.exp())**2, [(5,)]),
    relu=(torch.relu, lambda g,x: g*(x.sign()+1)/2, [(2,3)]),
    lin=(lambda x,w,b: x@w + b, lambda g,x,w,b: (torch.einsum('nh,dh->nd', g, w), torch.einsum('nh,nd->dh', g, x), torch.ones(len(g), dtype=g.dtype)@g), [(5,3),(3,4),(4,)]),
    mse=(lambda p,t: ((p-t)**2).mean(), lambda g,p,t: (g*(p-t)/p.numel()+g*(p-t)/p.numel(), -g*2*(p-t)/p.numel()), [(5,2),(5,2)]),
    softmax=(softmax, lambda g,x: torch.stack([(torch.diag(y)-torch.outer(y, y))@gr for y,gr in zip(softmax(x), g)]), [(3,4)]),
    logsumexp=(lambda x: x.logsumexp(1), lambda g,x: g[:,None]*x.exp()/x.exp().sum(1, True), [(3,4)]),
    matmul=(torch.matmul, lambda g,x,y: ((y@g.mT).mT, (g.mT@x).mT), [(2,3,4),(2,4,5)]),
    cumsum=(lambda x: x.cumsum(0), lambda g,x: torch.ones(len(x), len(x), dtype=g.dtype).triu()@g, [(4,3)]),
    var=(lambda x: x.var(0), lambda g,x: 2*g*(x-x.mean(0))/(len(x)-1), [(4,3)]),
    norm=(lambda x: x.norm(), lambda g,x: g*x/(x*x).sum().sqrt(), [(3,4)]),
    gather=(lambda x: x[:,[0,0,2]], lambda g,x: torch.stack([g[:,0]+g[:,1], 0*g[:,0], g[:,2]], 1), [(4,3)]),
    div=(torch.div, lambda g,x,y: (g*y**-1, -g*x*y**-2), [(3,4),(3,4)]),
    atan2=(torch.atan2, lambda g,y,x: (g*x/(x*x+y*y), -g*y/(x*x+y*y)), [(3,),(3,)]),
    transpose=(lambda x: x.permute(2,0,1), lambda g,x: g.permute(1,2,0), [(2,3,4)]))

@pytest.mark.parametrize('name', RIGHT)
def test_right_rules_pass(name):
    f,vjp,shapes = RIGHT[name]
    args = drawn(*shapes)
    assert max(check_vjp(f, vjp, *args)) < 1e-8
    assert diagnose(f, vjp, *args).ok

# -- each kind of mistake, on rules of at least five shapes; `right` is what the rule should have been

def wrong_by(change):
    "Every right rule with its gradients changed."
    def changed(vjp):
        def wrong(g, *args):
            r = vjp(g, *args)
            return tuple(map(change, r)) if isinstance(r, tuple) else change(r)
        return wrong
    return {n: (f, changed(vjp), shapes) for n,(f,vjp,shapes) in RIGHT.items()}

WRONG = {
    'zero': wrong_by(lambda t: 0*t), 'sign': wrong_by(lambda t: -t), 'factor': wrong_by(lambda t: 1.001*t),
    'dropped term': dict(
        tanh=(torch.tanh, lambda g,x: g, [(3,4)]), softmax=(softmax, lambda g,x: softmax(x)*g, [(3,4)]),
        square=(lambda x: x*x + x, lambda g,x: 2*g*x, [(5,)]), var=(lambda x: x.var(0), lambda g,x: 2*g*x/(len(x)-1), [(4,3)]),
        product=(lambda x: x@x.T, lambda g,x: g@x, [(3,4)]), mse=(lambda p,t: ((p-t)**2).mean(), lambda g,p,t: (2*g*p/p.numel(), None), [(5,2),(5,2)])),
    'missing transpose': dict(
        lin_x=(torch.matmul, lambda g,x,w: (g@w, None), [(4,4),(4,4)]), lin_w=(torch.matmul, lambda g,x,w: (None, x@g), [(4,4),(4,4)]),
        batch=(torch.matmul, lambda g,x,w: (g@w, None), [(2,3,3),(2,3,3)]), T=(lambda x: x.T, lambda g,x: g, [(4,4)]),
        permute=(lambda x: x.permute(2,0,1), lambda g,x: g.permute(2,0,1), [(3,3,3)]), outer=(lambda x: x.T@x, lambda g,x: x@g.T + x@g.T, [(3,4)])),
    'swapped operands': dict(
        mul=(torch.mul, lambda g,x,y: (g*x, g*y), [(3,4),(3,4)]), sub=(torch.sub, lambda g,x,y: (-g, g), [(5,),(5,)]),
        div=(torch.div, lambda g,x,y: (g/x, -g*x/y**2), [(3,4),(3,4)]), where=(lambda x,y: where(x>y, x, y), lambda g,x,y: (where(x>y, 0*g, g), where(x>y, g, 0*g)), [(6,),(6,)]),
        matmul=(torch.matmul, lambda g,x,w: (w.T@g, None), [(4,4),(4,4)]), pow=(lambda x: x**3, lambda g,x: g*3*2**x, [(4,)])),
    'missing sum': dict(
        bias=(lambda x,b: x+b, lambda g,x,b: (g, g[0]), [(5,3),(3,)]), softmax=(softmax, lambda g,x: softmax(x)*(g-g*softmax(x)), [(3,4)]),
        log_softmax=(lambda x: x.log_softmax(1), lambda g,x: g-softmax(x)*g, [(3,4)]), scalar=(lambda x,s: x*s, lambda g,x,s: (None, (g*x)[0,0]), [(3,4),()]),
        column=(lambda x,c: x*c, lambda g,x,c: (None, (g*x)[:,:1]), [(3,4),(3,1)]), repeat=(lambda x: torch.cat([x, x]), lambda g,x: g[:len(x)], [(4,)])),
    'missing unbroadcast': dict(
        row=(lambda x,b: x+b, lambda g,x,b: (g, g), [(5,3),(3,)]), column=(lambda x,c: x*c, lambda g,x,c: (g*c, g*x), [(3,4),(3,1)]),
        scalar=(lambda x,s: x*s, lambda g,x,s: (g*s, g*x), [(3,4),()]), lead=(lambda x,b: x-b, lambda g,x,b: (g, -g), [(2,3,4),(3,4)]),
        expand=(lambda x: x.expand(3,4), lambda g,x: g, [(4,)]), both=(torch.mul, lambda g,x,y: (g*y, g*x), [(3,1),(1,4)])),
    'missing 1/n': dict(
        mse=(lambda p,t: ((p-t)**2).mean(), lambda g,p,t: (2*g*(p-t), None), [(5,2),(5,2)]), mean=(torch.mean, lambda g,x: g.expand(x.shape), [(5,)]),
        rows=(lambda x: x.mean(1), lambda g,x: g[:,None].expand(x.shape), [(3,4)]), var=(lambda x: x.var(0), lambda g,x: 2*g*(x-x.mean(0)), [(4,3)]),
        entropy=(lambda z: -z.log_softmax(1)[:,0].mean(), lambda g,z: g*(softmax(z)-torch.eye(4, dtype=g.dtype)[0]), [(3,4)])),
    'wrong axis': dict(
        bias=(lambda x,b: x+b, lambda g,x,b: (g, g.sum(1)), [(3,3),(3,)]), softmax=(softmax, lambda g,x: softmax(x)*(g-(g*softmax(x)).sum(0)), [(3,4)]),
        mean=(lambda x: x.mean(1), lambda g,x: g.expand(x.shape)/4, [(4,4)]), cumsum=(lambda x: x.cumsum(0), lambda g,x: g.flip(1).cumsum(1).flip(1), [(4,3)]),
        flip=(lambda x: x.flip(0), lambda g,x: g.flip(1), [(4,3)]), var=(lambda x: x.var(0), lambda g,x: 2*g*(x-x.mean(1, True))/(len(x)-1), [(4,3)])),
    'input for output': dict(
        tanh=(torch.tanh, lambda g,x: g*(1-x*x), [(3,4)]), sigmoid=(torch.sigmoid, lambda g,x: g*x*(1-x), [(5,)]), exp=(torch.exp, lambda g,x: g*x, [(2,3)]),
        sqrt=(lambda x: x.abs().sqrt(), lambda g,x: g*x.sign()/(2*x.abs()), [(4,)]), softmax=(softmax, lambda g,x: x*(g-(g*x).sum(-1, True)), [(3,4)])),
    '= for +=': dict(
        square=(lambda x: x*x, lambda g,x: g*x, [(3,4)]), gather=(lambda x: x[[2,0,2]], lambda g,x: torch.zeros_like(x).index_copy_(0, torch.tensor([2,0,2]), g), [(4,3)]),
        tied=(lambda w: w@w, lambda g,w: g@w.T, [(3,3)]), diamond=(lambda x: x.exp()+x.sin(), lambda g,x: g*x.cos(), [(5,)]),
        cat=(lambda x: torch.cat([x, 2*x]), lambda g,x: 2*g[len(x):], [(4,)]))}

@pytest.mark.parametrize('mistake,name', [(m,n) for m,rules in WRONG.items() for n in rules])
def test_wrong_rules_are_rejected(mistake, name):
    f,vjp,shapes = WRONG[mistake][name]
    args = drawn(*shapes)
    with pytest.raises(GradientError): check_vjp(f, vjp, *args)
    assert not diagnose(f, vjp, *args).ok

def test_five_shapes_of_each(): assert all(len(rules)>=5 for rules in WRONG.values())

EXPLAINED = {'zero': 'zero', 'sign': 'the sign', 'factor': 'a factor', 'missing 1/n': 'a missing 1/n', 'missing unbroadcast': 'a missing sum', 'input for output': 'input for output'}
@pytest.mark.parametrize('mistake', EXPLAINED)
def test_mistakes_are_explained(mistake):
    found = [any(EXPLAINED[mistake] in w for w in finding.fits) for f,vjp,shapes in WRONG[mistake].values() for finding in diagnose(f, vjp, *drawn(*shapes)) if finding.says]
    assert sum(found) >= max(4, .7*len(found)), f'{mistake}: {sum(found)} of {len(found)} explained'

# -- kinks: no difference can judge there, so the certificates state what must come back

KINKS = dict(
    relu=('relu', lambda g,x: torch.where(x>=0, g, 0)), abs=('abs', lambda g,x: g*torch.where(x>=0, 1., -1.)),
    maximum=('maximum', lambda g,x,y: torch.where(x>=y, g, 0), lambda g,x,y: torch.where(y>x, g, 0)),
    minimum=('minimum', lambda g,x,y: torch.where(x<=y, g, 0), lambda g,x,y: torch.where(y<x, g, 0)),
    clamp=('clamp', lambda g,x,min,max: torch.where(_inside(x, min, max), g, 0)),
    amax=('amax', lambda g,x,out,shape,dim: torch.where(torch.eq(x, autograd.unsum(out, shape, dim)), autograd.unsum(g, shape, dim), 0)))
def _inside(x, lo, hi): return (torch.gt(x, lo) if lo is not None else torch.ones_like(x, dtype=torch.bool)) & (torch.lt(x, hi) if hi is not None else torch.ones_like(x, dtype=torch.bool))

@pytest.mark.parametrize('name', KINKS)
def test_wrong_conventions_are_rejected(name):
    "Right wherever there is a slope, and another convention where there is none."
    name,*rules = KINKS[name]
    o = getattr(ops if hasattr(ops, name) else autograd, name).op
    kept = [*o.rules]
    try:
        o.rules = [(f, kept[k][1] if f is kept[k][0] else _needs(o, f)) for k,f in enumerate([*rules, *(r for r,_ in kept[len(rules):])])]
        row, = [r for r in verify.certificate(name) if r.kind=='operation']
    finally: o.rules = kept
    assert row.failed and all('kink' in w for w in row.failed), row.failed
    assert verify.certificate(name).ok
def _needs(o, f): return [['shape','i','out',*o.names].index(q) for q in [*inspect.signature(f).parameters][1:]]

# -- the certificate and the mutants: chapter 07 computes both in full and asserts that all rules hold and all mutants die

def test_nothing_is_left_out():
    "Every `Op` in memory, and every layer, whichever way it is reachable, has a row."
    assert uncertified() == []
    known = {r.f.op for r in verify._rules().values() if r.kind=='operation'}
    loose = [o for o in gc.get_objects() if isinstance(o, Op) and o.fn.__module__.startswith('mlfound.') and o not in known]
    assert not loose, f'operations without a certificate: {[o.name for o in loose]}; add a row in nbs/07_Verification.ipynb'
    def below(cls): return {c for s in cls.__subclasses__() for c in {s} | below(s)}
    layers = {c.__name__ for c in below(Module) if c.__module__.startswith('mlfound.')}
    assert layers <= {r.name for r in verify._rules().values() if r.kind=='layer'} and layers <= {n.split('.')[-1] for n in library()}

def test_a_new_operation_needs_a_row():
    @autograd.op
    def fresh(x): return x*1
    fresh.__module__ = 'mlfound.ops'
    ops.fresh = fresh
    try: assert uncertified() == ['ops.fresh']
    finally: del ops.fresh

def test_broken_rules_are_mended():
    "After the mutants the library is what it was."
    before = {f: f.__code__ for f in verify._parts()}
    with pytest.raises(ZeroDivisionError): mutants('tanh', judge=lambda r: 1/0)
    assert all(f.__code__ is c for f,c in before.items())
    assert verify.certificate('tanh').ok

def test_an_excuse_must_hold(monkeypatch):
    "A mutant that nobody rejects is called equal only if it returns what the original returns; a false excuse survives."
    monkeypatch.setattr(verify, '_EQUAL', {('relu.defvjp', m.change): ('so they say', verify._relu_points) for m in mutants('relu') if m.part=='relu.defvjp'})
    blind = [m for m in mutants('relu', judge=lambda r: []) if m.part=='relu.defvjp']
    assert [m.change for m in blind if m.proof] == ['keep x, not out'] and len(blind) > 3

def test_cost_counts_scale():
    "Twice the examples, twice the work of a product; and float32 moves 4 bytes a number."
    one,two = (verify.count(torch.mm, torch.ones(n,8), torch.ones(8,8)) for n in (8,16))
    assert two[0] == 2*one[0] == 2*2*8**3 and one[1] == 4*3*64
