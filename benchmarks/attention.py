"""Time a step of the transformer, by hand and on the tape, against PyTorch's autograd on this
machine, and count what attention keeps; write benchmarks/results_attention.json and ATTENTION.md.
"""

import weakref

from harness import Benchmark, cell, interleaved, named

BATCH, LENGTH, SIGNS = 256, 12, 13
theirs = "PyTorch's autograd"
lengths = 512, 1024, 2048, 4096


def sums():
    "A batch of the size that adds numbers, and the plan that reads it."
    import torch
    from mlfound.transformerplan import IGNORE, TransformerPlan

    gen = torch.Generator().manual_seed(0)
    x, y = (torch.randint(SIGNS, (BATCH, LENGTH), generator=gen) for _ in range(2))
    y[:, :8] = IGNORE
    return x, y, TransformerPlan(classes=SIGNS, length=LENGTH, tokens=SIGNS)


def usual(x, params, plan, attend):
    "Scores as most would write them for PyTorch, weights as it keeps them."
    import torch.nn.functional as F

    n, t, d = len(x), x.shape[1], plan.width
    a = F.embedding(x, params.table) + params.places[:t]
    for p in params.blocks:
        z = F.layer_norm(a, (d,), p.n1w, p.n1b)
        qkv = F.linear(z, p.wqkv, p.bqkv).view(n, t, 3, plan.heads, -1).permute(2, 0, 3, 1, 4)
        found = attend(*qkv).transpose(1, 2).reshape(n, t, d)
        a = a + F.linear(found, p.wo, p.bo)
        z = F.layer_norm(a, (d,), p.n2w, p.n2b)
        a = a + F.linear(F.gelu(F.linear(z, p.w1, p.b1)), p.w2, p.b2)
    return F.linear(F.layer_norm(a, (d,), params.nw, params.nb), params.wout, params.bout)


def fused(q, k, v):
    import torch.nn.functional as F

    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def at_once(q, k, v):
    import torch

    hidden = torch.full((q.shape[-2],) * 2, -torch.inf).triu(1)
    return (q @ k.mT * q.shape[-1] ** -0.5 + hidden).softmax(-1) @ v


def by_autograd(x, y, params, plan, attend=None):
    "A step of PyTorch's: of the usual program, or of our functions."
    import torch
    import torch.nn.functional as F
    from mlfound.transformer import transformer_loss
    from mlfound.transformerplan import transformer_tensors, with_tensors

    own = transformer_tensors(params)
    turned = {k: t.T if attend and t.ndim == 2 and k not in ('table', 'places') else t
              for k, t in own.items()}
    leaves = {k: t.clone(memory_format=torch.contiguous_format).requires_grad_()
              for k, t in turned.items()}
    held = with_tensors(params, leaves)

    def step():
        for t in leaves.values():
            t.grad = None
        if attend:
            loss = F.cross_entropy(usual(x, held, plan, attend).flatten(0, 1), y.flatten())
        else:
            loss = transformer_loss(x, y, held, plan)
        loss.backward()
        return loss.detach()

    return step


def ours(x, y, params, plan):
    "The steps by hand and by the tape."
    from mlfound.autograd import Var
    from mlfound.transformer import transformer_loss, transformer_loss_and_gradients
    from mlfound.transformerplan import housed_transformer, transformer_tensors, with_tensors

    _, held, grads = housed_transformer(params)
    leaves = {k: Var(t, requires_grad=True) for k, t in transformer_tensors(params).items()}
    on_tape = with_tensors(params, leaves)

    def by_tape():
        for v in leaves.values():
            v.grad = None
        loss = transformer_loss(x, y, on_tape, plan)
        loss.backward()
        return loss.data

    by_hand = lambda: transformer_loss_and_gradients(x, y, held, plan, grads)[0]  # noqa: E731
    return {'functions (by hand)': by_hand, 'tape': by_tape}


def step(args):
    "Microseconds of loss and gradients in each way, and their share of PyTorch's best."
    import torch
    from mlfound.transformerplan import init_transformer

    x, y, plan = sums()
    params = init_transformer(plan, torch.Generator().manual_seed(0))
    kinds = {f'{theirs}, fused attention': fused, f'{theirs}, attention written out': at_once,
             f'{theirs}, our functions': None}
    steps = {n: by_autograd(x, y, params, plan, attend) for n, attend in kinds.items()}
    steps |= ours(x, y, params, plan)
    losses = {n: float(f()) for n, f in steps.items()}
    first = next(iter(losses.values()))
    assert all(abs(v - first) < 1e-4 for v in losses.values()), losses
    us = interleaved(steps, 7 * args.rounds, 1)
    best = min(us[n] for n in kinds)
    return {n: dict(us=t, ratio=t / best) for n, t in us.items()}


def counter():
    "A mode that counts the bytes of tensors which live at the same time."
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Alive(TorchDispatchMode):
        now = most = 0
        known: set = set()

        def gone(self, key, size):
            self.known.discard(key)
            self.now -= size

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for t in tree_leaves(out):
                memory = t.untyped_storage() if isinstance(t, torch.Tensor) else None
                if memory is None or memory._cdata in self.known or not memory.nbytes():
                    continue
                self.known.add(memory._cdata)
                self.now += memory.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(memory, self.gone, memory._cdata, memory.nbytes())
            return out

    return Alive()


def memory(args):
    "Bytes alive at the worst moment of a forward and a backward pass on the tape, one head of 32."
    import torch
    from mlfound.attention import attention
    from mlfound.autograd import Var
    from mlfound.blockwise import attention_in_blocks

    found = {}
    for t in lengths:
        for name, f in {'at once': attention, 'in blocks': attention_in_blocks}.items():
            vs = [Var(torch.ones(1, t, 32), requires_grad=True) for _ in range(3)]
            with counter() as alive:
                f(*vs, causal=True).sum().backward()
            found.setdefault(name, {})[str(t)] = alive.most
    return found


def page(results):
    "benchmarks/ATTENTION.md as text."
    lines = [
        '<!-- generated by benchmarks/attention.py -->',
        '# Attention',
        '',
        f"{named(results['machine'])} Medians over {results['processes']} processes, with the "
        f"lowest and the highest. `python benchmarks/attention.py` takes the figures on your "
        f"machine." + results.get('note', ''),
        '',
        '## One step',
        '',
        f'Loss and gradients of a transformer of two blocks of width 64 and four heads, batch '
        f'{BATCH}, {LENGTH} positions, float32; beside the fastest of three programs for PyTorch:',
        '',
        '| | ms | time, of the fastest of PyTorch |',
        '|---|---|---|',
    ]
    for name, r in results['step'].items():
        lines += [f"| {name} | {r['us']['median'] / 1e3:.1f} | {cell(r['ratio'], '.2f')} |"]
    lines += [
        '',
        '## Memory',
        '',
        'Most bytes alive during a forward and a backward pass of attention on the tape, one head '
        'of 32 numbers, causal, in MB:',
        '',
        '| | ' + ' | '.join(f'{t} positions' for t in lengths) + ' |',
        '|---' * (len(lengths) + 1) + '|',
    ]
    for name, r in results['memory'].items():
        lines += ['| ' + ' | '.join([name, *(f"{r[str(t)] / 1e6:.1f}" for t in lengths)])
                  + ' |']
    return '\n'.join(lines + [''])


parts = dict(step=step, memory=memory)
benchmark = Benchmark(__file__, __doc__, parts, page, rounds=3, once=('memory',))

if __name__ == '__main__':
    benchmark.main()
