"Draw nbs/images/overview.svg: a digit on its way through the network, and all gradients back."
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from mlfound.backward import lin_vjp, mse_vjp, relu_vjp
from mlfound.data import mnist
from mlfound.forward import init_params, lin, mse, relu

root = Path(__file__).resolve().parents[1]
plt.style.use('mlfound.assets.book')

# The passes, on all training digits; the first digit is drawn.
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

def image(t): return t[0].reshape(28, 28)
def bars(t): return t[0].reshape(10, 5)

columns = [ # name, shape, value and gradient of the first digit, as pictures
    ('x', '(n, 784)', image(x), image(gx)),
    ('z', '(n, 50)', bars(z), bars(gz)),
    ('a', '(n, 50)', bars(a), bars(ga)),
    ('pred', '(n, 1)', pred[:1], gp[:1])]

def show(ax, t, title, ink):
    "A picture in ink, from 0 up, or in red and blue around 0."
    high = t.abs().max()
    ax.imshow(t, cmap='gray_r' if ink else 'RdBu', vmin=0 if ink else -high, vmax=high)
    ax.set_title(title, fontsize=9)
    if t.numel() == 1:
        ax.text(0, 0, f'{t.item():.2g}', ha='center', va='center', fontsize=8, color='white')

fig, axs = plt.subplots(2, 5, figsize=(9,3.4), width_ratios=[3,1.6,1.6,1.2,1.2])
for (top, bottom), (name, shape, value, grad) in zip(axs.T, columns):
    show(top, value, f'{name} {shape}', ink=name in 'xa')
    show(bottom, grad, f'gradient {shape}', ink=False)
for ax, text in ((axs[0,4], f'mean loss\n{loss:.2f}'), (axs[1,4], 'of itself\n1')):
    ax.text(.5, .5, text, ha='center', va='center', fontsize=11, transform=ax.transAxes)
for ax in axs.flat:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(ax not in axs[:,4])
axs[1,0].set_xlabel('ink on paper; blue: above 0, red: below', fontsize=8)
fig.get_layout_engine().set(w_pad=.35)
fig.canvas.draw() # so that the places of the pictures are known

def arrow(start, end, y, style):
    "From one picture to the next, in the middle of the row."
    gap = .006 if start < end else -.006
    axs[0,0].annotate('', (end-gap, y), (start+gap, y), annotation_clip=False,
                      xycoords='figure fraction', textcoords='figure fraction',
                      arrowprops=dict(arrowstyle='->', ls=style))

for k, name in enumerate(['lin', 'relu', 'lin', 'mse']):
    left, right = axs[0,k].get_position(), axs[0,k+1].get_position()
    arrow(left.x1, right.x0, (left.y0+left.y1)/2, '-')
    fig.text((left.x1+right.x0)/2, .52, name, ha='center', va='center', fontsize=11, weight='bold')
    left, right = axs[1,k].get_position(), axs[1,k+1].get_position()
    arrow(right.x0, left.x1, (right.y0+right.y1)/2, '--')
fig.savefig(root/'nbs/images/overview.svg', metadata={'Date': None})
