"""Try the library on an accelerator, compare it with the CPU, and write one JSON file that names
the machine, and its page, DEVICE.md.

    python benchmarks/device.py --device cuda

This needs the repository's files and PyTorch, nothing else, and less than four minutes. Every rule
of the library runs on the device and on the CPU, a network is trained on both, `torchrun` starts
one process, and the ratios of the benchmark tables are taken. `--device cpu` tries this program,
and `--device meta`, where tensors have shapes and no numbers, tries that no rule mixes devices;
both say that no accelerator was run. Exit code 1 if anything is wrong.
"""
import argparse
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import time
import types
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch.utils._pytree import tree_leaves, tree_map

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent))
BOUNDS = {torch.float64: 1e-10, torch.float32: 1e-4}
SIZES = [784, 256, 10]
NUMBERS = 'on meta tensors', 'out of meta tensor', 'torch.nonzero' # meta was asked for numbers

def stand_in_for_fastcore():
    "What the library takes from fastcore where that is not installed: a function put into a class."
    def patch(f=None, *, as_prop=False, cls_method=False):
        if f is None:
            return lambda g: patch(g, as_prop=as_prop, cls_method=cls_method)
        first = next(iter(inspect.signature(f).parameters.values()))
        kind = property(f) if as_prop else f
        setattr(first.annotation, f.__name__, classmethod(f) if cls_method else kind)
        return f
    package, basics = types.ModuleType('fastcore'), types.ModuleType('fastcore.basics')
    basics.patch, package.basics, package.__path__ = patch, basics, []
    sys.modules |= {'fastcore': package, 'fastcore.basics': basics}

def machine(device):
    "What the figures depend on."
    facts = dict(device=str(device), accelerator='none: no accelerator was run', cpu=cpu_name(),
                 torch=torch.__version__, python=sys.version.split()[0],
                 threads=torch.get_num_threads())
    if device.type == 'cuda':
        facts |= dict(accelerator=torch.cuda.get_device_name(), cuda=torch.version.cuda)
    if device.type == 'mps':
        facts |= dict(accelerator='Apple GPU')
    return facts

def cpu_name():
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else 'unknown'

def wait(device):
    "Until the device has done what it was told."
    if device.type in ('cuda', 'mps'):
        getattr(torch, device.type).synchronize()

# Every rule

def there(x, device, dtype):
    "The same arguments on the device."
    def move(t):
        if not isinstance(t, torch.Tensor):
            return t
        return t.to(device, dtype if t.is_floating_point() else t.dtype)
    return tree_map(move, x)

def like(t, seed):
    return torch.randn(t.shape, dtype=t.dtype, generator=torch.Generator().manual_seed(seed))

def results(rule, args, g, ds):
    "Value, gradients, and the gradients' gradients."
    found = [rule.f(*args), *rule.first(g, *args)]
    return found + list(rule.second(g, ds, *args)) if rule.second else found

def error(got, want, places):
    "The largest relative error; where there are no numbers, whether shape and place are right."
    from mlfound.backward import relative_error
    got, want = ([t for t in ts if t is not None] for ts in (got, want))
    assert len(got) == len(want) == len(places), f'{len(got)} results, not {len(want)}'
    for a, b, place in zip(got, want, places):
        assert a.device.type == place.type, f'a result on {a.device}, not {place}'
        assert a.shape == b.shape, f'a result of shape {tuple(a.shape)}, not {tuple(b.shape)}'
    if any(place.type == 'meta' for place in places):
        return 0.
    return max(relative_error(a.cpu().double(), b.double()) for a, b in zip(got, want))

def home_of(args, device):
    "Where the value of a call belongs: on the device, unless the call itself names the CPU."
    named = any(isinstance(a, str) and a == 'cpu' for a in tree_leaves(args))
    return torch.device('cpu') if named else device

def one_rule(trial, device, dtype):
    "The largest error of a rule over its calls."
    from mlfound.verify import copies, rule_of
    rule, worst = rule_of(trial), 0.
    for args in rule.calls:
        args, home = there(args, 'cpu', dtype), home_of(args, device)
        y = rule.f(*copies(args))
        g, ds = like(y, 0), [like(args[i], 1+i) for i in rule.of(args)]
        want = results(rule, copies(args), g, ds)
        moved = there(copies(args), device, dtype)
        got = results(rule, moved, g.to(home), there(ds, device, dtype))
        places = [home] + [device]*(sum(t is not None for t in want)-1)
        if rule.second:
            places[-1] = home # the gradient for the upstream gradient
        worst = max(worst, error(got, want, places))
    return worst

def dropout_rule(trial, device, dtype):
    """Each device draws masks of its own, and torch's two kernels of dropout draw differently. So
    the mask is what a device makes of ones; with it the CPU says what all results must be."""
    from mlfound.catalogue import found, with_seed
    from mlfound.verify import copies, rule_of
    dropout, worst = found(trial.path), 0.
    def mask(x, *how):
        return with_seed(dropout, torch.ones_like(x), *how)
    drawn = mask(torch.empty(10_000, device=device, dtype=dtype), .3)
    assert abs((drawn == 0).sum().item()/10_000 - .3) < .02, 'dropout: not three of ten are zero'
    assert ((drawn == 0) | ((.7*drawn-1).abs() < 1e-6)).all(), 'dropout: not 1/(1-p) is left'
    rule = rule_of(replace(trial, f=lambda x, *how: x*mask(x, *how)))
    for args in rule.calls:
        x, *how = there(args, 'cpu', dtype)
        g, d = like(x, 0), like(x, 1)
        kept = mask(x.to(device), *how).cpu()
        want = [x*kept, g*kept, torch.zeros_like(x), d*kept]
        got = results(rule, *there((copies([x, *how]), g, [d]), device, dtype))
        worst = max(worst, error(got, want, [device]*4))
    return worst

def rules(device, quick):
    "Every function, layer and operation: how many, the largest error, and what went wrong."
    from mlfound.catalogue import find
    dtype = torch.float32 if device.type == 'mps' else torch.float64
    found = {}
    for trial in find()[::10 if quick else 1]:
        name = f'{trial.path} ({trial.kind})' # two kinds of one name are two rules
        judge = dropout_rule if trial.path == 'ops.dropout' else one_rule
        try:
            found[name] = judge(trial, device, dtype)
        except Exception as e:
            found[name] = f'{type(e).__name__}: {e}'.splitlines()[0][:200]
    on_meta = device.type == 'meta'
    unseen = [n for n, e in found.items() if on_meta and any(w in str(e) for w in NUMBERS)]
    seen = {n: e for n, e in found.items() if n not in unseen}
    wrong = {n: e for n, e in seen.items() if isinstance(e, str) or e > BOUNDS[dtype]}
    right = [e for n, e in seen.items() if n not in wrong]
    return dict(rules=len(seen), dtype=str(dtype), largest_error=max(right, default=0.),
                wrong=wrong, not_run=unseen)

# A training

def train(device, digits, epochs, way):
    "Seconds, and accuracy on the test digits."
    from mlfound.data import Split, mnist
    from mlfound.fit import evaluate, fit
    from mlfound.training import standardized
    from mlfound.ways import REGISTRY
    parts = mnist()
    train, test = (Split(*(t[:digits].to(device) for t in standardized(s)))
                   for s in (parts.train, parts.test))
    entry = REGISTRY['plain', way]
    start = entry.init(SIZES, torch.Generator().manual_seed(0))
    model = entry.dress([p.to(device) for p in start])
    wait(device)
    begin = time.perf_counter()
    fit(model, train, epochs=epochs, progress=False)
    wait(device)
    seconds = time.perf_counter() - begin
    return seconds, evaluate(model, test)[1]

def training(device, quick):
    "The network of chapter 05, each way on the device, and by hand on the CPU."
    digits, epochs = (2000, 1) if quick else (50_000, 5)
    train(device, 1000, 1, 'functions') # starts what is started once
    found = {}
    from mlfound.ways import ways
    tried = [(device, way) for way in ways()]
    for where, way in [*tried, (torch.device('cpu'), 'functions')]:
        seconds, right = train(where, digits, epochs, way)
        found[f'{way} on {where.type}'] = dict(seconds=seconds, accuracy=right)
    least = .5 if quick else .975
    return dict(found, wrong={n: r for n, r in found.items() if r['accuracy'] < least})

# One process of torchrun

def worker(device, path):
    "What `torchrun` starts: a short training, and its parameters."
    from mlfound.data import Split, mnist
    from mlfound.scale import distributed, fit_on
    from mlfound.training import init_he, standardized
    data = standardized(mnist().train)
    few = Split(*(t[:2048].to(device) for t in data))
    params = [p.to(device) for p in init_he(SIZES, torch.Generator().manual_seed(0))]
    with distributed(device) as workers:
        fit_on(workers, params, few, epochs=1, progress=False)
        backend = torch.distributed.get_backend() if torch.distributed.is_initialized() else 'none'
    torch.save(dict(backend=backend, params=[p.cpu() for p in params]), path)

def torchrun(device, quick):
    "The same training with and without `torchrun`, bit for bit."
    path = Path(os.environ.get('TMPDIR', '/tmp'))/f'mlfound-device-{os.getpid()}.pt'
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    command += ['--nproc-per-node', '1', __file__, '--device', str(device), '--worker', str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        return dict(wrong={'torchrun': done.stderr[-500:]})
    started = torch.load(path)
    worker(device, path)
    alone = torch.load(path)
    path.unlink()
    same = all(map(torch.equal, started['params'], alone['params']))
    wrong = {} if same else {'torchrun': 'other bits'}
    return dict(backend=started['backend'], same_bits=same, wrong=wrong)

# Ratios

def medians(calls, device, rounds):
    "Milliseconds of each call, the calls in turn."
    times = {name: [] for name in calls}
    for _ in range(rounds+2):
        for name, f in calls.items():
            wait(device)
            begin = time.perf_counter()
            f()
            wait(device)
            times[name].append(1e3*(time.perf_counter()-begin))
    return {name: median(ts[2:]) for name, ts in times.items()}

def shares(ms, base='PyTorch'):
    return {name: dict(ms=t, ratio=t/ms[base]) for name, t in ms.items()}

def ratios(device, quick):
    "Times as shares of PyTorch's for the same work on the same device."
    from mlfound.autograd import tape_forward_and_backward
    from mlfound.backward import forward_and_backward, torch_forward_and_backward
    from mlfound.data import mnist
    from mlfound.forward import Params, init_params
    from mlfound.module import layers_forward_and_backward
    from mlfound.training import standardized
    methods = dict(functions=forward_and_backward, layers=layers_forward_and_backward,
                   tape=tape_forward_and_backward, PyTorch=torch_forward_and_backward)
    n, rounds = (1000, 3) if quick else (50_000, 15)
    x, y = (t[:n].to(device) for t in mnist().train)
    start = init_params(784, 50, 1, torch.Generator().manual_seed(42))
    params = Params(*(p.to(device) for p in start))
    found = {}
    for input_grad, title in ((True, 'all digits, with gx'), (False, 'all digits, without')):
        calls = {k: partial(f, x, y, params, input_grad=input_grad) for k, f in methods.items()}
        found[title] = shares(medians(calls, device, rounds))
    x, y = (t[:n].to(device) for t in standardized(mnist().train))
    for size in (64, 256, 4096):
        ms = medians(steps(x[:size], y[:size]), device, 10*rounds)
        found[f'a training step, batch {size}'] = shares(ms)
    return dict(found, wrong={})

def steps(x, y):
    "A step of training in each way."
    from mlfound.training import SGD
    from mlfound.ways import REGISTRY, way_of, ways
    def step(model):
        way = way_of(model)
        opt = SGD(way.params, lr=.01, momentum=.9)
        def run():
            way.backward(x, y)
            opt.step()
        return run
    def model(entry):
        start = entry.init(SIZES, torch.Generator().manual_seed(0))
        return entry.dress([p.to(x.device) for p in start])
    return {name: step(model(REGISTRY['plain', name])) for name in ways()}

# The page

def table(head, rows):
    lines = [head, ['---']*len(head), *rows]
    return ['| ' + ' | '.join(line) + ' |' for line in lines]

def said(found):
    "Whatever went wrong, or nothing."
    return '; '.join(f'{n}: {e}' for n, e in found['wrong'].items()) or 'nothing'

def page(results):
    "benchmarks/DEVICE.md as text."
    m, rules = results['machine'], results['rules']
    lines = ['<!-- generated by benchmarks/device.py -->', '# A device', '',
             f"{m['accelerator']}, {m['cpu']}, {m['threads']} threads, Python {m['python']}, torch "
             f"{m['torch']}. Taken once. `python benchmarks/device.py` takes the figures on your "
             'machine.', '', '## Every rule', '',
             f"{rules['rules']} rules ran on the device and on the CPU in {rules['dtype']}, those "
             'of the tape at second order, too. '
             f"Largest relative error: {rules['largest_error']:.1e}. Wrong: "
             f"{said(rules)}. Not run: {', '.join(rules['not_run']) or 'nothing'}.", '']
    if isinstance(results['training'], str): # meta
        return '\n'.join([*lines, 'Nothing else was run: meta has no numbers.', ''])
    trained = {n: r for n, r in results['training'].items() if n != 'wrong'}
    lines += ['## The training of chapter 05', '']
    lines += table(['', 'test, %', 'seconds'], [[n, f"{100*r['accuracy']:.2f}",
                   f"{r['seconds']:.2f}"] for n, r in trained.items()])
    run = results['torchrun']
    lines += ['', '## One process of `torchrun`', '', f"By {run['backend']}, compared with a "
              f"training without it: {'the same' if run['same_bits'] else 'other'} bits.", '',
              "## Times as shares of PyTorch's", '']
    rows = {n: r for n, r in results['ratios'].items() if n != 'wrong'}
    names = list(next(iter(rows.values())))
    lines += table(['', *names, 'PyTorch, ms'], [[n, *(f"{r[k]['ratio']:.2f}" for k in names),
                   f"{r['PyTorch']['ms']:.2f}"] for n, r in rows.items()])
    return '\n'.join([*lines, ''])

def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    file = here/'results_device.json'
    parser.add_argument('--device', default='cuda', help='cuda, mps, cpu or meta (default: cuda)')
    parser.add_argument('--out', type=Path, default=file, help='file to write')
    parser.add_argument('--quick', action='store_true', help='try the program; no figures to keep')
    parser.add_argument('--worker', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if importlib.util.find_spec('fastcore') is None:
        stand_in_for_fastcore()
    device = torch.device(args.device)
    if args.worker:
        return worker(device, args.worker)
    return report(device, args)

def report(device, args):
    "Run every part, write the file, and say what was not run; the exit code."
    begin = time.perf_counter()
    found = dict(machine=machine(device), quick=args.quick)
    for part in (rules, training, torchrun, ratios):
        if device.type == 'meta' and part is not rules:
            found[part.__name__] = 'not run: meta has no numbers'
            continue
        found[part.__name__] = part(device, args.quick)
        print(f'{part.__name__}: {time.perf_counter()-begin:.0f} s', flush=True)
    found['seconds'] = time.perf_counter() - begin
    args.out.write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
    args.out.with_name('DEVICE.md').write_text(page(found), encoding='utf-8')
    print(json.dumps(found, indent=1))
    print(f"accelerator: {found['machine']['accelerator']}")
    return any(isinstance(p, dict) and p.get('wrong') for p in found.values())

if __name__ == '__main__':
    sys.exit(main())
