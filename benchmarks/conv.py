"""Time a step of the convolutional network, its parts and whole trainings against PyTorch's
autograd on this machine; write benchmarks/results_conv.json and benchmarks/CONV.md.

Trainings take minutes: `--rounds` is the number of seeds, `MLFOUND_SHORT=1` omits the long ones.
"""

import os
from functools import partial

import harness
from harness import Benchmark, cell, digits, interleaved, named

BATCH = 128
theirs = "PyTorch's autograd"


def batch():
    import torch

    gen = torch.Generator().manual_seed(0)
    return torch.rand(BATCH, 784, generator=gen), torch.randint(0, 10, (BATCH,), generator=gen)


def usual(net, x, y):
    "The same network as most would write it for PyTorch; its backward pass fills the gradients."
    import torch.nn.functional as F

    layers = [*((look.w, look.b) for look, _ in net.blocks), (net.last.w.T, net.last.b)]
    params = [t.detach().clone().requires_grad_() for pair in layers for t in pair]

    def step():
        for p in params:
            p.grad = None
        a = x.view(-1, 1, 28, 28)
        for w, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            a = F.relu(F.max_pool2d(F.conv2d(a, w, b), 2))
        loss = F.cross_entropy(F.linear(a.flatten(1), *params[-2:]), y)
        loss.backward()
        return loss.detach()

    return step


def limit(net, x):
    "The convolutions and products alone: forward, for the kernels, for what they saw."
    import torch
    import torch.nn.functional as F
    from mlfound.conv import conv_input, conv_weight

    (one, _), (two, _) = net.blocks
    a, last = x.view(-1, 1, 28, 28), net.last
    z = F.conv2d(a, one.w, one.b)
    b = F.max_pool2d(z, 2)
    y = F.conv2d(b, two.w, two.b)
    flat, g = torch.rand(len(x), 256), torch.rand(len(x), 10)

    def products():
        F.conv2d(a, one.w, one.b)
        F.conv2d(b, two.w, two.b)
        conv_weight(z, a, one.w.shape, one.how)
        conv_weight(y, b, two.w.shape, two.how)
        conv_input(y, two.w, b.shape, two.how)
        flat @ last.w, flat.T @ g, g @ last.w.T

    return products


def step(args):
    "Microseconds of loss and gradients in each way, and their share of PyTorch's."
    import torch
    from mlfound.convnet import SMALL, ConvNet
    from mlfound.ways import REGISTRY, ways

    x, y = batch()

    def net():
        return ConvNet(SMALL, torch.Generator().manual_seed(0))

    steps = {theirs: usual(net(), x, y)}
    ours = {w: REGISTRY['conv', w].way(net()).backward for w in ways('conv')}
    steps |= {w: partial(backward, x, y) for w, backward in ours.items()}
    losses = {n: float(f()) for n, f in steps.items()}
    assert all(abs(v - losses[theirs]) < 1e-4 for v in losses.values()), losses
    steps['convolutions and products alone'] = limit(net(), x)
    us = interleaved(steps, 10 * args.rounds, 3)
    return {n: dict(us=t, ratio=t / us[theirs]) for n, t in us.items()}


def parts(args):
    "Microseconds of each part that has a rule, forward and backward."
    import torch
    import torch.nn.functional as F
    from mlfound.conv import Window, conv_input, conv_weight, largest, unpick
    from mlfound.convnet import SMALL, ConvNet

    gen = torch.Generator().manual_seed(0)
    (one, _), (two, _) = ConvNet(SMALL, gen).blocks
    a = torch.rand(BATCH, 1, 28, 28, generator=gen)
    z, window = F.conv2d(a, one.w, one.b), Window((2, 2), (2, 2))
    b, at = largest(z, window)
    y = F.conv2d(b, two.w, two.b)

    def backward(g, x, w, which):
        return torch.ops.aten.convolution_backward(
            g, x, w, [len(w)], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, which
        )

    def unfolded():
        places = F.unfold(b, 5)
        torch.bmm(y.flatten(2), places.mT).sum(0)
        F.fold(two.w.flatten(1).T @ y.flatten(2), b.shape[2:], 5)

    calls = {
        'second convolution, both gradients: two convolutions': lambda: (
            conv_input(y, two.w, b.shape, two.how),
            conv_weight(y, b, two.w.shape, two.how),
        ),
        "second convolution, both gradients: PyTorch's": lambda: backward(y, b, two.w, [1, 1, 0]),
        'second convolution, both gradients: unfolded': unfolded,
        "first convolution, kernels' gradient: a convolution": lambda: conv_weight(
            z, a, one.w.shape, one.how
        ),
        "first convolution, kernels' gradient: PyTorch's": lambda: backward(z, a, one.w, [0, 1, 0]),
        'max pooling forward: largest': lambda: largest(z, window),
        "max pooling forward: PyTorch's": lambda: F.max_pool2d(z, 2, return_indices=True),
        'max pooling backward: unpick': lambda: unpick(b, at, z.shape),
        "max pooling backward: PyTorch's": lambda: (
            torch.ops.aten.max_pool2d_with_indices_backward(
                b, z, [2, 2], [2, 2], [0, 0], [1, 1], False, at
            )
        ),
    }
    return interleaved(calls, 5 * args.rounds, 2)


def memory(args):
    "Bytes that are kept from the forward to the backward pass, beyond data and parameters."
    import torch
    from mlfound.convnet import SMALL, ConvNet, Team, as_modules, block_forward

    x, y = batch()
    net = ConvNet(SMALL, torch.Generator().manual_seed(0))
    ours, a, kept = Team(), net.pictures(x), {}
    with torch.no_grad():
        for look, norm in net.blocks:
            block = block_forward(a, look, norm, ours)
            a = block.out
            kept |= {t.data_ptr(): t.nbytes for t in (block.at, block.out)}
    kept['scores'] = len(x) * 10 * 4
    seen, known = {}, {x.data_ptr(), y.data_ptr()}
    model = as_modules(net)
    known |= {p.data_ptr() for p in model.parameters()}

    def pack(t):
        if t.data_ptr() not in known:
            seen[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = torch.nn.functional.cross_entropy(model(x), y)
    del loss
    return {'functions (by hand)': sum(kept.values()), theirs: sum(seen.values())}


def recipes():
    "What is trained: name → network, settings, and in which ways."
    from mlfound.convnet import BEST, BEST_PLAN, SMALL, Plan, shift_each
    from mlfound.training import shift

    one = partial(shift, most=1)
    rich = Plan([[8, 5, 0], [16, 5, 0]], norm=True)
    found = {
        'plain, 256 units': ('plain', [784, 256, 10], dict(epochs=5, batch=256, lr=0.2)),
        '8 and 16 kernels, 1 epoch': ('conv', SMALL, dict(epochs=1, batch=64, lr=0.05)),
        '8 and 16 kernels, 3 epochs, moved by one': (
            'conv',
            SMALL,
            dict(epochs=3, batch=64, lr=0.05, transform=one),
        ),
        '8 and 16 kernels, batch 32, each moved': (
            'conv',
            SMALL,
            dict(epochs=3, batch=32, lr=0.03, transform=shift_each),
        ),
        '8 and 16 kernels, normalised, each moved': (
            'conv',
            rich,
            dict(epochs=5, batch=128, lr=0.1, transform=shift_each),
        ),
        '--best': ('conv', BEST_PLAN, BEST),
    }
    return dict([*found.items()][:3]) if os.environ.get('MLFOUND_SHORT') else found


def one_training(name, way, seed, quick=False):
    "Seconds, processor seconds, and what is read right of the validation and the test digits (%)."
    import torch
    from mlfound.convnet import ConvNet
    from mlfound.training import init_he
    from mlfound.ways import REGISTRY

    data = digits(640 if quick else None)
    network, plan, settings = recipes()[name]
    if quick:
        settings = settings | dict(epochs=1)
    gen = torch.Generator().manual_seed(seed)
    start = init_he(plan, gen) if network == 'plain' else ConvNet(plan, gen)
    model = REGISTRY[network, way].way(REGISTRY[network, way].dress(start))
    return harness.trained(model, data, seed, **settings)


def compared(name):
    "The ways in which a recipe is trained."
    return ('functions', 'PyTorch') if 'epoch' in name else ('functions',)


def trainings(args):
    "Whole trainings by hand, and by PyTorch in the same loop, by turns."
    ways = {name: compared(name) for name in recipes()}
    return harness.trainings(ways, args.rounds, partial(one_training, quick=args.quick))


def page(results):
    "benchmarks/CONV.md as text."
    lines = [
        '<!-- generated by benchmarks/conv.py -->',
        '# Convolution',
        '',
        f"{named(results['machine'])} Medians over {results['processes']} processes, with the "
        f"lowest and the highest. `python benchmarks/conv.py` takes the figures on your machine.",
        '',
        '## One step',
        '',
        f'Loss and gradients of the network with 8 and 16 kernels (5,994 numbers), batch {BATCH}, '
        'float32:',
        '',
        f'| | µs | time, of {theirs} |',
        '|---|---|---|',
    ]
    for name, r in results['step'].items():
        lines += [f"| {name} | {r['us']['median']:.0f} | {cell(r['ratio'], '.2f')} |"]
    lines += ['', '## Its parts', '', '| | µs |', '|---|---|']
    lines += [f"| {name} | {cell(us, '.0f')} |" for name, us in results['parts'].items()]
    lines += ['', '## Memory kept for the backward pass', '', '| | MB |', '|---|---|']
    lines += [f"| {n} | {b['median'] / 1e6:.2f} |" for n, b in results['memory'].items()]
    lines += [
        '',
        '## Whole trainings',
        '',
        f"Means of {results['rounds']} seeds; by hand, and by PyTorch in the same loop."
        + results.get('note', ''),
        '',
        *harness.trainings_table(results['trainings']),
    ]
    return '\n'.join(lines + [''])


measured = dict(step=step, parts=parts, memory=memory, trainings=trainings)
benchmark = Benchmark(__file__, __doc__, measured, page, rounds=3, once=('trainings',))

if __name__ == '__main__':
    benchmark.main()
