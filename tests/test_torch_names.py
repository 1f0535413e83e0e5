"What users of torch type: names and keywords are there; the rest says what to write instead."
import math, sys
import pytest, torch, torch.nn.functional as F
from torch.testing import assert_close
from mlfound import losses, ops
from mlfound.autograd import Var, grad, torch_functions
from mlfound.guards import ELSEWHERE, TapeError
from conftest import run
from oracle import Allowed, agrees

rng = torch.Generator().manual_seed(0)
def rand(*shape): return torch.randn(shape, generator=rng, dtype=torch.float64)
def leaf(*shape): return Var(rand(*shape), requires_grad=True)

# -- names

BOTH = '''sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh arcsin arccos arctan arcsinh
    arccosh arctanh atan2 arctan2 square exp2 expm1 log2 log10 log1p reciprocal rsqrt sqrt exp log
    erf erfc sigmoid relu abs absolute neg negative positive floor ceil round trunc fix frac
    remainder fmod floor_divide add sub subtract mul multiply div divide true_divide pow
    maximum minimum max min amax amin clamp clip clamp_min clamp_max where masked_fill
    tile roll moveaxis movedim rot90 fliplr flipud flip split chunk unbind narrow select
    tril triu diag diagonal diag_embed trace ravel flatten unflatten clone t reshape squeeze
    unsqueeze permute transpose swapaxes swapdims broadcast_to gather index_select scatter
    scatter_add sum mean var std prod cumsum cumprod cummax cummin sort topk argmax argmin argsort
    logsumexp softmax log_softmax norm matmul mm bmm mv dot outer any all'''.split()
METHODS = '''repeat view contiguous view_as reshape_as expand expand_as sum_to_size to float double
    half bfloat16 T mT'''.split()
TORCH = 'rsub einsum tensordot cat concat concatenate stack'.split()
FUNCTIONS = '''silu softplus elu leaky_relu logsigmoid relu sigmoid tanh dropout pad softmax
    log_softmax linear mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy nll_loss
    binary_cross_entropy binary_cross_entropy_with_logits'''.split()

@pytest.mark.parametrize('name', BOTH)
def test_method_and_function(name):
    assert hasattr(Var, name) and hasattr(torch.Tensor, name)
    assert name in torch_functions and hasattr(torch, name)

@pytest.mark.parametrize('name', METHODS)
def test_method(name): assert hasattr(Var, name) and hasattr(torch.Tensor, name)

@pytest.mark.parametrize('name', TORCH + FUNCTIONS)
def test_function(name):
    f = getattr(torch, name) if name in TORCH else getattr(F, name)
    assert f.__name__ in torch_functions or hasattr(Var, name)   # F.tanh calls the method

def test_symbols():
    x,t = leaf(3),rand(3)
    for f in (lambda x: +x, lambda x: -x, lambda x: abs(x), lambda x: x%.7, lambda x: .7%x,
              lambda x: x//.7, lambda x: t%x, lambda x: t//x, lambda x: x%t, lambda x: 2//x):
        assert_close(f(x).data, f(x.data))
        assert f(x).requires_grad

# -- keywords

KEYWORDS = [
    lambda x: torch.sum(x, axis=0), lambda x: x.sum(axis=1, keepdims=True),
    lambda x: x.mean(axis=0), lambda x: torch.mean(input=x, axis=0, keepdims=True),
    lambda x: x.std(unbiased=False), lambda x: torch.var(x, 1, unbiased=False),
    lambda x: x.var(False), lambda x: torch.std(x, 0, False, True), lambda x: x.std(dim=0),
    lambda x: x.max(axis=0)[0], lambda x: torch.min(x, dim=1, keepdims=True)[0],
    lambda x: torch.max(input=x, dim=0).values, lambda x: x.sort(axis=0)[0],
    lambda x: torch.stack([x, x], axis=1), lambda x: torch.cat((x, x), axis=1),
    lambda x: x.cumsum(axis=0), lambda x: x.softmax(axis=0),
    lambda x: torch.add(x, x, alpha=2), lambda x: x.sub(x, alpha=.5),
    lambda x: torch.div(x, .3, rounding_mode='floor'), lambda x: x.div(.3, rounding_mode='trunc'),
    lambda x: torch.round(x, decimals=1), lambda x: x.flatten(start_dim=0, end_dim=1),
    lambda x: x.roll(shifts=1, dims=0), lambda x: x.tril(diagonal=1), lambda x: x.repeat(2, 1, 1),
    lambda x: x.clip(min=0.), lambda x: torch.clip(x, max=0.), lambda x: x.norm(p=1, dim=0),
    lambda x: torch.tensordot(x, x, dims=2), lambda x: F.mse_loss(x, x*2, reduction='sum'),
    lambda x: F.l1_loss(input=x, target=x*2, reduction='none'), lambda x: F.softplus(x, beta=2)]

@pytest.mark.parametrize('k', range(len(KEYWORDS)))
def test_keywords(k):
    agrees(KEYWORDS[k], rand(2, 3))

@pytest.mark.parametrize('f,says', [
    (lambda x: x.max(axes=0), "max: got an unexpected keyword argument 'axes'"),
    (lambda x: x.sum(foo=0), "sum: got an unexpected keyword argument 'foo'"),
    (lambda x: F.l1_loss(x, x, reduce=False), "l1_loss: got an unexpected keyword"),
    (lambda x: torch.add(x, x, alpha=x), 'add: alpha is of type Var; pass a number'),
    (lambda x: F.l1_loss(x, x, reduction='max'), "reduction is 'max'; pass 'mean', 'sum' or"),
    (lambda x: x.div(2, rounding_mode='up'), "div: rounding_mode is 'up'; pass None"),
    (lambda x: x.scatter(0, torch.zeros(1, 3).long(), x[:1], reduce='add'), 'scatter: reduce is'),
    (lambda x: F.dropout(x, 1.5), 'probability'),
    (lambda x: x.double(memory_format=1), 'double: ')])
def test_keywords_that_are_refused(f, says):
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=says): f(leaf(2, 3))

# -- what stays out

def assign(x, i): x[i] = 1.

@pytest.mark.parametrize('f,says', [
    (lambda x: assign(x, 0), r'write y = torch.where\(mask, new, x\)'),
    (lambda x: assign(rand(2, 3), (0, x)), r'write y = torch.where'),
    (lambda x: x.add_(1), r'write y = x.add\(...\)'), (lambda x: x.zero_(), r'write y = x.zero\('),
    (lambda x: rand(2, 3).mul_(x), r'write y = x.mul\(...\)'),
    (lambda x: torch.exp(x, out=rand(2, 3)), 'out= overwrites what the tape keeps'),
    (lambda x: torch.add(rand(2, 3), rand(2, 3), out=x), 'out= overwrites'),
    (lambda x: F.relu(x, inplace=True), 'inplace= overwrites'),
    (lambda x: torch.complex(x, x), 'real numbers only; write the real and imaginary parts'),
    (lambda x: x.real, 'real numbers only'), (lambda x: torch.fft.rfft(x), 'real numbers only'),
    (lambda x: torch.linalg.inv(x), 'the tape knows products and norms'),
    (lambda x: x.det(), 'the tape knows products and norms'),
    (lambda x: torch.linalg.svd(x), 'the tape knows products and norms')])
def test_refused_by_name(f, says):
    with pytest.raises((TypeError, AttributeError), match=says): f(leaf(2, 3))

# -- values and gradients beside what the drawn cases compare

LOADS = """
import importlib, sys, mlfound.ops
from mlfound.autograd import torch_functions
before = set(torch_functions)
importlib.import_module(f'mlfound.{sys.argv[1]}')
print(*sorted(set(torch_functions) - before))
"""

@pytest.mark.parametrize('module', ELSEWHERE)
def test_what_another_module_adds_is_known(module):
    added = set(run(sys.executable, '-c', LOADS, module).split()) - {'max_pool2d_with_indices'}
    inner = {'attention','blockwise'} - {module}
    known = set(ELSEWHERE[module].split())
    assert known<=added<=known.union(*(ELSEWHERE[m].split() for m in inner))

def test_writing_twice_is_refused():
    x,y,twice = leaf(3),leaf(2),torch.tensor([1,1])
    z = x.scatter(0, twice, y)
    with pytest.raises(TapeError, match='the index names a place twice'): grad(z.sum(), y)
    assert_close(grad(z.sum(), x), torch.tensor([1.,0.,1.]).double())    # what was overwritten
    wide = leaf(4)
    once = torch.tensor([2,0])
    want = torch.tensor([1.,1.,0.,0.]).double()                          # src may be longer
    assert_close(grad(x.scatter(0, once, wide).sum(), wide), want)
    assert_close(grad(x.scatter_add(0, once, wide).sum(), wide), want)

def test_dropout_draws_like_torch():
    x = leaf(1000)
    for p in (0., .25, 1.):
        torch.manual_seed(3)
        want = F.dropout(x.data, p)
        torch.manual_seed(3)
        assert_close(F.dropout(x, p).data, want)
    assert F.dropout(x, .5, training=False) is x

def test_weights_may_want_a_gradient():
    "A weight that is tracked is not quietly taken for a number."
    x,w,t = leaf(4, 3),Var(rand(3).exp(), requires_grad=True),torch.tensor([0,2,1,1])
    def loss(x, w):     # written out
        logp = x.log_softmax(1).gather(1, t[:,None]).squeeze(1)
        return -(logp*w[t]).sum()/w[t].sum()
    assert_close(F.cross_entropy(x, t, weight=w).data, loss(x, w).data)
    assert_close(grad(F.cross_entropy(x, t, weight=w), [x, w]), grad(loss(x, w), [x, w]))

@pytest.mark.filterwarnings('ignore:Implicit dimension choice')
@pytest.mark.parametrize('f', [F.softmax, F.log_softmax])
def test_an_axis_that_nobody_wrote(f):
    "Torch takes axis 0 of 0, 1 or 3, and else axis 1; our own functions take the last."
    from mlfound import scores
    for shape in (), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 2), (2, 3, 1, 2, 2):
        x = rand(*shape)
        assert_close(f(Var(x)).data, f(x))
        ours = getattr(scores, f.__name__)
        assert_close(ours(x), f(x, dim=-1))
        assert_close(ours(Var(x)).data, f(x, dim=-1))

def test_losses_far_out():
    near = Allowed(value=1e-6, first=1e-6, second=1e-6)
    for t in (torch.tensor([1., 0.]), torch.tensor([0., 1.])):
        agrees(lambda x: F.binary_cross_entropy_with_logits(x, t), torch.tensor([1000., -1000.]),
               allowed=near)
    for t in (torch.tensor([0., 1., 1.]), torch.tensor([1., 0., 0.])): # at 0 and 1 only first order
        agrees(lambda p: F.binary_cross_entropy(p, t), torch.tensor([0., 1., .5]),
               second=False, allowed=near)

def test_values_and_indices():
    x = leaf(3, 4)
    for f in (lambda x: x.max(1), lambda x: torch.sort(x, 0), lambda x: x.topk(2),
              lambda x: torch.cummin(x, 1)):
        ours,theirs = f(x),f(x.data)
        assert type(ours) is type(theirs) and ours._fields == theirs._fields if hasattr(
            theirs, '_fields') else type(ours) is type(theirs)
        assert_close((ours[0].data, ours[1]), (theirs[0], theirs[1]))
        assert not isinstance(ours[1], Var)

def test_plain_tensors_pass_through():
    "Without a `Var` our functions are functions of tensors."
    x,t = rand(2, 3),torch.tensor([0,2])
    assert_close(ops.einsum('ij,kj->ik', x, x), x@x.T)
    assert_close(losses.cross_entropy(x, t), F.cross_entropy(x, t))
    assert_close(ops.std(x, 1), x.std(1))
    assert_close(ops.vector_norm(x, math.inf), torch.linalg.vector_norm(x, math.inf))
    assert type(ops.sort(x)[0]) is torch.Tensor

# -- what cannot both be meant, and what torch takes where nothing is said

def either(*shape):
    "The same numbers as a `Var` and as a tensor."
    x = leaf(*shape)
    return x,x.data

@pytest.mark.parametrize('n', ['softmax', 'log_softmax'])
@pytest.mark.parametrize('shape', [(), (3,), (2, 3), (2, 3, 4), (2, 3, 2, 2), (2, 3, 2, 1, 2)])
@pytest.mark.filterwarnings('ignore:Implicit dimension choice')
def test_the_axis_that_torch_takes(n, shape):
    x,t = either(*shape)
    layer = torch.nn.Softmax if n=='softmax' else torch.nn.LogSoftmax
    for f in (getattr(F, n), layer(), layer(dim=-1)):
        assert_close(f(x).data, f(t))

TWICE = 'sum mean prod max min amax amin std var logsumexp norm softmax log_softmax cumsum'.split()

@pytest.mark.parametrize('n', TWICE)
def test_a_word_and_its_synonym(n):
    for call in (lambda x: getattr(x, n)(dim=0, axis=1), lambda x: getattr(x, n)(axis=0, dim=0)):
        x,t = either(2, 3)
        with pytest.raises(TypeError): call(t)
        with pytest.raises(TypeError, match=f'{n}.*: dim is given twice'): call(x)
    if n in ('softmax', 'log_softmax', 'cumsum'): return
    with pytest.raises(TypeError, match='keepdim is given twice'):
        leaf(2, 3).__getattribute__(n)(dim=1, keepdim=True, keepdims=True)

w,at = rand(2, 3),torch.zeros(2, 3).long()
AT_ONCE = [
    (lambda x: x.prod(keepdim=True), 'prod: keepdim without dim'),
    (lambda x: x.max(keepdim=True), 'max: keepdim without dim'),
    (lambda x: x.min(keepdim=True), 'min: keepdim without dim'),
    (lambda x: x.max(dim=None, keepdim=True), 'max: keepdim without dim'),
    (lambda x: x.max(dim=0, other=w), 'max: other and dim are both given'),
    (lambda x: x.min(w, True), 'min: keepdim without dim'),
    (lambda x: x.scatter(1, at, w, value=3.), 'scatter: src and value are both given'),
    (lambda x: x.scatter(1, at, src=w, value=3.), 'scatter: src and value are both given'),
    (lambda x: x.std(unbiased=False, correction=1), 'std: unbiased and correction are both'),
    (lambda x: x.var(0, unbiased=True, correction=1), 'var: unbiased and correction are both'),
    (lambda x: x.std(False, unbiased=True), 'std: after unbiased there is no other'),
    (lambda x: x.var(False, 1), 'var: after unbiased there is no other'),
    (lambda x: x.var(True, correction=0), 'var: after unbiased there is no other'),
    (lambda x: F.pad(x[None], (1,1), 'reflect', value=3.), "doesn't take in value argument")]

@pytest.mark.parametrize('f,says', AT_ONCE)
def test_what_cannot_both_be_meant(f, says):
    x,t = either(2, 3)
    with pytest.raises((TypeError, RuntimeError)): f(t)
    with pytest.raises((TypeError, RuntimeError), match=says): f(x)

# -- keywords of the functions without gradient

TWO = 'lt le gt ge eq ne isclose allclose equal logical_and logical_or logical_xor'.split()
ONE = '''argmax argmin argsort any all count_nonzero nonzero signbit isposinf isneginf logical_not
         sign isnan isinf isfinite zeros_like ones_like'''.split()

@pytest.mark.parametrize('n', TWO)
def test_plain_functions_of_two(n):
    (x,t),f = either(2, 3),getattr(torch, n)
    want,back = f(t, w),f(w, t)
    for ours in (getattr(x, n)(other=w), f(x, other=w), f(input=x, other=w),
                 f(input=x, other=Var(w))):
        assert_close(ours, want)
    for ours in (getattr(Var(w), n)(other=x), f(w, other=x), f(input=w, other=x)):
        assert_close(ours, back)
    assert type(ours) is type(back)

@pytest.mark.parametrize('n', ONE)
def test_plain_functions_of_one(n):
    (x,t),f = either(2, 3),getattr(torch, n)
    assert_close(f(input=x), f(t))
    assert_close(f(x), f(t))
