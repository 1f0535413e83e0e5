"A wrong pass, and a list of kernels with a mistake in it, hand out no program."
import inspect
from dataclasses import replace

import pytest
import torch
import mlfound.ops # noqa: F401
from mlfound import passes
from mlfound.autograd import Var, grad, linear, relu
from mlfound.compiler import PASSES, Program, by_tape, difference, write
from mlfound.order import prove
from mlfound.passes import over
from mlfound.trace import ProgramError, record
from mlfound.training import cross_entropy

torch.set_num_threads(1)
gen = torch.Generator().manual_seed(0)
def real(*shape): return torch.randn(shape, generator=gen, dtype=torch.float64)
x, w, v, b, t = real(4, 4), real(4, 4), real(4, 4), real(4), torch.tensor([3, 0, 2, 0])

# -- functions, each of which some pass has work with

def network(x, t, w, b, v): return cross_entropy(linear(relu(linear(x, w, b)), v, b), t)
def with_its_table(x, t): # the table is read once more
    table = torch.zeros_like(x.data).scatter_(1, t[:, None], 1)
    return ((x.softmax(-1) - table)*table.exp()).sum()
def two_in_a_row(x, t):
    table = torch.zeros_like(x.data).scatter_(1, torch.stack([t, 0*t], 1), 1)
    return (x*(x.softmax(-1) - table)).sum()
def sums(x, w, b, v): return ((x@w + b)*(w@x + v) + (x@v)).tanh().sum()
def product_twice(x, w, b):
    y = x@w
    return ((y + b)*y).sum()
def shares(x, w): return (w.log_softmax(-1)*x.softmax(-1) + x.log_softmax(-1)).sum()
def pieces(x, w): return (x[1:]*w[:3]*2 + x[:3].exp()*w[1:].exp()).tanh().sum()
def used_later(x, w):
    a = (x*w).tanh()
    e = a.exp()
    return (e*a + e.T@a.T).sum()
def seen_later(x, w):
    a = x + w
    turned = a.T
    return (a.exp() + turned.sin()).sum()
def spread(x, b): return ((b*2) + x).tanh().sum()
def quotient(x): return (torch.full_like(x.data, 2.)/x).sum()
def two_values(x):
    a = x*2
    return [a, a.exp()]
def copies(x):
    z = x.data*2
    a, b = z.clone(), z.clone()
    a.mul_(3)
    c = b.exp()
    d = c.clone()
    c.mul_(2)
    return [a*b*z, c*d]
def handed_out(x):
    z = x.data*2
    return [x.data.clone(), z, z.clone()]
def zeros(x): return [torch.zeros_like(x), x*2]
def filled_twice(x):
    z = torch.ones_like(x.data)
    before = z*3
    z.mul_(2)
    return (x*before*z).sum()
def same_before_and_after(x):
    z = x.data.clone()
    before = z.exp()
    z.mul_(2)
    return (x*before*z.exp()).sum()
def drawn(x): return (x*torch.empty_like(x.data).bernoulli_(.5)*torch.rand(4)).sum()
def drawn_for_nothing(x):
    torch.rand(4)
    return (x*torch.rand(4)*torch.rand(4)).sum()
def slopes(x, w):
    vs = [Var(t, requires_grad=True) for t in (x, w)]
    gs = grad(sums(*vs, vs[1][0], vs[0]), vs, create_graph=True)
    return list(grad((gs[0]*gs[1]).sum(), vs))
def the_sum(x, w): return (x + w).sum() # both gradients are ones
def named_alike(w, g_w): return (w*g_w).sum() # as a program calls its gradient

zoo = {network: (x, t, w, b, v), with_its_table: (x, t), two_in_a_row: (x, t), sums: (x, w, b, v),
       product_twice: (x, w, b), shares: (x, w), pieces: (x, w), used_later: (x, w),
       filled_twice: (x,), same_before_and_after: (x,), drawn: (x,), drawn_for_nothing: (x,),
       slopes: (x, w), the_sum: (x, w), named_alike: (x, w),
       seen_later: (x, w), spread: (x, b), quotient: (x,),
       two_values: (x,), zeros: (x,), copies: (x,), handed_out: (x,)}
certain = [f for f in zoo if not f.__name__.startswith('drawn')]
def wrt_of(f): return () if f in (slopes, two_values, zeros, copies, handed_out) else None

@pytest.mark.parametrize('f', zoo, ids=lambda f: f.__name__)
def test_the_sound_passes_please(f):
    write(f, *zoo[f], wrt=wrt_of(f))

# -- passes with a mistake: the function, what its source says, what it says then

MISTAKES = """
alive: if content: stamps.add(r.stamp) → pass
alive: {*stamps, *listing.kept} → stamps
alive: names & {*line.names} → names & {*line.names[1:]}
fewer_views: return listing.root(n), listing.facts[n] → return listing.facts[n]
fewer_views: listing.root(n), listing.facts[n] → listing.root(n), listing.facts[n].shape
merged: _key(l) → str(l.kernel)
merged: _key(l) → (str(l.kernel), str(mapped(l.args, lambda r: r.name)))
merged: and not is_random(l.kernel) →
fewer_copies: {*busy, *outside, *out} → {*busy, *out}
fewer_copies: {*busy, *outside, *out} → {*busy, *outside}
fewer_copies: {*busy, *outside, *out} → {*outside, *out}
fewer_copies: and l.names[0] not in busy →
fills: or listing.root(l.names[0]) in busy →
_number: return FILLED[name] → return 1 + FILLED[name]
folded: l.args[1]==1 → l.args[1]
_by_number: if 'mul' in name_of(line) and isinstance → if isinstance
no_table: at.name, -v → at.name, v
_table: shape and shape[dim]==1 → shape
one_exp: repr(l.args) → repr(l.args[1:])
_picked: ('neg', 'mean', 'gather') → ('mean', 'gather')
addmms: (rest, *mm.args) → (rest, *mm.args[::-1])
hoisted: not inputs(l) → True
hoisted: not {*l.homes} & out → True
into_buffers: buffer = unused(f'g_{word}', homes) → buffer = 'g'
into_buffers: unused(f'g_{word}', homes) → f'g_{word}'
into_buffers: grads[i] = Read(buffer, number) → pass
in_place: if not free(listing, k, l): continue →
free: not any(listing.root(r.name)==root for r in later) → True
free: not any(listing.root(r.name)==root for r in later) → not any(r.name==a.name for r in later)
free: + listing.results() →
free: not whole or not ours or beside → not whole or beside
free: not whole or not ours or beside → not ours or beside
"""

def parted(line):
    "The function, what its source says, and the mistake."
    name, change = line.split(': ', 1)
    old, new = change.split(' →')
    return getattr(passes, name), old, new.strip()

def mistaken(f, old, new):
    "The function with its source changed."
    source = inspect.getsource(f)
    assert old in source, f'{f.__name__} does not say {old!r}'
    space = {}
    exec(compile(source.replace(old, new), f.__name__, 'exec'), vars(passes), space)
    return space[f.__name__]

@pytest.mark.parametrize('f,old,new', [*map(parted, MISTAKES.strip().splitlines())],
                         ids=lambda a: getattr(a, '__name__', None))
def test_a_pass_with_a_mistake_is_refused(f, old, new, monkeypatch):
    wrong = mistaken(f, old, new)
    monkeypatch.setattr(passes, f.__name__, wrong)
    mine = [getattr(passes, p.__name__) for p in PASSES]
    for g, args in zoo.items():
        try: write(g, *args, wrt=wrt_of(g), passes=mine)
        except (ProgramError, RuntimeError, TypeError, KeyError, IndexError): return
    pytest.fail('a program was handed out for each function')

# -- lists with a mistake

def mutants(listing):
    "Two lines change places; a line is lost; a result is written over an argument that is in use."
    lines = listing.lines
    for k in range(len(lines)):
        yield 'lost', listing.but([*lines[:k], *lines[k+1:]])
        if k: yield 'swapped', listing.but([*lines[:k-1], lines[k], lines[k-1], *lines[k+1:]])
        l = lines[k]
        kernel = over(l.kernel) if len(l.names)==1 and not l.writes and not l.kwargs else None
        if not kernel: continue
        home = l.args[0].name
        homes = listing.homes | {l.names[0]: home}
        there = replace(l, kernel=kernel, homes=(home,), writes=(listing.root(home),))
        yield 'over', listing.but([*lines[:k], there, *lines[k+1:]], homes=homes)

@pytest.mark.parametrize('f', certain, ids=lambda f: f.__name__)
def test_a_list_with_a_mistake_is_refused(f):
    listing = record(f, zoo[f], wrt_of(f))
    for a_pass in PASSES: listing = a_pass(listing)
    prove(listing)
    want, refused, equal = by_tape(f, listing, zoo[f]), 0, 0
    for kind, mutant in mutants(listing):
        try:
            prove(mutant)
            got = Program(mutant).function(*zoo[f])
        except ProgramError: refused += 1
        else:
            assert difference(got, want) <= 1e-12, f'{kind}:\n{mutant}'
            equal += 1
    assert refused > equal
