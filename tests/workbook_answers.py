"Answers to the workbook as readers write them: right ones in another style, and wrong ones."
import torch

def mse_vjp(g, pred, targ):
    n = 1
    for s in pred.shape: n *= s
    return torch.mul(pred.sub(targ), g).mul(2).div(n)

def relu_vjp(g, x):
    out = torch.zeros_like(g)
    out[x > 0] = g[x > 0]
    return out

RIGHT = { # exercise → a second correct solution, written in another style
    '02.1': mse_vjp,
    '02.2': relu_vjp,
    '02.3': lambda g, w: torch.einsum('nh,dh->nd', g, w),
    '02.4': lambda g, x: torch.einsum('nd,nh->dh', x, g),
    '02.5': lambda g: torch.ones(len(g), dtype=g.dtype)@g,
}

WRONG = [ # exercise, answer, what should be said of it
    ('02.1', lambda g, p, t: 2*g*(p-t), 'how many'),
    ('02.1', lambda g, p, t: g*2/p.numel()*(t-p), 'sign|exchanged'),
    ('02.1', lambda g, p, t: 2*(p-t)/p.numel(), '`g` is not used'),
    ('02.1', lambda g, p, t: g/p.numel()*(p-t), 'constant|0.5 times'),
    ('02.1', lambda g, p, t: g*2*(p-t)/len(p), 'how many|constant|times'),
    ('02.2', lambda g, x: torch.where(x > 0, 0, g), 'exchanged'),
    ('02.2', lambda g, x: torch.where(x >= 0, g, 0), 'edge'),
    ('02.3', lambda g, w: g@w, 'transpose'),
    ('02.3', lambda g, w: -(g@w.T), 'sign'),
    ('02.4', lambda g, x: g.T@x, 'exchanged|transpose'),
    ('02.4', lambda g, x: x.T@g/len(g), 'times'),
    ('02.5', lambda g: g.mean(0), 'times|how many'),
    ('02.5', lambda g: g.sum(1), 'axis'),
    ('02.5', lambda g: g, 'sum is missing'),
]
