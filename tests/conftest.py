"What several tests use."
import gc, os, random, shutil, subprocess, sysconfig
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock
import numpy as np
import pytest
import torch

root = Path(__file__).resolve().parents[1]
scripts = Path(sysconfig.get_path('scripts'))
os.environ['MLFOUND_STRICT'] = '1' # the book's experiments give the book's numbers, or fail

# A worker takes file after file, and whoever is left with a long one at the end works alone: these
# come first, the longest at the front. The others take less than 20 s each.
LONGEST = ('site playground command workbook operations pictures benchmarks scale wheel doctor '
           'movable figure sample_inputs predict transforms verify').split()

def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.stem.removeprefix('test_')
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)
    items.sort(key=place)

def pytest_collection_finish():
    "What is loaded by now stays: no test need wait while Python looks through it for garbage."
    gc.collect()
    gc.freeze()

def seed_all():
    "The same numbers for whoever draws without a generator of his own: PyTorch starts with others."
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)

def pytest_collectstart(collector):
    "Before a file is imported, and whichever was before it."
    seed_all()

@pytest.fixture(autouse=True)
def the_same_numbers():
    "Before a test, and whichever was before it."
    seed_all()

def settings():
    "The project's facts."
    cfg = ConfigParser()
    cfg.read(root/'settings.ini', encoding='utf-8')
    return cfg['DEFAULT']

def modules():
    "The names of the library's modules."
    return sorted(p.stem for p in (root/'mlfound').glob('*.py') if not p.stem.startswith('_'))

def run(*command, cwd=root):
    "What `command` prints; if it fails, the test fails and shows that."
    env = {k:v for k,v in os.environ.items() if k != 'PYTHONPATH'}
    read = dict(text=True, encoding='utf-8', errors='replace')
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **read)
    if done.returncode:
        called = ' '.join([Path(command[0]).name, *map(str, command[1:2])])
        pytest.fail(f'{called} failed:\n{done.stdout}', pytrace=False)
    return done.stdout

def copy_tree(to):
    "Copy the working tree, without what git ignores, so that no test changes a file of yours."
    ignored = [l.rstrip('/') for l in (root/'.gitignore').read_text().split()]
    return shutil.copytree(root, to, ignore=shutil.ignore_patterns('.git', *ignored))

def contents(folder):
    "Every file under `folder` by its relative path, with line ends as in git."
    return {p.relative_to(folder).as_posix(): p.read_bytes().replace(b'\r\n', b'\n')
            for p in Path(folder).rglob('*') if p.is_file() and '__pycache__' not in p.parts}

@pytest.fixture
def few_digits(monkeypatch):
    "The commands learn from and look at so many; where a training is tried, not what it learns."
    from mlfound.data import Split, Splits, mnist
    def few(path=None): return Splits(*(Split(*(t[:200] for t in part)) for part in mnist(path)))
    monkeypatch.setattr('mlfound.jobs.mnist', few)

@contextmanager
def interrupted_after(epochs):
    "Whoever trains in here presses Ctrl-C at the beginning of the next epoch."
    import mlfound.fit
    left, epoch = [epochs], mlfound.fit.epoch
    def stops(*args):
        if not left[0]: raise KeyboardInterrupt
        left[0] -= 1
        epoch(*args)
    with mock.patch('mlfound.fit.epoch', stops): yield

@pytest.fixture(scope='session')
def browser():
    "One Chromium for every test that needs one."
    import browser as chromium # docs/ is on the path
    required = os.environ.get('MLFOUND_BROWSER') == 'required'
    if not chromium.executable():
        if required: pytest.fail('no Chromium found, and MLFOUND_BROWSER says that it is required')
        pytest.skip('not tested in a browser: no Chromium found; install it '
                    '(Debian: apt install chromium-headless-shell) or name it in MLFOUND_CHROMIUM')
    with chromium.chromium() as opened: yield opened

HEAD = ('<!doctype html><html lang="en"><meta charset="utf-8"><title>Figures</title>'
        '<meta name="viewport" content="width=device-width"><body>')

@pytest.fixture(scope='session')
def lent(browser):
    """Lends a page with these options, and takes it back for the next who asks for the same: to
    open one takes a browser longer than most tests take."""
    idle = {}
    @contextmanager
    def lend(**options):
        free = idle.setdefault(repr(sorted(options.items())), [])
        page = free.pop() if free else browser.new_context(**options).new_page()
        yield page
        page.evaluate('() => { try { localStorage.clear(); } catch {} }')
        page.goto('about:blank')
        page.emulate_media(color_scheme='null')
        page.mouse.move(0, 0)
        free.append(page)
    return lend

@contextmanager
def opened(browser, **options):
    "A page that nobody else gets."
    page = browser.new_context(**options).new_page()
    yield page
    page.context.close()

@contextmanager
def heard(page, **listeners):
    "The page's events go to these functions."
    for event, listener in listeners.items(): page.on(event, listener)
    yield
    for event, listener in listeners.items(): page.remove_listener(event, listener)

@pytest.fixture
def show(browser, lent, tmp_path):
    """A function that opens a page with these figures, or shows them `on` an open one; none may
    complain, ask, or scroll sideways. A page that is not left as it was is asked for `alone`."""
    said, stack = [], ExitStack()
    def asked(request):
        known = request.url.endswith('/page.html') or request.url.startswith(('about:', 'data:'))
        if not known: said.append(request.url)
    def dismissed(dialog):
        said.append(dialog.message)
        dialog.dismiss()
    def fits(page): # Playwright's own; it works without scripts, too
        beyond = page.evaluate('document.documentElement.scrollWidth - innerWidth')
        if beyond > 0: said.append(f'the page scrolls sideways by {beyond} pixels')
    def new(width, alone, options):
        how = opened(browser, **options) if alone else lent(**options)
        page = stack.enter_context(how)
        page.set_viewport_size(dict(width=width, height=900))
        stack.enter_context(heard(page, console=lambda m: said.append(m.text), request=asked,
                                  pageerror=lambda e: said.append(str(e)), dialog=dismissed))
        stack.callback(fits, page)
        return page
    def show(*figures, width=1100, on=None, alone=False, **options):
        text = HEAD + '<p>Some text.</p>'.join(figures)
        (tmp_path/'page.html').write_text(text, encoding='utf-8')
        if on: fits(on)
        page = on or new(width, alone, options)
        page.goto((tmp_path/'page.html').as_uri())
        return page
    with stack: yield show
    assert said == []
