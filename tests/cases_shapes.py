"Calls of what moves, picks, cuts and joins."
import math
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from cases import Case, case, dims, one_of, seeded, shapes, sizes, tensors
from mlfound import autograd, shapes as moves
from torch import Tensor


@case('transpose')
def transpose(draw, name):
    s = draw(shapes(2, 4))
    i,j = (draw(st.integers(-len(s), len(s)-1)) for _ in range(2))
    forms = [lambda x: x.transpose(i, j), lambda x: torch.transpose(x, i, j), lambda x: x.mT,
             lambda x: x.swapaxes(i, j), lambda x: torch.swapdims(x, i, j)]
    if len(s)==2: forms += [lambda x: x.T, lambda x: x.t()]
    return Case(one_of(draw, *forms), tensors(draw, s), f'transpose {i} {j}')

@case('permute')
def permute(draw, name):
    s = draw(shapes(0, 4))
    p = [d-len(s) if draw(st.booleans()) else d for d in draw(st.permutations(range(len(s))))]
    forms = [lambda x: x.permute(p), lambda x: torch.permute(x, p)]
    if s: forms.append(lambda x: x.permute(*p))
    return Case(one_of(draw, *forms), tensors(draw, s), f'permute {p}')

@case('reshape')
def reshape(draw, name):
    s = draw(shapes(0, 4))
    n = math.prod(s)
    guessed = [[-1], [-1,*s[:1]]] if n else []
    to = one_of(draw, [n], [1,n], [n,1], *guessed, *[[n//2,2]]*(n%2==0))
    forms = [lambda x: x.reshape(to), lambda x: x.reshape(*to),
             lambda x: torch.reshape(x, tuple(to))]
    return Case(one_of(draw, *forms), tensors(draw, s), f'reshape {to}')

@case('expand')
def expand(draw, name):
    s = draw(shapes())
    to = draw(shapes(0, 1)) + [draw(sizes) if n==1 else n for n in s]
    forms = [lambda x: x.expand(to), lambda x: x.broadcast_to(to),
             lambda x: torch.broadcast_to(x, to)]
    if to: forms.append(lambda x: x.expand(*to))
    return Case(one_of(draw, *forms), tensors(draw, s), f'expand {to}')

@case('sum_to_size')
def sum_to_size(draw, name):
    s = draw(shapes())
    to = [n if draw(st.booleans()) else 1 for n in s][draw(st.integers(0, len(s))):]
    return Case(lambda x: x.sum_to_size(to), tensors(draw, s), f'sum_to_size {to}')

@case('squeeze')
def squeeze(draw, name):
    s = draw(shapes(0, 4))
    d = dims(draw, len(s))
    if isinstance(d, list): d = tuple(d)
    forms = [lambda x: x.squeeze(d), lambda x: torch.squeeze(x, d), lambda x: x.squeeze(dim=d)]
    if d is None: forms = [lambda x: x.squeeze()]
    return Case(one_of(draw, *forms), tensors(draw, s), f'squeeze {d}')

@case('unsqueeze')
def unsqueeze(draw, name):
    s = draw(shapes())
    d = draw(st.integers(-len(s)-1, len(s)))
    f = one_of(draw, lambda x: x.unsqueeze(d), lambda x: torch.unsqueeze(x, d))
    return Case(f, tensors(draw, s), f'unsqueeze {d}')

@case('flip')
def flip(draw, name):
    s = draw(shapes())
    d = draw(st.lists(st.integers(0, len(s)-1), unique=True)) if s else []
    forms = [lambda x: x.flip(d), lambda x: torch.flip(x, d)] + [lambda x: x.flip(*d)]*bool(d)
    return Case(one_of(draw, *forms), tensors(draw, s), f'flip {d}')

@case('cat')
def cat(draw, name):
    s = draw(shapes(1, 3))
    d = draw(st.integers(-len(s), len(s)-1))
    if draw(st.booleans()):
        return Case(lambda x: torch.cat([x, x, x], d), tensors(draw, s), f'cat x x x {d}')
    def piece(): return [draw(sizes) if k==d%len(s) else n for k,n in enumerate(s)]
    pieces = [piece() for _ in range(draw(st.integers(1, 4)))]
    if draw(st.booleans()): pieces.insert(draw(st.integers(0, len(pieces))), [0]) # joins anything
    f = one_of(draw, torch.cat, torch.concat, torch.concatenate)
    return Case(lambda *xs: f(xs, dim=d), tensors(draw, *pieces), f'cat {d}')

@case('stack')
def stack(draw, name):
    s = draw(shapes())
    d = draw(st.integers(-len(s)-1, len(s)))
    if draw(st.booleans()):
        return Case(lambda x: torch.stack([x, x], d), tensors(draw, s), f'stack x x {d}')
    xs = tensors(draw, *[s]*draw(st.integers(1, 4)))
    return Case(lambda *xs: torch.stack(xs, dim=d), xs, f'stack {d}')

@case('movedim')
def movedim(draw, name):
    s = draw(shapes(1, 4))
    f = one_of(draw, torch.movedim, torch.moveaxis, lambda x,*a: x.movedim(*a))
    n = draw(st.integers(1, len(s)))
    a,b = (draw(st.permutations(range(len(s))))[:n] for _ in range(2))
    a = [d-len(s) if draw(st.booleans()) else d for d in a]
    if n==1 and draw(st.booleans()): a,b = a[0],b[0]
    return Case(lambda x: f(x, a, b), tensors(draw, s), f'movedim {a} {b}')

@case('roll')
def roll(draw, name):
    s = draw(shapes())
    f = one_of(draw, torch.roll, lambda x,*a: x.roll(*a))
    if not s or draw(st.booleans()):
        n = draw(st.integers(-5, 5))
        return Case(lambda x: f(x, n), tensors(draw, s), f'roll {n}')
    ds = draw(st.lists(st.integers(-len(s), len(s)-1), min_size=1))
    ns = [draw(st.integers(-5, 5)) for _ in ds]
    if len(ds)==1: ns,ds = ns[0],ds[0]
    return Case(lambda x: f(x, ns, ds), tensors(draw, s), f'roll {ns} {ds}')

@case('rot90')
def rot90(draw, name):
    s = draw(shapes(2, 3))
    ds,k = draw(st.permutations(range(len(s))))[:2],draw(st.integers(-4, 4))
    f = one_of(draw, torch.rot90, lambda x,*a: x.rot90(*a))
    return Case(lambda x: f(x, k, ds), tensors(draw, s), f'rot90 {k} {ds}')

@case('fliplr', 'flipud', 't', 'ravel', 'clone', 'contiguous')
def plainly(draw, name):
    s = draw(shapes(*dict(fliplr=(2,3), flipud=(1,3), t=(0,2)).get(name, (0,3))))
    forms = [lambda x: getattr(x, name)()]
    if name!='contiguous': forms.append(getattr(torch, name))
    return Case(one_of(draw, *forms), tensors(draw, s), name)

@case('flatten')
def flatten(draw, name):
    s = draw(shapes(0, 4))
    f = one_of(draw, torch.flatten, lambda x,*a: x.flatten(*a))
    if not s or draw(st.booleans()): return Case(f, tensors(draw, s), 'flatten')
    a = draw(st.integers(0, len(s)-1))
    b = draw(st.integers(a, len(s)-1)) - len(s)*draw(st.booleans())
    return Case(lambda x: f(x, a, b), tensors(draw, s), f'flatten {a} {b}')

@case('unflatten')
def unflatten(draw, name):
    s = draw(shapes(1, 3))
    d = draw(st.integers(0, len(s)-1))
    to = one_of(draw, (1,s[d]), (s[d],1), *[(-1,1)]*bool(s[d]), *[(2,s[d]//2)]*(s[d]%2==0))
    f = one_of(draw, torch.unflatten, lambda x,*a: x.unflatten(*a))
    return Case(lambda x: f(x, d, to), tensors(draw, s), f'unflatten {d} {to}')

@case('view', 'view_as', 'reshape_as', 'expand_as', 'broadcast_to')
def view(draw, name):
    s = draw(shapes(0, 4))
    n = math.prod(s)
    to = one_of(draw, [n], [1,n], [n,1], *[[-1]]*bool(n))
    xs,like = [t.contiguous() for t in tensors(draw, s)],torch.zeros(n, 1)
    wide = [draw(sizes) if m==1 else m for m in s]
    if name=='expand_as': return Case(lambda x: x.expand_as(torch.zeros(wide)), xs, f'as {wide}')
    if name=='broadcast_to': return Case(lambda x: torch.broadcast_to(x, wide), xs, f'to {wide}')
    if name!='view': return Case(lambda x: getattr(x, name)(like), xs, name)
    return Case(one_of(draw, lambda x: x.view(to), lambda x: x.view(*to)), xs, f'view {to}')

@case('repeat', 'tile')
def repeat(draw, name):
    s = draw(shapes(0, 3))
    many = st.sampled_from([0,1,1,2,3])
    ns = [draw(many) for _ in range(len(s) + draw(st.integers(0, 1)))]
    if name=='tile': ns = ns[draw(st.integers(0, len(ns))):]
    forms = [lambda x: getattr(x, name)(ns), lambda x: getattr(x, name)(tuple(ns))]
    if ns: forms.append(lambda x: getattr(x, name)(*ns))
    if name=='tile': forms.append(lambda x: torch.tile(x, ns))
    return Case(one_of(draw, *forms), tensors(draw, s), f'{name} {ns}')

@case('pad', 'pad_constant')
def pad(draw, name):
    s = draw(shapes(1, 3))
    ns = []
    for n in s[::-1][:draw(st.integers(0, len(s)))]:
        a = draw(st.integers(-n, 2))
        ns += [a, draw(st.integers(max(-n, -n-a), 2))]
    mode = one_of(draw, 'constant', 'reflect', 'replicate', 'circular')
    if mode!='constant':
        s = [draw(st.integers(2, 4)) for _ in range(3)]
        ns = [draw(st.integers(0, 1)) for _ in range(2)]
        return Case(lambda x: F.pad(x, ns, mode), tensors(draw, s), f'pad {ns} {mode}')
    v = one_of(draw, None, 0., 1.5)
    forms = [lambda x: F.pad(x, ns, value=v), lambda x: F.pad(x, tuple(ns), 'constant', v)]
    return Case(one_of(draw, *forms), tensors(draw, s), f'pad {ns} {v}')

@case('diagonal', 'diag_embed')
def diagonal(draw, name):
    s = draw(shapes(2, 4) if name=='diagonal' else shapes(1, 3))
    n = len(s) + (name=='diag_embed')
    a,b = draw(st.permutations(range(n)))[:2]
    k = draw(st.integers(-3, 3))
    f = one_of(draw, getattr(torch, name), lambda x,*a,**kw: getattr(x, name)(*a, **kw))
    forms = [lambda x: f(x), lambda x: f(x, k), lambda x: f(x, k, a-n, b),
             lambda x: f(x, offset=k, dim1=a, dim2=b)]
    return Case(one_of(draw, *forms), tensors(draw, s), f'{name} {k} {a} {b}')

@case('on_diagonal')
def on_diagonal(draw, name):
    s,k = draw(shapes(2, 2)),draw(st.integers(-2, 2))
    xs = tensors(draw, torch.zeros(s).diagonal(k).shape)
    return Case(lambda x: moves.on_diagonal(x, k, 0, 1, s), xs, f'on_diagonal {k} {s}')

@case('tril', 'triu', 'diag', 'trace')
def triangles(draw, name):
    s,k = draw(shapes(2, 2 if name in ('diag','trace') else 4)),draw(st.integers(-3, 3))
    if name=='diag' and draw(st.booleans()): s = s[:1]
    f = one_of(draw, getattr(torch, name), lambda x,*a: getattr(x, name)(*a))
    if name=='trace' or draw(st.booleans()): return Case(f, tensors(draw, s), name)
    return Case(lambda x: f(x, k), tensors(draw, s), f'{name} {k}')

def pieces(f, x): return torch.cat([(k+1.)*p.reshape(-1) for k,p in enumerate(f(x))])

@case('narrow', 'select', 'split', 'chunk', 'unbind')
def cuts(draw, name):
    s = [max(n, 1) for n in draw(shapes(1, 4))]
    d = draw(st.integers(-len(s), len(s)-1))
    f = one_of(draw, getattr(torch, name), lambda x,*a: getattr(x, name)(*a))
    n,i = s[d],draw(st.integers(0, s[d]))
    if name=='narrow':
        a = i - n if 0<i<n and draw(st.booleans()) else i
        length = draw(st.integers(0, n-i))
        return Case(lambda x: f(x, d, a, length), tensors(draw, s), f'narrow {d} {a} {length}')
    xs = tensors(draw, s)
    if name=='select': return Case(lambda x: f(x, d, i-n if i else 0), xs, f'select {d} {i}')
    if name=='unbind': return Case(lambda x: pieces(lambda x: f(x, d), x), xs, f'unbind {d}')
    k = draw(st.integers(1, n+1))
    if name=='split' and draw(st.booleans()): k = [i, n-i]
    return Case(lambda x: pieces(lambda x: f(x, k, d), x), xs, f'{name} {k} {d}')

# -- picking

@case('gather')
def gather(draw, name):
    s = draw(shapes())
    n = max(len(s), 1)
    d,to = draw(st.integers(-n, n-1)), [draw(st.integers(0, n)) for n in s]
    if s: to[d] = draw(sizes) if s[d] else 0
    i = torch.randint(0, max(s[d], 1) if s else 1, to, generator=seeded(draw))
    forms = [lambda x: x.gather(d, i), lambda x: torch.gather(x, d, i),
             lambda x: x.gather(dim=d, index=i)]
    return Case(one_of(draw, *forms), tensors(draw, s), f'gather {d} {i.tolist()}')

@case('ungather')
def ungather(draw, name):
    s = draw(shapes(1, 3))
    d,to = draw(st.integers(0, len(s)-1)), [n + draw(st.integers(0, 2)) for n in s]
    i = torch.randint(0, max(to[d], 1), s if to[d] else [0]*len(s), generator=seeded(draw))
    text = f'ungather {d} {i.tolist()} {to}'
    return Case(lambda x: moves.ungather(x, d, i, tuple(to)), tensors(draw, i.shape), text)

def some_index(draw, s):
    "What may stand between the brackets after a tensor of shape `s`."
    gen,at,rest = seeded(draw), [], list(s)
    lead = draw(shapes(0, 2)) # index arrays broadcast against this shape
    while rest and draw(st.integers(0, 4)):
        how = one_of(draw, *'integer slice slice None array array list mask ellipsis'.split())
        n = rest[0]
        if how=='None':
            at.append(None)
            continue
        if how=='ellipsis':
            at.append(...)
            break
        if how=='mask' and not any(isinstance(a, Tensor) for a in at):
            k = draw(st.integers(1, min(2, len(rest))))
            at.append(torch.rand(rest[:k], generator=gen) > .5)
            lead,rest = [int(at[-1].sum())], rest[k:]
            continue
        if how=='integer' and n: at.append(draw(st.integers(-n, n-1)))
        elif how=='array' and n:
            size = [m if draw(st.booleans()) else 1 for m in lead]
            at.append(torch.randint(-n, n, size, generator=gen))
        elif how=='list' and n and not lead: at.append([draw(st.integers(0, n-1))])
        else: at.append(some_slice(draw, n))
        rest = rest[1:]
    return at[0] if len(at)==1 and draw(st.booleans()) else tuple(at)

@case('index')
def index(draw, name):
    s = draw(shapes(0, 4))
    at = some_index(draw, s)
    return Case(lambda x: x[at], tensors(draw, s), f'x[{at}]')

@case('place')
def place(draw, name):
    s = draw(shapes(0, 4))
    at = some_index(draw, s)
    xs = tensors(draw, torch.zeros(s)[at].shape)
    return Case(lambda x: autograd.place(x, at, s), xs, f'place at [{at}] of {s}')

def some_slice(draw, n):
    a,b = sorted(draw(st.integers(0, n)) for _ in range(2))
    return slice(a, b or None, one_of(draw, None, 1, 2))

@case('index_select')
def index_select(draw, name):
    s = [max(n, 1) for n in draw(shapes(1, 3))]
    d = draw(st.integers(-len(s), len(s)-1))
    at = torch.randint(s[d], [draw(sizes)], generator=seeded(draw))
    f = one_of(draw, torch.index_select, lambda x,*a: x.index_select(*a))
    return Case(lambda x: f(x, d, at), tensors(draw, s), f'index_select {d} {at.tolist()}')

@case('scatter', 'scatter_add')
def scatter(draw, name):
    s = [max(n, 1) for n in draw(shapes(1, 3))]
    d = draw(st.integers(-len(s), len(s)-1))
    to = [draw(st.integers(1, n)) for n in s]
    order = torch.rand(s, generator=seeded(draw)).argsort(d)    # each place once
    at = order[tuple(slice(n) for n in to)]
    f = one_of(draw, getattr(torch, name), lambda x,*a,**kw: getattr(x, name)(*a, **kw))
    x,src = tensors(draw, s, to)
    if name=='scatter_add' and draw(st.booleans()): at = at*0   # or one place for all
    text = f'{name} {d} {at.tolist()}'
    if name=='scatter' and draw(st.booleans()):
        return Case(lambda x: f(x, d, at, value=1.5), [x], text)
    return Case(lambda x,y: f(x, d, at, y), [x, src], text)
