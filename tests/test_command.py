"The command as it is typed: what it prints, where, and with which exit code."
import os, re, signal, subprocess, sys
import pytest
from conftest import root

env = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'error::ResourceWarning', 'PYTHONPATH': str(root)}
small = '--digits', '10000', '--hidden', '64', '--epochs', '1', '--batch', '50'

def hear_ctrl_c(): signal.signal(signal.SIGINT, signal.SIG_DFL) # a shell's background job ignores it, and so would its children

def start(*args, cwd): return subprocess.Popen([sys.executable, '-m', 'mlfound.cli', *map(str, args)], cwd=cwd, env=env, text=True, encoding='utf-8',
                                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                               preexec_fn=None if sys.platform == 'win32' else hear_ctrl_c)
def typed(*args, cwd):
    "Exit code, standard output and error."
    p = start(*args, cwd=cwd)
    return (*p.communicate(timeout=120), p.returncode)[::-1]

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "A folder with a small model in `m` and pictures of test digits."
    here = tmp_path_factory.mktemp('command')
    code,err,out = typed('train', *small, '--out', 'm', cwd=here)
    assert code == 0 and re.search(r'test +10,000 +[89]\d\.\d\d %', out) and 'm/model.safetensors' in out.replace('\\', '/'), out + err
    assert sorted(p.name for p in (here/'m').iterdir()) == ['checkpoint.safetensors', 'model.safetensors', 'report.png']
    from mlfound.cli import write_pictures
    from mlfound.data import Split, mnist
    write_pictures(Split(*(t[:3] for t in mnist().test)), here/'pictures')
    return here

def test_predict(folder):
    code,err,out = typed('predict', 'm', 'pictures/01-is-7.png', 'nowhere.png', 'pictures/03-is-1.png', '--plot', 'seen.svg', cwd=folder)
    rows = [l.split() for l in out.splitlines()[1:]]
    assert code == 1 and [r[:2] for r in rows] == [['pictures/01-is-7.png','7'], ['pictures/03-is-1.png','1']]
    assert all(0 <= float(r[4]) <= float(r[2]) <= 1 and r[3] != r[1] for r in rows)
    assert err.count('\n') == 1 and 'nowhere.png: found no such file' in err
    assert '<svg' in (folder/'seen.svg').read_text(encoding='utf-8')

@pytest.mark.parametrize('args,says', [
    (['bogus'], 'invalid choice'), (['train','--lr','0'], 'not a positive number'), (['train','--resume','--out','new'], 'nothing to resume'),
    (['train','--out','pictures'], 'holds other files'), (['train','--resume','--seed','1','--out','m',*small], 'with seed 42, not 1'),
    (['predict','m'], 'required: IMAGE'), (['predict','pictures/01-is-7.png','pictures/01-is-7.png'], 'not a whole safetensors file')], ids=lambda a: '')
def test_one_line_for_what_is_wrong(folder, args, says):
    code,err,_ = typed(*args, cwd=folder)
    assert code == 2 and err.count('\n') == 1 and says in err and 'Traceback' not in err

@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGINT for one process')
def test_interrupted_and_resumed(folder):
    "Ctrl-C after the first epoch: a model, exit code 130; resumed, it is the model of a training that was left alone."
    args = 'train', '--digits', '20000', '--hidden', '100', '--epochs', '5', '--batch', '20' # seconds are left when it is interrupted
    p = start(*args, '--out', 'stopped', cwd=folder)
    while (line := p.stderr.readline()) and 'epoch 1' not in line: pass
    p.send_signal(signal.SIGINT)
    out,err = p.communicate(timeout=120)
    assert p.returncode == 130 and 'interrupted' in out and 'test' not in out and 'Traceback' not in err, out + err
    assert (folder/'stopped'/'model.safetensors').exists()
    assert typed(*args, '--out', 'stopped', '--resume', cwd=folder)[0] == typed(*args, '--out', 'whole', cwd=folder)[0] == 0
    from mlfound.training import load
    import torch
    assert all(map(torch.equal, *(load(folder/f/'model.safetensors')[0] for f in ('stopped','whole'))))
