"PyTorch's own sample inputs for the operations that the tape has: the same values, first and second order, or a refusal by name."
import operator, warnings
import pytest, torch
from torch.utils._pytree import tree_map
from mlfound.autograd import Var, grad
import mlfound.ops # noqa: F401
from oracle import close, dot, random_like, second, torch_grad

NAMES = '''add sub mul div neg pow __radd__ __rsub__ __rmul__ __rdiv__ __rpow__ __rmatmul__ matmul transpose permute mT T
    exp log log1p sqrt tanh sigmoid nn.functional.relu abs clamp maximum minimum where sum mean var amax amin cumsum
    logsumexp softmax log_softmax linalg.vector_norm reshape expand sum_to_size squeeze unsqueeze flip
    __getitem__ gather cat stack nn.functional.linear nn.functional.mse_loss'''.split()
FORMS = dict(__getitem__=operator.getitem, __radd__=lambda x,y: y+x, __rsub__=lambda x,y: y-x, __rmul__=lambda x,y: y*x,
             __rdiv__=lambda x,y: y/x, __rpow__=lambda x,y: y**x, __rmatmul__=lambda x,y: y@x, mT=lambda x: x.mT, T=lambda x: x.T,
             expand=lambda x,*a: x.expand(*a), sum_to_size=lambda x,*a: x.sum_to_size(*a))
REFUSED = 'alpha', 'rounding_mode', 'reduction', 'unbiased' # what PyTorch's operations take and the tape's do not

@pytest.fixture(scope='module')
def samples():
    "A function that gives an operation's sample inputs, as pairs of a function and its arguments."
    why = "PyTorch's sample inputs need what is not installed here: pip install expecttest"
    db = pytest.importorskip('torch.testing._internal.common_methods_invocations', reason=why)
    def of(name):
        for o in db.op_db:
            if o.name==name and not (name in ('sum','mean') and o.variant_test_name): # variants are sums over named axes
                for s in o.sample_inputs('cpu', torch.float64, requires_grad=True): yield FORMS.get(name, o.op), (s.input, s.args, s.kwargs)
    return of

class Pair: # PyTorch's tensor and ours, held together while a tree of arguments is split in two
    def __init__(self, theirs, ours): self.theirs,self.ours = theirs,ours

def split(arguments):
    "The arguments for PyTorch and for the tape, and the leaves of both."
    ts,vs = [], []
    def pair(x):
        if not (isinstance(x, torch.Tensor) and x.requires_grad): return Pair(x, x)
        ts.append(x.detach().clone(memory_format=torch.preserve_format).requires_grad_())
        vs.append(Var(x.detach(), requires_grad=True))
        return Pair(ts[-1], vs[-1])
    pairs = tree_map(pair, arguments)
    return tree_map(lambda p: p.theirs, pairs), tree_map(lambda p: p.ours, pairs), ts, vs

def agrees(f, arguments):
    "Raise `AssertionError` where a sample differs; False if the tape refuses one of `REFUSED` by its name."
    (x,a,kw),(vx,va,vkw),ts,vs = split(arguments)
    want = f(x, *a, **kw)
    try: got = f(vx, *va, **vkw)
    except TypeError as e:
        if any(repr(k) in str(e) for k in REFUSED): return False
        raise
    close(getattr(got, 'data', got), want.detach(), 1e-12, 'value')
    assert want.requires_grad == getattr(got, 'requires_grad', False)
    if not want.requires_grad: return True
    gen = torch.Generator().manual_seed(0)
    g,ds = random_like(gen, want.detach()), [random_like(gen, t.detach()) for t in ts]
    wants,gots = torch_grad(want, ts, g, create_graph=True), grad(got, vs, g, create_graph=True)
    for p,q,w in zip(grad(got, vs, g), gots, wants, strict=True):
        close(p, w.detach(), 1e-10, 'gradient')
        close(q.data, w.detach(), 1e-10, 'gradient with create_graph')
    for p,w in zip(second(dot(gots, ds), vs, grad), second(dot(wants, ds), ts, torch_grad), strict=True): close(p, w, 1e-9, 'second order')
    return True

@pytest.mark.parametrize('name', NAMES)
def test_samples(name, samples):
    with warnings.catch_warnings(): # torch's own, about its sample inputs
        warnings.simplefilter('ignore')
        agreed = [agrees(f, arguments) for f,arguments in samples(name)]
    assert any(agreed), f'PyTorch has no sample inputs for {name}; take it from the list'
