"Draw nbs/images/overview.svg: one digit, forward through the network, and every gradient on the way back."
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from mlfound.backward import lin_vjp, mse_vjp, relu_vjp
from mlfound.data import mnist
from mlfound.forward import init_params, lin, mse, relu

root = Path(__file__).resolve().parents[1]
plt.style.use('mlfound.assets.book')

x, y = mnist().train
params = init_params(784, 50, 1, generator=torch.Generator().manual_seed(42))
w1, b1, w2, b2 = params
z = lin(x, w1, b1)
a = relu(z)
pred = lin(a, w2, b2)
loss = mse(pred[:,0], y)
gp = mse_vjp(torch.tensor(1.), pred, y[:,None])
ga, gw2, gb2 = lin_vjp(gp, a, w2)
gz = relu_vjp(ga, z)
gx, gw1, gb1 = lin_vjp(gz, x, w1)

def bars(t): return t[0].reshape(10, 5)
columns = [ # name, shape, value and gradient of the first digit, as pictures
    ('x', '(n, 784)', x[0].reshape(28,28), gx[0].reshape(28,28)), ('z', '(n, 50)', bars(z), bars(gz)),
    ('a', '(n, 50)', bars(a), bars(ga)), ('pred', '(n, 1)', pred[:1], gp[:1])]
fig, axs = plt.subplots(2, 5, figsize=(9,3.4), width_ratios=[3,1.6,1.6,1.2,1.2])
for (top, bottom), (name, shape, value, grad) in zip(axs.T, columns):
    for ax, t, label in ((top, value, f'{name} {shape}'), (bottom, grad, f'gradient {shape}')):
        lim = t.abs().max()
        ax.imshow(t, cmap='gray_r' if ax is top and name in 'xa' else 'RdBu', vmin=0 if ax is top and name in 'xa' else -lim, vmax=lim)
        ax.set_title(label, fontsize=9)
for ax, text in ((axs[0,4], f'loss\n{loss:.2f}'), (axs[1,4], '1')): ax.text(.5, .5, text, ha='center', va='center', fontsize=13, transform=ax.transAxes)
for ax in axs.flat: ax.set(xticks=[], yticks=[]); ax.spines[:].set_visible(ax not in axs[:,4])
fig.get_layout_engine().set(w_pad=.35)
fig.canvas.draw()
for k, name in enumerate(['lin', 'relu', 'lin', 'mse']):
    for row, (here, there) in enumerate([(k, k+1), (k+1, k)]):
        p, q = axs[row,here].get_position(), axs[row,there].get_position()
        ends = ((p.x1, q.x0) if row==0 else (p.x0, q.x1))
        yy = (p.y0+p.y1)/2 if row==0 else (q.y0+q.y1)/2
        shift = .006 if row==0 else -.006
        axs[row,0].annotate('', (ends[1]-shift, yy), (ends[0]+shift, yy), xycoords='figure fraction', textcoords='figure fraction',
                            arrowprops=dict(arrowstyle='->', ls='-' if row==0 else '--'), annotation_clip=False)
    p, q = axs[0,k].get_position(), axs[0,k+1].get_position()
    fig.text((p.x1+q.x0)/2, .52, f'{name}', ha='center', va='center', fontsize=11, weight='bold')
fig.savefig(root/'nbs/images/overview.svg', metadata={'Date': None})
