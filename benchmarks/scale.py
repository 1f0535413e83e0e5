"""Time training steps, precisions, whole trainings and sums over two processes on this machine;
write benchmarks/results_scale.json and benchmarks/SCALE.md.

A step is forward, backward and update of 784-256-10 with cross-entropy and momentum, by functions,
layers, the tape and PyTorch.
"""

import time
from statistics import mean, median

from harness import Benchmark, cell, digits, interleaved, named

sizes, batches = [784, 256, 10], (1, 4, 16, 64, 256, 1024, 4096)
levels = 'highest', 'high', 'medium'
groups = {
    'matrix products': ('addmm', 'mm'),
    'relu and its rule': ('relu_', 'threshold_backward', 'clamp_min_'),
    'sums for the biases': ('sum',),
    'update': ('mul_', 'add_'),
    'loss and its rule': (
        '_log_softmax',
        'gather',
        'mean',
        'neg',
        'exp_',
        'div_',
        'new_full',
        'scatter_add_',
        'fill_',
        'full',
    ),
}


def start(n, seed=0):
    import torch
    from mlfound.training import init_he

    gen = torch.Generator().manual_seed(seed)
    return (
        torch.rand(n, 784, generator=gen),
        torch.randint(0, 10, (n,), generator=gen),
        init_he(sizes, gen),
    )


def programs(n):
    "One training step by each way, and the products alone, into memory that is there already."
    import torch
    from mlfound.training import SGD
    from mlfound.ways import REGISTRY, way_of, ways

    x, y, params = start(n)

    def step(model):
        way = way_of(model)
        opt = SGD(way.params, lr=0.001, momentum=0.9)

        def run():
            way.backward(x, y)
            opt.step()

        return run

    w1, _, w2, _ = params
    a, z, ga, gw1, gw2 = (
        torch.rand(n, 256),
        torch.rand(n, 10),
        torch.rand(n, 256),
        torch.empty_like(w1),
        torch.empty_like(w2),
    )

    def products():
        torch.mm(x, w1, out=ga)
        torch.mm(a, w2, out=z)
        torch.mm(a.T, z, out=gw2)
        torch.mm(z, w2.T, out=ga)
        torch.mm(x.T, ga, out=gw1)

    dressed = {w: REGISTRY['plain', w].dress([p.clone() for p in params]) for w in ways()}
    calls = {w: step(model) for w, model in dressed.items()}
    return calls | {'matrix products alone': products}


def in_a_row(n):
    "How many steps of this batch are timed as one."
    return 10 if n < 1024 else 3


def steps(args):
    "Microseconds of a step, by batch."
    return {
        str(n): interleaved(
            programs(n),
            1 if args.quick else max(2, args.rounds if n < 1024 else args.rounds // 4),
            1 if args.quick else in_a_row(n),
        )
        for n in batches
    }


def profile(args, n=256):
    "The share of each kind of operation in a step by functions, and the step's time."
    from torch.autograd.profiler import profile

    run = programs(n)['functions']
    us = interleaved({'step': run}, args.rounds, 10)['step']
    calls = 10 * args.rounds
    with profile() as prof:
        for _ in range(calls):
            run()
    rows = {
        e.key.removeprefix('aten::'): e.self_cpu_time_total / calls for e in prof.key_averages()
    }
    spent = {g: sum(rows.get(k, 0) for k in keys) for g, keys in groups.items()}
    return {g: t / us for g, t in spent.items()} | {'us': us}


def product_error(args):
    "At each precision: a product's largest error against float64, its time, and that of a step."
    import torch
    from mlfound.backward import relative_error
    from mlfound.scale import precision

    gen = torch.Generator().manual_seed(0)
    x, w = torch.randn(256, 784, generator=gen), torch.randn(784, 256, generator=gen)
    want, step = x.double() @ w.double(), programs(256)['functions']

    def at(level, f):
        def run():
            with precision(level):
                f()

        return run

    error = {}
    for level in levels:
        with precision(level):
            error[level] = relative_error(x @ w, want)
    product, whole = (
        interleaved({level: at(level, f) for level in levels}, args.rounds, 10)
        for f in (lambda: x @ w, step)
    )
    return {
        level: dict(error=error[level], product_us=product[level], step_us=whole[level])
        for level in levels
    }


def train(args):
    "Seconds and accuracies of chapter 05's training (five seeds) and of the best recipe (three)."
    import torch
    from mlfound.scale import BEST, BEST_SIZES, precision
    from mlfound.fit import evaluate, fit
    from mlfound.training import init_he

    train, valid, test = digits(640 if args.quick else None)
    many, few = (1, 1) if args.quick else (5, 3)

    def runs(sizes, seeds, levels, **settings):
        "By level; all levels take their turn with each seed."
        rows = {level: [] for level in levels}
        for seed in range(seeds):
            for level in levels:
                params = init_he(sizes, torch.Generator().manual_seed(seed))
                with precision(level):
                    h = fit(params, train, valid, seed=seed, progress=False, **settings)
                rows[level].append(
                    dict(
                        seconds=h.seconds,
                        valid=h.epochs[-1]['accuracy'],
                        test=evaluate(params, test)[1],
                    )
                )

        def over(rows, k):
            return dict(
                mean=mean(r[k] for r in rows),
                low=min(r[k] for r in rows),
                high=max(r[k] for r in rows),
            )

        return {
            level: {k: over(rs, k) for k in rs[0]} | {'seeds': seeds} for level, rs in rows.items()
        }

    runs(sizes, 1, ('highest', 'medium'), epochs=1)  # to warm up
    small = runs(sizes, many, ('highest', 'medium'))
    recipe = BEST | dict(epochs=2) if args.quick else BEST
    best = runs(BEST_SIZES, few, ('medium',), **recipe)
    rows = {f'chapter 05, {level}': row for level, row in small.items()}
    return rows | {'--best': best['medium']}


def workers(args):
    "In each of two processes: milliseconds of a sum over both, and of a step alone and together."
    import torch, torch.distributed as dist
    from mlfound.scale import data_parallel, distributed
    from mlfound.fit import way_of
    from mlfound.training import SGD

    with distributed() as w:
        result = {'all_reduce': {}, 'step': {}}
        for n in [4**k for k in range(2, 13)]:  # floats
            t = torch.ones(n)
            result['all_reduce'][str(4 * n)] = middle(
                lambda: dist.all_reduce(t), 1 if args.quick else 100
            )
        for n in (256, 1024, 4096):
            x, y, params = start(n)
            ways, times = (
                {
                    'one': way_of([p.clone() for p in params]),
                    'two': data_parallel([p.clone() for p in params]),
                },
                {'one': [], 'two': []},
            )
            opts = {name: SGD(way.params, lr=0.001, momentum=0.9) for name, way in ways.items()}
            for _ in range(
                1 if args.quick else 10
            ):  # in turn: a block alone, while the other waits, and one together
                for name, way in ways.items():
                    dist.barrier()
                    if name == 'two' or w.rank == 0:
                        times[name].append(
                            middle(
                                lambda: (way.backward(x, y), opts[name].step()),
                                1 if args.quick else 5,
                            )
                        )
            result['step'] |= {f'{name} {n}': median(ts) for name, ts in times.items() if ts}
        return result if w.rank == 0 else None


def middle(f, rounds):
    "Median milliseconds of a call."
    times = []
    for _ in range(rounds + 3):
        begin = time.perf_counter()
        f()
        times.append(1e3 * (time.perf_counter() - begin))
    return median(times[3:])


def page(results):
    "benchmarks/SCALE.md as text."

    def seeds(s, f, scale=1):
        return f"{scale * s['mean']:{f}} ({scale * s['low']:{f}}–{scale * s['high']:{f}})"

    names = list(results['steps']['1'])
    lines = [
        '<!-- generated by benchmarks/scale.py -->',
        '# Scale',
        '',
        f"{named(results['machine'])} Medians over "
        f"{results['processes']} processes, with the lowest and the highest; methods are called "
        f"in turn. `python benchmarks/scale.py` takes the figures on your machine.",
        '',
        '## One training step of 784-256-10, µs',
        '',
        'Forward, backward, update with momentum; float32, highest precision.',
        '',
        '| batch | ' + ' | '.join(names) + ' |',
        '|---|' + '---|' * len(names),
    ]
    lines += [
        f'| {n} | ' + ' | '.join(f"{row[k]['median']:,.0f}" for k in names) + ' |'
        for n, row in results['steps'].items()
    ]
    p = results['profile']
    lines += [
        '',
        f"## Where the time goes: functions, batch 256, {p['us']['median']:,.0f} µs a step",
        '',
        '| | share |',
        '|---|---|',
    ]
    lines += [f"| {g} | {cell(s, '.0%')} |" for g, s in p.items() if g != 'us']
    lines += [
        '',
        'Each share is measured under a profiler, which slows small operations, and divided by '
        'the time of a step without it.',
        '',
        '## Precision',
        '',
        'The error is that of a (256, 784) by (784, 256) product of normal numbers against '
        'float64, largest difference over largest entry.',
        '',
        '| | error | product, µs | step of 784-256-10, batch 256, µs |',
        '|---|---|---|---|',
    ]
    lines += [
        f"| {k} | {r['error']['median']:.1e} | {cell(r['product_us'], ',.0f')} | "
        f"{cell(r['step_us'], ',.0f')} |"
        for k, r in results['precision'].items()
    ]
    lines += [
        '',
        '## Whole trainings',
        '',
        'Mean over seeds, with the lowest and the highest; the time includes a look at the '
        'validation set after every epoch.',
        '',
        '| | seeds | seconds | validation, % | test, % |',
        '|---|---|---|---|---|',
    ]
    lines += [
        f"| {k} | {r['seeds']} | {seeds(r['seconds'], '.2f')} | {seeds(r['valid'], '.2f', 100)} "
        f"| {seeds(r['test'], '.2f', 100)} |"
        for k, r in results['train'].items()
    ]
    w = results['workers']
    lines += [
        '',
        '## Two processes, one thread each, gloo on one machine',
        '',
        '| message, bytes | `all_reduce`, ms |',
        '|---|---|',
    ]
    lines += [f"| {int(n):,} | {cell(s, '.3f')} |" for n, s in w['all_reduce'].items()]
    lines += ['', '| batch | one process, ms a step | two, ms a step |', '|---|---|---|']
    lines += [
        f"| {n:,} | {cell(w['step'][f'one {n}'], '.2f')} | {cell(w['step'][f'two {n}'], '.2f')} |"
        for n in (256, 1024, 4096)
    ]
    return '\n'.join(lines + [''])


parts = dict(steps=steps, profile=profile, precision=product_error, train=train, workers=workers)
benchmark = Benchmark(
    __file__, __doc__, parts, page, rounds=40, once=('train',), twice=('workers',)
)

if __name__ == '__main__':
    benchmark.main()
