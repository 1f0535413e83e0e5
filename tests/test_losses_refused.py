"What torch's losses refuse is refused, and the type of a loss is torch's."
import pytest, torch, torch.nn.functional as F
from mlfound.autograd import Var
import mlfound.ops # noqa: F401

rng = torch.Generator().manual_seed(0)
z,t,w = torch.randn(3, 4, generator=rng),torch.tensor([0,1,2]),torch.rand(4, generator=rng)
p,q = z.softmax(1),torch.rand(3, generator=rng)
bce,bce_logits = F.binary_cross_entropy,F.binary_cross_entropy_with_logits

REFUSED = {f'{f.__name__} {name} {red}': lambda v,f=f,targ=targ,bad=bad,kw=kw,red=red:
           f(v, targ, weight=bad, reduction=red, **kw)
           for f,targ,kw in [(F.cross_entropy, t, {}), (F.nll_loss, t, {}),
                             (F.cross_entropy, p, {}),
                              (F.cross_entropy, t, dict(label_smoothing=.1))]
           for name,bad in dict(column=w[:,None], longer=torch.rand(5), one=w[2:3], none=w[:0],
                                row=w[None]).items()
           for red in ('mean', 'none')}
REFUSED |= dict(
    ignored=lambda v: F.cross_entropy(v, p, ignore_index=1),
    bce=lambda v: bce(v.sigmoid(), p, weight=torch.rand(2, 3, 4)),
    bce_column=lambda v: bce(v[:,0].sigmoid(), q, weight=torch.rand(3, 1)),
    logits=lambda v: bce_logits(v, p, weight=torch.rand(2, 3, 4)),
    logits_column=lambda v: bce_logits(v[:,0], q, weight=torch.rand(3, 1)),
    positive=lambda v: bce_logits(v, p, pos_weight=torch.rand(2, 3, 4)),
    positive_column=lambda v: bce_logits(v[:,0], q, pos_weight=torch.rand(3, 1)))

@pytest.mark.parametrize('name', REFUSED)
def test_weights_that_do_not_fit(name):
    f = REFUSED[name]
    with pytest.raises((RuntimeError, ValueError)): f(z)
    with pytest.raises(ValueError, match=r'weight is \(|ignore_index is 1'):
        f(Var(z, requires_grad=True))

TYPES = 'mse_loss l1_loss huber_loss smooth_l1_loss binary_cross_entropy_with_logits'.split()

@pytest.mark.parametrize('name', TYPES)
def test_the_type_of_a_loss(name):
    f,kinds = getattr(F, name),(torch.float16, torch.float32, torch.float64)
    for red in ('mean', 'sum', 'none'):
        for a,b in ((x, y) for x in kinds for y in kinds):
            want = f(q.to(a), q.flip(0).to(b), reduction=red)
            v = Var(q.to(a), requires_grad=True)
            assert f(v, q.flip(0).to(b), reduction=red).dtype==want.dtype, (red, a, b)

def test_the_type_of_a_weight():
    for f in (bce, bce_logits):
        want = f(q, q, weight=q.double())
        assert f(Var(q, requires_grad=True), q, weight=q.double()).dtype==want.dtype
