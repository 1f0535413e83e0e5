"Chapter 00: the packaged digits, pictures of them, the averages that read four in five."
import numpy as np
import pytest
import torch
from torch.testing import assert_close
from mlfound.data import Split, mnist, show_images
from mlfound.files import packaged

splits = mnist()
train, valid, _ = splits
with np.load(packaged('datasets/mnist.npz')) as file: packed = {k: file[k] for k in file}
pixels = packed['train_x']

# The digits ---------------------------------------------------------------------------------------

@pytest.mark.parametrize('part', splits._fields)
def test_every_pixel_and_label_is_the_packed_one(part):
    split = getattr(splits, part)
    assert ((split.x*256).numpy() == packed[f'{part}_x']).all()
    assert (split.y.numpy() == packed[f'{part}_y']).all()
    assert packed[f'{part}_x'].dtype == packed[f'{part}_y'].dtype == np.uint8

def test_the_range_of_the_pixels(): assert [train.x.min(), train.x.max()] == [0, 255/256]

def test_what_is_printed_are_shapes():
    few = Split(torch.zeros(3, 784), torch.tensor([7, 2, 1]))
    assert repr(few) == 'Split(x=float32 (3, 784), y=int64 (3,))'
    assert repr(splits).count('\n') == 2

@pytest.mark.parametrize('by,exact', [(256, 256), (255, 2)])
def test_only_a_power_of_two_divides_without_rounding(by, exact):
    whole = np.arange(256)
    quotients = np.divide(whole, by, dtype=np.float32)     # their products are exact in float64
    assert sum(float(q)*by == k for k, q in zip(whole, quotients)) == exact

def test_how_common_each_digit_is():
    counts = torch.bincount(train.y)
    assert [counts.argmax(), counts.max(), counts.argmin(), counts.min()] == [1, 5678, 5, 4506]
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949] # of the 60,000
    assert (counts + torch.bincount(valid.y)).tolist() == published

def test_where_the_ink_is():
    assert round(train.x.mean().item(), 4) == .1304 and round(train.x.std().item(), 4) == .3073
    assert (train.x.amax(0) == 0).sum() == 67
    assert round((train.x == 0).float().mean().item(), 2) == .81

# Ten averages -------------------------------------------------------------------------------------

means = torch.stack([train.x[train.y == k].mean(0) for k in range(10)])

def test_the_averages_read_what_the_book_says():
    guess = torch.cdist(valid.x, means).argmin(1)
    assert .83 < (guess == valid.y).float().mean() < .832
    shuffled = valid.y[torch.randperm(len(valid.y), generator=torch.Generator().manual_seed(42))]
    assert .08 < (guess == shuffled).float().mean() < .12
    mistakes = torch.bincount(valid.y*10 + guess, minlength=100).reshape(10, 10).fill_diagonal_(0)
    assert divmod((mistakes + mistakes.T).argmax().item(), 10) == (4, 9)

def test_the_ink_and_the_distances_of_the_averages():
    ink = means.mean(1)
    assert [ink.argmax(), ink.argmin()] == [0, 1]
    between = torch.cdist(means, means).fill_diagonal_(torch.inf)
    assert divmod(between.argmin().item(), 10) == (4, 9)

# Pictures -----------------------------------------------------------------------------------------

@pytest.fixture
def show():
    plt = pytest.importorskip('matplotlib.pyplot')
    yield show_images
    plt.close('all')

@pytest.mark.parametrize('shape', [(784,), (28, 28), (1, 784), (1, 28, 28)])
def test_an_image_of_any_shape(show, shape):
    canvas = show(pixels[0].reshape(shape)).images[0].get_array()
    assert (canvas[2:30,:28] == pixels[0].reshape(28, 28)).all()

def test_seven_images_in_lines_of_three(show):
    canvas = show(pixels[:7], cols=3).images[0].get_array()
    assert canvas.shape == (3*30, 3*30)
    assert (canvas[62:90,:28] == pixels[6].reshape(28, 28)).all()

def test_captions_stand_as_they_are_on_one_line(show):
    ax = show(pixels[:3], ['$x_$', 'two\nlines\x1b[2J', '\udcff'])
    assert [t.get_text() for t in ax.texts] == ['$x_$', r'two\nlines\x1b[2J', r'\udcff']
    ax.figure.canvas.draw()
    one = show(pixels[0], 5)                               # one image, one caption strip
    assert (one.images[0].get_array().shape, one.texts[0].get_text()) == ((39, 30), '5')

@pytest.mark.parametrize('args,says', [
    ((np.zeros((3, 32, 32)),), r'x is \(3, 32, 32\)'),
    ((np.zeros((0, 784)),), r'x is \(0, 784\)'),
    ((pixels,), r'pass x\[:200\]'),
    ((pixels[:3], [5, 0]), '2 labels for 3 images')])
def test_what_cannot_be_shown(show, args, says):
    with pytest.raises(ValueError, match=says): show(*args)

def test_images_and_labels_in_one_cannot_be_shown(show):
    with pytest.raises(TypeError, match=r'x is a Split, .*; pass one of them, e.g. train.x'):
        show(train)

def test_pixels_that_are_always_blank_make_nan_when_standardised():
    "Exercise 00.5: 0/0 is nan, and one nan makes every sum that it enters nan."
    x, never = train.x[:2000], train.x.amax(0) == 0
    mean, std = x.mean(0), x.std(0)
    assert ((x - mean)/std)[:,never].isnan().all()
    assert not ((x - mean)/std.where(std > 0, 1)).isnan().any()
    assert_close(std[never], torch.zeros(67))
