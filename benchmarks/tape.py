"""Time one training step on the tape against PyTorch's autograd on this machine, and count the
bytes that each way keeps for the backward pass; write benchmarks/results_tape.json and
benchmarks/TAPE.md.

The step is forward, backward and update of 784-h-10 with log-softmax and a gathered negative log-
likelihood. HIPS autograd and micrograd are timed where they are installed (`pip install autograd
micrograd`).
"""

import random
import sys
import threading
import time
from importlib.util import find_spec
from statistics import median

from harness import Benchmark, cell, in_turn, interleaved, named, tables

sizes = {'batch 64, 50 hidden units': (64, 50), 'batch 256, 128 hidden units': (256, 128)}
base = 'PyTorch, F.linear'
pairs = {
    'tape, fused linear': 'PyTorch, F.linear',
    'tape, x@w + b': 'PyTorch, x@w + b',
    'no tape, rules in a row': 'PyTorch, F.linear',
    'matrix products alone': 'PyTorch, F.linear',
}  # each is divided by PyTorch running the same program


def start(n, h):
    "A batch of random images and labels, and parameters, for a network of `h` hidden units."
    import torch

    gen = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 784, generator=gen), torch.randint(0, 10, (n, 1), generator=gen)
    return (
        x,
        y,
        [
            torch.randn(784, h, generator=gen) * 0.05,
            torch.zeros(h),
            torch.randn(h, 10, generator=gen) * 0.1,
            torch.zeros(10),
        ],
    )


def programs(n, h, lr=0.01):
    "The step, written in each way; each returns its loss."
    import torch
    import torch.nn.functional as F
    import mlfound.ops  # noqa: F401
    from mlfound.autograd import Var, linear, relu
    from mlfound.backward import lin_vjp_b, lin_vjp_w, lin_vjp_x, relu_vjp

    x, y, params = start(n, h)
    w1, b1, w2, b2 = by_hand = [p.clone() for p in params]
    stored = [
        p.T.contiguous() if p.ndim == 2 else p for p in params
    ]  # F.linear keeps its weights as (out, in)
    P, Q = ([p.clone().requires_grad_() for p in ps] for ps in (stored, params))
    V, W = ([Var(p.clone(), requires_grad=True) for p in params] for _ in range(2))

    def nll(z):
        return -z.log_softmax(-1).gather(1, y).mean()

    def update(ps):
        with torch.no_grad():
            for p in ps:
                data = p.data if isinstance(p, Var) else p
                data -= lr * p.grad
                p.grad = None

    def trained(loss, ps):
        loss.backward()
        update(ps)
        return loss

    def rules():
        a = torch.addmm(b1, x, w1).relu_()
        lp = torch.addmm(b2, a, w2).log_softmax(-1)
        g = torch.zeros_like(lp).scatter_(1, y, -1 / n)
        g = g - lp.exp() * g.sum(-1, True)
        gz = relu_vjp(lin_vjp_x(g, w2), a)
        for p, gp in zip(by_hand, (lin_vjp_w(gz, x), lin_vjp_b(gz), lin_vjp_w(g, a), lin_vjp_b(g))):
            p -= lr * gp
        return -lp.gather(1, y).mean()

    def products():
        z = x @ w1
        o = z @ w2
        return z.T @ o, o @ w2.T, x.T @ z

    return {
        'PyTorch, F.linear': lambda: trained(
            nll(F.linear(F.linear(x, P[0], P[1]).relu(), P[2], P[3])), P
        ),
        'tape, fused linear': lambda: trained(
            nll(linear(relu(linear(x, V[0], V[1])), V[2], V[3])), V
        ),
        'PyTorch, x@w + b': lambda: trained(nll((x @ Q[0] + Q[1]).relu() @ Q[2] + Q[3]), Q),
        'tape, x@w + b': lambda: trained(nll((x @ W[0] + W[1]).relu() @ W[2] + W[3]), W),
        'no tape, rules in a row': rules,
        'matrix products alone': products,
    }


def step(args):
    "Microseconds and ratios for each size, after a test that all ways train alike."
    turns = in_turn(sizes, programs, base, args.rounds, alone=['matrix products alone'])
    return {
        title: {name: dict(us=t, ratio=t / us[pairs.get(name, name)]) for name, t in us.items()}
        for title, us in turns
    }


def memory(args, n=50_000, h=50):
    "Bytes kept between forward and backward beyond data and parameters, each storage once."
    import torch
    import torch.nn.functional as F
    import mlfound.ops  # noqa: F401
    from mlfound.autograd import Var, linear, relu
    from mlfound.module import Linear, ReLU, Sequential

    x, y, params = start(n, h)
    Q, V = (
        [p.clone().requires_grad_() for p in params],
        [Var(p, requires_grad=True) for p in params],
    )
    T = [p.detach().T.contiguous().requires_grad_() if p.ndim == 2 else p for p in Q]
    model = Sequential(Linear(784, h), ReLU(), Linear(h, 10))

    def nll(z):
        return -z.log_softmax(-1).gather(1, y).mean()

    def size(kept):
        known = {
            t.untyped_storage().data_ptr() for t in (x, y, *params, *Q, *T, *model.parameters())
        }
        held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}
        return sum(b for p, b in held.items() if p not in known)

    def saved(f):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            loss = f()
        return size(kept), loss

    z = torch.addmm(params[1], x, params[0])
    o = torch.addmm(params[3], z.relu(), params[2])
    model(x)
    records = held_by_calls(model)
    return {
        'PyTorch, F.linear': saved(
            lambda: nll(F.linear(F.linear(x, T[0], T[1]).relu(), T[2], T[3]))
        )[0],
        'PyTorch, x@w + b': saved(lambda: nll((x @ Q[0] + Q[1]).relu() @ Q[2] + Q[3]))[0],
        'tape, fused linear': size(held_by(nll(linear(relu(linear(x, *V[:2])), *V[2:])))),
        'tape, x@w + b': size(held_by(nll((x @ V[0] + V[1]).relu() @ V[2] + V[3]))),
        'functions (chapter 02): z, a, log-softmax': size([z, z.relu(), o.log_softmax(-1)]),
        'layers (chapter 03): inputs and output of each': size(records),
    }


def held_by(y):
    "The tensors that the tape behind `y` keeps for its rules."
    import torch

    todo, seen, kept = [y.entry], {y.entry}, []
    while todo:
        for p, _, _, needed, *_ in todo.pop().edges:
            kept += [t for t in needed if isinstance(t, torch.Tensor)]
            if p not in seen:
                todo.append(p)
            seen.add(p)
    return kept


def held_by_calls(layer):
    "The tensors that the calls of `layer` keep, with the calls inside them, until `backward`."
    from mlfound.records import pending

    kept, todo = [], [*pending(layer)]
    while todo:
        call = todo.pop()
        kept += [*call.inputs, call.out]
        for calls in call.inner.values():
            todo += calls
    return kept


def peers(args):
    "The tape's time as a share of HIPS autograd's, and micrograd's as a multiple of ours."
    result = {}
    for title, (n, h) in sizes.items():
        ours = {k: f for k, f in programs(n, h).items() if k == 'tape, fused linear'}
        us = interleaved(
            ours | ({'hips': hips_step(n, h)} if find_spec('autograd') else {}), args.rounds, 10
        )
        if 'hips' in us:
            result[f'HIPS autograd, {title}'] = us['tape, fused linear'] / us['hips']
        if find_spec('micrograd') and h == 50:
            result['micrograd, per example'] = micrograd_us(h) / (us['tape, fused linear'] / n)
    return result


def hips_step(n, h, lr=0.01):
    import autograd.numpy as np
    from autograd import grad

    x, y, params = start(n, h)
    x, y, params = x.numpy(), y.numpy()[:, 0], [p.numpy() for p in params]

    def loss(params):
        w1, b1, w2, b2 = params
        z = np.dot(np.maximum(np.dot(x, w1) + b1, 0), w2) + b2
        z = z - np.max(z, axis=1, keepdims=True)
        return -np.mean((z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)))[np.arange(n), y])

    gradient = grad(loss)

    def step():
        for p, gp in zip(params, gradient(params)):
            p -= lr * gp

    return step


def micrograd_us(h, lr=0.01):
    "Microseconds for one example, with a squared loss; the recursive walk wants a deep stack."
    from micrograd.engine import Value

    draw = random.Random(0)
    x = [draw.random() for _ in range(784)]

    def layer(rows, cols, scale):
        return [
            ([Value(draw.gauss(0, scale)) for _ in range(cols)], Value(0.0)) for _ in range(rows)
        ]

    def apply(rows, x):
        return [sum((w * v for w, v in zip(ws, x)), b) for ws, b in rows]

    first, last, times = layer(h, 784, 0.05), layer(10, h, 0.1), []

    def step():
        out = apply(last, [z.relu() for z in apply(first, x)])
        sum((z - (k == 3)) ** 2 for k, z in enumerate(out)).backward()
        for p in (p for ws, b in first + last for p in (*ws, b)):
            p.data, p.grad = p.data - lr * p.grad, 0

    def run():
        for _ in range(3):
            begin = time.perf_counter()
            step()
            times.append(1e6 * (time.perf_counter() - begin))

    sys.setrecursionlimit(1_000_000)
    threading.stack_size(512 * 2**20)
    (thread := threading.Thread(target=run)).start()
    thread.join()
    return median(times)


def page(results):
    "benchmarks/TAPE.md as text."
    lines = [
        '<!-- generated by benchmarks/tape.py -->',
        '# The tape against PyTorch',
        '',
        f"{named(results['machine'])} Medians over "
        f"{results['processes']} processes, with the lowest and the highest; within a process "
        f"each method runs in {results['rounds']} blocks "
        "of ten calls, in turn with the others. `python benchmarks/tape.py` takes the figures on "
        "your machine.",
        '',
        '## One training step of 784-h-10',
        '',
        'Forward, backward and update; log-softmax and a gathered negative log-likelihood; '
        'float32. A ratio compares like with like: fused '
        '`linear` with `F.linear`, `x@w + b` with `x@w + b`.',
        '',
    ]
    lines += tables(
        results['step'],
        "| | µs | time, of PyTorch's for the same program |",
        lambda name, r: f"| {name} | {r['us']['median']:.0f} | "
        f"{cell(r['ratio'], '.3f') if name in pairs else '1'} |",
    )
    kept = results['memory']
    lines += [
        '*Rules in a row* are the rules of the chapters called by hand, without a tape: what the '
        'tape itself costs is the difference. '
        '*Matrix products alone* are the five products of the step: the limit for every method.',
        '',
        '## Kept for the backward pass',
        '',
        '784-50-10 on 50,000 examples, beyond data and parameters:',
        '',
        '| | MB | of PyTorch\'s |',
        '|---|---|---|',
    ]
    lines += [
        f"| {name} | {b / 1e6:.1f} | {b / kept['PyTorch, F.linear']:.2f} |"
        for name, b in kept.items()
    ]
    lines += [
        '',
        'The tape keeps what a rule asks for by name and nothing else: the activations (for the '
        'second layer\'s weights and for `relu`) '
        'and the log-softmax. Functions and layers as the chapters write them keep the '
        'pre-activations as well.',
        '',
        '## Other engines',
        '',
    ]
    if results['peers']:
        lines += ['| | |', '|---|---|']
        lines += [
            f"| {name}: the tape takes | {cell(s, '.2f')} of its time |"
            if name.startswith('HIPS')
            else f"| {name}: the tape is faster | {cell(s, ',.0f')} times |"
            for name, s in results['peers'].items()
        ]
    else:
        lines += [
            'None of them is installed here: `pip install autograd micrograd`, then run this again.'
        ]
    return '\n'.join(lines + [''])


parts = dict(memory=memory, step=step, peers=peers)
benchmark = Benchmark(__file__, __doc__, parts, page, rounds=40, threads=1, once=('memory',))

if __name__ == '__main__':
    benchmark.main()
