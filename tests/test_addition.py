"Transformers trained, interrupted and resumed by every way; the network that adds; its commands."

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch
from conftest import interrupted_after
from torch.testing import assert_close

from mlfound.addition import (
    ADDER,
    ANSWER,
    QUESTION,
    TEST,
    TRAIN,
    as_examples,
    decode,
    draw_pairs,
    homes,
    pack_adder,
    sums,
    trained_adder,
)
from mlfound.cli import main
from mlfound.data import Split
from mlfound.files import packaged
from mlfound.fit import fit, load, save
from mlfound.sampling import Memory, next_scores, write
from mlfound.saved import ModelError
from mlfound.transformer import transformer
from mlfound.transformernet import ROWS, TransformerNet, for_plain_pixels, net_tensors
from mlfound.transformerplan import TransformerPlan
from mlfound.ways import REGISTRY, UNASKED, evaluate, ways

small = ADDER._replace(width=8, heads=2, blocks=1)
lines = ROWS._replace(width=8, heads=2, blocks=1)
adder = packaged('assets/adder.safetensors')


def network(plan=small, dtype=None):
    return TransformerNet(plan, torch.Generator().manual_seed(0), dtype)


def examples(plan=small, n=40, dtype=torch.float32):
    if plan.tokens:
        return Split(*(t[:n] for t in sums(256).train))
    gen = torch.Generator().manual_seed(0)
    x = torch.rand(n, 784, generator=gen).to(dtype)
    return Split(x, torch.randint(0, 10, (n,), generator=gen))


def trained(way, plan=small, dtype=torch.float32, **more):
    net = network(plan, dtype)
    settings = dict(epochs=3, batch=16, lr=1e-2, optimizer='adam', progress=False) | more
    data = examples(plan, dtype=dtype)
    history = fit(REGISTRY['transformer', way].way(net), data, data, **settings)
    return net, history


@pytest.mark.parametrize('plan', [small, lines, small._replace(tied=True)])
def test_every_way_trains_alike(plan):
    nets = {w: net_tensors(trained(w, plan, torch.float64)[0]) for w in ways('transformer')}
    for way, tensors in nets.items():
        for name, t in tensors.items():
            assert_close(t, nets['functions'][name], rtol=1e-6, atol=1e-7, msg=f'{way} {name}')


@pytest.mark.parametrize('way', ways('transformer'))
def test_resumed_bit_for_bit(way, tmp_path):
    path = tmp_path / 'checkpoint'
    whole, _ = trained(way)
    with interrupted_after(2):
        _, history = trained(way, checkpoint=path)
    assert history.interrupted and len(history.epochs) == 2
    again, _ = trained(way, checkpoint=path, resume=path)
    for name, t in net_tensors(whole).items():
        assert torch.equal(t, net_tensors(again)[name]), name
    with pytest.raises(ModelError):
        trained(way, small._replace(heads=4), resume=path)


@pytest.mark.parametrize('plan', [small, lines])
def test_a_file_fills_another_network(plan, tmp_path):
    net, _ = trained('functions', plan)
    save(tmp_path / 'net', for_plain_pixels(net), network='transformer')
    other = network(plan)
    again, facts = load(tmp_path / 'net', into=other)
    assert TransformerPlan(**facts['sizes']) == plan
    for name, t in net_tensors(again).items():
        assert torch.equal(t, net_tensors(other)[name]), name


def test_no_sum_is_in_two_parts():
    home = homes()
    assert torch.equal(home, home.T)
    for part in (TRAIN, TEST):
        pairs = draw_pairs(part, 3000, torch.Generator().manual_seed(5))
        assert (home[pairs[:, 0], pairs[:, 1]] == part).all()
        assert len(pairs.unique(dim=0)) == 3000 and pairs.min() >= 0 and pairs.max() < 1000
    lengths = {(len(str(a)), len(str(b))) for a, b in pairs.tolist()}
    assert len(lengths) == 9  # each kind of sum is met


def test_only_the_answer_is_asked_for():
    pairs = torch.tensor([[999, 999], [0, 0], [7, 85]])
    x, y = as_examples(pairs)
    assert [decode(t) for t in x.tolist()][2] == '   7+  85=   9'
    assert (y[:, : QUESTION - 1] == UNASKED).all()
    assert [decode(t) for t in y[:, QUESTION - 1 :].tolist()] == [' 1998', '    0', '   92']


def test_the_packaged_network_adds():
    net, record = trained_adder()
    for part in sums()[1:]:
        assert evaluate(net, part)[1] >= 0.995
    assert adder.stat().st_size <= 200_000
    assert record['task'] == 'addition' and record['method'] == 'functions'
    assert len(record['accuracy']) == record['epochs']


def test_written_as_judged():
    net, _ = trained_adder()
    x, y = (t[:200] for t in sums().valid)
    said = write(net, x[:, :QUESTION], ANSWER)
    assert torch.equal(said, transformer(x, net.params, net.plan)[:, QUESTION - 1 :].argmax(-1))


def test_a_memory_of_another_device_or_type_is_its_own():
    net = network(dtype=torch.float64)
    x = torch.randint(0, 13, (3, 14), generator=torch.Generator().manual_seed(0))
    memory = Memory(small, 3, net.params.places)
    pieces = [next_scores(part, net, memory) for part in x.split(5, 1)]
    want = transformer(x, net.params, small)
    for z, at in zip(pieces, (4, 9, 13), strict=True):
        assert_close(z, want[:, at], rtol=1e-12, atol=1e-12)


def test_packed_and_read_again(tmp_path):
    net, history = trained('functions')
    pack_adder(net, history, tmp_path / 'net', seed=0)
    again, facts = load(tmp_path / 'net')
    assert facts['seed'] == 0 and len(facts['accuracy']) == 3
    for name, t in net_tensors(again).items():
        assert t.dtype == torch.float16
        assert torch.equal(t, net_tensors(net)[name].half()), name


def said(*args):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(a) for a in args])
    return code, err.getvalue(), out.getvalue()


@pytest.fixture
def few_sums(monkeypatch):
    monkeypatch.setattr('mlfound.jobs.sums', lambda: sums(512, 64))


def test_the_commands(tmp_path, monkeypatch, few_sums):
    monkeypatch.chdir(tmp_path)
    code, err, out = said(
        'train', '--task', 'addition', '--epochs', '1', '--batch', '16', '--out', 'm'
    )
    assert (code, err.count('warning')) == (0, 0), err
    assert 'transformer network of 2 blocks' in out and '512 sums' in out and 'adam' in out
    assert {p.name for p in (tmp_path / 'm').iterdir()} == {
        'checkpoint.safetensors',
        'model.safetensors',
        'report.png',
    }
    code, err, out = said('add', '417+85', '--model', 'm')
    assert code in (0, 1) and not err and ('wrong' in out) == (code == 1)
    code, err, out = said('predict', 'm', 'digit.png')
    assert code == 2 and 'a network that adds' in err and err.count('\n') == 1
    code, err, out = said('train', '--task', 'addition', '--epochs', '1', '--resume', '--out', 'm')
    assert code == 2 and 'batch' in err


def test_answers_of_the_packaged_network():
    code, err, out = said('add', '417+85', '999 + 1', '--model', adder)
    assert (code, err) == (0, '') and '417+85' in out and '1000' in out
    code, err, out = said('add', '417+85', '999+1', '--json', '--model', adder)
    rows = [json.loads(row) for row in out.splitlines()]
    assert [(r['answer'], r['right']) for r in rows] == [('502', True), ('1000', True)]


def test_until_a_network_is_trained_here_another_answers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        code, err, out = said('add', '417+85')
        assert code == 0 and '502' in out and err.count('\n') == 1 and 'comes along' in err
        save('mlfound-model', [torch.zeros(784, 10), torch.zeros(10)])  # reads digits, adds none
    Path('mlfound-model').write_bytes(adder.read_bytes()[:5000])
    code, err, _ = said('add', '417+85')  # damaged: nobody else answers in its place
    assert code == 2 and err.count('\n') == 1 and 'mlfound-model' in err
    Path('mlfound-model').write_bytes(adder.read_bytes())
    code, err, out = said('add', '417+85')
    assert (code, err) == (0, '') and '502' in out


wrong = {
    'no model': (['add', '1+2', '--model', 'nowhere'], 'no such file; train one with mlfound'),
    'no sum': (['add', 'two+two'], 'is not a sum of two whole numbers; write one such as 417+85'),
    'three summands': (['add', '1+2+3'], 'is not a sum of two'),
    'a minus': (['add', '3-2'], 'is not a sum of two'),
    'too many digits': (['add', '1234+5'], 'a number of more than 3 digits'),
    'nothing': (['add'], 'the following arguments are required: SUM'),
    'another task': (['train', '--task', 'division'], 'task is'),
    'another network': (['train', '--task', 'addition', '--network', 'plain'], 'does not learn'),
    'digits to add': (['train', '--task', 'addition', '--digits', '9'], 'no meaning with task'),
    'units': (['train', '--network', 'transformer', '--layers', '2'], 'no meaning with network'),
    'best to add': (['train', '--best', '--task', 'addition'], 'best has no use for task'),
    'best of the plain': (['train', '--best', '--network', 'plain'], 'best is not known of'),
}


@pytest.mark.parametrize('case', wrong)
def test_one_line_for_what_is_wrong(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed, says = wrong[case]
    try:
        code, err, _ = said(*typed)
    except SystemExit as e:
        code, err = e.code, says + '\n'
    assert code == 2 and err.count('\n') == 1 and says in err, err


def test_a_model_of_another_kind(tmp_path):
    plain = [torch.zeros(784, 10), torch.zeros(10)]
    save(tmp_path / 'plain', plain)
    code, err, _ = said('add', '1+2', '--model', tmp_path / 'plain')
    assert code == 2 and 'does not add; train one with mlfound train --task addition' in err


def test_rows_on_command(tmp_path, monkeypatch, few_digits):
    monkeypatch.chdir(tmp_path)
    code, err, out = said(
        'train', '--network', 'transformer', '--digits', '100', '--epochs', '1', '--batch', '20',
        '--out', 'm',
    )
    assert code == 0 and 'adam up to 0.005' in out, err
    code, err, out = said('predict', 'm', 'nothing.png')
    assert code == 1 and 'nothing.png' in err
