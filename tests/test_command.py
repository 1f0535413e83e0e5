"The command as it is typed: what it prints, where, and with which exit code."
import os
import re
import signal
import subprocess
import sys

import pytest
from conftest import root

env = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'error::ResourceWarning', 'PYTHONPATH': str(root)}
small = '--digits', '10000', '--hidden', '64', '--epochs', '1', '--batch', '50'
on_posix = pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGINT for one process')

def hear_ctrl_c():
    "A shell's background job ignores Ctrl-C, and so would its children."
    signal.signal(signal.SIGINT, signal.SIG_DFL)

def start(*args, cwd, options=(), **more):
    "The command in a process of its own."
    command = [sys.executable, *options, '-m', 'mlfound', *map(str, args)]
    streams = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    heard = None if sys.platform == 'win32' else hear_ctrl_c
    return subprocess.Popen(command, cwd=cwd, text=True, encoding='utf-8', preexec_fn=heard,
                            **streams | dict(env=env) | more)

def typed(*args, **more):
    "Exit code, standard error and output."
    p = start(*args, **more)
    out, err = p.communicate(timeout=120)
    return p.returncode, err, out

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "A folder with a small model in `m` and pictures of test digits."
    here = tmp_path_factory.mktemp('command')
    code, err, out = typed('train', *small, '--out', 'm', cwd=here)
    assert code == 0 and re.search(r'test +10,000 +[89]\d\.\d\d %', out), out + err
    assert 'm/model.safetensors' in out.replace('\\', '/')
    files = sorted(p.name for p in (here/'m').iterdir())
    assert files == ['checkpoint.safetensors', 'model.safetensors', 'report.png']
    from mlfound.cli import write_pictures
    from mlfound.data import Split, mnist
    write_pictures(Split(*(t[:3] for t in mnist().test)), here/'pictures')
    return here

def test_predict(folder):
    names = ['pictures/01-is-7.png', 'nowhere.png', 'pictures/03-is-1.png']
    code, err, out = typed('predict', 'm', *names, '--plot', 'seen.svg', cwd=folder)
    rows = [line.split() for line in out.splitlines()[1:]]
    assert code == 1 and [r[:2] for r in rows] == [[names[0], '7'], [names[2], '1']]
    assert all(0 <= float(r[4]) <= float(r[2]) <= 1 and r[3] != r[1] for r in rows)
    assert err.count('\n') == 1 and 'nowhere.png: found no such file' in err
    assert '<svg' in (folder/'seen.svg').read_text(encoding='utf-8')

wrong = {
    'no command': (['bogus'], 'invalid choice'),
    'no rate': (['train','--lr','0'], 'not a positive number'),
    'nothing to resume': (['train','--resume','--out','new'], 'nothing to resume'),
    'a foreign folder': (['train','--out','pictures'], 'holds other files'),
    'another seed': (['train','--resume','--seed','1','--out','m',*small], 'with seed 42, not 1'),
    'no picture': (['predict','m'], 'required: IMAGE'),
    'no model': (['predict','pictures/01-is-7.png','pictures/01-is-7.png'],
                 'not a whole safetensors file'),
}

@pytest.mark.parametrize('case', wrong)
def test_one_line_for_what_is_wrong(folder, case):
    args, says = wrong[case]
    code, err, _ = typed(*args, cwd=folder)
    assert code == 2 and err.count('\n') == 1 and says in err and 'Traceback' not in err

def said(*args):
    "Exit code and output of the command, run in this process."
    import io
    from contextlib import redirect_stderr, redirect_stdout
    from mlfound.cli import main
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        try:
            code = main(list(args))
        except SystemExit as e:
            code = e.code
    return code, text.getvalue()

@pytest.mark.parametrize('columns', ['40', '80', '200'])
@pytest.mark.parametrize('command', [(), ('check',), ('train',), ('predict',), ('demo',)])
def test_help(command, columns, monkeypatch):
    "Every option of every command can be explained, on a narrow terminal as on none."
    monkeypatch.setenv('COLUMNS', columns)
    code, text = said(*command, '--help')
    assert code == 0 and text.startswith('usage: mlfound'), text
    from mlfound.cli import make_parser
    parser = make_parser()
    for name in command:
        parser = parser._subparsers._group_actions[0].choices[name]
    options = parser._actions
    assert len(options) >= 2
    for option in options:
        assert option.help, option
        assert all(o in text for o in option.option_strings), option
        names = ', '.join(map(str, option.choices or []))
        explained = option.help % dict(vars(option), prog='mlfound', choices=names)
        assert ''.join(explained.split()) in ''.join(text.split()), option

def test_help_as_typed(tmp_path):
    code, err, out = typed('train', '--help', cwd=tmp_path, env=env | dict(COLUMNS='40'))
    assert (code, err) == (0, '') and '99 % of the test' in ' '.join(out.split())

@on_posix
@pytest.mark.parametrize('moment', ['argparse', 'numpy.linalg', 'torch._C', 'torch', 'mlfound.data'])
def test_interrupted_while_libraries_load(moment, tmp_path):
    "Python names each module on the error stream when it is loaded."
    p = start('check', cwd=tmp_path, options=['-X', 'importtime'])
    for line in p.stderr:
        if line.rstrip().split(' ')[-1] == moment:
            break
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=120)
    assert (p.returncode, out) == (130, ''), out + err
    lines = [line for line in err.splitlines() if not line.startswith('import time:')]
    assert lines == ['mlfound: interrupted']

@on_posix
def test_interrupted_and_resumed(folder):
    """Ctrl-C after the first epoch: a model, exit code 130; resumed, it is the model of a training
    that was left alone."""
    args = 'train', '--digits', '20000', '--hidden', '100', '--epochs', '5', '--batch', '20'
    p = start(*args, '--out', 'stopped', cwd=folder)
    while (line := p.stderr.readline()) and 'epoch 1' not in line:
        pass
    p.send_signal(signal.SIGINT) # seconds are left
    out, err = p.communicate(timeout=120)
    assert p.returncode == 130 and 'interrupted' in out, out + err
    assert 'test' not in out and 'Traceback' not in err, out + err
    assert (folder/'stopped'/'model.safetensors').exists()
    assert typed(*args, '--out', 'stopped', '--resume', cwd=folder)[0] == 0
    assert typed(*args, '--out', 'whole', cwd=folder)[0] == 0
    from mlfound.fit import load
    import torch
    stopped, whole = (load(folder/f/'model.safetensors')[0] for f in ('stopped', 'whole'))
    assert all(map(torch.equal, stopped, whole))
