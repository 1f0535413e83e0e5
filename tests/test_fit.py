"Training watched, interrupted, killed and resumed; files that are damaged in every way."

import io, json, math, os, random, shutil, signal, sys, time
from dataclasses import asdict
from functools import partial
from unittest import mock
import numpy as np, pytest, torch
from torch import nn
from torch.testing import assert_close
import mlfound.fit, mlfound.module, mlfound.saved
from mlfound.autograd import Var
from mlfound.data import Split
from mlfound.fit import (
    OPTIMIZERS,
    History,
    TrainingError,
    advice,
    default_rate,
    evaluate,
    fit,
    load,
    save,
    way_of,
)
from mlfound.saved import (
    ModelError,
    Unfinished,
    claim,
    checkpoint_epochs,
    read_tensors,
    write_tensors,
)
from mlfound.training import (
    SGD,
    Adam,
    AdamW,
    as_layers,
    as_tape,
    as_torch,
    init_he,
    one_cycle,
    parameters_of,
)
from mlfound.ways import REGISTRY, find_optimizer, ways

sizes = 8, 6, 3


def examples(n, seed=0):
    "Three clouds of points."
    gen = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (n,), generator=gen)
    return Split(torch.randn(n, 8, generator=gen) + 2 * torch.nn.functional.one_hot(y, 8), y)


few, look = examples(200), examples(60, seed=1)
dresses = {way: REGISTRY['plain', way].dress for way in ways()}


def start(dress=list):
    return dress(init_he(sizes, torch.Generator().manual_seed(0)))


def short(model=None, **kw):
    "Three epochs of ten steps."
    model = start() if model is None else model
    return model, fit(model, few, look, **dict(epochs=3, batch=20, lr=0.05, progress=False) | kw)


def same(*models):
    return all(torch.equal(a, b) for a, b in zip(*models, strict=True))


steps_until_ctrl_c = iter(())  # not in the transform: it is the same one when nobody presses


class Stops:
    "A transform that interrupts at a step."

    def __init__(self, at=None):
        global steps_until_ctrl_c
        steps_until_ctrl_c = iter([] if at is None else [False] * (at - 1) + [True])

    def __call__(self, x, generator):
        if next(steps_until_ctrl_c, False):
            raise KeyboardInterrupt
        return x


# -- what was handed in holds what was trained


def test_in_place_for_views_arrays_and_shared_storage():
    want, _ = short()
    array, big = np.zeros((8, 6), np.float32), torch.zeros(100)
    twin = big[10:16]
    ps = [torch.from_numpy(array), big[10:16], big[20:38].view(3, 6).T, torch.zeros(3)]
    views = [p.view_as(p) for p in ps]
    for p, q in zip(ps, start()):
        p.copy_(q)
    short(ps)
    assert same(ps, want) and same(views, want) and torch.equal(twin, want[1])
    assert np.array_equal(array, want[0].numpy()) and torch.equal(big[20:38].view(3, 6).T, want[2])


def test_training_drags_no_buffer_along():
    ps, _ = short()
    for p in ps:
        assert p.untyped_storage().nbytes() == p.numel() * p.element_size()
    file = io.BytesIO()
    torch.save(ps[3], file)
    assert len(file.getvalue()) < 3000


def test_refuses_memory_that_is_not_its_own():
    flat = torch.zeros(60)
    for ps, words in [
        (
            [flat[:48].view(8, 6), flat[40:46], torch.zeros(6, 3), torch.zeros(3)],
            'lies in the memory',
        ),
        (
            [torch.zeros(1, 6).expand(8, 6), torch.zeros(6), torch.zeros(6, 3), torch.zeros(3)],
            'expanded',
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            fit(ps, few, progress=False)


@pytest.mark.parametrize('dress', dresses.values(), ids=dresses)
def test_recording_switch_and_requires_grad_do_not_matter(dress):
    want = [p.clone() for p in parameters_of(short(start(dress))[0])]
    with torch.no_grad():
        got = parameters_of(short(start(dress))[0])
    assert same(got, want)


def test_no_graph_is_kept_alive():
    ps = [p.requires_grad_() for p in start()]
    for dress in (as_layers, as_torch):
        way = way_of(dress(ps))
        loss = way.backward(*few)
        assert loss.grad_fn is None and not loss.requires_grad
        assert not any(p.grad.requires_grad for p in way.params)
    for dress in dresses.values():
        model = dress(start())
        if dress is list:
            model = [p.requires_grad_() for p in model]
        _, h = short(model)
        assert len(h.losses) == 30


def test_modes_of_modules():
    net = nn.Sequential(
        nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)
    )
    net.eval()
    short(net)
    assert net[1].num_batches_tracked == 30 and not any(
        m.training for m in net.modules()
    )  # trained, and as it was
    net.train()
    net[1].eval()  # meant so
    short(net)
    assert net[1].num_batches_tracked == 30 and [m.training for m in net] == [
        True,
        False,
        True,
        True,
        True,
    ]
    assert evaluate(net, look) == evaluate(net, look)  # dropout is off
    assert [m.training for m in net] == [True, False, True, True, True]


def test_frozen_parts_stay():
    net = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    short(net)
    assert torch.equal(net[0].weight, before)
    net.requires_grad_(False)
    with pytest.raises(ValueError, match='no parameter that requires a gradient'):
        short(net)


# -- what does not fit is named


class Two(nn.Linear):
    def forward(self, x):
        return super().forward(x), 1


def wrong_calls():
    ps, x, y = start(), *few
    yield dict(optimizer=SGD(start())), TypeError, 'optimizer is of type SGD; pass what makes one'
    yield dict(optimizer=torch.optim.SGD(start(), lr=0.1)), TypeError, 'optimizer is of type SGD'
    yield dict(optimizer=torch.optim.SGD), TypeError, 'optimizer made a SGD'
    yield (
        dict(optimizer='Adam'),
        ValueError,
        "optimizer is 'Adam'; pass one of sgd, momentum, adam, adamw",
    )
    yield dict(optimizer=None), TypeError, 'optimizer is None'
    yield dict(optimizer=lambda params, lr: None), TypeError, 'optimizer made a NoneType'
    for name, bads in dict(
        epochs=(0, -1, True, 2.5, '3'),
        batch=(0, 2.5, None),
        lr=(0, -1, math.inf, math.nan, '0.1', True),
        seed=(-1, '0', None),
    ).items():
        for bad in bads:
            yield {name: bad}, (TypeError, ValueError), f'fit: {name} is '
    yield dict(resume=''), ValueError, "resume is ''; pass the name of a file"
    yield dict(checkpoint=''), ValueError, "checkpoint is ''"
    yield dict(checkpoint=True), ValueError, 'checkpoint is True'
    yield dict(train=Split(x, y[:5])), ValueError, r'train.y is \(5,\) for 200 examples'
    yield dict(train=Split(x[:0], y[:0])), ValueError, 'train holds no examples'
    yield dict(train=Split(x, y.float())), TypeError, 'train.y is torch.float32'
    yield (
        dict(train=Split(x, y + 1)),
        ValueError,
        'train.y holds 3; the model gives 3 scores, so classes are 0 to 2',
    )
    yield dict(valid=Split(x, y - 1)), ValueError, 'valid.y holds -1'
    yield (
        dict(train=Split(x.view(-1, 2, 4), y)),
        ValueError,
        r'train.x is \(200, 2, 4\); pass \(n, d\)',
    )
    yield dict(train=(x, [1])), TypeError, r'train is no pair of tensors; pass Split\(x, y\)'
    yield dict(train=None), TypeError, 'train is no pair'
    yield (
        dict(model=Two(8, 3)),
        TypeError,
        r'the model gave of type tuple for inputs \(1, 8\); it must give scores',
    )
    yield (
        dict(model=nn.Sequential(nn.Linear(8, 3), nn.Flatten(0))),
        TypeError,
        r'the model gave torch.float32 \(3,\)',
    )
    yield dict(model=3), TypeError, 'the model is a int'
    yield dict(model=(p for p in ps)), TypeError, 'the model is a generator'
    yield dict(model=[ps[0], Var(ps[1])]), TypeError, 'the model is a list'


@pytest.mark.parametrize('call, error, words', [*wrong_calls()])
def test_says_what_it_got(call, error, words):
    args = dict(model=start(), train=few, valid=look, progress=False) | call
    with pytest.raises(error, match=words):
        fit(args.pop('model'), args.pop('train'), args.pop('valid'), **args)


def test_takes_numpy_numbers():
    a, b = short(lr=np.float32(0.05), epochs=np.int64(3)), short(lr=float(np.float32(0.05)))
    assert same(a[0], b[0])


def test_save_says_what_json_cannot_hold(tmp_path):
    for value in (torch.tensor(0.9), np.float32(0.9), {1, 2}, b'x', float):
        with pytest.raises(TypeError, match='save: accuracy is .*; pass plain numbers'):
            save(tmp_path / 'm', start(), accuracy=value)
    with pytest.raises(ValueError, match="a network 'spiral'; known here are plain"):
        save(tmp_path / 'm', start(), network='spiral')
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('dress', dresses.values(), ids=dresses)
def test_load_refuses_numbers_too_large_for_the_model(dress, tmp_path):
    big = [p.double() for p in start()]
    big[3][1] = 1e6
    save(tmp_path / 'm', big)
    model = dress([p.half() for p in start()])
    before = [p.clone() for p in parameters_of(model)]
    with pytest.raises(ModelError, match='b2 holds numbers too large for torch.float16; load into'):
        load(tmp_path / 'm', into=model)
    assert same(parameters_of(model), before)
    fits = dress(start())
    load(tmp_path / 'm', into=fits)
    assert parameters_of(fits)[3][1] == 1e6


# -- the default rate


def test_default_rate_follows_the_batch():
    assert [default_rate('momentum', b) for b in (16, 128, 256, 4096)] == [0.0125, 0.1, 0.2, 0.2]
    assert default_rate('sgd', 64) == 0.25 and default_rate('adam', 16) == 3e-3
    for name, recipe in OPTIMIZERS.items():
        assert advice(name, default_rate(name, 16), 16) is None
        made = short(optimizer=name, lr=None)[1], short(optimizer=recipe.make, lr=None)[1]
        assert made[0].losses == made[1].losses
    assert 'may well not learn' in advice('momentum', 0.2, 16) and 'very small' in advice(
        'adam', 1e-6, 256
    )

    class Mine(mlfound.training.Optimizer):
        def update(self, p, g):
            p.sub_(g)

    with pytest.raises(ValueError, match='lr is None; pass a learning rate for Mine'):
        short(optimizer=Mine, lr=None)
    err = io.StringIO()
    with mock.patch('sys.stderr', err):
        short(lr=5.0, progress=True, epochs=1)
    assert 'may well not learn' in err.getvalue()


def test_optimizers_of_your_own_have_their_own_name():
    class Lion(mlfound.training.Optimizer):
        slots = ('means',)

        def __init__(self, params, lr, betas=(0.9, 0.99)):
            super().__init__(params, lr)
            self.betas = betas

        def update(self, p, g, m):
            p.sub_(g.lerp(m, self.betas[0]).sign_(), alpha=self.lr)
            m.lerp_(g, 1 - self.betas[1])

    class Mine(SGD):
        pass

    assert len(short(optimizer=Lion)[1].losses) == 30
    with pytest.raises(ValueError, match='lr is None; pass a learning rate for Lion'):
        short(optimizer=Lion, lr=None)
    assert find_optimizer(partial(Mine, momentum=0.9), start())[1] == 'momentum'


# -- interrupted and resumed


@pytest.mark.parametrize(
    'make', [partial(SGD, momentum=0.9), Adam, AdamW], ids=['SGD', 'Adam', 'AdamW']
)
@pytest.mark.parametrize('dress', dresses.values(), ids=dresses)
def test_resumed_is_undisturbed(dress, make, tmp_path):
    whole, h = short(start(dress), optimizer=make, transform=Stops())
    _, broken = short(start(dress), optimizer=make, transform=Stops(25), checkpoint=tmp_path / 'c')
    assert broken.interrupted and len(broken.epochs) == 2
    resumed, h2 = short(start(dress), optimizer=make, transform=Stops(), resume=tmp_path / 'c')
    assert same(parameters_of(whole), parameters_of(resumed)) and asdict(h) | dict(
        seconds=0
    ) == asdict(h2) | dict(seconds=0)
    assert h.rates == [one_cycle(0.05, 30)(k) for k in range(30)]


class Skips(nn.Module):
    "A network with a part that many a batch skips."

    def __init__(self):
        super().__init__()
        self.net, self.late = as_torch(start()), nn.Linear(8, 3)
        nn.init.zeros_(self.late.weight)
        nn.init.zeros_(self.late.bias)

    def forward(self, x):
        seldom = self.training and x.sum() < 40
        return self.net(x) if seldom else self.net(x) + self.late(x)


def test_late_parameters_resume_with_their_own_counts(tmp_path):
    opts = []

    def make(params, lr):
        opts.append(Adam(params, lr=lr))
        return opts[-1]

    whole, _ = short(Skips(), optimizer=make, transform=Stops())
    short(Skips(), optimizer=make, transform=Stops(25), checkpoint=tmp_path / 'c')
    resumed, _ = short(Skips(), optimizer=make, transform=Stops(), resume=tmp_path / 'c')
    assert same(whole.state_dict().values(), resumed.state_dict().values())
    assert opts[0].counts == opts[2].counts and 0 < opts[0].counts[-1] < opts[0].counts[0] == 30


def test_randomness_is_resumed(tmp_path):
    "Dropout's, batch normalisation's, and the transform's."

    class Noise(Stops):
        def __call__(self, x, generator):
            return super().__call__(x, generator) + 0.1 * torch.randn(x.shape, generator=generator)

    def net():
        torch.manual_seed(0)
        made = nn.Sequential(
            nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3)
        )
        torch.manual_seed(1)
        return made

    whole, _ = short(net(), transform=Noise())
    short(net(), transform=Noise(25), checkpoint=tmp_path / 'c')
    resumed = net()
    torch.manual_seed(99)
    short(resumed, transform=Noise(), resume=tmp_path / 'c')
    assert same(whole.state_dict().values(), resumed.state_dict().values())


def test_another_training_is_not_resumed(tmp_path):
    ok = tmp_path / 'c'
    short(transform=Stops(25), checkpoint=ok)
    last = few.x.clone()
    last[137, 5] += 1e-6  # one pixel of one example
    for words, kw in {
        'momentum 0.9, not 0.8': dict(optimizer=partial(SGD, momentum=0.8)),
        'seed 0, not 1': dict(seed=1),
        'lr 0.05, not 0.06': dict(lr=0.06),
        'epochs 3, not 4': dict(epochs=4),
        'batch 20, not 10': dict(batch=10),
        'another train': dict(train=Split(last, few.y)),
        'another valid': dict(valid=examples(60, seed=2)),
        'valid .*, not None': dict(valid=None),
        'examples 200, not 199': dict(train=Split(few.x[1:], few.y[1:])),
        'transform Stops, not NoneType': dict(transform=None),
        'way functions, not tape': dict(model=start(as_tape)),
        'shapes': dict(model=init_he([8, 7, 3])),
        'another schedule': dict(schedule=lambda lr, n: lambda k: lr),
    }.items():
        args = (
            dict(
                model=start(),
                train=few,
                valid=look,
                epochs=3,
                batch=20,
                lr=0.05,
                progress=False,
                transform=Stops(),
                resume=ok,
            )
            | kw
        )
        model = args.pop('model')
        before = [p.clone() for p in parameters_of(model)]
        with pytest.raises((ModelError, TypeError), match=words.replace(', not partial', '')):
            fit(model, args.pop('train'), args.pop('valid'), **args)
        assert same(parameters_of(model), before)  # nothing was changed
    old = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('medium')
    try:
        with pytest.raises(ModelError, match='precision highest, not medium'):
            short(transform=Stops(), resume=ok)
    finally:
        torch.set_float32_matmul_precision(old)
    with pytest.raises(FileNotFoundError):
        short(resume=tmp_path / 'nowhere')


class Abs(mlfound.module.Module):
    def forward(self, x):
        return x.abs()

    def bwd(self, g, x):
        return g * x.sign()


class Leaky(nn.Module):
    "A layer whose setting its repr does not show."

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        return torch.where(x > 0, x, self.slope * x)


def torch_net(middle, frozen=False):
    net = nn.Sequential(nn.Linear(8, 6), middle, nn.Linear(6, 3))
    net[2].requires_grad_(not frozen)
    return net


def layered(middle):
    model = as_layers(start())
    model.layers[1] = middle
    return model


class Noise:
    def __init__(self, size):
        self.size = size

    def __call__(self, x, generator):
        return x + self.size * torch.randn(x.shape, generator=generator)

    def method(self, x, generator):
        return self(x, generator)


class Slotted:
    __slots__ = ('size',)

    def __init__(self, size):
        self.size = size

    def __call__(self, x, generator):
        return x * self.size


def times(k):
    return lambda x, generator: x * k


def moved(x, generator, by=0.0):
    return x + by


def moved_by(k):
    def moved(x, generator, by=k):
        return x + by

    return moved


def moved_by_keyword(k):
    def moved(x, generator, *, by=k):
        return x + by

    return moved


def plus_array(x, generator, by):
    return x + torch.from_numpy(by)


def in_a_list(x, generator, held):
    return held[0]['a'][0](x, generator)


def tagged(k):
    def f(x, generator):
        return x * f.k

    f.k = k
    return f


one_, another = torch.zeros(200, 8), torch.zeros(200, 8)  # their reprs are abbreviated
another[100, 3] = 1.0
pairs_of_transforms = dict(
    objects=lambda k: Noise(k),
    slots=lambda k: Slotted(k),
    methods=lambda k: Noise(k).method,
    closures=times,
    codes=lambda k: (lambda x, g: x.sin()) if k == 1 else (lambda x, g: x.cos()),
    constants=lambda k: (lambda x, g: x * 1) if k == 1 else (lambda x, g: x * 100),
    defaults=moved_by,
    keyword_defaults=moved_by_keyword,
    attributes=tagged,
    partials=lambda k: partial(moved, by=k),
    big_tensors=lambda k: partial(moved, by=one_ if k == 1 else another),
    arrays=lambda k: partial(plus_array, by=(one_ if k == 1 else another).numpy()),
    nested=lambda k: partial(in_a_list, held=[dict(a=(Noise(k),))]),
)
pairs_of_networks = dict(
    middle=lambda k: torch_net(nn.ReLU() if k == 1 else nn.Tanh()),
    dropout=lambda k: torch_net(nn.Dropout(0.1 if k == 1 else 0.9)),
    hidden_setting=lambda k: torch_net(Leaky(0.1 * k)),
    frozen=lambda k: torch_net(nn.ReLU(), frozen=k != 1),
    mode=lambda k: torch_net(nn.Dropout(0.5).train(k == 1)),
    layers=lambda k: layered(mlfound.module.ReLU() if k == 1 else Abs()),
)


@pytest.mark.parametrize('make', pairs_of_transforms.values(), ids=pairs_of_transforms)
def test_another_transform_is_not_resumed(make, tmp_path):
    def train(k, **files):
        short(transform=make(k), epochs=1, batch=200, **files)

    assert repr(one_) == repr(another)
    train(1, checkpoint=tmp_path / 'c')
    train(1, resume=tmp_path / 'c')
    with pytest.raises(ModelError, match='another content of transform'):
        train(100, resume=tmp_path / 'c')


@pytest.mark.parametrize('make', pairs_of_networks.values(), ids=pairs_of_networks)
def test_another_network_is_not_resumed(make, tmp_path):
    short(make(1), checkpoint=tmp_path / 'c')
    short(make(1), resume=tmp_path / 'c')
    model = make(2)
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ModelError, match='layers|trained|modes'):
        short(model, resume=tmp_path / 'c')
    assert same(model.parameters(), before)


def test_what_cannot_be_compared_is_named(tmp_path):
    class Mine(SGD):
        def __init__(self, params, lr, extra):
            super().__init__(params, lr)
            self.extra = extra

    for extra in (torch.ones(3), {1, 2}, np.float32(1), torch.float32, moved):
        make = partial(Mine, extra=extra)
        short(optimizer=make, checkpoint=tmp_path / 'c', fresh=True)
        short(optimizer=make, resume=tmp_path / 'c')
        with pytest.raises(ModelError, match='optimizer.extra'):
            short(optimizer=partial(Mine, extra=torch.zeros(3)), resume=tmp_path / 'c')
    with pytest.raises(TypeError, match="fit: the optimizer's extra cannot be compared.*hold num"):
        short(optimizer=partial(Mine, extra=(k for k in [1])), checkpoint=tmp_path / 'd')
    with pytest.raises(TypeError, match='fit: the transform cannot be compared'):
        short(transform=times((k for k in [1])), checkpoint=tmp_path / 'd')
    assert os.listdir(tmp_path) == ['c']


def test_interruption_goes_back_to_the_best_epoch(tmp_path):
    def falling(lr, steps):
        return lambda k: 0.05 if k < 10 else 30.0

    one, _ = short(epochs=1, schedule=falling)
    model, h = short(schedule=falling, transform=Stops(25), checkpoint=tmp_path / 'c')
    assert (
        h.epochs[1]['accuracy'] < h.epochs[0]['accuracy']
        and same(model, one)
        and len(h.rates) == len(h.losses)
    )
    again, _ = short(schedule=falling, transform=Stops(1), resume=tmp_path / 'c')
    assert same(again, one)
    early, h = short(transform=Stops(5))
    assert h.interrupted and not h.epochs and not same(early, start())


def test_unfinished_is_not_overwritten(tmp_path):
    c = tmp_path / 'c'
    short(transform=Stops(25), checkpoint=c)
    with pytest.raises(Unfinished, match='interrupted after 2 of 3 epochs'):
        short(checkpoint=c)
    assert checkpoint_epochs(c) == (2, 3)
    short(checkpoint=c, resume=c, transform=Stops())
    assert checkpoint_epochs(c) == (3, 3)
    short(checkpoint=c)  # done: may be replaced
    short(transform=Stops(15), checkpoint=c)
    short(checkpoint=c, fresh=True)
    (tmp_path / 'thesis').write_text('years of work')
    with pytest.raises(ModelError, match='not written by mlfound'):
        short(checkpoint=tmp_path / 'thesis', fresh=True)
    assert (tmp_path / 'thesis').read_text() == 'years of work'


def test_full_disk(tmp_path):
    "At the start an error, before any work; later the training is worth more than its copy."
    full = OSError(28, 'No space left on device')
    with mock.patch('os.fsync', side_effect=full), pytest.raises(OSError, match='No space left.*c'):
        short(checkpoint=tmp_path / 'c')
    with mock.patch('os.fsync', side_effect=[None, None, full, full]):
        model, h = short(checkpoint=tmp_path / 'c')
    assert (
        same(model, short()[0])
        and 'No space left' in h.unwritten
        and str(tmp_path / 'c') in h.unwritten
    )
    assert checkpoint_epochs(tmp_path / 'c') == (1, 3) and os.listdir(tmp_path) == ['c']
    with pytest.raises(FileNotFoundError, match='nowhere/c'):
        short(checkpoint=tmp_path / 'nowhere/c')


def test_training_error_keeps_the_best_epoch():
    def spoil(x, generator):
        return x if next(steps) < 15 else x * math.inf

    steps, one = iter(range(99)), short(epochs=1, schedule=lambda lr, n: lambda k: 0.05)[0]
    model = start()
    with pytest.raises(
        TrainingError, match=r'is nan at step 16 \(epoch 2, learning rate 0.05'
    ) as e:
        short(model, transform=spoil, schedule=lambda lr, n: lambda k: 0.05)
    assert same(model, one) and len(e.value.history.epochs) == 1

    class Wild(SGD):
        def update(self, p, g, m):
            p.fill_(torch.nan)

    with pytest.raises(TrainingError, match='no longer a number after step'):
        short(optimizer=Wild, batch=200, epochs=1)


def test_progress():
    class Screen(io.StringIO):
        def isatty(self):
            return True

    for stream, wanted, lines, bar in (
        (io.StringIO(), None, 3, False),
        (Screen(), None, 3, True),
        (io.StringIO(), True, 3, True),
        (Screen(), False, 0, False),
    ):
        with mock.patch('sys.stderr', stream), mock.patch.dict(sys.modules):
            sys.modules.pop('ipykernel', None)
            short(progress=wanted)
        assert (stream.getvalue().count('accuracy'), '\r' in stream.getvalue()) == (lines, bar)


def test_quiet_with_warnings_as_errors(tmp_path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for dress in dresses.values():
            short(start(dress), checkpoint=tmp_path / 'c', fresh=True)


# -- files: every bit, every length, every moment


def unchanged(read, right):
    "Does `read()` give what is right, or refuse in one line?"
    try:
        got = read()
    except ModelError as e:
        return '\n' not in str(e)
    return got == right


def content(path, kind):
    tensors, facts = read_tensors(path, kind)
    return {
        k: (t.dtype, tuple(t.shape), bytes(t.contiguous().reshape(-1).view(torch.uint8).numpy()))
        for k, t in tensors.items()
    }, facts


@pytest.mark.parametrize('kind', ['model', 'checkpoint'])
def test_flipped_bits_and_cut_files(kind, tmp_path):
    path, bad = tmp_path / 'whole', tmp_path / 'bad'
    if kind == 'model':
        save(path, start(), accuracy=0.98, seed=0)
    else:
        short(checkpoint=path)
    whole, right = path.read_bytes(), content(path, kind)
    rng = random.Random(0)
    head = int.from_bytes(whole[:8], 'little') + 8
    bits = [rng.randrange(8 * head) for _ in range(150)] + [
        rng.randrange(8 * head, 8 * len(whole)) for _ in range(150)
    ]
    for bit in bits:
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        bad.write_bytes(data)
        assert unchanged(lambda: content(bad, kind), right), f'bit {bit}'
    for _ in range(100):
        bad.write_bytes(whole[: rng.randrange(len(whole))])
        with pytest.raises(ModelError):
            read_tensors(bad, kind)
    if kind == 'model':
        with pytest.raises(ModelError):
            load(bad)
    else:
        with pytest.raises(ModelError):
            short(resume=bad)


def raw_file(tensors, known):
    from safetensors.torch import save as to_bytes

    return to_bytes(
        tensors,
        {'mlfound': known if isinstance(known, str) else json.dumps(known)} if known else {},
    )


def test_strange_files(tmp_path):
    ones, path = torch.ones(2, 3), tmp_path / 'f'

    def model(**tensors):
        return raw_file(tensors, dict(kind='model', facts={}))

    deep = '{"kind": "model", "facts": {"a": ' + '[' * 100_000 + ']' * 100_000 + '}}'
    for data, words in [
        (b'', 'not a whole safetensors file'),
        (b'GIF89a, or anything', 'not a whole safetensors file'),
        (
            raw_file(dict(w1=ones), dict(kind='checkpoint', facts={})),
            'a checkpoint; a model is needed',
        ),
        (raw_file(dict(w1=ones), 'model'), 'its facts cannot be read'),
        (raw_file(dict(w1=ones), '[1]'), 'its facts cannot be read'),
        (raw_file(dict(w1=ones), '{"kind": "model"}'), 'its facts cannot be read'),
        (raw_file(dict(w1=ones), deep), 'its facts cannot be read'),
        (
            raw_file(dict(w1=ones), '{"kind": "model", "facts": {"a": ' + '9' * 5000 + '}}'),
            'its facts cannot be read',
        ),
        (raw_file(dict(w1=ones), None), 'a file not written by mlfound'),
        (model(w1=ones), 'holds w1; needed are'),
        (model(w1=ones, b2=torch.ones(3)), 'needed are w1, b1'),
        (model(w1=torch.ones(3), b1=torch.ones(3)), r'w1 is \(3,\)'),
        (model(w1=ones, b1=torch.ones(4)), 'they do not chain'),
        (model(w1=ones.long(), b1=torch.ones(3)), r'w1 is \(2, 3\) torch.int64'),
        (model(w1=ones * torch.nan, b1=torch.ones(3)), 'w1 holds nan or inf'),
        (
            model(w1=ones.to(torch.float8_e4m3fn), b1=torch.ones(3)),
            'w1 holds torch.float8_e4m3fn, which is not read here',
        ),
        (
            raw_file(dict(w1=ones, b1=torch.ones(3)), dict(kind='model', facts={}, version=1)),
            'digest does not fit',
        ),
        (
            raw_file(dict(w1=ones, b1=torch.ones(3)), dict(kind='model', facts={}, digest='0')),
            'of version None',
        ),
        (
            raw_file(
                dict(w1=ones, b1=torch.ones(3)), dict(kind='model', facts={}, version=2, digest='0')
            ),
            'of version 2',
        ),
        (
            raw_file(
                dict(w1=ones, b1=torch.ones(3)), dict(kind='model', facts=dict(network='spiral'))
            ),
            "a network 'spiral'",
        ),
    ]:
        path.write_bytes(data)
        with pytest.raises(ModelError, match=words) as e:
            load(path)
        assert str(e.value).startswith(str(path)) and '\n' not in str(e.value)
    path.write_bytes(
        model(w1=ones, b1=torch.ones(3))
    )  # of an older version of this library, with neither version nor digest
    assert_close(load(path)[0], [ones, torch.ones(3)])
    with pytest.raises(ModelError, match='a folder; pass the file in it'):
        load(tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / 'nowhere')


def test_checkpoints_that_claim_too_much(tmp_path):
    c, bad = tmp_path / 'c', tmp_path / 'bad'
    short(transform=Stops(25), checkpoint=c)
    tensors, facts = read_tensors(c, 'checkpoint')
    for change, words in [
        (dict(steps=10**12), '1000000000000 steps in 2 epochs'),
        (dict(steps='20'), 'steps is missing'),
        (dict(counts=[20.0]), 'counts is missing'),
        (dict(counts=[20, 20]), 'counts is missing'),
        (dict(counts=[21]), 'a parameter took 21 of 20 steps'),
        (dict(epochs={}), 'epochs is missing'),
        (dict(settings=3), 'settings is missing'),
        (dict(best='x'), 'best is missing'),
        (dict(seconds=None), 'seconds is missing'),
        (dict(epochs=[{}] * 10**5, steps=10**6), 'history.losses'),
    ]:
        write_tensors(bad, tensors, 'checkpoint', facts | change)
        with pytest.raises(ModelError, match=words):
            short(transform=Stops(), resume=bad)
    old = {k: v for k, v in facts.items() if k != 'counts'}
    write_tensors(bad, tensors, 'checkpoint', old)
    with pytest.raises(ModelError, match='a checkpoint of an earlier version.*begin anew'):
        short(transform=Stops(), resume=bad)
    for gone in (
        'best.0',
        'random.order',
        'random.torch',
        'history.rates',
        'history.losses',
        'model.0',
        'momenta.0',
    ):
        write_tensors(bad, {k: t for k, t in tensors.items() if k != gone}, 'checkpoint', facts)
        with pytest.raises(ModelError, match=gone):
            short(transform=Stops(), resume=bad)


def test_writing(tmp_path):
    path = tmp_path / 'm'
    save(path, start(), seed=0)
    old = path.read_bytes()
    for name, error in (
        ('os.fsync', KeyboardInterrupt),
        ('os.replace', PermissionError(13, 'Permission denied')),
    ):
        with (
            mock.patch(name, side_effect=error),
            pytest.raises((KeyboardInterrupt, PermissionError)),
        ):
            save(path, init_he([8, 9, 3]))
        assert path.read_bytes() == old and os.listdir(tmp_path) == ['m']
    sizes = []
    with mock.patch('os.fsync', side_effect=lambda f: sizes.append(os.fstat(f).st_size)):
        save(path, start(), seed=0)
    assert (
        sizes == [len(old)] and path.read_bytes() == old
    )  # all handed over before they are forced onto the disk; the same bytes
    os.chmod(path, 0o640)
    (tmp_path / 'link').symlink_to(path)
    save(tmp_path / 'link', [p.t().contiguous().t() if p.ndim == 2 else p for p in start()], seed=0)
    assert (
        (tmp_path / 'link').is_symlink()
        and path.read_bytes() == old
        and path.stat().st_mode & 0o777 == 0o640
    )
    with pytest.raises(FileNotFoundError, match='no/where'):
        save(tmp_path / 'no/where', start())
    for bad in ([torch.ones(2, 3), torch.full((3,), torch.nan)], [torch.ones(2, 3)], []):
        with pytest.raises(ValueError):
            save(path, bad)
    save(tmp_path / ('n' * 250), start())  # as long as a name can be
    assert path.read_bytes() == old


def train_into(folder):
    "What the command does: claim, go on if there is something to go on from, save."
    goes_on = (folder / 'checkpoint.safetensors').exists()
    with claim(folder, resume=goes_on) as out:
        c = out / 'checkpoint.safetensors'
        model, _ = short(epochs=20, checkpoint=c, resume=c if goes_on else None)
        save(out / 'model.safetensors', model)


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='the processes to be killed are forked')
def test_killed_and_resumed_is_undisturbed(tmp_path):
    "Killed at random moments, resumed each time, and done: the same bits, and no leftovers."
    want, _ = short(epochs=20)
    rng, folder, begun = random.Random(0), tmp_path / 'out', 0
    for kill in range(int(os.environ.get('MLFOUND_KILLS', 12))):
        child = os.fork()
        if not child:
            torch.set_num_threads(1)
            try:
                train_into(folder)
            finally:
                os._exit(0)
        time.sleep(rng.random() * 0.15)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        begun += (folder / 'checkpoint.safetensors').exists()
        if (folder / 'model.safetensors').exists():
            shutil.rmtree(folder)  # it was done: once more from the beginning
    train_into(folder)
    assert begun and same(load(folder / 'model.safetensors')[0], want)
    assert sorted(os.listdir(folder)) == ['checkpoint.safetensors', 'model.safetensors']


# -- the module that can be called


def test_module_is_callable():
    import inspect

    assert mlfound.fit.fit is fit and inspect.signature(mlfound.fit) == inspect.signature(fit)
    assert isinstance(mlfound.fit(start(), few, epochs=1, batch=20, progress=False), History)
    assert [w for n, w in REGISTRY if n == 'plain'] == ways() # 'compiled' where chapter 12 is loaded
    assert [w for w in ways() if w != 'compiled'] == ['functions', 'layers', 'tape', 'PyTorch']
