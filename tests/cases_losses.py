"Calls of the losses that torch has in `nn.functional`."
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from cases import Case, case, one_of, seeded, shapes, tensors

def reductions(draw): return one_of(draw, 'mean', 'sum', 'none')
def weights(draw, s): return torch.rand(s, generator=seeded(draw)).double() + .1

@case('l1_loss', 'huber_loss', 'smooth_l1_loss', 'mse_loss')
def distances(draw, name):
    s = [max(n, 1) for n in draw(shapes())]
    a,b = tensors(draw, s, s)
    options = dict(reduction=reductions(draw))
    if name=='huber_loss': options['delta'] = one_of(draw, 1., .51234)
    if name=='smooth_l1_loss': options['beta'] = one_of(draw, 1., .51234, 0.)
    f = getattr(F, name)
    return one_of(draw, Case(lambda x,y: f(x, y, **options), [a, b], f'{name} {options}'),
                  Case(lambda x: f(x, b, **options), [a], f'{name} of x {options}'),
                  Case(lambda x: f(b, x, **options), [a], f'{name} to x {options}'))

def classes(draw, s, unknown=None):
    "A class for each row of scores of shape `s`; some of them `unknown`."
    axis = 1 if len(s)>1 else 0
    t = torch.randint(s[axis], s[:axis] + s[axis+1:], generator=seeded(draw))
    if unknown is None: return t
    return torch.where(torch.rand(t.shape, generator=seeded(draw)) < .3, unknown, t)

@case('nll_loss', 'cross_entropy')
def of_classes(draw, name):
    s = [max(n, 1) for n in draw(shapes(1, 4))]
    options = dict(reduction=reductions(draw))
    unknown = one_of(draw, None, -100, 1)
    t = classes(draw, s, unknown)
    if unknown==1: options['ignore_index'] = 1
    if draw(st.booleans()):
        options['weight'] = weights(draw, [s[1 if len(s)>1 else 0]])
    if name=='cross_entropy' and draw(st.booleans()): options['label_smoothing'] = .13
    known = t!=options.get('ignore_index', -100)
    if not known.any(): options['reduction'] = 'sum'        # the mean of nothing is nan
    f = getattr(F, name)
    def call(x): return f(x.reshape(-1).reshape(s), t, **options) # PyTorch's second order wants it
    return Case(call, tensors(draw, s), f'{name} {s} {options}')

@case('cross_entropy_of_shares')
def of_shares(draw, name):
    s = [max(n, 1) for n in draw(shapes(2, 4))]
    options = dict(reduction=reductions(draw), label_smoothing=one_of(draw, 0., .2))
    if draw(st.booleans()): options['weight'] = weights(draw, [s[1]])
    x,t = tensors(draw, s, s)
    f = one_of(draw, Case(lambda x: F.cross_entropy(x, t.softmax(1), **options), [x], name),
               Case(lambda x,t: F.cross_entropy(x, t.softmax(1), **options), [x, t], name))
    return f

@case('binary_cross_entropy', 'binary_cross_entropy_with_logits')
def binary(draw, name):
    s = [max(n, 1) for n in draw(shapes())]
    options = dict(reduction=reductions(draw))
    if draw(st.booleans()): options['weight'] = weights(draw, s)
    if name.endswith('logits') and draw(st.booleans()):
        options['pos_weight'] = torch.tensor(2.5).double()
    domain = {} if name.endswith('logits') else dict(lo=.05, hi=.95)
    x, = tensors(draw, s, **domain)
    t, = tensors(draw, s, lo=.05, hi=.95)
    f = getattr(F, name)
    return one_of(draw, Case(lambda x: f(x, t, **options), [x], f'{name} {options}'),
                  Case(lambda x,t: f(x, t, **options), [x, t], f'{name} of both {options}'))
