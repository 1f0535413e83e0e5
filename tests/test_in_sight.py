"""Whoever types along types what is in sight, and opens one fold, Set-up: that much of each chapter
of the path runs from top to bottom, and says what the book says. (tests/notebooks.py runs all.)"""
import json
import pytest
import book # docs/ is on the path
import folds
import started

RUN = '''
import json, sys
from execnb.shell import CaptureShell
shell = CaptureShell()
for name, code in json.load(open(sys.argv[1], encoding='utf-8')):
    shell.run(code)
    if shell.exc: sys.exit(f'{name}: {type(shell.exc).__name__}: {shell.exc}')
'''

def in_sight(cells):
    "Of these cells, `(name, code)` of those that no fold hides, and of those under Set-up."
    for cell, how, inside in folds.folds(cells):
        if cell['cell_type'] == 'code' and not inside and how.name in ('', folds.SET_UP):
            yield cell['id'], book.source(cell)

def typed(cells, folder):
    "What stops the reader who types this, or ''."
    file, script = folder/'typed.json', folder/'run.py'
    file.write_text(json.dumps(cells), encoding='utf-8')
    script.write_text(RUN, encoding='utf-8')
    ours = dict(MLFOUND_STRICT='1', OMP_NUM_THREADS='1', MPLBACKEND='agg')
    code, err, _ = started.typed(file, cwd=book.root, env=ours, script=script)
    return err if code else ''

@pytest.mark.parametrize('path', book.path_chapters(), ids=book.docname)
def test_what_is_in_sight_runs_as_typed(path, tmp_path):
    stopped = typed([*in_sight(book.cells(path))], tmp_path)
    assert not stopped, f'{path.name}: {stopped}; import in Set-up what only a fold defines'

def test_the_short_cut_runs_as_typed(tmp_path):
    "Chapter 04 invites to go from its small engine to `Step through it`: so typed, it runs, too."
    cells = book.cells(book.nbs/'04_Autograd.ipynb')
    def at(title): return next(k for k, c in enumerate(cells) if title in book.source(c))
    assert 'You may stop here' in book.source(cells[at('## The library\'s engine')])
    way = cells[:at('## The library\'s engine')] + cells[at('## Step through it'):]
    assert not (stopped := typed([*in_sight(way)], tmp_path)), stopped

def test_what_a_fold_hides_is_missed(tmp_path):
    def cell(name, text):
        return dict(cell_type='code', id=name, source=text, outputs=[], metadata={})
    cells = [cell('set-up', '#| hide\nfrom math import pi'),
             cell('folded', '#| code-fold: true\ndef f(): return pi'), cell('seen', 'pi, f()')]
    assert [name for name, _ in in_sight(cells)] == ['set-up', 'seen']
    assert "seen: NameError: name 'f' is not defined" in typed([*in_sight(cells)], tmp_path)
