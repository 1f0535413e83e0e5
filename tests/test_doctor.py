"What an examination finds, names and leaves alone."
import json
import os
import re
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import started
import torch
from conftest import root, settings
from doctor_faults import FAULTS
from doctor_held_out import FAULTS as HELD_OUT, FOUND, SOUND as HELD_OUT_SOUND
from doctor_reports import FAULTS as REPORTS, FOUND as FOUND_LATER, SOUND as REPORTS_SOUND
from doctor_sound import SOUND, drawn
from doctor_strangers import FAULTS as STRANGERS, SOUND as STRANGERS_SOUND
from mlfound import doctor
from mlfound.backward import lin_vjp
from mlfound.cli import main
from mlfound.doctor import TRIALS, GradientsWrong, Settings, assert_gradients, diagnose, examine
from mlfound.forward import lin

quiet = Settings(progress=False)
FAULTS, FOUND = FAULTS | HELD_OUT | REPORTS | STRANGERS, FOUND | FOUND_LATER
SOUND = SOUND | HELD_OUT_SOUND | REPORTS_SOUND | STRANGERS_SOUND
everything = os.environ.get('MLFOUND_FAULTS') == 'all'

def some(table, step):
    "All of a table where asked for, otherwise each so-manieth row."
    return [*table] if everything else [*table][::step]

@pytest.mark.parametrize('name', some(FAULTS, 25))
def test_a_fault_is_caught_and_named(name):
    thing, args, words = FAULTS[name]
    report = examine(thing, *args, settings=quiet)
    assert not report.ok and re.search(words, report.name), report

@pytest.mark.parametrize('name', some(SOUND, 45))
def test_no_false_alarm(name):
    thing, args, more = SOUND[name]
    report = examine(thing, *args, settings=quiet, **more)
    assert report.ok, report
    assert report.tried == [t for t in TRIALS if t != 'like its model']

@pytest.mark.skipif(not torch.__version__.startswith('2.13'), reason='found in PyTorch 2.13')
@pytest.mark.parametrize('name', FOUND)
def test_what_was_found_in_pytorch(name):
    thing, args, words = FOUND[name]
    only = Settings(trials=['changed in place', 'corners and ties', 'memory layouts',
                            'second order', 'upstream gradients'], progress=False, shrink=False)
    report = examine(thing, *args, settings=only)
    assert re.search(words, report.name), report

@pytest.mark.skipif(not torch.__version__.startswith('2.13'), reason='found in PyTorch 2.13')
def test_it_is_pytorch_that_is_wrong_there():
    "Each without any examination."
    a = torch.tensor([[1., 1], [2, 2]], dtype=torch.float64, requires_grad=True)
    got, = torch.autograd.grad(torch.linalg.det(a), a)
    assert torch.equal(got, 0*got), 'the cofactors are 2, -2, -1, 1'
    x, y = drawn(2, 2).requires_grad_(), drawn(2, 2, seed=1)
    out = torch.kron(x, y).sum()
    want, = torch.autograd.grad(out, x, retain_graph=True)
    y.add_(1)
    assert not torch.allclose(torch.autograd.grad(out, x)[0], want), 'nothing is raised'
    x, w, g = drawn(5, 4).requires_grad_(), drawn(4, seed=1), drawn(5, 4, seed=2)
    got = []
    for weight in (w, torch.stack([w, w+1], -1)[..., 0]):
        y = torch.nn.functional.batch_norm(x, None, None, weight, w, training=True)
        got.append((y.detach(), torch.autograd.grad(y, x, g)[0]))
    assert torch.allclose(got[0][0], got[1][0]) and not torch.allclose(got[0][1], got[1][1])

@pytest.mark.skipif(not torch.__version__.startswith('2.13'), reason='found in PyTorch 2.13')
def test_it_is_pytorch_that_is_wrong_there_too():
    "A nan that is lost, a bound that moves the result without a gradient, a second derivative."
    x = drawn(3).requires_grad_()
    g = torch.tensor([np.nan, 1., 1.], dtype=torch.float64)
    assert torch.autograd.grad(torch.logcumsumexp(x, 0), x, g)[0].isfinite().all()
    low, high = (torch.ones((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    out = torch.clamp(torch.zeros((), dtype=torch.float64), low, high)
    assert torch.autograd.grad(out, (low, high)) == (0, 0), 'moved together, they move the result'
    v, w = drawn(3, 4).requires_grad_(), drawn(3, 1, seed=1).requires_grad_()
    def normed(v, w): return torch._weight_norm(v, w, 0)
    assert torch.autograd.gradcheck(normed, (v, w))
    assert not torch.autograd.gradgradcheck(normed, (v, w), raise_exception=False)

def test_a_model_is_asked_where_results_are_infinite_too():
    "Mutants of `pow` at 0 to a negative exponent, and at 0 to the 0."
    x, y = (torch.tensor(v, dtype=torch.float64) for v in ([0., 2.], [-1., 3.]))
    def power(x, y): return x**y
    def rule(none, g, x, y):
        logs = torch.log(torch.where(none(x, y), 1., x))
        return g*torch.where(y == 0, 0., y*x**(y-1)), g*x**y*logs
    def right(g, x, y): return rule(lambda x, y: (x == 0) & (y >= 0), g, x, y)
    def no_minus(g, x, y): return rule(lambda x, y: x == 0, g, x, y)
    def no_nought(g, x, y): return rule(lambda x, y: (x == 0) & (y > 0), g, x, y)
    how = Settings(like=torch.pow, trials=['like its model'], progress=False, shrink=False)
    assert examine((power, right), x, y, settings=how).ok
    assert not examine((power, no_minus), x, y, settings=how).ok
    assert not examine((power, no_nought), x+1, y, settings=how).ok

def test_the_mutant_of_a_norm_that_is_left_is_no_mistake_at_first_order():
    "Without its `where` the rule gives 0/1 at 0; a second derivative is not there, says PyTorch."
    x = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.float16).double()
    x = x[x.isfinite()]
    out = x.abs() # each a vector of one number
    safe = torch.where(out == 0, 1., out)
    assert torch.equal(torch.where(out == 0, 0., x/safe), x/safe)
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    g, = torch.autograd.grad(torch.linalg.vector_norm(x), x, create_graph=True)
    assert torch.autograd.grad(g.sum(), x)[0].isnan().all()

def twice(x): return 2*x
def thrice(g, x): return 3*g

def test_the_code_of_a_finding_fails():
    "It is what a reader pastes into a test."
    report = examine((twice, thrice), drawn(5, 4), settings=quiet)
    with pytest.raises(GradientsWrong, match='it is 1.5 times the right one'):
        exec(report.faults[0].code, dict(torch=torch, assert_gradients=assert_gradients,
                                         twice=twice, thrice=thrice))
    assert 'torch.tensor([[' in report.faults[0].code and len(report.faults[0].code) < 120

def test_the_generators_are_left_as_they_were():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    examine(torch.nn.Dropout(), drawn(3), settings=quiet)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()

def test_a_module_is_left_as_it_was():
    m = torch.nn.BatchNorm1d(3)
    kept = {k: v.clone() for k, v in m.state_dict().items()}
    examine(m, torch.randn(4, 3), settings=quiet)
    assert m.training and all(torch.equal(v, kept[k]) for k, v in m.state_dict().items())
    assert m.weight.dtype == torch.float32 and m.weight.grad is None

def test_machines_can_read_it():
    report = examine((twice, thrice), drawn(2), settings=Settings(progress=False, stop=True))
    data = json.loads(json.dumps(report.as_data()))
    assert not data['ok'] and data['findings'][0]['kind'] == 'fault'
    assert '<table>' in report._repr_html_()

def test_of_several_fair_answers_it_is_told_which():
    "At a corner any slope between both sides is right, unless a model says which."
    def one_at_0(g, x): return g*(x >= 0)
    assert examine((torch.relu, one_at_0), drawn(3), settings=quiet).ok
    like = Settings(like=torch.relu, progress=False)
    report = examine((torch.relu, one_at_0), drawn(3), settings=like)
    assert 'another convention' in report.name
    with pytest.raises(GradientsWrong):
        exec(report.faults[0].code, dict(torch=torch, assert_gradients=assert_gradients,
                                         Settings=Settings, relu=torch.relu, one_at_0=one_at_0))
    assert examine((torch.relu, lambda g, x: g*(x > 0)), drawn(3), settings=like).ok
    other = examine(torch.relu, drawn(3), settings=Settings(like=torch.abs, progress=False))
    assert other.name == 'not its model: it is another function'

def test_what_was_compiled_is_held_against_its_original():
    "With compilers that need no compiler."
    def doubling(graph, examples): return lambda *args: [2*o for o in graph.forward(*args)]
    def f(x): return x.sin()*x
    report = examine(torch.compile(f, backend='aot_eager'), drawn(3), settings=quiet)
    assert report.ok and any(r.trial == 'torch.compile' for r in report.remarks)
    report = examine(torch.compile(f, backend=doubling), drawn(3), settings=quiet)
    assert report.name == 'compile: the compiled program differs'
    def none(graph, examples): raise RuntimeError('no compiler here')
    report = examine(torch.compile(f, backend=none), drawn(3), settings=quiet)
    assert report.ok and report.refusals[0].what.endswith('RuntimeError: no compiler here')

def test_complex_numbers_are_refused_by_name():
    z = torch.complex(drawn(3), drawn(3, seed=1))
    report = examine(lambda x, z: (x*z).abs(), drawn(3), z, settings=quiet)
    assert report.ok and any('z is complex' in r.what for r in report.refusals)
    with pytest.raises(TypeError, match='complex ones are not examined'): examine(torch.abs, z)

def test_large_arguments_are_judged_in_directions():
    report = examine(torch.tanh, drawn(60, 50), settings=quiet)
    assert report.ok and any('3,000 entries are judged along' in f.what for f in report.remarks)
    def spoilt(g, x):
        gx = g*(1 - x.tanh()**2)
        gx[3, 3] += 1
        return gx
    assert not examine((torch.tanh, spoilt), drawn(60, 50), settings=quiet).ok

@pytest.mark.parametrize('thing, args, says', [
    (torch.full, ((2,), 3), 'was given no floating-point tensor'),
    (torch.argmax, (drawn(3),), 'returned no floating-point tensor'),
    (7, (drawn(3),), 'nothing that can be called')])
def test_what_cannot_be_examined_is_an_error(thing, args, says):
    with pytest.raises(TypeError, match=says): examine(thing, *args)

def test_diagnose_tries_the_negative_of_a_drawn_g():
    def one_sided(g, x): return torch.where((g > 0).all(), 2*x*g, 2*x*g.abs())
    x = drawn(1)
    g = torch.ones(1, dtype=torch.float64)
    assert diagnose(torch.square, one_sided, x, g=g).ok
    drawn_g = diagnose(torch.square, one_sided, x)
    assert not drawn_g.ok
    assert diagnose(lin, lin_vjp, drawn(5, 3), drawn(3, 4), drawn(4)).ok

def run(command, folder):
    "Exit code and output, in a process of its own."
    env = os.environ | dict(PYTHONPATH=str(root), PYTEST_DISABLE_PLUGIN_AUTOLOAD='1',
                            OMP_NUM_THREADS='1')
    return subprocess.run([sys.executable, '-m', *command], cwd=folder, env=env, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL)

rules = '''import torch
def double(x): return 2*x
def rule(g, x): return 3*g
def right(g, x): return 2*g
'''

def test_a_failing_test_shows_the_findings(tmp_path):
    (tmp_path/'rules.py').write_text(rules)
    (tmp_path/'test_it.py').write_text('from rules import *\n'
        'from mlfound.doctor import assert_gradients\n'
        'def test_rule(): assert_gradients((double, rule), torch.ones(2))\n'
        'def test_right(): assert_gradients((double, right), torch.ones(2))\n')
    done = run(['pytest', '-p', 'mlfound.plugin', '-q', 'test_it.py'], tmp_path)
    assert '1 failed, 1 passed' in done.stdout
    assert 'FAULT   every entry' in done.stdout and 'Traceback' not in done.stdout
    assert 'def assert_gradients' not in done.stdout, 'lines of the library are shown'

def test_the_plugin_is_declared_and_loads_nothing():
    assert settings()['pytest_plugin'] == 'mlfound=mlfound.plugin'
    code = 'import sys, mlfound.plugin; assert "torch" not in sys.modules'
    subprocess.run([sys.executable, '-c', code], cwd=root, check=True)

def test_at_the_prompt(tmp_path, monkeypatch, capsys):
    (tmp_path/'rules.py').write_text(rules)
    (tmp_path/'values.py').write_text('import torch\nargs = torch.ones(3),\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    code, err, out = started.typed('examine', 'rules:double,rule', '--shapes', '2,3', '--json',
                                   cwd=tmp_path)
    assert code == 1 and not json.loads(out)['ok'], err
    def examined(*typed): # in this process
        code, (out, err) = main(['examine', *typed]), capsys.readouterr()
        return code, err, out
    code, err, out = examined('rules.py:double,right', '--args', 'values.py')
    assert code == 0 and 'nothing found' in out, err
    code, err, out = examined('rules:double,right', '--shapes', '2', '--like', 'torch:square')
    assert code == 1 and 'not its model' in out, err
    code, err, out = examined('rules:none', '--shapes', '2')
    assert (code, err) == (2, 'mlfound: error: examine: rules has no none; it has double, rule, '
                              'right\n')

def cut(x, lengths):
    "Ends the process where an unchecked kernel would read past the end."
    if int(lengths.max())>len(x): os.abort()
    return x[:int(lengths.max())].square()

forks = pytest.mark.skipif(not doctor.FORKS, reason='processes are copied on Linux alone')

@forks
def test_what_ends_the_process_ends_a_copy_of_it():
    report = examine(cut, torch.ones(3), torch.tensor([2,3]))
    assert report.ok and {f.trial for f in report.refusals}=={'other sizes', 'a batch, row by row'}
    assert all('ends Python' in f.what for f in report.refusals)

@forks
def test_the_smallest_arguments_are_looked_for_apart():
    "Where that ends the copy, the code is that of the arguments as they came."
    class Late(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, lengths): return cut(x, lengths)
        @staticmethod
        def backward(ctx, g): return g, None
    only = Settings(trials='every entry')
    report = examine(Late, torch.ones(3), torch.tensor([2,3]), settings=only)
    assert not report.ok and 'x = torch.tensor([1.0, 1.0, 1.0], ' in report.faults[0].code

def test_apart_or_not_the_findings_are_the_same():
    "What was drawn in the copy counts as drawn, and what fails there is told here."
    def f(x, k): return torch.index_select(x, 0, k).sin()
    def rule(g, x, k): return g*x.cos(), None
    x,k = torch.linspace(0, 1, 4, dtype=torch.float64), torch.arange(4)
    apart = str(examine((f, rule), x, k))
    with mock.patch.object(doctor, 'FORKS', False): assert str(examine((f, rule), x, k))==apart
    with mock.patch.dict(doctor.TRIALS, {'other sizes': lambda exam: iter([1/0])}):
        with pytest.raises(RuntimeError, match='ZeroDivisionError'): examine((f, rule), x, k)
