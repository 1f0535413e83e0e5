"Where torch raises, the tape raises: PyTorch's own error inputs, and axes that do not exist."
import pytest, torch, torch.nn.functional as F
from torch.utils._pytree import tree_map
from mlfound.autograd import Var, torch_functions
from mlfound import ops
import mlfound.blockwise # noqa: F401 (attention's names)
import mlfound.conv # noqa: F401 (those of convolution)
from oracle import agrees

rng = torch.Generator().manual_seed(0)
def rand(*shape): return torch.randn(shape, generator=rng, dtype=torch.float64)
def leaf(*shape): return Var(rand(*shape), requires_grad=True)
ERRORS = RuntimeError, ValueError, TypeError, IndexError, NotImplementedError

def refused(error):
    "Is this a refusal? A recursion without end is none, though Python counts it as `RuntimeError`."
    return isinstance(error, ERRORS) and not isinstance(error, RecursionError)

# -- PyTorch's list: how many of its inputs torch refuses here, by name

REFUSED = dict(
    __radd__=2, __rmul__=2, __ror__=2, amax=7, amin=7, atan2=3, cat=14, clamp_max=2,
    clamp_min=2, diag=2, diag_embed=6, diagonal=6, dot=3, eq=2, fliplr=1, flipud=1, fmod=2,
    gather=8, ge=2, gt=2, index_select=1, isclose=5, item=4, le=2, logical_and=3,
    logical_or=3, logical_xor=3, lt=2, masked_fill=3, max=3, maximum=3, mean=2, min=3,
    minimum=3, movedim=9, narrow=9, ne=2, neg=1, pow=1, remainder=1, reshape=8,
    reshape_as=2, roll=4, rot90=3, rsub=2, scatter=4, scatter_add=4, sum_to_size=2, t=1,
    trace=1, tril=1, triu=1, unbind=2, view=8, view_as=2,
    **{'nn.functional.huber_loss': 3, 'nn.functional.l1_loss': 2,
       'nn.functional.adaptive_avg_pool2d': 3, 'nn.functional.avg_pool2d': 5,
       'nn.functional.conv2d': 10, 'nn.functional.max_pool2d': 7,
       'nn.functional.embedding': 2, 'nn.functional.gelu': 1})
if torch.__version__.startswith('2.15.'): REFUSED |= dict(amax=8, amin=8)

@pytest.fixture(scope='module')
def database():
    why = "PyTorch's error inputs need what is not installed here: pip install expecttest"
    db = pytest.importorskip('torch.testing._internal.common_methods_invocations', reason=why).op_db
    return {info.name: info for info in db if info.error_inputs_func}

def error_of(call):
    "The error that `call` raises, or None."
    try: call()
    except Exception as e: return e

def tracked(x):
    floating = isinstance(x, torch.Tensor) and x.is_floating_point()
    return Var(x.detach(), requires_grad=True) if floating else x

def refused_by_torch(info):
    "The arguments on the list that torch really refuses."
    for e in info.error_inputs('cpu'):
        x,args,kwargs = e.sample_input.input, e.sample_input.args, e.sample_input.kwargs
        if error_of(lambda: info.op(x, *args, **kwargs)): yield x, args, kwargs

@pytest.mark.parametrize('name', REFUSED)
@pytest.mark.filterwarnings('ignore')   # torch's, about its own inputs
def test_where_torch_raises_the_tape_raises(name, database):
    info,count = database[name],0
    for arguments in refused_by_torch(info):
        x,args,kwargs = tree_map(tracked, arguments)
        error = error_of(lambda: info.op(x, *args, **kwargs))
        assert refused(error), f'{name} of {arguments}: {error!r}'
        assert 'no such operation' not in str(error)
        count += 1
    assert count==REFUSED[name]

@pytest.mark.filterwarnings('ignore')
def test_no_name_is_left_out(database):
    "Every name on PyTorch's list that a Var knows is counted above."
    def ours(n):
        n = n.removeprefix('nn.functional.').replace('.', '_')
        return hasattr(Var, n) or n in torch_functions
    known = {n for n in database if ours(n) and any(refused_by_torch(database[n]))}
    assert known <= {*REFUSED}, f'count the error inputs of {sorted(known-{*REFUSED})}'

# -- axes

def norm(x, d, ord=2): return torch.linalg.vector_norm(x, ord, dim=d)
AXIS = {n: lambda x,d,n=n: getattr(x, n)(d) for n in
        'sum mean var amax amin logsumexp softmax log_softmax cumsum flip squeeze'.split()}
AXIS |= dict(
    transpose=lambda x,d: x.transpose(0, d), permute=lambda x,d: x.permute(0, d),
    gather=lambda x,d: x.gather(d, torch.zeros(1, 1, dtype=torch.long)),
    cat=lambda x,d: torch.cat([x, x], d), norm=norm, max_norm=lambda x,d: norm(x, d, torch.inf))
PLACE = dict(unsqueeze=lambda x,d: x.unsqueeze(d),      # one more place than axes
             stack=lambda x,d: torch.stack([x, x], d))

@pytest.mark.parametrize('name', [*AXIS, *PLACE])
def test_an_axis_that_is_not_there(name):
    f,n = (AXIS[name],2) if name in AXIS else (PLACE[name],3)
    for d in (n, -n-1, 5, 77, -9):
        with pytest.raises(IndexError, match=r'out of range|dim is'): f(leaf(2, 3), d)
        with pytest.raises(IndexError): f(rand(2, 3), d)
    for d in (n-1, -n):
        if name!='permute' or d==1: assert f(leaf(2, 3), d).shape==f(rand(2, 3), d).shape

@pytest.mark.parametrize('f', [torch.cat, torch.stack, ops.cat, ops.stack])
def test_what_is_joined(f):
    x,name = leaf(2, 3), f.__name__
    empty,float_,none = 'the list is empty', 'element 1 is float', 'element 1 is NoneType'
    for what,error,says in [([], ValueError, empty), ((), ValueError, empty),
                            ([x, 1.], TypeError, float_), ([x, None], TypeError, none)]:
        if f in (ops.cat, ops.stack):
            with pytest.raises(error, match=f'{name}: {says}'): f(what)
        else:                           # torch itself looks first
            with pytest.raises(ERRORS): f(what)
    with pytest.raises(ERRORS): f([x, leaf(2, 2, 2)])
    with pytest.raises(ERRORS): f(x)
    pair = (y for y in [x, x])
    with pytest.raises(TypeError, match='pass a list or tuple'): getattr(ops, name)(pair)

# -- empty vectors take part: in the type, on the tape, with a gradient of their own

def test_cat_with_empty_vectors():
    for kinds in ((torch.float32, torch.float64), (torch.float64, torch.float32)):
        e,x = torch.zeros(0, dtype=kinds[0]), torch.ones(2, 3, dtype=kinds[1])
        for ours in (Var(e, requires_grad=True), Var(x, requires_grad=True)):
            pair = [ours if ours.data is t else t for t in (e, x)]
            y = torch.cat(pair, 1)
            assert isinstance(y, Var) and y.requires_grad and y.dtype is torch.float64
    e,x = leaf(0), leaf(2, 3)
    y = torch.cat([e, x, e], -1)
    assert torch.equal(y.data, x.data)
    y.sum().backward()
    assert e.grad.shape==(0,) and torch.equal(x.grad, torch.ones(2, 3).double())
    empty = leaf(0)
    y = torch.cat([empty, rand(2, 3)])
    assert y.requires_grad
    y.sum().backward()
    assert empty.grad.shape==(0,)
    assert torch.cat([leaf(0), leaf(0)]).shape==(0,)

def test_var_correction_none():
    agrees(lambda x: x.var(correction=None), rand(4))

def test_over_an_empty_axis():
    for f in (torch.softmax, torch.log_softmax, F.softmax, F.log_softmax, lambda x,d: x.softmax(d)):
        for shape,d in (((2, 0), 1), ((2, 0), -1), ((0, 3), 0), ((0,), 0), ((0, 3), 1)):
            x = leaf(*shape)
            y = f(x, d)
            assert torch.equal(y.data, f(x.data, d)) and y.shape==shape
            y.sum().backward()
            assert x.grad.shape==shape
