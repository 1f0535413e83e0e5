"The figures with settings, in a real browser: they compute what Python computes."
import math
import sys
from pathlib import Path
import pytest
from mlfound.curves import depth, descend, spreads, valley
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
