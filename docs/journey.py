"Draw nbs/images/journey.svg: the book in six pictures, from a digit's bytes to a network that reads, each from the real thing."
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from mlfound.autograd import Var, linear, relu
from mlfound.backward import forward_and_backward
from mlfound.data import mnist
from mlfound.forward import init_params, mlp, mse
from mlfound.module import mlp_model
from mlfound.fit import fit
from mlfound.training import cross_entropy, init_he, standardized

root = Path(__file__).resolve().parents[1]
plt.style.use('mlfound.assets.book')

digits = mnist()
x, y = digits.train
params = init_params(784, 50, 1, generator=torch.Generator().manual_seed(42))
loss, grads = forward_and_backward(x, y, params)
assert torch.allclose(loss, mse(mlp(x, params)[:,0], y))

fig, axs = plt.subplots(1, 6, figsize=(11,2.1), width_ratios=[1,1,1,1,1.25,1.25])
names = ['00 bytes', '01 forward', '02 backward', '03 layers', '04 a tape', '05 a trained network']
for ax, name in zip(axs, names): ax.set_title(name, fontsize=10, weight='bold')
for ax in axs[:5]: ax.set(xticks=[], yticks=[])

block = (x[0]*256).int().reshape(28,28)[12:22,10:18].tolist() # the middle of the first digit, as the file holds it
axs[0].text(.5, .5, '\n'.join(' '.join(f'{b:02x}' for b in row) for row in block), ha='center', va='center', family='monospace', fontsize=6.5, transform=axs[0].transAxes)
axs[0].set_xlabel('784 to a digit')
axs[1].imshow(x[0].reshape(28,28)); axs[1].set_xlabel(f'loss {loss:.2f}')
g = grads.w1[:,7].reshape(28,28)
axs[2].imshow(g, cmap='RdBu', vmin=-g.abs().max(), vmax=g.abs().max()); axs[2].set_xlabel('gradient of 784 weights')
layers = [type(l).__name__ for l in mlp_model(params).layers] + ['MSELoss']
for k, layer in enumerate(layers):
    axs[3].text(.5, .86-k*.24, layer, ha='center', va='center', fontsize=9, transform=axs[3].transAxes, bbox=dict(boxstyle='round,pad=.4', fc='0.93', ec='0.3'))
axs[3].set_xlabel('each knows its rule')

w1, b1, w2, b2 = (Var(p, requires_grad=True) for p in init_params(784, 50, 10, generator=torch.Generator().manual_seed(0)))
end = cross_entropy(linear(relu(linear(x[:64], w1, b1)), w2, b2), y[:64]).entry
depth, todo = {end: 0}, [end] # the tape, from the loss back
for e in todo:
    for p in e.nodes:
        if p and p not in depth: depth[p] = depth[e]+1; todo.append(p)
rows = {}
at = {}
for e, d in depth.items(): at[e] = (-d, -rows.setdefault(d, 0)); rows[d] += 1
for e in depth:
    for p in e.nodes:
        if p: axs[4].annotate('', at[e], at[p], arrowprops=dict(arrowstyle='->', color='0.4', shrinkA=11, shrinkB=11, lw=.8))
    axs[4].text(*at[e], e.op.name.replace('cross_entropy', 'loss').replace('linear', 'lin') if e.op else 'w', ha='center', va='center', fontsize=7.5,
                bbox=dict(boxstyle='circle,pad=.35' if e.op else 'square,pad=.4', fc='0.93' if e.op else 'white', ec='0.3'))
deepest = max(depth.values())
axs[4].set(xlim=(-deepest-.5,.5), ylim=(-2.6,.6)); axs[4].set_xlabel(f'{len(depth)} entries')

ps = init_he([784,128,10], torch.Generator().manual_seed(0))
history = fit(ps, standardized(digits.train), standardized(digits.valid), progress=False)
axs[5].plot(range(1, len(history.epochs)+1), [100*e['accuracy'] for e in history.epochs], 'ko-', ms=4)
axs[5].set(xlabel='epoch', ylabel='% read correctly')
fig.savefig(root/'nbs/images/journey.svg', metadata={'Date': None})
