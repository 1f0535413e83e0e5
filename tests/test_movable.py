"The figures with settings, and tapes that are edited, in a real browser: as Python computes."
import json
import math
import re
import sys
from html import unescape
from pathlib import Path
import pytest
import torch
from mlfound.autograd import Var, exp, linear, log, mse_loss, op, relu
from mlfound.curves import depth, descend, spreads, valley
from mlfound.drawing import step_through
from mlfound.guards import keep_values
from mlfound.layout import number
from mlfound.replay import replay
from mlfound.tiny import tiny_network
from in_browser import AXE

pytest.importorskip('playwright.sync_api',
                    reason='the figures are not tested in a browser: pip install playwright')

axe = Path(sys.prefix)/'npm/node_modules/axe-core/axe.min.js'

def away(way): return [(k, math.hypot(*p)) for k, p in enumerate(way)]

def valley_lines(rate, momentum):
    ball, plain = descend(rate, momentum), descend(rate, 0.)
    return {'ball': ball, 'plain': plain, 'ball away': away(ball), 'plain away': away(plain)}

def depth_lines(power, bend):
    acts, grads = spreads(2**power, bend)
    return dict(acts=[*enumerate(acts)], grads=[*enumerate(grads)])

SETTINGS = {
    'valley': [(valley, valley_lines, dict(rate=r, momentum=m)) for r, m in
               [(.09, .5), (.005, 0), (.1, 0), (.105, 0), (.2, .95), (.15, .5), (.03, .9)]],
    'depth': [(depth, depth_lines, dict(power=p, bend=b)) for p, b in
              [(1, 'relu'), (-4, 'relu'), (6, 'relu'), (.5, 'relu'), (0, 'tanh'), (6, 'tanh'),
               (0, 'none'), (-2.5, 'none')]]}

def turn(page, **settings):
    "Set fields as a reader does: by the keyboard or the list."
    for name, value in settings.items():
        field = page.locator(f'[name="{name}"]')
        field.select_option(value) if name == 'bend' else field.fill(str(value))

def close(got, want):
    "To 1e-6 of the largest number of the line."
    assert len(got) == len(want)
    size = max(abs(v) for p in want for v in p)
    return all(abs(a - b) <= 1e-6*size for p, q in zip(got, want) for a, b in zip(p, q))

def lines(page): return page.eval_on_selector('.curves', 'e => e.lines')

@pytest.mark.parametrize('kind', SETTINGS)
def test_the_page_computes_what_python_computes(show, kind):
    page = show(SETTINGS[kind][0][0]())
    for _, model, settings in SETTINGS[kind]:
        turn(page, **settings)
        got, want = lines(page), model(**settings)
        assert got.keys() == want.keys()
        for name in want: assert close(got[name], want[name]), (settings, name)

def paths(page): return page.eval_on_selector_all('[data-line]', 'es => es.map(e => e.outerHTML)')

@pytest.mark.parametrize('kind', SETTINGS)
def test_curves_are_drawn_as_python_draws_them(show, kind):
    "Set to other settings, the figure is the one that Python makes of these from the beginning."
    figure, _, settings = SETTINGS[kind][-1]
    page, other = show(figure()), show(figure(**settings))
    assert paths(page) != paths(other)
    turn(page, **settings)
    for a, b in zip(paths(page), paths(other), strict=True): assert a == b
    assert page.locator('.status').inner_text() == other.locator('.status').inner_text()
    page.get_by_role('button', name='Start again').click()
    assert lines(page) == lines(show(figure()))

def test_the_still_figure_is_the_beginning(show):
    "What scripts draw first is what stands in the image already."
    for figure in valley(), depth():
        page = show(figure)
        still = set(part.split('"')[0] for part in figure.svg.split(' d="')[1:])
        drawn = page.eval_on_selector_all('[data-line]', 'es => es.map(e => e.getAttribute("d"))')
        assert set(drawn) <= still

def test_by_keyboard_and_ear(show):
    "Each setting is reached by Tab and says its value; the outcome is announced."
    page = show(valley())
    said = page.get_by_role('status').inner_text()
    page.keyboard.press('Tab')
    slider = page.get_by_role('slider', name='learning rate')
    assert slider.evaluate('e => e == document.activeElement')
    page.keyboard.press('ArrowRight')
    assert slider.get_attribute('aria-valuetext') == '0.095'
    assert page.get_by_role('status').inner_text() != said
    page.keyboard.press('Tab')
    page.keyboard.press('Home')
    assert 'with momentum 0,' in page.get_by_role('status').inner_text()

@pytest.mark.parametrize('kind', SETTINGS)
def test_without_scripts(show, kind):
    page = show(SETTINGS[kind][0][0](), java_script_enabled=False)
    image = page.get_by_role('img')
    assert len(image.get_attribute('alt')) > 60 and image.bounding_box()['height'] > 100
    assert page.locator('input, button').count() == 0
    assert page.locator('body').inner_text().strip() == ''

@pytest.mark.parametrize('width', [1100, 390])
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessible(show, width, scheme):
    if not axe.exists(): pytest.skip("axe is one of npm's packages; make docs installs it")
    page = show('<main><h1>Two</h1>' + valley() + depth() + '</main>', width=width,
                color_scheme=scheme, reduced_motion='reduce')
    page.add_script_tag(path=axe)
    assert page.evaluate(AXE, {}) == []

def test_a_page_of_several(show):
    "Two of one kind do not share their settings, and a tape's figure keeps its own script."
    page = show(valley(), depth(), valley())
    figures = page.locator('.valley')
    figures.nth(1).locator('[name="rate"]').fill('0.2')
    shown = [figures.nth(k).locator('label b').first.inner_text() for k in range(2)]
    assert shown == ['0.09', '0.2'] and page.locator('.moving.live').count() == 3

# A tape that is edited ----------------------------------------------------------------------------

def leaves(**values):
    return {n: Var(torch.tensor(v), requires_grad=True) for n, v in values.items()}

def fork(x=3.):
    vs = leaves(x=x)
    with keep_values():
        y = 2*vs['x']
        L = y + y*y
    return step_through(L, vs | dict(y=y, L=L))

def network(change=lambda ps: None):
    "The tiny network of chapter 04, with whatever `change` does to its numbers."
    x, targ, params = tiny_network()
    ps = dict(x=x, w1=params.w1, b1=params.b1, w2=params.w2, b2=params.b2, targ=targ)
    change(ps)
    vs = {n: Var(t, requires_grad=True) for n, t in ps.items() if n != 'targ'}
    with keep_values():
        z = linear(vs['x'], vs['w1'], vs['b1'])
        a = relu(z)
        p = linear(a, vs['w2'], vs['b2'])
        L = mse_loss(p, ps['targ'])
    return step_through(L, vs | dict(z=z, a=a, p=p, L=L, targ=ps['targ']))

def everything(x=((.5, -1., 2.), (3., .25, 1.)), w=((1., 2.), (-1., .5), (.5, 3.)), k=(2., 4.)):
    "Every operation that a page computes, with copies along both axes and powers of ten."
    vs = leaves(x=x, w=w, k=k)
    with keep_values():
        y = vs['x']@vs['w']
        q = (exp(y/vs['k']) - y*vs['k'])/2 + log(vs['k'])
        L = mse_loss(-relu(q)*1e-3, torch.zeros(2, 2))
    return step_through(L, vs)

def tape(figure): return json.loads(unescape(re.search(r'data-tape="([^"]*)"', figure)[1]))

def set_entry(page, name, number, row=None, column=None):
    "Type a number into the field of an entry, as a reader does."
    where = [f', {w} {k + 1}' for w, k in (('row', row), ('column', column)) if k is not None]
    page.locator(f'[data-node][aria-label^="{name},"]').click()
    page.get_by_label(name + ''.join(where), exact=True).fill(str(number))

def found(page): return page.eval_on_selector('.tape-steps', 'e => e.found')

def same_as_python(page, numbers):
    "What the page has found is what the library finds of this tape, to 1e-6."
    want = replay(numbers)
    for name, tensors in want._asdict().items():
        got = found(page)[name]
        assert len(got) == len(tensors) > 0
        for g, t in zip(got, tensors):
            assert g['shape'] == [*t.shape]
            torch.testing.assert_close(torch.tensor(g['data'], dtype=torch.float64),
                                       t.detach().reshape(-1), rtol=1e-6, atol=1e-12)

NUMBERS = [0., -0., 1., -2.5, 100.25, 100.75, 1000.5, 1001.5, 999.95, 9999999., 1e7, 1/3, 1e-4,
           9.9995e-5, -1e-5, 2**-20, 1e300, 49995.]

def test_numbers_are_written_as_python_writes_them(show):
    page = show(fork())
    for v in NUMBERS:
        set_entry(page, 'x', repr(v/2))
        value_of_y = page.locator('.tape-log li').nth(1).locator('[data-show]')
        assert value_of_y.text_content() == number(v), v

@pytest.mark.parametrize('x', [-2., 0., .1, 1234.5, 1e-7])
def test_an_edited_fork(show, x):
    figure = fork()
    page, numbers = show(figure), tape(figure)
    same_as_python(page, numbers)
    set_entry(page, 'x', x)
    numbers['cards'][0]['data'] = [x]
    same_as_python(page, numbers)

def test_every_operation(show):
    page, numbers = show(everything()), tape(everything())
    ops = {c['op'] for c in numbers['cards'] if 'op' in c}
    assert ops >= {'matmul', 'exp', 'log', 'div', 'sub', 'neg', 'relu', 'mul', 'add', 'mse_loss'}
    same_as_python(page, numbers)
    for at, value in ((0, .75), (4, -2.)):
        set_entry(page, 'x', value, *divmod(at, 3))
        numbers['cards'][0]['data'][at] = value
        same_as_python(page, numbers)

EDITS = [('w1', 4., 0, 0), ('x', -1., 0, 1), ('targ', .125, 0, 0), ('b1', 7., None, 1),
         ('w2', -2.5, 1, 0), ('b2', 1e5, None, 0)]

def shown(page):
    "All that stands where a tensor is shown, at the end of the sweep."
    page.get_by_role('slider').focus()
    page.keyboard.press('End')
    html = page.eval_on_selector_all('.tape-drawing [data-show]', 'es => es.map(e => e.outerHTML)')
    steps = page.locator('.tape-log li').all_text_contents()
    return html + steps

def test_an_edited_network_is_that_of_its_numbers(show):
    "Edit after edit, the figure is the one that Python would have drawn of the new numbers."
    done = []
    def change(ps):
        for name, v, row, column in done: ps[name][column if row is None else (row, column)] = v
    page, other = show(network()), show(network())
    for edit in EDITS:
        done.append(edit)
        name, v, row, column = edit
        set_entry(page, name, v, row, column)
        figure = network(change)
        same_as_python(page, tape(figure))
        drawn = shown(show(figure, on=other))
        for got, want in zip(shown(page), drawn, strict=True): assert got == want
    page.get_by_role('button', name='Start again').click()
    assert shown(page) == shown(show(network(), on=other))
    assert page.get_by_role('button', name='Start again').count() == 0

def test_what_is_no_number_changes_nothing(show):
    page = show(fork())
    page.locator('[data-node][aria-label^="x,"]').click()
    page.get_by_label('x', exact=True).fill('')
    assert page.get_by_label('x', exact=True).get_attribute('aria-invalid') == 'true'
    assert found(page)['totals'][-1]['data'] == [26]

def test_a_wrong_rule_cannot_be_edited(show):
    "The page would show another gradient than the reader's, so it offers no field."
    @op
    def mul(x, y): return x*y
    mul.defvjp(lambda g, y: g*y*2, lambda g, x: g*x)
    vs = leaves(x=3., y=4.)
    with keep_values(): L = mul(vs['x'], vs['y'])
    figure = step_through(L, vs)
    assert 'data-tape' not in figure and show(figure).locator('.tape-panel input').count() == 0

@pytest.mark.parametrize('width', [1100, 390])
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_fields_are_accessible(show, width, scheme):
    if not axe.exists(): pytest.skip("axe is one of npm's packages; make docs installs it")
    page = show('<main><h1>One</h1>' + network() + '</main>', width=width, color_scheme=scheme)
    set_entry(page, 'w1', 5, 0, 0)
    page.add_script_tag(path=axe)
    assert page.evaluate(AXE, {}) == []
