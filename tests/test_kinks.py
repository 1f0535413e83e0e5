"Where a function has no slope: the convention is PyTorch's, at zeros, ties, infinities and nan."
import itertools, math
import pytest, torch, torch.nn.functional as F
from mlfound.autograd import Var, grad
from oracle import agrees
import mlfound.ops # noqa: F401

inf,nan = math.inf,math.nan
norm = torch.linalg.vector_norm
def flipped(f): return lambda x: f(x, x.flip(0))

POINTS = dict(
    relu=(torch.relu, -0., inf), abs=(torch.abs, nan, inf), amin=(torch.amin, 1., 1., 2.),
    amin_nan=(torch.amin, nan, 1.), amax_rows=(lambda x: x.reshape(2,2).amax(1), nan, 1., 2., 3.),
    amax_inf=(lambda x: x.amax(0), inf, inf), minimum=(lambda x: torch.minimum(x, x), 1., 2.),
    maximum_nan=(flipped(torch.maximum), nan, 1.), minimum_nan=(flipped(torch.minimum), nan, 1.),
    clamp_crossed=(lambda x: x.clamp(1, 0), 0., 1., .5, 2.),
    clamp_nan=(lambda x: x.clamp(0, 1), nan, inf, -inf),
    norm_3=(lambda x: norm(x, 3), 0., 0.), norm_1_5=(lambda x: norm(x, 1.5), 0., 1.),
    norm_half=(lambda x: norm(x, .5), 0., 1.), norm_inf=(lambda x: norm(x, inf), 2., -2., 1.),
    norm_least=(lambda x: norm(x, -inf), 2., -2., 3.), norm_m1=(lambda x: norm(x, -1), 0., 1., -2.),
    norm_m2=(lambda x: norm(x, -2), 0., 0., 1.), norm_nan=(norm, nan, 1.),
    pow_1=(lambda x: x**1, 0., -1.), pow_2=(lambda x: x**2, 0., -1.),
    pow_half=(lambda x: x**.5, 0., 1.), pow_m1=(lambda x: x**-1, 0., 2.),
    zero_to=(lambda x: 0**x, 0., 1., 2.), log=(torch.log, 0., -1.), log1p=(torch.log1p, -1.),
    log2=(torch.log2, 0., -1.), log10=(torch.log10, 0., -1.), sqrt=(torch.sqrt, 0., -1.),
    rsqrt=(torch.rsqrt, 0., -1., inf), reciprocal=(torch.reciprocal, 0., inf),
    logsumexp=(lambda x: x.logsumexp(0), -inf, 0.),
    logsumexp_all=(lambda x: x.logsumexp(0), -inf, -inf),
    softmax=(lambda x: x.softmax(0), -inf, 0., 1.),
    log_softmax=(lambda x: x.log_softmax(0), -inf, 0., 1.),
    var=(lambda x: x.var(correction=0), 2.), std=(lambda x: x.std(), 1., 1., 1.),
    cumsum=(lambda x: x.cumsum(0), inf, 1.),
    asin=(torch.asin, 1., -1., 2.), acos=(torch.acos, 1., -1.), acosh=(torch.acosh, 1., .5),
    atanh=(torch.atanh, 1., -1.), tan=(torch.tan, 0.), silu=(F.silu, 0., -800., 800.),
    softplus=(F.softplus, 20., 20.5, -800.), logsigmoid=(F.logsigmoid, 0., 800., -800.),
    elu=(lambda x: F.elu(x, .5), 0., -0., 800., -800.),
    leaky=(lambda x: F.leaky_relu(x, .2), 0., -0.),
    floor=(torch.floor, 1., -1.), round=(torch.round, .5, 1.5), frac=(torch.frac, 1., -1.),
    remainder=(lambda x: x%2, 2., -2., 4.), fmod=(lambda x: torch.fmod(x, 2), 2., -2.),
    max_axis=(lambda x: x.max(0)[0], 1., 3., 3.), max_all=(lambda x: x.max(), 1., 3., 3.),
    min_axis=(lambda x: x.min(0)[0], 1., 1., 3.), sort=(lambda x: x.sort()[0], 2., 1., 2.),
    topk=(lambda x: x.topk(2)[0], 2., 2., 2.), cummax=(lambda x: x.cummax(0)[0], 1., 1., 0., 2.),
    cummin=(lambda x: x.cummin(0)[0], 1., 1., 0., 2.),
    prod=(torch.prod, 0., 2., 3.), prod_two=(torch.prod, 0., 2., 0.),
    cumprod=(lambda x: x.cumprod(0), 2., 0., 3., 4.),
    cumprod_two=(lambda x: x.cumprod(0), 0., 2., 0.),
    huber=(lambda x: F.huber_loss(x, torch.zeros(4).double(), reduction='sum'), 0., 1., -1., 2.),
    smooth=(lambda x: F.smooth_l1_loss(x, torch.zeros(3).double()), 0., 1., -1.),
    l1=(lambda x: F.l1_loss(x, torch.zeros(3).double()), 0., 1., -1.),
    smooth_far=(lambda x: F.smooth_l1_loss(x, torch.zeros(4).double(), beta=2.),
                inf, -inf, nan, 2.),
    huber_far=(lambda x: F.huber_loss(x, torch.zeros(4).double(), delta=2.), inf, -inf, nan, 2.),
    elu_nan=(F.elu, nan, 0., -1.),
    max_nan=(lambda x: x.max(), nan, 1., nan), min_nan=(lambda x: x.min(), 1., nan, -inf),
    max_one_nan=(lambda x: x[0].max(), nan), norm_inf_nan=(lambda x: norm(x, inf), nan, 1., inf),
    norm_least_nan=(lambda x: norm(x, -inf), nan, 1.),
    norm_rows_nan=(lambda x: norm(x.reshape(2, 2), inf, dim=1), nan, 1., 2., 3.),
    masked=(lambda x: x.masked_fill(x>0, 0.), nan, 1., -1.))

# Where the second derivatives differ from PyTorch's, and what ours are.
OTHER_SECOND = {
    **dict.fromkeys('norm_3 norm_1_5 norm_half norm_m1 norm_m2 zero_to std'.split(), '0, not nan'),
    **dict.fromkeys('amin_nan amax_rows'.split(), 'for the upstream gradient at nan: 0, not nan'),
    **dict.fromkeys('smooth_far huber_far'.split(), 'at nan: that of the square, not 0'),
    'softplus': 'at the threshold: that of the curve, not of the line'}

def at(f, values, second=True): agrees(f, torch.tensor(values, dtype=torch.float64), second=second)

@pytest.mark.parametrize('name', POINTS)
def test_kink(name):
    f,*values = POINTS[name]
    at(f, values, name not in OTHER_SECOND)

SMOOTH = '''sqrt rsqrt square reciprocal exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos
    atan sinh cosh tanh asinh acosh atanh sigmoid erf erfc abs floor ceil trunc frac round relu neg
    logsigmoid silu softplus elu leaky_relu'''.split()
SPECIAL = 0., -0., 1., -1., inf, -inf, nan, 2., -2., .5, -.5

@pytest.mark.parametrize('name', SMOOTH)
def test_special_numbers(name):
    at(getattr(torch, name, None) or getattr(F, name), SPECIAL)

PAIRS = 'add sub mul div maximum minimum atan2 fmod'.split()

@pytest.mark.parametrize('name', PAIRS)
def test_special_pairs(name):
    xs,ys = torch.tensor([*itertools.product(SPECIAL, repeat=2)], dtype=torch.float64).T
    origin = (xs==0) & (ys==0) if name=='atan2' else torch.zeros_like(xs).bool()
    for chosen,second in ((~origin, True), (origin, False)): # PyTorch's second is nan there
        agrees(getattr(torch, name), xs[chosen], ys[chosen], second=second)

def test_second_derivatives_of_powers_at_zero():
    "PyTorch's are nan where the exponent is tracked, too."
    x,y = (Var(torch.tensor(t).double(), requires_grad=True) for t in ([0.]*3, [0., 1., 2.]))
    first = grad(x**y, x, torch.ones(3).double(), create_graph=True)
    assert grad(first.sum(), x).tolist() == [0., 0., 2.]

def test_nothing_is_nan_at_the_origin():
    y,x = (Var(torch.zeros(()), requires_grad=True) for _ in range(2))
    first = grad(torch.atan2(y, x), [y, x], create_graph=True)
    assert [g.item() for g in (*first, *grad(first[0] + first[1], [y, x]))] == [0., 0., 0., 0.]

def test_a_correction_that_leaves_nothing():
    "Where there is nothing to divide by, the gradient is not finite, nor of the wrong sign."
    for c in (2, 3):
        x = Var(torch.tensor([1., 2.]), requires_grad=True)
        assert grad(x.var(correction=c), x).isinf().all()
