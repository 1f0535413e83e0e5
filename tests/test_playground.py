"The page that reads what one draws, in a real browser: against the library, by pen and by key."
import base64
import os
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
import numpy as np
import pytest
import torch
from PIL import Image
from conftest import heard
from in_browser import AXE
from mlfound.cli import main
from mlfound.convnet import BEST_PLAN, ConvNet
from mlfound.data import mnist
from mlfound.pictures import read_digit
from mlfound.playground import find_model, write_page
from mlfound.training import as_layers, init_he
from pictures import shapes, wobble

pytest.importorskip('playwright.sync_api',
                    reason='the page is not tried in a browser: pip install playwright')

SIDE = 280 # pixels of the field
DRAWN = 3*int(os.environ.get('MLFOUND_PICTURES', 10)) # digits that the pointer draws

# The page, opened --------------------------------------------------------------------------------

def until(page, holds, seconds=20):
    "Wait until an expression is true. Playwright's own way is `eval`, which the page refuses."
    end = time.time() + seconds
    while not page.evaluate(holds):
        assert time.time() < end, f'never true: {holds}'
        page.wait_for_timeout(50)

@pytest.fixture(scope='module')
def opening(lent, tmp_path_factory):
    "A function that opens the page of a model while a stack is open; none may complain or ask."
    said = []
    def asked(request):
        if not request.url.endswith('/draw.html'): said.append(request.url)
    def opening(stack, model=None, **options):
        path = tmp_path_factory.mktemp('page')/'draw.html'
        write_page(model, path)
        size = dict(viewport=dict(width=1180, height=1000))
        page = stack.enter_context(lent(**size | options))
        stack.enter_context(heard(page, console=lambda m: said.append(m.text), request=asked,
                                  pageerror=lambda e: said.append(str(e))))
        page.goto(path.as_uri())
        until(page, 'playground.app.reading !== null')
        return page
    yield opening
    assert said == []

@pytest.fixture
def open_page(opening):
    with ExitStack() as stack: yield partial(opening, stack)

@pytest.fixture(scope='module')
def page(opening):
    with ExitStack() as stack: yield opening(stack)

# As the library has it ---------------------------------------------------------------------------

def sent(t): return base64.b64encode(t.contiguous().float().numpy().tobytes()).decode()

def got(text): return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.float32)

# What the page makes of each row of 784 pixels: all that its layers put out, and the gradients for
# pixels and weights that a gradient of the scores brings back; one row of numbers a picture.
COMPUTE = '''([pixels, upstream]) => {
  const { app, forward, backward, weightGradients } = playground, net = app.state.nets[0];
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const numbers = (text) => new Float32Array(bytes(text).buffer);
  const all = numbers(pixels), gs = numbers(upstream), rows = [];
  for (let k = 0; k < all.length/784; k++) {
    const kept = forward(net, all.slice(784*k, 784*k + 784)), g = gs.slice(10*k, 10*k + 10);
    const grads = weightGradients(net, kept, g);
    rows.push(...kept.map((k) => k.out), backward(net, kept, g)[0]);
    for (const each of grads) if (each) rows.push(each.w, ...(each.b ? [each.b] : []));
  }
  const flat = new Float32Array(rows.reduce((n, r) => n + r.length, 0));
  let at = 0;
  for (const r of rows) { flat.set(r, at); at += r.length; }
  const text = [], out = new Uint8Array(flat.buffer);
  for (let k = 0; k < out.length; k += 30000)
    text.push(btoa(String.fromCharCode(...out.subarray(k, k + 30000))));
  return text;
}'''

def layers_of(model):
    "The network as the book's layers, in use; the first one sends a gradient to the pixels, too."
    layers = model.chain.layers if isinstance(model, ConvNet) else as_layers(model).layers
    for m in layers: m.training = False
    layers[0].input_grad = True
    return layers

def book(model, x, g):
    """What the library makes of one picture, in the page's order: what each layer puts out, then
    what `g`, that of the scores, brings back to the pixels and to the weights."""
    layers, outs = layers_of(model), []
    a = x.reshape(1, 1, 28, 28) if isinstance(model, ConvNet) else x[None]
    for m in layers:
        a = m(a)
        if type(m).__name__ not in ('Flatten', 'Dropout'): outs.append(a)
    g, grads = g[None], []
    for m in layers[::-1]:
        own = [getattr(m, n) for n in 'wb' if getattr(m, n, None) is not None]
        for t in own: t.grad = None
        g = m.backward(g)
        grads = [own_grads(m)] + grads if own else grads
    return [*outs, g, *(t for ts in grads for t in ts)]

def own_grads(m):
    "The gradients of a layer's weights; of a normalisation's, as the page holds it, `s` and `t`."
    if not hasattr(m, 'var'): return [t.grad for t in (m.w, m.b) if t is not None]
    scale = (m.var + m.eps)**.5
    return [m.w.grad*scale + m.mean*m.b.grad, m.b.grad]

def far(want, have):
    "The largest relative error of any tensor, and of which; `have` is one row of numbers."
    worst, at = (0., -1), 0
    for k, t in enumerate(want):
        own = have[at:at+t.numel()]
        at += t.numel()
        most = t.abs().max()
        error = float((own - t.reshape(-1)).abs().max()/most) if most else float(own.abs().max())
        worst = max(worst, (error, k))
    assert at == len(have)
    return worst

def compared(page, model, xs):
    "The relative errors of pictures, and how many have a unit that stands on another side."
    gs = torch.randn(len(xs), 10, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([*map(got, page.evaluate(COMPUTE, [sent(xs), sent(gs)]))]).view(len(xs), -1)
    errors, kinks = [], 0
    for x, g, row in zip(xs, gs, rows):
        error = far(book(model, x, g), row)
        if error[0] <= 1e-4: errors.append(error)
        elif near_a_kink(model, x): kinks += 1
        else: pytest.fail(f'relative error {error} (of which tensor)')
    return errors, kinks

def near_a_kink(model, x, within=2e-5):
    "Has relu or the largest of a window a choice to make that rounding decides?"
    a = x.reshape(1, 1, 28, 28) if isinstance(model, ConvNet) else x[None]
    for m in layers_of(model):
        if type(m).__name__ == 'ReLU' and (a.abs() <= within).any(): return True
        if type(m).__name__ == 'MaxPool2d':
            cells = a.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).topk(2).values
            gap = cells[..., 0] - cells[..., 1]
            if ((gap > 0) & (gap <= within)).any(): return True
        a = m(a)
    return False

def some(n, start=0): return mnist().test.x[start:start+n]

def test_the_page_computes_what_the_library_computes(page):
    "Outputs of all layers, gradients for pixels and weights, of 200 test digits."
    errors, kinks = compared(page, find_model(None)[1], some(200))
    assert len(errors) + kinks == 200 and kinks <= 4 # none, where this was written

def test_a_fault_would_be_seen(page):
    "The comparison fails where a weight of the page is another one."
    change = 'v => { playground.app.state.nets[0][0].w[3] *= v; }'
    page.evaluate(change, 1.01)
    with pytest.raises(pytest.fail.Exception): compared(page, find_model(None)[1], some(3))
    page.evaluate(change, 1/1.01)

def normalised():
    "The plan of chapter 49's best network, with averages as a training leaves them."
    rng = torch.Generator().manual_seed(1)
    net = ConvNet(BEST_PLAN, rng).eval()
    for _, norm in net.blocks:
        norm.mean.normal_(generator=rng)
        norm.var.uniform_(.5, 2, generator=rng)
        norm.w.normal_(generator=rng)
    return net

@pytest.mark.parametrize('model', [init_he([784, 10], torch.Generator().manual_seed(0)),
                                   init_he([784, 40, 30, 10], torch.Generator().manual_seed(0)),
                                   normalised()], ids=['linear', 'two hidden layers', 'best'])
def test_other_networks(open_page, model):
    page = open_page(model)
    errors, kinks = compared(page, model, some(12))
    assert len(errors) >= 8

# A pen ------------------------------------------------------------------------------------------

def by_hand(k, rng, every=1):
    """The strokes of a digit in the field, by another hand each time, with one in `every` of their
    points; and the width of the pen."""
    slant, wide, tall = rng.uniform(-.05, .2), rng.uniform(.85, 1.15), rng.uniform(110, 190)
    strokes = []
    for points in shapes[k % 10][rng.integers(2)]:
        p = wobble(points, rng)
        if len(p) > 8: p = np.concatenate([p[:-1:every], p[-1:]])
        strokes.append(np.stack([(p[:, 0]*wide + slant*(1 - p[:, 1]))*tall, p[:, 1]*tall], 1))
    every = np.concatenate(strokes)
    low, size = every.min(0), np.ptp(every, 0)
    start = 24 + rng.uniform(0, 1, 2)*(SIDE - 48 - size)
    return [(p - low + start).round(1).tolist() for p in strokes], int(rng.integers(12, 26))

INK = '''(strokes) => {
  const v = playground.inked(strokes), { x } = playground.prepare(v, 280), text = [];
  const out = new Uint8Array(new Float32Array([...v, ...x]).buffer);
  for (let k = 0; k < out.length; k += 30000)
    text.push(btoa(String.fromCharCode(...out.subarray(k, k + 30000))));
  return text;
}'''

def test_a_drawing_is_prepared_as_a_picture_is(page, tmp_path):
    """The same ink, once in the page and once in a file: the same answer, and the same pixels, but
    where `read_digit` turns the picture, which it compares with 20,000 digits for that."""
    rng, file, net = np.random.default_rng(7), tmp_path/'ink.png', find_model(None)[1]
    apart, differ = [], 0
    for k in range(100):
        lines, width = by_hand(k, rng)
        drawn = page.evaluate(INK, [dict(points=p, width=width) for p in lines])
        ink = torch.cat([*map(got, drawn)])
        v, x = ink[:-784].view(SIDE, SIDE), ink[-784:]
        Image.fromarray((255*(1 - v)).round().byte().numpy()).save(file)
        want = read_digit(file)
        apart.append(float((want - x).abs().mean()))
        differ += int((net(torch.stack([want, x])).argmax(1)).unique().numel() > 1)
    same = sum(a <= 1e-3 for a in apart)
    assert np.mean(apart) <= .02 and differ == 0 and same >= 75, (np.mean(apart), differ, same)

def test_what_is_drawn_is_read(page):
    "By real events of a pointer."
    rng, right = np.random.default_rng(11), 0
    field = page.locator('#field').bounding_box()
    zoom = (field['width'] - 4)/SIDE # without its border
    for k in range(DRAWN):
        strokes, width = by_hand(k, rng, 3)
        page.locator('#clear').dispatch_event('click')
        page.locator('#width').evaluate('(e, v) => { e.value = v; }', width)
        for points in strokes:
            for at, (x, y) in enumerate(points):
                page.mouse.move(field['x'] + 2 + zoom*x, field['y'] + 2 + zoom*y)
                if at == 0: page.mouse.down()
            page.mouse.up()
        page.evaluate('playground.app.frame()')
        right += page.locator('#answer').inner_text() == str(k % 10)
    assert right >= .95*DRAWN, right

# Everyone -----------------------------------------------------------------------------------------

def text(page, selector): return page.locator(selector).inner_text()

def settled(page):
    "Paint now what the browser would paint in its next frame."
    page.evaluate('playground.app.frame()')
    return page

def test_by_keyboard(open_page):
    "A test digit is chosen, its pixels are edited, and all is taken back, without a pointer."
    page = open_page()
    page.get_by_role('button', name='test digit 6').focus()
    page.keyboard.press('Enter')
    assert text(settled(page), '#answer') == '5'
    for _ in range(20): # whatever can be reached before the pixels
        page.keyboard.press('Tab')
        if page.evaluate('document.activeElement.id') == 'seen': break
    assert 'Point at a pixel' in text(page, '#readout')
    page.keyboard.press('ArrowUp')
    assert text(settled(page), '#readout').startswith('Row 14, column 15: ink ')
    page.keyboard.press('Delete')
    assert 'ink 0,' in text(settled(page), '#readout')
    page.keyboard.press('+')
    assert 'ink 0.1,' in text(settled(page), '#readout')
    page.keyboard.press(' ')
    assert 'ink 1,' in text(settled(page), '#readout')
    for _ in range(4): page.keyboard.press('Control+z')
    assert page.evaluate('playground.app.state.pictures.length') == 1
    until(page, 'document.querySelector("#said").textContent.includes("reads 7")')

def faded(page):
    return page.evaluate('getComputedStyle(document.querySelector("#paper")).opacity')

def test_the_pixels_move_and_come_back(open_page):
    page = open_page(reduced_motion='reduce')
    before = page.evaluate('[...playground.app.reading.x]')
    page.locator('#target').select_option('2')
    page.locator('#step').click()
    assert text(settled(page), '#changed').startswith('After 1 step a 2 has probability')
    assert text(page, '#shown') == 'changed by the network; draw to start over'
    assert page.locator('#hint').is_hidden() and faded(page) == '1'
    for _ in range(30):
        if page.evaluate('playground.app.reading.answer') == 2: break
        page.evaluate('document.querySelector("#step").click(); playground.app.frame()')
    assert text(page, '#answer') == '2' and page.locator('#all-back').is_enabled()
    assert page.locator('#truth').input_value() == '7'      # as it was first read
    page.locator('#all-back').click()
    assert text(settled(page), '#answer') == '7'
    assert page.evaluate('[...playground.app.reading.x]') == before
    assert page.locator('#hint').is_visible() and page.locator('#shown').is_hidden()
    page.locator('#grey').click()
    until(page, 'playground.app.running && playground.app.reading.answer === 2')
    page.locator('#run').click()
    assert not page.evaluate('playground.app.running')

def to_learn(page, rate):
    "The page, which takes its digit for a 3 from now on, and steps of this rate."
    page.locator('#truth').select_option('3')
    page.locator('#rate').fill(rate)
    return page

def test_one_step_of_training_and_back(open_page):
    "The loss falls as the library's own step makes it fall; taken back, every weight is as before."
    page = to_learn(open_page(), '-3')
    page.locator('#train').click()
    settled(page)
    said = page.evaluate('playground.app.taught')
    assert '1 step taken. Loss' in text(page, '#trained')
    rate = 10**float(page.locator('#rate').input_value())
    net, x = find_model(None)[1], got(page.evaluate(
        'btoa(String.fromCharCode(...new Uint8Array(playground.app.reading.x.buffer)))'))
    layers = layers_of(net)
    def loss():
        z = net.chain(x.view(1, 1, 28, 28))
        return torch.nn.functional.cross_entropy(z, torch.tensor([3])), z
    before, z = loss()
    g = z.softmax(1)
    g[0, 3] -= 1
    net.chain.backward(g)
    for m in layers:
        for t in [getattr(m, n) for n in 'wb' if getattr(m, n, None) is not None]: t -= rate*t.grad
    with torch.no_grad(): after, _ = loss()
    assert abs(said['before'][0] - before) < 1e-4*before
    assert abs(said['after'][0] - after) < 1e-3*after
    page.locator('#untrain').click()
    assert text(settled(page), '#trained') == 'The network is as it came.'
    assert page.evaluate('playground.app.state.nets.length') == 1

def test_what_is_learnt_is_compared_with_the_network_as_it_came(open_page):
    "The harm of two steps stays in sight at the second, and goes as they are taken back."
    page = to_learn(open_page(), '0')
    assert page.locator('#taught').is_hidden()
    first = page.evaluate('playground.app.digits.length')
    for said in ('1 step', '2 steps'):
        page.locator('#train').click()
        assert text(settled(page), '#taught') == f'taught by you, {said}'
        now = page.evaluate('playground.app.right[1]')
        told = f'Of {first} test digits it read {first} right as it came, and {now} now.'
        assert text(page, '#trained').endswith(told) and now < first
    page.locator('#untrain').click()
    assert text(settled(page), '#taught') == 'taught by you, 1 step'
    page.locator('#untrain').click()
    settled(page)
    assert page.locator('#taught').is_hidden()

def test_nothing_drawn(open_page):
    page = open_page()
    page.locator('#clear').evaluate('e => { e.disabled = false; e.click(); }')
    assert text(settled(page), '#answer') == '–' and text(page, '#sure') == 'Nothing is drawn yet.'
    assert page.locator('#step').is_disabled() and page.locator('#train').is_disabled()
    for hint in ('#choose', '#readout', '#unit', '.legend'):
        assert page.locator(hint).is_hidden()

def test_a_finger(open_page):
    "On a telephone: a line drawn by touch is read, and the page stays where it is."
    page = open_page(viewport=dict(width=390, height=844), has_touch=True, is_mobile=True)
    box = page.locator('#field').bounding_box()
    touch = page.context.new_cdp_session(page)
    def send(kind, *at):
        points = [dict(x=box['x'] + x*box['width'], y=box['y'] + y*box['height']) for x, y in at]
        touch.send('Input.dispatchTouchEvent', dict(type=kind, touchPoints=points))
    send('touchStart', (.5, .2))
    for y in (.3, .4, .5, .6, .7, .8): send('touchMove', (.5, y))
    send('touchEnd')
    assert text(settled(page), '#answer') == '1' and page.evaluate('scrollY') == 0
    assert page.evaluate('document.documentElement.scrollWidth') <= 390

@pytest.mark.parametrize('width', [390, 1180])
def test_accessible(browser, open_page, width):
    "What axe finds, at first and after all was tried, in the light and in the dark."
    npm = Path(sys.prefix)/'npm/node_modules/axe-core/axe.min.js'
    if not npm.exists(): pytest.skip('no axe; make docs installs it')
    page = open_page(viewport=dict(width=width, height=900), bypass_csp=True)
    page.add_script_tag(path=npm)
    page.add_style_tag(content='* { transition: none !important }')
    for act in '', '#step', '#train', '.map', '#bars button':
        if act: page.locator(act).first.click()
        for scheme in 'light', 'dark':
            page.emulate_media(color_scheme=scheme)
            settled(page)
            assert page.evaluate(AXE, {}) == [], (act, scheme)

def test_dark(open_page):
    "As the system says, or as the page around it does."
    page = open_page(color_scheme='light')
    def ground(): return page.evaluate('getComputedStyle(document.body).backgroundColor')
    light = ground()
    page.emulate_media(color_scheme='dark')
    dark = ground()
    page.evaluate('postMessage({ mlfound: "theme", theme: "light" }, "*")')
    until(page, 'document.documentElement.dataset.theme === "light"')
    assert dark != light == ground()

# Nothing else runs ------------------------------------------------------------------------------

INTRUDE = '''async () => {
  const refused = [];
  addEventListener('securitypolicyviolation', (e) => refused.push(e.effectiveDirective));
  const add = (tag, more) => document.body.append(Object.assign(document.createElement(tag), more));
  add('script', { textContent: 'globalThis.intruded = true' });
  add('img', { src: 'https://example.org/x.png' });
  add('p', { innerHTML: '<b style="color: red" onclick="globalThis.intruded = true">x</b>' });
  document.querySelector('p b').click();
  setTimeout('globalThis.intruded = true');
  await fetch('https://example.org/').catch(() => 0);
  await new Promise((done) => setTimeout(done, 300));
  return [globalThis.intruded ?? null, [...new Set(refused)].sort()];
}'''

def test_nothing_else_runs(browser, tmp_path):
    "No script, style, picture or request but what the page came with."
    write_page(None, tmp_path/'draw.html')
    page = browser.new_page()
    page.goto((tmp_path/'draw.html').as_uri())
    intruded, refused = page.evaluate(INTRUDE)
    assert intruded is None
    assert {'connect-src', 'img-src', 'script-src-elem', 'script-src-attr'} <= {*refused}, refused
    assert 'style-src-attr' in refused
    page.close()

def test_it_is_small_and_from_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['draw', '--no-open']) == 0 and 'to draw on draw.html' in capsys.readouterr().out
    assert (tmp_path/'draw.html').stat().st_size <= 400_000
    (tmp_path/'mine.html').write_text('years of work')
    assert main(['draw', '--no-open', '--out', 'mine.html']) == 2
    assert (tmp_path/'mine.html').read_text() == 'years of work'
    monkeypatch.setattr('webbrowser.open', lambda url: bool(opened.append(url)))
    opened = []
    assert main(['draw']) == 0 and opened == [(tmp_path/'draw.html').as_uri()]
    assert 'no browser was found' in capsys.readouterr().out

def test_in_a_notebook(browser, tmp_path):
    "The frame that Jupyter shows: it reads, and cannot touch what is around it."
    shown = write_page(None, tmp_path/'draw.html')._repr_html_()
    (tmp_path/'notebook.html').write_text(f'<!doctype html><p>Text.{shown}', encoding='utf-8')
    page, said = browser.new_page(), []
    page.on('console', lambda m: said.append(m.text))
    page.on('pageerror', lambda e: said.append(str(e)))
    page.goto((tmp_path/'notebook.html').as_uri())
    frame = page.frame_locator('iframe')
    frame.get_by_role('button', name='test digit 4').click()
    frame.locator('#answer', has_text='3').wait_for()
    assert page.frames[1].evaluate('''() => {
      try { return parent.document.title; } catch (error) { return error.name; }
    }''') == 'SecurityError' and said == []
    page.close()
