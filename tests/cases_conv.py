"Calls of what slides a window over pictures, and of batch normalisation."
import torch.nn.functional as F
from hypothesis import strategies as st
from cases import Case, case, one_of, tensors
import mlfound.conv # noqa: F401

few, some = st.integers(1, 2), st.integers(1, 3)

def either(draw, numbers):
    "A number for both directions, or a pair."
    return draw(numbers) if draw(st.booleans()) else (draw(numbers), draw(numbers))

def two(v): return v if isinstance(v, tuple) else (v, v)

def pictures(draw, wide, padding=0):
    "A shape `(n, c, h, w)` into which a window as wide as this fits."
    h,w = (max(1, n - 2*p) + draw(st.integers(0, 3)) for n,p in zip(two(wide), two(padding)))
    return [draw(few), draw(some), h, w]

@case('conv2d')
def conv2d(draw, name):
    kernel,groups = two(either(draw, some)),draw(few)
    how = {k: either(draw, numbers) for k,numbers in
           dict(stride=some, padding=st.integers(0, 2), dilation=few).items()}
    wide = [d*(k-1)+1 for k,d in zip(kernel, two(how['dilation']))]
    n,c,*size = pictures(draw, tuple(wide), how['padding'])
    o = groups*draw(few)
    x,w,b = tensors(draw, [n,c*groups,*size], [o,c,*kernel], [o])
    def f(x, w, b=None): return F.conv2d(x, w, b, groups=groups, **how)
    return one_of(draw, Case(f, [x,w,b], f'conv2d {how}'), Case(f, [x,w], f'conv2d {how}'),
                  Case(lambda w: f(x, w, b), [w], 'conv2d of data'),
                  Case(lambda x: F.conv2d(x, w[:,:,:1,:1], padding='same', groups=groups), [x],
                       'conv2d, same'))

def pooling(draw, f, **more):
    kernel = either(draw, some)
    padding = tuple(draw(st.integers(0, k//2)) for k in two(kernel))
    d = two(more.get('dilation', 1))
    if d!=(1,1): padding = 0, 0 # or a window may hold nothing but padding, which is refused
    size = pictures(draw, tuple(d*(k-1)+1 for k,d in zip(two(kernel), d)), padding)
    stride = either(draw, some) if draw(st.booleans()) else None
    return Case(lambda x: f(x, kernel, stride, padding, **more), tensors(draw, size),
                f'{f.__name__} {kernel} {stride} {padding} {more}')

@case('max_pool2d')
def max_pool2d(draw, name):
    return pooling(draw, F.max_pool2d, dilation=either(draw, few), ceil_mode=draw(st.booleans()))

@case('avg_pool2d')
def avg_pool2d(draw, name):
    more = one_of(draw, {}, {}, dict(count_include_pad=False), dict(divisor_override=3))
    return pooling(draw, F.avg_pool2d, **more)

@case('adaptive_avg_pool2d')
def adaptive_avg_pool2d(draw, name):
    size = either(draw, some)
    n,c,k,l = (draw(few) for _ in range(4))
    x, = tensors(draw, [n,c,*(k*m for k,m in zip((k,l), two(size)))])
    return Case(lambda x: F.adaptive_avg_pool2d(x, size), [x], f'adaptive_avg_pool2d {size}')

@case('batch_norm')
def batch_norm(draw, name):
    n,c,h,w = shape = [draw(few), draw(some), draw(some), draw(some)]
    training = n*h*w>1 and draw(st.booleans())
    x,weight,bias,mean = tensors(draw, shape, [c], [c], [c])
    # of two entries one is +1 and one is -1, whatever they are: let their spread stay well above 0
    eps = draw(st.sampled_from([1e-5, .1])) if n*h*w>2 or not training else .1
    def f(x, weight=None, bias=None):
        return F.batch_norm(x, mean.clone(), mean.abs()+.5, weight, bias, training, eps=eps)
    # PyTorch 2.13 takes some layouts for another in its backward pass, and returns wrong gradients
    def laid_out(x, *more): return f(x.contiguous(), *more)
    return one_of(draw, Case(f, [x,weight,bias], f'batch_norm {training}', oracle=laid_out),
                  Case(f, [x], f'batch_norm {training}', oracle=laid_out))
