"The figure that steps through a tape, in a real browser: what a notebook cannot test."
import re
import pytest
import torch
from mlfound.autograd import Var, grad, linear, mse_loss, relu
from mlfound.drawing import draw_tape, step_through
from mlfound.guards import keep_values

pytest.importorskip('playwright.sync_api',
                    reason='the figure is not tested in a browser: pip install playwright')

def fork():
    "The chapter's L = y + y², y = 2x: its gradients at x = 3 are 1 for L, 13 for y and 26 for x."
    x = Var(3., requires_grad=True)
    with keep_values():
        y = 2*x
        L = y + y*y
    assert grad(L, x).item() == 26
    return step_through(L, dict(x=x, y=y, L=L))

SHAPES = dict(w1=(3, 4), b1=(4,), w2=(4, 1), b2=(1,))
def network():
    g = torch.Generator().manual_seed(0)
    def random(*shape): return torch.randn(shape, generator=g)
    ps = {n: Var(random(*s), requires_grad=True) for n, s in SHAPES.items()}
    data = dict(inputs=random(2, 3), target=random(2, 1))
    with keep_values():
        hidden = relu(linear(data['inputs'], ps['w1'], ps['b1']))
        loss = mse_loss(linear(hidden, ps['w2'], ps['b2']), data['target'])
    return step_through(loss, ps | data), ps | data, loss

def node(page, name): return page.locator(f'[data-node][aria-label^="{name},"]')
def words(page, name, where=''):
    return [t for t in node(page, name).locator(f'{where} text:visible').all_text_contents() if t]
def color(page, selector, what='backgroundColor'):
    return page.eval_on_selector(selector, f'e => getComputedStyle(e).{what}')
def status(page): return page.locator('.tape-status').inner_text()
def panel(page): return page.locator('.tape-panel').inner_text()
def cells(page, where=''):
    "The numbers of a table; those of a leaf stand in fields."
    return page.eval_on_selector_all(f'.tape-panel {where} td', '''all => all.filter(
        e => e.checkVisibility()).map(e => e.querySelector("input")?.value ?? e.innerText)''')

def test_forward_and_back(show):
    page = show(fork())
    following, back = (page.locator(f'button[data-step="{s}"]') for s in ('forward', 'back'))
    seen = [status(page)]
    assert back.is_disabled() and words(page, 'L') == ['L', 'add'] # no value yet
    while following.is_enabled():
        following.click()
        seen.append(status(page))
        if 'Together' in seen[-1]: # the sum so far is in the drawer
            assert seen[-1].endswith(f'= {words(page, "y", ".arrived")[-1]}.')
    assert len(seen) == 1+3+1+5
    assert 'y = mul(2, x) gives 6.' in seen[1] and 'L = add(y, mul) gives 42.' in seen[3]
    assert '1 + 6 = 7.' in seen[7] and '7 + 6 = 13.' in seen[8]
    assert seen[9].endswith('From y to x: ∂y * 2 sends 26.')
    arrived = [words(page, n, '.arrived') for n in ('x', 'y', 'mul', 'L')]
    assert arrived == [['∂', g] for g in ('26', '13', '1', '1')]
    assert sorted(page.locator('.chip text').all_text_contents()) == ['1', '1', '26', '6', '6']
    for want in reversed(seen[:-1]):
        back.click()
        assert status(page) == want
    assert back.is_disabled() and page.locator('.chip:visible').count() == 0

def test_only_what_is_known(show):
    "At every step the panel agrees with the drawing, and neither is ahead of the sweep."
    page = show(fork())
    value = dict(x=('3', 0), y=('6', 1), mul=('36', 2), L=('42', 3))
    gradients = dict(x=[('26', 9)], y=[('1', 5), ('7', 7), ('13', 8)], mul=[('1', 6)], L=[('1', 4)])
    for step in range(10):
        for name in value:
            node(page, name).dispatch_event('click') # without waiting until nothing moves
            shown, since = value[name]
            assert cells(page, '.of-value') == [shown]*(step >= since), (step, name)
            assert ('not computed yet' in panel(page)) == (step < since)
            so_far = [g for g, at in gradients[name] if at <= step][-1:]
            assert cells(page, '.of-grad') == so_far, (step, name)
            assert words(page, name, '.arrived')[1:] == so_far
            assert ('nothing has come back yet' in panel(page)) == (not so_far)
        if step < 9: page.locator('button[data-step="forward"]').dispatch_event('click')

def test_choose(show):
    page = show(fork())
    page.get_by_role('slider').focus()
    page.keyboard.press('End')
    node(page, 'y').click()
    assert re.search(r'^y mul\(2, x\) · scalar · float32$', panel(page), re.M)
    assert '1 from L + 6 from mul + 6 from mul' in panel(page)
    assert re.search(r'to x: ∂y \* 2 sends 26', panel(page))
    assert cells(page) == ['6', '13']

def test_network(show):
    html, known, loss = network()
    page = show(html)
    for name in ('inputs', 'target'): # what nobody differentiates is shown all the same
        node(page, name).click()
        got = torch.tensor([float(t) for t in cells(page, '.of-value')])
        torch.testing.assert_close(got, known[name].reshape(-1), rtol=1e-3, atol=1e-6)
        assert page.locator('.tape-panel .of-grad').count() == 0
    page.get_by_role('slider').focus()
    page.keyboard.press('End')
    for name in SHAPES:
        node(page, name).click()
        got = torch.tensor([float(t) for t in cells(page, '.of-grad')])
        torch.testing.assert_close(got, grad(loss, known[name]).reshape(-1), rtol=1e-3, atol=1e-6)

def test_keyboard(show):
    page = show(fork())
    for _ in range(4): page.keyboard.press('Tab') # play, next, slider, the chosen card; back is off
    def focused(): return page.evaluate('document.activeElement.getAttribute("aria-label")')
    assert focused().startswith('x,')
    assert color(page, '[data-node="0"] .ring', 'stroke') != 'none'
    assert color(page, '[data-node="1"] .ring', 'stroke') == 'none'
    page.keyboard.press('ArrowRight')
    assert focused().startswith('y,')
    assert page.locator('.title b').inner_text() == 'x' # looked at, not yet chosen
    page.keyboard.press('Enter')
    assert page.locator('.title b').inner_text() == 'y'
    assert node(page, 'y').get_attribute('aria-pressed') == 'true'
    page.keyboard.press('ArrowLeft')
    page.keyboard.press(' ')
    assert page.locator('.title b').inner_text() == 'x'
    page.get_by_role('slider').focus()
    page.keyboard.press('End')
    assert 'sends 26.' in status(page)
    assert page.get_by_role('button', name='Back one step').is_enabled()
    assert {n.get_attribute('tabindex') for n in page.locator('[data-node]').all()} == {'0', '-1'}

def test_play(show):
    page = show(fork(), alone=True) # whose clock no other test wants
    page.clock.install()
    page.get_by_role('button', name='Play').click()
    page.clock.run_for(3*1100+50)
    assert status(page).startswith('Forward 3 of 3')
    page.get_by_role('button', name='Pause').click()
    page.clock.run_for(5000)
    assert status(page).startswith('Forward 3 of 3')

def test_without_scripts(show):
    "An image of the finished figure, and a sentence that says what it shows; no dead buttons."
    page = show(fork(), java_script_enabled=False)
    image = page.get_by_role('img')
    assert image.get_attribute('alt').startswith('A tape, from left to right.')
    assert image.bounding_box()['height'] > 100
    assert page.locator('button').count() == 0
    assert page.locator('body').inner_text().strip() == ''

# What JupyterLab leaves of an output that it does not trust: sanitize-html drops these, whole,
DISCARDED = re.compile(r'<(script|style|textarea|option|noscript)\b.*?</\1>', re.S)
# and of other elements, unless it allows them, only the tags.
ALLOWED = '''a b br code div em figure hr i img li ol p pre span strong
             table tbody td th tr ul'''.split()
def untrusted(html):
    html = DISCARDED.sub('', html)
    return re.sub(r'</?([\w-]+)\b[^>]*>', lambda m: m[0] if m[1] in ALLOWED else '', html)

def test_in_a_notebook_that_is_not_trusted(show):
    figures = fork(), draw_tape(Var(1., requires_grad=True)*2)
    page = show(*map(untrusted, figures))
    assert page.get_by_role('img').count() == 2
    assert page.locator('body').inner_text().strip() == 'Some text.'

def test_dark(show):
    page = show(fork())
    forget = '["data-theme", "data-jp-theme-light"].forEach(n => document.body.removeAttribute(n))'
    def colors(system, **attributes):
        page.emulate_media(color_scheme=system)
        page.evaluate(forget)
        for n, v in attributes.items():
            page.evaluate('([n, v]) => document.body.setAttribute(n, v)', [n, v])
        return (color(page, '.tape-steps'), color(page, '.tape-steps .name', 'fill'),
                color(page, '.tape-steps .card', 'fill'))
    light, dark = colors('light'), colors('dark')
    assert all(a != b for a, b in zip(light, dark))
    theme, lab = 'data-theme', 'data-jp-theme-light'
    for attribute, system, want in [({theme: 'dark'}, 'light', dark),
                                    ({theme: 'light'}, 'dark', light),
                                    ({theme: 'auto'}, 'dark', dark),
                                    ({lab: 'false'}, 'light', dark),
                                    ({lab: 'true'}, 'dark', light)]:
        assert colors(system, **attribute) == want, (attribute, system)

@pytest.mark.parametrize('width', [1100, 390])
def test_several_on_a_page(show, width):
    drawn = draw_tape(Var(1., requires_grad=True)*2)
    page = show(fork(), network()[0], fork(), drawn, width=width)
    figures = page.locator('.tape-steps')
    for _ in range(8): figures.nth(2).locator('button[data-step="forward"]').click()
    said = [figures.nth(k).locator('.tape-status').inner_text() for k in range(3)]
    assert 'Backward 5 of 6' in said[2]
    assert said[0].startswith('Start') and said[1].startswith('Start')
    assert figures.nth(3).locator('button').count() == 0

def test_names_are_text(show):
    x = Var(2., requires_grad=True)
    evil = '<script>alert(1)</script><img src=x onerror=alert(2)>'
    page = show(step_through(x*x, {evil: x}))
    page.locator('[data-node]').first.click()
    assert page.locator('.title b').inner_text() == evil and page.locator('img').count() == 0

@pytest.mark.parametrize('width', [1100, 390])
def test_no_empty_strip(show, width):
    "The panel is as high as the largest of what it shows at the end, and no higher."
    for figure in fork(), network()[0]:
        page = show(figure, width=width)
        room = page.locator('.tape-panel').evaluate('e => e.offsetHeight')
        page.get_by_role('slider').focus()
        page.keyboard.press('End')
        tall = []
        for card in page.locator('[data-node]').all():
            card.dispatch_event('click')
            tall.append(page.locator('.tape-panel section').evaluate('e => e.offsetHeight'))
        assert max(tall) <= room <= max(tall) + 40, (room, tall)
