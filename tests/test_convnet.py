"The network of windows trained, interrupted and resumed by every way; its files; its command."

import io
from contextlib import redirect_stdout

import pytest
import torch
from conftest import interrupted_after
from torch.testing import assert_close

from mlfound.cli import main
from mlfound.convnet import BEST_PLAN, ConvNet, Plan, conv_tensors, for_plain_pixels, shift_each
from mlfound.data import Split
from mlfound.fit import evaluate, fit, load, save
from mlfound.saved import ModelError
from mlfound.training import standardized
from mlfound.ways import REGISTRY, answers, ways

rich = Plan([[3, 5, 0], [4, 3, 1]], norm=True, drop=0.3)


def digits(n=80):
    gen = torch.Generator().manual_seed(0)
    return Split(torch.rand(n, 784, generator=gen), torch.randint(0, 10, (n,), generator=gen))


def network(plan=rich, dtype=None):
    return ConvNet(plan, torch.Generator().manual_seed(0), dtype)


def trained(way, dtype=torch.float64, plan=rich, **more):
    net, (x, y) = network(plan, dtype), digits()
    settings = dict(epochs=3, batch=16, lr=0.02, progress=False, transform=shift_each) | more
    history = fit(REGISTRY['conv', way].way(net), Split(x.to(dtype), y), **settings)
    return net, history


def test_every_way_trains_alike():
    nets = {way: conv_tensors(trained(way)[0]) for way in ways('conv')}
    for way, tensors in nets.items():
        for name, t in tensors.items():
            assert_close(t, nets['functions'][name], rtol=1e-9, atol=1e-10, msg=f'{way} {name}')


@pytest.mark.parametrize('way', ways('conv'))
def test_resumed_bit_for_bit(way, tmp_path):
    "Masks, order and steps of the pictures come from the run's generator, which checkpoints hold."
    path = tmp_path / 'checkpoint'
    whole, _ = trained(way, torch.float32)
    with interrupted_after(2):
        _, history = trained(way, torch.float32, checkpoint=path)
    assert history.interrupted and len(history.epochs) == 2
    torch.rand(7)  # the global generator has gone on
    again, _ = trained(way, torch.float32, checkpoint=path, resume=path)
    for name, t in conv_tensors(whole).items():
        assert torch.equal(t, conv_tensors(again)[name]), name


def test_another_plan_is_another_training(tmp_path):
    path = tmp_path / 'checkpoint'
    trained('functions', torch.float32, checkpoint=path)
    for plan in (rich._replace(drop=0.4), rich._replace(blocks=[[3, 5, 0], [4, 3, 0]])):
        with pytest.raises(ModelError):
            trained('functions', torch.float32, plan=plan, resume=path)


def test_training_leaves_the_modes_alone():
    net = network().eval()
    (x, y), way = digits(), REGISTRY['conv', 'functions'].way(net)
    before = answers(way, x)
    assert torch.equal(before, answers(way, x)) and torch.equal(before, answers(net, x))
    fit(REGISTRY['conv', 'layers'].way(net), Split(x, y), epochs=1, lr=0.01, progress=False)
    assert not any(m.training for m in net.modules())


@pytest.mark.parametrize('plan', [rich, BEST_PLAN, Plan([[2, 5, 0]])])
def test_a_file_holds_the_network_for_plain_pixels(plan, tmp_path):
    net, plain = network(plan), digits()
    way, shown = REGISTRY['conv', 'functions'].way(net), standardized(plain)
    fit(way, shown, epochs=2, batch=16, lr=0.02, progress=False)
    save(tmp_path / 'net', for_plain_pixels(net), network='conv')
    again, facts = load(tmp_path / 'net')
    assert Plan(**facts['sizes']) == plan
    assert_close(answers(again, plain.x), answers(net, shown.x), rtol=1e-4, atol=1e-4)
    assert_close(evaluate(again, plain), evaluate(net, shown), rtol=1e-4, atol=1e-4)
    other = network(plan)
    load(tmp_path / 'net', into=other)
    assert torch.equal(other.last.w, again.last.w)


def test_the_command(tmp_path, monkeypatch, few_digits):
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    typed = 'train --network conv --method tape --digits 200 --epochs 1 --batch 50 --out m'
    with redirect_stdout(out):
        assert main(typed.split()) == 0
        assert main('predict m picture.png'.split()) == 1  # no such picture
    assert 'conv network 1-8-16-10 by tape' in out.getvalue()
    assert main('train --network conv --hidden 9 --out n'.split()) == 2


def test_shift_each():
    x = torch.zeros(50, 784).view(50, 28, 28)
    x[:, 10:12, 10:12] = 1.0
    moved = shift_each(x.flatten(1), torch.Generator().manual_seed(0), most=2).view(50, 28, 28)
    places = {tuple(m.nonzero()[0].tolist()) for m in moved}
    assert all((m.sum(), m.max()) == (4, 1) for m in moved)
    assert len(places) > 12 and all(8 <= p <= 12 for place in places for p in place)
