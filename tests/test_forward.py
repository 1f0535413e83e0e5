"Chapter 01: what each function computes and refuses, and the numbers that the chapter tells."
import pytest
import torch
from torch.testing import assert_close
from mlfound.data import mnist
from mlfound.forward import init_params, lin, mlp, mse, relu
from mlfound.tiny import tiny_network

rng = torch.Generator().manual_seed(0)
def rand(*shape): return torch.randn(*shape, dtype=torch.float64, generator=rng)
x, w, b = rand(5, 3), rand(3, 4), rand(4)
p, t = torch.tensor([3., 5.]), torch.tensor([2., 9.])

def by_scalars(x, w, b):
    "The formula of a layer, one scalar at a time."
    z = torch.zeros(len(x), len(b), dtype=x.dtype)
    for k in range(x.shape[0]):
        for j in range(w.shape[1]):
            z[k,j] = b[j] + sum(x[k,i]*w[i,j] for i in range(x.shape[1]))
    return z

# Each function ------------------------------------------------------------------------------------

@pytest.mark.parametrize('args', [
    (x, w, b), (x[:1], w, b), (x[:0], w, b), (x[:,::2], w[::2], b), (x, w[:,:1], b[:1])],
    ids=['five examples', 'one', 'none', 'not contiguous', 'one output'])
def test_lin_is_its_formula(args): assert_close(lin(*args), by_scalars(*args))

@pytest.mark.parametrize('args,says', [
    ((x, w.T, b), r'x has 3 columns but w has 4 rows \(x is \(5, 3\), w is \(4, 3\)\)'),
    ((x, w, b[:2]), 'w has 4 columns but b has 2 entries'),
    ((x, w, b[:,None]), r'b has shape \(4, 1\); pass one shaped \(h,\)'),
    ((x[0], w, b), r'x has shape \(3,\); pass one shaped \(n, d\)'),
    ((x.tolist(), w, b), 'x is of type list; pass a torch tensor'),
    ((x.byte(), w, b), 'x holds torch.uint8; pass real floating'),
    ((x, w.float(), b), 'w is torch.float32 but x is torch.float64')])
def test_lin_says_what_does_not_fit(args, says):
    with pytest.raises((ValueError, TypeError), match=says): lin(*args)

def test_relu_keeps_what_is_positive_and_every_nan():
    z = torch.tensor([[-2., 0., 3.], [.5, -0., torch.nan]])
    before = z.clone()
    assert_close(relu(z), torch.tensor([[0., 0., 3.], [.5, 0., torch.nan]]), equal_nan=True)
    assert_close(z, before, equal_nan=True)                # the input is left as it was

def test_the_draw_of_the_parameters_is_a_contract():
    "With a seed everyone gets the same network: `w1`, then `w2`, standard normal; biases zero."
    seeded = torch.Generator().manual_seed(42)
    w1, w2 = torch.randn(784, 50, generator=seeded), torch.randn(50, 1, generator=seeded)
    ours = init_params(784, 50, 1, generator=torch.Generator().manual_seed(42))
    for a, b in zip(ours, (w1, torch.zeros(50), w2, torch.zeros(1)), strict=True): assert a.equal(b)
    torch.manual_seed(42)
    for a, b in zip(init_params(784, 50, 1), ours, strict=True): assert a.equal(b)
    assert init_params(3, 2, 1, dtype=torch.float64).w1.dtype == torch.float64

@pytest.mark.parametrize('sizes,says', [
    ((784, 0, 1), 'h is 0; pass a whole number of at least 1'), ((784., 50, 1), 'd is 784.0')])
def test_sizes_are_whole(sizes, says):
    with pytest.raises((ValueError, TypeError), match=says): init_params(*sizes)

few = init_params(3, 4, 2, generator=rng, dtype=torch.float64)._replace(b1=rand(4), b2=rand(2))

def test_mlp_is_three_steps():
    hidden = by_scalars(x, few.w1, few.b1).clamp(min=0)
    assert_close(mlp(x, few), by_scalars(hidden, few.w2, few.b2))

@pytest.mark.parametrize('change,says', [
    (dict(w1=few.w1[:2]), 'mlp: x has 3 columns but w1 has 2 rows'),
    (dict(b1=few.b2), 'mlp: w1 has 4 columns but b1 has 2 entries'),
    (dict(w2=few.w2.T), 'mlp: a has 4 columns but w2 has 2 rows')])
def test_mlp_names_the_layer(change, says):
    with pytest.raises(ValueError, match=says): mlp(x, few._replace(**change))

def test_mse_is_a_mean_over_all_entries():
    assert mse(p, t) == ((3-2)**2 + (5-9)**2)/2 == mse(p, t.long())     # labels are int64
    assert mse(torch.ones(5, 2), torch.tensor([[0., 3.]]).expand(5, 2)) == 2.5
    assert mse(p[:1], t[:1]).shape == ()

@pytest.mark.parametrize('pred,targ,dtype', [
    (p, t.double(), torch.float32), (p.double(), t.int(), torch.float64)])
def test_mse_is_as_precise_as_the_predictions(pred, targ, dtype):
    assert mse(pred, targ).dtype == dtype

@pytest.mark.parametrize('pred,targ,says', [
    (p[:,None], t, r'pred is \(2, 1\) but targ is \(2,\); give both the same shape'),
    (torch.tensor(1.), t, r'pred is \(\) but targ is \(2,\)'),
    (p[:0], t[:0], 'the mean of nothing is undefined'),
    (p.int(), t, 'pred holds torch.int32'),
    (p, [2, 9], 'targ is of type list; pass a torch tensor'),
    (p, p.to(torch.complex64), 'targ holds torch.complex64')])
def test_mse_says_what_does_not_fit(pred, targ, says):
    with pytest.raises((ValueError, TypeError), match=says): mse(pred, targ)

# What the chapter tells ---------------------------------------------------------------------------

@pytest.mark.parametrize('second_input,z,pred,loss', [(2, [4, -3], 9, 9), (1, [3, -1], 7, 1)])
def test_the_tiny_network(second_input, z, pred, loss):
    _, targ, tiny = tiny_network()
    x = torch.tensor([[1., second_input]], dtype=torch.float64)
    assert lin(x, tiny.w1, tiny.b1).tolist() == [z]
    assert (mlp(x, tiny).item(), mse(mlp(x, tiny), targ).item()) == (pred, loss)

def test_the_number_of_parameters():
    def count(*sizes): return sum(p.numel() for p in init_params(*sizes))
    assert (count(784, 50, 1), count(784, 100, 10)) == (39_301, 79_510)

digits = mnist()
network = init_params(784, 50, 1, generator=torch.Generator().manual_seed(42))

def rms(t): return t.square().mean().sqrt()
def close(got, want): assert_close(got, torch.tensor(want), rtol=0, atol=.0051) # two digits

def test_the_values_on_the_validation_digits():
    z = lin(digits.valid.x, network.w1, network.b1)
    pred = mlp(digits.valid.x, network)[:,0]
    close(z[0,:3], [-.09, 11.87, -11.39])
    close(z[0,-3:], [5.48, 2.14, 15.30])
    close(z[-1,:3], [2.84, -.22, 1.43])
    close(z[-1,-3:], [-3.91, 5.75, 2.12])
    close(pred[:3], [25.75, -13.06, -114.79])
    close(pred[-3:], [-67.44, -74.48, -60.19])
    assert round((z > 0).float().mean().item(), 2) == .55

def test_the_loss_and_the_laziest_answer():
    x, y = digits.train
    pred = mlp(x, network)[:,0]
    loss, lazy = mse(pred, y), mse(y.float().mean().expand(len(y)), y)
    close(loss, 4308.76)
    assert_close(lazy, y.float().var(correction=0))        # by definition
    assert 513 < loss/lazy < 519
    assert [pred.min().round(), pred.max().round()] == [-217, 119]

def test_the_typical_sizes():
    x = digits.valid.x
    z, pred = lin(x, network.w1, network.b1), mlp(x, network)
    size = x.square().sum(1).mean().sqrt()                 # root mean square of |x|
    assert .8 < rms(z)/size < 1.2 and 1.2 < rms(pred)/size/5 < 1.4

@pytest.mark.parametrize('scale,growth,last', [
    (lambda d: 1., (4.5, 5.5), (5e6, 2e7)), (lambda d: (2/d)**.5, (.9, 1.1), (.2, .5))])
def test_ten_layers(scale, growth, last):
    gen, a, sizes = torch.Generator().manual_seed(0), digits.valid.x[:2000], []
    for _ in range(10):
        a = relu(a @ (scale(a.shape[1])*torch.randn(a.shape[1], 50, generator=gen)))
        sizes.append(rms(a))
    assert growth[0] < (sizes[-1]/sizes[0])**(1/9) < growth[1]
    assert last[0] < sizes[-1] < last[1]
