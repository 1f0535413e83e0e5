"One process of tests/test_scale.py: trains as it is told and writes what came out, by rank."

import json, os, signal, sys, time
from functools import partial
from pathlib import Path
from unittest.mock import patch
import torch, torch.distributed as dist
from mlfound import fit
import mlfound.compiler # noqa: F401 (the way `compiled`)
from mlfound.addition import ADDER, sums
from mlfound.convnet import ConvNet, Plan, conv_tensors
from mlfound.data import Split
from mlfound.scale import WorkerError, data_parallel, distributed, fit_on, in_step
from mlfound.training import SGD, init_he, parameters_of
from mlfound.transformernet import TransformerNet, net_tensors
from mlfound.ways import REGISTRY, ways

models = {way: REGISTRY['plain', way].dress for way in ways()}


def examples(n, dtype):
    gen = torch.Generator().manual_seed(1)
    return Split(
        torch.randn(n, 20, generator=gen, dtype=dtype), torch.randint(0, 5, (n,), generator=gen)
    )


def train(workers, name, n, batch, dtype, first=0, optimizer=partial(SGD, momentum=0.9), **more):
    "The parameters after two epochs, and every loss."
    model = models[name](init_he([20, 15, 5], torch.Generator().manual_seed(first), dtype=dtype))
    way = REGISTRY['plain', name].way(model)  # a list alone would be trained by functions
    assert way.name == name
    history = fit_on(
        workers,
        way,
        examples(n, dtype),
        epochs=2,
        batch=batch,
        lr=0.05,
        optimizer=optimizer,
        progress=False,
        **more,
    )
    return [p.clone() for p in parameters_of(model)] + [torch.tensor(history.losses, dtype=dtype)]


def windows(workers, n=22):
    "Windows that measure the whole batch, and drop for it; at the end one worker has no rows."
    gen = torch.Generator().manual_seed(1)
    digits = Split(
        torch.rand(n, 784, generator=gen, dtype=torch.float64),
        torch.randint(0, 10, (n,), generator=gen),
    )
    first = torch.Generator().manual_seed(workers.rank if workers.world > 1 else 0)
    net = ConvNet(Plan([[3, 5, 0], [4, 3, 1]], norm=True, drop=0.3), first, torch.float64)
    way = REGISTRY['conv', 'functions'].way(net)
    history = fit_on(workers, way, digits, epochs=2, batch=7, lr=0.05, progress=False)
    losses = torch.tensor(history.losses, dtype=torch.float64)
    return [t.clone() for t in conv_tensors(net).values()] + [losses]


def added(workers, n=22):
    "Sums, some of which ask for less than others, shared by two; at the end one has no rows."
    x, y = (t[:n].clone() for t in sums(256).train)
    y[::3, :-2] = -100
    first = torch.Generator().manual_seed(workers.rank if workers.world > 1 else 0)
    plan = ADDER._replace(width=8, heads=2, blocks=1)
    net = TransformerNet(plan, first, torch.float64)
    way = REGISTRY['transformer', 'functions'].way(net)
    history = fit_on(workers, way, Split(x, y), epochs=2, batch=7, lr=0.05, progress=False)
    losses = torch.tensor(history.losses, dtype=torch.float64)
    return [t.clone() for t in net_tensors(net).values()] + [losses]


def runs(workers, folder):
    "Every training that is compared, and which files were written."
    written, write = [], fit.write_tensors
    with patch(
        'mlfound.fit.write_tensors', lambda path, *rest: (written.append(path), write(path, *rest))
    ):
        kept = {
            f'{name} {dtype}': train(
                workers,
                name,
                128,
                16,
                dtype,
                first=workers.rank if workers.world > 1 else 0,
                checkpoint=folder / 'checkpoint',
            )
            for name in models
            for dtype in (torch.float32, torch.float64)
        }
        kept['uneven'] = train(
            workers, 'functions', 22, 7, torch.float64
        )  # batches of 7, 7, 7 and 1: with two workers one has nothing to do
    kept['windows'] = windows(workers)
    kept['sums'] = added(workers)
    return kept, len(written)


def refusal(workers, **settings):
    "What a training says that should be refused."
    try:
        train(workers, 'functions', 128, 16, torch.float32, **settings)
    except WorkerError as e:
        return str(e)
    return 'not noticed'


class Drifts(SGD):
    "Takes another step in worker 1 than in the others: by one part in a million."

    def step(self):
        super().step()
        if dist.get_rank() == 1:
            self.params[0].mul_(1 + 1e-6)


def late_noise(workers):
    "A `transform` that draws from the global generator, in the second epoch only."
    steps, own = [], torch.Generator().manual_seed(workers.rank)

    def transform(x, generator):
        steps.append(1)
        return x + 1e-3 * torch.randn(x.shape, generator=own) if len(steps) > 8 else x

    return transform


def refusals(workers):
    "What each worker says of trainings and parameters that are not the same everywhere."
    way = data_parallel(init_he([20, 15, 5], torch.Generator().manual_seed(0)))
    steps = [in_step(way)]
    bias, one = (
        way.params[0].data[-5:],
        workers.rank == 1,
    )  # the last five of all parameters, zeros at the start
    for wrong in (-0.0, 1e-30):
        if one:
            bias[0] = wrong
        steps.append(in_step(way))
        bias[0] = 0.0
    return dict(
        seeds=refusal(workers, seed=workers.rank),
        transform=refusal(workers, transform=late_noise(workers)),
        drift=refusal(workers, optimizer=partial(Drifts, momentum=0.9)),
        in_step=[*steps, in_step(way)],
    )


def stop_in_step(k, how, folder):
    "A `transform` that does something fatal in worker 1."
    steps = []

    def transform(x, generator):
        steps.append(1)
        if len(steps) == k and os.environ['RANK'] == '1':
            (folder / 'stopped').write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL) if how == 'dies' else time.sleep(100)
        return x

    return transform


if __name__ == '__main__':
    what, folder = sys.argv[1], Path(sys.argv[2])
    with distributed(timeout=3 if what == 'hangs' else 100) as workers:
        if what == 'compare':
            kept, written = runs(workers, folder)
            torch.save(kept, folder / f'kept{workers.rank}.pt')
            (folder / f'facts{workers.rank}.json').write_text(
                json.dumps([written, refusals(workers)])
            )
        elif what == 'dies at start':
            dist.barrier()
            if workers.rank == 0:
                (
                    (folder / 'stopped').write_text(str(time.time())),
                    os.kill(os.getpid(), signal.SIGKILL),
                )
            data_parallel(init_he([20, 15, 5]))
        else:
            train(
                workers,
                'functions',
                128,
                16,
                torch.float32,
                transform=stop_in_step(5, what, folder),
            )
