"""Time one training step by programs that `mlfound.compiler` writes against PyTorch's autograd,
the step written by hand and the tape, and after each pass; write benchmarks/results_compiler.json
and benchmarks/COMPILER.md.

The step is forward, backward and update of 784-h-10 with cross-entropy. Optional: `torch.compile`
is timed beside it where it works (it wants a C++ compiler), and jitted JAX where it is installed
(`pip install jax`).
"""

import os
from importlib.util import find_spec
from time import thread_time

from harness import Benchmark, cell, in_turn, interleaved, named, tables

sizes = {
    'batch 64, 50 hidden units': (64, 50),
    'batch 256, 128 hidden units': (256, 128),
    'batch 1, 50 hidden units': (1, 50),
}
base = "PyTorch's autograd, F.linear"
lr = 0.01
wrt = ['w1', 'b1', 'w2', 'b2']
hand = "by hand, chapter 05's loss_and_gradients"


def start(n, h):
    "A batch of random images and labels, and parameters, for a network of `h` hidden units."
    import torch
    from mlfound.training import init_he

    gen = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 784, generator=gen), torch.randint(10, (n,), generator=gen)
    return x, y, init_he([784, h, 10], gen)


def the_loss():
    "The loss of the network, as a function that the tape can follow."
    from mlfound.autograd import linear, relu
    from mlfound.training import cross_entropy

    def loss(x, targ, w1, b1, w2, b2):
        a1 = relu(linear(x, w1, b1))
        return cross_entropy(linear(a1, w2, b2), targ)

    return loss


def in_one(params):
    "Copies of the tensors, and the buffer in which they lie, as chapter 33 keeps them."
    import torch

    flat = torch.cat([p.reshape(-1) for p in params])
    parts = flat.split([p.numel() for p in params])
    return flat, [t.view(p.shape) for t, p in zip(parts, params)]


def followed(f, params):
    "The step by `f(params, grads)`, which gives the loss and fills `grads`; then one update."
    flat, mine = in_one(params)
    flat_grad, grads = in_one(params)

    def step():
        value = f(mine, grads)
        flat.add_(flat_grad, alpha=-lr)
        return value

    return step


def by_torch(x, y, params, compiled=False, gathered=False):
    "The same step by PyTorch's autograd; weights lie as `F.linear` wants them."
    import torch
    import torch.nn.functional as F

    ps = [(p.T.contiguous() if p.ndim == 2 else p.clone()).requires_grad_() for p in params]

    def forward(x, y, w1, b1, w2, b2):
        z = F.linear(F.relu(F.linear(x, w1, b1)), w2, b2)
        return -z.log_softmax(1).gather(1, y[:, None]).mean() if gathered else F.cross_entropy(z, y)

    f = torch.compile(forward) if compiled else forward

    def step():
        value = f(x, y, *ps)
        value.backward()
        with torch.no_grad():
            for p in ps:
                p.add_(p.grad, alpha=-lr)
                p.grad = None
        return value

    return step


def ways(n, h):
    "The step, by each way; each returns its loss."
    from mlfound.compiler import EXACT, write
    from mlfound.training import loss_and_gradients

    x, y, params = start(n, h)
    program = write(the_loss(), x, y, *params, wrt=wrt)
    exact, plain = write(the_loss(), x, y, *params, wrt=wrt, passes=EXACT), in_one(params)[1]

    def by_exact():
        value, grads = exact(x, y, *plain)
        for p, g in zip(plain, grads):
            p.add_(g, alpha=-lr)
        return value

    return {
        base: by_torch(x, y, params),
        "PyTorch's autograd, a gathered log-softmax": by_torch(x, y, params, gathered=True),
        'program': followed(lambda ps, gs: program(x, y, *ps, out=gs)[0], params),
        'program, exact passes only': by_exact,
        hand: followed(lambda ps, gs: loss_and_gradients(x, y, ps, gs)[0], params),
        'the tape': by_tape(x, y, params),
    }


def by_tape(x, y, params):
    "The same step on the tape, with the same update as PyTorch's."
    from mlfound.autograd import Var

    tape = [Var(p.clone(), requires_grad=True) for p in params]
    data, loss = [v.data for v in tape], the_loss()

    def step():
        value = loss(x, y, *tape)
        value.backward()
        for v, p in zip(tape, data):
            p.add_(v.grad, alpha=-lr)
            v.grad = None
        return value.data

    return step


def step(args):
    "Microseconds and ratios for each size, after a test that all ways train alike."
    return {
        title: {n: dict(us=t, ratio=t / us[base], hand=t / us[hand]) for n, t in us.items()}
        for title, us in in_turn(sizes, ways, base, args.rounds, clock=thread_time)
    }


def torch_kernels():
    "What PyTorch's autograd asks of torch for the loss and its gradients, in a row."
    import torch

    aten = torch.ops.aten

    @torch.no_grad()
    def in_a_row(x, y, w1, b1, w2, b2):
        a = torch.addmm(b1, x, w1.T).relu()
        logp = torch.addmm(b2, a, w2.T).log_softmax(1)
        value, n = aten.nll_loss_forward(logp, y, None, 1, -100)
        g = aten.nll_loss_backward(torch.ones_like(value), logp, y, None, 1, -100, n)
        g = aten._log_softmax_backward_data(g, logp, 1, logp.dtype)
        gw2, gb2, ga = torch.mm(g.T, a), g.sum(0, True).view(-1), torch.mm(g, w2)
        g = aten.threshold_backward(ga, a, 0)
        return value, [torch.mm(g.T, x), g.sum(0, True).view(-1), gw2, gb2]

    return in_a_row


def whereabouts(n, h):
    "Loss and gradients by the two tapes, and for each its kernels in a row, without a tape."
    import torch.nn.functional as F
    from mlfound.autograd import Var
    from mlfound.compiler import Kernels, write

    x, y, params = start(n, h)
    turned = [p.T.contiguous() if p.ndim == 2 else p for p in params]
    leaves, loss = [Var(p, requires_grad=True) for p in params], the_loss()
    theirs, bare = [p.clone().requires_grad_() for p in turned], torch_kernels()
    mine = write(loss, x, y, *params, wrt=wrt, passes=()).function

    def ours():
        loss(x, y, *leaves).backward()
        for v in leaves:
            v.grad = None

    def torch_step():
        w1, b1, w2, b2 = theirs
        F.cross_entropy(F.linear(F.relu(F.linear(x, w1, b1)), w2, b2), y).backward()
        for p in theirs:
            p.grad = None

    calls = {
        ('the tape', 'us'): ours,
        ('the tape', 'row'): lambda: mine(x, y, *params),
        (base, 'us'): torch_step,
        (base, 'row'): lambda: bare(x, y, *turned),
    }
    heard = {}
    for name, f in calls.items():
        with Kernels() as asked:
            f()
        heard[name] = [k for k in asked if 'scalar' not in k and 'detach' not in k]
    for name in ('the tape', base):  # the very kernels, but for the order on the way back
        assert sorted(heard[name, 'us']) == sorted(heard[name, 'row']), heard
    return calls, {name: len(ks) for (name, what), ks in heard.items() if what == 'us'}


def where(args):
    "Microseconds of each tape, of its kernels in a row, and of what is left: its bookkeeping."
    result = {}
    for title, (n, h) in sizes.items():
        calls, counts = whereabouts(n, h)
        us = interleaved(calls, args.rounds, 10, thread_time)
        result[title] = {
            name: dict(
                us=us[name, 'us'],
                row=us[name, 'row'],
                rest=us[name, 'us'] - us[name, 'row'],
                kernels=counts[name],
            )
            for name in counts
        }
    return result


def twins(n, h):
    "For each task of a step: what the tape asks for, and what PyTorch's autograd asks for."
    import torch
    import torch.nn.functional as F
    from mlfound.checks import check_classes
    from mlfound.training import cross_entropy_vjp

    x, y, (w1, b1, w2, b2) = start(n, h)
    v1, v2, aten = w1.T.contiguous(), w2.T.contiguous(), torch.ops.aten
    z = torch.addmm(b1, x, w1)
    a = z.relu()
    logp, one = torch.addmm(b2, a, w2).log_softmax(1), torch.ones(())
    g = cross_entropy_vjp(one, None, y, logp)
    ga = g @ w2.T

    def rule():
        g = aten.nll_loss_backward(one, logp, y, None, 1, -100, one * n)
        return aten._log_softmax_backward_data(g, logp, 1, logp.dtype)

    return {
        'products with the first weights': (
            lambda: (torch.addmm(b1, x, w1), x.T @ ga),
            lambda: (F.linear(x, v1, b1), ga.T @ x),
        ),
        'products with the second weights': (
            lambda: (torch.addmm(b2, a, w2), a.T @ g, g @ w2.T),
            lambda: (F.linear(a, v2, b2), g.T @ a, g @ v2),
        ),
        'the loss': (
            lambda: -logp.gather(1, y[:, None]).mean(),
            lambda: F.nll_loss(logp, y),
        ),
        "the loss's rule": (lambda: cross_entropy_vjp(one, None, y, logp), rule),
        'a look at the classes': (lambda: check_classes('', logp, y), lambda: None),
    }


def tasks(args):
    "Microseconds of each task on either side: of many blocks of calls the fastest."
    result = {}
    for title, (n, h) in sizes.items():
        calls = {(t, k): f for t, fs in twins(n, h).items() for k, f in zip(('ours', 'theirs'), fs)}
        best = dict.fromkeys(calls, float('inf'))
        for _ in range(8 * args.rounds):
            for name, f in calls.items():
                f()
                begin = thread_time()
                for _ in range(10):
                    f()
                best[name] = min(best[name], 1e5 * (thread_time() - begin))
        result[title] = {
            t: dict(ours=best[t, 'ours'], theirs=best[t, 'theirs']) for t in twins(n, h)
        }
    return result


def passes(args, n=64, h=50):
    "Microseconds, lines and bytes of the program after each pass, on the reader's own network."
    import torch
    from mlfound.compiler import PASSES, Program, named as naming
    from mlfound.passes import bytes_made
    from mlfound.trace import record

    x, y, params = start(n, h)
    listing = record(the_loss(), [x, y, *params], wrt)
    out = [torch.empty_like(p) for p in params]
    calls, facts = {}, {}
    for a_pass in [None, *PASSES]:
        listing = a_pass(listing) if a_pass else listing
        program = Program(naming(listing))
        name = a_pass.__name__ if a_pass else 'the trace'
        more = [out] if listing.buffers else []
        calls[name] = lambda f=program.function, more=more: f(x, y, *params, *more)
        facts[name] = dict(kernels=len(listing.lines), bytes=bytes_made(listing, bool(more)))
    us = interleaved(calls, args.rounds, 10, thread_time)
    return {name: dict(us=us[name], **facts[name]) for name in calls}


def others(args):
    "The same step by other compilers, as a share of PyTorch's autograd; nothing where none works."
    result = {}
    for title, (n, h) in sizes.items():
        x, y, params = start(n, h)
        calls = {base: by_torch(x, y, params), 'program': ways(n, h)['program']}
        if not args.quick:
            try:
                calls['torch.compile'] = by_torch(x, y, params, compiled=True)
                calls['torch.compile']()
            except Exception as e:
                calls.pop('torch.compile')
                print(f'torch.compile: {type(e).__name__}: {e}'.splitlines()[0])
            if find_spec('jax'):
                calls['JAX, jitted'] = by_jax(x, y, params)
        us = interleaved(calls, args.rounds, 10)
        result |= {f'{name}, {title}': t / us[base] for name, t in us.items() if name != base}
    return result


def by_jax(x, y, params):
    "The same step by JAX, on one thread."
    one = '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1'
    os.environ.setdefault('XLA_FLAGS', one)
    import jax
    import jax.numpy as jnp

    x, y, *ps = [jnp.asarray(t.numpy()) for t in (x, y, *params)]

    def loss(ps, x, y):
        w1, b1, w2, b2 = ps
        logp = jax.nn.log_softmax(jnp.maximum(x @ w1 + b1, 0) @ w2 + b2)
        return -logp[jnp.arange(len(y)), y].mean()

    @jax.jit
    def update(ps, x, y):
        value, grads = jax.value_and_grad(loss)(ps, x, y)
        return value, [p - lr * g for p, g in zip(ps, grads)]

    def step():
        nonlocal ps
        value, ps = update(ps, x, y)
        return value.block_until_ready()

    return step


STEP = "| | µs | of PyTorch's | of the step by hand |"
WHERE = '| | µs | kernels | in a row | bookkeeping |'


def step_row(name, r):
    of_theirs, of_hand = (cell(r[k], '.3f') for k in ('ratio', 'hand'))
    return f"| {name} | {r['us']['median']:.0f} | {of_theirs} | {of_hand} |"


def where_row(name, r):
    us, kernels, row = (f"{r[k]['median']:.0f}" for k in ('us', 'kernels', 'row'))
    return f"| {name} | {us} | {kernels} | {row} | {cell(r['rest'], '.0f')} |"


TASKS = "| | µs, the tape | PyTorch's autograd |"


def task_row(name, r):
    return f"| {name} | {cell(r['ours'], '.1f')} | {cell(r['theirs'], '.1f')} |"


def page(results):
    "benchmarks/COMPILER.md as text."
    lines = [
        '<!-- generated by benchmarks/compiler.py -->',
        '# Programs against PyTorch',
        '',
        f"{named(results['machine'])} Medians over {results['processes']} processes, with the "
        f"lowest and the highest; within a process each method runs in {results['rounds']} blocks "
        'of ten calls, in turn with the others, and the time is that of the one thread that '
        'computes. `python benchmarks/compiler.py` takes the figures on your machine.',
        '',
        '## One training step of 784-h-10',
        '',
        'Forward, backward and update, cross-entropy, float32. The program and the step by hand '
        'keep parameters and gradients in one buffer each, as `fit` does, so that one call updates '
        'them all.',
        '',
        *tables(results['step'], STEP, step_row),
        "## Where a tape's microseconds are",
        '',
        'Loss and gradients, without the update. *In a row* are the very kernels that the tape '
        'asks for, called one after another from Python; what is left is its bookkeeping.',
        '',
        *tables(results['where'], WHERE, where_row),
        'The same tasks by the kernels that each asks for, of many blocks of calls the fastest. '
        '`F.linear` keeps its weights as (outputs, inputs), the tape as (inputs, outputs).',
        '',
        *tables(results['tasks'], TASKS, task_row),
        '## After each pass',
        '',
        'The program alone, 784-50-10, batch 64. *Memory* is what its kernels ask for in one call.',
        '',
        '| | µs | kernels | kB |',
        '|---|---|---|---|',
    ]
    lines += [
        f"| {name} | {cell(r['us'], '.0f')} | {r['kernels']['median']} | "
        f"{r['bytes']['median'] / 1000:.0f} |"
        for name, r in results['passes'].items()
    ]
    lines += ['', '## Other compilers', '', 'By the clock on the wall, since JAX computes in '
              'threads of its own.', '', "| | of PyTorch's autograd |", '|---|---|']
    lines += [f"| {name} | {cell(r, '.3f')} |" for name, r in results['others'].items()]
    return '\n'.join(lines + [''])


parts = dict(step=step, where=where, tasks=tasks, passes=passes, others=others)
benchmark = Benchmark(__file__, __doc__, parts, page, rounds=40, threads=1)

if __name__ == '__main__':
    benchmark.main()
