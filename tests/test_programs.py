"Programs equal the tape: on the catalogue's operations and on random graphs, both orders."
import functools
import os
import runpy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
import mlfound.conv # noqa: F401
import mlfound.module
import mlfound.ops # noqa: F401
from mlfound import verify
from mlfound.autograd import Var, grad, linear
from mlfound.catalogue import TRIALS, floats
from mlfound.compiler import EXACT, PASSES, by_tape, difference, drawn_like, write
from mlfound.convnet import ConvNet, Plan, Team, tape_scores
from mlfound.trace import ProgramError
from mlfound.training import cross_entropy
from oracle import dot
from test_graphs import programs, run

torch.set_num_threads(1)
many = int(os.environ.get('MLFOUND_PROGRAMS', 0)) # random graphs; 0 is a sample of everything
graphs = settings(max_examples=many or 5, derandomize=True, deadline=None, database=None,
                  suppress_health_check=list(HealthCheck))

def agree(f, args, wrt, bounds=(0., 1e-12)):
    "Write `f` without and with the passes that change kernels, and compare on other numbers."
    for passes, bound in zip((EXACT, PASSES), bounds):
        try: program = write(f, *args, wrt=wrt, passes=passes)
        except ProgramError as e:
            assert 'draws from a torch.Generator' in str(e) # a layer that draws its weights
            return
        gen = torch.Generator().manual_seed(1)
        tensors = [drawn_like(t, gen) for t in args]
        torch.manual_seed(0)
        want = by_tape(f, program.listing, tensors)
        torch.manual_seed(0)
        try: got = program.function(*tensors)
        except ValueError as e:
            assert 'written for numbers' in str(e)
            continue
        assert difference(got, want) <= bound, program.source

def calls(trial):
    "The calls of a row, or one of them, the same at every run."
    rule = verify.rule_of(trial)
    at = range(len(rule.calls))
    return rule, [rule.calls[k] for k in (at if many else at[len(trial.name)%len(at):][:1])]

@pytest.mark.parametrize('trial', TRIALS if many else TRIALS[3::9], ids=lambda t: t.name)
def test_every_rule(trial, monkeypatch):
    monkeypatch.setattr(verify, '_same_value', lambda *a: None) # it compares numbers
    rule, chosen = calls(trial)
    for args in chosen:
        at, gen = floats(args), torch.Generator().manual_seed(0)
        g = torch.randn(rule.f(*args).shape, generator=gen, dtype=torch.float64)
        ds = [torch.randn(args[i].shape, generator=gen, dtype=torch.float64)
              for i in rule.of(args)]
        def filled(xs):
            return [xs[at.index(i)] if i in at else a for i, a in enumerate(args)]
        def first(g, *xs): return list(rule.first(g, *filled(xs)))
        def second(g, *xs):
            return list(rule.second(g, [*xs[:len(ds)]], *filled(xs[len(ds):])))
        agree(first, [g, *(args[i] for i in at)], ())
        if trial.kind == 'operation':
            agree(first, [t.float() for t in (g, *(args[i] for i in at))], (), (0., 1e-6))
        if rule.second: agree(second, [g, *ds, *(args[i] for i in at)], ())

@graphs
@given(programs())
def test_random_graphs(program):
    shapes, steps, outputs, seed = program
    gen = torch.Generator().manual_seed(seed)
    leaves = [torch.randn(s, generator=gen, dtype=torch.float64) for s in shapes]
    ys = run(leaves, steps, outputs)
    gs = [torch.randn(y.shape, generator=gen, dtype=torch.float64) for y in ys]
    ds = [torch.randn(x.shape, generator=gen, dtype=torch.float64) for x in leaves]
    def value(*leaves): return dot(run(leaves, steps, outputs), gs)
    def slopes(*leaves):
        vs = [Var(x, requires_grad=True) for x in leaves]
        again = dot(grad(value(*vs), vs, create_graph=True), ds)
        return list(grad(again, vs)) if isinstance(again, Var) and again.requires_grad else []
    if not any(isinstance(v, Var) and v.requires_grad for v in
               [value(*(Var(x, requires_grad=True) for x in leaves))]): return
    agree(value, leaves, None)
    agree(slopes, leaves, ())

def test_a_network_with_convolutions():
    gen = torch.Generator().manual_seed(0)
    x, targ = torch.rand(4, 1, 8, 8, generator=gen), torch.tensor([0, 2, 1, 2])
    k, b = torch.randn(3, 1, 3, 3, generator=gen), torch.zeros(3)
    w, c = torch.randn(48, 3, generator=gen), torch.zeros(3)
    def loss(x, targ, k, b, w, c):
        a = F.max_pool2d(torch.relu(F.conv2d(x, k, b, padding=1)), 2)
        return cross_entropy(linear(a.reshape(len(x), -1), w, c), targ)
    args = x, targ, k, b, w, c
    for passes, bound in ((EXACT, 0.), (PASSES, 1e-6)):
        program = write(loss, *args, wrt=['k', 'b', 'w', 'c'], passes=passes)
        assert difference(program(*args), by_tape(loss, program.listing, args)) <= bound

def equals_the_tape(loss, args):
    "Exactly before the passes that change kernels, and nearly after them."
    for passes, bound in ((EXACT, 0.), (PASSES, 1e-6)):
        program = write(loss, *args, wrt=['params'], passes=passes)
        assert difference(program(*args), by_tape(loss, program.listing, flat(args))) <= bound

def flat(args): return [t for a in args for t in (a if isinstance(a, list) else [a])]

def test_the_convolutional_network():
    gen = torch.Generator().manual_seed(0)
    net = ConvNet(Plan([[2,3,0], [3,2,0]], side=8, classes=3), gen)
    layers = [*(look for look,_ in net.blocks), net.last]
    params = [p for l in layers for p in (l.w, l.b)]
    def loss(x, targ, params):
        own = {id(l): params[2*k:2*k+2] for k,l in enumerate(layers)}
        return cross_entropy(tape_scores(net, x, lambda l: own[id(l)], Team()), targ)
    equals_the_tape(loss, [torch.rand(4, 64, generator=gen), torch.tensor([0, 2, 1, 2]), params])

def test_a_network_that_attends():
    from mlfound.transformer import transformer_loss
    from mlfound.transformerplan import (TransformerPlan, init_transformer, transformer_tensors,
                                         with_tensors)
    plan = TransformerPlan(classes=5, length=6, tokens=5, width=8, heads=2)
    gen = torch.Generator().manual_seed(0)
    params = init_transformer(plan, gen, torch.float64)
    x, y = torch.randint(5, (3, 6), generator=gen), torch.randint(5, (3, 6), generator=gen)
    args = x, y, *transformer_tensors(params).values()
    def loss(x, y, *ts): return transformer_loss(x, y, with_tensors(params, ts), plan)
    for passes, bound in ((EXACT, 0.), (PASSES, 1e-12)):
        program = write(loss, *args, passes=passes)
        assert difference(program(*args), by_tape(loss, program.listing, args)) <= bound

def attending():
    "A small network that attends: tokens, classes, its tensors, its structure, its plan."
    from mlfound.transformerplan import TransformerPlan, init_transformer, transformer_tensors
    plan = TransformerPlan(classes=5, length=6, tokens=5, width=8, heads=2)
    gen = torch.Generator().manual_seed(0)
    params = init_transformer(plan, gen, torch.float64)
    x, y = torch.randint(5, (3, 6), generator=gen), torch.randint(5, (3, 6), generator=gen)
    return x, y, [*transformer_tensors(params).values()], params, plan

def test_its_backward_pass_by_hand():
    "It writes into halves of a buffer, gives a structure, and is a program as well."
    from mlfound.transformer import transformer_loss_and_gradients as by_hand
    from mlfound.transformerplan import with_tensors
    x, y, ts, params, plan = attending()
    def step(x, y, ts): return by_hand(x, y, with_tensors(params, ts), plan)
    others = [t + .01 for t in ts]
    want, grads = step(x, y, others)
    for passes, bound in ((EXACT, 0.), (PASSES, 1e-12)):
        (value, found), _ = write(step, x, y, ts, wrt=(), passes=passes)(x, y, others)
        assert difference(value, want) <= bound and difference(found, list(grads)) <= bound
    with pytest.raises(TypeError, match='an item of params is of type list; pass tensors'):
        write(by_hand, x, y, params, plan, wrt=())

def test_its_layers():
    from mlfound.transformer import TokenLoss, Transformer
    from mlfound.transformerplan import transformer_tensors, with_tensors
    x, y, ts, params, plan = attending()
    def step(x, y, ts):
        net = Transformer.holding(with_tensors(params, [t.detach() for t in ts]), plan)
        loss = TokenLoss()
        value = loss(net(x), y)
        net.backward(loss.backward())
        return [value, *[t.grad for t in transformer_tensors(net.params).values()]]
    others = [t + .01 for t in ts]
    got, _ = write(step, x, y, ts, wrt=(), passes=EXACT)(x, y, others)
    assert difference(got, step(x, y, others)) == 0

def test_what_a_network_draws_and_counts():
    "A mask may be an argument; torch's own draws are lines; a generator and a count are refused."
    v, mask = torch.rand(4, 3) + 1, torch.tensor([1., 0., 1.])
    def masked(v, mask): return (v*mask*1.5).sum()
    assert write(masked, v, mask, wrt=['v'])(v, 1 - mask)[1][0].tolist() == [[0, 1.5, 0]]*4
    drawn = write(lambda v: F.dropout(v, .5).sum(), v)
    assert drawn(v)[0] != drawn(v)[0]
    mean, var = torch.zeros(3), torch.ones(3)
    def counted(v): return (F.batch_norm(v, mean, var, training=True)*v).sum()
    with pytest.raises(ProgramError, match='changes c1 in place, which comes from outside'):
        write(counted, v)

scale, one, two = torch.full((3,), 2.), *torch.full((2, 3), 3.)

def captured():
    "Functions of x that use a tensor from outside, what it holds, and what a program calls it."
    inner, held, table = torch.full((3,), 5.), [torch.full((3,), 6.)], {'k': torch.full((3,), 7.)}
    class Holder:
        def __init__(self): self.t = torch.full((3,), 8.)
        def method(self, x): return (x*self.t).sum()
        def __call__(self, x): return (x*self.t).sum()
    def enclosed(x): return (x*inner).sum()
    def nested(x):
        def within(x): return x*inner
        return within(x).sum()
    def default(x, given=inner): return (x*given).sum()
    def parted(x, given): return (x*given).sum()
    @functools.wraps(enclosed)
    def wrapped(x): return enclosed(x)
    var = Var(inner, requires_grad=True)
    def tracked(x): return (x*var).sum()
    def local(x):
        F = x*x
        float = F*scale
        return float.cumprod(0).sum() + (float/scale).sum()
    def twice(x): return (x*one).sum() + (x*two).sum()
    def itself(x): return (x*x*inner).sum()
    itself.__name__ = 'inner'
    layer = mlfound.module.Linear(3, 3)
    def layered(x): return linear(x[None], layer.w, layer.b).sum()
    yield from ((enclosed, ['inner']), (nested, ['inner']), (default, ['given']),
                (wrapped, ['inner']), (functools.partial(parted, given=inner), ['given']),
                (tracked, ['var']),
                (lambda x: (x*held[0]).sum(), ['c1']), (lambda x: (x*table['k']).sum(), ['c1']),
                (Holder().method, ['c1']), (Holder(), ['c1']), (local, ['scale']),
                (lambda x: (x*scale).sum(), ['scale']), (twice, ['one', 'two']),
                (itself, ['c1']), (layered, ['c1', 'c2']))

@pytest.mark.parametrize('f,names', [*captured()], ids=lambda a: getattr(a, '__name__', None))
def test_a_tensor_from_outside_is_listed_and_saved(f, names, tmp_path):
    x = torch.tensor([1., 2., 3.])
    for wrt in (None, ()):
        program = write(f, x, wrt=wrt)
        assert [*program.constants] == names
        want = by_tape(f, program.listing, [x + 1])
        assert difference(program(x + 1), want) <= 1e-6
        program.save(tmp_path/'saved.py')
        saved = runpy.run_path(str(tmp_path/'saved.py'))
        assert difference(saved[program.listing.name](x + 1), want) <= 1e-6

def test_a_kernel_that_gives_nothing_in_some_places():
    def back(g, x):
        _, mean, scale = torch.native_layer_norm(x, x.shape[-1:], None, None, 1e-5)
        wanted = [True, False, False]
        return torch.ops.aten.native_layer_norm_backward(g, x, x.shape[-1:], mean, scale,
                                                         None, None, wanted)[0]
    g, x = torch.rand(2, 3, 4)
    program = write(back, g, x, wrt=())
    assert torch.equal(program(x, g)[0], back(x, g)), program.source
