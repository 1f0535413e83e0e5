"""Time whole trainings and single steps against the usual PyTorch program and a jitted JAX step on
this machine; write benchmarks/results_training.json and benchmarks/TRAINING.md.

JAX is timed where it is installed (`pip install jax`).
"""

import time
from importlib.util import find_spec
from statistics import mean, median

from harness import Benchmark, cell, digits, interleaved, named

EPOCHS, BATCH, PEAK, MOMENTUM, SIZES = 5, 256, 0.2, 0.9, [784, 256, 10]
usual = 'usual PyTorch program'


def usual_program(seed, start, train, valid):
    "As most would write it: DataLoader, nn.Sequential, torch.optim, a scheduler, F.cross_entropy."
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset
    from mlfound.training import as_torch, parameters_of

    model = as_torch(start)
    loader = DataLoader(
        TensorDataset(*train),
        batch_size=BATCH,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
    )
    opt = torch.optim.SGD(model.parameters(), lr=PEAK, momentum=MOMENTUM)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        opt, max_lr=PEAK, total_steps=EPOCHS * len(loader), cycle_momentum=False
    )
    for _ in range(EPOCHS):
        model.train()
        for x, y in loader:
            opt.zero_grad()
            F.cross_entropy(model(x), y).backward()
            opt.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            z = model(valid.x)
            F.cross_entropy(z, valid.y).item(), (z.argmax(1) == valid.y).float().mean().item()
    return parameters_of(model)


def products_alone(seed, start, train, valid):
    "The matrix products of the training alone, into memory that is there: the limit for all."
    import torch

    w1, _, w2, _ = start
    x = train.x[:BATCH]
    a, z, g1, g2, back = (
        torch.empty(s)
        for s in ((BATCH, SIZES[1]), (BATCH, 10), w1.shape, w2.shape, (BATCH, SIZES[1]))
    )
    for _ in range(EPOCHS * -(-len(train.x) // BATCH)):
        (
            torch.mm(x, w1, out=a),
            torch.mm(a, w2, out=z),
            torch.mm(a.T, z, out=g2),
            torch.mm(z, w2.T, out=back),
            torch.mm(x.T, back, out=g1),
        )


def whole(args):
    "Seconds and test accuracy of a training in each way, in turn, a seed for each round."
    import torch
    from mlfound.data import mnist
    from mlfound.fit import evaluate, fit
    from mlfound.training import absorb_scaling, init_he, parameters_of
    from mlfound.ways import REGISTRY

    train, valid, _ = digits(640 if args.quick else None)
    test = mnist().test

    def ours(way):
        def run(seed, start, train, valid):
            model = REGISTRY['plain', way].dress(start)
            fit(model, train, valid, epochs=EPOCHS, batch=BATCH, lr=PEAK, seed=seed, progress=False)
            return parameters_of(model)

        return run

    programs = {
        usual: usual_program,
        'functions (by hand)': ours('functions'),
        'layers': ours('layers'),
        'tape': ours('tape'),
        "PyTorch's nn.Sequential in `fit`": ours('PyTorch'),
        'matrix products alone': products_alone,
    }
    seconds, right = {n: [] for n in programs}, {n: [] for n in programs}
    usual_program(0, init_he([784, 8, 10]), train, valid)  # starts what is started once
    for seed in range(args.rounds):
        for name, program in programs.items():
            start = init_he(SIZES, torch.Generator().manual_seed(seed))
            begin = time.perf_counter()
            trained = program(seed, start, train, valid)
            seconds[name].append(time.perf_counter() - begin)
            if trained:
                right[name].append(100 * evaluate(absorb_scaling(trained), test)[1])
    return {
        n: dict(
            seconds=median(s),
            ratio=median(s) / median(seconds[usual]),
            accuracy=mean(right[n]) if right[n] else 0.0,
            **{f'seed {k}': a for k, a in enumerate(right[n])},
        )
        for n, s in seconds.items()
    }


def step_programs(n=64, h=50):
    "One step of 784-h-10 with momentum, on a batch that is there already; each returns its loss."
    import torch
    import torch.nn.functional as F
    from mlfound.training import SGD, as_torch, init_he
    from mlfound.ways import REGISTRY, way_of

    gen = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 784, generator=gen), torch.randint(0, 10, (n,), generator=gen)
    start = init_he([784, h, 10], gen)
    copy = lambda: [p.clone() for p in start]

    def ours(name):
        way = way_of(REGISTRY['plain', name].dress(copy()))
        opt = SGD(way.params, lr=0.01, momentum=MOMENTUM)

        def step():
            loss = way.backward(x, y)
            opt.step()
            return loss

        return step

    model = as_torch(start)
    opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=MOMENTUM)

    def theirs():
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        return loss.detach()

    w1, _, w2, _ = copy()
    a, z, g1, g2, back = (torch.empty(s) for s in ((n, h), (n, 10), w1.shape, w2.shape, (n, h)))

    def products():
        torch.mm(x, w1, out=a)
        torch.mm(a, w2, out=z)
        torch.mm(a.T, z, out=g2)
        torch.mm(z, w2.T, out=back)
        torch.mm(x.T, back, out=g1)

    steps = {
        'nn.Sequential, torch.optim.SGD': theirs,
        'functions (by hand)': ours('functions'),
        'layers': ours('layers'),
        'tape': ours('tape'),
        'matrix products alone': products,
    }
    if find_spec('jax'):
        steps['JAX, jitted'] = jax_step(x, y, start)
    return steps


def jax_step(x, y, start):
    "The same step, compiled by XLA."
    import jax, jax.numpy as jnp

    x, y = jnp.asarray(x.numpy()), jnp.asarray(y.numpy())
    params = [jnp.asarray(p.numpy().copy()) for p in start]
    state = [params, [jnp.zeros_like(p) for p in params]]

    def loss(params):
        w1, b1, w2, b2 = params
        logp = jax.nn.log_softmax(jax.nn.relu(x @ w1 + b1) @ w2 + b2)
        return -jnp.take_along_axis(logp, y[:, None], 1).mean()

    @jax.jit
    def update(params, momenta):
        value, grads = jax.value_and_grad(loss)(params)
        momenta = [MOMENTUM * m + g for m, g in zip(momenta, grads)]
        return value, [p - 0.01 * m for p, m in zip(params, momenta)], momenta

    def step():
        value, *state[:] = update(*state)
        return value.block_until_ready()

    return step


def step(args):
    "Microseconds of a step in each way, and its share of PyTorch's; all must train alike."
    steps = step_programs()
    base = 'nn.Sequential, torch.optim.SGD'
    losses = {
        n: [float(f()) for _ in range(5)] for n, f in steps.items() if n != 'matrix products alone'
    }
    for n, ls in losses.items():
        assert all(abs(a - b) < 1e-4 for a, b in zip(ls, losses[base], strict=True)), (
            f'{n}: other losses: {ls}'
        )
    us = interleaved(steps, 20 * args.rounds, 10)
    return {
        n: dict(us=t, ratio=t / us[base], jax=t / us.get('JAX, jitted', float('nan')))
        for n, t in us.items()
    }


def page(results):
    "benchmarks/TRAINING.md as text."
    lines = [
        '<!-- generated by benchmarks/training.py -->',
        '# Training',
        '',
        f"{named(results['machine'])} Medians over "
        f"{results['processes']} processes, with the lowest and the highest. `python "
        f"benchmarks/training.py` takes the figures on your machine.",
        '',
        '## A whole training',
        '',
        f"{'-'.join(map(str, SIZES))}, {EPOCHS} epochs of batch {BATCH}, momentum {MOMENTUM}, "
        f"one cycle to {PEAK}, standardized pixels, the validation set after "
        f"every epoch; seeds 0 to {results['rounds'] - 1}, each program in turn with the others.",
        '',
        f'| | seconds | time, of the {usual}\'s | test accuracy, mean (%) |',
        '|---|---|---|---|',
    ]
    for name, r in results['whole'].items():
        right = f"{r['accuracy']['median']:.2f}" if r['accuracy']['median'] else ''
        lines += [f"| {name} | {cell(r['seconds'], '.2f')} | {cell(r['ratio'], '.2f')} | {right} |"]
    seeds = [
        f"{r['median']:.2f}"
        for k, r in results['whole']['functions (by hand)'].items()
        if k.startswith('seed')
    ]
    lines += [
        '',
        f"Test accuracy by hand, seed by seed: {', '.join(seeds)} %.",
        '',
        f'The *{usual}* is `TensorDataset`, `DataLoader`, `nn.Sequential`, `torch.optim.SGD`, '
        f'`OneCycleLR` and `F.cross_entropy`. Matrix products alone are '
        'those of all steps, on one batch that stays in the cache: the limit.',
        '',
        '## One step',
        '',
        '784-50-10, batch 64, SGD with momentum, float32:',
        '',
        "| | µs | of nn.Sequential's time | of JAX's time |",
        '|---|---|---|---|',
    ]
    for name, r in results['step'].items():
        of_jax = cell(r['jax'], '.2f') if r['jax']['median'] == r['jax']['median'] else ''
        lines += [f"| {name} | {r['us']['median']:.0f} | {cell(r['ratio'], '.2f')} | {of_jax} |"]
    return '\n'.join(lines + [''])


benchmark = Benchmark(__file__, __doc__, dict(step=step, whole=whole), page, rounds=5)

if __name__ == '__main__':
    benchmark.main()
