"""PyTorch's own sample inputs for the operations that the tape has: the same values, first and
second order, or a refusal by name; how many of each is written down for each operation."""
import json, operator, re, sys, warnings
from collections import Counter
from itertools import islice
from pathlib import Path
import pytest, torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map
from mlfound.autograd import Var, torch_functions
from mlfound.catalogue import without_gradient
import mlfound.blockwise # noqa: F401
import mlfound.conv # noqa: F401
from oracle import Allowed, compare, new

# For each operation how many samples agree, and how many are refused for what; with that PyTorch.
# After a change: python tests/test_sample_inputs.py
path = Path(__file__).with_name('sample_inputs.json')
known = json.loads(path.read_text(encoding='utf-8'))

def attends(*args, **kw):
    "By PyTorch's plain steps: its fused ones have no second order."
    with sdpa_kernel(SDPBackend.MATH):
        return torch.nn.functional.scaled_dot_product_attention(*args, **kw)

FORMS = {'nn.functional.scaled_dot_product_attention': attends} | dict(
    __getitem__=operator.getitem, __radd__=lambda x,y: y+x, __rsub__=lambda x,y: y-x,
    __rmul__=lambda x,y: y*x, __rdiv__=lambda x,y: y/x, __rpow__=lambda x,y: y**x,
    __rmatmul__=lambda x,y: y@x, mT=lambda x: x.mT, T=lambda x: x.T,
    expand=lambda x,*a: x.expand(*a), sum_to_size=lambda x,*a: x.sum_to_size(*a))

def database():
    from torch.testing._internal.common_methods_invocations import op_db
    return op_db

def samples(name):
    "An operation's sample inputs, as pairs of a function and its arguments."
    entries = [o for o in database() if o.name == name]
    plain = [o for o in entries if not o.variant_test_name] # variants are sums over named axes
    for o in plain or entries:
        for s in o.sample_inputs('cpu', torch.float64, requires_grad=True):
            yield FORMS.get(name, o.op), (s.input, s.args, s.kwargs)

class Pair: # PyTorch's tensor and ours, held together while a tree of arguments is split in two
    def __init__(self, theirs, ours): self.theirs, self.ours = theirs, ours

def split(arguments):
    "The arguments for PyTorch and for the tape, and the leaves of both."
    ts, vs = [], []
    def pair(x):
        if not isinstance(x, torch.Tensor): return Pair(x, x)
        if not x.requires_grad: return Pair(x.clone(), x) # running averages change in place
        t = x.detach().clone(memory_format=torch.preserve_format)
        ts.append(t.requires_grad_())
        vs.append(Var(x.detach(), requires_grad=True))
        return Pair(ts[-1], vs[-1])
    pairs = tree_map(pair, arguments)
    return tree_map(lambda p: p.theirs, pairs), tree_map(lambda p: p.ours, pairs), ts, vs

# Of a row of one number, PyTorch's rounding divided by the root of eps is all its gradient.
ALLOWED = {'nn.functional.layer_norm': Allowed(first=1e-9)}
REFUSALS = TypeError, ValueError, NotImplementedError
def outcome(f, arguments, name):
    "'agrees', or the type of a refusal by name; `AssertionError` where a sample differs."
    (x, a, kw), (vx, va, vkw), ts, vs = split(arguments)
    want = f(x, *a, **kw)
    try: got = f(vx, *va, **vkw)
    except REFUSALS as e:
        assert re.match(r'[\w.]+: ', str(e)), f'{name}: refused without a name: {e}'
        return type(e).__name__
    if not isinstance(want, (tuple, list)): got, want = [got], [want]
    tracked = [k for k,w in enumerate(want) if w.requires_grad]
    for g,w in zip(got, want, strict=True):
        assert w.requires_grad == getattr(g, 'requires_grad', False), f'{name}: is it tracked?'
    got, want = [got[k] for k in tracked], [want[k] for k in tracked]
    allowed = ALLOWED.get(name, Allowed())
    compare(got, want, vs, ts, torch.Generator().manual_seed(0), name, allowed)
    return 'agrees'

# What later versions of PyTorch have samples of, and the tape refuses: weights of one axis.
LATER = {'nn.functional.linear': ['ValueError']}

# 1,440 samples are every mixture of seven settings: one in so many, but where MLFOUND_CASES is set.
STEP = {} if new else {'nn.functional.max_pool2d': 7}

def counted(name, step=1):
    with warnings.catch_warnings(): # torch's own, about its sample inputs
        warnings.simplefilter('ignore')
        tried = islice(samples(name), 0, None, step)
        return Counter(outcome(f, arguments, name) for f,arguments in tried)

@pytest.mark.parametrize('name', [n for n in known if n != 'torch'])
def test_samples(name):
    why = "PyTorch's sample inputs need what is not installed here: pip install expecttest"
    pytest.importorskip('torch.testing._internal.common_methods_invocations', reason=why)
    step = STEP.get(name, 1)
    found, all_known = dict(counted(name, step)), known[name]
    if step > 1: all_known = {k: -(-n//step) for k,n in all_known.items()}
    assert found.get('agrees', 0) > 0
    if torch.__version__.split('+')[0] == known['torch']: assert found == all_known
    else: assert {*found} <= {*known[name], *LATER.get(name, [])}, 'refused with another error'

def reachable(name):
    "Is this operation one that the tape has, with a gradient, under a name of PyTorch's?"
    plain = name.removeprefix('nn.functional.').replace('.', '_')
    return name in FORMS or plain in torch_functions and f'torch.{plain}' not in without_gradient

def reached():
    return sorted({o.name for o in database() if reachable(o.name) and o.supports_autograd})

def test_nothing_is_left_out():
    "Every operation that the tape has under PyTorch's name, and that PyTorch has samples for."
    pytest.importorskip('expecttest', reason="PyTorch's sample inputs need expecttest")
    assert {*reached()} == {*known} - {'torch'}

def main():
    "Write down what PyTorch's samples give now; look at the difference before you commit it."
    table = dict(torch=torch.__version__.split('+')[0])
    for name in reached(): table[name] = dict(sorted(counted(name).items()))
    rows = [f'{json.dumps(name)}: {json.dumps(counts)}' for name,counts in table.items()]
    path.write_text('{' + ',\n '.join(rows) + '}\n', encoding='utf-8')

if __name__ == '__main__': sys.exit(main())
