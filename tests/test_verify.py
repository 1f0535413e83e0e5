"The checks themselves: right rules in new forms pass, and each kind of mistake is rejected."
import gc, subprocess, sys
import numpy as np
import pytest, torch
import mlfound.ops as ops
from mlfound import autograd, costs, mutants as mutants_module
from mlfound.autograd import Op, Var
from mlfound.backward import GradientError, check_vjp
from mlfound.catalogue import TRIALS, drawn, find, floats, found, without_gradient
from mlfound.doctor import diagnose
from mlfound.module import Module
from mlfound.mutants import mutants, parts
from mlfound.verify import case, certificate, rule_of, uncertified
from oracle import new

for trial in find(): rule_of(trial) # before any test breaks one

def where(c, a, b): return torch.where(c, a, b)
def softmax(x): return x.softmax(-1)
def scaled_square(p, t): return ((p-t)**2).mean()
def variance(x): return x.var(0)
def cumsum(x): return x.cumsum(0)

# -- a function, arguments, and a right rule in a form that the library does not use

def tanh_rule(g, x): return g/x.cosh()**2
def sigmoid_rule(g, x): return g*x.exp()/(1+x.exp())**2
def relu_rule(g, x): return g*(x.sign()+1)/2
def lin_rule(g, x, w, b):
    gx, gw = torch.einsum('nh,dh->nd', g, w), torch.einsum('nh,nd->dh', g, x)
    return gx, gw, torch.ones(len(g), dtype=g.dtype)@g
def mse_rule(g, p, t):
    half = g*(p-t)/p.numel()
    return half+half, -2*half
def softmax_rule(g, x):
    return torch.stack([(torch.diag(y)-torch.outer(y, y))@gr for y,gr in zip(softmax(x), g)])
def logsumexp_rule(g, x): return g[:,None]*x.exp()/x.exp().sum(1, True)
def matmul_rule(g, x, y): return (y@g.mT).mT, (g.mT@x).mT
def cumsum_rule(g, x): return torch.ones(len(x), len(x), dtype=g.dtype).triu()@g
def var_rule(g, x): return 2*g*(x-x.mean(0))/(len(x)-1)
def norm_rule(g, x): return g*x/(x*x).sum().sqrt()
def gather_rule(g, x): return torch.stack([g[:,0]+g[:,1], 0*g[:,0], g[:,2]], 1)
def div_rule(g, x, y): return g*y**-1, -g*x*y**-2
def atan2_rule(g, y, x): return g*x/(x*x+y*y), -g*y/(x*x+y*y)

RIGHT = dict(
    tanh=(torch.tanh, tanh_rule, [(3,4)]),
    sigmoid=(torch.sigmoid, sigmoid_rule, [(5,)]),
    relu=(torch.relu, relu_rule, [(2,3)]),
    lin=(lambda x,w,b: x@w + b, lin_rule, [(5,3),(3,4),(4,)]),
    mse=(scaled_square, mse_rule, [(5,2),(5,2)]),
    softmax=(softmax, softmax_rule, [(3,4)]),
    logsumexp=(lambda x: x.logsumexp(1), logsumexp_rule, [(3,4)]),
    matmul=(torch.matmul, matmul_rule, [(2,3,4),(2,4,5)]),
    cumsum=(cumsum, cumsum_rule, [(4,3)]),
    var=(variance, var_rule, [(4,3)]),
    norm=(lambda x: x.norm(), norm_rule, [(3,4)]),
    gather=(lambda x: x[:,[0,0,2]], gather_rule, [(4,3)]),
    div=(torch.div, div_rule, [(3,4),(3,4)]),
    atan2=(torch.atan2, atan2_rule, [(3,),(3,)]),
    transpose=(lambda x: x.permute(2,0,1), lambda g,x: g.permute(1,2,0), [(2,3,4)]))

@pytest.mark.parametrize('name', RIGHT)
def test_right_rules_pass(name):
    f, vjp, shapes = RIGHT[name]
    args = drawn(*shapes)
    assert max(check_vjp(f, vjp, *args)) < 1e-8
    assert diagnose(f, vjp, *args).ok

# -- each kind of mistake, on rules of several shapes

def wrong_by(change):
    "Every right rule with its gradients changed."
    def changed(vjp):
        def wrong(g, *args):
            r = vjp(g, *args)
            return tuple(map(change, r)) if isinstance(r, tuple) else change(r)
        return wrong
    return {n: (f, changed(vjp), shapes) for n,(f, vjp, shapes) in RIGHT.items()}

def softmax_over(total): return lambda g,x: softmax(x)*(g - total(g*softmax(x)))
def picked_last(g, x): return torch.zeros_like(x).index_copy_(0, torch.tensor([2,0,2]), g)
def entropy(z): return -z.log_softmax(1)[:,0].mean()
def entropy_sum(g, z): return g*(softmax(z) - torch.eye(4, dtype=g.dtype)[0])
def where_swapped(g, x, y): return where(x>y, 0*g, g), where(x>y, g, 0*g)
def sqrt_of_input(g, x): return g*x.sign()/(2*x.abs())
def stretch(x): return x.expand(3,4)
def turned(x): return x.permute(2,0,1)

WRONG = {
    'zero': wrong_by(lambda t: 0*t),
    'sign': wrong_by(lambda t: -t),
    'factor': wrong_by(lambda t: 1.001*t),
    'dropped term': dict(
        tanh=(torch.tanh, lambda g,x: g, [(3,4)]),
        softmax=(softmax, lambda g,x: softmax(x)*g, [(3,4)]),
        square=(lambda x: x*x + x, lambda g,x: 2*g*x, [(5,)]),
        var=(variance, lambda g,x: 2*g*x/(len(x)-1), [(4,3)]),
        product=(lambda x: x@x.T, lambda g,x: g@x, [(3,4)]),
        mse=(scaled_square, lambda g,p,t: (2*g*p/p.numel(), None), [(5,2),(5,2)])),
    'missing transpose': dict(
        lin_x=(torch.matmul, lambda g,x,w: (g@w, None), [(4,4),(4,4)]),
        lin_w=(torch.matmul, lambda g,x,w: (None, x@g), [(4,4),(4,4)]),
        batch=(torch.matmul, lambda g,x,w: (g@w, None), [(2,3,3),(2,3,3)]),
        T=(lambda x: x.T, lambda g,x: g, [(4,4)]),
        permute=(turned, lambda g,x: g.permute(2,0,1), [(3,3,3)]),
        outer=(lambda x: x.T@x, lambda g,x: x@g.T + x@g.T, [(3,4)])),
    'swapped operands': dict(
        mul=(torch.mul, lambda g,x,y: (g*x, g*y), [(3,4),(3,4)]),
        sub=(torch.sub, lambda g,x,y: (-g, g), [(5,),(5,)]),
        div=(torch.div, lambda g,x,y: (g/x, -g*x/y**2), [(3,4),(3,4)]),
        where=(lambda x,y: where(x>y, x, y), where_swapped, [(6,),(6,)]),
        matmul=(torch.matmul, lambda g,x,w: (w.T@g, None), [(4,4),(4,4)]),
        pow=(lambda x: x**3, lambda g,x: g*3*2**x, [(4,)])),
    'missing sum': dict(
        bias=(torch.add, lambda g,x,b: (g, g[0]), [(5,3),(3,)]),
        softmax=(softmax, softmax_over(lambda t: t), [(3,4)]),
        log_softmax=(lambda x: x.log_softmax(1), lambda g,x: g-softmax(x)*g, [(3,4)]),
        scalar=(torch.mul, lambda g,x,s: (None, (g*x)[0,0]), [(3,4),()]),
        column=(torch.mul, lambda g,x,c: (None, (g*x)[:,:1]), [(3,4),(3,1)]),
        repeat=(lambda x: torch.cat([x, x]), lambda g,x: g[:len(x)], [(4,)])),
    'missing unbroadcast': dict(
        row=(torch.add, lambda g,x,b: (g, g), [(5,3),(3,)]),
        column=(torch.mul, lambda g,x,c: (g*c, g*x), [(3,4),(3,1)]),
        scalar=(torch.mul, lambda g,x,s: (g*s, g*x), [(3,4),()]),
        lead=(torch.sub, lambda g,x,b: (g, -g), [(2,3,4),(3,4)]),
        expand=(stretch, lambda g,x: g, [(4,)]),
        both=(torch.mul, lambda g,x,y: (g*y, g*x), [(3,1),(1,4)])),
    'missing 1/n': dict(
        mse=(scaled_square, lambda g,p,t: (2*g*(p-t), None), [(5,2),(5,2)]),
        mean=(torch.mean, lambda g,x: g.expand(x.shape), [(5,)]),
        rows=(lambda x: x.mean(1), lambda g,x: g[:,None].expand(x.shape), [(3,4)]),
        var=(variance, lambda g,x: 2*g*(x-x.mean(0)), [(4,3)]),
        entropy=(entropy, entropy_sum, [(3,4)])),
    'wrong axis': dict(
        bias=(torch.add, lambda g,x,b: (g, g.sum(1)), [(3,3),(3,)]),
        softmax=(softmax, softmax_over(lambda t: t.sum(0)), [(3,4)]),
        mean=(lambda x: x.mean(1), lambda g,x: g.expand(x.shape)/4, [(4,4)]),
        cumsum=(cumsum, lambda g,x: g.flip(1).cumsum(1).flip(1), [(4,3)]),
        flip=(lambda x: x.flip(0), lambda g,x: g.flip(1), [(4,3)]),
        var=(variance, lambda g,x: 2*g*(x-x.mean(1, True))/(len(x)-1), [(4,3)])),
    'input for output': dict(
        tanh=(torch.tanh, lambda g,x: g*(1-x*x), [(3,4)]),
        sigmoid=(torch.sigmoid, lambda g,x: g*x*(1-x), [(5,)]),
        exp=(torch.exp, lambda g,x: g*x, [(2,3)]),
        sqrt=(lambda x: x.abs().sqrt(), sqrt_of_input, [(4,)]),
        softmax=(softmax, lambda g,x: x*(g-(g*x).sum(-1, True)), [(3,4)])),
    '= for +=': dict(
        square=(torch.square, lambda g,x: g*x, [(3,4)]),
        gather=(lambda x: x[[2,0,2]], picked_last, [(4,3)]),
        tied=(lambda w: w@w, lambda g,w: g@w.T, [(3,3)]),
        diamond=(lambda x: x.exp()+x.sin(), lambda g,x: g*x.cos(), [(5,)]),
        cat=(lambda x: torch.cat([x, 2*x]), lambda g,x: 2*g[len(x):], [(4,)]))}

@pytest.mark.parametrize('mistake,name', [(m, n) for m,rules in WRONG.items() for n in rules])
def test_wrong_rules_are_rejected(mistake, name):
    f, vjp, shapes = WRONG[mistake][name]
    args = drawn(*shapes)
    with pytest.raises(GradientError): check_vjp(f, vjp, *args)
    assert not diagnose(f, vjp, *args).ok

EXPLAINED = {'zero': 'zero', 'sign': 'the sign', 'factor': 'a factor',
             'missing 1/n': 'a missing 1/n',
             'missing unbroadcast': 'a missing sum', 'input for output': 'input for output'}
PUZZLES = {('input for output', 'sqrt')} # this rule knows |x|, and the result is no |x|

@pytest.mark.parametrize('mistake', EXPLAINED)
def test_mistakes_are_explained(mistake):
    "Each wrong gradient of each rule, but for the puzzles, which are puzzles still."
    unexplained = set()
    for name,(f, vjp, shapes) in WRONG[mistake].items():
        wrong = [finding for finding in diagnose(f, vjp, *drawn(*shapes)) if finding.says]
        assert wrong
        for finding in wrong:
            fits = any(EXPLAINED[mistake] in w for w in finding.fits)
            if not fits: unexplained.add((mistake, name))
    assert unexplained == {p for p in PUZZLES if p[0] == mistake}

# -- kinks: no difference can judge there, so the certificates state what must come back

def above(x, lo): return torch.ones_like(x, dtype=torch.bool) if lo is None else torch.gt(x, lo)
def below(x, hi): return torch.ones_like(x, dtype=torch.bool) if hi is None else torch.lt(x, hi)
def inside_clamp(g, x, min, max): return where(above(x, min) & below(x, max), g, 0)
def all_to_each(g, x, out, shape, dim):
    return where(torch.eq(x, autograd.unsum(out, shape, dim)), autograd.unsum(g, shape, dim), 0)
KINKS = dict(
    relu=[lambda g,x: where(x>=0, g, 0)], abs=[lambda g,x: g*where(x>=0, 1., -1.)],
    maximum=[lambda g,x,y: where(x>=y, g, 0), lambda g,x,y: where(y>x, g, 0)],
    minimum=[lambda g,x,y: where(x<=y, g, 0), lambda g,x,y: where(y<x, g, 0)],
    clamp=[inside_clamp], amax=[all_to_each])

@pytest.mark.parametrize('name', KINKS)
def test_wrong_conventions_are_rejected(name):
    "Right wherever there is a slope, and another convention where there is none."
    o = getattr(ops if hasattr(ops, name) else autograd, name).op
    kept = [*o.rules]
    try:
        found_op(name).defvjp(*KINKS[name])
        row = operation_row(name)
    finally: o.rules = kept
    assert row.failed and all('kink' in w for w in row.failed), row.failed
    assert operation_row(name).failed == []
def found_op(name): return next(found(t.path, True) for t in find(name) if t.kind == 'operation')
def operation_row(name): return next(r for r in certificate(name) if r.kind == 'operation')

# -- nothing is forgotten, in either direction

def test_nothing_is_left_out():
    "Every `Op` in memory has a row, and every layer that a module has."
    assert uncertified() == []
    known = {rule_of(t).f.op for t in find() if t.kind == 'operation'}
    gc.unfreeze() # what tests/conftest.py set aside is alive, too
    alive = [o for o in gc.get_objects() if type(o) is Op]
    gc.freeze()
    assert known <= {*alive}
    loose = [o.name for o in alive if o.fn.__module__.startswith('mlfound.') and o not in known]
    assert not loose, f'no certificate for {loose}; add rows in nbs/22_Catalogue.ipynb'
    def below(cls): return {c for s in cls.__subclasses__() for c in {s} | below(s)}
    ours = [c for c in below(Module) if c.__module__.startswith('mlfound.')]
    kept = [c for c in ours if getattr(sys.modules[c.__module__], c.__name__, None) is c]
    layers = {c.__name__ for c in kept}
    certified = {t.name for t in find() if t.kind == 'layer'}
    assert layers - certified == {'TransformerNet', 'Weighted'} # its gradients are a function's

@pytest.mark.parametrize('kind', ['operation', 'composite', 'method'])
def test_what_is_new_needs_a_row(kind):
    def fresh(x): return x*1
    if kind == 'operation': fresh = autograd.op(fresh)
    fresh.__module__ = 'mlfound.ops'
    home = Var if kind == 'method' else ops
    setattr(home, 'fresh', fresh)
    if kind == 'composite': autograd.torch_functions['fresh'] = fresh
    names = dict(operation='ops.fresh', composite='torch.fresh', method='Var.fresh')
    try: assert uncertified() == [names[kind]]
    finally:
        delattr(home, 'fresh')
        autograd.torch_functions.pop('fresh', None)

def test_rows_say_where_their_rule_is():
    for t in TRIALS: assert found(t.path, t.kind == 'operation') is not None
    paths = [(t.kind, t.path) for t in TRIALS]
    assert len(paths) == len({*paths})

ATTEMPTS = [lambda f,x: f(x), lambda f,x: f(x, x), lambda f,x: f(x, 0)]
def test_what_is_excused_has_no_gradient():
    "What the catalogue lists as without a gradient never gives what can be differentiated."
    x = Var(torch.ones(2,2), requires_grad=True)
    for name in without_gradient:
        home, attribute = name.split('.', 1)
        if home == 'Var': f = getattr(Var, attribute, None)
        elif home == 'torch': f = autograd.torch_functions.get(attribute)
        else: continue
        if not callable(f): continue
        for attempt in ATTEMPTS:
            try: out = attempt(f, x)
            except Exception: continue # it takes other arguments
            assert not (isinstance(out, Var) and out.requires_grad), name

# -- a check changes nothing

STATE = '''
import sys, torch
from mlfound.autograd import Var, torch_functions
from mlfound.verify import certificate
def state():
    modules = {m for m in sys.modules if m.startswith('mlfound.')}
    rules = {n: [*f.op.rules] for n,f in torch_functions.items() if hasattr(f, 'op')}
    return {**vars(Var)}, {**torch_functions}, rules, modules, torch.random.get_rng_state().tolist()
certificate('mul') # loads what the judges need
before = state()
assert certificate('mul', 'exp', 'where').ok
assert state() == before
with torch.no_grad():
    assert certificate('exp').ok
    assert not torch.is_grad_enabled()
with torch.inference_mode(): assert certificate('neg').ok
assert torch.is_grad_enabled() and state() == before
assert 'mlfound.ops' not in sys.modules
'''
def test_a_certificate_changes_nothing():
    done = subprocess.run([sys.executable, '-c', STATE], text=True, capture_output=True)
    assert not done.returncode, done.stderr

def one_of_each():
    """A row of each kind and one from each module, those with the fewest numbers; where
    MLFOUND_CASES is set, a row of each kind from each module."""
    def numbers(t): return sum(args[i].numel() for args in t.arguments() for i in floats(args))
    rows = sorted(TRIALS, key=numbers, reverse=True) # the last of each key stays
    def home(t): return t.path.split('.')[0]
    if new: return {(t.kind, home(t)): t for t in rows}.values()
    return {*{t.kind: t for t in rows}.values(), *{home(t): t for t in rows}.values()}

def test_certificates_change_nothing_that_is_loaded():
    "Every module with a row is imported; from then on a check adds nothing and draws nothing."
    names = sorted({t.name for t in one_of_each()})
    assert len(names) > 15
    certificate('mul') # loads what the judges need
    operations = [rule_of(t).f.op for t in find() if t.kind == 'operation']
    def state():
        rules = [[*o.rules] for o in operations]
        random = torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist()
        return {**vars(Var)}, {**autograd.torch_functions}, rules, random, torch.get_default_dtype()
    before = state()
    case.cache_clear() # so that the judges are asked again
    assert certificate(*names).ok
    assert state() == before

def test_a_certificate_survives_a_rule_that_raises():
    "An error is a verdict, not the end of the table."
    kept = ops.tanh.op.rules[0]
    ops.tanh.defvjp(lambda g,out: g.sum(0))
    try: rows = certificate('tanh', 'exp')
    finally: ops.tanh.op.rules[0] = kept
    assert 'TapeError' in str(rows[0].failed) and not rows[1].failed
    assert 'FAILED' in str(rows) and '1 fail' in str(rows) and 'FAILED' in rows._repr_html_()

# -- the mutants: chapter 08 breaks every rule and asserts that all die

def test_broken_rules_are_mended():
    "After the mutants the library is what it was."
    before = {f: f.__code__ for f in parts()}
    with pytest.raises(ZeroDivisionError): mutants('tanh', judge=lambda r: 1/0)
    assert all(f.__code__ is c for f,c in before.items())
    assert certificate('tanh').ok

def test_an_excuse_must_hold(monkeypatch):
    "A mutant that nobody rejects is called equal only if it returns what the original returns."
    excuse = 'so they say', mutants_module.relu_points
    changes = [m.change for m in mutants('relu') if m.part == 'relu.defvjp']
    monkeypatch.setattr(mutants_module, 'excuses', {('relu.defvjp', c): excuse for c in changes})
    blind = [m for m in mutants('relu', judge=lambda r: []) if m.part == 'relu.defvjp']
    assert [m.change for m in blind if m.proof] == ['keep x, not out'] and len(blind) > 3

def test_cost_counts_scale():
    "Twice the examples, twice the work of a product; and float32 moves 4 bytes a number."
    one, two = (costs.count(torch.mm, torch.ones(n,8), torch.ones(8,8)) for n in (8, 16))
    assert two[0] == 2*one[0] == 2*2*8**3 and one[1] == 4*3*64
