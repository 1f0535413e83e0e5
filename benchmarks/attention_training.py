"""Train transformers by hand and by PyTorch's autograd on this machine: steps, sums that are never
shown, digits row by row, and what a memory of keys and values saves when a network writes.
Writes benchmarks/results_attention_training.json and benchmarks/ATTENTION_TRAINING.md.

Trainings take minutes: `--rounds` is the number of seeds, `MLFOUND_SHORT=1` omits the long ones.
"""

import os
from functools import partial

import harness
from harness import Benchmark, cell, digits, interleaved, named

theirs = "PyTorch's autograd"


def usual_scores(x, params, plan):
    "The network as most would write it for PyTorch, with its fused attention."
    import torch.nn.functional as F

    d, heads = plan.width, plan.heads
    a = F.embedding(x, params.table) if plan.tokens else x @ params.table
    n, t, _ = (a := a + params.places[: a.shape[1]]).shape
    for b in params.blocks:
        z = F.layer_norm(a, (d,), b.n1w, b.n1b)
        qkv = F.linear(z, b.wqkv.mT, b.bqkv).view(n, t, 3, heads, d // heads)
        out = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4), is_causal=plan.causal)
        a = a + F.linear(out.transpose(1, 2).reshape(n, t, d), b.wo.mT, b.bo)
        z = F.layer_norm(a, (d,), b.n2w, b.n2b)
        a = a + F.linear(F.gelu(F.linear(z, b.w1.mT, b.b1)), b.w2.mT, b.b2)
    if plan.read == 'mean':
        a = a.mean(1)
    a = F.layer_norm(a, (d,), params.nw, params.nb)
    return F.linear(a, params.table if params.wout is None else params.wout.mT, params.bout)


def usual(net):
    "A way whose gradients are those of PyTorch's autograd for `usual_scores`."
    import torch
    import torch.nn.functional as F
    from mlfound.transformerplan import transformer_tensors, with_tensors
    from mlfound.transformernet import sequence
    from mlfound.ways import UNASKED, Way

    plan = net.plan
    leaves = [t.requires_grad_() for t in transformer_tensors(net.params).values()]
    params = with_tensors(net.params, leaves)

    def logits(x):
        return usual_scores(sequence(x, plan), params, plan)

    def backward(x, y):
        for p in leaves:
            p.grad = None
        with torch.enable_grad():
            z = logits(x)
            loss = F.cross_entropy(z.flatten(0, -2), y.flatten(), ignore_index=UNASKED)
        loss.backward()
        return loss.detach()

    return Way(theirs, leaves, [p.detach() for p in leaves], torch.no_grad()(logits), backward)


def fresh(plan, seed=0):
    import torch
    from mlfound.transformernet import TransformerNet

    return TransformerNet(plan, torch.Generator().manual_seed(seed))


def every_way(plan):
    "name → way, each with a network of its own that starts alike."
    from mlfound.ways import REGISTRY, ways

    found = {w: REGISTRY['transformer', w].way(fresh(plan)) for w in ways('transformer')}
    return {theirs: usual(fresh(plan))} | found


def step(args):
    "Microseconds of loss and gradients in each way, and their share of PyTorch's autograd's."
    from mlfound.addition import ADDER, sums
    from mlfound.data import mnist
    from mlfound.training import standardized
    from mlfound.transformernet import ROWS

    sum_batch = [t[:256] for t in sums(256).train]
    row_batch = [t[:256] for t in standardized(mnist().valid)]
    found = {}
    for task, plan, batch in (('sums', ADDER, sum_batch), ('rows', ROWS, row_batch)):
        steps = {w: partial(way.backward, *batch) for w, way in every_way(plan).items()}
        losses = {n: float(f()) for n, f in steps.items()}
        assert all(abs(v - losses[theirs]) < 1e-4 for v in losses.values()), losses
        us = interleaved(steps, args.rounds * (2 if args.quick else 5), 1)
        found[task] = {n: dict(us=t, ratio=t / us[theirs]) for n, t in us.items()}
    return found


def recipes():
    "What is trained: name → plan, settings."
    from mlfound.addition import ADDER, RECIPE
    from mlfound.transformernet import ROWS, ROWS_RECIPE

    found = {'sums': (ADDER, RECIPE), 'rows of digits': (ROWS, ROWS_RECIPE)}
    return dict([*found.items()][:1]) if os.environ.get('MLFOUND_SHORT') else found


def examples(name, quick):
    "Training, validation and test examples."
    from mlfound.addition import sums

    few = 512 if quick else None
    if name == 'sums':
        return sums(few) if few else sums()
    return digits(few)


def one_training(name, way, seed, quick=False):
    "Seconds, processor seconds, and what is right of the validation and the test examples (%)."
    from mlfound.ways import REGISTRY

    plan, settings = recipes()[name]
    train, valid, test = examples(name, quick)
    if quick:
        settings = settings | dict(epochs=1)
        valid, test = (s._replace(x=s.x[:100], y=s.y[:100]) for s in (valid, test))
    net = fresh(plan, seed)
    model = usual(net) if way == theirs else REGISTRY['transformer', way].way(net)
    return harness.trained(model, (train, valid, test), seed, **settings)


def trainings(args):
    "Whole trainings by hand, and by PyTorch's autograd in the same loop, by turns."
    both, alone = ('functions', theirs), ('functions',)
    ways = {name: both if name == 'sums' else alone for name in recipes()}
    return harness.trainings(ways, args.rounds, partial(one_training, quick=args.quick))


def without_runs(count):
    "Training sums in which no carry runs on through a column."
    from mlfound.addition import run_of_nines, summands, sums
    from mlfound.data import Split

    train = sums(count + count // 4).train
    rows = run_of_nines(summands(train)) == 0
    return Split(train.x[rows][:count], train.y[rows][:count])


def carries(args):
    "Exactly right (%), by the columns a carry runs on through: if all were shown, and if none."
    import torch
    from mlfound.addition import (
        ADDER,
        RECIPE,
        TEST,
        as_examples,
        draw_pairs,
        run_of_nines,
        trained_adder,
    )
    from mlfound.fit import evaluate, fit
    from mlfound.ways import REGISTRY

    count = 512 if args.quick else 40_960
    pairs = draw_pairs(TEST, 2000 if args.quick else 30_000, torch.Generator().manual_seed(2))
    runs, found = run_of_nines(pairs), {}
    asked = {f'{k} columns': as_examples(pairs[runs == k][:1000]) for k in range(3)}
    settings = RECIPE | dict(epochs=1) if args.quick else RECIPE
    net = fresh(ADDER)
    model = REGISTRY['transformer', 'functions'].way(net)
    fit(model, without_runs(count), seed=0, progress=False, **settings)
    trained = {'all carries shown (packaged)': trained_adder()[0], 'none that runs on shown': net}
    for name, adder in trained.items():
        found[name] = {k: 100 * evaluate(adder, part)[1] for k, part in asked.items()}
    return found


def writing(args):
    "Microseconds a token, with a memory of keys and values and without, by length."
    import torch
    from mlfound.sampling import greedy, write
    from mlfound.transformer import transformer
    from mlfound.transformerplan import TransformerPlan

    found, lengths = {}, (32,) if args.quick else (32, 128, 512)
    for length in lengths:
        net = fresh(TransformerPlan(classes=13, length=length, tokens=13))
        start, params = torch.zeros(1, 1, dtype=torch.int64), net.params

        def again(start=start, params=params, net=net, length=length):
            tokens = start
            for _ in range(length - 1):
                z = transformer(tokens, params, net.plan)[:, -1]
                tokens = torch.cat((tokens, greedy(z)[:, None]), 1)
            return tokens[:, 1:]

        remembered = partial(write, net, start, length - 1)
        assert torch.equal(again(), remembered())
        us = interleaved({'all over again': again, 'with a memory': remembered}, 3, 1)
        found[f'{length} tokens'] = {n: t / (length - 1) for n, t in us.items()}
    return found


def page(results):
    "benchmarks/ATTENTION_TRAINING.md as text."
    lines = [
        '<!-- generated by benchmarks/attention_training.py -->',
        '# Training transformers',
        '',
        f"{named(results['machine'])} Medians; processes: {results['processes']}, with the "
        f'lowest and the highest. `python benchmarks/attention_training.py` takes the figures on '
        f'your machine.' + results.get('note', ''),
    ]
    titles = dict(sums='256 sums of 14 tokens', rows='256 digits of 28 rows')
    for task, ways in results['step'].items():
        lines += [
            '',
            f'## One step: {titles[task]}',
            '',
            f'Loss and gradients, 2 blocks, 64 wide, 4 heads, float32. {theirs} has the usual '
            'functions with its fused attention; *PyTorch* is a network of its modules.',
            '',
            f'| | µs | time, of {theirs} |',
            '|---|---|---|',
        ]
        for name, r in ways.items():
            lines += [f"| {name} | {r['us']['median']:.0f} | {cell(r['ratio'], '.2f')} |"]
    lines += [
        '',
        '## Whole trainings',
        '',
        'Means over the seeds, by turns in one process: sums exactly right, of 2,000 that training '
        'never showed; digits read right, of 10,000.',
        '',
        *harness.trainings_table(results['trainings']),
    ]
    lines += ['', '## Long carries', '']
    lines += ['Exactly right (%), by the columns a carry runs on through:']
    lines += ['', '| training | 0 | 1 | 2 |', '|---|---|---|---|']
    for name, r in results['carries'].items():
        lines += [f"| {name} | {' | '.join(f'{v:.1f}' for v in r.values())} |"]
    lines += ['', '## Writing', '', 'Microseconds a token, one text:', '']
    lines += ['| | all over again | with a memory | faster |', '|---|---|---|---|']
    for name, r in results['writing'].items():
        plain, memory = r['all over again']['median'], r['with a memory']['median']
        lines += [f'| {name} | {plain:.0f} | {memory:.0f} | {plain / memory:.1f} times |']
    return '\n'.join(lines + [''])


parts = dict(step=step, trainings=trainings, carries=carries, writing=writing)
benchmark = Benchmark(__file__, __doc__, parts, page, rounds=3, once=('trainings', 'carries'))

if __name__ == '__main__':
    benchmark.main()
