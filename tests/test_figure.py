"The figure that steps through a tape, in a real browser: what the notebook, which has none, cannot test."
import re, shutil
import pytest
import torch
from mlfound.autograd import Var, grad, keep_values, linear, mse_loss, relu
from mlfound.drawing import draw_tape, step_through

api = pytest.importorskip('playwright.sync_api', reason='the figure is not tested in a browser: pip install playwright')
chromium = shutil.which('chromium') or shutil.which('chromium-browser')
if not chromium: pytest.skip('the figure is not tested in a browser: there is no chromium; on Debian: apt install chromium', allow_module_level=True)
FLAGS = '--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking --disable-component-update --disable-sync'.split()

@pytest.fixture(scope='module')
def browser():
    with api.sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium, args=FLAGS)
        yield b
        b.close()

@pytest.fixture
def show(browser, tmp_path):
    "A function that opens a page with these figures; no page may complain, ask for anything, or scroll sideways."
    opened, said = [], []
    def show(*figures, width=1100, body='', **options):
        (tmp_path/'page.html').write_text('<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
                                          f'<title>Figures</title><body {body}>' + '<p>Some text.</p>'.join(figures), encoding='utf-8')
        page = browser.new_context(viewport={'width': width, 'height': 900}, **options).new_page()
        page.on('console', lambda m: said.append(m.text))
        page.on('pageerror', lambda e: said.append(str(e)))
        page.on('dialog', lambda d: (said.append(d.message), d.dismiss()))
        page.on('request', lambda r: r.url.endswith('/page.html') or r.url == 'about:blank' or said.append(r.url))
        page.goto((tmp_path/'page.html').as_uri())
        opened.append(page)
        return page
    yield show
    for page in opened:
        wide = page.evaluate('document.documentElement.scrollWidth - innerWidth') # Playwright's own; it works without scripts, too
        page.context.close()
        assert wide <= 0, f'the page scrolls sideways by {wide} pixels'
    assert said == []

def fork(names=True):
    "The chapter's L = y + y², y = 2x: its gradients at x = 3 are 1 for L, 13 for y and 26 for x."
    x = Var(3., requires_grad=True)
    with keep_values():
        y = 2*x
        L = y + y*y
    assert grad(L, x).item() == 26
    return step_through(L, dict(x=x, y=y, L=L) if names else None)

def network():
    g = torch.Generator().manual_seed(0)
    ps = {n: Var(torch.randn(*s, generator=g), requires_grad=True) for n,s in dict(w1=(3,4), b1=(4,), w2=(4,1), b2=(1,)).items()}
    with keep_values(): loss = mse_loss(linear(relu(linear(torch.randn(2,3, generator=g), ps['w1'], ps['b1'])), ps['w2'], ps['b2']), torch.randn(2,1, generator=g))
    return step_through(loss, ps), ps, loss

def node(page, name): return page.locator(f'[data-node][aria-label^="{name},"]')
def words(page, name, where=''): return [t for t in node(page, name).locator(f'{where} text:visible').all_text_contents() if t]
def color(page, selector, what='backgroundColor'): return page.eval_on_selector(selector, f'e => getComputedStyle(e).{what}')

def test_forward_and_back(show):
    page = show(fork())
    status, panel, following, back = (page.locator(s) for s in ('.tape-status', '.tape-panel', 'button[data-step="forward"]', 'button[data-step="back"]'))
    seen = [status.inner_text()]
    assert back.is_disabled() and words(page, 'L') == ['L', 'add'] # no value yet
    while following.is_enabled():
        following.click()
        seen.append(status.inner_text())
        if 'Together' in seen[-1]: assert seen[-1].endswith(f'= {words(page, "y", ".arrived")[-1]}.') # the sum so far is in the drawer
    assert len(seen) == 1+3+1+5
    assert 'y = mul(2, x) gives 6.' in seen[1] and 'L = add(y, mul) gives 42.' in seen[3]
    assert '1 + 6 = 7.' in seen[7] and '7 + 6 = 13.' in seen[8] and 'lambda g,x: g*x' in seen[9] and 'sends 26.' in seen[9]
    assert '26' in panel.inner_text() and [words(page, n, '.arrived') for n in ('x', 'y', 'mul', 'L')] == [['∂', g] for g in ('26', '13', '1', '1')]
    assert sorted(page.locator('.chip text').all_text_contents()) == ['1', '1', '26', '6', '6']
    for want in reversed(seen[:-1]):
        back.click()
        assert status.inner_text() == want
    assert back.is_disabled() and page.locator('.chip:visible').count() == 0

def test_choose(show):
    page = show(fork())
    node(page, 'y').click()
    said = page.locator('.tape-panel').inner_text()
    assert re.search(r'^y mul\(2, x\) · scalar · float32$', said, re.M) and '1 from L + 6 from mul + 6 from mul' in said and 'lambda g,x: g*x with x = 2; sends 26' in said
    assert page.locator('.tape-panel td').all_inner_texts() == ['6', '13']

def test_network(show):
    html, ps, loss = network()
    page = show(html)
    for name, v in ps.items():
        node(page, name).click()
        got = [float(t) for t in page.locator('.of-grad td').all_inner_texts()]
        torch.testing.assert_close(torch.tensor(got), grad(loss, v).reshape(-1), rtol=1e-3, atol=1e-6)

def test_keyboard(show):
    page = show(fork())
    for _ in range(4): page.keyboard.press('Tab') # play, next, the slider, then the chosen card; back is off at the start
    focused = lambda: page.evaluate('document.activeElement.getAttribute("aria-label")')
    assert focused().startswith('x,')
    assert color(page, '[data-node="0"] .ring', 'stroke') != 'none' and color(page, '[data-node="1"] .ring', 'stroke') == 'none'
    page.keyboard.press('ArrowRight')
    assert focused().startswith('y,')
    assert page.locator('.title b').inner_text() == 'x' # looked at, not yet chosen
    page.keyboard.press('Enter')
    assert page.locator('.title b').inner_text() == 'y' and node(page, 'y').get_attribute('aria-pressed') == 'true'
    page.keyboard.press('ArrowLeft'); page.keyboard.press(' ')
    assert page.locator('.title b').inner_text() == 'x'
    page.get_by_role('slider').focus()
    page.keyboard.press('End')
    assert 'sends 26.' in page.locator('.tape-status').inner_text()
    assert page.get_by_role('button', name='Back one step').is_enabled()
    assert {n.get_attribute('tabindex') for n in page.locator('[data-node]').all()} == {'0', '-1'}

def test_play(show):
    page = show(fork())
    page.clock.install()
    page.get_by_role('button', name='Play').click()
    page.clock.run_for(3*1100+50)
    assert page.locator('.tape-status').inner_text().startswith('Forward 3 of 3')
    page.get_by_role('button', name='Pause').click()
    page.clock.run_for(5000)
    assert page.locator('.tape-status').inner_text().startswith('Forward 3 of 3')

def test_without_scripts(show):
    page = show(fork(), java_script_enabled=False)
    assert page.locator('svg').is_visible() and page.locator('.tape-controls').is_hidden()
    assert [words(page, n, '.arrived') for n in ('x', 'y')] == [['∂', '26'], ['∂', '13']]
    assert 'A tape, from left to right.' in page.get_by_role('img').get_attribute('aria-label')

def test_dark(show):
    page = show(fork())
    def colors(system, **attributes):
        page.emulate_media(color_scheme=system)
        page.evaluate('a => { for (const n of ["data-theme", "data-jp-theme-light"]) document.body.removeAttribute(n); for (const n in a) document.body.setAttribute(n, a[n]); }', attributes)
        return color(page, '.tape-steps'), color(page, '.tape-steps .name', 'fill'), color(page, '.tape-steps .card', 'fill')
    light,dark = colors('light'),colors('dark')
    assert all(a != b for a,b in zip(light, dark))
    for attribute, system, want in [({'data-theme': 'dark'}, 'light', dark), ({'data-theme': 'light'}, 'dark', light), ({'data-theme': 'auto'}, 'dark', dark),
                                    ({'data-jp-theme-light': 'false'}, 'light', dark), ({'data-jp-theme-light': 'true'}, 'dark', light)]:
        assert colors(system, **attribute) == want, (attribute, system)

@pytest.mark.parametrize('width', [1100, 390])
def test_several_on_a_page(show, width):
    page = show(fork(), network()[0], fork(), draw_tape(Var(1., requires_grad=True)*2), width=width)
    figures = page.locator('.tape-steps')
    for _ in range(8): figures.nth(2).locator('button[data-step="forward"]').click()
    said = [figures.nth(k).locator('.tape-status').inner_text() for k in range(3)]
    assert 'Backward 5 of 6' in said[2] and said[0].startswith('Start') and said[1].startswith('Start')
    assert figures.nth(3).locator('button').count() == 0

def test_names_are_text(show):
    x = Var(2., requires_grad=True)
    evil = '<script>alert(1)</script><img src=x onerror=alert(2)>'
    page = show(step_through(x*x, {evil: x}))
    page.locator('[data-node]').first.click()
    assert page.locator('.title b').inner_text() == evil and page.locator('img').count() == 0
