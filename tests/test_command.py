"The command as it is typed: what it prints, where, and with which exit code."

import errno
import inspect
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from functools import cache
from types import SimpleNamespace

import mlfound
import pytest
import torch
from conftest import root
import started
from fastcore.docments import docments
from mlfound.cli import COMMANDS, CommandError, check, main, predict, train
from mlfound.data import Split, mnist
from mlfound.fit import fit, load
from mlfound.pictures import read_views, write_pictures
from mlfound.report import MOST_DRAWN
from mlfound.saved import checkpoint_epochs, claim, write_whole
from mlfound.training import SGD, network, softmax
from mlfound.ways import Settings
from PIL import Image

env = os.environ | {
    'OMP_NUM_THREADS': '1',
    'PYTHONWARNINGS': 'error::ResourceWarning',
    'PYTHONPATH': str(root),
}
small = '--digits', '10000', '--hidden', '64', '--epochs', '1', '--batch', '50'
on_posix = pytest.mark.skipif(
    sys.platform == 'win32', reason='Windows has no SIGINT for one process'
)


def hear_ctrl_c():
    "A shell's background job ignores Ctrl-C, and so would its children."
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*args, cwd, program=('-m', 'mlfound'), **more):
    "The command in a process of its own."
    command = [sys.executable, *program, *map(str, args)]
    streams = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    heard = None if sys.platform == 'win32' else hear_ctrl_c
    return subprocess.Popen(
        command,
        cwd=cwd,
        text=True,
        encoding='utf-8',
        preexec_fn=heard,
        **streams | dict(env=env) | more,
    )


def typed(*args, **more):
    "Exit code, standard error and output of a Python that is started for it."
    p = start(*args, **more)
    out, err = p.communicate(timeout=120)
    return p.returncode, err, out


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "A folder with a small model in `m` and pictures of test digits."
    here = tmp_path_factory.mktemp('command')
    code, err, out = started.typed('train', *small, '--out', 'm', cwd=here)
    assert code == 0 and re.search(r'test +10,000 +[89]\d\.\d\d %', out), out + err
    assert 'm/model.safetensors' in out.replace('\\', '/')
    files = sorted(p.name for p in (here / 'm').iterdir())
    assert files == ['checkpoint.safetensors', 'draw.html', 'model.safetensors', 'report.png']
    write_pictures(Split(*(t[:3] for t in mnist().test)), here / 'pictures')
    return here


def test_predict(folder):
    names = ['pictures/01-is-7.png', 'nowhere.png', 'pictures/03-is-1.png']
    code, err, out = started.typed('predict', 'm', *names, '--plot', 'seen.svg', cwd=folder)
    rows = [line.split() for line in out.splitlines()[1:]]
    assert code == 1 and [r[:2] for r in rows] == [[names[0], '7'], [names[2], '1']]
    assert all(0 <= float(r[4]) <= float(r[2]) <= 1 and r[3] != r[1] for r in rows)
    assert err.count('\n') == 1 and 'nowhere.png: found no such file' in err
    assert '<svg' in (folder / 'seen.svg').read_text(encoding='utf-8')


def test_answers_are_averages(folder):
    "What is printed is the mean over the poses that are likely, not the answer to one of them."
    files = sorted((folder / 'pictures').iterdir())
    params, _ = load(folder / 'm' / 'model.safetensors')
    each = [softmax(network(read_views(f)[0], params)) for f in files]
    _, _, out = said('predict', str(folder / 'm'), *map(str, files))
    printed = [line.split()[2] for line in out.splitlines()[1:]]
    assert printed == [f'{p.mean(0).max():.4f}' for p in each]
    assert printed != [f'{p[0].max():.4f}' for p in each]


def test_several_digits_in_a_picture(folder, tmp_path):
    "Read from left to right, and the command says so."
    seven, one = (Image.open(folder / 'pictures' / f) for f in ('01-is-7.png', '03-is-1.png'))
    both = Image.new('L', (seven.width + one.width, seven.height), 240)
    both.paste(seven, (0, 0))
    both.paste(one, (seven.width, 0))
    both.save(tmp_path / '71.png')
    code, err, out = said('predict', str(folder / 'm'), str(tmp_path / '71.png'))
    assert code == 0 and [line.split()[1] for line in out.splitlines()[1:]] == ['7', '1']
    assert err.endswith('71.png: 2 digits, read from left to right\n') and err.count('\n') == 1


wrong = {
    'an empty name': (['train', '--out', ''], 'argument --out: a name is empty'),
    'no name': (['predict', '', 'x.png'], 'argument MODEL: a name is empty'),
    'no command': (['bogus'], 'invalid choice'),
    'no rate': (['train', '--lr', '0'], 'lr is 0.0; pass a number from'),
    'no finite rate': (['train', '--lr', '1e39'], 'lr is 1e+39; pass a number from'),
    'a rate that is no number': (['train', '--lr', 'x'], "'x' is not a number"),
    'nothing to resume': (['train', '--resume', '--out', 'new'], 'nothing to resume'),
    'a foreign folder': (['train', '--out', 'pictures'], 'holds other files'),
    'another seed': (
        ['train', '--resume', '--seed', '1', '--out', 'm', *small],
        'with seed 42, not 1',
    ),
    'no hidden layer': (['train', '--layers', '0', '--hidden', '9'], 'no meaning with layers 0'),
    'best and other settings': (['train', '--best', '--epochs', '5'], 'best has no use for epochs'),
    'certificate and a default': (['check', '--certificate', '--rounds', '5'], 'no use for rounds'),
    'certificate and data': (
        ['check', '--certificate', '--data', 'x'],
        'certificate has no use for data',
    ),
    'no picture': (['predict', 'm'], 'required: IMAGE'),
    'no model': (
        ['predict', 'pictures/01-is-7.png', 'pictures/01-is-7.png'],
        'first comes a model, as `save` and `mlfound train` write it',
    ),
    'a line break': (['predict', 'm\nx\x1b[31m', '7.png'], r'm\nx\x1b[31m: no such file'),
    'a home of nobody': (['check', '--data', '~nosuchuser/d'], '~nosuchuser/d: found no such file'),
    'an odd option': (['check', '--\x1b[31m'], r'unrecognized arguments: --\x1b[31m'),
    'an option too many': (['demo', 'now'], r'arguments: now (see mlfound demo --help)'),
}


@pytest.mark.parametrize('case', wrong)
def test_one_line_for_what_is_wrong(folder, case, monkeypatch):
    args, says = wrong[case]
    monkeypatch.chdir(folder)
    code, err, _ = said(*args)
    assert code == 2 and err.count('\n') == 1 and says in err


@pytest.fixture(autouse=True)
def digits_read_once(monkeypatch):
    "In this process; one that is started reads them, as whoever types the command does."
    for module in ('cli', 'jobs'):
        where = f'mlfound.{module}.mnist'
        monkeypatch.setattr(where, lambda path: mnist(path) if path else packaged())


@cache
def packaged():
    return mnist()


def said(*args):
    "Exit code, standard error and output of the command, run in this process."
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(args))
    return code, err.getvalue(), out.getvalue()


def test_settings_from_python(folder, monkeypatch):
    "The functions judge what they are given as the command does."
    monkeypatch.chdir(folder)
    calls = {
        'train: method is \'pytorch\'; pass one of functions, layers': lambda: train(
            'p', method='pytorch'
        ),
        'train: layers is -1; pass a whole number from 0 to 100': lambda: train('p', layers=-1),
        'train: digits is -49900; pass a whole number from 1': lambda: train('p', digits=-49900),
        'train: lr is 0; pass a number from': lambda: train('p', lr=0),
        'train: epochs is True; pass a whole number': lambda: train('p', epochs=True),
        'check: rounds is -2; pass a whole number from 0': lambda: check(rounds=-2),
        "predict: images is 'a.png'; pass a list": lambda: predict('m', 'a.png'),
    }
    for says, call in calls.items():
        with pytest.raises(CommandError) as caught:
            call()
        assert says in str(caught.value)
    assert not (folder / 'p').exists()


@pytest.mark.parametrize('columns', ['40', '80', '200'])
@pytest.mark.parametrize('command', [None, *COMMANDS])
def test_help(command, columns, monkeypatch):
    "Every option of every command can be explained, on a narrow terminal as on none."
    monkeypatch.setenv('COLUMNS', columns)
    code, _, text = said(*[command] * (command is not None), '--help')
    words = ''.join(text.split())
    assert code == 0 and text.startswith('usage: mlfound'), text
    if command is None:
        for name, c in COMMANDS.items():
            assert name in text and ''.join(c.run.__doc__.split()) in words
        return
    parameters = docments(COMMANDS[command].run, returns=False)
    shown = {k: v for k, v in parameters.items() if k not in ('progress', 'methods')}
    for name, what in shown.items():
        assert what and ''.join(what.replace('`', '').split()) in words, name
        option = name.replace('_', '-')
        assert f'--{option}' in text or name.rstrip('s').upper() in text, name


def test_help_prints_the_settings():
    "The defaults of a training stand in one dataclass."
    command, plain = (inspect.signature(f).parameters for f in (train, fit))
    text = ' '.join(said('train', '--help')[2].split())
    for f in fields(Settings):
        if f.name == 'seed':  # the command's draws the weights, too
            continue
        if f.name == 'optimizer':  # the command's depends on the network
            assert command[f.name].default is None and f'(default: {f.default};' in text
            continue
        assert command[f.name].default == plain[f.name].default == f.default
        assert f.default is None or f'(default: {f.default})' in text, f.name


def test_help_as_typed(tmp_path):
    code, err, out = started.typed('train', '--help', cwd=tmp_path, env=dict(COLUMNS='40'))
    assert (code, err) == (0, '') and 'settings of chapter 49' in ' '.join(out.split())


def test_nothing_typed():
    code, _, text = said()
    assert code == 0 and 'check' in text and 'COMMAND' in text


def test_version():
    assert said('--version') == (0, '', f'mlfound {mlfound.__version__}\n')


def test_endings(monkeypatch):
    "What a command returns or raises becomes an exit code and at most one line."

    def ending_with(outcome):
        def run():
            "Try."
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setitem(COMMANDS, 'check', COMMANDS['check']._replace(run=run))
        return said('check')[:2]

    assert ending_with(True) == (0, '') and ending_with(False) == (1, '')
    assert ending_with(KeyboardInterrupt()) == (130, 'mlfound: interrupted\n')
    assert ending_with(MemoryError())[1].startswith('mlfound: error: out of memory')
    full = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    assert ending_with(full)[1].startswith('mlfound: error: out of memory')
    assert ending_with(OSError(28, 'No space', 'm')) == (2, 'mlfound: error: m: No space\n')
    with pytest.raises(ZeroDivisionError):  # a mistake of ours: its traceback is wanted
        ending_with(ZeroDivisionError())


def test_hopeless_settings(folder, monkeypatch):
    "A warning for what will not learn, none for what is left out."
    monkeypatch.chdir(folder)
    few = (
        'train',
        '--digits',
        '500',
        '--hidden',
        '8',
        '--epochs',
        '2',
        '--batch',
        '16',
        '--out',
        'hopeless',
    )
    with monkeypatch.context() as m:
        m.setattr('mlfound.jobs.report', lambda *args: None)
        quiet, loud = said(*few), said(*few, '--lr', '.2')
        slow = said(*few, '--batch', '500')
    assert quiet[0] == 0 and 'warning' not in quiet[1] and 'up to 0.0125' in quiet[2]
    warning = 'a learning rate of 0.2 may well not learn; 0.013 suits momentum'
    assert loud[1].count(warning) == 1  # by `fit`, and nobody else
    assert 'only 2 steps in all' in slow[1]


def test_names_that_no_line_can_show(folder, tmp_path):
    "Line breaks, escape codes, characters that terminal or font lack: escaped, and drawn."
    names = ['a\nb.png', '\x1b[31mred.png', 'é漢$x_$.png']
    if sys.platform == 'linux':
        names.append(os.fsdecode(b'\xff.png'))
    for name in names:
        shutil.copy(folder / 'pictures' / '01-is-7.png', tmp_path / name)
    more = env | dict(PYTHONIOENCODING='ascii', PYTHONUTF8='0')
    code, err, out = typed(
        'predict', folder / 'm', *names, '--plot', 'seen.svg', cwd=tmp_path, env=more
    )
    assert (code, err) == (0, ''), err
    assert out.count('\n') == 1 + len(names) and out.isascii() and '\x1b' not in out
    assert r'a\nb.png' in out and r'\x1b[31mred.png' in out and r'\xe9\u6f22$x_$.png' in out
    assert (tmp_path / 'seen.svg').exists()


def test_homes(folder, tmp_path, monkeypatch):
    "~ is expanded once, wherever a file is named; a user that nobody knows is no home."
    shutil.copy(folder / 'pictures' / '01-is-7.png', tmp_path / '7.png')
    shutil.copytree(folder / 'm', tmp_path / 'm')
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    for home in ('HOME', 'USERPROFILE'):
        monkeypatch.setenv(home, str(tmp_path))
    monkeypatch.setattr('mlfound.jobs.report', lambda *args: None)

    def at_home(*args):
        code, err, _ = said(*args)
        assert code == 0, err

    at_home('predict', '~/m', '~/7.png', '--plot=~/seen.svg')
    assert (tmp_path / 'seen.svg').exists() and not any((tmp_path / 'here').iterdir())
    tiny = '--digits', '300', '--hidden', '4', '--epochs', '1', '--batch', '20'
    for out in ('~/d', '~nosuchuser/d'):
        at_home('train', *tiny, f'--out={out}')
    assert (tmp_path / 'd' / 'model.safetensors').exists()
    assert [p.name for p in (tmp_path / 'here').iterdir()] == ['~nosuchuser']
    at_home('predict', '~nosuchuser/d', '~/7.png')


def test_many_pictures(folder, monkeypatch):
    "A drawing holds so many pictures, and the command says that there are more."
    assert MOST_DRAWN == 40
    for module in ('cli', 'report'):
        monkeypatch.setattr(f'mlfound.{module}.MOST_DRAWN', 4)
    monkeypatch.chdir(folder)
    code, err, out = said('predict', 'm', *['pictures/01-is-7.png'] * 5, '--plot', 'many.svg')
    assert code == 0 and out.count('01-is-7') == 5
    assert err == 'mlfound: many.svg: shows the first 4 of 5 digits\n'


@on_posix
def test_a_pipe_is_no_file_for_a_drawing(folder):
    os.mkfifo(folder / 'pipe.png')
    digit = 'pictures/01-is-7.png'
    code, err, _ = started.typed('predict', 'm', digit, '--plot', 'pipe.png', cwd=folder)
    assert code == 2 and 'pipe.png: no regular file' in err


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='a full disk is imitated by /dev/full')
def test_full_disk_under_the_streams(folder, tmp_path):
    "What is trained is saved, the line names the stream, the exit code is not 0."
    few = '--digits', '300', '--hidden', '4', '--epochs', '1', '--batch', '20'
    full = open('/dev/full', 'w')
    code, err, _ = typed('check', '--digits', '9', '--rounds', '0', cwd=tmp_path, stdout=full)
    assert (code, err) == (2, 'mlfound: error: standard output: No space left on device\n')
    assert started.typed('--help', cwd=tmp_path, stdout='/dev/full')[0] == 2
    code, _, out = started.typed('train', *few, '--out', 'm', cwd=tmp_path, stderr='/dev/full')
    assert code == 2 and 'plots m' in out and (tmp_path / 'm' / 'model.safetensors').exists()
    full.close()


@on_posix
def test_closed_streams(tmp_path):
    "A stream that is closed from the start is nobody else's file."
    few = ['train', '--digits', '300', '--hidden', '4', '--epochs', '1', '--batch', '20', '--out']
    for closed, code in dict(err='2', out='2').items():
        how = dict(err='2>&-', out='>&-')[closed]
        line = ' '.join([sys.executable, '-m', 'mlfound', *few, closed, how])
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=env, text=True, capture_output=True
        )
        assert str(done.returncode) == code, done.stderr
        assert 'Traceback' not in done.stderr
        assert (tmp_path / closed / 'model.safetensors').exists() == (closed == 'err')


def test_reader_that_leaves(tmp_path):
    "As `mlfound check | head -1`."
    p = start('check', '--rounds', '0', '--digits', '9', cwd=tmp_path)
    p.stdout.close()
    err = p.stderr.read()
    assert p.wait(timeout=120) in (141, 0) and err == ''


def test_no_backend_of_that_name(folder):
    "Drawings go into files, whatever matplotlib was told to open."
    odd = env | dict(MPLBACKEND='nowhere')
    code, err, _ = typed(
        'predict', 'm', 'pictures/01-is-7.png', '--plot', 'odd.svg', cwd=folder, env=odd
    )
    assert (code, err) == (0, '') and (folder / 'odd.svg').exists()


@pytest.mark.parametrize(
    'some', [dict(RANK='0', WORLD_SIZE='1'), dict(RANK='0'), dict(WORLD_SIZE='2')]
)
def test_half_a_torchrun(some, tmp_path):
    code, err, _ = started.typed('train', '--digits', '300', cwd=tmp_path, env=some)
    assert code == 2 and err.count('\n') == 1 and 'torchrun' in err, err


# Ctrl-C comes from within, so that it comes at this moment on a busy machine, too.
at_an_import = '''
import runpy, signal, sys
moment = sys.argv.pop(1)
def heard(event, args):
    if event == 'import' and args[0] == moment: signal.raise_signal(signal.SIGINT)
sys.addaudithook(heard)
runpy.run_module('mlfound', run_name='__main__', alter_sys=True)
'''
at_a_step = '''
import itertools, signal, sys
from mlfound.training import SGD, network, softmax
from mlfound.ways import Settings
from PIL import Image
step, steps, of = int(sys.argv.pop(1)), itertools.count(1), SGD.step
def interrupted(self):
    if next(steps) == step: signal.raise_signal(signal.SIGINT)
    of(self)
SGD.step = interrupted
from mlfound.__main__ import main
code = main()
signal.raise_signal(signal.SIGINT) # once more, when it is on its way out
sys.exit(code)
'''


@on_posix
@pytest.mark.parametrize('moment', ['argparse', 'torch._C', 'mlfound.data'])
def test_interrupted_while_libraries_load(moment, tmp_path):
    code, err, out = typed(moment, 'check', cwd=tmp_path, program=['-c', at_an_import])
    assert (code, err, out) == (130, 'mlfound: interrupted\n', '')


@pytest.fixture
def unreported(monkeypatch):
    "Trainings of this process draw no report, where nobody looks at it."
    monkeypatch.setattr('mlfound.jobs.report', lambda *args: None)


@pytest.fixture
def one_thread():
    "As in the processes that are started here: sums come out with the same bits."
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


@on_posix
def test_interrupted_and_resumed(folder, one_thread, unreported):
    """Ctrl-C in the second epoch: a model, exit code 130; resumed, it is the model of a training
    that was left alone."""
    args = 'train', '--digits', '2000', '--hidden', '20', '--epochs', '3', '--batch', '20'
    code, err, out = typed(150, *args, '--out', 'stopped', cwd=folder, program=['-c', at_a_step])
    assert code == 130 and 'interrupted' in out, out + err
    assert 'epoch 1' in err and 'epoch 2' not in err
    assert 'test' not in out and 'Traceback' not in err, out + err
    assert (folder / 'stopped' / 'model.safetensors').exists()
    code, err, _ = said(*args, '--out', str(folder / 'stopped'))
    assert code == 2 and re.search(r'interrupted after 1 of 3 epochs; .*resume, .*fresh', err), err
    assert said(*args, '--out', str(folder / 'stopped'), '--resume')[0] == 0
    assert said(*args, '--out', str(folder / 'whole'))[0] == 0
    stopped, whole = (load(folder / f / 'model.safetensors')[0] for f in ('stopped', 'whole'))
    assert all(map(torch.equal, stopped, whole))


few = '--digits', '300', '--hidden', '4', '--epochs', '2', '--batch', '20'
files = 'checkpoint.safetensors', 'report.png', 'model.safetensors', 'draw.html', 'thesis.txt'


@pytest.mark.parametrize('name', files)
def test_foreign_files_are_left_alone(name, tmp_path):
    (tmp_path / name).write_text('years of work')
    code, err, _ = said('train', *few, '--out', str(tmp_path))
    assert code == 2 and err.count('\n') == 1 and str(tmp_path) in err
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, 'years of work')]


def test_demo_looks_at_its_folder_first(tmp_path):
    (tmp_path / 'thesis.txt').write_text('years of work')
    code, err, out = said('demo', '--out', str(tmp_path))
    assert (code, out) == (2, '') and 'holds other files' in err


def test_foreign_drawings_are_left_alone(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / 'thesis.png').write_bytes(b'years of work')
    args = 'predict', 'm', 'pictures/01-is-7.png', '--plot'
    code, err, _ = said(*args, 'thesis.png')
    assert code == 2 and 'thesis.png: is there, and not written by mlfound' in err
    for kind in ('png', 'svg', 'pdf'):  # a drawing of ours may be drawn again
        assert said(*args, f'drawn.{kind}')[0] == said(*args, f'drawn.{kind}')[0] == 0


def test_one_training_a_folder(tmp_path):
    with claim(tmp_path / 'm'):
        code, err, _ = said('train', *few, '--out', str(tmp_path / 'm'))
    assert code == 2 and 'another training writes there' in err


@pytest.fixture
def windows_locks(monkeypatch):
    "On other systems: what `msvcrt` does, done by `flock`, which is as much a handle's own."
    if sys.platform == 'win32':
        return
    fcntl = pytest.importorskip('fcntl')

    def locking(fd, mode, count):
        assert isinstance(fd, int) and (mode, count) == (2, 1)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, 'Permission denied') from None

    monkeypatch.setattr('mlfound.saved.fcntl', None)
    monkeypatch.setitem(sys.modules, 'msvcrt', SimpleNamespace(LK_NBLCK=2, locking=locking))


def test_one_training_a_folder_on_windows(tmp_path, windows_locks):
    "No folder can be locked there, so a file in it is; it is nobody's results."
    folder = tmp_path / 'm'
    with claim(folder):
        assert [p.name for p in folder.iterdir()] == ['.mlfound.lock']
        code, err, _ = said('train', *few, '--out', str(folder))
        assert code == 2 and 'another training writes there' in err
    for _ in range(2):  # nobody holds it: neither the lock nor what was trained is in the way
        code, err, _ = said('train', *few, '--out', str(folder))
        assert code == 0, err
    left = sorted(p.name for p in folder.iterdir())
    names = ['checkpoint.safetensors', 'draw.html', 'earlier.safetensors', 'model.safetensors']
    assert left == ['.mlfound.lock', *names, 'report.png']


def test_parts_of_killed_writers_on_windows(tmp_path, windows_locks):
    "A part that somebody still writes is left alone, one that a killed writer left is not."
    dead, alive = (tmp_path / f'model.safetensors.{k}.part' for k in 'da')
    dead.write_bytes(b'half')
    with open(alive, 'wb') as f:
        sys.modules['msvcrt'].locking(f.fileno(), 2, 1)
        write_whole(tmp_path / 'model.safetensors', b'whole')
        assert sorted(p.name for p in tmp_path.iterdir()) == ['model.safetensors', alive.name]


def test_whole_checkpoint_beside_a_damaged_model(tmp_path, monkeypatch, unreported):
    monkeypatch.chdir(tmp_path)
    assert said('train', *few, '--out', 'm')[0] == 0
    model = tmp_path / 'm' / 'model.safetensors'
    whole = load(model)[0]
    model.write_bytes(model.read_bytes()[:-100])
    assert said('predict', 'm', '7.png')[0] == 2
    code, err, _ = said('train', *few, '--out', 'm', '--resume')
    assert code == 0, err
    assert all(map(torch.equal, whole, load(model)[0]))


@on_posix
@pytest.mark.parametrize('most, names', [(10, 'checkpoint.safetensors'), (100, 'report.png')])
def test_file_that_cannot_grow(most, names, tmp_path):
    "As on a full disk: the line names the file, what was trained is there, no part of a file is."
    code, err, _ = started.typed('train', *few, '--out', 'm', cwd=tmp_path, limit=1024 * most)
    assert code == 2, err
    assert f'mlfound: error: m/{names}: File too large\n' in err
    left = sorted(p.name for p in (tmp_path / 'm').iterdir())
    assert left == ([] if most == 10 else ['checkpoint.safetensors', 'model.safetensors'])


NOBODY = 65534  # root may write anywhere, so the test gives its rights away


def trained_until_locked(here, step):
    "Exit code and errors of a training whose folder can no longer be written to from a step on."

    steps, of = itertools.count(1), SGD.step

    def locking(self):
        if next(steps) == step:
            os.chmod('m', 0o500)
        of(self)

    torch.set_num_threads(1)
    os.chdir(here)
    if os.geteuid() == 0:
        os.chown(here, NOBODY, NOBODY)
        os.setuid(NOBODY)
    SGD.step = locking  # in this process, which ends here
    return said('train', *few, '--out', 'm')[:2]


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='the training is forked, to lose its rights')
def test_folder_that_becomes_read_only(unreported):
    "What was written stays, one line says what was not, and afterwards the training goes on."
    with tempfile.TemporaryDirectory() as here:  # pytest's own folders are its user's alone
        assert said('train', *few, '--out', f'{here}/whole')[0] == 0  # and all modules are loaded
        answer, tell = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(tell, json.dumps(trained_until_locked(here, 20)).encode())
            finally:
                os._exit(0)
        os.close(tell)
        with os.fdopen(answer) as f:
            code, err = json.loads(f.read())
        os.waitpid(child, 0)
        model, checkpoint = (f'{here}/m/{n}.safetensors' for n in ('model', 'checkpoint'))
        assert code == 2 and 'no checkpoint of epoch 2' in err, err
        assert err.endswith('mlfound: error: m/model.safetensors: Permission denied\n'), err
        assert os.listdir(f'{here}/m') == ['checkpoint.safetensors']
        assert checkpoint_epochs(checkpoint) == (1, 2)
        os.chmod(f'{here}/m', 0o700)
        code, err, _ = said('train', *few, '--out', f'{here}/m', '--resume')
        assert code == 0, err
        both = load(model)[0], load(f'{here}/whole/model.safetensors')[0]
        assert all(map(torch.equal, *both))
