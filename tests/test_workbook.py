"Every exercise has a blank that is open, solutions that are right, and mistakes that are named."
import ast
import json
import os
import re
import subprocess
import sys
import time
import warnings
from itertools import product

import numpy as np
import pytest
import torch
import started
import workbook # docs/ is on the path
import workbook_slips
from workbook_answers import RIGHT, WRONG, unfinished
from mlfound import exercises
from mlfound.cli import main
from mlfound.catalogue import find, found
from mlfound.fits import (EXERCISES, WORDS, all_mutations, attempt, first_wrong, functions,
                          names_for, pack, solved, versions, words)
from mlfound.judge import breakable, broken, judge, kinds_like
from mlfound.mutants import rejections
from mlfound.pieces import blank, load, name_of
from mlfound.sources import broken_as
from mlfound.verify import case, rule_of
from mlfound.workbook import best, check, notebook, solution, standing, table, write_workbook

everything = os.environ.get('MLFOUND_WORKBOOK') == 'all'
MUTANTS = 1 if everything else 3 # one in so many is judged
written = [n for n, e in EXERCISES.items() if e.kind == 'write']
predicted = [n for n, e in EXERCISES.items() if e.kind == 'predict']
hidden = [n for n, e in EXERCISES.items() if e.kind == 'find']

@pytest.fixture(autouse=True)
def by_itself(monkeypatch, tmp_path):
    "Nothing is counted from one test to the next."
    import mlfound.workbook as desk
    monkeypatch.setattr(desk, 'RIGHT', {})
    monkeypatch.setattr(desk, 'SAID', {})
    monkeypatch.chdir(tmp_path)

@pytest.fixture
def here(monkeypatch):
    "Without a process for each answer, which takes longer than most answers."
    import mlfound.sandbox as sandbox
    monkeypatch.setattr(sandbox, 'FORKS', False)

def test_it_is_in_step_with_the_book(monkeypatch):
    "In this process: whatever it breaks to ask about is broken for the tests below as well."
    monkeypatch.setattr(sys, 'argv', ['workbook.py', '--check'])
    workbook.main()

@pytest.mark.parametrize('name', EXERCISES)
def test_words(name):
    text = pack()[name]
    assert text['question'] and text['why'] and len(text['hints']) == 2

@pytest.mark.parametrize('name', written)
def test_the_blank_is_open(here, name):
    text = blank(pack()[name]['source'])
    answer = load(text, names_for(name), f'blank {name}')[name_of(text)]
    assert check(name, answer).state == 'open'

@pytest.mark.parametrize('name', predicted)
def test_a_prediction(name):
    assert check(name, ...).state == 'open'
    assert check(name, solved(name)).state == 'right'
    assert check(name, 'nonsense').state == 'wrong'

@pytest.mark.parametrize('name', written)
def test_the_solution_is_right(here, name):
    verdict = check(name, solved(name))
    assert verdict.ok and not verdict.remarks, verdict

@pytest.mark.parametrize('name', written)
def test_another_solution_is_right(here, name):
    verdict = check(name, RIGHT[name])
    assert verdict.ok, verdict

def some(names): return names if everything else names[::6]

@pytest.mark.parametrize('name', hidden)
def test_what_is_broken_is_found_and_mended(here, name):
    of = EXERCISES[name].of
    for seed in range(len(breakable(name)) if everything else 2):
        text = broken(name, seed)
        bad = load(text, names_for(of), f'broken {name} {seed}')[name_of(text)]
        assert check(name, bad, seed=seed).state == 'open'
        kind = breakable(name)[seed].mistake
        assert check(name, bad, kind, seed).state == 'wrong'
        assert check(name, solved(of), kind, seed).state == 'right'
        assert check(name, solved(of), 'nonsense', seed).state == 'wrong'

def drawn_anew(script, answer, monkeypatch):
    "What the script yields on other numbers."
    drawn = exercises.drawn
    def other(*shape, seed=0): return drawn(*shape, seed=seed+1000)
    with monkeypatch.context() as m:
        m.setattr(exercises, 'drawn', other)
        return attempt(script, answer, seconds=1, forks=False)

@pytest.mark.parametrize('name', written)
def test_every_mutant_is_wrong_and_named(here, name, monkeypatch):
    """A mutant that differs from the solution on other numbers, or in a rule's measured slopes, is
    wrong; the named mistake is the one that was made."""
    right, script = solved(name), EXERCISES[name].script
    want = drawn_anew(script, right, monkeypatch)
    wrong = {(v.f, ast.unparse(v.node)) for v in versions(name)} # by the script's own numbers
    named = rejected = 0
    for f in functions(right):
        for mistake, node in all_mutations(f)[::MUTANTS]:
            with broken_as(f, node):
                anew = drawn_anew(script, right, monkeypatch)
                if anew.ended or not first_wrong(anew, want)[1]: continue # busy machines are slow
            rejected += 1
            assert (f, text := ast.unparse(node)) in wrong, f'{mistake}: {text}'
    tried = [v for v in versions(name) if not v.outcome.ended][::1 if everything else 9]
    for v in tried:
        with broken_as(v.f, v.node): verdict = judge(name, solved(name))
        assert verdict.state == 'wrong'
        named += words(v) in verdict.fits
    COUNTS[name] = rejected, len(tried), named

COUNTS = {}
def want_of(name): return attempt(EXERCISES[name].script, solved(name), forks=False)

def test_mutants_are_hundreds_and_most_are_named():
    "After the test above; alone it has nothing to say."
    if set(COUNTS) < set(written): pytest.skip('the mutants were not all tried')
    rejected, shown, named = (sum(c) for c in zip(*COUNTS.values()))
    assert rejected >= 1700//MUTANTS and named/shown >= .85, (rejected, shown, named)

@pytest.mark.parametrize('name, answer, says', [*WRONG, *workbook_slips.WRONG])
def test_mistakes_as_readers_make_them_are_named(here, name, answer, says):
    verdict = check(name, answer)
    said = verdict.fits or [verdict.says]
    assert verdict.state == 'wrong' and re.search(says, ' '.join(said)), verdict

@pytest.mark.parametrize('name, answer', workbook_slips.LOST)
def test_what_has_no_name_is_wrong_and_gets_none(here, name, answer):
    verdict = check(name, answer)
    assert verdict.state == 'wrong' and not verdict.fits, verdict

def forever(g, x):
    while True: pass
def raises(g, x): return undefined # noqa: F821
def prints(g, x):
    print('x'*2**20)
    return torch.where(x > 0, g, 0)
def changes(g, x):
    g[x <= 0] = 0
    return g
def seeds(g, x):
    torch.manual_seed(0)
    np.random.seed(0)
    return torch.where(x > 0, g, 0)
def hungry(g, x): return torch.ones(2**34)
def to_numpy(g, x): return (g*(x > 0)).numpy()
def to_list(g, x): return (g*(x > 0)).tolist()
def to_float32(g, x): return torch.where(x > 0, g, 0).float()
def to_column(g, x): return torch.where(x > 0, g, 0)[..., None]
def forgets(g, x): torch.where(x > 0, g, 0)
def leaves(g, x): raise SystemExit(3)
def deep(g, x): return deep(g, x)

@pytest.mark.parametrize('answer, state, says', [
    (raises, 'wrong', 'NameError.*in the line `def raises'), (prints, 'right', '4,194,308'),
    (changes, 'wrong', 'argument g in place'), (seeds, 'right', 'global random numbers'),
    (to_numpy, 'wrong', 'is a ndarray; return a tensor'), (to_list, 'wrong', 'is a list'),
    (to_float32, 'wrong', 'right numbers, but it is float32'), (leaves, 'wrong', 'SystemExit'),
    (to_column, 'wrong', r'has shape \(2, 1\) and should have \(2,\)'),
    (forgets, 'wrong', 'is a return missing'), (deep, 'wrong', 'RecursionError'),
    (3, 'wrong', 'pass relu_vjp itself')])
@pytest.mark.parametrize('forks', [True, False])
def test_whatever_it_does(monkeypatch, capfd, answer, state, says, forks):
    import mlfound.sandbox as sandbox
    monkeypatch.setattr(sandbox, 'FORKS', forks and sandbox.FORKS)
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    verdict = check('02.2', answer)
    assert verdict.state == state and re.search(says, str(verdict)), verdict
    assert capfd.readouterr() == ('', '')
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()

def test_nothing_is_left_to_interrupt_what_comes_next():
    """A debugger's trace goes on afterwards. An error that was taken back, in place of being let
    out, leaves Python 3.11 asking for it at every call: under a trace, for ever."""
    program = """
import sys
from mlfound.sandbox import attempt
def forever(x):
    while True: pass
def script(f): yield f(1)
for answer in (abs, forever):
    print(attempt(script, answer, seconds=1, forks=False).ended or 'ended')
sys.setprofile(lambda *_: None)
print((lambda: 'traced')())
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                          timeout=100)
    assert done.stdout.split() == ['ended', 'time', 'traced'], done.stderr


@pytest.mark.parametrize('forks', [True, False])
def test_an_endless_loop_is_ended(monkeypatch, forks):
    import mlfound.sandbox as sandbox
    monkeypatch.setattr(sandbox, 'SECONDS', .5)
    monkeypatch.setattr(sandbox, 'FORKS', forks and sandbox.FORKS)
    start = time.monotonic()
    assert 'loop that does not end' in str(check('02.2', forever))
    assert time.monotonic()-start < 10

@pytest.mark.skipif(not __import__('sys').platform.startswith('linux'), reason='needs a fork')
def test_what_takes_too_much_memory_is_ended():
    assert 'too much memory' in str(check('02.2', hungry))

def fails(g, *_, **more): return g.no_such_method()

@pytest.mark.parametrize('name, answer, says, never', [
    ('02.6', fails, 'AttributeError', 'fits'),                   # some mutants raise it, too
    ('02.1', lambda g, p, t: 2*g*(p-t)**2/p.numel(), 'should be', 'times the right'),
    ('02.1', lambda g, p, t: 5*g*(p-t)/p.numel(), 'fits: a .*(2.5 times|constant)', 'None'),
    ('02.4', lambda g, x: (x.T@g).float()*3, 'should be', 'float32'),  # numbers first
    ('02.6', lambda g, *_, **more: {}.get(0), r'None: is a return missing\?$', '3 results'),
    ('02.2', 'relu_vjp', 'pass relu_vjp itself, without quotes', 'fits'),
    ('02.13', 3, 'pass mended itself', 'lin_vjp_b'),
    ('00.2', '(784,)', 'write it without quotes', 'fits')])
def test_what_is_said_is_so(name, answer, says, never):
    said = str(check(name, answer))
    assert re.search(says, said, re.M) and never not in said, said

def certified(name):
    "The library's own function that solves an exercise, and the row of the catalogue about it."
    key, _, which = EXERCISES[name].home.partition('#')[2].partition('[')
    for trial in find():
        if trial.path.split('.')[-1] != key: continue
        if trial.kind == 'function' and not which: return found(trial.path), rule_of(trial)
        if trial.kind != 'operation': continue
        op = found(trial.path, operation=True).op
        return op.rules[int(which[:-1])][0] if which else op.fn, rule_of(trial)

accepted = { # exercise, mistake: why the certificate accepts what the workbook does not
    **dict.fromkeys(product(('01.2', '05.2'), ('factor', 'sign', 'dropped step', 'dropped term')),
                    'it judges rules; these are functions of the way forward'),
    ('10.4', 'wrong variable'): 'a length that nobody reads, of a window that has none here'}

@pytest.mark.parametrize('name', [*filter(certified, written)])
def test_what_the_certificate_rejects_is_wrong(name):
    "The three judges of chapter 07 and the workbook's, on the same mutants of the same function."
    f, rule = certified(name)
    want, script = want_of(name), EXERCISES[name].script
    for k in range(len(rule.calls)): case(rule, k)   # while all is right
    assert not first_wrong(attempt(script, f, forks=False), want)[1]
    for mistake, node in all_mutations(f)[::1 if everything else 9]:
        with broken_as(f, node), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try: certificate = bool(rejections(rule))
            except (NameError, AttributeError, TypeError, SyntaxError): certificate = True
            wrong = bool(first_wrong(attempt(script, f, seconds=2, forks=False), want)[1])
        change = ast.unparse(node)[-300:]
        assert wrong or not certificate, f'{mistake} is rejected by the certificate: {change}'
        assert certificate or not wrong or (name, mistake) in accepted, (mistake, change)

class Shared:
    "Its memory is everybody's."
    def __call__(self, *inputs):
        Shared.inputs = inputs
        return self.forward(*inputs)
    def backward(self, g): return self.bwd(g, *Shared.inputs)
def turns(self, g, x):
    self.layers = self.layers[::-1]
    for each in self.layers: g = each.backward(g)
    return g
def uncalled(self, x):
    for each in self.layers: x = each.forward(x)
    return x
def keeps(self, g, x):
    self.gw, self.gb = x.T@g, g.sum(0)
    return g@self.w.T
def assigns(self, g, x):
    self.w.grad, self.b.grad = x.T@g, g.sum(0)
    return g@self.w.T
def each_arrival(end):
    "Deals with a line each time that something arrives at it."
    grads = {end: getattr(end, 'data', 0)*0 + 1}
    def back(line, g):
        for to, rule in line.edges:
            new = rule(g)
            if hasattr(to, 'data'): new = new.sum_to_size(to.data.shape)
            grads[to] = grads.get(to, 0) + new
            back(to, new)
    back(end, grads[end])
    return grads
def in_place(end):
    grads = {end: torch.ones_like(end.data)}
    for v in sorted(solved('04.5')(end), key=lambda each: -each.number):
        for to, rule in v.edges:
            g = rule(grads[v]).sum_to_size(to.data.shape)
            if to in grads: grads[to] += g
            else: grads[to] = g
    return grads
@pytest.mark.parametrize('name, answer, says', [
    ('03.1', Shared, 'still remembers 3 and 5'),
    ('03.2', unfinished(solved('03.2'), 'bwd', turns), 'a second time'),
    ('03.2', unfinished(solved('03.2'), 'forward', uncalled), 'has to be called, l.x., or'),
    ('03.6', unfinished(solved('03.6'), 'bwd', keeps), 'w.grad` is still None'),
    ('03.6', unfinished(solved('03.6'), 'bwd', assigns), 'after two uses'),
    ('04.1', each_arrival, '24 forks in a row: is a line dealt with more'),
    ('04.5', each_arrival, '24 forks in a row: is a line dealt with more'),
    ('04.1', lambda end: {end: 1}, 'no entry for x, line 0'),
    ('04.5', lambda end: {end: 1}, 'no entry for x, line'),
    ('04.1', lambda end: {}.get(0), 'None: is a return missing'),
    ('04.5', in_place, 'fits: something is added to in place')])
def test_layers_and_tapes_are_told_what_they_forget(monkeypatch, name, answer, says):
    import mlfound.sandbox as sandbox
    monkeypatch.setattr(sandbox, 'SECONDS', 1.)
    verdict = check(name, answer)
    assert verdict.state == 'wrong' and re.search(says, str(verdict)), verdict
    assert not re.search('a factor: it is', str(verdict))

@pytest.mark.parametrize('name, line, kinds', [
    ('02.12', 'return g * 3 / pred.numel() * (pred - targ)', {'factor'}),
    ('03.8', 'gz = ga', {'dropped step', 'dropped term'}),
    ('04.12', 'g = rule(grads[v])', {'missing unbroadcast', 'missing sum', 'dropped step'})])
def test_the_first_mistake_is_one_clear_thing(here, name, line, kinds):
    assert line in [row.strip() for row in broken(name).split('\n')]
    right = solved(EXERCISES[name].of)
    assert kinds <= {k for k in WORDS if check(name, right, k).ok}
    said = str(check(name, right, 'zero'))
    assert f'broken: {line}\nright:  ' in said and all(text in said for text in WORDS.values())

@pytest.mark.parametrize('name', hidden)
def test_each_seed_has_another_mistake(here, name):
    of = EXERCISES[name].of
    count = len(breakable(name))
    notes = {c['id']: c['source'] for c in notebook(name.split('.')[0])['cells']}
    assert notes['check-' + name.replace('.', '-')].endswith(f': 1 to {count-1}')
    texts = [broken(name, seed) for seed in range(count)]
    assert len({*texts}) == count and broken(name, count) == texts[0]
    assert check(name, load(texts[1], names_for(of), 'one')[name_of(texts[1])]).state != 'open'

def test_another_seed_does_not_set_a_find_back(here, tmp_path):
    right = solved('02.1')
    write_workbook(tmp_path)
    os.chdir(tmp_path)
    assert check('02.12', right, 'factor').ok and not check('02.12', right, seed=1).ok
    path = tmp_path/'02_Backward.ipynb'
    assert '02.12 right' in (tmp_path/'progress.txt').read_text()
    filled(tmp_path, ['02.12'])
    nb = json.loads(path.read_text(encoding='utf-8'))
    at = next(k for k, c in enumerate(nb['cells']) if c['id'] == 'check-02-12')
    again = dict(nb['cells'][at], id='again', source="check('02.12', mended, 'zero', seed=1)")
    nb['cells'].insert(at+1, again)
    path.write_text(json.dumps(nb), encoding='utf-8')
    assert {r.name: r.state for r in standing(tmp_path)}['02.12'] == 'right'

def test_a_cell_that_does_not_run_is_said_to(here, tmp_path):
    write_workbook(tmp_path)
    path = tmp_path/'02_Backward.ipynb'
    nb = json.loads(path.read_text(encoding='utf-8'))
    for cell in nb['cells']:
        if cell['id'] == 'answer-02-3': cell['source'] = 'def lin_vjp_x(g, w) return g@w.T'
        if cell['id'] == 'answer-02-4': cell['source'] = 'lin_vjp_w = missing'
    path.write_text(json.dumps(nb), encoding='utf-8')
    rows = {r.name: r for r in standing(tmp_path)}
    assert rows['02.3'].says == 'its cell does not run: SyntaxError, line 1'
    assert rows['02.4'].says.startswith('its cell does not run: NameError')
    assert rows['02.5'].says == 'write it, and run this again'
    assert 'SyntaxError, line 1' in table([*rows.values()])

def changed(folder, change, name='02_Backward.ipynb'):
    "What is said of the exercises after something has been done to a notebook."
    write_workbook(folder)
    path = folder/name
    nb = json.loads(path.read_text(encoding='utf-8'))
    for cell in nb['cells']: change(cell)
    path.write_text(json.dumps(nb), encoding='utf-8')
    return {r.name: r for r in standing(folder)}

def answers(key, text):
    def change(cell):
        if cell['id'] == key: cell['source'] = text
    return change

def test_a_notebook_as_other_editors_save_it(tmp_path):
    "Cells without ids, in lists of lines, with metadata of the editor's own; a name defined twice."
    def change(cell):
        answers('answer-02-3', 'def lin_vjp_x(g, w): return g@w\n'
                               'def lin_vjp_x(g, w): return g@w.T')(cell)
        del cell['id']
        cell['source'] = cell['source'].splitlines(True)
        cell['metadata'] = dict(vscode=dict(languageId='python'), cellView='form')
    assert changed(tmp_path, change)['02.3'].state == 'right'

@pytest.mark.parametrize('text, name, state, says', [
    ('def lin_vjp_x(g, w): return g@w.T\nimport sys\nsys.exit(3)', '02.5', 'open', 'write it'),
    ('import os\nos._exit(3)', '02.5', 'open', 'it ended Python itself'),
    ('import mlfound.workbook\nraise SystemExit', '02.3', 'open', 'does not run: SystemExit')])
@pytest.mark.skipif(not __import__('sys').platform.startswith('linux'), reason='needs a fork')
def test_a_cell_that_ends_python(tmp_path, text, name, state, says):
    row = changed(tmp_path, answers('answer-02-3', text))[name]
    assert row.state == state and says in row.says, row

def test_progress_that_cannot_be_written_is_no_reason_to_stop(here, tmp_path):
    (tmp_path/'progress.txt').mkdir()
    verdict = check('02.2', to_list)
    assert verdict.state == 'wrong' and 'cannot be written' in str(verdict)
    assert [check('02.2', to_list).hint for _ in range(2)][1] == pack()['02.2']['hints'][0]

@pytest.mark.parametrize('name', ['2.1', 2.1])
def test_a_number_without_its_nought(name):
    with pytest.raises(ValueError, match="did you mean '02.1'?"): check(name, solved('02.1'))

def test_hints_come_after_two_tries_and_after_four(here):
    hints = [check('02.2', to_list).hint for _ in range(5)]
    first, second = pack()['02.2']['hints']
    assert hints == ['', first, first, second, second]

def test_nothing_of_the_readers_is_overwritten(tmp_path):
    write_workbook(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert write_workbook(tmp_path) == []
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir()}

def filled(folder, answers):
    "A workbook in which these blanks are filled with the book's own solutions."
    write_workbook(folder)
    for path in folder.glob('*.ipynb'):
        nb = json.loads(path.read_text(encoding='utf-8'))
        for cell in nb['cells']:
            name = cell['id'].removeprefix('answer-').replace('-', '.', 1)
            if not cell['id'].startswith('answer-') or name not in answers: continue
            cell['source'] = answer_text(name, cell['source'])
        path.write_text(json.dumps(nb), encoding='utf-8')

def answer_text(name, cell):
    "What a reader who knows the book would write."
    kind, source = EXERCISES[name].kind, pack()[EXERCISES[name].of or name]['source']
    if kind == 'predict': return cell.replace('...', repr(solved(name)))
    if kind == 'find':
        called = name_of(source)
        needs = [line for line in cell.split('\n') if ' = best(' in line]
        return '\n'.join([*needs, source, f'mended = {called}',
                          f'what = {breakable(name)[0].mistake!r}'])
    return cell.replace(blank(source), source)

@pytest.mark.parametrize('name', hidden)
def test_a_solution_names_what_is_broken(name):
    "What stands in the wrong place with seed 0, and the kind of that mistake."
    found = re.match(r'Seed 0 .*?`(.+?)`.*? a \*(.+?)\*', pack()[name]['why'])
    sound = ast.unparse(ast.parse(pack()[EXERCISES[name].of]['source'])).split('\n')
    assert any(found[1] in line for line in broken(name).split('\n') if line not in sound)
    assert found[2] in kinds_like(EXERCISES[name].of, breakable(name)[0])

def test_a_workbook_that_is_solved(here, tmp_path):
    filled(tmp_path, EXERCISES)
    rows = standing(tmp_path)
    assert [str(r) for r in rows if r.state != 'right'] == []

def test_the_readers_own_is_used_where_it_is_right(here, tmp_path):
    filled(tmp_path, ['02.3'])
    ours, book = best('02.3', '02.4', folder=tmp_path)
    assert ours is not solved('02.3') and book is solved('02.4')

def test_at_the_prompt(tmp_path, capsys):
    folder = tmp_path/'mine'
    code, err, out = started.typed('workbook', folder, cwd=tmp_path)
    assert code == 0 and '02_Backward.ipynb' in out, err
    assert main(['workbook', str(folder), '--json']) == 1 # all of it is open
    assert json.loads(capsys.readouterr().out)['02.1']['state'] == 'open'

def test_the_last_notebook_trains_with_what_there_is(here, tmp_path, capsys):
    "The reader's tape with the book's rules, or all of it the book's: the same parameters."
    for answers in ([], ['04.2', '04.4', '05.3', '19.2']):
        filled(tmp_path, answers)
        cells = notebook('19')['cells']
        space = {}
        for key in ('setup', 'end'):
            text = next(c['source'] for c in cells if c['id'] == key)
            exec(text.replace('digits(), .1', '[*digits()][:20], .1')
                 .replace('in digits()', 'in [*digits()][:20]'), space)
        assert space['apart'] < 1e-5 and space['read'] > .5, capsys.readouterr().out

def test_the_notebooks_are_plain():
    for chapter in exercises.CHAPTERS:
        nb = notebook(chapter)
        assert nb['nbformat'] == 4 and 'widget' not in json.dumps(nb)
        assert all(not c['outputs'] for c in nb['cells'] if c['cell_type'] == 'code')

def test_solutions_say_why():
    for name in EXERCISES: assert solution(name).why and solution(name).code
    assert set(WORDS) >= {v.mistake for n in ('02.1', '02.2') for v in versions(n)}
