"Random expressions of many operations: values used twice, shared leaves, several outputs."
import torch
from hypothesis import given, strategies as st
from mlfound.autograd import Var
import mlfound.ops # noqa: F401
from oracle import Allowed, compare, drawn

leaf_shapes = st.sampled_from([(), (3,), (1,3), (2,1), (2,3), (2,2,3)])
def with_axes(f): return lambda x: f(x) if x.ndim else x
def gathered(x): return x.gather(-1, torch.zeros(x.shape, dtype=torch.long))
WITH_AXES = [
    lambda x: x.cumprod(0), lambda x: x.roll(1, -1), lambda x: x.max(-1)[0], lambda x: x.sort(0)[0],
    lambda x: x.split(1, -1)[0], lambda x: x.movedim(0, -1),
    lambda x: x.sum(-1), lambda x: x.mean(0, keepdim=True), lambda x: x.var(-1, correction=0),
    lambda x: x.softmax(-1), lambda x: x.log_softmax(0), lambda x: x.logsumexp(0, True),
    lambda x: x.cumsum(-1), lambda x: x.flip(0), lambda x: x[...,[0,0]],
    lambda x: torch.cat([x, x], -1), lambda x: x.permute(*range(x.ndim)[::-1]),
    lambda x: x.mT if x.ndim>1 else x, gathered]
UNARY = [
    torch.tanh, torch.sigmoid, torch.relu, abs, lambda x: -x, lambda x: x**3,
    lambda x: (.3*x).exp(), lambda x: (x*x+1).log(), lambda x: (x*x).log1p(),
    lambda x: (x*x+.5).sqrt(), lambda x: x.clamp(-.7, .9), lambda x: x.amax(),
    lambda x: x.reshape(-1), lambda x: x.unsqueeze(0), lambda x: x[...,:1],
    lambda x: torch.stack([x, x*2]), lambda x: torch.linalg.vector_norm(x+3),
    torch.sin, torch.nn.functional.silu, torch.square, lambda x: x.prod(), lambda x: x.flatten(),
    lambda x: torch.einsum("...,...->", x, x), lambda x: x.repeat(2, *[1]*x.ndim),
    *map(with_axes, WITH_AXES)]
BINARY = [
    lambda a,b: a+b, lambda a,b: a-b, lambda a,b: a*b, lambda a,b: a/(b*b+1),
    lambda a,b: (a*a+.1)**torch.tanh(b), lambda a,b: a@b, torch.maximum, torch.minimum,
    lambda a,b: torch.where(a>b, a*2, b)]

@st.composite
def programs(draw):
    "Shapes of leaves, steps (unary or not, which, on which values), how many outputs, a seed."
    step = st.tuples(st.booleans(), *[st.integers(0, 99)]*3)
    leaves = draw(st.lists(leaf_shapes, min_size=1, max_size=4))
    steps = draw(st.lists(step, min_size=2, max_size=14))
    return leaves, steps, draw(st.integers(1, 3)), draw(st.integers(0, 10**6))

def run(leaves, steps, outputs):
    "The last values that the program makes."
    values = list(leaves)
    for unary,f,i,j in steps:
        a,b = values[-1-i%min(len(values), 6)], values[-1-j%len(values)]
        try: y = UNARY[f%len(UNARY)](a) if unary else BINARY[f%len(BINARY)](a, b)
        except (RuntimeError, IndexError): continue # shapes that do not fit, for both alike
        if y.numel() <= 200: values.append(.5*y)
    return values[-outputs:]

@drawn(times=3)
@given(programs())
def test_random_graphs(program):
    shapes, steps, outputs, seed = program
    gen = torch.Generator().manual_seed(seed)
    raw = [torch.randn(s, generator=gen, dtype=torch.float64) for s in shapes]
    ts, vs = [a.clone().requires_grad_() for a in raw], [Var(a, requires_grad=True) for a in raw]
    want, got = run(ts, steps, outputs), run(vs, steps, outputs)
    compare(got, want, vs, ts, gen, str(program), Allowed(first=1e-9, second=1e-8, graph=1e-9))
