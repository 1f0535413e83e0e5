"One process of tests/test_scale.py: trains as it is told and writes what came out, by rank."
import json, os, signal, sys, time
from functools import partial
from pathlib import Path
import torch
from mlfound import training
from mlfound.data import Split
from mlfound.scale import WorkerError, distributed, fit_on
from mlfound.training import SGD, as_layers, as_tape, as_torch, init_he, parameters_of

models = dict(functions=list, layers=as_layers, tape=as_tape, PyTorch=as_torch)

def examples(n, dtype):
    gen = torch.Generator().manual_seed(1)
    return Split(torch.randn(n, 20, generator=gen, dtype=dtype), torch.randint(0, 5, (n,), generator=gen))

def train(workers, name, n, batch, dtype, seed=0, transform=None, first=0, **more):
    "The parameters after two epochs, and every loss."
    model = models[name](init_he([20,15,5], torch.Generator().manual_seed(first), dtype=dtype))
    history = fit_on(workers, model, examples(n, dtype), epochs=2, batch=batch, lr=.05, seed=seed, transform=transform,
                     optimizer=partial(SGD, momentum=.9), progress=False, **more)
    return [p.clone() for p in parameters_of(model)] + [torch.tensor(history.losses, dtype=dtype)]

def runs(workers, folder):
    "Every training that is compared, and which files were written."
    written,write = [],training._write
    training._write = lambda path, *rest: (written.append(path), write(path, *rest))
    kept = {f'{name} {dtype}': train(workers, name, 128, 16, dtype, first=workers.rank if workers.world>1 else 0, checkpoint=folder/'checkpoint')
            for name in models for dtype in (torch.float32, torch.float64)}
    kept['uneven'] = train(workers, 'functions', 22, 7, torch.float64) # batches of 7, 7, 7 and 1: with two workers one has nothing to do
    return kept, len(written)

def stop_in_step(k, how, folder):
    "A `transform` that does something fatal in worker 1."
    steps = []
    def transform(x, generator):
        steps.append(1)
        if len(steps)==k and os.environ['RANK']=='1':
            (folder/'stopped').write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL) if how=='dies' else time.sleep(100)
        return x
    return transform

if __name__=='__main__':
    what,folder = sys.argv[1],Path(sys.argv[2])
    with distributed(timeout=3 if what=='hangs' else 30) as workers:
        if what=='compare':
            kept,written = runs(workers, folder)
            torch.save(kept, folder/f'kept{workers.rank}.pt')
            try: train(workers, 'functions', 128, 16, torch.float32, seed=workers.rank)
            except WorkerError as e: seeds = str(e)
            else: seeds = 'not noticed'
            (folder/f'facts{workers.rank}.json').write_text(json.dumps([written, seeds]))
        else: train(workers, 'functions', 128, 16, torch.float32, transform=stop_in_step(5, what, folder))
