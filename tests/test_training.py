"Losses, optimizers and parameters: each refusal says what came, what is needed and how to mend it."

import math
import sys
from functools import partial
import numpy as np, pytest, torch
import torch.nn.functional as F
from torch.testing import assert_close
from conftest import run
from mlfound.autograd import Var, grad
from mlfound.backward import lin_vjp, relu_vjp
from mlfound.data import mnist
from mlfound.derivatives import hessian
from mlfound.forward import init_params, lin, relu
from mlfound.training import (
    SGD,
    Adam,
    AdamW,
    CrossEntropyLoss,
    accuracy,
    as_layers,
    check_params,
    cross_entropy,
    cross_entropy_vjp,
    init_he,
    log_softmax,
    loss_and_gradients,
    minibatches,
    network,
    one_cycle,
    parameters_of,
    shift,
    softmax,
    standardized,
)


def rand(*shape, seed=0, **kw):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **kw)


# -- softmax and the loss


@pytest.mark.parametrize('f', [softmax, log_softmax])
def test_softmax_is_one_function_for_tensors_and_the_tape(f):
    x = rand(4, 3, dtype=torch.float64)
    theirs = getattr(F, f.__name__)
    for dim in (0, 1, -1):
        v, t = Var(x, requires_grad=True), x.clone().requires_grad_()
        assert_close(f(x, dim), theirs(x, dim))
        assert_close(getattr(v, f.__name__)(dim).data, theirs(x, dim))
        want = torch.autograd.grad(theirs(t, dim), t, x)[0]
        for call in (f, getattr(torch, f.__name__), theirs):
            assert_close(grad(call(v, dim=dim), v, x), want)
    assert_close(f(x), theirs(x, -1))
    assert_close(f(x.half(), dtype=torch.float64), theirs(x.half(), -1, dtype=torch.float64))


def test_cross_entropy_says_what_it_got():
    z, t = rand(5, 3), torch.tensor([0, 1, 2, 1, 0])
    for logits, targ, error, words in [
        (z.tolist(), t, TypeError, 'logits are of type list; pass a tensor'),
        (z, t.tolist(), TypeError, 'targ is of type list; pass class numbers'),
        (z, t.float(), TypeError, 'targ is torch.float32'),
        (z, t.bool(), TypeError, 'targ is torch.bool'),
        (z, t[:4], ValueError, r'targ is \(4,\)'),
        (z, t + 1, ValueError, 'targ holds 3'),
        (z, t - 1, ValueError, 'targ holds -1'),
        (z[:0], t[:0], ValueError, 'logits are .* with at least one'),
        (z[0], t, ValueError, r'logits are \(3,\)'),
    ]:
        for f in (cross_entropy, accuracy):
            with pytest.raises(error, match=f'{f.__name__}: {words}'):
                f(logits, targ)
    with pytest.raises(TypeError, match='accuracy: logits are of type ndarray'):
        accuracy(z.numpy(), t)
    assert_close(
        cross_entropy(z.numpy(), t), F.cross_entropy(z, t)
    )  # the tape's operations copy arrays
    for kind in (torch.uint8, torch.int8, torch.int16, torch.int32):
        assert_close(cross_entropy(z, t.to(kind)), F.cross_entropy(z, t))


@pytest.mark.parametrize('power', [1, 2])
def test_loss_twice_over_the_tape(power):
    "Its gradient by the tape is the rule's, and its second derivatives are PyTorch's."
    z, t = rand(5, 10, dtype=torch.float64), torch.tensor([3, 1, 4, 1, 5])
    v = Var(z, requires_grad=True)
    (cross_entropy(v, t) ** power).backward()
    g = power * cross_entropy(z, t) ** (power - 1)
    assert_close(v.grad, cross_entropy_vjp(g, z, t))

    def loss(z):
        return F.cross_entropy(z, t) ** power

    assert_close(hessian(loss, z), torch.autograd.functional.hessian(loss, z))


def test_loss_as_a_layer():
    z, t = rand(5, 10, dtype=torch.float64), torch.tensor([3, 1, 4, 1, 5])
    layer, half = CrossEntropyLoss(), torch.tensor(0.5, dtype=torch.float64)
    assert_close(layer(z, t), F.cross_entropy(z, t))
    assert_close(layer.backward(half), cross_entropy_vjp(half, z, t))


def test_accuracy():
    scores = torch.tensor([[0.1, 2.0], [3.0, 0.0], [1.0, 0.0], [0.0, 5.0]])
    assert accuracy(scores, torch.tensor([1, 0, 1, 1])) == 0.75


def test_torch_name_of_the_loss():
    z, t = rand(5, 3), torch.tensor([0, 1, 2, 1, 0])
    v = Var(z, requires_grad=True)
    assert_close(F.cross_entropy(v, t).data, F.cross_entropy(z, t))


def test_options_of_the_loss_need_the_other_operations():
    "Chapter 05 alone refuses them by name; `mlfound.losses`, which any test may load, has them."
    code = """
import torch, torch.nn.functional as F
from mlfound.training import cross_entropy
from mlfound.autograd import Var
v, t = Var(torch.rand(5, 3), requires_grad=True), torch.tensor([0, 1, 2, 1, 0])
for options in (dict(reduction='sum'), dict(label_smoothing=.1), dict(ignore_index=1),
                dict(weight=torch.rand(3))):
    try: F.cross_entropy(v, t, **options)
    except TypeError as e: assert [*options][0] in str(e), e
    else: raise AssertionError(options)"""
    run(sys.executable, '-c', code)


# -- optimizers

makers = [SGD, Adam, AdamW, partial(SGD, momentum=0.9)]


def nothing_learned():
    "What an optimizer must refuse, since no gradient would ever reach it, or no step move it."
    leaf, plain = Var(rand(3), requires_grad=True), Var(rand(3))
    result, torchs = leaf * 2, rand(3).requires_grad_() * 2
    with torch.inference_mode():
        frozen = torch.ones(3)
    yield dict(w=rand(3)), 'is of type dict; pass a list'
    yield dict(w=rand(3)).items(), r'params\[0\] is of type tuple; pass a tensor or a Var'
    yield np.ones((2, 3)), r'params\[0\] is of type ndarray'
    yield [np.ones(3)], r'params\[0\] is of type ndarray'
    yield [[rand(3)]], r'params\[0\] is of type list'
    yield 'w', "params is 'w'"
    yield 3, 'params is 3'
    yield rand(3), 'params is one Tensor; pass a list'
    yield leaf, 'params is one Var'
    yield [leaf, plain], r'params\[1\] is a Var with requires_grad=False'
    yield [result], r'params\[0\] is the result of an operation'
    yield [torchs], r'params\[0\] is the result of an operation'
    yield [torch.ones(3).long()], r'params\[0\] holds torch.int64'
    yield [frozen], r'params\[0\] is an inference tensor'
    yield [], 'no parameters'
    yield [leaf, leaf], 'twice'


@pytest.mark.parametrize('make', makers)
def test_optimizer_refuses_what_would_never_move(make):
    for params, words in nothing_learned():
        with pytest.raises((TypeError, ValueError), match=words):
            make(params, lr=0.1)


@pytest.mark.parametrize(
    'make, settings',
    [
        (m, dict(lr=lr))
        for m in (SGD, Adam)
        for lr in ('0.1', -1, math.inf, math.nan, None, [0.1], torch.tensor([0.1]), True)
    ]
    + [(SGD, dict(momentum=m)) for m in (1, 2, -0.1, math.nan, '0.9')]
    + [(SGD, dict(weight_decay=d)) for d in (-1, math.inf, None)]
    + [
        (Adam, dict(betas=b))
        for b in ((1, 0.999), (0.9, 1), (-0.1, 0.9), (0.9,), 0.9, None, ('a', 'b'))
    ]
    + [(Adam, dict(eps=e)) for e in (-1e-8, math.nan)]
    + [(Adam, dict(weight_decay=-1)), (AdamW, dict(weight_decay=math.inf))],
)
def test_optimizer_refuses_settings(make, settings):
    with pytest.raises((TypeError, ValueError), match=[*settings][0]):
        make([rand(3)], **settings)


def test_optimizer_takes_what_can_move():
    "Generators, NumPy's numbers, a rate of 0, PyTorch's parameters."
    p = rand(3)
    p.grad = torch.ones(3)
    for make in makers:
        opt = make((q for q in [p]), lr=np.float32(0.5))
        before = p.clone()
        opt.step()
        assert not torch.equal(p, before) and type(opt.lr) is float
    before = p.clone()
    SGD([p], lr=0).step()
    assert torch.equal(p, before)
    assert len(SGD(torch.nn.Linear(3, 2).parameters(), lr=0.1).params) == 2


@pytest.mark.parametrize('make, rate', [(SGD, 0.1), (Adam, 1e-3), (AdamW, 1e-3)])
def test_settings_that_nobody_wrote(make, rate):
    "Those of PyTorch, but for the rate of SGD, which is the book's."
    ours = rand(3)
    other = ours.clone()
    first, second = make([ours]), theirs[make]([other], lr=rate)
    for k in range(4):
        ours.grad, other.grad = (torch.full((3,), float(k - 1)) for _ in range(2))
        first.step()
        second.step()
    assert first.lr == rate
    assert_close(ours, other)


theirs = {SGD: torch.optim.SGD, Adam: torch.optim.Adam, AdamW: torch.optim.AdamW}


@pytest.mark.parametrize(
    'make, options',
    [
        (SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.1)),
        (Adam, dict(lr=0.1, weight_decay=0.1)),
        (AdamW, dict(lr=0.1, weight_decay=0.1)),
    ],
    ids=['SGD', 'Adam', 'AdamW'],
)
def test_each_parameter_counts_its_own_steps(make, options):
    "One with a gradient in every step, one in every third, one in the 11th alone, one never."
    ours = [rand(3, seed=k, dtype=torch.float64) for k in range(4)]
    torchs = [p.clone().requires_grad_() for p in ours]
    a, b = make(ours, **options), theirs[make](torchs, **options)
    for k in range(15):
        moves = [True, k % 3 == 0, k == 10, False]
        for j, (p, q) in enumerate(zip(ours, torchs)):
            g = rand(3, seed=100 * k + j, dtype=torch.float64)
            p.grad, q.grad = (g, g.clone()) if moves[j] else (None, None)
        a.step(), b.step()
        for p, q in zip(ours, torchs):
            assert_close(p, q.detach(), rtol=1e-12, atol=1e-12)
    assert a.counts == [15, 5, 1, 0] and a.steps == 15


@pytest.mark.parametrize('make', makers)
def test_optimizer_refuses_parameters_that_share_memory(make):
    w, flat = rand(3, 3), torch.zeros(10)
    for params in ([w, w.T], [w, w[1]], [flat[:6], flat[5:]], [w, rand(2), w.view(9)]):
        with pytest.raises(ValueError, match=r'params\[\d\] lies in the memory of params\[0\]'):
            make(params)
    with pytest.raises(ValueError, match='expanded'):
        make([torch.zeros(1).expand(3)])
    make([flat[:6], flat[6:], torch.zeros(0), torch.zeros(0)])  # side by side
    make([torch.zeros(2, device='meta'), torch.zeros(2, device='meta')])  # without memory


# -- parameters, batches, schedules


def test_parameters_lie_apart():
    b1 = torch.zeros(4)
    flat = torch.zeros(5 * 4 + 4)
    check_params('f', [flat[:20].view(5, 4), flat[20:]])  # windows side by side
    wide = torch.zeros(4, 8)
    check_params('f', [wide[:, :4], b1, wide[:, 4:], torch.zeros(4)])  # and columns of one array
    for params, words in [
        ([flat[:20].view(5, 4), flat[19:23]], 'b1 lies in the memory of w1'),
        ([wide[:, :4], b1, wide[:, 2:6], torch.zeros(4)], 'w2 lies in the memory of w1'),
        ([torch.zeros(5, 1).expand(5, 4), b1], 'w1 is expanded'),
        ([torch.zeros(5, 4), b1, torch.zeros(4, 4), b1], 'b2 lies in the memory of b1'),
    ]:
        with pytest.raises(ValueError, match=words):
            check_params('f', params)


def test_parameters_of_takes_a_generator():
    assert len(parameters_of(p for p in init_he([3, 2]))) == 2


def test_minibatches():
    "Each row once, in an order that the seed decides; the last batch has what is left."
    x = torch.arange(10)

    def drawn(seed, **options):
        generator = torch.Generator().manual_seed(seed)
        batches = [*minibatches(x, -x, size=4, generator=generator, **options)]
        assert all(a.equal(-b) for a, b in batches), 'rows that belong together are torn apart'
        return [a.tolist() for a, _ in batches]

    assert [len(b) for b in drawn(0)] == [4, 4, 2]
    assert sorted(sum(drawn(0), [])) == x.tolist() != sum(drawn(0), [])
    assert drawn(0) == drawn(0) != drawn(1)
    assert sum(drawn(0, shuffle=False), []) == x.tolist()
    assert [*minibatches(x[:0])] == [] and len([*minibatches(x, size=99)]) == 1


def test_minibatches_complain_when_called():
    x = rand(5, 2)
    for bad, words in [
        (dict(size=0), 'size is 0'),
        (dict(size=2.5), 'size is 2.5'),
        (dict(size='4'), "size is '4'"),
    ]:
        with pytest.raises((TypeError, ValueError), match=words):
            minibatches(x, **bad)
    with pytest.raises(ValueError, match=r'have \[5, 4\] rows'):
        minibatches(x, x[:4])


def test_one_cycle_refuses():
    for warmup in (-0.1, 1, math.nan, '0.3'):
        with pytest.raises((TypeError, ValueError), match='warmup'):
            one_cycle(0.1, 10, warmup=warmup)


# -- what goes wrong in a training


@pytest.fixture(scope='module')
def digits():
    splits = mnist()
    return standardized(splits.train), standardized(splits.valid)


def hundred_batches(train):
    each = minibatches(*train, size=64, generator=torch.Generator().manual_seed(0))
    return [b for _, b in zip(range(100), each)]


def test_everything_starts_too_large(digits):
    "With the weights of chapter 01, training begins almost two hundred times worse than guessing."
    _, valid = digits
    big = list(init_params(784, 256, 10, torch.Generator().manual_seed(0)))
    assert 150 < cross_entropy(network(valid.x, big), valid.y) / math.log(10) < 200


@pytest.mark.parametrize('lr, least, most', [(0.1, 0, 4), (10.0, 26, 50)])
def test_too_high_a_rate_kills_units(digits, lr, least, most):
    train, valid = digits
    params = init_he([784, 50, 10], torch.Generator().manual_seed(0))
    for x, y in hundred_batches(train):
        w1, b1, w2, b2 = params
        h = lin(x, w1, b1)
        g = cross_entropy_vjp(1.0, lin(relu(h), w2, b2), y)
        ga, gw2, gb2 = lin_vjp(g, relu(h), w2)
        _, gw1, gb1 = lin_vjp(relu_vjp(ga, h), x, w1, input_grad=False)
        for p, gp in zip(params, (gw1, gb1, gw2, gb2)):
            p -= lr * gp
    dead = (lin(valid.x, *params[:2]) <= 0).all(0).sum()
    assert least <= dead <= most


@pytest.mark.parametrize('clear', [True, False])
def test_forgetting_zero_grad(digits, clear):
    train, valid = digits
    params = init_he([784, 50, 10], torch.Generator().manual_seed(0))
    model, loss = as_layers(params), CrossEntropyLoss()
    for x, y in hundred_batches(train):
        if clear:
            model.zero_grad()
        loss(model(x), y)
        model.backward(loss.backward())
        for p in model.parameters():
            p -= 0.1 * p.grad
    after = cross_entropy(network(valid.x, params), valid.y)
    assert after < 0.6 if clear else not after < 1


def one_pass(digits, seed, share=0.9, schedule=True):
    "The validation digits read after one pass through 10,000 by the loop of chapter 05."
    train, valid = digits
    gen = torch.Generator().manual_seed(seed)
    params = init_he([784, 256, 10], gen)
    batches = [*minibatches(train.x[:10_000], train.y[:10_000], generator=gen)]
    optimizer = SGD(params, lr=0.2, momentum=share)
    for k, (x, y) in enumerate(batches):
        rises, falls = (k + 1) / (0.3 * len(batches)), (len(batches) - k) / (0.7 * len(batches))
        optimizer.lr = 0.2 * min(rises, falls) if schedule else 0.2
        for p, g in zip(params, loss_and_gradients(x, y, params)[1]):
            p.grad = g
        optimizer.step()
    return accuracy(network(valid.x, params), valid.y)


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_momentum_reads_more_digits(digits, seed):
    found = [one_pass(digits, seed, share) for share in (0.0, 0.5, 0.9)]
    assert found[0] + 0.003 < min(found[1:]), found


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_schedule_reads_more_digits(digits, seed):
    more = one_pass(digits, seed) - one_pass(digits, seed, schedule=False)
    assert 0.004 < more < 0.04, f'{more:.2%} more of the digits'


def test_shift_moves_a_dot_and_paper_enters():
    dot = torch.full((28, 28), -0.42)
    dot[13, 13] = 2
    places = set()
    for seed in range(20):
        moved = shift(dot.view(1, -1), torch.Generator().manual_seed(seed)).view(28, 28)
        places.add(tuple((moved == 2).nonzero()[0].tolist()))
        assert (moved == 2).sum() == 1 and (moved == dot.min()).sum() == 783
    assert len(places) > 10 and {abs(k - 13) for place in places for k in place} == {0, 1, 2}


def test_shift_by_a_negative_number_of_pixels():
    with pytest.raises(ValueError, match='shift: most is -1; pass a whole number of at least 0'):
        shift(torch.zeros(1, 784), most=-1)


def test_the_figures_of_chapter_05():
    "What its text says of the valley and of ten layers."
    from mlfound.curves import descend, spreads

    def far(rate, momentum, step):
        return math.hypot(*descend(rate, momentum)[step])

    assert .031<far(.09, 0., 60)<.032 and far(.09, .5, 60)<4e-8
    assert .32<far(.09, .9, 60)<.33
    assert far(.12, 0., 60)>1e8 and far(.12, .5, 60)<far(.09, .5, 60)
    at = {v: spreads(v) for v in (1., 2., 64.)}
    (small,_),(level,back),(big,_) = at.values()
    assert .02<small[10]<.03 and 2e7<big[10]<3e7
    assert .8<level[10]/level[0]<1 and .9<back[0]/back[10]<1
