"""Time one training step by programs that `mlfound.compiler` writes against PyTorch's autograd,
the step written by hand and the tape, and after each pass; write benchmarks/results_compiler.json
and benchmarks/COMPILER.md.

The step is forward, backward and update of 784-h-10 with cross-entropy. `torch.compile` is timed
beside it where it works, and jitted JAX where it is installed.
"""

from importlib.util import find_spec

from harness import Benchmark, cell, interleaved, named

sizes = {
    'batch 64, 50 hidden units': (64, 50),
    'batch 256, 128 hidden units': (256, 128),
    'batch 1, 50 hidden units': (1, 50),
}
base = "PyTorch's autograd, F.linear"
lr = 0.01


def start(n, h):
    "A batch of random images and labels, and parameters, for a network of `h` hidden units."
    import torch
    from mlfound.training import init_he

    gen = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 784, generator=gen), torch.randint(10, (n,), generator=gen)
    return x, y, init_he([784, h, 10], gen)


def loss(x, targ, w1, b1, w2, b2):
    from mlfound.autograd import linear, relu
    from mlfound.training import cross_entropy

    a1 = relu(linear(x, w1, b1))
    return cross_entropy(linear(a1, w2, b2), targ)


def updated(f, params):
    "The step that follows the gradients which `f()` returns after the loss."

    def step():
        value, grads = f()
        for p, g in zip(params, grads):
            p.add_(g, alpha=-lr)
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
    import torch
    from mlfound.autograd import Var, grad
    from mlfound.compiler import EXACT, write
    from mlfound.training import loss_and_gradients

    x, y, params = start(n, h)
    wrt = ['w1', 'b1', 'w2', 'b2']

    def mine():
        ps = [p.clone() for p in params]
        return ps, [torch.empty_like(p) for p in ps]

    hand, out = mine()
    whole, given = mine()
    plain, _ = mine()
    tape = [Var(p.clone(), requires_grad=True) for p in params]
    program = write(loss, x, y, *params, wrt=wrt)
    exact = write(loss, x, y, *params, wrt=wrt, passes=EXACT)

    def on_tape():
        value = loss(x, y, *tape)
        return value.data, grad(value, tape)

    return {
        base: by_torch(x, y, params),
        "PyTorch's autograd, a gathered log-softmax": by_torch(x, y, params, gathered=True),
        'program': updated(lambda: program(x, y, *whole, out=given), whole),
        'program, exact passes only': updated(lambda: exact(x, y, *plain), plain),
        "by hand, chapter 05's loss_and_gradients": updated(
            lambda: loss_and_gradients(x, y, hand, out), hand
        ),
        'the tape': updated(on_tape, [v.data for v in tape]),
    }


def step(args):
    "Microseconds and ratios for each size, after a test that all ways train alike."
    result = {}
    for title, (n, h) in sizes.items():
        calls = ways(n, h)
        losses = {name: [f().item() for _ in range(5)] for name, f in calls.items()}
        for name, ls in losses.items():
            same = all(abs(a - b) < 1e-4 for a, b in zip(ls, losses[base], strict=True))
            assert same, f'{name}: other losses: {ls}'
        us = interleaved(calls, args.rounds, 10)
        hand = us["by hand, chapter 05's loss_and_gradients"]
        result[title] = {
            name: dict(us=t, ratio=t / us[base], hand=t / hand) for name, t in us.items()
        }
    return result


def passes(args, n=64, h=50):
    "Microseconds, lines and bytes of the program after each pass, on the reader's own network."
    import torch
    from mlfound.compiler import PASSES, Program, named as naming
    from mlfound.passes import bytes_made
    from mlfound.trace import record

    x, y, params = start(n, h)
    listing = record(loss, [x, y, *params], ['w1', 'b1', 'w2', 'b2'])
    out = [torch.empty_like(p) for p in params]
    calls, facts = {}, {}
    for a_pass in [None, *PASSES]:
        listing = a_pass(listing) if a_pass else listing
        program = Program(naming(listing))
        name = a_pass.__name__ if a_pass else 'the trace'
        more = [out] if listing.buffers else []
        calls[name] = lambda f=program.function, more=more: f(x, y, *params, *more)
        facts[name] = dict(kernels=len(listing.lines), bytes=bytes_made(listing, bool(more)))
    us = interleaved(calls, args.rounds, 10)
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
    import jax
    import jax.numpy as jnp

    x, y, ps = x.numpy(), y.numpy(), [jnp.asarray(p.numpy()) for p in params]

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


def page(results):
    "benchmarks/COMPILER.md as text."
    lines = [
        '<!-- generated by benchmarks/compiler.py -->',
        '# Programs against PyTorch',
        '',
        f"{named(results['machine'])} Medians over {results['processes']} processes, with the "
        f"lowest and the highest; within a process each method runs in {results['rounds']} blocks "
        'of ten calls, in turn with the others. `python benchmarks/compiler.py` takes the figures '
        'on your machine.',
        '',
        '## One training step of 784-h-10',
        '',
        'Forward, backward and update, cross-entropy, float32.',
        '',
    ]
    for title, rows in results['step'].items():
        lines += [
            f'{title.capitalize()}:',
            '',
            "| | µs | of PyTorch's | of the step by hand |",
            '|---|---|---|---|',
        ]
        lines += [
            f"| {name} | {r['us']['median']:.0f} | {cell(r['ratio'], '.3f')} | "
            f"{cell(r['hand'], '.3f')} |"
            for name, r in rows.items()
        ]
        lines += ['']
    lines += [
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
    lines += ['', '## Other compilers', '', "| | of PyTorch's autograd |", '|---|---|']
    lines += [f"| {name} | {cell(r, '.3f')} |" for name, r in results['others'].items()]
    return '\n'.join(lines + [''])


benchmark = Benchmark(
    __file__,
    __doc__,
    dict(step=step, passes=passes, others=others),
    page,
    'results_compiler.json',
    'COMPILER.md',
    rounds=40,
    threads=1,
)

if __name__ == '__main__':
    benchmark.main()
