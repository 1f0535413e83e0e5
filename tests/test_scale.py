"Training on two real processes. What needs a GPU says so where there is none."

import json, os, socket, subprocess, sys, time
from pathlib import Path
import pytest, torch
from conftest import root
from mlfound.backward import relative_error
from mlfound.scale import Workers, find_device
import scale_worker
import started

worker = Path(scale_worker.__file__)
env = os.environ | dict(
    OMP_NUM_THREADS='1', PYTHONPATH=os.pathsep.join([str(root), os.environ.get('PYTHONPATH', '')])
)
pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason='this PyTorch is built without torch.distributed'
)


streams = dict(env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def python(*args):
    "What became of it, and what it said."
    return subprocess.run([sys.executable, *map(str, args)], **streams, timeout=300)


def torchrun(*program):  # as the command `torchrun` does it; --standalone takes a free port
    two = '--standalone', '--nproc-per-node', '2'
    return python('-m', 'torch.distributed.run', *two, *program)


def two_processes(what, folder, witness=0):
    """The same without `torchrun`, which would stop the other worker; output and exit code of one,
    the other's exit code, and the end."""
    with socket.create_server(('127.0.0.1', 0)) as s:
        port = s.getsockname()[1]
    facts = dict(
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2', LOCAL_WORLD_SIZE='2'
    )
    said = [folder / f'said{k}' for k in range(2)]
    workers = []
    try:
        for k, file in enumerate(said):
            file.touch()
            own = env | facts | dict(RANK=str(k), LOCAL_RANK=str(k))
            workers.append(started.begin(worker, [what, folder], root, own, (file, file)))
        workers[witness].join(300 if what == 'compare' else 110)
        end = time.time()
        if what == 'compare':
            workers[1 - witness].join(100)
        codes = workers[witness].exitcode, workers[1 - witness].exitcode
        return said[witness].read_text(), *codes, end
    finally:
        for w in workers:
            w.kill(), w.join()


def test_two_processes_train_as_one(tmp_path):
    said, code, other, _ = two_processes('compare', tmp_path)
    assert (code, other) == (0, 0), said
    first, second = (torch.load(tmp_path / f'kept{k}.pt') for k in range(2))
    alone, _ = scale_worker.runs(Workers(), tmp_path)
    assert first.keys() == alone.keys() and len(alone) == 13
    for name in alone:
        bound = 1e-12 if name in ('windows', 'sums') else 1e-14
        if 'float32' in name: bound = 1e-6
        for a, b, want in zip(first[name], second[name], alone[name], strict=True):
            assert torch.equal(a, b), f'{name}: the two workers hold different parameters'
            assert relative_error(a, want) <= bound, (
                f'{name}: {relative_error(a, want):.1e} from one process'
            )
    written, said = zip(*(json.loads((tmp_path / f'facts{k}.json').read_text()) for k in range(2)))
    assert written == (30, 0), (
        f'checkpoints written by each worker: {written}'
    )  # 10 trainings, at the start and after each of two epochs
    for s in said:
        assert 'the workers draw different batches' in s['seeds'], s  # a seed of its own for each
        assert 'the workers draw different batches' in s['transform'], (
            s
        )  # the same labels, other pixels, from the ninth step on
        assert 'the workers hold different parameters' in s['drift'], s
        assert s['in_step'] == [True, False, False, True], s  # -0. and 1e-30 in place of 0.


def test_the_command(tmp_path):
    done = torchrun(
        '-m',
        'mlfound',
        'train',
        '--digits',
        '1000',
        '--epochs',
        '1',
        '--hidden',
        '20',
        '--out',
        tmp_path / 'model',
    )
    assert done.returncode == 0 and '2 processes' in done.stdout, done.stdout
    for once in ('network 784-20-10', 'epoch 1: ', 'trained for 1 epoch', 'plots '):
        assert done.stdout.count(once) == 1, done.stdout
    assert sorted(p.name for p in (tmp_path / 'model').iterdir()) == [
        'checkpoint.safetensors',
        'draw.html',
        'model.safetensors',
        'report.png',
    ]


def test_a_killed_worker_ends_the_run(tmp_path):
    done = torchrun(worker, 'dies', tmp_path)
    seconds = time.time() - float((tmp_path / 'stopped').read_text())
    assert done.returncode and 'SIGKILL' in done.stdout and 'local_rank: 1' in done.stdout, (
        done.stdout
    )
    assert seconds < 15, f'{seconds:.0f} s until the run failed'


@pytest.mark.parametrize('how,witness', [('dies', 0), ('hangs', 0), ('dies at start', 1)])
def test_the_other_worker_says_what_happened(how, witness, tmp_path):
    said, code, _, end = two_processes(how, tmp_path, witness=witness)
    assert (
        code
        and f'WorkerError: worker {witness} of 2: another worker has died or does not answer'
        in said
    ), said
    assert ('broadcast' in said) == (how == 'dies at start'), said  # the traceback names the call
    assert end - float((tmp_path / 'stopped').read_text()) < 15


def missing():
    "The accelerators that this machine lacks, each with the reason."
    why = {}
    for name in ('cuda', 'mps'):
        try:
            find_device(name)
        except ValueError as e:
            why[name] = str(e)
    return why


def test_every_rule_on_a_device(tmp_path):
    "On an accelerator, or else on meta, where a rule that mixes devices fails as well."
    device = ([name for name in ('cuda', 'mps') if name not in missing()] or ['meta'])[0]
    script, out = root / 'benchmarks' / 'device.py', tmp_path / 'found'
    code, err, _ = started.typed('--device', device, '--out', out, cwd=root, script=script)
    assert code == 0, err
    found = json.loads((tmp_path / 'found').read_text())
    rules = found['rules']
    assert not rules['wrong'] and rules['rules'] >= 50, rules
    assert (found['machine']['accelerator'] == 'none: no accelerator was run') == (device == 'meta')
    (tmp_path.parent / 'not_run').write_text(', '.join(rules['not_run']))


def test_what_was_not_run(tmp_path):
    "Nothing is tested here: this says what the tests above could not reach."
    if why := missing():
        rules = (tmp_path.parent / 'not_run').read_text()
        pytest.skip(
            f"no numbers from {' and '.join(why)}: {'; '.join(why.values())}; "
            f'and these rules ask for numbers, which meta has not: {rules}'
        )
