"Calls of what a transformer is made of."
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from cases import Case, case, laid_out, one_of, seeded, shapes, tensors
import mlfound.blockwise # noqa: F401
from mlfound.attention import attention

some = st.integers(1, 4)

@case('embedding')
def embedding(draw, name):
    v,d,s = draw(some), draw(some), draw(st.lists(some, max_size=3)) # PyTorch's rule needs an index
    index = laid_out(draw, torch.randint(v, s, generator=seeded(draw)))
    return Case(lambda table: F.embedding(index, table), tensors(draw, [v,d]), 'embedding')

@case('gelu')
def gelu(draw, name): return Case(F.gelu, tensors(draw, draw(shapes())), 'gelu')

@case('layer_norm')
def layer_norm(draw, name):
    rows = [draw(some) for _ in range(draw(st.integers(1, 2)))]
    x,w,b = tensors(draw, [*draw(shapes(0, 2)), *rows], rows, rows)
    # of one or two entries each is +1 or -1, whatever they are: let their spread stay well above 0
    eps = .1 if x.shape.numel()<3 or len(rows)==1 and rows[0]<3 or max(rows)<3 else 1e-5
    def f(x, w=None, b=None): return F.layer_norm(x, rows, w, b, eps)
    return one_of(draw, Case(f, [x,w,b], 'layer_norm'), Case(f, [x,w], 'layer_norm'),
                  Case(f, [x], 'layer_norm'))

@case('scaled_dot_product_attention')
def scaled_dot_product_attention(draw, name):
    b,t,s,d,e = (draw(some) for _ in range(5))
    causal = draw(st.booleans())
    if causal: s = t # PyTorch counts from the first query and key, we refuse to guess
    q,k,v = tensors(draw, [b,t,d], [b,s,d], [b,s,e])
    scale = one_of(draw, None, .3)
    mask = torch.rand(t, s, generator=seeded(draw)) < .5
    mask[:,0] = True
    def f(q, k, v): return F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
    def g(q, k, v): return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    def both(q, k, v): # PyTorch takes one of them only
        if not isinstance(q, torch.Tensor): return attention(q, k, v, mask, causal, scale)
        seen = mask.tril() if causal else mask
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale)
    form = one_of(draw, f, g, both)
    def plainly(q, k, v): # PyTorch's faster kernels have no second order
        with sdpa_kernel(SDPBackend.MATH): return form(q, k, v)
    return Case(form, [q,k,v], f'attention {causal} {scale}', oracle=plainly)
