"Draw nbs/images/journey.svg: the path in six pictures, from bytes to a network that reads."
from itertools import count

import matplotlib.pyplot as plt
import torch

from book import cells, chapters, root, source
from mlfound import training
from mlfound.autograd import Var, linear, mse_loss, relu
from mlfound.backward import forward_and_backward
from mlfound.data import mnist
from mlfound.forward import init_params, mlp, mse
from mlfound.module import mlp_model

plt.style.use('mlfound.assets.book')

def seeded(seed): return torch.Generator().manual_seed(seed)

digits = mnist()
x, y = digits.train
params = init_params(784, 50, 1, generator=seeded(42))
loss, grads = forward_and_backward(x, y, params)
assert torch.allclose(loss, mse(mlp(x, params)[:,0], y))

def in_middle(ax, x, y, text, **more):
    "A text on a picture without axes."
    ax.text(x, y, text, ha='center', va='center', transform=ax.transAxes, **more)

def draw_bytes(ax):
    "The middle of the first digit, as the file holds it."
    block = (x[0]*256).int().reshape(28,28)[12:22,10:18].tolist()
    text = '\n'.join(' '.join(f'{b:02x}' for b in row) for row in block)
    in_middle(ax, .5, .5, text, family='monospace', fontsize=6.5)
    ax.set_xlabel('784 to a digit')

def draw_forward(ax):
    ax.imshow(x[0].reshape(28,28))
    ax.set_xlabel(f'mean loss {loss:.2f}')

def draw_backward(ax):
    g = grads.w1[:,7].reshape(28,28)
    ax.imshow(g, cmap='RdBu', vmin=-g.abs().max(), vmax=g.abs().max())
    ax.set_xlabel('gradient of 784 weights')

def draw_layers(ax):
    box = dict(boxstyle='round,pad=.4', fc='0.93', ec='0.3')
    names = [type(l).__name__ for l in mlp_model(params).layers] + ['MSELoss']
    for k, name in enumerate(names): in_middle(ax, .5, .86-k*.24, name, fontsize=9, bbox=box)
    ax.set_xlabel('each knows its rule')

# The tape of one loss -----------------------------------------------------------------------------

def record():
    "The last entry of the tape that chapter 04's loss leaves behind, for 64 digits."
    w1, b1, w2, b2 = (Var(p, requires_grad=True) for p in params)
    return mse_loss(linear(relu(linear(x[:64], w1, b1)), w2, b2), y[:64,None]).entry

def depths(end):
    "How many steps each entry is from the last."
    depth, todo = {end: 0}, [end]
    for e in todo:
        for p in e.nodes:
            if p is None or p in depth: continue
            depth[p] = depth[e] + 1
            todo.append(p)
    return depth

def places(depth):
    "A column for each depth, entries of the same depth one under the other."
    rows, at = {}, {}
    for e, d in depth.items():
        rows[d] = rows.get(d, -1) + 1
        at[e] = -d, -rows[d]
    return at

def short(e):
    "An entry's name in a small circle; a parameter is a w."
    if not e.op: return 'w'
    return {'mse_loss': 'loss', 'linear': 'lin'}.get(e.op.name, e.op.name)

def draw_tape(ax):
    depth = depths(record())
    at = places(depth)
    for e in depth:
        for p in e.nodes:
            if p is None: continue
            arrow = dict(arrowstyle='->', color='0.4', shrinkA=11, shrinkB=11, lw=.8)
            ax.annotate('', at[e], at[p], arrowprops=arrow)
        shape = 'circle,pad=.35' if e.op else 'square,pad=.4'
        box = dict(boxstyle=shape, fc='0.93' if e.op else 'white', ec='0.3')
        ax.text(*at[e], short(e), ha='center', va='center', fontsize=7.5, bbox=box)
    ax.set(xlim=(-max(depth.values())-.5, .5), ylim=(-2.6, .6), xlabel=f'{len(depth)} entries')

# The network of chapter 05, by the chapter's own lines --------------------------------------------

path = next(p for p in chapters() if p.name.startswith('05_'))
lines = [source(c) for c in cells(path) if c['cell_type'] == 'code']

def run(ns, *marks):
    "Run the chapter's cells that hold these words."
    for mark in marks: exec(next(l for l in lines if mark in l), ns)

def train():
    "The share of validation digits read right after each epoch."
    ns, steps, shares = dict(vars(training)), count(), []
    run(ns, 'from mlfound.curves', 'def weights(', 'def gradients(', 'def learn(') # the first: Set-up
    gradients = ns['gradients']
    def watched(*args):
        if next(steps)%196 == 0: shares.append(ns['right'](*ns['valid'])) # of 196 batches the first
        return gradients(*args)
    ns['gradients'] = watched
    run(ns, 'def right(')
    assert next(steps) == 5*196
    return [*shares[1:], ns['right'](*ns['valid'])]

def draw_training(ax):
    right = [100*share for share in train()]
    ax.plot(range(1, len(right)+1), right, 'ko-', ms=4)
    ax.set(xlabel='epoch', ylabel='% read correctly')

PICTURES = {'00 bytes': draw_bytes, '01 forward': draw_forward, '02 backward': draw_backward,
            '03 layers': draw_layers, '04 a tape': draw_tape, '05 a trained network': draw_training}

fig, axs = plt.subplots(1, len(PICTURES), figsize=(11,2.1), width_ratios=[1,1,1,1,1.25,1.25])
for ax, (name, draw) in zip(axs, PICTURES.items()):
    ax.set_title(name, fontsize=10, weight='bold')
    if draw is not draw_training: ax.set(xticks=[], yticks=[])
    draw(ax)
fig.savefig(root/'nbs/images/journey.svg', metadata={'Date': None})
